"""Waiting for the files of an upload link, which may arrive through any gateway."""

from collections.abc import AsyncGenerator

from longshore.shared.keys import Keys
from longshore.shared.messaging.wakeups import Wakeups, await_wakeup
from longshore.shared.redis.address import RedisAddress
from longshore.shared.state.grants import GrantStore, LinkUse
from longshore.shared.tasks import Tasks


class UploadWatcher:
    """Watches upload links for calls in this process. It subscribes to Redis at the first use; `close` ends that."""

    def __init__(self, address: RedisAddress, keys: Keys, grants: GrantStore, tasks: Tasks) -> None:
        self._grants = grants
        self._wakeups = Wakeups(address, keys.upload_link_channel(), tasks)

    async def watch(self, nonce: str) -> AsyncGenerator[LinkUse]:
        """Yield the state of the link now, after each change, and at least every five seconds. Raises StoreDown."""
        async with self._wakeups.register(nonce) as changed:
            while True:
                yield await self._grants.link_use(nonce)
                await await_wakeup(changed)

    async def close(self) -> None:
        """End the subscription."""
        await self._wakeups.close()
