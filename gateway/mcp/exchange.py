"""Exchange: one message of a client, with its session, its reply and its route to the upstream."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from aiohttp import web

from longshore.gateway.appkeys import CONFIG, SESSIONS, SIGNER, TASKS
from longshore.gateway.mcp import capabilities
from longshore.gateway.mcp.list_cache import METHODS
from longshore.gateway.mcp.replies.reply import Reply
from longshore.gateway.metrics import METRICS
from longshore.gateway.mounts import Mount
from longshore.gateway.request_context import SESSION_HEADER, RequestContext, context_of, principal_of, session_id_of
from longshore.gateway.upstream import headers, tool_listing
from longshore.gateway.upstream.client import UpstreamExchange, UpstreamResponse
from longshore.gateway.upstream.rpc import notify
from longshore.gateway.upstream.tool_listing import ToolListing
from longshore.gateway.wire import jsonrpc
from longshore.gateway.wire.envelope import Envelope, Kind, MessageId
from longshore.shared import log
from longshore.shared.config import Config
from longshore.shared.errors import BadRequest, LongshoreError, SessionGone, StoreDown
from longshore.shared.ids import is_id
from longshore.shared.state.sessions import Caller, OpenSession

_FIRST_WITH_LINKS = "2025-06-18"      # the revision that brought `resource_link`

Handle = Callable[["Exchange"], Awaitable[web.StreamResponse]]
Change = Callable[[bytes], Awaitable[bytes]]     # of a response


@dataclass(slots=True)
class Exchange:
    """A message in a live session, with all that its handling needs."""

    request: web.Request
    mount: Mount
    caller: Caller
    session: OpenSession
    envelope: Envelope
    body: bytes
    context: RequestContext
    reply: Reply
    route: "Route"

    @property
    def config(self) -> Config:
        """The configuration."""
        return self.request.app[CONFIG]

    def use_upstream(self, upstream_id: str) -> None:
        """Use another upstream session from now on: the one before was lost."""
        self.session = replace(self.session, upstream_id=upstream_id)

    @property
    def timeout_s(self) -> float | None:
        """Time for the whole answer, None for no limit; a tool's own limit goes before this."""
        if self.envelope.method in _WAIT_FOR_WORK:
            return None
        return self.config.tool_timeout_s(self.mount.server)

    def upstream_headers(self) -> dict[str, str]:
        """Headers of a request to the upstream in this session."""
        return self.route.headers(self)

    def spawn(self, work: Coroutine[None, None, None], *, name: str) -> None:
        """Run `work` beside the call, and after it."""
        self.request.app[TASKS].spawn(work, name=name)

    async def answer(self, result: dict[str, Any]) -> web.StreamResponse:
        """Answer with this result of longshore's own."""
        body = jsonrpc.result(self.envelope.id, self.route.own_result(self, result))
        return await self.reply.finish(body)

    @property
    def fetches_files(self) -> bool:
        """True where the client fetches files that results name, and longshore names them so (files.sep_2631)."""
        return self.config.files.sep_2631 and self.route.fetches_files(self)

    @property
    def session_owner(self) -> Caller:
        """Caller whose record has the upstream session."""
        return self.route.session_owner or self.caller

    @property
    def upstream_message_id(self) -> MessageId:
        """The id under which the upstream knows the message."""
        return self.route.message_id(self)


