"""Messages that the MCP mount refuses, each with a status, a code, a reason and what to do."""

import aiohttp
import pytest

from tests.fixtures.gateway import INIT, Backing, connected, entry
from tests.fixtures.upstreams import ScriptedUpstream

_REFUSED = [
    (b"", 400, -32600, "bad_request"),
    (b"{", 400, -32700, "parse_error"),
    (b"not json", 400, -32700, "parse_error"),
    (b"\xff\xfe", 400, -32700, "parse_error"),
    (b'{"jsonrpc":"2.0","id":1,"method":"a","x":"\xff"}', 400, -32700, "parse_error"),
    (b"3", 400, -32600, "bad_request"),
    (b'"text"', 400, -32600, "bad_request"),
    (b"{}", 400, -32600, "bad_request"),
    (b'{"id":1,"method":"ping"}', 400, -32600, "bad_request"),
    (b'{"jsonrpc":"1.0","id":1,"method":"ping"}', 400, -32600, "bad_request"),
    (b'{"jsonrpc":"2.0","id":1}', 400, -32600, "bad_request"),
    (b'{"jsonrpc":"2.0","id":1,"method":7}', 400, -32600, "bad_request"),
    (b'{"jsonrpc":"2.0","id":true,"method":"ping"}', 400, -32600, "bad_request"),
    (b'{"jsonrpc":"2.0","id":{},"method":"ping"}', 400, -32600, "bad_request"),
    (b'{"jsonrpc":"2.0","id":null,"method":"ping"}', 400, -32600, "bad_request"),
    (b'[{"jsonrpc":"2.0","id":1,"method":"ping"}]', 400, -32600, "bad_request"),
    (b" \n[]", 400, -32600, "bad_request"),
    (b'{"jsonrpc":"2.0","id":1,"method":"a","params":' + b"[" * 200 + b"]" * 200 + b"}", 400, -32600, "bad_request"),
    (b"[" * 100_000, 400, -32600, "bad_request"),
    (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, 400, -32600, "bad_request"),
]


@pytest.mark.parametrize("body, status, code, reason", _REFUSED, ids=range(len(_REFUSED)))
async def test_a_malformed_body_is_refused_and_never_sent_on(
    shared_backing: Backing, upstream: ScriptedUpstream, body: bytes, status: int, code: int, reason: str
) -> None:
    async with connected(shared_backing.config(entry(upstream.url))) as client:
        sent = len(upstream.seen)

        answer = await client.post(body)

        assert (answer.status, answer.message["error"]["code"], answer.reason) == (status, code, reason)
        assert len(upstream.seen) == sent


async def test_deep_strings_are_not_deep_json(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
    async with connected(shared_backing.config(entry(upstream.url))) as client:
        await client.call("echo", {"text": '{"[' * 500, "quote": '\\"' * 500})

        assert upstream.last("tools/call").params["arguments"]["text"] == '{"[' * 500


async def test_other_content_types_are_415(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
    async with connected(shared_backing.config(entry(upstream.url))) as client:
        for content_type in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
            answer = await client.post(b"{}", {"Content-Type": content_type})
            assert (answer.status, answer.reason) == (415, "wrong_content_type")

        encoded = await client.post(b"{}", {"Content-Encoding": "gzip"})
        assert (encoded.status, encoded.reason) == (415, "wrong_content_type")


async def test_a_body_over_the_limit_is_413_before_it_is_read(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    async with connected(shared_backing.config(entry(upstream.url), core={"max_body_bytes": 1000})) as client:
        whole = await client.post(b"x" * 1001)
        assert (whole.status, whole.reason) == (413, "too_large")

        async def endless() -> object:
            for _ in range(100):
                yield b"x" * 1000

        head = {"Content-Type": "application/json", **client.headers()}
        async with client.http.post(client.base + client.mount, data=endless(), headers=head) as answer:
            assert answer.status == 413


@pytest.mark.parametrize(
    "message, header",
    [
        ({"id": 1, "method": "server/discover", "params": {}}, None),
        ({"id": 1, "method": "tools/list"}, "2026-07-28"),
        ({"id": 1, "method": "tools/list"}, "2027-01-01"),
        (
            {"id": 1, "method": "tools/list",
             "params": {"_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}}},
            None,
        ),
    ],
)
async def test_a_message_of_the_modern_revision_that_lacks_what_it_needs_goes_nowhere(
    shared_backing: Backing, upstream: ScriptedUpstream, message: dict[str, object], header: str | None
) -> None:
    async with connected(shared_backing.config(entry(upstream.url)), initialize=False) as client:
        sent = len(upstream.seen)
        extra = {"MCP-Protocol-Version": header} if header else {}

        answer = await client.post({"jsonrpc": "2.0", **message}, extra)

        assert (answer.status, answer.message["error"]["code"], answer.message["id"]) == (400, -32602, 1)
        assert len(upstream.seen) == sent


async def test_unknown_paths_and_methods(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
    async with connected(shared_backing.config(entry(upstream.url))) as client:
        async with client.http.post(client.base + "/mcp/nowhere", json={}) as answer:
            assert answer.status == 404
            assert (await answer.json())["reason"] == "not_found"
        async with client.http.put(client.base + client.mount, json={}) as answer:
            assert answer.status == 405
            assert answer.headers["Allow"] == "DELETE, GET, POST"
        async with client.http.get(client.base + client.mount, headers={"Accept": "text/html"}) as answer:
            assert answer.status == 406


@pytest.mark.requirement("tools.inputs")
async def test_tool_arguments_that_are_no_object_are_refused_where_files_are_looked_for(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    adapter = {"type": "upload_consumer", "tools": ["read"], "file_path_argument": "path"}
    async with connected(shared_backing.config(entry(upstream.url, adapter))) as client:
        answer = await client.request("tools/call", {"name": "read", "arguments": [1]})

    assert (answer.status, answer.message["error"]["code"]) == (400, -32602)


async def test_one_callers_garbage_never_reaches_another(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    async with (
        connected(shared_backing.config(entry(upstream.url))) as client,
        aiohttp.ClientSession() as http,
    ):
        for body, *_ in _REFUSED:
            async with http.post(client.base + client.mount, data=body, headers={"Content-Type": "application/json"}):
                pass

        assert (await client.result("initialize", INIT))["serverInfo"]["name"] == "scripted"
        assert (await client.call("echo"))["content"][0]["text"] == "done"
