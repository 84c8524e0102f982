"""A crash at every step of capturing the files of one call.

The steps are what a worker says to Redis; what it does to files is between two of these. Whatever dies at whichever of
them: afterwards all of the files are there, whole and with their records, or none is.
"""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from longshore.shared.errors import DiskFull, LongshoreError
from longshore.shared.ids import new_id
from longshore.shared.jobs import ArtifactDone, Candidate, FinaliseArtifact, Outcome
from longshore.shared.storage.layout import artifact_parts, parts_of, staging_parts
from longshore.storage_worker.jobs.finalise_artifact import finalise_artifact
from tests.fixtures.capture_world import CaptureWorld, injected, located, opened_capture_world
from tests.fixtures.crashes import Deployment, Sent, deployment
from tests.fixtures.storage import RedisServer, files_below, opened_queue

_AFTERWARDS_S = 5.0
Step = tuple[str, int, bool]     # a command's name, which one of these, whether Redis has run it

pytestmark = pytest.mark.timeout(240)    # many crashes each


@pytest.fixture
async def made(tmp_path: Path) -> AsyncIterator[Deployment]:
    async with deployment(tmp_path) as running:
        yield running


@dataclass
class _Call:
    """A call that has written its files, and the order of the gateway for them."""

    order: FinaliseArtifact
    contents: list[bytes] = field(default_factory=list)

    @property
    def digests(self) -> list[str]:
        return sorted(hashlib.sha256(content).hexdigest() for content in self.contents)


async def _beside(made: Deployment) -> _Call:
    """Files of a call: one at the injected path, two beside it, and one that the tool names elsewhere."""
    call = await _call(made)
    folder = made.world.root.joinpath(*artifact_parts(call.order.scope, call.order.artifact_id, "x")).parent
    folder.mkdir(parents=True)
    elsewhere = made.world.root / "out" / f"{new_id()}.bin"
    elsewhere.parent.mkdir(exist_ok=True)
    for place, content in zip((folder / "a", folder / "b", folder / "c", elsewhere), call.contents, strict=True):
        place.write_bytes(content)
    call.order.candidates.extend([
        Candidate(source="injected", path=str(folder / "a"), name="a"),
        Candidate(source="located", path=str(elsewhere), name="d", artifact_id=new_id(), is_sure=True),
    ])
    return call


async def _embedded(made: Deployment) -> _Call:
    """Four that a gateway has staged."""
    call = await _call(made)
    for content in call.contents:
        staged = f"{new_id()}.embedded"
        made.world.root.joinpath(*staging_parts(staged)).write_bytes(content)
        call.order.candidates.append(Candidate(source="staged", path=staged, name="x", artifact_id=new_id()))
    return call


async def _call(made: Deployment) -> _Call:
    scope, artifact_id = await made.world.state.open_session(), new_id()
    made.sent.append(Sent(scope, "", "", []))
    await made.world.state.files.allocate_pending(scope, artifact_id, grace_ms=600_000)
    order = FinaliseArtifact(
        scope=scope, server="s1", artifact_id=artifact_id, tool="shoot", candidates=[], not_before_ns=0, expose=True,
        spare_ids=[new_id() for _ in range(5)],
    )
    return _Call(order, [os.urandom(20_000 + size) for size in range(4)])


_KINDS: dict[str, Callable[[Deployment], Awaitable[_Call]]] = {"beside": _beside, "embedded": _embedded}


async def _run(made: Deployment, call: _Call, timeout_s: float = 60) -> Outcome | LongshoreError:
    async with opened_queue(made.world.state) as queue:
        try:
            return await queue.run(call.order, timeout_s=timeout_s)
        except LongshoreError as err:
            return err


async def _is_there(made: Deployment, call: _Call) -> bool:
    """True if all files are visible, complete and counted; false if none is visible."""
    records = await made.records(call.order.scope)
    for record in records:
        content = made.world.root.joinpath(*parts_of(record)).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (record.size_bytes, record.sha256)
    assert sorted(record.sha256 for record in records) in ([], call.digests)
    assert (await made.world.state.files.used_bytes(call.order.scope)).scope == sum(r.size_bytes for r in records)
    return bool(records)


