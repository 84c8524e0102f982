"""A crowd of clients, workers and clocks over one Redis and one volume, and what must hold whenever they rest."""

import asyncio
import contextlib
import dataclasses
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from longshore.shared.errors import NotFound, OverQuota, SessionGone, TooMany
from longshore.shared.ids import new_id, new_session_id
from longshore.shared.jobs import Candidate, FinaliseArtifact, FinaliseUpload
from longshore.shared.records import ArtifactRecord, FileRecord, decode_file
from longshore.shared.redis.address import RedisAddress
from longshore.shared.state.expiry import ExpiryStore
from longshore.shared.state.quota import FileLimits
from longshore.shared.state.reservations import ReservationStore
from longshore.shared.state.sessions import Caller, SessionLimits, SessionStart, SessionStore
from longshore.shared.storage.layout import artifact_parts, parts_of
from longshore.storage_worker.jobs.finalise_artifact import finalise_artifact
from longshore.storage_worker.jobs.finalise_upload import finalise_upload
from tests.fixtures.storage import files_below, upload_order
from tests.fixtures.world import World, age, opened_world

MINUTE_MS = 60_000
SESSIONS = SessionLimits(
    max_active=4, max_in_flight=3, idle_ttl_ms=10 * MINUTE_MS, tombstone_ttl_ms=20 * MINUTE_MS, lease_ms=MINUTE_MS
)
FILES = FileLimits(  # an upload ends before the lease of a call that uses it, an artifact with its session
    upload_ttl_ms=MINUTE_MS // 3, artifact_ttl_ms=0, session_bytes=1000, total_bytes=2500, session_artifacts=3,
    lease_ms=MINUTE_MS,
)
_EXPECTED = (SessionGone, TooMany, OverQuota, NotFound)
_SLACK_MS = 20_000           # of a lease, for the time that the test itself takes

_ADVANCE = """
for _, key in ipairs(redis.call('KEYS', ARGV[1] .. ':*')) do
  local kind = string.match(string.sub(key, #ARGV[1] + 2), '^[^:]+')
  if kind == 'due' or kind == 'ends' or kind == 'leases' or kind == 'streams' or kind == 'uses'
    or kind == 'dropped' or kind == 'reserved' or kind == 'reserved_total' then
    local members = redis.call('ZRANGE', key, 0, -1)
    for _, member in ipairs(members) do redis.call('ZINCRBY', key, -tonumber(ARGV[2]), member) end
  end
  if kind == 'session' and redis.call('HGET', key, 'touched') ~= '0' then
    redis.call('HINCRBY', key, 'touched', -ARGV[2])
  end
  local left = redis.call('PTTL', key)
  if left >= 0 then redis.call('PEXPIRE', key, math.max(0, left - tonumber(ARGV[2]))) end
end
"""


@dataclass
class Call:
    """A call that runs."""

    caller: Caller
    lease: str
    held: list[FileRecord]
    left_ms: int = MINUTE_MS


