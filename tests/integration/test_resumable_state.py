"""Writer and offset of a resumable upload: decided by one script for all gateways."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from longshore.shared.errors import NotFound, OffsetConflict, SessionGone, UploadBusy
from longshore.shared.ids import new_id, new_session_id
from longshore.shared.state.quota import FileLimits
from longshore.shared.state.reservations import ReservationStore
from longshore.shared.state.resumable import Progress, ResumableStore, ResumableUpload
from tests.fixtures.storage import RedisServer, State, opened_state

_FOR_MS = 60_000


@pytest.fixture
async def states(server: RedisServer) -> AsyncIterator[list[State]]:
    async with opened_state(server.address) as one, opened_state(server.address) as other:
        yield [one, other]


@pytest.fixture
async def stores(states: list[State]) -> list[ResumableStore]:
    return [_store(state) for state in states]


@pytest.fixture
async def scope(states: list[State]) -> str:
    """A live session."""
    return await states[0].open_session()


def _store(state: State) -> ResumableStore:
    return ResumableStore(state.link, state.keys, ttl_ms=60_000)


async def _begun(store: ResumableStore, scope: str, reservation: str = "") -> str:
    capability = new_session_id()
    upload = ResumableUpload(
        file_id=new_id(), scope=scope, server="s", name="n", media_type="", size_bytes=100, reservation=reservation
    )
    await store.create(capability, upload)
    return capability


async def test_exactly_one_of_fifty_writers_gets_an_upload(stores: list[ResumableStore], scope: str) -> None:
    capability = await _begun(stores[0], scope)

    outcomes = await asyncio.gather(
        *(stores[n % 2].acquire(capability, writer=new_id(), offset=0, lease_ms=_FOR_MS) for n in range(50)),
        return_exceptions=True,
    )

    assert sum(isinstance(outcome, Progress) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, UploadBusy) for outcome in outcomes) == 49


async def test_a_writer_whose_lease_lapsed_is_replaced_and_cannot_continue(
    stores: list[ResumableStore], scope: str
) -> None:
    capability = await _begun(stores[0], scope)
    await stores[0].acquire(capability, writer="first", offset=0, lease_ms=1)
    async with asyncio.timeout(20):
        while True:
            try:
                await stores[1].acquire(capability, writer="second", offset=0, lease_ms=_FOR_MS)
                break
            except UploadBusy:
                await asyncio.sleep(0.001)

    with pytest.raises(UploadBusy):
        await stores[0].advance(capability, writer="first", offset=50, lease_ms=_FOR_MS)
    await stores[1].advance(capability, writer="second", offset=10)
    assert (await stores[0].get(capability)).offset == 10
    with pytest.raises(OffsetConflict, match="byte 10"):
        await stores[0].acquire(capability, writer="third", offset=0, lease_ms=_FOR_MS)


async def test_a_finished_upload_needs_no_writer(stores: list[ResumableStore], scope: str) -> None:
    capability = await _begun(stores[0], scope)
    await stores[0].acquire(capability, writer="w", offset=0, lease_ms=_FOR_MS)
    await stores[0].advance(capability, writer="w", offset=100, is_done=True)

    found = await stores[1].acquire(capability, writer="x", offset=None, lease_ms=_FOR_MS)

    assert (found.is_done, found.offset) == (True, 100)
    with pytest.raises(UploadBusy):
        await stores[1].advance(capability, writer="x", offset=100)


async def test_a_deleted_upload_is_not_found(stores: list[ResumableStore], scope: str) -> None:
    capability = await _begun(stores[0], scope)

    await stores[0].delete(capability)

    with pytest.raises(NotFound):
        await stores[1].get(capability)
    with pytest.raises(NotFound):
        await stores[1].acquire(capability, writer="w", offset=0, lease_ms=_FOR_MS)


async def test_no_bytes_are_accepted_for_an_ended_session(
    stores: list[ResumableStore], states: list[State], scope: str
) -> None:
    """Terminating the upload is allowed."""
    capability = await _begun(stores[0], scope)
    await states[0].end_session(scope)

    with pytest.raises(SessionGone):
        await stores[1].acquire(capability, writer="w", offset=0, lease_ms=_FOR_MS)
    assert (await stores[1].acquire(capability, writer="w", offset=None, lease_ms=_FOR_MS)).offset == 0


async def test_the_reservation_of_an_upload_lasts_as_long_as_the_upload(
    stores: list[ResumableStore], states: list[State], scope: str
) -> None:
    """New bytes renew both; a short reservation beside it shortens nothing."""
    room = ReservationStore(states[0].link, states[0].keys, FileLimits(session_bytes=1000))
    name = await room.reserve(scope, 100, ttl_ms=20_000)
    capability = await _begun(stores[0], scope, name)
    await stores[0].acquire(capability, writer="w", offset=0, lease_ms=_FOR_MS)

    before = await _lapses_ms(states[0], scope, name)
    await stores[0].advance(capability, writer="w", offset=1, lease_ms=_FOR_MS)
    await room.reserve(scope, 10, ttl_ms=1_000)

    assert 0 < before[0] <= 20_000 < before[0] + 10_000
    after = await _lapses_ms(states[0], scope, name)
    assert min(after) > 30_000
    assert max(after) <= 60_000


async def _lapses_ms(state: State, scope: str, name: str) -> tuple[float, float, float, float]:
    """Return the rest of the lives of the reservation and of its sets, of the session and of all."""
    keys, now_ms = [state.keys.reserved(scope), state.keys.reserved_total()], await state.now_ms()
    scores = [float(await state.link.call("ZSCORE", key, name)) - now_ms for key in keys]
    return scores[0], scores[1], await state.link.call("PTTL", keys[0]), await state.link.call("PTTL", keys[1])
