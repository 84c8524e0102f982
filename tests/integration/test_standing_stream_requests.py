"""Input requests that a legacy server sends on its standing stream (GET) instead of within the call."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp.web
import pytest

from longshore.shared.ids import new_id
from tests.fixtures.gateway import Backing, connected, entry
from tests.fixtures.modern import Modern
from tests.fixtures.server_requests import ADA, FORM, PATIENCE_S, InputRequired, Tool, call, event, received
from tests.fixtures.upstreams import ScriptedUpstream, Seen

_POLICIES = ("per_principal", "per_call")


class _StandingStreamTool(Tool):
    """Tool whose server has one standing stream per session and sends its request there, before the call's result."""

    def install(self) -> None:
        self.standing: dict[str, aiohttp.web.StreamResponse] = {}
        self.upstream.on_get = self.hold_stream

    async def hold_stream(self, request: aiohttp.web.Request) -> aiohttp.web.StreamResponse:
        session = request.headers["Mcp-Session-Id"]
        if session in self.standing:
            return aiohttp.web.Response(status=409)
        response = self.standing[session] = aiohttp.web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        try:
            await response.prepare(request)
            await asyncio.Event().wait()
        finally:
            del self.standing[session]
        return response

    async def called(self, seen: Seen) -> aiohttp.web.StreamResponse:
        self.streams += 1
        try:
            session, request_id = seen.request.headers["Mcp-Session-Id"], f"{seen.message['id']}-aside"
            await self.standing[session].write(event({"jsonrpc": "2.0", "id": request_id, **FORM}))
            self.aside = await self.answer_to(request_id)
        finally:
            self.streams -= 1
        return await super().called(seen)


@pytest.fixture
async def aside(upstream: ScriptedUpstream) -> AsyncIterator[_StandingStreamTool]:
    tool = _StandingStreamTool(upstream, [])
    tool.install()
    yield tool
    async with asyncio.timeout(PATIENCE_S):
        while tool.standing:         # all are closed when no call runs
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("policy", _POLICIES)
async def test_a_request_on_the_standing_stream_goes_to_the_only_call(
    shared_backing: Backing, upstream: ScriptedUpstream, aside: _StandingStreamTool, policy: str
) -> None:
    workspace = new_id()
    config = shared_backing.config(entry(upstream.url, sessionless_clients=policy))
    async with connected(config, initialize=False) as client:
        required = [InputRequired.of(await call(Modern(client), workspace=workspace))]
        ended = [await call(Modern(client), required[0].answers(ADA), workspace=workspace)]
        required.append(InputRequired.of(await call(Modern(client), workspace=workspace)))
        ended.append(await call(Modern(client), required[1].answers(ADA), workspace=workspace))

    assert [one.methods for one in required] == [["elicitation/create"]] * 2
    assert aside.aside == ADA
    assert [received(one) for one in ended] == [[], []]


async def test_a_request_received_by_one_gateway_goes_to_the_only_call_at_another(
    shared_backing: Backing, upstream: ScriptedUpstream, aside: _StandingStreamTool
) -> None:
    """A server has one such stream per session, and any gateway may hold it."""
    workspace = new_id()
    config = shared_backing.config(entry(upstream.url))
    async with connected(config, initialize=False) as one, connected(config, initialize=False) as other:
        required = []
        for client in (one, other, one):
            required.append(InputRequired.of(await call(Modern(client), workspace=workspace)))
            await call(Modern(client), required[-1].answers(ADA), workspace=workspace)
            assert aside.aside == ADA

    assert [one.methods for one in required] == [["elicitation/create"]] * 3
    assert len({seen.request.headers["Mcp-Session-Id"] for seen in upstream.calls("tools/call")}) == 1


async def test_a_request_is_refused_where_several_calls_run(
    shared_backing: Backing, upstream: ScriptedUpstream, aside: _StandingStreamTool
) -> None:
    """It may belong to any of them, and a client must not get the input requests of another one."""
    workspace = new_id()
    async with connected(shared_backing.config(entry(upstream.url)), initialize=False) as client:
        modern = Modern(client)
        waiting = InputRequired.of(await call(modern, workspace=workspace))
        refused = await call(modern, workspace=workspace)
        code = aside.aside["code"]
        await call(modern, waiting.answers(ADA), workspace=workspace)

    assert code == -32601
    assert received(refused) == []
    assert aside.aside == ADA


async def test_a_call_to_a_server_without_a_standing_stream_succeeds(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    Tool(upstream, [[FORM]])
    workspace = new_id()
    async with connected(shared_backing.config(entry(upstream.url)), initialize=False) as client:
        required = InputRequired.of(await call(Modern(client), workspace=workspace))
        ended = await call(Modern(client), required.answers(ADA), workspace=workspace)

    assert received(ended) == [ADA]


async def test_a_request_whose_call_ends_first_gets_an_error(
    shared_backing: Backing, upstream: ScriptedUpstream, aside: _StandingStreamTool
) -> None:
    helped: dict[str, Any] = {}

    async def impatient(seen: Seen) -> aiohttp.web.StreamResponse:
        session = seen.request.headers["Mcp-Session-Id"]
        await aside.standing[session].write(event({"jsonrpc": "2.0", "id": "x", **FORM}))
        await asyncio.wait_for(suspended.wait(), PATIENCE_S)
        return await Tool.called(aside, seen)

    suspended = asyncio.Event()
    upstream.behaviours["tools/call"] = impatient
    workspace = new_id()
    async with connected(shared_backing.config(entry(upstream.url)), initialize=False) as client:
        required = InputRequired.of(await call(Modern(client), workspace=workspace))
        suspended.set()
        helped["answer"] = await aside.answer_to("x")
        ended = await call(Modern(client), required.answers(ADA), workspace=workspace)

    assert helped["answer"]["code"] == -32603
    assert received(ended) == []
