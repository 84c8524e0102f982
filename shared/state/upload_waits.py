"""Waiting for the files of an upload link: woken when they come, through whichever gateway."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

from longshore.shared.keys import Keys
from longshore.shared.redis.address import RedisAddress
from longshore.shared.redis.subscription import Subscription
from longshore.shared.state.grants import GrantStore, LinkUse
from longshore.shared.tasks import Tasks

_READY_S = 1.0
_LOOK_EVERY_S = 5.0          # a word may be lost with its connection


class UploadWatcher:
    """Who waits in this process. It listens from the first one on; `close` ends that."""

    def __init__(self, address: RedisAddress, keys: Keys, grants: GrantStore, tasks: Tasks) -> None:
        self._address = address
        self._keys = keys
        self._grants = grants
        self._tasks = tasks
        self._waiting: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._subscription: Subscription | None = None

    async def watch(self, nonce: str) -> AsyncGenerator[LinkUse]:
        """What became of the link, at once and whenever it may have changed, every five seconds at least."""
        async with self._registered(nonce) as changed:
            _ = await self._listening().wait_ready(_READY_S)
            while True:
                changed.clear()
                yield await self._grants.link_use(nonce)
                try:
                    async with asyncio.timeout(_LOOK_EVERY_S):
                        _ = await changed.wait()
                except TimeoutError:
                    continue

    async def close(self) -> None:
        """Listen no more."""
        if self._subscription is not None:
            await self._subscription.close()

    def _listening(self) -> Subscription:
        if self._subscription is None:
            self._subscription = Subscription(
                self._address, [self._keys.wake_uploads()], self._tasks,
                on_message=lambda nonce: self._wake(nonce.decode()), on_ready=self._wake_all,
            )
        return self._subscription

    @asynccontextmanager
    async def _registered(self, nonce: str) -> AsyncIterator[asyncio.Event]:
        changed = asyncio.Event()
        self._waiting[nonce].add(changed)
        try:
            yield changed
        finally:
            self._waiting[nonce].discard(changed)
            if not self._waiting[nonce]:
                del self._waiting[nonce]

    def _wake(self, nonce: str) -> None:
        for changed in self._waiting.get(nonce, ()):
            changed.set()

    def _wake_all(self) -> None:
        for nonce in self._waiting:
            self._wake(nonce)
