"""Subscribers are notified of new and dropped artifacts, whichever process changed them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
from aiohttp import ClientResponse, web

from longshore.shared.messaging.pubsub import RESOURCES, Event, EventListener
from longshore.shared.records import FileRecord
from longshore.shared.state.quota import FileLimits
from tests.fixtures.change_streams import Stream, listening, without_sessions
from tests.fixtures.gateway import Backing, backing, connected, entry, gateway, producer
from tests.fixtures.modern import Modern
from tests.fixtures.storage import RedisServer, State, artifact_record, opened_state, upload_record
from tests.fixtures.upstreams import ScriptedUpstream, Seen, writes

_CHANGED = b"notifications/resources/list_changed"


@pytest.fixture(params=[FileLimits()], ids=["unlimited"])
async def state(server: RedisServer, request: pytest.FixtureRequest) -> AsyncIterator[State]:
    async with opened_state(server.address, request.param) as opened:
        yield opened


@asynccontextmanager
async def _heard(state: State, *scopes: str) -> AsyncIterator["asyncio.Queue[Event]"]:
    """Collect the events of these scopes from now on."""
    words = asyncio.Queue[Event]()
    hearing = EventListener(state.address, state.keys, state.tasks, on_broadcast=words.put_nowait)
    try:
        async with hearing.subscribed(scopes[0], words.put_nowait), hearing.subscribed(scopes[-1], words.put_nowait):
            yield words
    finally:
        await hearing.close()


async def _next(words: "asyncio.Queue[Event]") -> Event:
    async with asyncio.timeout(20):
        return await words.get()


async def _commit(state: State, *records: FileRecord) -> None:
    await state.files.commit(records[0].scope, records)


async def test_new_and_dropped_artifacts_are_published(state: State) -> None:
    scope, last = await state.open_session(), await state.open_session()
    record, end = artifact_record(scope), artifact_record(last)
    async with _heard(state, scope, last) as words:
        await _commit(state, record)
        came = await _next(words)
        await state.files.drop(scope, record.id)
        went = await _next(words)
        await state.files.drop(scope, record.id)             # it is gone already
        await _commit(state, upload := upload_record(scope))
        await state.files.drop(scope, upload.id)
        await _commit(state, end)
        then = await _next(words)

    assert (came, went, then) == (Event(RESOURCES, scope), Event(RESOURCES, scope), Event(RESOURCES, last))


@pytest.mark.parametrize("state", [FileLimits(total_bytes=150)], indirect=True)
async def test_the_eviction_of_an_artifact_for_another_scope_is_published(state: State) -> None:
    scope, other = await state.open_session(), await state.open_session()
    async with _heard(state, scope, other) as words:
        await _commit(state, artifact_record(scope))
        came = await _next(words)
        await _commit(state, upload_record(other))
        went = await _next(words)

    assert came == went == Event(RESOURCES, scope)


async def test_a_burst_is_published_few_times_and_once_after_its_end(state: State) -> None:
    """The last event comes after all changes, so that a list requested then is complete."""
    scope, last = await state.open_session(), await state.open_session()
    records = [artifact_record(scope) for _ in range(300)]
    words_while = 0
    async with _heard(state, scope, last) as words:
        await asyncio.gather(*(_commit(state, record) for record in records[:-1]))
        while not words.empty():
            words_while += words.get_nowait().scope == scope
        await _commit(state, records[-1])
        after = await _next(words)

    assert after == Event(RESOURCES, scope)
    assert words_while < 150


async def _stands(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    await response.write(b"data: {}\n\n")
    await asyncio.Event().wait()
    return response


async def _no_such_method(seen: Seen) -> web.Response:
    error = {"code": -32601, "message": "Method not found"}
    return web.json_response({"jsonrpc": "2.0", "id": seen.message["id"], "error": error}, status=404)


async def _acknowledges_nothing(seen: Seen) -> web.StreamResponse:
    """A slow server without notifications of its own, with an acknowledgement in two pieces."""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(seen.request)
    await response.write(b": hello\n\n")
    params = {"_meta": {"io.modelcontextprotocol/subscriptionId": seen.message["id"]}, "notifications": {"x/own": 1}}
    told = {"jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged", "params": params}
    event = b"data: " + msgspec.json.encode(told) + b"\n\n"
    for half in (event[:30], event[30:]):
        await asyncio.sleep(0.2)
        await response.write(half)
    await asyncio.Event().wait()
    return response


async def _until(stream: ClientResponse, wanted: bytes, count: int) -> bytes:
    seen = b""
    async with asyncio.timeout(30):
        while seen.count(wanted) < count:
            chunk = await stream.content.readany()
            assert chunk, seen
            seen += chunk
    return seen


async def test_a_stream_at_one_gateway_gets_a_capture_at_another_and_its_expiry(
    tmp_path: Path, upstream: ScriptedUpstream
) -> None:
    upstream.on_get = _stands
    upstream.behaviours["tools/call"] = writes(b"for a second")
    sections = {"artifacts": {"ttl_seconds": 1}, "core": {"cleanup_interval_seconds": 1}}
    with backing(tmp_path, **sections) as made:
        config = made.config(entry(upstream.url, producer("write")), **sections)
        async with (
            connected(config) as client, gateway(config) as second,
            client.http.get(second + client.mount, headers=client.headers()) as stream,
        ):
            await _until(stream, b"data: {}", 1)
            kept = await client.call("write", {"path": "a.txt"})
            told = await _until(stream, _CHANGED, 1)
            if told.count(_CHANGED) == 1:
                await _until(stream, _CHANGED, 1)            # the clean-up has ended it
            async with asyncio.timeout(20):
                while (await client.result("resources/list"))["resources"]:
                    await asyncio.sleep(0.05)

    assert kept["_meta"]["artifact"]["filename"] == "a.txt"


@pytest.mark.parametrize("upstream_era", ["legacy", "modern", "modern without a stream"])
async def test_a_modern_subscriber_is_notified_of_a_capture(
    shared_backing: Backing, upstream: ScriptedUpstream, upstream_era: str
) -> None:
    if upstream_era != "legacy":
        without_sessions(upstream)
    if upstream_era == "modern without a stream":
        upstream.behaviours["subscriptions/listen"] = _no_such_method
    upstream.behaviours["tools/call"] = writes(b"for whoever listens")
    async with connected(shared_backing.config(entry(upstream.url, producer("write"))), initialize=False) as client:
        url = client.base + client.mount
        async with listening(client.http, url, resourcesListChanged=True) as listener:
            acknowledged = await listener.message()
            answer = await Modern(client).request("tools/call", {"name": "write", "arguments": {"path": "a.txt"}})
            told = await listener.message()

    listen_id = {"io.modelcontextprotocol/subscriptionId": 1}
    assert acknowledged["params"] == {"_meta": listen_id, "notifications": {"resourcesListChanged": True}}
    assert told == {"jsonrpc": "2.0", "method": _CHANGED.decode(), "params": {"_meta": listen_id}}
    assert answer.message["result"]["_meta"]["artifact"]["filename"] == "a.txt"


async def test_a_servers_acknowledgement_comes_first_and_lists_longshores_notifications(
    shared_backing: Backing, upstream: ScriptedUpstream
) -> None:
    without_sessions(upstream)
    upstream.behaviours |= {
        "tools/call": writes(b"for whoever listens"), "subscriptions/listen": _acknowledges_nothing,
    }
    async with connected(shared_backing.config(entry(upstream.url, producer("write"))), initialize=False) as client:
        url = client.base + client.mount
        async with listening(client.http, url, resourcesListChanged=True) as listener:
            first = await listener.message()
            await Modern(client).request("tools/call", {"name": "write", "arguments": {"path": "a.txt"}})
            second = await listener.message()
        async with listening(client.http, url, toolsListChanged=True) as listener:
            other = await listener.message()

    assert first["params"]["notifications"] == {"x/own": 1, "resourcesListChanged": True}
    assert second["method"] == _CHANGED.decode()
    assert other["params"]["notifications"] == {"x/own": 1}


@pytest.mark.parametrize("upstream_era", ["legacy", "modern"])
async def test_a_session_whose_server_has_no_stream_is_notified_of_a_capture(
    shared_backing: Backing, upstream: ScriptedUpstream, upstream_era: str
) -> None:
    if upstream_era == "modern":
        without_sessions(upstream).capabilities = {"tools": {}}
    upstream.behaviours["tools/call"] = writes(b"for whoever listens")
    async with (
        connected(shared_backing.config(entry(upstream.url, producer("write")))) as client,
        client.http.get(client.base + client.mount, headers=client.headers()) as response,
    ):
        assert response.status == 200
        await client.call("write", {"path": "a.txt"})
        told = await Stream(response).message()

    assert told["method"] == _CHANGED.decode()
