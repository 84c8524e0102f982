"""Change notifications where client and upstream have different eras: `subscriptions/listen` of a modern client over a
legacy upstream, the GET stream and `resources/subscribe` of a legacy client over a modern one."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import msgspec
from aiohttp import web

from longshore.gateway.appkeys import FEED_STORE
from longshore.gateway.mcp import capabilities
from longshore.gateway.mcp.exchange import Exchange
from longshore.gateway.mcp.input_requests import standing_stream_requests
from longshore.gateway.mcp.replies.errors import error_message
from longshore.gateway.mcp.replies.event_streams import STREAMS, OpenStream
from longshore.gateway.mcp.replies.reply import HttpReply
from longshore.gateway.mcp.sessions.leases import LEASES
from longshore.gateway.mcp.subscriptions import legacy_source, modern_source
from longshore.gateway.mcp.subscriptions.feeds import FEEDS
from longshore.gateway.mcp.subscriptions.publish import UpstreamContext
from longshore.gateway.mcp.subscriptions.subscriber import Subscriber
from longshore.gateway.mcp.subscriptions.upstream_feed import Opener
from longshore.gateway.mounts import Mount
from longshore.gateway.request_context import context_of
from longshore.gateway.wire import changes, sse
from longshore.gateway.wire.changes import Change, ChangeFilter
from longshore.gateway.wire.protocol_errors import InvalidParams
from longshore.shared import ids
from longshore.shared.errors import SlowListener
from longshore.shared.state.sessions import Caller, OpenSession


class _Subscribe(msgspec.Struct):
    uri: str


class _SubscribeRequest(msgspec.Struct):
    params: _Subscribe


_subscribes = msgspec.json.Decoder(_SubscribeRequest)
_MAX_URI_CHARS = 8_192


@dataclass(frozen=True, slots=True)
class _ChangeStream:
    """Content of a client's stream of changes."""

    scope: str                                   # whose files are the client's
    of_change: Callable[[Change], bytes]         # the message to this client
    first: bytes = b""                           # the message that comes before all others
    last: bytes = b""                            # the one that ends the stream in good order
    headers: dict[str, str] = field(default_factory=dict)
    must_be_open: bool = True                    # the upstream's stream, before anything is sent


async def listen(exchange: Exchange) -> web.StreamResponse:
    """Answer `subscriptions/listen` over a legacy upstream, whose changes come on the stream of the scope's own
    session.
    """
    listen_id, mount = exchange.envelope.id, exchange.mount
    asked = changes.parse_filter(exchange.body)
    theirs = _honoured(asked, exchange.session.flags) if _has_session(mount) else ChangeFilter(frozenset())
    ours = frozenset({changes.RESOURCES}) & asked.lists if mount.adapters.exposes_artifacts else frozenset[str]()
    honoured = ChangeFilter(theirs.lists | ours, theirs.uris)
    upstream = UpstreamContext(exchange.request, mount, exchange.session_owner)
    content = _ChangeStream(
        scope=exchange.caller.session_id, of_change=lambda change: changes.to_modern(change, listen_id),
        first=changes.acknowledgement(listen_id, honoured), last=changes.end_of_stream(listen_id),
    )
    opener = legacy_source.opener(upstream, standing_stream_requests.route) if theirs.lists or theirs.uris else None
    return await _stream(upstream, Subscriber(honoured), opener, content)


async def listen_to_us(exchange: Exchange) -> web.StreamResponse:
    """Answer `subscriptions/listen` over a server without that method: with longshore's own changes alone."""
    listen_id, ours = exchange.envelope.id, ChangeFilter(frozenset({changes.RESOURCES}))
    content = _ChangeStream(
        scope=exchange.caller.session_id, of_change=lambda change: changes.to_modern(change, listen_id),
        first=changes.acknowledgement(listen_id, ours), last=changes.end_of_stream(listen_id),
    )
    upstream = UpstreamContext(exchange.request, exchange.mount, exchange.caller)
    return await _stream(upstream, Subscriber(ours), None, content)


def _has_session(mount: Mount) -> bool:
    """True where the upstream's session outlives a call."""
    return mount.server.sessionless_clients == "per_principal"


def _honoured(asked: ChangeFilter, flags: str) -> ChangeFilter:
    told = frozenset(method for method, flag in capabilities.TELLS.items() if flag in flags)
    return ChangeFilter(asked.lists & told, asked.uris if capabilities.SUBSCRIBE in flags else frozenset())


