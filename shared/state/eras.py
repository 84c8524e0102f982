"""Protocol eras of the upstreams, shared by all gateways: one gateway probes an upstream, the others read it here."""

from longshore.shared.errors import StoreDown
from longshore.shared.keys import Keys
from longshore.shared.redis.connection import RedisLink

UNKNOWN = "unknown"          # probed lately, without a clear result
_TTL_MS = 600_000            # then the upstream may have been replaced by a server of the other era


class EraStore:
    """Typed access to the known eras. While Redis is away none is known, and each gateway probes for itself."""

    def __init__(self, link: RedisLink, keys: Keys) -> None:
        self._link = link
        self._keys = keys

    async def find(self, upstream: str) -> str:
        """Return the era of the upstream of this digest, UNKNOWN, or "" if no gateway has probed it."""
        try:
            found = await self._link.call("GET", self._keys.upstream_era(upstream))
        except StoreDown:
            return ""
        return found.decode() if found is not None else ""

    def save(self, upstream: str, era: str, *, ttl_ms: int = _TTL_MS) -> None:
        """Save the era for all gateways. Does not wait."""
        self._link.send_nowait("SET", self._keys.upstream_era(upstream), era, "PX", ttl_ms)
