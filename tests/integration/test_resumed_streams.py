"""Streams of legacy servers that end before their response, in front of clients that do not resume them."""

import asyncio
from collections.abc import Callable
from typing import Any

import aiohttp.web
import msgspec
import pytest

from longshore.shared.ids import new_id
from tests.fixtures.gateway import Backing, connected, entry
from tests.fixtures.modern import Modern
from tests.fixtures.server_requests import ADA, CAPABILITIES, FORM, InputRequired, call, received
from tests.fixtures.upstreams import ScriptedUpstream, Seen, result

_PROGRESS = {"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": 1, "progress": 1}}


class _Polled:
    """Says a little and lets go of the stream, or breaks it, again and again; the rest is there for who asks."""

    def __init__(self, upstream: ScriptedUpstream, *, breaks: bool, polls: int = 3) -> None:
        self.breaks = breaks
        self.polls = polls
        self.asked_again: list[str] = []
        self.refusals: list[int] = []
        self.let_go_s = self.asked_s = 0.0
        self.answers: list[Any] = []
        self._upstream = upstream
        self._question = ""
        upstream.behaviours |= {"tools/call": self.called, "": self.answered}
        upstream.on_get = self.polled

    async def called(self, seen: Seen) -> aiohttp.web.StreamResponse:
        self._question = f"{seen.message['id']}-asked"
        part = await self._part(seen.request, b"id: e0\nretry: 300\ndata: \n\n", _event("e1", _PROGRESS))
        self.let_go_s = asyncio.get_running_loop().time()
        return part

    async def polled(self, request: aiohttp.web.Request) -> aiohttp.web.StreamResponse:
        """The events after the one named: a question in the middle, the response at the end."""
        if (last := request.headers.get("Last-Event-ID")) is None:
            return aiohttp.web.Response(status=405)
        self.asked_s = self.asked_s or asyncio.get_running_loop().time()
        if self.refusals:
            return aiohttp.web.Response(status=self.refusals.pop(0))
        self.asked_again.append(last)
        number = int(last[1:]) + 1
        if number < self.polls:
            return await self._part(request, _event(f"e{number}", {**FORM, "jsonrpc": "2.0", "id": self._question}))
        seen = self._upstream.last("tools/call")
        content = [{"type": "text", "text": msgspec.json.encode(self.answers).decode()}]
        return await self._part(request, _event(f"e{number}", result(seen, {"content": content})), is_last=True)

    async def answered(self, seen: Seen) -> None:
        self.answers.append(seen.message.get("result", {"refused": seen.message.get("error", {}).get("code")}))

    async def _part(
        self, request: aiohttp.web.Request, *events: bytes, is_last: bool = False
    ) -> aiohttp.web.StreamResponse:
        response = aiohttp.web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for one in events:
            await response.write(one)
        if self.breaks and not is_last and request.transport is not None:
            await response.write(b"id: half\ndata: {")      # and never the rest
            request.transport.close()
        else:
            await response.write_eof()
        return response


def _event(event_id: str, message: dict[str, Any]) -> bytes:
    return f"id: {event_id}\ndata: {msgspec.json.encode(message).decode()}\n\n".encode()


@pytest.mark.parametrize("breaks", [False, True])
async def test_a_call_goes_on_where_its_stream_ended(
    shared_backing: Backing, upstream: ScriptedUpstream, breaks: bool
) -> None:
    """The server's questions in between are refused: this client takes none."""
    polled = _Polled(upstream, breaks=breaks)
    async with connected(shared_backing.config(entry(upstream.url)), initialize=False) as client:
        answer = await call(Modern(client), workspace=new_id(), meta={CAPABILITIES: {}, "progressToken": 1})

    assert polled.asked_again == ["e1", "e2"]
    assert received(answer) == [{"refused": -32601}]
    assert answer.body.count(b"notifications/progress") == 1
    assert b"half" not in answer.body


async def test_a_call_that_waits_for_its_client_outlives_its_stream(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    polled = _Polled(upstream, breaks=True)
    workspace = new_id()
    async with connected(shared_backing.config(entry(upstream.url)), initialize=False) as client:
        asked = InputRequired.of(await call(Modern(client), workspace=workspace, meta={"progressToken": 1}))
        ended = await call(Modern(client), asked.answers(ADA), workspace=workspace)

    assert polled.asked_again == ["e1", "e2"]
    assert received(ended) in ([ADA], [])    # the server says the end as soon as it is asked, answered or not


async def test_a_stream_that_is_not_free_yet_is_asked_for_again(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    polled = _Polled(upstream, breaks=False, polls=2)
    polled.refusals = [409, 503]
    async with connected(shared_backing.config(entry(upstream.url)), initialize=False) as client:
        answer = await call(Modern(client), workspace=new_id(), meta={CAPABILITIES: {}, "progressToken": 1})

    assert polled.asked_again == ["e1"]
    assert received(answer) == []


async def _without_ids(seen: Seen) -> aiohttp.web.StreamResponse:
    response = aiohttp.web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(seen.request)
    await response.write(b"data: " + msgspec.json.encode(_PROGRESS) + b"\n\n")
    await response.write_eof()
    return response


def _refused(upstream: ScriptedUpstream) -> Any:
    polled = _Polled(upstream, breaks=False)
    polled.refusals = [404]
    return polled.called


@pytest.mark.parametrize("behaviour", [lambda upstream: _without_ids, _refused])
@pytest.mark.parametrize("meta", [{CAPABILITIES: {}}, {}])
async def test_a_stream_that_cannot_be_gone_on_with_is_an_error(
    shared_backing: Backing, upstream: ScriptedUpstream, behaviour: Callable[[ScriptedUpstream], Any],
    meta: dict[str, Any],
) -> None:
    upstream.behaviours["tools/call"] = behaviour(upstream)
    async with connected(shared_backing.config(entry(upstream.url)), initialize=False) as client:
        answer = await call(Modern(client), workspace=new_id(), meta={"progressToken": 1, **meta})

    assert answer.reason == "upstream_unavailable"


async def test_asking_again_ends_with_the_time_of_the_call(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    _Polled(upstream, breaks=False, polls=1_000)
    config = shared_backing.config(entry(upstream.url, tool_defaults={"tool_call_timeout_seconds": 1}))
    async with connected(config, initialize=False) as client:
        answer = await call(Modern(client), workspace=new_id(), meta={CAPABILITIES: {}, "progressToken": 1})
        await upstream.until("notifications/cancelled")

    assert answer.reason == "upstream_timeout"


@pytest.mark.requirement("legacy.retry")
async def test_a_stream_is_asked_for_no_sooner_than_its_server_says(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    polled = _Polled(upstream, breaks=False)
    async with connected(shared_backing.config(entry(upstream.url)), initialize=False) as client:
        await call(Modern(client), workspace=new_id(), meta={CAPABILITIES: {}, "progressToken": 1})

    assert polled.asked_s - polled.let_go_s > 0.25


async def test_a_session_resumes_its_streams_itself(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
    polled = _Polled(upstream, breaks=False)
    async with connected(shared_backing.config(entry(upstream.url))) as client:
        answer = await client.request("tools/call", {"name": "echo"})

    assert answer.body.endswith(_event("e1", _PROGRESS))
    assert polled.asked_again == []
