"""Mailboxes over a real Redis: one message each, from any gateway."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from redis import Redis

from longshore.shared.keys import Keys
from longshore.shared.messaging.mailboxes import Mailboxes
from longshore.shared.redis.address import RedisAddress
from longshore.shared.redis.connection import RedisLink
from longshore.shared.tasks import Tasks
from tests.fixtures.storage import RedisServer

_MINUTE_MS = 60_000
_KEYS = Keys("longshore")


@asynccontextmanager
async def process(address: RedisAddress) -> AsyncIterator[Mailboxes]:
    """The mailboxes of one more process."""
    tasks = Tasks()
    link = RedisLink(address, tasks)
    boxes = Mailboxes(address, link, _KEYS, tasks)
    yield boxes
    await boxes.close()
    await link.close()
    await tasks.close()


def _kept(server: RedisServer) -> list[bytes]:
    with Redis.from_url(server.url) as redis:
        return sorted(redis.keys("longshore:mailbox:*"))


def _left_ms(server: RedisServer, box_id: str) -> int:
    with Redis.from_url(server.url) as redis:
        return int(redis.pttl(_KEYS.mailbox("session", box_id)))


async def test_a_message_reaches_the_waiting_process(server: RedisServer) -> None:
    async with process(server.address) as here, process(server.address) as there:
        async with here.open("session", ttl_ms=_MINUTE_MS) as box, asyncio.timeout(10):
            taking = asyncio.gather(box.receive())
            delivered = await there.deliver("session", box.id, b'{"id":1}')
            [message] = await taking
            again = await there.deliver("session", box.id, b'{"id":2}')
        late = await there.deliver("session", box.id, b'{"id":3}')

    assert (message, delivered, again, late) == (b'{"id":1}', True, False, False)
    assert _kept(server) == []


async def test_of_many_concurrent_messages_one_is_delivered(server: RedisServer) -> None:
    async with (
        process(server.address) as here, process(server.address) as there,
        here.open("session", ttl_ms=_MINUTE_MS) as box, asyncio.timeout(10),
    ):
        delivered = await asyncio.gather(
            *((here, there)[n % 2].deliver("session", box.id, str(n).encode()) for n in range(20))
        )
        message = await box.receive()

    assert sum(delivered) == 1
    assert message == str(delivered.index(True)).encode()


async def test_a_mailbox_is_closed_to_other_owners_and_other_ids(server: RedisServer) -> None:
    async with process(server.address) as here, here.open("session", ttl_ms=_MINUTE_MS) as box:
        foreign = await here.deliver("another", box.id, b"1")
        unknown = await here.deliver("session", "y" * 22, b"1")
        own = await here.deliver("session", box.id, b"1")

    assert (foreign, unknown, own) == (False, False, True)


async def test_a_message_whose_wake_up_was_lost_is_found_by_polling(server: RedisServer) -> None:
    """The subscription was down when it arrived."""
    async with (
        process(server.address) as here, here.open("session", ttl_ms=_MINUTE_MS) as box, asyncio.timeout(20)
    ):
        with Redis.from_url(server.url) as redis:
            redis.hset(_KEYS.mailbox("session", box.id), "message", "quiet")
            redis.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        message = await box.receive()

    assert message == b"quiet"


async def test_a_mailbox_that_is_not_closed_expires(server: RedisServer) -> None:
    async with process(server.address) as here, here.open("session", ttl_ms=_MINUTE_MS) as box:
        left_ms = _left_ms(server, box.id)

    assert 0 < left_ms <= _MINUTE_MS
    assert here.count == 0