class Route:
    """Route of a message from a client of one era to an upstream of one era, and of the answer back.

    Chosen once for each message. This one is the plain route, from a legacy client to a legacy upstream: bytes pass as
    they are. The others are in `gateway/mcp/forwarding/`: ModernDirect, ToLegacy and ToModern override what differs.
    """

    __slots__ = ()

    passes_request_state = False     # `requestState` of a modern upstream goes to a modern client as it is
    translates = False           # responses are not of the client's era as they come
    lists_carry_ttl = False      # lists say themselves how long and for whom they may be kept
    reads_schemas = False        # tool lists say which arguments a call mirrors in headers
    has_404_for_methods = False  # HTTP status 404 says that the server has no such method
    defers_head = False          # the HTTP status depends on the response
    cancels_on_disconnect = False    # a client that closes its connection cancels its call
    log_level = ""               # of the log messages that the client asked for with this request, "" for none
    session_owner: Caller | None = None      # whose record has the upstream session, where not the caller's own
    forward: "Forward | None" = None         # for requests that the upstream may answer with `input_required`

    def headers(self, exchange: Exchange) -> dict[str, str]:
        """Headers of a request to the upstream."""
        return upstream_headers(exchange.request, exchange.mount, exchange.session.upstream_id)

    async def request(self, exchange: Exchange, body: bytes) -> tuple[dict[str, str], bytes]:
        """Headers and body of the request `body`, in the upstream's era."""
        return self.headers(exchange), body

    def message_id(self, exchange: Exchange) -> MessageId:
        """The id under which the upstream knows the message."""
        return exchange.envelope.id

    def started(self, exchange: Exchange, running: UpstreamExchange) -> None:
        """Note the upstream request that brings the answer, so that it can be cancelled or its time stopped."""

    def ended(self, exchange: Exchange, running: UpstreamExchange) -> None:
        """Forget the upstream request."""

    def cancel(self, exchange: Exchange, reason: str) -> None:
        """Tell the upstream to stop (MCP 2025-11-25 basic/utilities/cancellation); nobody waits for it."""
        params = {"requestId": exchange.upstream_message_id, "reason": reason}
        client, head = exchange.mount.client, exchange.upstream_headers()

        async def cancelled() -> None:
            with suppress(LongshoreError):  # it did not answer before, either
                await notify(client, head, "notifications/cancelled", params)

        exchange.spawn(cancelled(), name="cancel_upstream")

    def response(self, exchange: Exchange, data: bytes) -> bytes:
        """Translate the upstream's response `data` into the client's era. Raises UpstreamDown where it is no response.
        """
        return data

    def status(self, response: bytes) -> int:
        """HTTP status of the answer that is this response."""
        return 200

    def on_side_message(self, exchange: Exchange, data: bytes) -> bool:
        """Handle a message that comes before the response. Return True where it goes to the client as it is."""
        return True

    def chunks(self, exchange: Exchange, answer: UpstreamResponse) -> AsyncGenerator[bytes, None]:
        """The upstream's event stream as it arrives."""
        return answer.chunks()

    def own_result(self, exchange: Exchange, value: dict[str, Any]) -> dict[str, Any]:
        """Add to a result of longshore's own the fields that the client's revision wants in it."""
        return value

    def fetches_files(self, exchange: Exchange) -> bool:
        """True where the client fetches files by the file transfer methods."""
        return capabilities.FILES in exchange.session.flags

    def has_links(self, exchange: Exchange) -> bool:
        """True where the client's revision has `resource_link`."""
        return exchange.session.protocol >= _FIRST_WITH_LINKS

    async def check_headers(self, exchange: Exchange) -> None:
        """Raise HeaderMismatch where headers that mirror the arguments of a call say otherwise."""

    def rebuild_headers(self, exchange: Exchange, body: bytes) -> None:
        """Mirror the arguments of the call `body`, which longshore has changed."""

    async def has_new_headers(self, exchange: Exchange, answer: UpstreamResponse, body: bytes) -> bool:
        """True where `answer` refuses the call `body` for its headers, and it can be sent with others now."""
        return False

    def refusal(self, exchange: Exchange, answer: UpstreamResponse, body: bytes) -> tuple[bytes, int]:
        """Body and HTTP status for a refusal of the upstream's: in its own words where it is no message."""
        return body, answer.status

    async def list_tools(self, exchange: Exchange, head: dict[str, str]) -> ToolListing:
        """List the upstream's tools, in its era."""
        return await tool_listing.list_legacy(exchange.mount.client, head)

    def aside(self, exchange: Exchange, message_id: str, method: str, params: jsonrpc.RawMap, name: str) -> "Route":
        """Route of a request of longshore's own beside this one; adds to `params` what its revision wants there."""
        return self


