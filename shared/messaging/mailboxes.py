"""Mailboxes: each takes one message from any gateway for a waiter in this process, and expires unless closed before.

The sender has to know the mailbox's owner and id.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from longshore.shared.errors import StoreDown
from longshore.shared.ids import new_id
from longshore.shared.keys import Keys
from longshore.shared.messaging.wakeups import Wakeups, await_wakeup
from longshore.shared.redis.address import RedisAddress
from longshore.shared.redis.connection import RedisLink
from longshore.shared.redis.scripts import Script
from longshore.shared.tasks import Tasks

_OPEN = Script("open_mailbox")
_DELIVER = Script("deliver_message")


class Mailbox:
    """Open mailbox of a waiter in this process."""

    def __init__(self, box_id: str, link: RedisLink, key: str, arrived: asyncio.Event) -> None:
        self.id = box_id
        self.arrived = arrived
        self._link = link
        self._key = key

    async def receive(self) -> bytes:
        """Wait for the message and return it. The caller sets the timeout; Redis may be away meanwhile."""
        while True:
            await await_wakeup(self.arrived)
            with suppress(StoreDown):
                if (message := await self._link.call("HGET", self._key, "message")) is not None:
                    return bytes(message)


class Mailboxes:
    """Open mailboxes of this process. It subscribes to Redis at the first use; `close` ends that."""

    def __init__(self, address: RedisAddress, link: RedisLink, keys: Keys, tasks: Tasks) -> None:
        self._link = link
        self._keys = keys
        self._process = new_id()
        self._wakeups = Wakeups(address, keys.mailbox_channel(self._process), tasks)

    @property
    def count(self) -> int:
        """Return the number of open mailboxes."""
        return self._wakeups.count

    @asynccontextmanager
    async def open(self, owner: str, *, ttl_ms: int) -> AsyncIterator[Mailbox]:
        """Open a new mailbox of `owner`, which is closed with the block. Raises StoreDown."""
        box_id = new_id()
        key = self._keys.mailbox(owner, box_id)
        async with self._wakeups.register(box_id) as arrived:
            try:
                await self._link.run(_OPEN, [key], [self._process, ttl_ms])
                yield Mailbox(box_id, self._link, key, arrived)
            finally:
                self._link.send_nowait("DEL", key)

    async def deliver(self, owner: str, box_id: str, message: bytes) -> bool:
        """Deliver a message; False if the mailbox is closed or has a message already. Raises StoreDown."""
        key = self._keys.mailbox(owner, box_id)
        return bool(await self._link.run(_DELIVER, [key], [message, self._keys.mailbox_channel(""), box_id]))

    async def close(self) -> None:
        """End the subscription."""
        await self._wakeups.close()
