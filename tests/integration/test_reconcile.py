"""Reconciliation: records of files are restored after Redis lost them, if their server can be determined."""

import asyncio
import os
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from longshore.shared.ids import new_id
from longshore.shared.jobs import Reconcile, Sweep
from longshore.shared.records import ArtifactRecord, UploadRecord
from longshore.shared.state.expiry import Expiry
from longshore.shared.state.quota import FileLimits
from longshore.shared.state.reconciliation import Reconciled, ReconciliationStore
from longshore.shared.state.sessions import Caller, SessionLimits, SessionStore
from longshore.shared.storage.layout import artifact_parts, upload_parts
from longshore.storage_worker.jobs.reconcile import reconcile_with
from longshore.storage_worker.jobs.sweep import sweep
from longshore.storage_worker.reconcile_trigger import ReconcileTrigger
from longshore.storage_worker.stores import CleanupPolicy, Stores
from longshore.storage_worker.sweeping.attribution import Attribution
from tests.fixtures.storage import (
    RedisServer,
    State,
    files_below,
    opened_blobs,
    opened_state,
    sha256,
    until_workers,
    worker_config,
    worker_process,
)

_PNG = bytes.fromhex("89504e470d0a1a0a0000000d49484452") + b"\0" * 40


@dataclass
class World:
    """One storage and one Redis that knows nothing of it."""

    state: State
    stores: Stores
    store: ReconciliationStore
    root: Path
    attribution: Attribution

    async def reconcile(self, **settings: object) -> Reconciled:
        """Run one pass with these settings. Returns the counts that it saved."""
        await self.run(**settings)
        last = await self.store.last()
        assert last is not None
        assert last.finished_ms >= last.begun_ms > 0
        return last

    async def run(self, **settings: object) -> None:
        attribution = replace(self.attribution, **settings)  # type: ignore[arg-type]
        await reconcile_with(self.store, attribution).work(self.stores, Reconcile())

    def put(self, parts: tuple[str, ...], content: bytes, *, age_s: int = 3600) -> None:
        """Put a file there, as it is after a loss of Redis."""
        path = self.root.joinpath(*parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        then = time.time_ns() - age_s * 1_000_000_000  # noqa: TID251
        os.utime(path.parent, ns=(then, then))

    def upload(self, scope: str, name: str = "report.txt", content: bytes = b"hello", *, age_s: int = 3600) -> str:
        file_id = new_id()
        self.put(upload_parts(scope, file_id, name), content, age_s=age_s)
        return file_id

    def artifact(self, scope: str, name: str = "shot.png", content: bytes = _PNG) -> str:
        file_id = new_id()
        self.put(artifact_parts(scope, file_id, name), content)
        return file_id

    async def session(self, scope: str, **fields: str) -> None:
        known = {"state": "live", "server": "s1", "principal": "me", **fields}
        await self.state.link.call("HSET", self.state.keys.session(scope), *(x for pair in known.items() for x in pair))

    async def field(self, scope: str, name: str) -> bytes | None:
        found: bytes | None = await self.state.link.call("HGET", self.state.keys.session(scope), name)
        return found


@pytest.fixture
async def world(server: RedisServer, tmp_path: Path) -> AsyncIterator[World]:
    async with _world(server, tmp_path) as made:
        yield made


@asynccontextmanager
async def _world(server: RedisServer, root: Path) -> AsyncIterator[World]:
    config = worker_config(server.url, root, sweep_grace_s=0)
    async with opened_state(server.address) as state, opened_blobs(root) as blobs:
        await state.link.call("FLUSHALL")
        policy = CleanupPolicy.of(config)
        stores = Stores(blobs=blobs, files=state.files, due=state.due, expiry=state.expiry, policy=policy)
        store = ReconciliationStore(state.link, state.keys, FileLimits.of(config))
        yield World(state, stores, store, root, Attribution.of(config))


async def test_files_of_a_lost_redis_are_whole_records_again(world: World) -> None:
    """With one configured server, they can belong to no other."""
    scope = new_id()
    upload, artifact = world.upload(scope, "bericht ü.txt", b"gr\xc3\xbc\xc3\x9fe"), world.artifact(scope)

    result = await world.reconcile()

    assert (result.restored_uploads, result.restored_artifacts) == (1, 1)
    assert (result.unattributed, result.ambiguous, result.ended, result.unreadable) == (0, 0, 0, 0)
    found = await world.state.files.get(scope, upload)
    assert isinstance(found, UploadRecord)
    assert (found.name, found.media_type, found.size_bytes) == ("bericht ü.txt", "text/plain", 7)
    assert (found.sha256, found.server, found.scope) == (sha256(b"gr\xc3\xbc\xc3\x9fe"), "s1", scope)
    picture = await world.state.files.get(scope, artifact)
    assert isinstance(picture, ArtifactRecord)
    assert (picture.media_type, picture.is_utf8, picture.expose) == ("image/png", False, True)
    used = await world.state.files.used_bytes(scope)
    assert used.scope == used.total == 7 + len(_PNG)


async def test_an_unknown_session_is_kept_as_expired_until_it_is_revived_or_deleted(world: World) -> None:
    scope = new_id()
    world.upload(scope)

    await world.reconcile(tombstone_ms=60_000)

    assert await world.field(scope, "state") == b"expired"
    assert await world.field(scope, "principal") == b""
    assert (await world.state.expiry.expire(scope)).outcome is Expiry.KEPT
    due = int(await world.state.link.call("ZSCORE", world.state.keys.due(), f"t:{scope}"))
    clock = await world.state.link.call("TIME")
    assert 50_000 < due - int(clock[0]) * 1000 <= 61_000


async def test_the_restored_files_of_a_session_are_deleted_with_it(world: World) -> None:
    scope = new_id()
    world.upload(scope)
    await world.reconcile(tombstone_ms=0)

    assert await world.state.expiry.remove_tombstone(scope)

    used = await world.state.files.used_bytes(scope)
    assert (used.scope, used.total) == (0, 0)


@pytest.mark.parametrize("state", ["live", "expired"])
async def test_a_session_that_is_known_gets_its_files_back_unchanged(world: World, state: str) -> None:
    scope = new_id()
    await world.session(scope, state=state, server="s2")
    upload = world.upload(scope)

    result = await world.reconcile(servers=("s1", "s2"))

    assert result.restored_uploads == 1
    assert (await world.state.files.get(scope, upload)).server == "s2"
    assert await world.field(scope, "state") == state.encode()
    assert await world.field(scope, "principal") == b"me"


@pytest.mark.parametrize(
    "settings, restored",
    [
        ({"servers": ("s1",)}, "s1"),
        ({"servers": ("s1",), "legacy_server": "s1"}, "s1"),
        ({"servers": ("s1", "s2"), "legacy_server": "s2"}, "s2"),
        ({"servers": ("s1", "s2")}, None),
        ({"servers": ("s1",), "allow_revival": False}, None),
    ],
)
async def test_the_server_of_files_whose_session_is_unknown(
    world: World, settings: dict[str, object], restored: str | None
) -> None:
    scope = new_id()
    world.upload(scope)
    before = files_below(world.root)

    result = await world.reconcile(**settings)

    assert (result.restored_uploads, result.unattributed) == ((1, 0) if restored else (0, 1))
    assert await world.field(scope, "server") == (restored.encode() if restored else None)
    assert files_below(world.root) == before


async def test_a_session_of_a_server_that_is_not_configured_any_more_is_left(world: World) -> None:
    scope = new_id()
    await world.session(scope, server="gone")
    world.upload(scope)

    assert (await world.reconcile()).unattributed == 1


@pytest.mark.parametrize("state", ["ended", "invalidated"])
async def test_a_session_that_has_ended_gets_nothing_back(world: World, state: str) -> None:
    scope = new_id()
    await world.session(scope, state=state)
    world.upload(scope)

    result = await world.reconcile()

    assert (result.ended, result.restored_uploads) == (1, 0)
    assert await world.state.link.call("EXISTS", world.state.keys.files(scope)) == 0


async def test_a_folder_without_exactly_one_plain_file_is_left_and_counted(world: World) -> None:
    scope, outside = new_id(), world.root / "secret"
    outside.write_text("secret")
    folder = world.root / "uploads" / "sessions" / scope
    two = world.upload(scope)
    (folder / two / "second.txt").touch()
    for name in ("empty", "linked", "nested", "fifo"):
        (folder / name.ljust(22, "x")).mkdir()
    (folder / "linked".ljust(22, "x") / "a").symlink_to(outside)
    (folder / "nested".ljust(22, "x") / "a").mkdir()
    os.mkfifo(folder / "fifo".ljust(22, "x") / "a")
    (folder / "file instead of folder").touch()
    (folder / "link".ljust(22, "x")).symlink_to(outside.parent)
    (folder.parent / "short").mkdir()
    os.mkdir(os.fsencode(folder) + b"/" + b"n" * 22)
    (Path(os.fsdecode(os.fsencode(folder) + b"/" + b"n" * 22)) / os.fsdecode(b"\xff\xfe")).touch()
    for entry in folder.iterdir():
        os.utime(entry, (1, 1), follow_symlinks=False)
    before = files_below(world.root)

    result = await world.reconcile()

    assert result.ambiguous == 9
    assert (result.restored_uploads, result.restored_artifacts) == (0, 0)
    assert files_below(world.root) == before


async def test_a_file_that_somebody_writes_to_does_not_stop_the_others(world: World) -> None:
    scope, odd, stop = new_id(), new_id(), threading.Event()
    world.upload(scope)
    world.put(upload_parts(scope, odd, "a.txt"), b"x")
    path = world.root.joinpath(*upload_parts(scope, odd, "a.txt"))
    os.truncate(path, 100_000_000)
    writer = asyncio.to_thread(_grow, path, stop)

    async def one_pass() -> Reconciled:
        try:
            return await world.reconcile()
        finally:
            stop.set()

    _, result = await asyncio.gather(writer, one_pass())

    assert (result.restored_uploads, result.unreadable) == (1, 1)


def _grow(path: Path, stop: threading.Event) -> None:
    with path.open("ab", buffering=0) as file:
        while not stop.wait(0.001):
            file.write(b"x")


async def test_a_file_that_is_just_coming_in_is_its_job_s(world: World) -> None:
    scope = new_id()
    await world.session(scope)
    world.upload(scope, age_s=5)
    old = world.upload(scope, age_s=120)

    result = await world.reconcile(mode="always")

    assert result.restored_uploads == 1
    assert (await world.state.files.get(scope, old)).id == old


async def test_passes_side_by_side_restore_and_charge_once(world: World) -> None:
    scopes = [new_id() for _ in range(5)]
    for scope in scopes * 6:
        world.upload(scope, content=b"x" * 10)
        world.artifact(scope)

    results = await asyncio.gather(*(
        world.run(mode="always") for _ in range(4)
    ))

    assert len(results) == 4
    used = [await world.state.files.used_bytes(scope) for scope in scopes]
    assert [one.scope for one in used] == [6 * (10 + len(_PNG))] * 5
    assert used[0].total == 30 * (10 + len(_PNG))


async def test_a_pass_is_repeated_only_in_the_mode_always(world: World) -> None:
    await world.reconcile()
    scope = new_id()
    world.upload(scope)

    again = await world.reconcile()
    always = await world.reconcile(mode="always")

    assert again.restored_uploads == 0
    assert always.restored_uploads == 1


async def test_nothing_is_swept_before_a_redis_knows_its_storage(world: World) -> None:
    """Also when it is emptied long after the start."""
    trigger = ReconcileTrigger("if_empty", world.store, world.state.periodic)
    await trigger.trigger_at_start()

    assert not await trigger.is_reconciled()
    assert await _queued(world) == [b"test:reconcile"]
    await world.reconcile()
    assert await trigger.is_reconciled()
    await world.state.link.call("FLUSHALL")
    assert not await trigger.is_reconciled()
    assert await _queued(world) == [b"test:reconcile"]


async def _queued(world: World) -> list[bytes]:
    jobs: list[bytes] = await world.state.link.call("ZRANGE", world.state.keys.queue(), 0, -1)
    return jobs


@pytest.mark.parametrize("mode, asked", [("disabled", []), ("always", [b"test:reconcile"]), ("if_empty", [])])
async def test_a_start_enqueues_a_pass_as_the_mode_says(world: World, mode: str, asked: list[bytes]) -> None:
    await world.reconcile()
    trigger = ReconcileTrigger(mode, world.store, world.state.periodic)  # type: ignore[arg-type]

    await trigger.trigger_at_start()
    await trigger.trigger_at_start()

    assert await _queued(world) == asked
    assert await trigger.is_reconciled()


async def test_workers_that_start_on_an_empty_redis_restore_first_and_sweep_then(
    server: RedisServer, tmp_path: Path
) -> None:
    """Three processes at once: one pass, no file lost, and files without an owner are removed afterwards."""
    root = tmp_path / "root"
    async with _world(server, root) as world:
        scope = new_id()
        ids = [world.upload(scope, content=b"x" * 100) for _ in range(50)]
        with (
            worker_process(server.url, root, tmp_path, "1", "0"), worker_process(server.url, root, tmp_path, "1", "0"),
            worker_process(server.url, root, tmp_path, "1", "0"),
        ):
            await until_workers(world.state, 3)
            async with asyncio.timeout(20):
                while (last := await world.store.last()) is None or not last.finished_ms:
                    await asyncio.sleep(0.05)

            assert last.restored_uploads == 50
            assert all(await world.state.files.which_exist(scope, ids))
            assert len(files_below(root)) == 50


async def test_a_sweep_after_the_pass_keeps_the_restored_files(world: World) -> None:
    scope, nobodys = new_id(), new_id()
    upload = world.upload(scope)
    await world.session(nobodys, state="ended")
    world.upload(nobodys)
    await world.reconcile()

    await sweep.work(world.stores, Sweep())

    assert files_below(world.root) == ["/".join(upload_parts(scope, upload, "report.txt"))]


async def test_a_restored_session_is_the_operator_s_to_end(world: World) -> None:
    scope = new_id()
    world.upload(scope)
    await world.reconcile()
    state = world.state
    sessions = SessionStore(state.link, state.keys, SessionLimits())

    ended = await sessions.end(Caller(scope, "s1", ""), reason="the operator ended it")

    assert ended.upstream_id == ""
    assert (await world.state.files.used_bytes(scope)).total == 0
