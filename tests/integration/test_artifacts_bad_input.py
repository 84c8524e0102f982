"""Outputs that tools name by mistake or malice: refused, with a reason for the client."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from longshore.shared.ids import new_id
from longshore.shared.jobs import ArtifactDone
from longshore.shared.storage.layout import artifact_parts
from longshore.storage_worker.jobs.finalise_artifact import finalise_artifact
from tests.fixtures.capture_world import CaptureWorld, injected, located, opened_capture_world
from tests.fixtures.gateway import Backing, Client, backing, connected, entry, producer
from tests.fixtures.storage import RedisServer, files_below
from tests.fixtures.upstreams import Reply, ScriptedUpstream, Seen, result, scripted

_SECRET = "root-only-secret"
_STRUCTURED = {"mode": "structured", "output_path_key": "path"}
_DOWNLOADS = {"allow_artifacts_download": True}
Make = Callable[[Path, Path], Path | None]


def _link(target: str | Path) -> Make:
    def make(place: Path, _outside: Path) -> None:
        place.symlink_to(target)

    return make


def _link_outside(place: Path, outside: Path) -> None:
    place.symlink_to(outside / "secret.txt")


def _link_to_own_neighbour(place: Path, _outside: Path) -> None:
    neighbour = place.with_name("neighbour.txt")
    neighbour.write_text(_SECRET)
    place.symlink_to(neighbour)


def _linked_folder(place: Path, outside: Path) -> Path:
    place.symlink_to(outside)
    return place / "secret.txt"


def _folder(place: Path, _outside: Path) -> None:
    place.mkdir()
    (place / "inside.txt").write_text(_SECRET)


def _fifo(place: Path, _outside: Path) -> None:
    os.mkfifo(place)


def _dots(place: Path, outside: Path) -> Path:
    return Path(f"{place.parent}/../../{outside.name}/secret.txt")


def _elsewhere(path: str) -> Make:
    return lambda _place, _outside: Path(path)


def _empty(place: Path, _outside: Path) -> None:
    place.write_bytes(b"")


def _missing(_place: Path, _outside: Path) -> None:
    return None


_BAD: dict[str, Make] = {
    "passwd": _elsewhere("/etc/passwd"),
    "a link to passwd": _link("/etc/passwd"),
    "a link outside": _link_outside,
    "a link to a neighbour": _link_to_own_neighbour,
    "a link to itself": _link("self"),
    "a linked folder": _linked_folder,
    "a folder": _folder,
    "a pipe": _fifo,
    "a device": _elsewhere("/dev/zero"),
    "a link to a device": _link("/dev/zero"),
    "a process": _elsewhere("/proc/self/environ"),
    "dots": _dots,
    "missing": _missing,
}


@pytest.fixture(scope="module")
def open_backing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backing]:
    """Start a worker with two allowed roots: a folder of the tools, and one without plain files."""
    folder = tmp_path_factory.mktemp("open")
    roots = [str(folder / "elsewhere"), "/dev"]
    policy = {"artifact_locator_policy": "allow_configured_roots", "artifact_locator_allowed_roots": roots}
    with backing(folder, storage=policy) as made:
        yield made


@pytest.fixture
async def client(shared_backing: Backing, upstream: ScriptedUpstream) -> AsyncIterator[Client]:
    adapter = producer("write", output_locator=_STRUCTURED)
    async with connected(shared_backing.config(entry(upstream.url, adapter), core=_DOWNLOADS)) as opened:
        yield opened


def _does(
    upstream: ScriptedUpstream, folder: Path, make: Make, *, at_injected: bool, below: str = "storage/tool-output"
) -> None:
    outside = folder / "outside"
    outside.mkdir(exist_ok=True)
    (outside / "secret.txt").write_text(_SECRET)

    async def behave(seen: Seen) -> Reply:
        asked = seen.params["arguments"].get("path", "")
        place = Path(asked) if at_injected else folder / below / new_id()
        place.parent.mkdir(parents=True, exist_ok=True)
        named = await asyncio.to_thread(make, place, outside) or place
        return result(seen, {"content": [], "structuredContent": {"path": str(named)}})

    upstream.behaviours["tools/call"] = behave


async def _is_refused(client: Client, root: Path) -> None:
    async with asyncio.timeout(20):
        returned = await client.call("write", {"path": "asked.txt"})
    listed = (await client.result("resources/list"))["resources"]
    async with asyncio.timeout(10):
        while any(client.session_id in name for name in files_below(root)):    # given up beside the answer
            await asyncio.sleep(0.01)

    text = returned["content"][0]["text"]
    assert returned["isError"] is True, returned
    assert returned["_meta"]["longshore/reason"] == "artifact_missing"
    assert _SECRET not in str(returned)
    assert "root:" not in str(returned)
    assert str(root.parent) not in text
    assert listed == []


@pytest.mark.parametrize(
    ("kind", "at_injected"),
    # A plain neighbour of the injected path is the tool's own to give.
    [(kind, where) for kind in _BAD for where in (True, False) if not (where and kind == "a link to a neighbour")],
)
async def test_a_refused_output_gives_its_reason_and_leaves_nothing(
    shared_backing: Backing, client: Client, upstream: ScriptedUpstream, kind: str, at_injected: bool
) -> None:
    _does(upstream, shared_backing.folder, _BAD[kind], at_injected=at_injected)

    await _is_refused(client, shared_backing.root)


@pytest.mark.parametrize("kind", ["a link outside", "a linked folder", "a folder", "a pipe", "a device", "missing"])
async def test_only_plain_files_are_taken_from_allowed_roots(open_backing: Backing, kind: str) -> None:
    async with scripted("write") as upstream:
        adapter = producer("write", None, output_locator=_STRUCTURED)
        async with connected(open_backing.config(entry(upstream.url, adapter))) as client:
            _does(upstream, open_backing.folder, _BAD[kind], at_injected=False, below="elsewhere")
            await _is_refused(client, open_backing.root)


async def test_a_file_in_an_allowed_root_is_copied(open_backing: Backing) -> None:
    made = open_backing.folder / "elsewhere" / "made.txt"
    made.parent.mkdir(exist_ok=True)

    async def behave(seen: Seen) -> Reply:
        await asyncio.to_thread(made.write_text, "made")
        return result(seen, {"content": [], "structuredContent": {"path": str(made)}})

    async with scripted("write") as upstream:
        upstream.behaviours["tools/call"] = behave
        adapter = producer("write", None, output_locator=_STRUCTURED)
        async with connected(open_backing.config(entry(upstream.url, adapter))) as client:
            returned = await client.call("write")

    assert returned["_meta"]["artifact"]["filename"] == "made.txt"
    assert made.read_text() == "made"


async def test_an_empty_file_is_an_artifact(
    shared_backing: Backing, client: Client, upstream: ScriptedUpstream
) -> None:
    _does(upstream, shared_backing.folder, _empty, at_injected=True)

    artifact = (await client.call("write", {"path": "empty.txt"}))["_meta"]["artifact"]
    (content,) = (await client.result("resources/read", {"uri": artifact["artifact_uri"]}))["contents"]
    async with client.http.get(artifact["download_url"]) as answer:
        downloaded = await answer.read()

    assert (artifact["size_bytes"], content["text"], downloaded) == (0, "", b"")


@contextmanager
def _swapping(place: Path, target: Path) -> Iterator[None]:
    """Keep swapping the file or folder at `place` with a link to `target`."""
    aside = target.parent / "aside"      # on the same volume
    aside.mkdir()
    link, other = aside / "link", aside / "other"
    link.symlink_to(target)
    ends = threading.Event()

    def swap() -> None:
        with suppress(FileNotFoundError):    # the worker gave the whole folder up
            while not ends.is_set():
                os.rename(place, other)
                os.rename(link, place)
                os.rename(place, link)
                os.rename(other, place)

    swapper = threading.Thread(target=swap)
    swapper.start()
    try:
        yield
    finally:
        ends.set()
        swapper.join()


@pytest.fixture
async def world(server: RedisServer, tmp_path: Path) -> AsyncIterator[CaptureWorld]:
    async with opened_capture_world(server.address, tmp_path) as made:
        yield made


@pytest.mark.parametrize("what", ["file", "folder"])
async def test_a_path_swapped_between_check_and_open_is_refused(
    world: CaptureWorld, tmp_path: Path, what: str
) -> None:
    """A hundred captures while the file, or its folder, is swapped with a link that leads outside."""
    outside, inside = tmp_path / "outside", world.root / "out"
    for folder, text in ((outside, _SECRET), (inside, "mine")):
        folder.mkdir()
        (folder / "made.txt").write_text(text)
    swapped = (inside / "made.txt", outside / "made.txt") if what == "file" else (inside, outside)
    captured: dict[Any, int] = {}

    with _swapping(*swapped):
        for _ in range(100):
            order = world.order(located(inside / "made.txt", new_id()))
            outcome = await finalise_artifact.work(world.stores, order)
            found = world.stored(outcome.record).decode() if isinstance(outcome, ArtifactDone) else None
            captured[found] = captured.get(found, 0) + 1

    assert set(captured) <= {"mine", None}, captured
    kept = captured.get("mine", 0)
    assert len(files_below(world.root)) == len(await world.state.files.list_artifacts(world.scope)) == kept


async def test_an_injected_path_swapped_during_the_call_is_refused(world: CaptureWorld, tmp_path: Path) -> None:
    for number in range(20):
        call = replace(world, artifact_id=new_id())
        (secret := tmp_path / f"{number}" / "secret.txt").parent.mkdir()
        secret.write_text(_SECRET)
        await call.stores.blobs.make_folder(artifact_parts(call.scope, call.artifact_id, "x")[:-1])
        (call.folder / "shot.txt").write_text("mine")

        with _swapping(call.folder / "shot.txt", secret):
            outcome = await finalise_artifact.work(call.stores, call.order(injected(call, "shot.txt"), spare_ids=3))

        if isinstance(outcome, ArtifactDone):
            assert {record.size_bytes for record in (outcome.record, *outcome.more)} == {len("mine")}
        else:    # what is moved in after the folder was given up stays the tool's
            assert await call.state.files.which_exist(call.scope, [call.artifact_id]) == [False]
