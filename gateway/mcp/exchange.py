"""One message on its way: what arrived, in which session, and where it goes."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, replace

from aiohttp import web

from longshore.gateway.appkeys import CONFIG, SESSIONS, SIGNER, TASKS
from longshore.gateway.mcp import capabilities
from longshore.gateway.mcp.input_requests.suspended_call import SuspendableCall
from longshore.gateway.mcp.list_cache import METHODS
from longshore.gateway.metrics import METRICS
from longshore.gateway.mounts import Mount
from longshore.gateway.request_context import SESSION_HEADER, VERSION_HEADER, RequestContext, context_of, principal_of
from longshore.gateway.upstream import headers
from longshore.gateway.upstream.client import UpstreamExchange
from longshore.gateway.wire.envelope import Envelope, Kind, MessageId
from longshore.shared import log
from longshore.shared.config import Config
from longshore.shared.errors import BadRequest, SessionGone, StoreDown
from longshore.shared.ids import is_id
from longshore.shared.state.sessions import Caller, OpenSession

_ACCEPT_BOTH = "application/json, text/event-stream"


@dataclass(frozen=True, slots=True)
class Sink:
    """Takes the messages of one member of a batch."""

    send: Callable[[bytes], Awaitable[None]]
    answers_only: bool           # notifications have no place in an array of answers


@dataclass(slots=True)
class Stateless:
    """How a message of the stateless revision travels on."""

    headers: dict[str, str]      # that mirror the body, for an upstream of the same revision
    asked_id: MessageId          # under which the upstream knows it
    is_translated: bool = False  # the upstream is of the session era
    log_level: str = ""          # of the log messages that the client wants, "" for none
    fetches_files: bool = False  # the client does so by the file transfer methods
    asking: SuspendableCall | None = None     # where the server may ask the client in between
    takes_urls: bool = False     # the user can be sent to a page
    holder: Caller | None = None # whose record has the upstream session, where it is not the scope's own
    running: UpstreamExchange | None = None      # that brings the answer

    def run(self, running: UpstreamExchange) -> None:
        """Wait for the answer here, for as long as the call has time."""
        self.running = running
        if self.asking is not None:
            self.asking.use_timer(running)

    def carry(self, instead: dict[str, str], of: set[str]) -> None:
        """Let `instead` go for those headers that are named as one `of` these, in lower case."""
        self.headers = {name: value for name, value in self.headers.items() if name.lower() not in of} | instead


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
    sink: Sink | None = None     # where messages go instead of into an answer of their own
    answered: bool = False       # the sink has the response
    stateless: Stateless | None = None   # the message is of the stateless revision

    @property
    def config(self) -> Config:
        """The configuration."""
        return self.request.app[CONFIG]

    def use_upstream(self, upstream_id: str) -> None:
        """Go on with another upstream session: the one before was lost."""
        self.session = replace(self.session, upstream_id=upstream_id)

    @property
    def within_s(self) -> float | None:
        """How long the whole answer may take, None for as long as it does; a tool's own limit goes before this."""
        if self.envelope.method in _WAIT_FOR_WORK:
            return None
        return self.config.tool_timeout_s(self.mount.server)

    def upstream_headers(self) -> dict[str, str]:
        """Headers for the upstream's side of this session."""
        found = upstream_headers(self.request, self.mount, self.session.upstream_id)
        if self.stateless is not None:
            found |= self.stateless.headers
            if self.stateless.is_translated:
                found[VERSION_HEADER] = self.session.protocol
        return found

    def spawn(self, work: Coroutine[None, None, None], *, name: str) -> None:
        """Do `work` beside the call, and after it."""
        self.request.app[TASKS].spawn(work, name=name)

    @property
    def is_restated(self) -> bool:
        """Whether the client has a session and the upstream speaks the stateless revision alone."""
        return self.stateless is None and capabilities.MODERN in self.session.flags

    @property
    def fetches_files(self) -> bool:
        """Whether the client fetches the files that it is told of, where we speak of files so (files.sep_2631)."""
        if not self.config.files.sep_2631:
            return False
        return capabilities.FILES in self.session.flags if self.stateless is None else self.stateless.fetches_files

    @property
    def can_be_asked(self) -> bool:
        """Whether something can be asked of the client while this call waits: its answer may be a stream."""
        if self.sink is not None:
            return not self.sink.answers_only
        accept = self.request.headers.get("Accept", "*/*")
        return "text/event-stream" in accept or "*/*" in accept

    @property
    def holder(self) -> Caller:
        """Whose record has the upstream session."""
        return self.caller if self.stateless is None or self.stateless.holder is None else self.stateless.holder

    @property
    def asked_id(self) -> MessageId:
        """The id under which the upstream knows the message."""
        return self.envelope.id if self.stateless is None else self.stateless.asked_id


# What may be hours away, as the revisions have it.
_WAIT_FOR_WORK = frozenset({"tasks/result", "subscriptions/listen"})


def lease_id(context: RequestContext, message: Envelope) -> str:
    """The lease that `message` takes, "" for none: requests alone do, but for those answered at once anywhere."""
    return context.request_id if message.kind is Kind.REQUEST and message.method not in _LEASELESS else ""


_LEASELESS = frozenset({"ping", "subscriptions/listen"})


def may_change_lists(message: Envelope) -> bool:
    """Whether a server may list other things after `message` than before: calls may, reading does not."""
    return message.kind is Kind.REQUEST and message.method not in _READING


_READING = METHODS | {
    "ping", "server/discover", "subscriptions/listen", "resources/read", "prompts/get", "completion/complete",
    "logging/setLevel",
}


def caller_of(request: web.Request, mount: Mount) -> Caller:
    """The caller and its session id, or its own scope when it sends none (some clients never do)."""
    principal = principal_of(request).name
    session_id = request.headers.get(SESSION_HEADER)
    if session_id is None:
        session_id = request.app[SIGNER].scope_of(mount.server.id, principal)
    elif not is_id(session_id):
        session_id = "x" * 16    # not of our making: unknown, not malformed, so that the client starts again
    context_of(request).session_id = session_id
    return Caller(session_id, mount.server.id, principal)


@dataclass(frozen=True, slots=True)
class Begin:
    """How a scope begins."""

    flags: str
    init_params: bytes


async def open_session(
    request: web.Request, caller: Caller, *, lease: str = "", may_change_lists: bool = False, begin: Begin | None = None
) -> OpenSession:
    """The caller's session, validated and leased. Raises as `SessionStore.open_call`, or BadRequest.

    A caller without session id begins its scope with the `initialize` that it sent before, or with `begin` where
    its revision has none.
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
    """Headers that may travel. Raises BadRequest when one that the server needs is missing."""
    headers.check_required(mount.headers, request.headers)
    token, principal = request.app[CONFIG].core.auth.token, principal_of(request)
    own = (token, principal.credential)
    found = headers.upstream_headers(
        mount.headers, request.headers, accept=request.headers.get("Accept", _ACCEPT_BOTH),
        session_id=upstream_id, own_tokens=tuple(text for text in own if text),
    )
    if mount.server.pass_client_token and principal.grant is not None:
        found["Authorization"] = f"Bearer {principal.credential}"
    if mount.headers.passthrough or principal.credential:
        log.hide_in_task(*(found[name] for name in mount.headers.passthrough if name in found), principal.credential)
    return found