Forward = Callable[..., Awaitable[web.StreamResponse]]
PLAIN = Route()


# What may be hours away, as the revisions have it.
_WAIT_FOR_WORK = frozenset({"tasks/result", "subscriptions/listen"})


def lease_id(context: RequestContext, message: Envelope) -> str:
    """Return the lease that `message` takes, "" for none. Only requests take one, except for those answered at once."""
    return context.request_id if message.kind is Kind.REQUEST and message.method not in _LEASELESS else ""


_LEASELESS = frozenset({"ping", "subscriptions/listen"})


def may_change_lists(message: Envelope) -> bool:
    """True where a server may list other things after `message` than before: after calls, not after reads."""
    return message.kind is Kind.REQUEST and message.method not in _READING


_READING = METHODS | {
    "ping", "server/discover", "subscriptions/listen", "resources/read", "prompts/get", "completion/complete",
    "logging/setLevel",
}


def caller_of(request: web.Request, mount: Mount) -> Caller:
    """Return the caller with its session id, or with its own scope when it sends none (some clients never do)."""
    principal = principal_of(request).name
    session_id = session_id_of(request)
    if session_id is None:
        session_id = request.app[SIGNER].scope_of(mount.server.id, principal)
    elif not is_id(session_id):
        session_id = "x" * 16    # not of our making: unknown, not malformed, so that the client starts again
    context_of(request).session_id = session_id
    return Caller(session_id, mount.server.id, principal)


def has_lost_upstream(session: OpenSession) -> bool:
    """True where the upstream had a session for this one, or may have had, and has none now: it was revived."""
    return not session.upstream_id and (
        capabilities.SESSIONS in session.flags or capabilities.UNKNOWN in session.flags
    )


@dataclass(frozen=True, slots=True)
class Begin:
    """Content of the record of a new scope."""

    flags: str
    init_params: bytes


async def open_session(
    request: web.Request, caller: Caller, *, lease: str = "", may_change_lists: bool = False, begin: Begin | None = None
) -> OpenSession:
    """Open the caller's session for one message: validated and leased. Raises as `SessionStore.open_call`, or
    BadRequest.

    Where a caller without session id has no scope yet, its scope is created: from its last `initialize`, or from
    `begin` where its revision has no `initialize`.
    """
    sessions = request.app[SESSIONS]

    async def opened() -> OpenSession:
        session = await sessions.open_call(caller, lease=lease, may_change_lists=may_change_lists)
        if session.revived:
            request.app[METRICS].session_event(server=caller.server, event="revived")
        return session

    try:
        try:
            return await opened()
        except SessionGone:
            if begin is None and SESSION_HEADER in request.headers:
                raise
        if begin is not None:
            await sessions.create_scope(caller, flags=begin.flags, init_params=begin.init_params)
        elif not await sessions.adopt(caller):
            raise BadRequest(f"the header {SESSION_HEADER} is missing; start a session with initialize")
        return await opened()
    except (asyncio.CancelledError, StoreDown):
        if lease:  # the client left before Redis answered, or Redis did: the lease may have been taken all the same
            sessions.release_call(caller.session_id, lease)
        raise


def upstream_headers(request: web.Request, mount: Mount, upstream_id: str) -> dict[str, str]:
    """Headers of the client that may go to the upstream. Raises BadRequest when one that the server needs is missing.
    """
    headers.check_required(mount.headers, request.headers)
    token, principal = request.app[CONFIG].core.auth.token, principal_of(request)
    own = (token, principal.credential)
    found = headers.upstream_headers(
        mount.headers, request.headers, accept=request.headers.get("Accept", headers.ACCEPT),
        session_id=upstream_id, own_tokens=tuple(text for text in own if text),
    )
    if mount.server.pass_client_token and principal.token is not None:
        found["Authorization"] = f"Bearer {principal.credential}"
    if mount.headers.passthrough or principal.credential:
        log.hide_in_task(*(found[name] for name in mount.headers.passthrough if name in found), principal.credential)
    return found
