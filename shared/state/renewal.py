"""Renewal of lost upstream sessions: one gateway at a time opens a new one, the others wait for it."""

from dataclasses import dataclass

from longshore.shared.errors import SessionGone
from longshore.shared.keys import Keys
from longshore.shared.redis.connection import RedisLink
from longshore.shared.redis.scripts import Script

_REPLACE = Script("replace_upstream")
_RELEASE = Script("release_renewal")


@dataclass(frozen=True, slots=True)
class OpenNew:
    """Instruction to open a new upstream session with these parameters, the client's own."""

    init_params: bytes       # JSON
    protocol: str            # as negotiated before; "": the session was restored, and its version is not known


@dataclass(frozen=True, slots=True)
class RetryLater:
    """Instruction to ask again shortly: another gateway is opening the new session."""


@dataclass(frozen=True, slots=True)
class UseExisting:
    """Instruction to use the new session that another gateway has opened."""

    upstream_id: str


Instruction = OpenNew | RetryLater | UseExisting


@dataclass(frozen=True, slots=True)
class NewUpstreamSession:
    """Results of `initialize` for a new upstream session."""

    upstream_id: str         # "" when the upstream of a restored session keeps no sessions
    protocol: str            # negotiated version
    flags: str = ""          # "": unchanged; see gateway.mcp.capabilities


class RenewalStore:
    """Typed access to the scripts that let one gateway at a time renew a session's upstream side."""

    def __init__(self, link: RedisLink, keys: Keys) -> None:
        self._link = link
        self._keys = keys

    async def acquire(self, session_id: str, *, lost: str, token: str, lock_ttl_ms: int) -> Instruction:
        """Acquire the right to replace the upstream session `lost` ("" for one that expired), or learn why not.

        Raises SessionGone.
        """
        return await self._run(session_id, [lost, token, lock_ttl_ms, "", "", ""])

    async def replace(self, session_id: str, *, lost: str, token: str, new: NewUpstreamSession) -> Instruction:
        """Put `new` in place of `lost`. RetryLater if it took too long and another gateway has the right by now.

        Raises SessionGone.
        """
        return await self._run(session_id, [lost, token, 0, new.upstream_id, new.protocol, new.flags])

    async def release(self, session_id: str, token: str) -> None:
        """Release the right without a new session, so that another gateway may try at once."""
        await self._link.run(_RELEASE, [self._keys.renewal_lock(session_id)], [token])

    async def _run(self, session_id: str, args: list[str | int]) -> Instruction:
        keys = [self._keys.session(session_id), self._keys.renewal_lock(session_id)]
        status, *rest = await self._link.run(_REPLACE, keys, args)
        if status == 0:
            return OpenNew(init_params=rest[0] or b"{}", protocol=rest[1].decode())
        if status == 2:
            return UseExisting(rest[0].decode())
        if status == 3:
            raise SessionGone("this session has ended; start a new session with initialize")
        return RetryLater()
