"""Sessions: created by `initialize`, validated and leased once a call, ended for good by DELETE."""

from dataclasses import dataclass

from longshore.shared.clock import now_ms
from longshore.shared.config import Sessions
from longshore.shared.errors import SessionConflict, SessionGone, TooMany
from longshore.shared.keys import Keys
from longshore.shared.messaging.pubsub import ENDED, Event, Publisher
from longshore.shared.redis.connection import RedisLink
from longshore.shared.redis.scripts import Script, Scripts

_CREATE = Script("create_session")
_OPEN = Script("open_call")
_END = Script("end_session")
_RENEW = Script("renew_lease")
_ADOPT = Script("adopt_session")
_BEGIN = Script("begin_scope")
_LISTS_CHANGED = Script("lists_changed")
_SET_LOG_LEVEL = Script("set_log_level")

_UNUSED_MS = 3_600_000       # a session that was opened and never used is nobody's

_START_AGAIN = "start a new session with initialize"


@dataclass(frozen=True, slots=True)
class SessionStart:
    """What `initialize` settled; stored so that any replica can go on with it."""

    session_id: str          # minted by the gateway
    server: str
    principal: str
    upstream_id: str         # the upstream's own session id, "" when it keeps none
    protocol: str            # negotiated version, such as 2025-11-25
    flags: str               # what the upstream can do, one letter each: see gateway.mcp.capabilities
    init_params: bytes       # the client's own initialize parameters, JSON
    callers_scope: str       # of this principal on this server, should it never send the session id


