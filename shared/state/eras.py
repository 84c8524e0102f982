"""Which era each upstream speaks, as far as some gateway has found it out: what one was told, the others know."""

from longshore.shared.errors import StoreDown
from longshore.shared.keys import Keys
from longshore.shared.redis.connection import RedisLink

UNKNOWN = "unknown"          # it was asked lately and did not say
_KEPT_MS = 600_000           # then it may have been replaced by a server of the other era


class EraStore:
    """What is known. While Redis is away, nothing is: each gateway then asks for itself."""

    def __init__(self, link: RedisLink, keys: Keys) -> None:
        self._link = link
        self._keys = keys

    async def find(self, upstream: str) -> str:
        """The era of the upstream of this digest, UNKNOWN, or "" for what nobody has asked."""
        try:
            found = await self._link.call("GET", self._keys.era(upstream))
        except StoreDown:
            return ""
        return found.decode() if found is not None else ""

    def save(self, upstream: str, era: str, *, ttl_ms: int = _KEPT_MS) -> None:
        """Let every gateway know. Does not wait."""
        self._link.send_nowait("SET", self._keys.era(upstream), era, "PX", ttl_ms)
