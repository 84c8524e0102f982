"""Who writes a resumable upload, and how far it is: decided by one script, whoever asks."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from shared.errors import NotFound, OffsetConflict, UploadBusy
from shared.ids import new_id, new_session_id
from shared.state.resumable import Progress, ResumableStore, ResumableUpload
from tests.fixtures.storage import RedisServer, State, opened_state, redis_server

_FOR_MS = 60_000


@pytest.fixture
async def server() -> AsyncIterator[RedisServer]:
    with redis_server() as running:
        yield running


@pytest.fixture
async def stores(server: RedisServer) -> AsyncIterator[list[ResumableStore]]:
    async with opened_state(server.address) as one, opened_state(server.address) as other:
        yield [_store(one), _store(other)]


def _store(state: State) -> ResumableStore:
    return ResumableStore(state.scripts, state.link, state.keys, ttl_ms=60_000)


async def _begun(store: ResumableStore) -> str:
    capability = new_session_id()
    upload = ResumableUpload(
        file_id=new_id(), scope=new_session_id(), server="s", name="n", media_type="", size_bytes=100
    )
    await store.begin(capability, upload)
    return capability


async def test_exactly_one_of_fifty_writers_gets_an_upload(stores: list[ResumableStore]) -> None:
    capability = await _begun(stores[0])

    outcomes = await asyncio.gather(
        *(stores[n % 2].take(capability, writer=new_id(), offset=0, for_ms=_FOR_MS) for n in range(50)),
        return_exceptions=True,
    )

    assert sum(isinstance(outcome, Progress) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, UploadBusy) for outcome in outcomes) == 49


async def test_a_writer_that_says_nothing_is_followed_by_another_and_may_not_go_on(
    stores: list[ResumableStore],
) -> None:
    capability = await _begun(stores[0])
    await stores[0].take(capability, writer="first", offset=0, for_ms=1)
    async with asyncio.timeout(20):
        while True:
            try:
                await stores[1].take(capability, writer="second", offset=0, for_ms=_FOR_MS)
                break
            except UploadBusy:
                await asyncio.sleep(0.001)

    with pytest.raises(UploadBusy):
        await stores[0].advance(capability, writer="first", offset=50, for_ms=_FOR_MS)
    await stores[1].advance(capability, writer="second", offset=10)
    assert (await stores[0].look(capability)).offset == 10
    with pytest.raises(OffsetConflict, match="byte 10"):
        await stores[0].take(capability, writer="third", offset=0, for_ms=_FOR_MS)


async def test_a_finished_upload_is_only_looked_at(stores: list[ResumableStore]) -> None:
    capability = await _begun(stores[0])
    await stores[0].take(capability, writer="w", offset=0, for_ms=_FOR_MS)
    await stores[0].advance(capability, writer="w", offset=100, is_done=True)

    found = await stores[1].take(capability, writer="x", offset=None, for_ms=_FOR_MS)

    assert (found.is_done, found.offset) == (True, 100)
    with pytest.raises(UploadBusy):
        await stores[1].advance(capability, writer="x", offset=100)


async def test_what_is_dropped_is_gone(stores: list[ResumableStore]) -> None:
    capability = await _begun(stores[0])

    await stores[0].drop(capability)

    with pytest.raises(NotFound):
        await stores[1].look(capability)
    with pytest.raises(NotFound):
        await stores[1].take(capability, writer="w", offset=0, for_ms=_FOR_MS)
