"""JSON-RPC batches of the revision 2025-03-26: each member by itself, all answers in one."""

import asyncio
from typing import Any

import msgspec
import pytest

from tests.fixtures.gateway import Answer, Backing, Client, connected, consumer, entry, producer
from tests.fixtures.upstreams import Reply, ScriptedUpstream, Seen, stream, writes

_OLD = {"protocolVersion": "2025-03-26", "capabilities": {}, "clientInfo": {"name": "old", "version": "1"}}


async def _open(client: Client) -> None:
    answer = await client.request("initialize", _OLD)
    client.session_id = answer.headers["Mcp-Session-Id"]


def _request(request_id: Any, method: str, params: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": request_id, "method": method, "params": params or {}}


def _events(answer: Answer) -> list[dict[str, Any]]:
    return [msgspec.json.decode(line[6:]) for line in answer.body.split(b"\n") if line.startswith(b"data: ")]


async def test_every_member_is_answered_by_its_id(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
    """Files go in and out, progress passes, an unknown method keeps its error, a bad handle is its own alone."""
    async def streams(seen: Seen) -> Reply:
        if seen.params["name"] == "write":
            return await writes(b"made")(seen)
        return await stream(
            seen,
            b'data: {"jsonrpc":"2.0","method":"notifications/progress","params":{"progress":1}}\n\n',
            b'data: ' + msgspec.json.encode({"jsonrpc": "2.0", "id": seen.message["id"], "result": {"content": []}})
            + b"\n\n",
        )

    upstream.behaviours["tools/call"] = streams
    config = shared_backing.config(entry(upstream.url, consumer("read"), producer("write")))
    async with connected(config, initialize=False) as client:
        await _open(client)
        handle = await client.upload_one("a.txt", b"a")
        members = [
            _request(1, "tools/call", {"name": "read", "arguments": {"path": handle}}),
            _request("1", "tools/call", {"name": "write", "arguments": {"path": "b.txt"}}),
            _request(2, "vendor/unknown"),
            _request(3, "tools/call", {"name": "read", "arguments": {"path": "upload://nonsense"}}),
            _request(4, "resources/read", {"uri": "doc://upload_workflow.md"}),
            {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 99}},
            {"jsonrpc": "2.0", "id": "server-1", "result": {}},
        ]
        answer = await client.post(msgspec.json.encode(members))

    assert answer.status == 200
    events = _events(answer)
    answers = {(type(event["id"]), event["id"]): event for event in events if "method" not in event}
    assert len(answers) == 5
    assert answers[int, 1]["result"] == {"content": []}
    assert answers[str, "1"]["result"]["_meta"]["artifact"]["filename"] == "b.txt"
    assert answers[int, 2]["error"]["code"] == -32601
    assert answers[int, 3]["result"]["isError"] is True
    assert "files_get_upload_url" in answers[int, 4]["result"]["contents"][0]["text"]
    assert [event["method"] for event in events if "method" in event] == ["notifications/progress"]
    assert upstream.last("notifications/cancelled").params == {"requestId": 99}
    assert any(seen.message.get("id") == "server-1" for seen in upstream.seen)
    sent = next(seen for seen in upstream.calls("tools/call") if seen.params["name"] == "read")
    assert sent.params["arguments"]["path"].startswith(str(shared_backing.root))


async def test_a_client_that_takes_no_stream_gets_an_array(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    async with connected(shared_backing.config(entry(upstream.url)), initialize=False) as client:
        await _open(client)
        body = msgspec.json.encode([_request(1, "tools/list"), _request(2, "ping")])
        answer = await client.post(body, {"Accept": "application/json"})

    members: list[dict[str, Any]] = msgspec.json.decode(answer.body)
    assert sorted(member["id"] for member in members) == [1, 2]


async def test_a_batch_without_requests_is_accepted(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
    async with connected(shared_backing.config(entry(upstream.url)), initialize=False) as client:
        await _open(client)
        answer = await client.post(b'[{"jsonrpc":"2.0","method":"notifications/initialized"}]')

    assert (answer.status, answer.body) == (202, b"")


async def test_members_count_towards_the_limit_of_calls(shared_backing: Backing, upstream: ScriptedUpstream) -> None:
    config = shared_backing.config(entry(upstream.url), sessions={"max_in_flight_per_session": 1})

    async def slow(seen: Seen) -> Reply:
        await asyncio.sleep(0.2)
        return {"jsonrpc": "2.0", "id": seen.message["id"], "result": {}}

    upstream.behaviours["vendor/slow"] = slow
    async with connected(config, initialize=False) as client:
        await _open(client)
        answer = await client.post(msgspec.json.encode([_request(n, "vendor/slow") for n in range(3)]))

    events = _events(answer)
    assert sum("result" in event for event in events) == 1
    assert sum(event.get("error", {}).get("data", {}).get("reason") == "too_many" for event in events) == 2


@pytest.mark.parametrize(
    "members",
    [
        [], [3], [_request(1, "ping"), _request(1, "ping")], [_request(1, "initialize", _OLD)],
        [_request(1, "server/discover")], [[_request(1, "ping")]], [_request(n, "ping") for n in range(101)],
    ],
)
async def test_malformed_batches_are_refused_whole(
    shared_backing: Backing, upstream: ScriptedUpstream, members: list[Any]
) -> None:
    async with connected(shared_backing.config(entry(upstream.url)), initialize=False) as client:
        await _open(client)
        seen = len(upstream.seen)
        answer = await client.post(msgspec.json.encode(members))

    assert answer.status == 400
    assert len(upstream.seen) == seen