@dataclass
class Crowd:
    """Files and sessions in the order in which clients learned of them: operations name things by number."""

    world: World
    sessions: SessionStore
    reservations: ReservationStore
    callers: list[Caller] = field(default_factory=list)
    ended: set[str] = field(default_factory=set)
    records: list[FileRecord] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    broken: list[Callable[[], Awaitable[Any]]] = field(default_factory=list)
    finished: list[Callable[[], Awaitable[Any]]] = field(default_factory=list)

    # Operations. Each may be refused, and then must have changed nothing.

    async def create(self, _number: int, _size: int) -> None:
        start = SessionStart(
            session_id=new_session_id(), server="s1", principal="me", upstream_id="up", protocol="2025-11-25",
            flags="t", init_params=b"{}", callers_scope="c" * 32,
        )
        await self.sessions.create(start)
        self.callers.append(Caller(start.session_id, "s1", "me"))

    async def call(self, number: int, size: int) -> None:
        """Open a call, perhaps with a file that it uses. A session that was ended never lives again."""
        caller = self._caller(number)
        was_ended = caller.session_id in self.ended
        call = Call(caller, new_id(), [])
        await self.sessions.open_call(caller, lease=call.lease)
        assert not was_ended
        self.calls.append(call)
        mine = [record for record in self.records if record.scope == caller.session_id]
        if mine:
            record = mine[size % len(mine)]
            call.held = await self.world.state.files.use(record.scope, [record.id], lease=call.lease)

    async def close(self, number: int, _size: int) -> None:
        if self.calls:
            call = self.calls.pop(number % len(self.calls))
            self.sessions.release_call(call.caller.session_id, call.lease)
            self.world.state.files.release_uses(call.caller.session_id, call.lease, [record.id for record in call.held])

    async def renew(self, number: int, _size: int) -> None:
        if self.calls:
            call = self.calls[number % len(self.calls)]
            await self.sessions.renew_call(call.caller.session_id, call.lease)
            held = [record.id for record in call.held]
            await self.world.state.files.renew_uses(call.caller.session_id, call.lease, held)
            call.left_ms = MINUTE_MS if call.left_ms > 0 else 0

    async def upload(self, number: int, size: int) -> None:
        """A batch of one to three files, some of them declared; a large `size` is a worker that is killed on the
        way, and one time in four its gateway, which gives nothing back, too."""
        scope = self._caller(number).session_id
        contents = [b"u" * (size * (n + 1) % 700) for n in range(1 + number % 3)]
        declared = sum(map(len, contents)) if number % 2 else 0
        reservation = await self.reservations.reserve(scope, declared) if declared else ""
        try:
            order = await upload_order(self.world.stores.blobs, scope, *contents)
            order = msgspec.structs.replace(order, reservation=reservation)
            await self._job(lambda: self._finalise_upload(order), size)
        finally:
            if size % 4:
                self.reservations.release(scope, reservation)

    async def _finalise_upload(self, order: FinaliseUpload) -> None:
        done = await finalise_upload.work(self.world.stores, order)
        self.records += getattr(done, "records")  # noqa: B009  (the job's outcome is of one type by now)

    async def artifact(self, number: int, size: int) -> None:
        """A tool writes into its artifact's folder."""
        caller, artifact_id, world = self._caller(number), new_id(), self.world
        scope = caller.session_id
        await world.state.files.allocate_pending(scope, artifact_id, grace_ms=2 * MINUTE_MS)
        parts = artifact_parts(scope, artifact_id, "out.bin")
        await world.stores.blobs.make_folder(parts[:-1])
        path = world.root.joinpath(*parts)
        with contextlib.suppress(FileNotFoundError):  # the session was ended meanwhile, its folders with it
            path.write_bytes(b"a" * (size % 700))
        order = FinaliseArtifact(
            scope=scope, server="s1", artifact_id=artifact_id, tool="t", not_before_ns=0, expose=True,
            candidates=[Candidate(source="injected", path=str(path), name="out.bin")],
        )
        await self._job(lambda: self._finalise_artifact(order), size)

    async def _finalise_artifact(self, order: FinaliseArtifact) -> None:
        done = await finalise_artifact.work(self.world.stores, order)
        record = getattr(done, "record", None)
        if isinstance(record, ArtifactRecord):
            self.records.append(record)

    async def read(self, number: int, _size: int) -> None:
        """Read a file, which exists unless it is dropped in the same moment."""
        if self.records:
            record = self.records[number % len(self.records)]
            assert await self.world.state.files.use(record.scope, [record.id]) == [record]

    async def end(self, number: int, _size: int) -> None:
        caller = self._caller(number)
        await self.sessions.end(caller, reason="ended by the client")
        self.ended.add(caller.session_id)
        await self.world.stores.blobs.remove_scope(caller.session_id)

    async def clean_up(self, _number: int, size: int) -> None:
        await self._job(self.world.cycle, size)

    async def retry(self, number: int, _size: int) -> None:
        """Another worker takes over what a killed one left."""
        if self.broken:
            await self.broken.pop(number % len(self.broken))()

    async def repeat(self, number: int, _size: int) -> None:
        """A worker was killed between the end of a job and saying so: the job runs again, beside all others."""
        if self.finished:
            await self.finished[number % len(self.finished)]()

    # What does not go on beside others.

    async def advance(self, by_ms: int) -> None:
        """Let Redis' clock be later."""
        await self.world.state.link.call("EVAL", _ADVANCE, 0, self.world.state.keys.base, by_ms)
        for call in self.calls:
            call.left_ms -= by_ms

    async def sweep(self) -> None:
        """Two workers sweep at once, long after everything was written."""
        self.broken.clear()
        age(self.world.root)
        await asyncio.gather(self.world.sweep(), self.world.sweep())
        recorded = {"/".join(parts_of(record)) for record in await self.recorded()}
        reserved = [member[2:].split(":") for member in await self._due() if member.startswith("p:")]
        folders = ["/".join(artifact_parts(scope, file_id, "")) for scope, file_id in reserved]
        strays = [path for path in set(files_below(self.world.root)) - recorded if not path.startswith(tuple(folders))]
        assert strays == []

    async def at_once(self, operations: list[tuple[str, int, int]]) -> None:
        """Run operations beside each other. Refusals are fine; anything else is not."""
        await asyncio.gather(*(self._one(name, number, size) for name, number, size in operations))

    async def _one(self, name: str, number: int, size: int) -> None:
        try:
            if self.callers or name == "create":
                await getattr(self, name)(number, size)
        except _EXPECTED:
            return

    async def _job(self, work: Callable[[], Coroutine[Any, Any, Any]], size: int) -> None:
        """Run a job to its end, or break it off somewhere."""
        if size < 800:
            await work()
            self.finished.append(work)
            return
        try:
            async with asyncio.timeout((size - 800) / 20_000):
                await work()
        except TimeoutError:
            self.broken.append(work)

    # What must hold.

    async def check(self) -> None:
        """Every invariant, now that nothing runs."""
        records = await self.recorded()
        await self._check_bytes(records)
        ends = await self.world.state.ends()
        assert set(ends) == {f"{record.scope}:{record.id}" for record in records}
        there = await self.world.stores.blobs.which_exist([parts_of(record) for record in records])
        assert all(there)
        live = await self._live()
        assert len(live) <= SESSIONS.max_active
        for caller in self.callers:
            await self._check_session(caller.session_id, live)
        running = [call for call in self.calls if call.left_ms > _SLACK_MS and call.caller.session_id in live]
        assert [record for call in running for record in call.held if record not in records] == []

    async def _check_bytes(self, records: list[FileRecord]) -> None:
        mine: defaultdict[str, int] = defaultdict(int)
        artifacts: defaultdict[str, int] = defaultdict(int)
        for record in records:
            mine[record.scope] += record.size_bytes
            artifacts[record.scope] += isinstance(record, ArtifactRecord)
            assert self.world.root.joinpath(*parts_of(record)).stat().st_size == record.size_bytes
        for caller in self.callers:
            used = await self.world.state.files.used_bytes(caller.session_id)
            assert (used.scope, used.total) == (mine[caller.session_id], sum(mine.values()))
            assert used.scope <= (FILES.session_bytes or 0)
            assert used.total <= (FILES.total_bytes or 0)
        assert max(artifacts.values(), default=0) <= (FILES.session_artifacts or 0)

    async def _check_session(self, session_id: str, live: set[str]) -> None:
        state, link = self.world.state, self.world.state.link
        assert (await link.call("HGET", state.keys.session(session_id), "state") == b"live") == (session_id in live)
        if session_id in self.ended:
            keys = state.keys
            gone = (keys.files(session_id), keys.used_bytes(session_id), keys.leases(session_id))
            assert session_id not in live
            assert await link.call("EXISTS", *gone) == 0
        running = await link.call("ZCOUNT", state.keys.leases(session_id), await state.now_ms(), "+inf")
        assert running <= SESSIONS.max_in_flight

    async def finish(self) -> None:
        """Let all times pass: then only recorded files are left, and at last nothing."""
        while self.broken:
            await self._one("retry", 0, 0)
        await self.sweep()
        await self.check()
        for _ in range(3):
            await self.advance(60 * MINUTE_MS)
            await self.world.cycle()
        age(self.world.root)
        await self.world.sweep()
        assert files_below(self.world.root) == []
        assert (await self.world.state.files.used_bytes("none")).total == 0
        assert await self.world.state.ends() == {}
        assert await self._due() == []
        assert await self.world.state.link.call("EXISTS", self.world.state.keys.reserved_total()) == 0

    async def recorded(self) -> list[FileRecord]:
        link, keys = self.world.state.link, self.world.state.keys
        hashes = [await link.call("HVALS", key) for key in await link.call("KEYS", keys.files("*"))]
        return [decode_file(data) for values in hashes for data in values]

    async def _due(self) -> list[str]:
        members = await self.world.state.link.call("ZRANGE", self.world.state.keys.due(), 0, -1)
        return [member.decode() for member in members]

    async def _live(self) -> set[str]:
        members = await self.world.state.link.call("ZRANGE", self.world.state.keys.sessions(), 0, -1)
        return {member.decode() for member in members} - {self.world.scope}

    def _caller(self, number: int) -> Caller:
        """One whose session was not ended, where there is one; sometimes any."""
        known = [caller for caller in self.callers if caller.session_id not in self.ended]
        among = known if known and number % 8 else self.callers
        return among[number % len(among)]


OPERATIONS = (  # the more often, the more of it
    *("upload",) * 6, *("call",) * 6, *("artifact",) * 5, *("read",) * 2, *("close",) * 3, *("clean_up",) * 2,
    *("create",) * 2, *("repeat",) * 3, "renew", "retry", "end",
)


@asynccontextmanager
async def opened_crowd(address: RedisAddress, root: Path) -> AsyncIterator[Crowd]:
    """A crowd over an empty Redis and an empty folder."""
    async with opened_world(address, root, FILES) as world:
        state = world.state
        await state.link.call("FLUSHALL")
        expiry = ExpiryStore(state.link, state.keys, SESSIONS)
        stores = dataclasses.replace(world.stores, expiry=expiry)
        sessions = SessionStore(state.link, state.keys, SESSIONS)
        reservations = ReservationStore(state.link, state.keys, FILES)
        yield Crowd(dataclasses.replace(world, stores=stores), sessions, reservations)
