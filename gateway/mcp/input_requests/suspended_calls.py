"""The calls of this gateway that wait for their clients: how many, how long, and how an answer finds them.

An answer comes through a mailbox, which takes one, whichever gateway the client speaks to next. Where that is
another one, what the call says from then on is carried there.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from functools import partial

import msgspec
from aiohttp import web

from longshore.gateway.mcp.input_requests import request_state
from longshore.gateway.mcp.input_requests.suspended_call import Asked, Ended, Quiet, Resumed, Said, SuspendableCall
from longshore.gateway.mcp.sessions.end_watcher import SessionEndWatcher
from longshore.gateway.wire import server_requests
from longshore.shared.clock import monotonic_s, now_ms
from longshore.shared.config import Sessions
from longshore.shared.crypto.sealed_tokens import Sealer
from longshore.shared.error_records import refusal_of
from longshore.shared.errors import CallLost, LongshoreError, StoreDown, TooMany
from longshore.shared.jobs import JobRefused
from longshore.shared.messaging.mailboxes import Mailbox, Mailboxes
from longshore.shared.messaging.message_stream import MessageStream
from longshore.shared.tasks import Tasks

LONGEST_S = 3600.0           # from a call's beginning to its last question
_MOST = 2_000                # of all principals
_MOST_BYTES = 128 * 1024 * 1024
_GRACE_MS = 10_000           # by which a mailbox outlives what is said of it
_END_S = 2.0
NOTHING_SAID = Said(b"")     # on the way to another gateway
_SCOPE_ENDED = "the session that this call was made in has ended; make the call again"
_encode = msgspec.msgpack.Encoder().encode
_resumed = msgspec.msgpack.Decoder(Resumed)
_Opened = asyncio.Future[tuple[str, str]]


class SuspendedCalls:
    """Built once at start-up; `close` gives up what still waits."""

    def __init__(
        self, mailboxes: Mailboxes, parcels: MessageStream, sealer: Sealer, endings: SessionEndWatcher, tasks: Tasks,
        limits: Sessions,
    ) -> None:
        self.mailboxes = mailboxes
        self.parcels = parcels
        self.sealer = sealer
        self._endings = endings
        self._tasks = tasks
        self._wait_s = limits.input_wait_seconds
        self._most = limits.max_waiting_calls_per_principal      # of one principal
        self._calls: dict[str, SuspendableCall] = {}
        self._waiting: Counter[str] = Counter()
        self._places: set[tuple[str, int]] = set()               # of calls that wait, by id and round
        self._bytes = 0              # of the requests of those that wait

    @property
    def count(self) -> int:
        """Calls that wait here now."""
        return self._waiting.total()

    @property
    def known_count(self) -> int:
        """Calls that waited at some time and are not over."""
        return len(self._calls)

    def find(self, call_id: str) -> SuspendableCall | None:
        """A call of this gateway that was parked."""
        return self._calls.get(call_id)

    async def hear(self, call: SuspendableCall) -> Said | Quiet | Ended:
        """What comes next for whoever listens; questions park the call and become the answer that asks them.

        Raises what the call failed with; TooMany or CallLost where it cannot be parked, which ends it.
        """
        try:
            heard = await call.heard()
            if isinstance(heard, Asked):
                return Ended(server_requests.input_required(heard.questions, await self._park(call)))
        except LongshoreError as err:
            self.cancel(call, str(err))
            raise
        if isinstance(heard, Ended):
            self._calls.pop(call.id, None)
        return heard

    def cancel(self, call: SuspendableCall, why: str) -> None:
        """End the call, at the server too, if it is not over. Safe to repeat."""
        self._calls.pop(call.id, None)
        if not call.is_over:
            call.cancel(why)

    async def resume(self, call: SuspendableCall, number: int, now: Resumed) -> bool:
        """As the call's own; a server that takes no answer ends the call. Its place is free from now on."""
        self._free_place(call, number)
        try:
            return await call.resume(number, now)
        except LongshoreError as err:
            call.end(err)
            return True

    async def close(self) -> None:
        """Give up every call, and let nobody wait for one."""
        calls = list(self._calls.values())
        for call in calls:
            self.cancel(call, "the gateway that held this call stops; make the call again")
        self.parcels.close()
        if ending := [call.task for call in calls if call.task is not None]:
            await asyncio.wait(ending, timeout=_END_S)

    async def _park(self, call: SuspendableCall) -> str:
        """The state under which the client goes on."""
        principal = call.caller.principal
        if monotonic_s() - call.began_s > LONGEST_S:
            raise CallLost("this call asks for too long; make it again")
        self._check_room(principal)
        if self._bytes + call.size_bytes > _MOST_BYTES:
            raise TooMany("calls that wait for an answer of their client hold all that they may here")
        await self.parcels.start_heartbeat()
        call.park()
        self._calls[call.id] = call
        self._places.add((call.id, call.round))
        self._waiting[principal] += 1
        self._bytes += call.size_bytes
        opened: _Opened = asyncio.get_running_loop().create_future()
        self._tasks.spawn(self._wait(call, opened), name="wait_for_client")
        turn = (call.round, *await opened)
        return request_state.sealed(self.sealer, request_state.new(
            call.caller, digest=call.digest, expires_ms=now_ms() + self._wait_s * 1000, process=self.parcels.process,
            call=call.id, turn=turn,
        ))

    @contextmanager
    def reserve_slot(self, principal: str) -> Iterator[None]:
        """A place among those that wait, for a call whose client keeps its connection meanwhile. Raises TooMany."""
        self._check_room(principal)
        self._waiting[principal] += 1
        try:
            yield
        finally:
            self._left(principal)

    def _check_room(self, principal: str) -> None:
        if self._waiting[principal] >= (self._most or _MOST) or self._waiting.total() >= _MOST:
            raise TooMany(f"{self._waiting[principal]} calls of yours wait for an answer of their client already")

    def _left(self, principal: str) -> None:
        self._waiting[principal] -= 1
        if not self._waiting[principal]:
            del self._waiting[principal]

    async def _wait(self, call: SuspendableCall, opened: _Opened) -> None:
        """Until the client answers, or its time is over."""
        number, scope, ttl_ms = call.round, call.caller.session_id, self._wait_s * 1000 + _GRACE_MS
        try:
            async with AsyncExitStack() as boxes:
                with self._place(call, number):
                    answers = await boxes.enter_async_context(self.mailboxes.open(scope, ttl_ms=ttl_ms))
                    leaving = await boxes.enter_async_context(self.mailboxes.open(scope, ttl_ms=ttl_ms))
                    async with self._endings.watch(scope, partial(self.cancel, call, _SCOPE_ENDED)):
                        if not opened.done():
                            opened.set_result((answers.id, leaving.id))
                        now = await self._answer(call, answers)
                if now is not None and await self.resume(call, number, now) and now.box:
                    await self._carry(call, now.box, leaving)
        except StoreDown as err:
            if not opened.done():
                opened.set_exception(err)
            self.cancel(call, "the call was lost with the store; make it again")

    async def _answer(self, call: SuspendableCall, box: Mailbox) -> Resumed | None:
        """What the client sent; None when the call was given up, as it is when nothing comes in time."""
        try:
            async with asyncio.timeout(0 if call.is_over else self._wait_s) as call.wait:
                return _resumed.decode(await box.receive())
        except TimeoutError:
            pass
        finally:
            call.wait = None         # one that is over cannot be ended any more
        self.cancel(call, "the client did not answer in time; make the call again")
        if await self.mailboxes.deliver(call.caller.session_id, box.id, b""):
            return None              # the one message that it takes: nobody answers any more
        box.arrived.set()
        return _resumed.decode(await box.receive())     # somebody did at the last moment, and is told so

    async def _carry(self, call: SuspendableCall, box: str, leaving: Mailbox) -> None:
        """Send what the call says to the gateway that the client speaks to now, until it is over or parked again."""
        watch = self._tasks.start(self._watch(call, leaving), name="watch_leaving")
        try:
            while True:
                item: Said | Quiet | Ended | JobRefused
                try:
                    item = await self.hear(call)
                except LongshoreError as err:
                    item = refusal_of(err)
                if isinstance(item, Quiet):
                    item = NOTHING_SAID      # which shows each side that the other one is there
                if not await self.parcels.send(call.caller.session_id, box, _encode(item)):
                    self.cancel(call, "the client went away")
                    return
                if not isinstance(item, Said):
                    return
        finally:
            watch.cancel()

    async def _watch(self, call: SuspendableCall, leaving: Mailbox) -> None:
        await leaving.receive()
        self.cancel(call, "the client went away")

    @contextmanager
    def _place(self, call: SuspendableCall, number: int) -> Iterator[None]:
        try:
            yield
        finally:
            self._free_place(call, number)

    def _free_place(self, call: SuspendableCall, number: int) -> None:
        """Give back the place that the call took for this round. Safe to repeat."""
        if (place := (call.id, number)) in self._places:
            self._places.remove(place)
            self._bytes -= call.size_bytes
            self._left(call.caller.principal)


SUSPENDED_CALLS = web.AppKey("parked", SuspendedCalls)
