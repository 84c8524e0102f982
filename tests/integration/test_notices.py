"""Those who listen learn that artifacts have come and gone, whichever process saw to it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import ClientResponse, web

from shared.records import FileRecord
from shared.state.news import RESOURCES, Hearing, Word
from shared.state.quota import FileLimits
from tests.fixtures.gateway import backing, connected, entry, gateway, producer
from tests.fixtures.storage import State, artifact_record, opened_state, redis_server, upload_record
from tests.fixtures.upstreams import ScriptedUpstream, writes

_CHANGED = b"notifications/resources/list_changed"


@pytest.fixture(params=[FileLimits()], ids=["unlimited"])
async def state(request: pytest.FixtureRequest) -> AsyncIterator[State]:
    with redis_server() as server:
        async with opened_state(server.address, request.param) as opened:
            yield opened


@asynccontextmanager
async def _heard(state: State, *scopes: str) -> AsyncIterator["asyncio.Queue[Word]"]:
    """What is said in these scopes from now on."""
    words = asyncio.Queue[Word]()
    hearing = Hearing(state.address, state.keys, state.tasks, hear_all=words.put_nowait)
    try:
        async with hearing.hears(scopes[0], words.put_nowait), hearing.hears(scopes[-1], words.put_nowait):
            yield words
    finally:
        await hearing.close()


async def _next(words: "asyncio.Queue[Word]") -> Word:
    async with asyncio.timeout(20):
        return await words.get()


async def _commit(state: State, *records: FileRecord) -> None:
    await state.files.commit(records[0].scope, records)


async def test_an_artifact_that_comes_and_one_that_goes_are_told(state: State) -> None:
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

    assert (came, went, then) == (Word(RESOURCES, scope), Word(RESOURCES, scope), Word(RESOURCES, last))


@pytest.mark.parametrize("state", [FileLimits(total_bytes=150)], indirect=True)
async def test_an_artifact_that_gives_way_to_another_scope_s_file_is_told(state: State) -> None:
    scope, other = await state.open_session(), await state.open_session()
    async with _heard(state, scope, other) as words:
        await _commit(state, artifact_record(scope))
        came = await _next(words)
        await _commit(state, upload_record(other))
        went = await _next(words)

    assert came == went == Word(RESOURCES, scope)


async def test_a_burst_is_told_few_times_and_once_after_its_end(state: State) -> None:
    """What is said last comes after everything, so that whoever asks then misses nothing."""
    scope, last = await state.open_session(), await state.open_session()
    records = [artifact_record(scope) for _ in range(300)]
    words_while = 0
    async with _heard(state, scope, last) as words:
        await asyncio.gather(*(_commit(state, record) for record in records[:-1]))
        while not words.empty():
            words_while += words.get_nowait().scope == scope
        await _commit(state, records[-1])
        after = await _next(words)

    assert after == Word(RESOURCES, scope)
    assert words_while < 150


async def _stands(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    await response.write(b"data: {}\n\n")
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


async def test_a_stream_at_one_gateway_is_told_of_a_capture_at_another_and_of_its_expiry(
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
