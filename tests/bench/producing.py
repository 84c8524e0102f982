"""Cost of a captured file to a call, and of 1 MiB read as a resource, beside a server that answers with it itself."""

import asyncio
import base64
import functools
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web

from longshore.shared.clock import monotonic_s
from tests.bench import cpu
from tests.bench.files_stand import FilesStand, files_stand
from tests.bench.report import Report, middle
from tests.bench.rounds import ratio
from tests.fixtures.gateway import ACCEPT, producer
from tests.fixtures.upstreams import Reply, Seen, result

_KIB = 1024
_MIB = 1024 * 1024
_SMALL = os.urandom(4 * _KIB)
_TEXT = "".join(f"line {n} of a log\n" for n in range(_MIB))[:_MIB]
_BLOB = os.urandom(_MIB)
_STRUCTURED = {"mode": "structured", "output_path_key": "saved"}
_CALLS = {
    "plain": "a call that the gateway passes on", "write": "one file at the injected path",
    "locate": "one file that the result names", "embed": "one file within the result",
    "several": "five files beside the injected path",
}
_ONE_FILE = ("write", "locate", "embed")
_ADAPTERS = (
    producer("write"), producer("several"), producer("locate", None, output_locator=_STRUCTURED),
    producer("embed", None, output_locator={"mode": "embedded"}),
)

Ask = Callable[[], Awaitable[int]]    # bytes that came


async def measure(*, rounds: int, seconds: float) -> Report:
    """One client, one request at a time; every way a round, back and forth."""
    columns = ("what", "p50 ms", "above plain, ms", "to direct", "goal")
    report = Report("producing", "files of 4 KiB out of calls, and 1 MiB read as a resource; one at a time", columns)
    async with files_stand(*_ADAPTERS) as made:
        made.upstream.behaviours |= {
            "tools/call": functools.partial(_works, made.folder),
            "resources/read": functools.partial(_answers, made.folder),
        }
        started_s, busy_s, ours_s = monotonic_s(), cpu.busy_s(), cpu.ours_s()
        calls = await _timed({tool: _call(made, tool) for tool in _CALLS}, rounds=rounds, seconds=seconds)
        reads = await _timed(await _reads(made), rounds=rounds, seconds=seconds)
        foreign = (cpu.busy_s() - busy_s - cpu.ours_s() + ours_s) / (monotonic_s() - started_s)
    for tool, what in _CALLS.items():
        above = None if tool == "plain" else calls[tool] - calls["plain"]
        report.rows.append((what, calls[tool], above, None, "≤ 5" if tool in _ONE_FILE else None))
    for name, p50_ms in reads.items():
        kind = name.split(",")[0]
        to_direct = ratio(p50_ms, reads[f"{kind}, direct"])
        report.rows.append((name, p50_ms, None, to_direct, "≤ 2" if name.endswith("artifact") else None))
    report.notes.append(f"other processes took {foreign:.2f} of {cpu.CORES} cores meanwhile")
    return report


async def _timed(ways: dict[str, Ask], *, rounds: int, seconds: float) -> dict[str, float]:
    """The median of the medians of each way, in ms."""
    medians: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds):
        for name in list(ways)[::1 if number % 2 == 0 else -1]:
            times_ms: list[float] = []
            ends_s = monotonic_s() + seconds
            while monotonic_s() < ends_s:
                begun_s = monotonic_s()
                await ways[name]()
                times_ms.append((monotonic_s() - begun_s) * 1000)
            medians[name].append(middle(times_ms))
    return {name: middle(found) for name, found in medians.items()}


