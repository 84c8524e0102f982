"""File records: every script raced, every counter exact."""

import asyncio

import pytest

from longshore.shared.errors import SessionGone, Unavailable
from longshore.shared.ids import new_id
from longshore.shared.records import UploadRecord
from longshore.shared.state.due import DueItem
from longshore.shared.state.files import FileGone, UsedBytes
from longshore.shared.state.quota import FileLimits
from tests.fixtures.storage import RedisServer, State, artifact_record, opened_state, upload_record

LONG_MS = 60_000


async def _until_due(state: State, count: int) -> None:
    async with asyncio.timeout(20):
        while len(await state.due.batch(100)) < count:
            await asyncio.sleep(0.01)


async def test_racing_commits_of_one_batch_charge_it_once(state: State) -> None:
    scope = await state.open_session()
    records = [upload_record(scope, size_bytes=100) for _ in range(3)]

    stored = await asyncio.gather(*(state.files.commit(scope, records, ttl_ms=LONG_MS) for _ in range(20)))

    assert all(commit.stored == records for commit in stored)
    assert await state.files.used_bytes(scope) == UsedBytes(scope=300, total=300)


async def test_a_second_commit_returns_what_the_first_one_stored(state: State) -> None:
    scope = await state.open_session()
    first = upload_record(scope, size_bytes=10, file_id="f" * 22)
    await state.files.commit(scope, [first], ttl_ms=LONG_MS)

    stored = await state.files.commit(scope, [upload_record(scope, size_bytes=99, file_id="f" * 22)], ttl_ms=LONG_MS)

    assert stored.stored == [first]
    assert await state.files.used_bytes(scope) == UsedBytes(scope=10, total=10)


@pytest.mark.parametrize("ended", [True, False])
async def test_a_session_that_is_not_live_takes_no_file(state: State, ended: bool) -> None:
    scope = new_id()
    if ended:
        await state.open_session(scope)
        await state.end_session(scope)

    with pytest.raises(SessionGone):
        await state.files.commit(scope, [upload_record(scope)], ttl_ms=LONG_MS)
    with pytest.raises(SessionGone):
        await state.files.allocate_pending(scope, new_id(), grace_ms=LONG_MS)

    assert await state.files.used_bytes(scope) == UsedBytes(scope=0, total=0)
    assert await state.link.call("EXISTS", state.keys.files(scope), state.keys.due()) == 0
    assert await state.ends() == {}


async def test_racing_commits_and_drops_leave_exact_counts(state: State) -> None:
    scopes = [await state.open_session() for _ in range(4)]
    records = [upload_record(scopes[number % 4], size_bytes=number) for number in range(200)]

    async def live(record: UploadRecord) -> None:
        await state.files.commit(record.scope, [record], ttl_ms=LONG_MS)
        if record.size_bytes % 2:
            await asyncio.gather(*(state.files.drop(record.scope, record.id) for _ in range(3)))

    await asyncio.gather(*map(live, records))

    kept = [record for record in records if record.size_bytes % 2 == 0]
    for scope in scopes:
        mine = sum(record.size_bytes for record in kept if record.scope == scope)
        assert (await state.files.used_bytes(scope)).scope == mine
    assert (await state.files.used_bytes(scopes[0])).total == sum(record.size_bytes for record in kept)


async def test_the_last_drop_leaves_nothing_behind(state: State) -> None:
    scope = await state.open_session()
    record = upload_record(scope, size_bytes=2**40)
    await state.files.commit(scope, [record], ttl_ms=LONG_MS)

    dropped = await state.files.drop(scope, record.id)

    assert dropped
    assert await state.files.used_bytes(scope) == UsedBytes(scope=0, total=0)
    keys = state.keys
    assert await state.link.call("EXISTS", keys.files(scope), keys.used_bytes(scope)) == 0
    assert await state.ends() == {}


