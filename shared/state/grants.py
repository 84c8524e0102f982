"""One-time upload links: claimed when a transfer starts, spent when it succeeds, given back when it fails."""

from shared.errors import Forbidden
from shared.keys import Keys
from shared.lua import Script, Scripts
from shared.state.link import RedisLink

_CLAIM = Script("claim_grant")
_REMEMBER_MS = 3_600_000     # a claim whose gateway died stays closed: its outcome is unknown


class GrantStore:
    """The state of one-time links. A link that was never used has no key."""

    def __init__(self, scripts: Scripts, link: RedisLink, keys: Keys) -> None:
        self._scripts = scripts
        self._link = link
        self._keys = keys

    async def claim(self, nonce: str, *, scope: str, server: str, ttl_ms: int) -> None:
        """Take the link for one transfer. `ttl_ms` is what is left of its life. Raises Forbidden."""
        keys = [self._keys.grant(nonce), self._keys.session(scope)]
        (status,) = await self._scripts.run(_CLAIM, keys, [server, ttl_ms + _REMEMBER_MS])
        if status == 1:
            raise Forbidden("the session that this upload link was made for has ended; ask for a new link")
        if status == 2:
            raise Forbidden("this upload link is in use by another transfer; ask for a new link")
        if status == 3:
            raise Forbidden("this upload link was used before; ask for a new link")

    async def spend(self, nonce: str) -> None:
        """Close the link for good: its files are there. Safe to repeat."""
        await self._link.call("SET", self._keys.grant(nonce), "spent", "XX", "KEEPTTL")

    async def give_back(self, nonce: str) -> None:
        """Open the link again: the transfer failed and left nothing. Safe to repeat."""
        await self._link.call("DEL", self._keys.grant(nonce))
