"""The secret that signs links when the configuration has none: made once, kept in Redis, the same for all."""

import secrets

from longshore.shared.keys import Keys
from longshore.shared.redis.connection import RedisLink


async def signing_secret(link: RedisLink, keys: Keys) -> str:
    """The deployment's generated secret; the first process to ask makes it. Raises StoreDown."""
    offered = secrets.token_urlsafe(32)
    stored = await link.call("SET", keys.signing_secret(), offered, "NX", "GET")
    return offered if stored is None else bytes(stored).decode()