async def test_using_returns_all_files_or_names_the_missing_one(state: State) -> None:
    scope = await state.open_session()
    records = [upload_record(scope) for _ in range(3)]
    await state.files.commit(scope, records, ttl_ms=LONG_MS)

    found = await state.files.use(scope, [record.id for record in reversed(records)], ttl_ms=LONG_MS)
    with pytest.raises(FileGone) as gone:
        await state.files.use(scope, [records[0].id, "missing", "missing too"], ttl_ms=LONG_MS)

    assert found == records[::-1]
    assert gone.value.file_id == "missing"


async def test_using_a_missing_file_renews_none(state: State) -> None:
    scope = await state.open_session()
    record = upload_record(scope)
    await state.files.commit(scope, [record], ttl_ms=150)

    with pytest.raises(FileGone):
        await state.files.use(scope, [record.id, "missing"], ttl_ms=LONG_MS)

    await _until_due(state, 1)


async def test_another_scope_s_file_does_not_exist(state: State) -> None:
    mine, other = await state.open_session(), await state.open_session()
    record = upload_record(other)
    await state.files.commit(other, [record], ttl_ms=LONG_MS)

    with pytest.raises(FileGone):
        await state.files.use(mine, [record.id], ttl_ms=LONG_MS)
    assert not await state.files.drop(mine, record.id)


async def test_an_expired_file_is_missing_before_clean_up(state: State) -> None:
    scope = await state.open_session()
    upload, artifact = upload_record(scope), artifact_record(scope)
    await state.files.commit(scope, [upload, artifact], ttl_ms=100)
    await _until_due(state, 2)

    with pytest.raises(FileGone):
        await state.files.get(scope, upload.id)
    assert await state.files.list_artifacts(scope) == []


async def test_each_kind_has_its_own_time_to_live_from_its_last_use(server: RedisServer) -> None:
    limits = FileLimits(upload_ttl_ms=LONG_MS, artifact_ttl_ms=10 * LONG_MS)
    async with opened_state(server.address, limits) as state:
        scope = await state.open_session()
        upload, artifact = upload_record(scope), artifact_record(scope)
        await state.files.commit(scope, [upload, artifact], ttl_ms=1000)

        await state.files.use(scope, [artifact.id, upload.id])

        ends, now_ms = await state.ends(), await state.now_ms()
        assert ends[f"{scope}:{upload.id}"] == pytest.approx(now_ms + LONG_MS, abs=5000)
        assert ends[f"{scope}:{artifact.id}"] == pytest.approx(now_ms + 10 * LONG_MS, abs=5000)


async def test_reading_renews_nothing(state: State) -> None:
    scope = await state.open_session()
    record = artifact_record(scope)
    await state.files.commit(scope, [record], ttl_ms=LONG_MS)
    before = await state.ends()

    await asyncio.sleep(0.01)
    await state.files.get(scope, record.id)
    await state.files.list_artifacts(scope)

    assert await state.ends() == before


async def test_artifacts_are_listed_oldest_first_without_uploads(state: State) -> None:
    scope = await state.open_session()
    artifacts = [artifact_record(scope, created_ms=number) for number in (3, 1, 2)]
    await state.files.commit(scope, [*artifacts, upload_record(scope)], ttl_ms=LONG_MS)

    listed = await state.files.list_artifacts(scope)

    assert [record.created_ms for record in listed] == [1, 2, 3]


async def test_a_file_without_time_to_live_is_never_due(state: State) -> None:
    scope = await state.open_session()
    record = upload_record(scope)
    await state.files.commit(scope, [record], ttl_ms=0)

    await state.files.use(scope, [record.id], ttl_ms=0)

    assert await state.due.batch(10) == []
    assert min((await state.ends()).values()) > 1e15
    assert await state.files.get(scope, record.id) == record


async def test_racing_expiries_drop_a_due_file_once(state: State) -> None:
    scope = await state.open_session()
    record = upload_record(scope, size_bytes=70)
    await state.files.commit(scope, [record], ttl_ms=50)
    await _until_due(state, 1)

    dropped = await asyncio.gather(*(state.files.drop(scope, record.id, only_due=True) for _ in range(20)))

    assert sum(dropped) == 1
    assert await state.files.used_bytes(scope) == UsedBytes(scope=0, total=0)


