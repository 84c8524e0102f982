"""Message streams from a call in one gateway to a receiver in another, over a real Redis."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from redis import Redis

from longshore.shared.errors import CallLost
from longshore.shared.keys import Keys
from longshore.shared.messaging.mailboxes import Mailboxes
from longshore.shared.messaging.message_stream import MessageReceiver, MessageStream
from longshore.shared.redis.connection import RedisLink
from longshore.shared.tasks import Tasks
from tests.fixtures.storage import RedisServer

_KEYS = Keys("longshore")
_PATIENCE_S = 30.0


@dataclass
class Process:
    boxes: Mailboxes
    message_stream: MessageStream


@asynccontextmanager
async def process(server: RedisServer, name: str) -> AsyncIterator[Process]:
    tasks = Tasks()
    link = RedisLink(server.address, tasks)
    made = Process(Mailboxes(server.address, link, _KEYS, tasks), MessageStream(link, _KEYS, tasks, name))
    yield made
    made.message_stream.close()
    await made.boxes.close()
    await tasks.close()
    await link.close()


async def _next(incoming: MessageReceiver) -> bytes:
    async with asyncio.timeout(_PATIENCE_S):
        while (message := await incoming.next()) is None:
            continue
    return message


async def test_messages_of_any_length_arrive_whole_and_in_order(server: RedisServer) -> None:
    """Longer than all frames that fit into Redis, so that the sender has to wait."""
    sent = [b"", b"short", bytes(range(256)) * 48_000, b"last"]
    async with process(server, "sender") as sender, process(server, "listener") as listener:
        await sender.message_stream.start_heartbeat()
        async with listener.boxes.open("scope", ttl_ms=60_000) as box:
            incoming = listener.message_stream.receiver("scope", box, "sender")

            async def push() -> list[bool]:
                return [await sender.message_stream.send("scope", box.id, message) for message in sent]

            pushed, *came = await asyncio.gather(push(), *[_in_turn(incoming, len(sent))])

    assert pushed == [True] * len(sent)
    assert came == [sent]


async def _in_turn(incoming: MessageReceiver, count: int) -> list[bytes]:
    return [await _next(incoming) for _ in range(count)]


async def test_racing_senders_never_exceed_the_bound(server: RedisServer) -> None:
    """Twenty of them send five frames each to a receiver that takes nothing: 32 frames are stored, and no more."""
    most: list[int] = []
    async with (
        process(server, "sender") as sender, process(server, "listener") as listener,
        listener.boxes.open("scope", ttl_ms=60_000) as box, asyncio.TaskGroup() as group,
    ):
        sending = [group.create_task(_five(sender, box.id)) for _ in range(20)]
        with Redis.from_url(server.url) as redis:
            async with asyncio.timeout(_PATIENCE_S):
                while redis.llen(_KEYS.stream_frames(box.id)) < 32:
                    await asyncio.sleep(0.01)
            for _ in range(50):
                most.append(redis.llen(_KEYS.stream_frames(box.id)))
                await asyncio.sleep(0)
        for one in sending:
            one.cancel()

    assert set(most) == {32}


async def _five(sender: Process, box_id: str) -> None:
    for _ in range(5):
        await sender.message_stream.send("scope", box_id, b"x")


async def test_a_sender_learns_that_the_receiver_is_gone(server: RedisServer) -> None:
    async with process(server, "sender") as sender, process(server, "listener") as listener:
        async with listener.boxes.open("scope", ttl_ms=60_000) as box:
            heard = await sender.message_stream.send("scope", box.id, b"x")
        async with asyncio.timeout(_PATIENCE_S):     # nobody waits for its mailbox to be gone
            while await sender.message_stream.send("scope", box.id, b"x"):
                await asyncio.sleep(0.01)

    assert heard


async def test_a_receiver_gets_the_last_messages_of_a_sender_that_died(server: RedisServer) -> None:
    async with process(server, "listener") as listener, listener.boxes.open("scope", ttl_ms=60_000) as box:
        incoming = listener.message_stream.receiver("scope", box, "sender")
        async with process(server, "sender") as sender:
            await sender.message_stream.start_heartbeat()
            alive = await listener.message_stream.is_alive("sender")
            quiet = await incoming.next()
            await sender.message_stream.send("scope", box.id, b"farewell")
        said = await _next(incoming)
        with pytest.raises(CallLost):
            await _next(incoming)
        dead = await listener.message_stream.is_alive("sender")

    assert (alive, quiet, said, dead) == (True, None, b"farewell", False)