async def _works(folder: Path, seen: Seen) -> Reply:
    """Each tool writes its files, the plain one too: what that costs is the tool's."""
    tool, asked = seen.params["name"], seen.params.get("arguments", {}).get("path", "")
    place = Path(asked) if tool in ("write", "several") else folder / "storage" / f"{tool}.bin"
    said: dict[str, Any] = {"content": [{"type": "text", "text": "done"}]}
    if tool == "embed":
        image = {"type": "image", "data": base64.b64encode(_SMALL).decode(), "mimeType": "image/png"}
        return result(seen, {"content": [image]})
    for name in [place.name, *(f"{n}.bin" for n in range(4 if tool == "several" else 0))]:
        await asyncio.to_thread(place.with_name(name).write_bytes, _SMALL)
    return result(seen, {**said, "structuredContent": {"saved": str(place)}} if tool == "locate" else said)


async def _answers(folder: Path, seen: Seen) -> Reply:
    """The server's own way with the same file: read and put into JSON each time, or, `kept`, answered from memory."""
    kind, way = seen.params["uri"].rsplit("/", 2)[-2:]
    if way == "kept":
        contents = _kept(folder, kind)
    else:
        contents = _contents(await asyncio.to_thread(_file(folder, kind).read_bytes), kind)
    body = b'{"jsonrpc":"2.0","id":%s,"result":%s}' % (msgspec.json.encode(seen.message["id"]), contents)
    return web.Response(body=body, content_type="application/json")


def _file(folder: Path, kind: str) -> Path:
    return folder / "storage" / f"made.{'txt' if kind == 'text' else 'bin'}"


@functools.cache
def _kept(folder: Path, kind: str) -> bytes:
    return _contents(_file(folder, kind).read_bytes(), kind)


def _contents(content: bytes, kind: str) -> bytes:
    held = {"text": content.decode()} if kind == "text" else {"blob": base64.b64encode(content).decode()}
    return msgspec.json.encode({"contents": [{"uri": f"memo://{kind}", "mimeType": "x/y", **held}]})


def _call(made: FilesStand, tool: str) -> Ask:
    async def ask() -> int:
        answer = await made.client.request("tools/call", {"name": tool, "arguments": {"path": "out.bin"}})
        if answer.status != 200 or b'"isError"' in answer.body:
            raise RuntimeError(f"a call of {tool} failed: {answer.body!r}")
        return len(answer.body)

    return ask


async def _reads(made: FilesStand) -> dict[str, Ask]:
    """Each kind of 1 MiB: from the server directly, through the gateway, and as an artifact."""
    ways: dict[str, Ask] = {}
    for kind, content in (("text", _TEXT.encode()), ("blob", _BLOB)):
        uri = await _artifact(made, _file(made.folder, kind), content)
        direct, gateway = made.upstream.url, made.client.base + made.client.mount
        for way, url, named in (
            ("direct", direct, f"memo://{kind}/read"), ("direct from memory", direct, f"memo://{kind}/kept"),
            ("passed on from memory", gateway, f"memo://{kind}/kept"), ("an artifact", gateway, uri),
        ):
            ways[f"{kind}, {way}"] = _read(made, url, named)
    return ways


async def _artifact(made: FilesStand, place: Path, content: bytes) -> str:
    async def writes(seen: Seen) -> Reply:
        await asyncio.to_thread(place.write_bytes, content)
        return result(seen, {"content": [], "structuredContent": {"saved": str(place)}})

    works = made.upstream.behaviours["tools/call"]
    made.upstream.behaviours["tools/call"] = writes
    said = await made.client.call("locate")
    made.upstream.behaviours["tools/call"] = works
    uri: str = said["_meta"]["artifact"]["artifact_uri"]
    return uri


def _read(made: FilesStand, url: str, uri: str) -> Ask:
    message = {"jsonrpc": "2.0", "id": 1, "method": "resources/read", "params": {"uri": uri}}
    headers = {**ACCEPT, "Content-Type": "application/json", **made.client.headers()}
    body = msgspec.json.encode(message)

    async def ask() -> int:
        async with made.client.http.post(url, data=body, headers=headers) as answer:
            came = await answer.read()
        if answer.status != 200 or len(came) < _MIB:
            raise RuntimeError(f"a resource was answered with {answer.status} and {len(came)} bytes")
        return len(came)

    return ask
