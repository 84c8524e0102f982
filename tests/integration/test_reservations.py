"""Byte reservations of uploads in progress: never above the limits, counted once, lapsing by themselves."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from longshore.shared.errors import OverQuota
from longshore.shared.ids import new_id
from longshore.shared.state.files import UsedBytes
from longshore.shared.state.quota import FileLimits
from longshore.shared.state.reservations import ReservationStore
from tests.fixtures.storage import RedisServer, artifact_record, upload_record
from tests.fixtures.world import World, opened_world

Opened = Callable[[FileLimits], AbstractAsyncContextManager[World]]
_SESSION, _TOTAL = FileLimits(session_bytes=1000), FileLimits(total_bytes=1000)


@pytest.fixture
def world(server: RedisServer, tmp_path: Path) -> Opened:
    return lambda limits: opened_world(server.address, tmp_path, limits)


def _store(world: World, limits: FileLimits) -> ReservationStore:
    return ReservationStore(world.state.link, world.state.keys, limits)


async def _fits(store: ReservationStore, scope: str, size_bytes: int) -> bool:
    try:
        store.release(scope, await store.reserve(scope, size_bytes))
    except OverQuota:
        return False
    return True


@pytest.mark.parametrize("limits", [_SESSION, _TOTAL])
async def test_racing_reservations_never_pass_a_limit(world: Opened, limits: FileLimits) -> None:
    """Two hundred of 100 bytes from two gateways against 1,000: ten succeed, and released bytes fit again."""
    async with world(limits) as made, world(limits) as other:
        stores = [_store(made, limits), _store(other, limits)]
        racing = [stores[n % 2].reserve(made.scope, 100) for n in range(200)]

        ends = await asyncio.gather(*racing, return_exceptions=True)
        held = [end for end in ends if isinstance(end, str)]
        is_full = not await _fits(stores[0], made.scope, 1)
        for name in held:
            stores[1].release(made.scope, name)
        await other.state.link.call("PING")

        assert len(held) == 10
        assert all(isinstance(end, str | OverQuota) for end in ends)
        assert is_full
        assert await _fits(stores[0], made.scope, 1000)


@pytest.mark.parametrize("limits", [_SESSION, _TOTAL])
async def test_racing_uploads_count_once_whether_reserved_or_committed(world: Opened, limits: FileLimits) -> None:
    """Each with a reservation is committed, and a second commit neither charges nor reserves."""
    async with world(limits) as made:
        store, scope = _store(made, limits), made.scope

        async def upload() -> bool:
            try:
                name = await store.reserve(scope, 100)
            except OverQuota:
                return False
            record = upload_record(scope, size_bytes=100)
            for _ in range(2):
                done = await made.state.files.commit(scope, [record], reservation=name)
                assert [stored.id for stored in done.stored] == [record.id]
            await made.state.files.use(scope, [record.id], lease=new_id())  # never evicted
            return True

        taken = await asyncio.gather(*(upload() for _ in range(30)))

        assert 1 <= sum(taken) <= 10
        used = await made.state.files.used_bytes(scope)
        assert used == UsedBytes(sum(taken) * 100, sum(taken) * 100)
        assert await _fits(store, scope, 1000 - used.scope)
        assert not await _fits(store, scope, 1000 - used.scope + 1)


@pytest.mark.parametrize("limits", [_SESSION, _TOTAL])
async def test_evictable_files_are_room_and_files_in_use_are_not(world: Opened, limits: FileLimits) -> None:
    async with world(limits) as made:
        store, files = _store(made, limits), made.state.files
        used, idle = upload_record(made.scope, size_bytes=300), artifact_record(made.scope, size_bytes=700)
        await made.committed(used, idle)
        await files.use(made.scope, [used.id], lease="call")

        too_much = await _fits(store, made.scope, 701)
        name = await store.reserve(made.scope, 700)
        kept = await files.which_exist(made.scope, [idle.id])
        done = await files.commit(made.scope, [upload_record(made.scope, size_bytes=700)], reservation=name)

        assert not too_much
        assert kept == [True]  # only the commit evicts
        assert [record.id for record in done.evicted] == [idle.id]


@pytest.mark.parametrize("limits", [_SESSION, _TOTAL])
async def test_a_commit_takes_no_room_that_is_reserved_for_another(world: Opened, limits: FileLimits) -> None:
    async with world(limits) as made:
        store, files = _store(made, limits), made.state.files
        name = await store.reserve(made.scope, 800)

        with pytest.raises(OverQuota, match="800 of 1000"):
            await files.commit(made.scope, [artifact_record(made.scope, size_bytes=201)])
        await files.commit(made.scope, [artifact_record(made.scope, size_bytes=200)])
        done = await files.commit(made.scope, [upload_record(made.scope, size_bytes=800)], reservation=name)

        assert done.evicted == []
        assert await files.used_bytes(made.scope) == UsedBytes(1000, 1000)


async def test_the_whole_budget_is_shared_and_a_sessions_own_is_not(world: Opened) -> None:
    limits = FileLimits(session_bytes=600, total_bytes=1000)
    async with world(limits) as made:
        store, other = _store(made, limits), await made.state.open_session()
        await store.reserve(made.scope, 600)

        assert not await _fits(store, made.scope, 1)
        assert await _fits(store, other, 400)
        assert not await _fits(store, other, 401)


async def test_a_reservation_lapses_unless_it_is_renewed(world: Opened) -> None:
    limits = FileLimits(session_bytes=1000, lease_ms=150)
    async with world(limits) as made:
        store, renewing = _store(made, limits), _store(made, FileLimits(session_bytes=1000))
        await store.reserve(made.scope, 600)
        kept = await store.reserve(made.scope, 400)
        await renewing.renew(made.scope, kept)

        refused = not await _fits(store, made.scope, 600)
        async with asyncio.timeout(20):
            while not await _fits(store, made.scope, 600):
                await asyncio.sleep(0.02)

        assert refused
        assert not await _fits(store, made.scope, 601)


async def test_renewing_restores_no_ended_reservation(world: Opened) -> None:
    """The worker commits while the gateway renews: what was committed stays counted once."""
    async with world(_SESSION) as made:
        store = _store(made, _SESSION)
        name = await store.reserve(made.scope, 1000)
        record = upload_record(made.scope, size_bytes=1000)
        await made.state.files.commit(made.scope, [record], reservation=name)

        await store.renew(made.scope, name)

        assert await _fits(store, made.scope, 1000)


async def test_without_limits_nothing_is_reserved(world: Opened) -> None:
    async with world(FileLimits()) as made:
        assert not _store(made, FileLimits()).is_enabled
        assert _store(made, _SESSION).is_enabled
        assert _store(made, _TOTAL).is_enabled
