"""Generated secret that signs links when the configuration has none; kept in Redis, shared by all processes."""

import secrets

from longshore.shared.keys import Keys
from longshore.shared.redis.connection import RedisLink


async def signing_secret(link: RedisLink, keys: Keys) -> str:
    """Return the generated secret; the first caller creates it. Raises StoreDown."""
    generated = secrets.token_urlsafe(32)
    stored = await link.call("SET", keys.signing_secret(), generated, "NX", "GET")
    return generated if stored is None else bytes(stored).decode()
