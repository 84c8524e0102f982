"""Servers that ask on their session's standing stream instead of within the call that they ask for."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp.web
import pytest

from longshore.shared.ids import new_id
from tests.fixtures.gateway import Backing, connected, entry
from tests.fixtures.modern import Modern
from tests.fixtures.server_requests import ADA, FORM, PATIENCE_S, Asked, Tool, call, event, said
from tests.fixtures.upstreams import ScriptedUpstream, Seen

_POLICIES = ("per_principal", "per_call")


class _Aside(Tool):
    """Has one standing stream a session and asks there, before anything within the call's own answer."""

    def install(self) -> None:
        self.standing: dict[str, aiohttp.web.StreamResponse] = {}
        self.upstream.on_get = self.stand

    async def stand(self, request: aiohttp.web.Request) -> aiohttp.web.StreamResponse:
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
            session, asked = seen.request.headers["Mcp-Session-Id"], f"{seen.message['id']}-aside"
            await self.standing[session].write(event({"jsonrpc": "2.0", "id": asked, **FORM}))
            self.aside = await self.answer_to(asked)
        finally:
            self.streams -= 1
        return await super().called(seen)


@pytest.fixture
async def aside(upstream: ScriptedUpstream) -> AsyncIterator[_Aside]:
    tool = _Aside(upstream, [])
    tool.install()
    yield tool
    async with asyncio.timeout(PATIENCE_S):
        while tool.standing:         # none is left open when no call runs
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("policy", _POLICIES)
async def test_what_is_asked_there_is_asked_of_the_one_call_that_runs(
    shared_backing: Backing, upstream: ScriptedUpstream, aside: _Aside, policy: str
) -> None:
    workspace = new_id()
    config = shared_backing.config(entry(upstream.url, sessionless_clients=policy))
    async with connected(config, initialize=False) as client:
        asked = [Asked.by(await call(Modern(client), workspace=workspace))]
        ended = [await call(Modern(client), asked[0].answers(ADA), workspace=workspace)]
        asked.append(Asked.by(await call(Modern(client), workspace=workspace)))
        ended.append(await call(Modern(client), asked[1].answers(ADA), workspace=workspace))

    assert [one.methods for one in asked] == [["elicitation/create"]] * 2
    assert aside.aside == ADA
    assert [said(one) for one in ended] == [[], []]


async def test_what_one_gateway_hears_is_asked_of_the_call_that_runs_in_another(
    shared_backing: Backing, upstream: ScriptedUpstream, aside: _Aside
) -> None:
    """A server gives one such stream a session: whichever gateway has it, the other one's calls are asked."""
    workspace = new_id()
    config = shared_backing.config(entry(upstream.url))
    async with connected(config, initialize=False) as one, connected(config, initialize=False) as other:
        asked = []
        for client in (one, other, one):
            asked.append(Asked.by(await call(Modern(client), workspace=workspace)))
            await call(Modern(client), asked[-1].answers(ADA), workspace=workspace)
            assert aside.aside == ADA

    assert [one.methods for one in asked] == [["elicitation/create"]] * 3
    assert len({seen.request.headers["Mcp-Session-Id"] for seen in upstream.calls("tools/call")}) == 1


async def test_it_is_asked_of_nobody_where_several_calls_run(
    shared_backing: Backing, upstream: ScriptedUpstream, aside: _Aside
) -> None:
    """Nothing says which of them it is for, and one client must not be asked what another one is to answer."""
    workspace = new_id()
    async with connected(shared_backing.config(entry(upstream.url)), initialize=False) as client:
        modern = Modern(client)
        waiting = Asked.by(await call(modern, workspace=workspace))
        refused = await call(modern, workspace=workspace)
        code = aside.aside["code"]
        await call(modern, waiting.answers(ADA), workspace=workspace)

    assert code == -32601
    assert said(refused) == []
    assert aside.aside == ADA


async def test_a_server_without_such_a_stream_is_called_all_the_same(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    Tool(upstream, [[FORM]])
    workspace = new_id()
    async with connected(shared_backing.config(entry(upstream.url)), initialize=False) as client:
        asked = Asked.by(await call(Modern(client), workspace=workspace))
        ended = await call(Modern(client), asked.answers(ADA), workspace=workspace)

    assert said(ended) == [ADA]


async def test_a_question_whose_call_ends_before_its_answer_is_answered_with_an_error(
    shared_backing: Backing, upstream: ScriptedUpstream, aside: _Aside
) -> None:
    helped: dict[str, Any] = {}

    async def impatient(seen: Seen) -> aiohttp.web.StreamResponse:
        session = seen.request.headers["Mcp-Session-Id"]
        await aside.standing[session].write(event({"jsonrpc": "2.0", "id": "x", **FORM}))
        await asyncio.wait_for(parked.wait(), PATIENCE_S)
        return await Tool.called(aside, seen)

    parked = asyncio.Event()
    upstream.behaviours["tools/call"] = impatient
    workspace = new_id()
    async with connected(shared_backing.config(entry(upstream.url)), initialize=False) as client:
        asked = Asked.by(await call(Modern(client), workspace=workspace))
        parked.set()
        helped["answer"] = await aside.answer_to("x")
        ended = await call(Modern(client), asked.answers(ADA), workspace=workspace)

    assert helped["answer"]["code"] == -32603
    assert said(ended) == []
