"""Crashes at every step of an upload between its first byte and its record.

The steps are the commands that a gateway and a worker send to Redis in an undisturbed upload; their work on files lies
between two of these. After a crash of any process at any step, the files are there, whole and with their records, or
nothing is.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Literal

import aiohttp
import pytest

from tests.fixtures.crashes import Deployment, Sent, deployment
from tests.fixtures.forked import Kind

_SIZES = {"form": (70_000, 1), "put": (70_000,), "tus": (70_000,)}
_LARGE = 6_000_000
_AFTERWARDS_S = 5.0          # when somebody has had his answer, others have said what they say then
_TUS = {"Tus-Resumable": "1.0.0"}
_BYTES = {**_TUS, "Content-Type": "application/offset+octet-stream"}


Step = tuple[Kind, str, int, bool]    # whose command, its name, which one of these, whether Redis has run it

pytestmark = pytest.mark.timeout(240)    # many crashes each


@pytest.fixture
async def made(tmp_path: Path) -> AsyncIterator[Deployment]:
    async with deployment(tmp_path) as running:
        yield running


async def _form(made: Deployment, sent: Sent) -> None:
    await _send(made, sent, _form_of(sent.contents))


async def _put(made: Deployment, sent: Sent) -> None:
    await _send(made, sent, sent.contents[0])


def _form_of(contents: list[bytes]) -> bytes:
    parts = [
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="%d.bin"\r\n\r\n%b\r\n' % (number, content)
        for number, content in enumerate(contents)
    ]
    return b"".join([*parts, b"--x--\r\n"])


async def _send(made: Deployment, sent: Sent, body: bytes | AsyncIterator[bytes]) -> None:
    """Send one request: a form for two files, else a PUT."""
    if len(sent.contents) > 1:
        await made.ask(sent, "POST", sent.link, body=body, headers={"Content-Type": "multipart/form-data; boundary=x"})
    else:
        await made.ask(sent, "PUT", sent.link, body=body)


async def _tus(made: Deployment, sent: Sent) -> None:
    """Create a tus upload and send each half of its bytes; stops at the first request that fails."""
    [content] = sent.contents
    created = await made.ask(sent, "POST", sent.link, headers={**_TUS, "Upload-Length": str(len(content))})
    if created is None or created.status != 201:
        return
    sent.address = _address(created)
    for start in (0, len(content) // 2):
        if sent.statuses[-1] < 300:
            end = len(content) if start else len(content) // 2
            headers = {**_BYTES, "Upload-Offset": str(start)}
            await made.ask(sent, "PATCH", sent.address, body=content[start:end], headers=headers)


_WAYS: dict[str, Callable[[Deployment, Sent], Coroutine[None, None, None]]] = {"form": _form, "put": _put, "tus": _tus}


def _address(created: aiohttp.ClientResponse | None) -> str:
    assert created is not None
    return f"/upload/{created.headers['Location']}"


async def _continue(made: Deployment, sent: Sent) -> None:
    """Continue an upload as a tus client does after a failure, until its file is complete or the upload has gone."""
    if not sent.address:
        return
    async with asyncio.timeout(40):
        while (asked := await made.ask(sent, "HEAD", sent.address, headers=_TUS)) is None or asked.status != 404:
            offset = int(asked.headers.get("Upload-Offset", 0)) if asked is not None else 0
            if asked is not None and asked.status == 200:
                if offset == len(sent.contents[0]):
                    return
                headers = {**_BYTES, "Upload-Offset": str(offset)}
                await made.ask(sent, "PATCH", sent.address, body=sent.contents[0][offset:], headers=headers)
            await made.writers_lapse(sent)


async def _steps(made: Deployment, way: str, *kinds: Kind) -> list[Step]:
    """List the commands that these processes send to Redis in an undisturbed upload, before and after each answer.

    A worker and a gateway run afterwards.
    """
    for kind in made.steps:
        await made.start(kind)
        made.steps[kind].seen.clear()
    sent = await made.upload(*_SIZES[way])
    await _WAYS[way](made, sent)
    await made.settle()
    assert await made.is_there(sent)
    found = list[Step]()
    for kind in kinds:
        seen = made.steps[kind].seen
        assert {"gateway": "enqueue", "worker": "commit_files"}[kind] in seen
        named = [(name, seen[:at + 1].count(name)) for at, name in enumerate(seen)]
        found += [(kind, name, nth, is_after) for name, nth in named for is_after in (False, True)]
    return found


async def _crash_at(
    made: Deployment, way: str, step: Step, breaks: Callable[[], Awaitable[None]]
) -> Sent | None:
    """Run an upload with a crash at this step; returns None when the step was not reached, as on a slow machine, where
    a command may be repeated."""
    kind, name, nth, is_after = step
    stop, sent = made.steps[kind].stop_at(name, nth, is_after=is_after), await made.upload(*_SIZES[way])
    async with asyncio.TaskGroup() as group:
        sending = group.create_task(_WAYS[way](made, sent))
        reached = group.create_task(stop.reached.wait())
        await asyncio.wait([sending, reached], return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait([reached], timeout=_AFTERWARDS_S)
        made.steps[kind].stop = None
        if reached.cancel():
            return None
        await breaks()
        stop.over.set()
        await made.settle()
    return sent


def _most_reached(broken: list[Sent | None]) -> bool:
    """Return True if most steps were reached."""
    return broken.count(None) <= len(broken) // 4


@pytest.mark.parametrize("way", _WAYS)
async def test_a_gateway_that_is_killed_at_any_step_leaves_all_or_nothing(made: Deployment, way: str) -> None:
    """Another gateway continues a resumable upload."""
    broken = list[Sent | None]()
    for step in await _steps(made, way, "gateway"):
        broken.append(sent := await _crash_at(made, way, step, lambda: made.replace("gateway")))
        if sent is None:
            continue

        await made.writers_lapse(sent)
        await _continue(made, sent)
        is_there = await made.is_there(sent)
        assert is_there or not sent.address, step
        await made.link_is_right(sent, is_there=is_there)
        assert await made.reserved(sent.scope) <= (not is_there), step
    assert _most_reached(broken)
    await made.leaves_nothing_else()


@pytest.mark.parametrize("way", [pytest.param("form", marks=pytest.mark.slow), "put", "tus"])
async def test_another_worker_finishes_after_a_kill_at_any_step(made: Deployment, way: str) -> None:
    """The client receives its answer all the same."""
    broken = list[Sent | None]()
    for step in await _steps(made, way, "worker"):
        broken.append(sent := await _crash_at(made, way, step, lambda: made.replace("worker")))
        if sent is None:
            continue

        assert sent.statuses[-1] in (200, 204), (step, sent.statuses)
        assert await made.is_there(sent), step
        await made.link_is_right(sent, is_there=True)
        await made.reservations_end(sent)
    assert _most_reached(broken)
    await made.leaves_nothing_else()


@pytest.mark.parametrize("way", [pytest.param("form", marks=pytest.mark.slow), "put", "tus"])
async def test_redis_that_is_killed_at_any_step_leaves_all_or_nothing(made: Deployment, way: str) -> None:
    """Redis starts again from its append-only file; all processes reconnect, and a tus client continues."""
    broken = list[Sent | None]()
    for step in await _steps(made, way, "gateway", "worker"):
        broken.append(sent := await _crash_at(made, way, step, made.replace_redis))
        if sent is None:
            continue

        await _continue(made, sent)
        is_there = await made.is_there(sent)
        assert is_there or not (sent.address or sent.statuses[-1] == 200), (step, sent.statuses)
        if step[1] == "spend_grant":     # the files are there: all that is left is to note so
            assert sent.statuses[-1] == 200, step
        await made.link_is_right(sent, is_there=is_there)
        assert await made.reserved(sent.scope) <= (not is_there), step    # what cannot be given back lapses
    assert _most_reached(broken)
    await made.leaves_nothing_else()


@pytest.mark.parametrize("victim", ["gateway", "redis"])
@pytest.mark.parametrize("way", _WAYS)
async def test_a_crash_in_the_middle_of_a_body_leaves_all_or_nothing(
    made: Deployment, way: str, victim: Literal["gateway", "redis"]
) -> None:
    """Some bytes were received and written, and others were not."""
    for kind in made.steps:
        await made.start(kind)
    sent, broken = await made.upload(*(_LARGE for _ in _SIZES[way])), asyncio.Event()
    body = _form_of(sent.contents) if way == "form" else sent.contents[0]

    async def stalling() -> AsyncIterator[bytes]:
        yield body[:_LARGE - 1]
        await broken.wait()
        yield body[_LARGE - 1:]

    async with asyncio.TaskGroup() as group:
        if way == "tus":
            headers = {**_TUS, "Upload-Length": str(_LARGE)}
            sent.address = _address(await made.ask(sent, "POST", sent.link, headers=headers))
            headers = {**_BYTES, "Upload-Offset": "0"}
            _ = group.create_task(made.ask(sent, "PATCH", sent.address, body=stalling(), headers=headers))
        else:
            _ = group.create_task(_send(made, sent, stalling()))
        async with asyncio.timeout(30):
            while not any(path.stat().st_size > _LARGE // 4 for path in (made.world.root / "staging").iterdir()):
                await asyncio.sleep(0.01)
        await (made.replace_redis() if victim == "redis" else made.replace("gateway"))
        broken.set()
    await made.settle()
    await made.writers_lapse(sent)
    await _continue(made, sent)

    is_there = await made.is_there(sent)
    assert is_there == (way == "tus" or sent.statuses[-1] == 200), sent.statuses
    await made.link_is_right(sent, is_there=is_there)
    assert await made.reserved(sent.scope) <= (not is_there)
    await made.leaves_nothing_else()
