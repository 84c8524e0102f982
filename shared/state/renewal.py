"""Upstream sessions that were lost: one gateway opens a new one, the others wait for it."""

from dataclasses import dataclass

from longshore.shared.errors import SessionGone
from longshore.shared.keys import Keys
from longshore.shared.redis.scripts import Script, Scripts

_REPLACE = Script("replace_upstream")
_GIVE_UP = Script("give_up_renewal")


@dataclass(frozen=True, slots=True)
class OpenNew:
    """Open a new upstream session with these parameters, the client's own."""

    init_params: bytes       # JSON
    protocol: str            # as negotiated before; "": the session was restored, and nothing is known of it


@dataclass(frozen=True, slots=True)
class RetryLater:
    """Another gateway is at it; ask again shortly."""


@dataclass(frozen=True, slots=True)
class UseExisting:
    """There is a new one."""

    upstream_id: str


@dataclass(frozen=True, slots=True)
class NewUpstreamSession:
    """What a new upstream session settled."""

    upstream_id: str         # "" when the upstream of a restored session keeps none
    protocol: str            # negotiated version
    flags: str = ""          # "": as they were; see gateway.mcp.capabilities


class RenewalStore:
    """The script that lets exactly one gateway at a time renew a session's upstream side."""

    def __init__(self, scripts: Scripts, keys: Keys) -> None:
        self._scripts = scripts
        self._keys = keys

    async def acquire(self, session_id: str, *, lost: str, token: str, lock_ttl_ms: int) -> OpenNew | RetryLater | UseExisting:
        """What to do about the upstream session `lost` ("" for one that expired). Raises SessionGone."""
        return await self._run(session_id, [lost, token, lock_ttl_ms, "", "", ""])

    async def replace(self, session_id: str, *, lost: str, token: str, new: NewUpstreamSession) -> OpenNew | RetryLater | UseExisting:
        """Put `new` in place of `lost`. Wait: it took too long, and another gateway is at it. Raises SessionGone."""
        return await self._run(session_id, [lost, token, 0, new.upstream_id, new.protocol, new.flags])

    async def release(self, session_id: str, token: str) -> None:
        """Let another try at once: this gateway could not open one."""
        await self._scripts.run(_GIVE_UP, [self._keys.renewing(session_id)], [token])

    async def _run(self, session_id: str, args: list[str | int]) -> OpenNew | RetryLater | UseExisting:
        keys = [self._keys.session(session_id), self._keys.renewing(session_id)]
        status, *rest = await self._scripts.run(_REPLACE, keys, args)
        if status == 0:
            return OpenNew(init_params=rest[0] or b"{}", protocol=rest[1].decode())
        if status == 2:
            return UseExisting(rest[0].decode())
        if status == 3:
            raise SessionGone("this session has ended; start a new session with initialize")
        return RetryLater()

