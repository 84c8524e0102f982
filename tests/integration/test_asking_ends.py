"""Calls that wait for their clients end once, whoever is gone: nothing of them is left in this gateway, and nobody
listens for ever."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import msgspec
import pytest

from longshore.gateway.mcp.forwarding.cancellations import Cancellations
from longshore.gateway.mcp.input_requests import legacy_client, suspended_call
from longshore.gateway.mcp.input_requests.request_state import RequestState, verified
from longshore.gateway.mcp.input_requests.suspended_call import Request, Resumed, SuspendableCall
from longshore.gateway.mcp.input_requests.suspended_calls import SuspendedCalls
from longshore.gateway.mcp.sessions.end_watcher import SessionEndWatcher
from longshore.gateway.wire.server_requests import InputCapabilities
from longshore.shared.clock import now_ms
from longshore.shared.config import Sessions
from longshore.shared.crypto.sealed_tokens import Sealer
from longshore.shared.errors import CallLost, Cancelled
from longshore.shared.keys import Keys
from longshore.shared.messaging.mailboxes import Mailboxes
from longshore.shared.messaging.message_stream import MessageReceiver, MessageStream
from longshore.shared.messaging.pubsub import EventListener
from longshore.shared.redis.connection import RedisLink
from longshore.shared.redis.scripts import Scripts
from longshore.shared.state.sessions import Caller, SessionLimits, SessionStore
from longshore.shared.tasks import Tasks
from tests.fixtures.storage import RedisServer

_PATIENCE_S = 30.0
_KEYS = Keys("longshore")
_CALLER = Caller("scope", "server", "principal")
_BODY = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"ask"}}'
_QUESTION = b'{"jsonrpc":"2.0","id":%d,"method":"elicitation/create","params":{"message":"?"}}'
_SEALER = Sealer(["a secret that is long enough to seal with"], "asking")
_TAKES = InputCapabilities(form=True)


@dataclass
class Process:
    boxes: Mailboxes
    parcels: MessageStream
    parked: SuspendedCalls


@asynccontextmanager
async def _process(server: RedisServer, name: str) -> AsyncIterator[Process]:
    tasks = Tasks()
    link = RedisLink(server.address, tasks)
    boxes, parcels_of = Mailboxes(server.address, link, _KEYS, tasks), MessageStream(link, _KEYS, tasks, name)
    await link.call("HSET", _KEYS.session("scope"), "state", "live")
    hearing = EventListener(server.address, _KEYS, tasks, on_broadcast=lambda _: None)
    endings = SessionEndWatcher(hearing, SessionStore(Scripts(link), link, _KEYS, SessionLimits()), tasks)
    parked = SuspendedCalls(boxes, parcels_of, _SEALER, endings, tasks, Sessions(input_wait_seconds=600))
    yield Process(boxes, parcels_of, parked)
    await parked.close()
    await hearing.close()
    await boxes.close()
    await tasks.close()
    await link.close()


class _Asking:
    """A call whose server has asked, parked; and what the server was answered."""

    def __init__(self, *, quiet_s: float = 5.0) -> None:
        self.answered = asyncio.Event()
        self.call = SuspendableCall(Request(_CALLER, "tools/call", _BODY), _TAKES, self._reply, quiet_s=quiet_s)

    async def _reply(self, answer: bytes) -> None:
        self.answered.set()

    async def park(self, parked: SuspendedCalls) -> RequestState:
        assert self.call.ask(_QUESTION % 7) is None
        heard = await parked.hear(self.call)
        assert isinstance(heard, suspended_call.Ended)
        state = msgspec.json.decode(heard.body)["result"]["requestState"]
        return verified(_SEALER, state, _CALLER, self.call.digest, now_ms())

    async def answer(self, process: Process, state: RequestState, box: str = "") -> None:
        given = Resumed(_TAKES, None, {"1": b'{"action":"decline"}'}, box)
        assert await process.boxes.deliver("scope", state.box, msgspec.msgpack.encode(given))
        async with asyncio.timeout(_PATIENCE_S):
            await self.answered.wait()
            await asyncio.sleep(0)


async def test_calls_that_were_answered_are_given_up_with_all_others(server: RedisServer) -> None:
    async with _process(server, "first") as process:
        asking = [_Asking(), _Asking()]
        for one in asking:
            await one.answer(process, await one.park(process.parked))
        async with asyncio.timeout(_PATIENCE_S):
            while process.parked.count or process.boxes.count:
                await asyncio.sleep(0.01)

        await process.parked.close()

        assert [one.call.is_over for one in asking] == [True, True]
        assert process.parked.known_count == 0


async def test_a_call_that_says_nothing_ends_when_its_listener_elsewhere_is_gone(server: RedisServer) -> None:
    async with _process(server, "holder") as holder, _process(server, "listener") as listener:
        asking = _Asking(quiet_s=0.05)
        state = await asking.park(holder.parked)
        async with listener.boxes.open("scope", ttl_ms=60_000) as box:
            await asking.answer(holder, state, box.id)
            incoming = listener.parcels.receiver("scope", box, "holder")
            async with asyncio.timeout(_PATIENCE_S):
                while await incoming.next() is None:     # it says that it is there
                    continue
            assert not asking.call.is_over

        async with asyncio.timeout(_PATIENCE_S):
            while not asking.call.is_over:
                await asyncio.sleep(0.01)

        assert holder.parked.known_count == 0


async def test_a_listener_does_not_wait_for_ever_for_a_gateway_that_gave_its_call_up(server: RedisServer) -> None:
    """And lives, so that nothing else tells."""
    async with _process(server, "lives") as holder, _process(server, "listens") as listener:
        await holder.parcels.start_heartbeat()
        async with listener.boxes.open("scope", ttl_ms=60_000) as box:
            incoming = listener.parcels.receiver("scope", box, "lives", poll_every_s=0.05, max_silence_s=0.2)
            with pytest.raises(CallLost):
                await asyncio.wait_for(_all_of(incoming), _PATIENCE_S)


async def _all_of(incoming: MessageReceiver) -> None:
    while True:
        assert await incoming.next() is None


def test_a_server_cannot_leave_any_number_of_questions_open() -> None:
    call = _Asking().call
    refused = [call.ask(_QUESTION % number) for number in range(100)]

    assert refused[:32] == [None] * 32
    assert all(one is not None and b"too many requests" in one for one in refused[32:])


async def test_a_cancellation_that_comes_twice_ends_the_wait_once() -> None:
    """The second one while the first is at work: an error there would end what this gateway hears of all others."""
    cancellations, failed, waits = Cancellations(), list[BaseException](), list[legacy_client.ClientWait]()

    def again() -> None:
        try:
            cancellations.cancel("session", 1)
        except RuntimeError as err:
            failed.append(err)

    async def waits_for_its_client() -> None:
        async with asyncio.timeout(None) as limit:
            waits.append(legacy_client.ClientWait(limit))
            cancellations.begin("session", 1, waits[0])
            cancellations.cancel("session", 1)
            asyncio.get_running_loop().call_soon(again)
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        await waits_for_its_client()

    assert failed == []
    assert isinstance(waits[0].failure, Cancelled)
