"""Cancelled calls of sessions in front of a server of the modern revision: wherever the cancellation comes in, and
whenever."""

import asyncio
from contextlib import suppress
from typing import Any

import pytest
from aiohttp import web

from longshore.gateway.upstream.client import UpstreamClient
from longshore.shared.config import Server, Upstream
from longshore.shared.errors import Cancelled
from tests.fixtures.change_streams import WITHIN_S, without_sessions
from tests.fixtures.gateway import Answer, Backing, Client, connected, entry, gateway
from tests.fixtures.upstreams import ScriptedUpstream, Seen, result

_CALL = {"jsonrpc": "2.0", "method": "tools/call", "params": {"name": "echo"}}


def _cancel(message_id: str | int) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": message_id}}


@pytest.fixture
def waiting(upstream: ScriptedUpstream) -> "asyncio.Queue[str]":
    """A server whose calls wait until they are left; what they were about to say is put here when they are."""
    left = asyncio.Queue[str]()
    without_sessions(upstream)

    async def waits(seen: Seen) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(seen.request)
        try:
            await asyncio.Event().wait()
        finally:
            left.put_nowait(str(seen.message["id"]))
        return response

    upstream.behaviours["tools/call"] = waits
    return left


async def _until(upstream: ScriptedUpstream, calls: int) -> None:
    async with asyncio.timeout(WITHIN_S):
        while len(upstream.calls("tools/call")) < calls:
            await asyncio.sleep(0.01)


async def test_a_call_is_cancelled_through_another_gateway(
    shared_backing: Backing, upstream: ScriptedUpstream, waiting: "asyncio.Queue[str]"
) -> None:
    """And that of another session with the same id goes on."""
    config = shared_backing.config(entry(upstream.url))
    async with connected(config) as client, gateway(config) as second, asyncio.timeout(WITHIN_S):
        other = Client(client.http, client.base, client.mount)
        await other.initialize()
        there = Client(client.http, second, client.mount, client.session_id)

        async def give_up() -> tuple[str, bool]:
            await _until(upstream, 2)
            await there.post(_cancel(7))
            first = await waiting.get()
            is_alone = waiting.empty()
            await other.post(_cancel(7))
            return first, is_alone

        ended, others, (left, is_alone) = await asyncio.gather(
            client.post({**_CALL, "id": 7}), other.post({**_CALL, "id": 7}), give_up()
        )

    assert (ended.reason, others.reason) == ("cancelled", "cancelled")
    assert (left, is_alone) == ("7", True)


async def test_a_cancellation_that_overtakes_its_call_holds(
    shared_backing: Backing, upstream: ScriptedUpstream, waiting: "asyncio.Queue[str]"
) -> None:
    """At whichever gateway the call comes in, also when that hears of it only then; the next call is not touched."""
    config = shared_backing.config(entry(upstream.url))
    async with connected(config) as client, gateway(config) as second, asyncio.timeout(WITHIN_S):
        answers: list[Answer] = []
        for number, base in enumerate((client.base, second)):
            assert (await client.post(_cancel(f"early-{number}"))).status == 202
            there = Client(client.http, base, client.mount, client.session_id)
            answers.append(await there.post({**_CALL, "id": f"early-{number}"}))
        upstream.behaviours["tools/call"] = _completes
        after = await client.call("echo")

    assert [answer.reason for answer in answers] == ["cancelled"] * 2
    assert after["content"] == []


async def _completes(seen: Seen) -> dict[str, Any]:
    return result(seen, {"resultType": "complete", "content": []})


async def test_a_call_whose_connection_is_not_open_yet_ends_at_once_and_leaves_its_place() -> None:
    """One that never gets through, and one that has not begun."""

    left = asyncio.Event()

    async def says_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            await reader.read()  # for TLS, it should say something
            writer.close()
            await writer.wait_closed()
        left.set()

    server = await asyncio.start_server(says_nothing, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    upstream = Upstream(url=f"https://127.0.0.1:{port}/", insecure_tls=True)
    client = UpstreamClient(Server(id="raw", mount_path="/raw", upstream=upstream))
    ends: list[str] = []
    async with asyncio.timeout(WITHIN_S):
        for fail_first in (True, False):
            exchange = client.exchange("POST", {}, b"{}", timeout_s=60)
            if fail_first:
                exchange.fail(Cancelled("enough"))
            else:
                asyncio.get_running_loop().call_later(0.05, exchange.fail, Cancelled("enough"))
            with pytest.raises(Cancelled) as raised:
                await exchange.__aenter__()
            ends.append(str(raised.value))
        await left.wait()
    await client.close()
    server.close()
    await server.wait_closed()

    assert ends == ["enough", "enough"]