async def _steps(made: Deployment, kind: str) -> list[Step]:
    """Commands of a worker to Redis for a successful call, each as it is sent and as it is answered."""
    await made.start("worker")
    made.steps["worker"].seen.clear()
    call = await _KINDS[kind](made)
    assert isinstance(await _run(made, call), ArtifactDone)
    await made.settle()
    assert await _is_there(made, call)
    seen = list(made.steps["worker"].seen)
    assert "commit_files" in seen
    named = [(name, seen[:at + 1].count(name)) for at, name in enumerate(seen)]
    return [(name, nth, is_after) for name, nth in named for is_after in (False, True)]


async def _broken_at(
    made: Deployment, kind: str, step: Step, breaks: Callable[[], Awaitable[None]], timeout_s: float = 60
) -> tuple[_Call, Outcome | LongshoreError] | None:
    """A call whose capture is interrupted at this step; None if it never got there."""
    name, nth, is_after = step
    call = await _KINDS[kind](made)
    stop = made.steps["worker"].stop_at(name, nth, is_after=is_after)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(_run(made, call, timeout_s))
        reached = group.create_task(stop.reached.wait())
        await asyncio.wait([running, reached], return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait([reached], timeout=_AFTERWARDS_S)
        made.steps["worker"].stop = None
        if reached.cancel():
            return None
        await breaks()
        stop.over.set()
        await made.settle()
        outcome = await running
    return call, outcome


@pytest.mark.parametrize("kind", ["beside", pytest.param("embedded", marks=pytest.mark.slow)])
async def test_another_worker_finishes_a_capture_that_was_killed_at_any_step(made: Deployment, kind: str) -> None:
    """The caller gets the usual answer."""
    broken = [
        await _broken_at(made, kind, step, lambda: made.replace("worker")) for step in await _steps(made, kind)
    ]

    for call, outcome in (found for found in broken if found is not None):
        assert isinstance(outcome, ArtifactDone), outcome
        assert {outcome.record.scope, *(record.scope for record in outcome.more)} == {call.order.scope}
        assert await _is_there(made, call)
    assert broken.count(None) <= len(broken) // 4
    await made.leaves_nothing_else()


@pytest.mark.parametrize("kind", _KINDS)
async def test_redis_that_is_killed_at_any_step_leaves_all_or_nothing(made: Deployment, kind: str) -> None:
    """A caller whose outcome was lost with what Redis had not written yet learns so in the end."""
    broken = [await _broken_at(made, kind, step, made.replace_redis, 15) for step in await _steps(made, kind)]

    for call, outcome in (found for found in broken if found is not None):
        assert await _is_there(made, call) or not isinstance(outcome, ArtifactDone)
    assert broken.count(None) <= len(broken) // 4
    await made.leaves_nothing_else()


@pytest.fixture
async def small(server: RedisServer, tmp_path: Path) -> AsyncIterator[CaptureWorld]:
    """A world on a volume of 512 KiB."""
    root = tmp_path / "root"
    root.mkdir()
    mounting = await asyncio.create_subprocess_exec(
        "mount", "-t", "tmpfs", "-o", "size=512k", "none", root, stderr=asyncio.subprocess.DEVNULL
    )
    if await mounting.wait():
        pytest.skip("only root may mount")
    try:
        async with opened_capture_world(server.address, tmp_path, artifact_policy="allow_configured_roots") as made:
            yield made
    finally:
        await (await asyncio.create_subprocess_exec("umount", "-l", root)).wait()


@pytest.mark.parametrize("sizes", [(2_000_000,), (100_000, 2_000_000), (2_000_000, 100_000)])
async def test_a_full_volume_keeps_nothing(small: CaptureWorld, sizes: tuple[int, ...]) -> None:
    """Neither part of a file nor some of several; the tool's own files stay. A retry succeeds once there is room."""
    order, made = small.order(injected(small, "missing"), spare_ids=3), []
    for size in sizes:
        made.append(small.allowed / f"{size}.bin")
        made[-1].write_bytes(os.urandom(size))
        order.candidates.append(located(made[-1], new_id()))

    with pytest.raises(DiskFull):
        await finalise_artifact.work(small.stores, order)
    left = files_below(small.root)
    made[sizes.index(2_000_000)].write_bytes(b"small now")
    again = await finalise_artifact.work(small.stores, order)

    assert isinstance(again, ArtifactDone)
    assert len(again.more) == len(sizes) - 1
    assert left == []
    assert [name for name in files_below(small.root) if name.startswith("staging/")] == []
    assert all(path.exists() for path in made)
