"""A Redis and a storage volume with so many live sessions, each of which has an upload and an artifact."""

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from longshore.shared.ids import new_id, new_session_id
from longshore.shared.records import ArtifactRecord, FileRecord, UploadRecord
from longshore.shared.state.sessions import Caller, SessionLimits, SessionStart, SessionStore
from longshore.shared.storage.layout import folder_of, parts_of
from tests.fixtures.storage import RedisServer, redis_server
from tests.fixtures.world import World, opened_world

LIMITS = SessionLimits(idle_ttl_ms=3_600_000, max_in_flight=8, max_active=1_000_000)
_AT_ONCE = 200
_INIT_PARAMS = (
    b'{"protocolVersion":"2025-11-25","capabilities":{"sampling":{},"elicitation":{},"roots":{"listChanged":true}},'
    b'"clientInfo":{"name":"a-client-of-usual-size","title":"A client of usual size","version":"1.2.3"}}'
)


@dataclass(frozen=True)
class Populated:
    """State that a bench measures at."""

    server: RedisServer
    world: World
    sessions: SessionStore
    callers: list[Caller]
    bytes_each: float        # of Redis' memory, for each session with its files


async def populated(stack: AsyncExitStack, folder: Path, size: int) -> Populated:
    """Create `size` sessions as gateways and workers do, with their (empty) files below `folder`."""
    server = stack.enter_context(redis_server())
    world = await stack.enter_async_context(opened_world(server.address, folder / str(size)))
    sessions = SessionStore(world.state.link, world.state.keys, LIMITS)
    before = await used_memory(world)
    callers: list[Caller] = []
    while len(callers) < size:
        callers += await asyncio.gather(*(_session(world, sessions) for _ in range(min(_AT_ONCE, size - len(callers)))))
    return Populated(server, world, sessions, callers, (await used_memory(world) - before) / size)


async def _session(world: World, sessions: SessionStore) -> Caller:
    session_id, principal = new_session_id(), f"anonymous@{new_id()}"
    await sessions.create(SessionStart(
        session_id=session_id, server="playwright", principal=principal, upstream_id=new_id(), protocol="2025-11-25",
        flags="trpls", init_params=_INIT_PARAMS, callers_scope=f"c{new_session_id()}",
    ))
    records: list[FileRecord] = [upload(session_id), artifact(session_id)]
    await asyncio.to_thread(make_files, world.root, records)
    await world.state.files.commit(session_id, records)
    caller, lease = Caller(session_id, "playwright", principal), new_id()
    _ = await sessions.open_call(caller, lease=lease)  # the first call of a session is another matter than the next
    sessions.release_call(session_id, lease)
    return caller


def upload(scope: str) -> UploadRecord:
    """A record of usual size, of an empty file."""
    return UploadRecord(
        id=new_id(), scope=scope, server="playwright", name="quarterly report.pdf", stored_name="quarterly report.pdf",
        media_type="application/pdf", size_bytes=0, sha256="e3" * 32, created_ms=1_795_000_000_000,
    )


def artifact(scope: str) -> ArtifactRecord:
    """Likewise."""
    return ArtifactRecord(
        id=new_id(), scope=scope, server="playwright", name="page-of-interest.png", stored_name="page-of-interest.png",
        media_type="image/png", size_bytes=0, sha256="e3" * 32, created_ms=1_795_000_000_000,
        source_tool="browser_take_screenshot",
    )


def make_files(root: Path, records: Sequence[FileRecord]) -> None:
    """The files of `records`, empty."""
    for record in records:
        root.joinpath(*folder_of(record)).mkdir(parents=True)
        root.joinpath(*parts_of(record)).touch()


async def used_memory(world: World) -> int:
    """Bytes that Redis uses for data."""
    return int(_field(await world.state.link.call("INFO", "memory"), "used_memory"))


async def script_us(world: World) -> tuple[int, float]:
    """Calls of scripts since the last reset, and the time in µs that Redis took for one."""
    stats = await world.state.link.call("INFO", "commandstats")
    fields = dict(part.split("=") for part in _field(stats, "cmdstat_evalsha").split(","))
    return int(fields["calls"]), float(fields["usec_per_call"])


def _field(info: bytes, name: str) -> str:
    lines: Iterable[str] = (line for line in info.decode().splitlines() if line.startswith(f"{name}:"))
    return next(islice(lines, 1)).partition(":")[2]