@dataclass(frozen=True, slots=True)
class OpenSession:
    """A session as one call needs it."""

    upstream_id: str         # "" when the upstream keeps no sessions, or its own is gone: see `flags`
    protocol: str
    flags: str
    revived: bool = False    # it had expired, and lives again by this very call
    lists: str = "0"         # how often something happened that may have changed the upstream's lists


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, on which server, in which session."""

    session_id: str
    server: str
    principal: str


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """Limits of the configuration; 0 is none."""

    max_active: int = 0
    max_in_flight: int = 0
    idle_ttl_ms: int = 0
    allow_revival: bool = True
    tombstone_ttl_ms: int = 86_400_000
    lease_ms: int = 60_000

    @classmethod
    def of(cls, config: Sessions) -> "SessionLimits":
        """The limits that the `sessions` section sets."""
        return cls(
            max_active=config.max_active or 0, max_in_flight=config.max_in_flight_per_session or 0,
            idle_ttl_ms=(config.idle_ttl_seconds or 0) * 1000, allow_revival=config.allow_revival,
            tombstone_ttl_ms=config.tombstone_ttl_seconds * 1000,
        )


class SessionStore:
    """Typed access to the session scripts. One round trip a method."""

    def __init__(self, scripts: Scripts, link: RedisLink, keys: Keys, limits: SessionLimits) -> None:
        self._scripts = scripts
        self._link = link
        self._keys = keys
        self._limits = limits
        self._events = Publisher(link, keys)

    async def create(self, start: SessionStart) -> None:
        """Store a new live session. Raises TooMany at the limit of live sessions."""
        keys, limits = self._keys, self._limits
        created, live = await self._scripts.run(
            _CREATE,
            [keys.session(start.session_id), keys.sessions(), keys.due(), keys.latest(start.callers_scope)],
            [
                start.session_id, start.server, start.principal, start.upstream_id, start.protocol, start.flags,
                start.init_params, limits.max_active, limits.idle_ttl_ms or _UNUSED_MS,
            ],
        )
        if not created:
            raise TooMany(f"{live} sessions are active, which is the limit; end one or try again later")

    async def adopt(self, caller: Caller) -> bool:
        """Begin the scope `caller.session_id` of a caller without session id, from its latest `initialize`.

        False when there was none, or it is long past. Raises TooMany. Safe to repeat.
        """
        keys = self._keys
        done = await self._scripts.run(
            _ADOPT,
            [keys.session(caller.session_id), keys.latest(caller.session_id), keys.sessions(), keys.due()],
            [caller.session_id, caller.server, caller.principal, keys.session_prefix, self._limits.max_active],
        )
        if done == 2:
            raise TooMany("no more sessions can be active; end one or try again later")
        return bool(done)

    async def create_scope(self, caller: Caller, *, flags: str, init_params: bytes) -> None:
        """Begin the scope `caller.session_id` of a caller of the stateless revision. Raises TooMany. Safe to repeat.

        Its upstream side is opened when a call needs it, with `init_params`.
        """
        keys = self._keys
        done = await self._scripts.run(
            _BEGIN, [keys.session(caller.session_id), keys.sessions()],
            [caller.session_id, caller.server, caller.principal, flags, init_params, self._limits.max_active],
        )
        if not done:
            raise TooMany("no more sessions can be active; end one or try again later")

    async def open_call(self, caller: Caller, *, lease: str = "", may_change_lists: bool = False) -> OpenSession:
        """Validate, touch and (with a `lease` id) take a place. Safe to repeat with the same lease.

        `may_change_lists`: after this call no gateway goes on with a list of this session that it kept.
        Raises SessionGone, SessionConflict, or TooMany at the limit of calls in flight.
        """
        keys, limits = self._keys, self._limits
        status, *rest = await self._scripts.run(
            _OPEN,
            [keys.session(caller.session_id), keys.leases(caller.session_id), keys.due(), keys.sessions()],
            [
                caller.session_id, caller.server, caller.principal, lease, limits.lease_ms, limits.max_in_flight,
                limits.idle_ttl_ms, limits.max_active, int(may_change_lists),
            ],
        )
        if status == 0:
            upstream_id, protocol, flags, revived, lists = rest
            return OpenSession(
                upstream_id.decode(), protocol.decode(), flags.decode(), revived=revived == 1, lists=lists.decode()
            )
        if status == 6:
            raise TooMany(f"{rest[0]} sessions are active, which is the limit; end one or try again later")
        if status == 4:
            raise TooMany(f"{rest[0]} calls of this session are in flight, which is the limit; wait for one to end")
        raise _refusal(status, rest)

    async def count_list_change(self, session_id: str) -> None:
        """Count a list-changed notification, so that no gateway goes on with a list it kept."""
        await self._scripts.run(_LISTS_CHANGED, [self._keys.session(session_id)], [])

    async def set_log_level(self, session_id: str, level: str) -> None:
        """Remember the level of the log messages that the session wants. Nothing for one that is gone."""
        await self._scripts.run(_SET_LOG_LEVEL, [self._keys.session(session_id)], ["log_level", level])

    async def set_upstream_level(self, session_id: str, upstream_id: str, level: str) -> None:
        """Remember the level that the upstream's own session has. Nothing for a session that is gone."""
        said = f"{level} {upstream_id}"
        await self._scripts.run(_SET_LOG_LEVEL, [self._keys.session(session_id)], ["upstream_level", said])

    async def upstream_level(self, session_id: str, upstream_id: str) -> str:
        """The level that this upstream session was given, "" for none."""
        said = await self._link.call("HGET", self._keys.session(session_id), "upstream_level")
        level, _, of = (said or b"").decode().partition(" ")
        return level if of == upstream_id else ""

    async def client_settings(self, session_id: str) -> tuple[bytes, str]:
        """The session's own initialize parameters, and the log level that it set, "" for none."""
        init_params, level = await self._link.call("HMGET", self._keys.session(session_id), "init", "log_level")
        return init_params or b"{}", (level or b"").decode()

    async def renew_call(self, session_id: str, lease: str) -> None:
        """Prolong the lease of a call that still runs."""
        await self._scripts.run(_RENEW, [self._keys.leases(session_id)], [lease, self._limits.lease_ms, "XX"])

    async def is_live(self, session_id: str) -> bool:
        """Whether the session is there: it has neither ended nor does it rest. Raises StoreDown."""
        return bool(await self._link.call("HGET", self._keys.session(session_id), "state") == b"live")

    async def running_calls(self, session_id: str) -> int:
        """Calls that hold the session now, through whichever gateway."""
        return int(await self._link.call("ZCOUNT", self._keys.leases(session_id), now_ms(), "+inf"))

    async def renew_stream(self, session_id: str, lease: str) -> None:
        """Keep the session from idle expiry while a stream is open. Renewed the same way."""
        await self._scripts.run(_RENEW, [self._keys.streams(session_id)], [lease, self._limits.lease_ms, "CH"])

    def release_stream(self, session_id: str, lease: str) -> None:
        """The stream is closed. Does not wait; safe to repeat."""
        self._link.send_nowait("ZREM", self._keys.streams(session_id), lease)

    def release_call(self, session_id: str, lease: str) -> None:
        """Give a lease back without waiting; one that is lost expires by itself. Safe to repeat."""
        self._link.send_nowait("ZREM", self._keys.leases(session_id), lease)

    async def end(
        self, caller: Caller, *, reason: str, invalidate: bool = False, queue_upstream: bool = True
    ) -> OpenSession:
        """End the session at once and say which upstream session it had.

        `caller.principal` "" is the operator. With `queue_upstream` some gateway ends the upstream's own
        session; without, the caller of this does. Raises SessionGone when it is not live, SessionConflict
        when it is another caller's.
        """
        keys, session = self._keys, caller.session_id
        status, *rest = await self._scripts.run(
            _END,
            [
                keys.session(session), keys.leases(session), keys.files(session), keys.used_bytes(session),
                keys.used_total(), keys.sessions(), keys.due(), keys.streams(session), keys.upstream_end(),
                keys.upload_ends(), keys.artifact_ends(), keys.uses(session),
            ],
            [
                session, caller.server, caller.principal, "invalidated" if invalidate else "ended", reason,
                self._limits.tombstone_ttl_ms, int(queue_upstream),
            ],
        )
        if status == 0:
            self._events.publish_nowait(Event(ENDED, session))     # to its open streams
            return OpenSession(upstream_id=rest[0].decode(), protocol=rest[1].decode(), flags="")
        raise _refusal(status, rest)


def _refusal(status: int, rest: list[bytes]) -> SessionGone | SessionConflict:
    reason = rest[0].decode() if rest else ""
    if status == 2:
        return SessionGone(f"this session has ended ({reason}); {_START_AGAIN}")
    if status == 3:
        return SessionConflict(f"this session belongs to another caller; {_START_AGAIN}")
    if status == 5:
        return SessionConflict(f"this session was invalidated ({reason}); {_START_AGAIN}")
    return SessionGone(f"no session of this id is known here; {_START_AGAIN}")