async def test_a_file_that_is_not_due_is_not_expired(state: State) -> None:
    scope = await state.open_session()
    record = upload_record(scope)
    await state.files.commit(scope, [record], ttl_ms=LONG_MS)

    assert not await state.files.drop(scope, record.id, only_due=True)
    assert await state.files.get(scope, record.id) == record


async def test_a_due_file_stays_while_a_call_uses_it(state: State) -> None:
    scope = await state.open_session()
    record, artifact, other = upload_record(scope), artifact_record(scope), upload_record(scope)
    await state.files.commit(scope, [record, artifact, other], ttl_ms=50)
    await state.files.use(scope, [record.id, artifact.id], lease="call", ttl_ms=50)
    await _until_due(state, 3)

    usable = [await state.files.get(scope, record.id), *await state.files.list_artifacts(scope)]
    expired = [await state.files.drop(scope, file.id, only_due=True) for file in (record, artifact, other)]

    assert usable == [record, artifact]
    assert expired == [False, False, True]
    assert await state.due.batch(10) == []  # looked at again when the lease ends
    state.files.release_uses(scope, "call", [record.id, artifact.id])
    with pytest.raises(FileGone):
        await state.files.get(scope, other.id)


async def test_a_due_file_in_use_is_due_again_when_the_last_lease_ends(server: RedisServer) -> None:
    """Of two calls with leases of different length; calls that use its neighbour do not count."""
    async with opened_state(server.address, FileLimits(lease_ms=60_000)) as short, opened_state(
        server.address, FileLimits(lease_ms=600_000)
    ) as long:
        scope = await short.open_session()
        record, neighbour, idle = upload_record(scope), artifact_record(scope), upload_record(scope)
        await short.files.commit(scope, [record, neighbour, idle], ttl_ms=30)
        await long.files.use(scope, [neighbour.id, record.id], lease="long", ttl_ms=30)
        await short.files.use(scope, [record.id], lease="short", ttl_ms=30)
        await _until_due(short, 3)

        dropped = [await short.files.drop(scope, file.id, only_due=True) for file in (record, neighbour, idle)]

        ends, now_ms = await short.ends(), await short.now_ms()
        assert dropped == [False, False, True]
        assert set(ends) == {f"{scope}:{record.id}", f"{scope}:{neighbour.id}"}
        assert all(590_000 < end - now_ms <= 600_000 for end in ends.values())
        assert await short.files.used_bytes(scope) == UsedBytes(200, 200)


async def test_a_lost_file_is_dropped_although_a_call_uses_it(state: State) -> None:
    scope = await state.open_session()
    record = artifact_record(scope)
    await state.files.commit(scope, [record], ttl_ms=LONG_MS)
    await state.files.use(scope, [record.id], lease="call")

    assert await state.files.drop(scope, record.id)

    assert await state.ends() == {}
    assert await state.files.used_bytes(scope) == UsedBytes(0, 0)


async def test_a_file_is_released_when_the_last_call_that_uses_it_ends(state: State) -> None:
    scope = await state.open_session()
    record = upload_record(scope)
    await state.files.commit(scope, [record], ttl_ms=30)
    await asyncio.gather(*(state.files.use(scope, [record.id], lease=f"call{n}", ttl_ms=30) for n in range(3)))
    await _until_due(state, 1)

    usable = []
    for number in range(3):
        usable.append(await state.files.get(scope, record.id) == record)
        state.files.release_uses(scope, f"call{number}", [record.id])

    assert usable == [True, True, True]
    assert await state.link.call("EXISTS", state.keys.files_in_use(scope)) == 0
    with pytest.raises(FileGone):
        await state.files.get(scope, record.id)


