"""Mailboxes: what waits in one process takes a message that reaches another one.

A mailbox takes one message, from whoever knows its owner and its id; it expires, should nobody close it.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from longshore.shared.errors import StoreDown
from longshore.shared.ids import new_id
from longshore.shared.keys import Keys
from longshore.shared.redis.address import RedisAddress
from longshore.shared.redis.connection import RedisLink
from longshore.shared.redis.scripts import Script, Scripts
from longshore.shared.redis.subscription import Subscription
from longshore.shared.tasks import Tasks

_OPEN = Script("open_mailbox")
_DELIVER = Script("deliver_mail")
_READY_S = 1.0
_POLL_EVERY_S = 5.0          # a word may be lost with its connection


class Mailbox:
    """An open mailbox, of the process that waits for its message."""

    def __init__(self, box_id: str, link: RedisLink, key: str) -> None:
        self.id = box_id
        self.arrived = asyncio.Event()
        self._link = link
        self._key = key

    async def receive(self) -> bytes:
        """The message, once it has come. How long to wait is the caller's to say; Redis may be away meanwhile."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_POLL_EVERY_S):
                    await self.arrived.wait()
            self.arrived.clear()
            with suppress(StoreDown):
                if (message := await self._link.call("HGET", self._key, "message")) is not None:
                    return bytes(message)


class Mailboxes:
    """The open mailboxes of this process. It listens from the first one on; `close` ends that."""

    def __init__(self, address: RedisAddress, link: RedisLink, keys: Keys, tasks: Tasks) -> None:
        self._address = address
        self._scripts = Scripts(link)
        self._link = link
        self._keys = keys
        self._tasks = tasks
        self._process = new_id()
        self._open: dict[str, Mailbox] = {}
        self._subscription: Subscription | None = None

    @property
    def count(self) -> int:
        """Mailboxes open here now."""
        return len(self._open)

    @asynccontextmanager
    async def open(self, owner: str, *, ttl_ms: int) -> AsyncIterator[Mailbox]:
        """A new mailbox of `owner`, closed with the block. Raises StoreDown."""
        _ = await self._listening().wait_ready(_READY_S)
        box_id = new_id()
        key = self._keys.mailbox(owner, box_id)
        box = self._open[box_id] = Mailbox(box_id, self._link, key)
        try:
            await self._scripts.run(_OPEN, [key], [self._process, ttl_ms])
            yield box
        finally:
            del self._open[box_id]
            self._link.send_nowait("DEL", key)

    async def deliver(self, owner: str, box_id: str, message: bytes) -> bool:
        """Whether the mailbox `box_id` of `owner` took the message: it is open, and this is its first."""
        key = self._keys.mailbox(owner, box_id)
        return bool(await self._scripts.run(_DELIVER, [key], [message, self._keys.wake_mail(""), box_id]))

    async def close(self) -> None:
        """Listen no more."""
        if self._subscription is not None:
            await self._subscription.close()

    def _listening(self) -> Subscription:
        if self._subscription is None:
            self._subscription = Subscription(
                self._address, [self._keys.wake_mail(self._process)], self._tasks,
                on_message=lambda box_id: self._wake(box_id.decode()), on_ready=self._wake_all,
            )
        return self._subscription

    def _wake(self, box_id: str) -> None:
        if (box := self._open.get(box_id)) is not None:
            box.arrived.set()

    def _wake_all(self) -> None:
        for box in self._open.values():
            box.arrived.set()
