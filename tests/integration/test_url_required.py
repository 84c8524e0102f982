"""Legacy servers that require a page to be opened first (-32042), for modern clients."""

from typing import Any

import msgspec
import pytest
from aiohttp import web

from tests.fixtures.gateway import Backing, connected, entry
from tests.fixtures.modern import Modern
from tests.fixtures.upstreams import ScriptedUpstream, Seen, result, stream

_CAPABILITIES = "io.modelcontextprotocol/clientCapabilities"
_BY_URL: dict[str, Any] = {_CAPABILITIES: {"elicitation": {"form": {}, "url": {}}}}
_PAGE = {"mode": "url", "elicitationId": "e1", "url": "https://a.example/x", "message": "log in"}
_ASKED = {"url e1": {"method": "elicitation/create", "params": {
    "mode": "url", "url": "https://a.example/x", "message": "log in",
}}}
_CALL = {"name": "echo", "arguments": {"a": 1}}


class Closed:
    """Requires the page first, as JSON or on a stream."""

    def __init__(self, upstream: ScriptedUpstream, *, method: str = "tools/call", as_stream: bool = False) -> None:
        self.is_open = False
        self._as_stream = as_stream
        upstream.behaviours[method] = self._behave

    async def _behave(self, seen: Seen) -> web.StreamResponse | dict[str, Any]:
        if self.is_open:
            return result(seen, {"content": [], "messages": [], "contents": []})
        error = {"code": -32042, "message": "no", "data": {"elicitations": [_PAGE]}}
        answer = {"jsonrpc": "2.0", "id": seen.message["id"], "error": error}
        return await stream(seen, b"data: " + msgspec.json.encode(answer) + b"\n\n") if self._as_stream else answer


@pytest.mark.parametrize("as_stream", [False, True])
@pytest.mark.parametrize(("method", "params"), [
    ("tools/call", _CALL), ("prompts/get", {"name": "ask"}), ("resources/read", {"uri": "sea://chart"}),
])
async def test_the_client_opens_the_page_and_retries_the_call(
    shared_backing: Backing, upstream: ScriptedUpstream, method: str, params: dict[str, Any], as_stream: bool
) -> None:
    """The server gets the same request twice, without input responses: the page has informed it."""
    closed = Closed(upstream, method=method, as_stream=as_stream)
    async with connected(shared_backing.config(entry(upstream.url)), initialize=False) as client:
        asked = await Modern(client).request(method, params, meta=_BY_URL)
        closed.is_open = True
        given = {"inputResponses": {"url e1": {"action": "accept"}}}
        answer = await Modern(client).request(method, {**params, **given}, meta=_BY_URL)

    assert asked.message["result"] == {"resultType": "input_required", "inputRequests": _ASKED}
    assert answer.message["result"]["resultType"] == "complete"
    first, second = upstream.calls(method)
    assert first.params == second.params == params


async def test_a_user_who_declines_is_not_asked_again(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    Closed(upstream)
    given = {"inputResponses": {"url e1": {"action": "decline"}}}
    async with connected(shared_backing.config(entry(upstream.url)), initialize=False) as client:
        await Modern(client).request("tools/call", _CALL, meta=_BY_URL)
        answer = await Modern(client).request("tools/call", {**_CALL, **given}, meta=_BY_URL)

    assert answer.message["result"]["isError"] is True
    assert "did not agree" in answer.message["result"]["content"][0]["text"]
    assert len(upstream.calls("tools/call")) == 1


@pytest.mark.parametrize("capabilities", [{}, {"elicitation": {}}, {"sampling": {}}])
@pytest.mark.parametrize("as_stream", [False, True])
async def test_a_client_that_opens_no_pages_gets_a_missing_capability_error(
    shared_backing: Backing, upstream: ScriptedUpstream, capabilities: dict[str, Any], as_stream: bool
) -> None:
    """Modern clients do not know the legacy error. The HTTP status is 200 if the head of a stream was sent before."""
    Closed(upstream, as_stream=as_stream)
    async with connected(shared_backing.config(entry(upstream.url)), initialize=False) as client:
        answer = await Modern(client).request("tools/call", _CALL, meta={_CAPABILITIES: capabilities})

    assert answer.message["error"]["code"] == -32021
    assert answer.message["error"]["data"]["requiredCapabilities"] == {"elicitation": {"url": {}}}
    assert answer.status in ({200, 400} if as_stream else {400})


async def test_a_client_with_a_session_gets_the_servers_own_error(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    """The client's revision defines it."""
    Closed(upstream)
    async with connected(shared_backing.config(entry(upstream.url))) as client:
        answer = await client.request("tools/call", _CALL)

    assert answer.message["error"] == {"code": -32042, "message": "no", "data": {"elicitations": [_PAGE]}}