async def test_a_dead_gateway_holds_its_files_no_longer_than_its_lease(server: RedisServer) -> None:
    async with opened_state(server.address, FileLimits(lease_ms=300)) as state:
        scope = await state.open_session()
        held, left = upload_record(scope), upload_record(scope)
        await state.files.commit(scope, [held, left], ttl_ms=10)
        await state.files.use(scope, [held.id], lease="alive", ttl_ms=10)
        await state.files.use(scope, [left.id], lease="dead", ttl_ms=10)

        async with asyncio.timeout(20):
            while not await state.files.drop(scope, left.id, only_due=True):
                await state.files.renew_uses(scope, "alive", [held.id])
                await asyncio.sleep(0.05)

        assert await state.files.get(scope, held.id) == held


async def test_a_lapsed_hold_is_not_renewed(state: State) -> None:
    scope = await state.open_session()

    await state.files.renew_uses(scope, "late", ["file"])

    assert await state.link.call("EXISTS", state.keys.files_in_use(scope)) == 0


async def test_a_pending_artifact_is_invisible_and_known(state: State) -> None:
    scope, artifact_id = await state.open_session(), new_id()

    await state.files.allocate_pending(scope, artifact_id, grace_ms=LONG_MS)

    assert await state.files.list_artifacts(scope) == []
    with pytest.raises(FileGone):
        await state.files.get(scope, artifact_id)
    assert await state.files.which_exist(scope, [artifact_id, "other"]) == [True, False]


async def test_a_commit_ends_the_reservation(state: State) -> None:
    scope = await state.open_session()
    record = artifact_record(scope)
    await state.files.allocate_pending(scope, record.id, grace_ms=1)
    await state.files.commit(scope, [record], ttl_ms=LONG_MS)

    assert await state.files.drop_pending(scope, record.id) is False
    assert await state.files.get(scope, record.id) == record


async def test_only_reserved_ids_are_renewed(state: State) -> None:
    """Neither an id that was committed since, nor one that was dropped."""
    scope, given_up = await state.open_session(), new_id()
    record = artifact_record(scope)
    for artifact_id in (record.id, given_up, "kept"):
        await state.files.allocate_pending(scope, artifact_id, grace_ms=1)
    await state.files.commit(scope, [record], ttl_ms=LONG_MS)
    await state.files.drop_pending(scope, given_up)

    for artifact_id in (record.id, given_up, "kept"):
        await state.files.renew_pending(scope, artifact_id, grace_ms=LONG_MS)

    assert await state.files.drop_pending(scope, "kept", only_due=True) is False
    due = [member for member in await state.link.call("ZRANGE", state.keys.due(), 0, -1) if member.startswith(b"p:")]
    assert due == [f"p:{scope}:kept".encode()]


async def test_a_reservation_is_dropped_when_due_and_only_then(state: State) -> None:
    scope = await state.open_session()
    await state.files.allocate_pending(scope, "early", grace_ms=LONG_MS)
    await state.files.allocate_pending(scope, "late", grace_ms=30)
    await _until_due(state, 1)

    dropped = [await state.files.drop_pending(scope, name, only_due=True) for name in ("early", "late", "late")]

    assert dropped == [False, True, False]


async def test_what_is_due_is_listed_oldest_first_in_batches(state: State) -> None:
    for number in (3, 1, 2):
        await state.link.call("ZADD", state.keys.upload_ends(), number, f"server:scope:id{number}")
    await state.link.call("ZADD", state.keys.artifact_ends(), 1, "scope:shot")
    await state.link.call("ZADD", state.keys.due(), 9, "s:session", 10, "p:scope:id", 11, "t:session")

    batch = await state.due.batch(2)

    assert batch == [
        DueItem("s", "session", ""), DueItem("p", "scope", "id"), DueItem("u", "server:scope", "id1"),
        DueItem("u", "server:scope", "id2"), DueItem("a", "scope", "shot"),
    ]


async def test_a_record_of_a_newer_version_is_refused_by_name(state: State) -> None:
    scope = await state.open_session()
    await state.link.call("HSET", state.keys.files(scope), "new", b"\x82\xa4type\x63\xa2id\xa3new")

    with pytest.raises(Unavailable, match="upgrade"):
        await state.files.get(scope, "new")