async def stand(
    request: web.Request, mount: Mount, caller: Caller, session: OpenSession, headers: dict[str, str]
) -> web.StreamResponse:
    """Answer the GET of a legacy client over a modern upstream. Raises 405 where no message would ever come."""
    tells = any(flag in session.flags for flag in (*capabilities.TELLS.values(), capabilities.SUBSCRIBE))
    if not (tells or mount.adapters.exposes_artifacts):
        raise web.HTTPMethodNotAllowed("GET", ["POST", "DELETE"])
    upstream = UpstreamContext(request, mount, caller)
    subscriber = Subscriber(ChangeFilter(frozenset(capabilities.TELLS), any_uri=True))
    content = _ChangeStream(caller.session_id, changes.to_legacy, headers=headers, must_be_open=False)
    return await _stream(upstream, subscriber, modern_source.opener(upstream) if tells else None, content)


async def stand_alone(
    request: web.Request, mount: Mount, caller: Caller, headers: dict[str, str]
) -> web.StreamResponse:
    """Answer the GET of a legacy client whose upstream has no stream for it: with longshore's own changes alone."""
    subscriber = Subscriber(ChangeFilter(frozenset({changes.RESOURCES})))
    content = _ChangeStream(caller.session_id, changes.to_legacy, headers=headers)
    return await _stream(UpstreamContext(request, mount, caller), subscriber, None, content)


async def watch(exchange: Exchange) -> web.StreamResponse:
    """Answer `resources/subscribe` and `resources/unsubscribe` of a legacy client over a modern upstream.

    The URI is stored with the session. It is subscribed to upstream while the session's stream is open at any gateway.
    """
    try:
        uri = _subscribes.decode(exchange.body).params.uri
    except msgspec.DecodeError:
        uri = ""
    if not 0 < len(uri) <= _MAX_URI_CHARS:
        raise InvalidParams("params.uri must name a resource")
    app, session_id = exchange.request.app, exchange.caller.session_id
    async with app[FEEDS].subscribed(session_id, Subscriber(ChangeFilter(frozenset())), None) as feed:
        is_wanted = exchange.envelope.method == "resources/subscribe"
        count, is_listened = await app[FEED_STORE].watch(session_id, uri, watch=is_wanted)
        if is_listened:
            await feed.wait_applied(session=count)
    return await exchange.answer({})


async def _stream(
    upstream: UpstreamContext, subscriber: Subscriber, opener: Opener | None, content: _ChangeStream
) -> web.StreamResponse:
    """Open a stream to the client. Its scope, and the upstream's session, do not expire while it is open."""
    async with AsyncExitStack() as held:
        subscriptions = await held.enter_async_context(AsyncExitStack())
        for scope in {content.scope, upstream.caller.session_id}:
            await held.enter_async_context(_held_scope(upstream.request, scope))
            opens = opener if scope == upstream.caller.session_id else None
            feeds = upstream.request.app[FEEDS]
            await subscriptions.enter_async_context(
                feeds.subscribed(scope, subscriber, opens, must_be_open=content.must_be_open)
            )
        reply = HttpReply(upstream.request, context_of(upstream.request))
        held.callback(reply.close)
        stream = await reply.start_standing(content.headers)
        last = await _write_changes(reply, stream, subscriber, content)
        await subscriptions.aclose()     # a slow client may take a while for what is left to send
        await stream.close(sse.event(last) if last else b"")
    return stream.response


@asynccontextmanager
async def _held_scope(request: web.Request, scope: str) -> AsyncIterator[None]:
    """Keep the scope from expiring while the block runs."""
    leases, lease = request.app[LEASES], ids.new_id()
    try:
        await leases.acquire_stream(scope, lease)
        yield
    finally:
        leases.release_stream(scope, lease)


async def _write_changes(reply: HttpReply, stream: OpenStream, subscriber: Subscriber, content: _ChangeStream) -> bytes:
    """Write changes until the stream ends. Return the message that it ends with, b"" for none."""
    async def write() -> None:
        async for change in subscriber.changes():
            await stream.write(sse.event(content.of_change(change)))

    try:
        await stream.write(sse.event(content.first) if content.first else b": listening\n\n")
        await reply.request.app[STREAMS].hold(subscriber.send_changes(write()))
    except SlowListener as err:
        reply.context.reason = err.reason
        return error_message(reply.context, err) if reply.context.message_id is not None else b""
    return content.last
