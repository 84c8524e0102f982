"""Requests of the modern revision that are wrong: each is refused as the revision says, and reaches no server."""

from typing import Any

import msgspec
import pytest
from aiohttp import web
from multidict import CIMultiDict

from tests.fixtures.gateway import ACCEPT, Answer, Backing, Client, connected, entry
from tests.fixtures.modern import Modern
from tests.fixtures.upstreams import ScriptedUpstream, Seen, result

_VERSION = "2026-07-28"
_PREFIX = "io.modelcontextprotocol/"
_PROTOCOL, _CAPABILITIES = f"{_PREFIX}protocolVersion", f"{_PREFIX}clientCapabilities"
_META = {_PROTOCOL: _VERSION, _CAPABILITIES: {}}
_HEAD = {
    **ACCEPT, "Content-Type": "application/json", "MCP-Protocol-Version": _VERSION, "Mcp-Method": "tools/call",
    "Mcp-Name": "echo",
}
_Changes = dict[str, str | list[str] | None]


@pytest.fixture(params=["modern", "legacy"])
def served(upstream: ScriptedUpstream, request: pytest.FixtureRequest) -> ScriptedUpstream:
    """An upstream of either era."""

    async def discovers(seen: Seen) -> dict[str, Any]:
        return result(seen, {
            "resultType": "complete", "supportedVersions": [_VERSION], "capabilities": {"tools": {}}, "ttlMs": 0,
            "cacheScope": "private",
        })

    if request.param == "modern":
        upstream.behaviours["server/discover"] = discovers
    return upstream


async def _send(client: Client, message: Any, changes: _Changes) -> Answer:
    head: CIMultiDict[str] = CIMultiDict(_HEAD)
    for name, value in changes.items():
        head.popall(name, None)
        for one in [value] if isinstance(value, str) else value or []:
            head.add(name, one)
    data = msgspec.json.encode(message)
    async with client.http.post(client.base + client.mount, data=data, headers=head) as response:
        return Answer(response.status, dict(response.headers), await response.read())


def _call(meta: Any = _META, *, method: str = "tools/call", **params: Any) -> dict[str, Any]:
    said = {"name": "echo", **params, "_meta": meta}
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": said}


_LATER = "2031-01-01"
_OF: dict[str, tuple[dict[str, Any], _Changes, int]] = {
    "no version": (_call(), {"MCP-Protocol-Version": None}, -32020),
    "an empty version": (_call(), {"MCP-Protocol-Version": ""}, -32020),
    "the version of the other era": (_call(), {"MCP-Protocol-Version": "2025-11-25"}, -32020),
    "a later version than the body": (_call(), {"MCP-Protocol-Version": _LATER}, -32020),
    "an earlier version than the body": (_call({**_META, _PROTOCOL: _LATER}), {}, -32020),
    "the version twice": (_call(), {"MCP-Protocol-Version": [_VERSION, _VERSION]}, -32020),
    "a version that is no text": (_call({**_META, _PROTOCOL: 20260728}), {}, -32020),
    "a version that is null": (_call({**_META, _PROTOCOL: None}), {}, -32020),
    "no method": (_call(), {"Mcp-Method": None}, -32020),
    "another method": (_call(), {"Mcp-Method": "tools/list"}, -32020),
    "the method in capitals": (_call(), {"Mcp-Method": "Tools/Call"}, -32020),
    "the method twice": (_call(), {"Mcp-Method": ["tools/call", "tools/call"]}, -32020),
    "two methods": (_call(), {"Mcp-Method": ["tools/call", "tools/list"]}, -32020),
    "no name": (_call(), {"Mcp-Name": None}, -32020),
    "another name": (_call(), {"Mcp-Name": "read"}, -32020),
    "the name in capitals": (_call(), {"Mcp-Name": "ECHO"}, -32020),
    "the name twice": (_call(), {"Mcp-Name": ["echo", "echo"]}, -32020),
    "a name that is no base64": (_call(), {"Mcp-Name": "=?base64?ec?ho?="}, -32020),
    "a name in another base64": (_call(), {"Mcp-Name": "=?base64?ZWNob?="}, -32020),
    "a name that is no UTF-8": (_call(), {"Mcp-Name": "=?base64?/w==?="}, -32020),
    "a name beyond ASCII as it is": (_call(name="größe"), {"Mcp-Name": "größe"}, -32020),
    "a name where the body has none": (_call(name=None), {}, -32020),
    "a uri for a name": (
        _call(method="resources/read", uri="test://a"), {"Mcp-Method": "resources/read"}, -32020,
    ),
    "a name for a uri": (
        _call(method="resources/read", name="test://a", uri="test://b"),
        {"Mcp-Method": "resources/read", "Mcp-Name": "test://a"}, -32020,
    ),
    "another prompt": (_call(method="prompts/get"), {"Mcp-Method": "prompts/get", "Mcp-Name": "else"}, -32020),
    "an unknown version": (
        _call({**_META, _PROTOCOL: _LATER}), {"MCP-Protocol-Version": _LATER}, -32022,
    ),
    "a version between the known ones": (
        _call({**_META, _PROTOCOL: "2026-01-01"}), {"MCP-Protocol-Version": "2026-01-01"}, -32022,
    ),
    "no meta": (_call(None), {}, -32602),
    "an empty meta": (_call({}), {}, -32602),
    "meta that is a list": (_call([]), {}, -32602),
    "no capabilities": (_call({_PROTOCOL: _VERSION}), {}, -32602),
    "no version in the body": (_call({_CAPABILITIES: {}}), {}, -32602),
    "capabilities that are a list": (_call({**_META, _CAPABILITIES: []}), {}, -32602),
    "capabilities that are null": (_call({**_META, _CAPABILITIES: None}), {}, -32602),
    "missing meta before headers that disagree": (_call({}), {"Mcp-Name": "read"}, -32602),
    "headers that disagree before an unknown version": (
        _call({**_META, _PROTOCOL: _LATER}), {"MCP-Protocol-Version": _LATER, "Mcp-Name": "read"}, -32020,
    ),
}


