"""Ends of suspended calls: each ends once, leaves nothing in its gateway, and no client request waits for ever."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import msgspec
import pytest

from longshore.gateway.mcp.forwarding.cancellations import Cancellations
from longshore.gateway.mcp.input_requests import legacy_client
from longshore.gateway.mcp.input_requests.request_state import RequestState, unseal
from longshore.gateway.mcp.input_requests.suspended_call import Finished, OriginalRequest, Resumption, SuspendableCall
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
from longshore.shared.state.sessions import Caller, SessionLimits, SessionStore
from longshore.shared.tasks import Tasks
from tests.fixtures.storage import RedisServer

_PATIENCE_S = 30.0
_KEYS = Keys("longshore")
_CALLER = Caller("scope", "server", "principal")
_BODY = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"ask"}}'
_REQUEST = b'{"jsonrpc":"2.0","id":%d,"method":"elicitation/create","params":{"message":"?"}}'
_SEALER = Sealer(["a secret that is long enough to seal with"], "asking")
_DECLARED = InputCapabilities(form=True)


@dataclass
class Process:
    boxes: Mailboxes
    message_stream: MessageStream
    calls: SuspendedCalls


@asynccontextmanager
async def _process(server: RedisServer, name: str) -> AsyncIterator[Process]:
    tasks = Tasks()
    link = RedisLink(server.address, tasks)
    boxes, message_stream = Mailboxes(server.address, link, _KEYS, tasks), MessageStream(link, _KEYS, tasks, name)
    await link.call("HSET", _KEYS.session("scope"), "state", "live")
    events = EventListener(server.address, _KEYS, tasks, on_broadcast=lambda _: None)
    ends = SessionEndWatcher(events, SessionStore(link, _KEYS, SessionLimits()), tasks)
    calls = SuspendedCalls(boxes, message_stream, _SEALER, ends, tasks, Sessions(input_wait_seconds=600))
    yield Process(boxes, message_stream, calls)
    await calls.close()
    await events.close()
    await boxes.close()
    await tasks.close()
    await link.close()


class _Call:
    """A call whose server has requested input, and the response that it got."""

    def __init__(self, *, keep_alive_s: float = 5.0) -> None:
        self.responded = asyncio.Event()
        request = OriginalRequest(_CALLER, "tools/call", _BODY)
        self.call = SuspendableCall(request, _DECLARED, self._respond, keep_alive_s=keep_alive_s)

    async def _respond(self, response: bytes) -> None:
        self.responded.set()

    async def suspend(self, calls: SuspendedCalls) -> RequestState:
        assert self.call.request_input(_REQUEST % 7) is None
        output = await calls.next_output(self.call)
        assert isinstance(output, Finished)
        state = msgspec.json.decode(output.body)["result"]["requestState"]
        return unseal(_SEALER, state, _CALLER, self.call.digest, now_ms())

    async def resume(self, process: Process, state: RequestState, output_box: str = "") -> None:
        resumption = Resumption(_DECLARED, None, {"1": b'{"action":"decline"}'}, output_box)
        assert await process.boxes.deliver("scope", state.box, msgspec.msgpack.encode(resumption))
        async with asyncio.timeout(_PATIENCE_S):
            await self.responded.wait()
            await asyncio.sleep(0)


async def test_closing_cancels_calls_that_were_resumed_too(server: RedisServer) -> None:
    async with _process(server, "first") as process:
        calls = [_Call(), _Call()]
        for call in calls:
            await call.resume(process, await call.suspend(process.calls))
        async with asyncio.timeout(_PATIENCE_S):
            while process.calls.count or process.boxes.count:
                await asyncio.sleep(0.01)

        await process.calls.close()

        assert [call.call.is_over for call in calls] == [True, True]
        assert process.calls.known_count == 0


async def test_a_relayed_call_without_output_ends_when_its_client_at_the_other_gateway_is_gone(
    server: RedisServer,
) -> None:
    async with _process(server, "sender") as sender, _process(server, "receiver") as receiver:
        call = _Call(keep_alive_s=0.05)
        state = await call.suspend(sender.calls)
        async with receiver.boxes.open("scope", ttl_ms=60_000) as box:
            await call.resume(sender, state, box.id)
            output = receiver.message_stream.receiver("scope", box, "sender")
            async with asyncio.timeout(_PATIENCE_S):
                while await output.next() is None:     # until a keep-alive comes
                    continue
            assert not call.call.is_over

        async with asyncio.timeout(_PATIENCE_S):
            while not call.call.is_over:
                await asyncio.sleep(0.01)

        assert sender.calls.known_count == 0


async def test_a_receiver_does_not_wait_for_ever_for_a_live_gateway_that_sends_nothing(server: RedisServer) -> None:
    async with _process(server, "sender") as sender, _process(server, "receiver") as receiver:
        await sender.message_stream.start_heartbeat()
        async with receiver.boxes.open("scope", ttl_ms=60_000) as box:
            output = receiver.message_stream.receiver(
                "scope", box, "sender", poll_every_s=0.05, max_silence_s=0.2
            )
            with pytest.raises(CallLost):
                await asyncio.wait_for(_receive_all(output), _PATIENCE_S)


async def _receive_all(output: MessageReceiver) -> None:
    while True:
        assert await output.next() is None


def test_a_server_has_32_open_requests_at_most() -> None:
    call = _Call().call
    responses = [call.request_input(_REQUEST % number) for number in range(100)]

    assert responses[:32] == [None] * 32
    assert all(response is not None and b"too many requests" in response for response in responses[32:])


async def test_a_second_cancellation_does_not_fail_while_the_first_ends_the_wait() -> None:
    """A failure there would end the gateway's subscription to cancellations."""
    cancellations, failed, waits = Cancellations(), list[BaseException](), list[legacy_client.InputTimeout]()

    def cancel_again() -> None:
        try:
            cancellations.cancel("session", 1)
        except RuntimeError as err:
            failed.append(err)

    async def wait_for_client() -> None:
        async with asyncio.timeout(None) as timeout:
            waits.append(legacy_client.InputTimeout(timeout))
            cancellations.register("session", 1, waits[0])
            cancellations.cancel("session", 1)
            asyncio.get_running_loop().call_soon(cancel_again)
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        await wait_for_client()

    assert failed == []
    assert isinstance(waits[0].failure, Cancelled)
