"""Full storage volume: in the middle of a file, and when a received file is moved to its folder."""

import asyncio
import io
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urljoin

import pytest

from tests.fixtures.gateway import NONE, Answer, Backing, Client, Headers, backing, connected, consumer, entry
from tests.fixtures.upstreams import ScriptedUpstream

_LARGE = bytes(3_000_000)
_SMALL = b"fits"
_WAYS = ("form", "put", "tus")
_TUS = {"Tus-Resumable": "1.0.0"}


@contextmanager
def _tmpfs(place: Path) -> Iterator[None]:
    """Volume of 2 MiB and 64 files and folders; skips where mounting is not permitted."""
    place.mkdir()
    options = ["-t", "tmpfs", "-o", "size=2m,nr_inodes=64", "tmpfs", str(place)]
    try:
        mounted = subprocess.run(["mount", *options], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount command")
    if mounted.returncode:
        pytest.skip(f"a tmpfs cannot be mounted here: {mounted.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.fixture(scope="module")
def volume(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backing]:
    folder = tmp_path_factory.mktemp("volume")
    with _tmpfs(folder / "storage"), backing(folder) as made:
        yield made


@pytest.fixture
async def small(volume: Backing, upstream: ScriptedUpstream) -> AsyncIterator[tuple[Backing, Client]]:
    """Return the volume, empty before and after."""
    async with connected(volume.config(entry(upstream.url, consumer("read")))) as client:
        yield volume, client
        await client.delete()
        async with asyncio.timeout(30):
            while volume.stored():
                await asyncio.sleep(0.02)


async def _ask(client: Client, method: str, url: str, headers: Headers = NONE, body: bytes = b"") -> Answer:
    async with client.http.request(method, url, data=io.BytesIO(body) if body else None, headers=headers) as answer:
        return Answer(answer.status, dict(answer.headers), await answer.read())


async def _send(client: Client, way: str, link: str, content: bytes) -> tuple[Answer, str]:
    """Answer to the request with the bytes, and the URL of a resumable upload."""
    if way == "put":
        return await _ask(client, "PUT", link, NONE, content), ""
    if way == "form":
        head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        boundary = {"Content-Type": "multipart/form-data; boundary=x"}
        return await _ask(client, "POST", link, boundary, head + content + b"\r\n--x--\r\n"), ""
    created = await _ask(client, "POST", link, {**_TUS, "Upload-Length": str(len(content))})
    address = urljoin(link, created.headers["Location"])
    return await _patch(client, address, content), address


async def _patch(client: Client, address: str, content: bytes) -> Answer:
    headers = {**_TUS, "Content-Type": "application/offset+octet-stream", "Upload-Offset": "0"}
    return await _ask(client, "PATCH", address, headers, content)


@pytest.mark.parametrize("way", _WAYS)
async def test_a_file_that_fills_the_disk_is_refused_and_leaves_nothing(
    small: tuple[Backing, Client], way: str
) -> None:
    """A resumable upload keeps the bytes that fit, until it is terminated."""
    made, client = small
    link = await client.upload_url()

    refused, address = await _send(client, way, link, _LARGE)
    if address:
        ended = await _ask(client, "DELETE", address, _TUS)
        assert ended.status == 204

    assert (refused.status, refused.reason) == (507, "disk_full")
    assert made.stored() == []
    taken, _ = await _send(client, way, link, _SMALL)
    assert taken.status in (200, 204)
    [stored] = made.stored()
    assert (made.root / stored).read_bytes() == _SMALL


@pytest.mark.parametrize("way", _WAYS)
async def test_a_received_file_that_cannot_be_moved_is_refused_and_leaves_nothing(
    small: tuple[Backing, Client], way: str
) -> None:
    """The file fits into staging, but the folder that it would be moved to cannot be created."""
    made, client = small
    link, address, filler = await client.upload_url(), "", made.root / "filler"
    if way == "tus":
        created = await _ask(client, "POST", link, {**_TUS, "Upload-Length": str(len(_SMALL))})
        address = urljoin(link, created.headers["Location"])
    await asyncio.to_thread(_fill, filler, spare=0 if address else 1)

    refused = await _patch(client, address, _SMALL) if address else (await _send(client, way, link, _SMALL))[0]

    assert (refused.status, refused.reason) == (507, "disk_full")
    assert [name for name in made.stored() if not name.startswith("filler")] == []
    await asyncio.to_thread(_empty, filler)
    taken, _ = await _send(client, way, link, _SMALL)
    assert taken.status in (200, 204)
    [stored] = made.stored()
    assert (made.root / stored).read_bytes() == _SMALL


def _fill(folder: Path, *, spare: int) -> None:
    """Use up all inodes of the volume but for some."""
    folder.mkdir()
    made: list[Path] = []
    try:
        while True:
            path = folder / str(len(made))
            path.touch()
            made.append(path)
    except OSError:
        for path in made[:spare]:
            path.unlink()


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