@pytest.mark.requirement(
    "modern.version-matches", "modern.version-unsupported", "modern.headers-present", "modern.headers-match",
    "modern.meta", "modern.header-case",
)
@pytest.mark.parametrize("wrong", _OF)
async def test_what_is_wrong_is_refused_as_the_revision_says(
    shared_backing: Backing, served: ScriptedUpstream, wrong: str
) -> None:
    message, changes, code = _OF[wrong]
    async with connected(shared_backing.config(entry(served.url)), initialize=False) as client:
        refused = await _send(client, message, changes)

    error = refused.message["error"]
    assert (refused.status, error["code"], refused.message["id"]) == (400, code, 1)
    if code == -32022:
        assert error["data"]["supported"] == [_VERSION]
        assert error["data"]["requested"] == message["params"]["_meta"][_PROTOCOL]
    assert served.calls("tools/call") == []
    assert "Mcp-Session-Id" not in refused.headers


@pytest.mark.requirement("modern.header-case", "modern.headers-decoded")
async def test_what_is_right_in_another_way_is_taken(shared_backing: Backing, served: ScriptedUpstream) -> None:
    """Names of headers in any case, white space around a value, a value in base64 that needs none."""
    ways: list[_Changes] = [
        {"Mcp-Name": None, "MCP-NAME": "echo"}, {"Mcp-Name": " echo\t"}, {"Mcp-Name": "=?base64?ZWNobw==?="},
        {"Mcp-Session-Id": "of-another-era"}, {"Last-Event-ID": "7"},
    ]
    async with connected(shared_backing.config(entry(served.url)), initialize=False) as client:
        answers = [await _send(client, _call(), changes) for changes in ways]

    assert [(answer.status, "error" in answer.message) for answer in answers] == [(200, False)] * 5


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_there_is_nothing_but_post(shared_backing: Backing, served: ScriptedUpstream, method: str) -> None:
    async with connected(shared_backing.config(entry(served.url)), initialize=False) as client:
        head = {**_HEAD, "Accept": "text/event-stream"}
        async with client.http.request(method, client.base + client.mount, headers=head) as answer:
            assert (answer.status, answer.headers["Allow"]) == (405, "POST")


@pytest.mark.requirement("modern.missing-capability")
async def test_a_capability_that_a_server_misses_is_told_with_its_data(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    """By the server, whose error passes with its status."""
    missing = {"code": -32021, "message": "it needs elicitation", "data": {"requiredCapabilities": {"elicitation": {}}}}

    async def discovers(seen: Seen) -> dict[str, Any]:
        return result(seen, {"resultType": "complete", "supportedVersions": [_VERSION], "capabilities": {}})

    async def needs(seen: Seen) -> web.Response:
        assert seen.params["_meta"][_CAPABILITIES] == {"sampling": {}}
        return web.json_response({"jsonrpc": "2.0", "id": seen.message["id"], "error": missing}, status=400)

    upstream.behaviours |= {"server/discover": discovers, "tools/call": needs}
    async with connected(shared_backing.config(entry(upstream.url)), initialize=False) as client:
        refused = await Modern(client).request("tools/call", {"name": "echo"}, meta={_CAPABILITIES: {"sampling": {}}})

    assert (refused.status, refused.message["error"]) == (400, missing)
