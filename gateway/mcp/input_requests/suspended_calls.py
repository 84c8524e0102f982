"""Suspended calls of this gateway: their limits, their timeouts, and the client request that resumes each.

States of a suspendable call:

    attached    its output goes to a client request at this gateway (`LocalCall`)
                → suspended when the server requests input
    suspended   it has no output; `_await_client` waits at a mailbox for the request that resumes it
                → attached when that comes to this gateway, relayed when it comes to another one
    relayed     its output goes to a client request at another gateway (`RemoteRelay`)
                → suspended when the server requests input
    over        its result or error was output, or it was cancelled: the client disconnected or did not answer in time,
                the session ended, this gateway stops

The mailbox takes one message, so that each `requestState` resumes its call once, whichever gateway gets it.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial

import msgspec
from aiohttp import web

from longshore.gateway.mcp.input_requests import request_state
from longshore.gateway.mcp.input_requests.remote_output import RemoteRelay
from longshore.gateway.mcp.input_requests.request_state import RequestState
from longshore.gateway.mcp.input_requests.suspended_call import (
    Finished,
    InputRequested,
    KeepAlive,
    Notification,
    Resumption,
    SuspendableCall,
)
from longshore.gateway.mcp.sessions.end_watcher import SessionEndWatcher
from longshore.gateway.wire import server_requests
from longshore.shared.clock import monotonic_s, now_ms
from longshore.shared.config import Sessions
from longshore.shared.crypto.sealed_tokens import Sealer
from longshore.shared.errors import CallLost, LongshoreError, StoreDown, TooMany
from longshore.shared.messaging.mailboxes import Mailbox, Mailboxes
from longshore.shared.messaging.message_stream import MessageStream
from longshore.shared.tasks import Tasks

_MAX_CALL_S = 3600.0          # from the start of a call to the last time that it is suspended
_MAX_CALLS = 2_000           # of all principals
_MAX_BYTES = 128 * 1024 * 1024
_BOX_GRACE_MS = 10_000       # a mailbox outlives the timeout of its call by this
_CLOSE_TIMEOUT_S = 2.0
_SESSION_ENDED = "the session that this call was made in has ended; make the call again"
_resumptions = msgspec.msgpack.Decoder(Resumption)
_BoxIds = asyncio.Future[tuple[str, str]]        # of the mailboxes for the resumption and for a disconnect


class SuspendedCalls:
    """Suspended calls. Built once at start-up; `close` cancels those that are left."""

    def __init__(
        self, mailboxes: Mailboxes, message_stream: MessageStream, sealer: Sealer, session_ends: SessionEndWatcher,
        tasks: Tasks, limits: Sessions,
    ) -> None:
        self.mailboxes = mailboxes
        self.message_stream = message_stream
        self.sealer = sealer
        self._session_ends = session_ends
        self._tasks = tasks
        self._timeout_s = limits.input_wait_seconds
        self._max_per_principal = limits.max_waiting_calls_per_principal or _MAX_CALLS
        self._calls: dict[str, SuspendableCall] = {}
        self._slots: Counter[str] = Counter()        # taken, by principal
        self._bytes = 0              # of the suspended calls

    @property
    def count(self) -> int:
        """Number of calls that wait for their clients now."""
        return self._slots.total()

    @property
    def known_count(self) -> int:
        """Number of calls that were suspended at some time and are not over."""
        return len(self._calls)

    def find(self, call_id: str) -> SuspendableCall | None:
        """Find a call of this gateway that was suspended."""
        return self._calls.get(call_id)

    async def next_output(self, call: SuspendableCall) -> Notification | KeepAlive | Finished:
        """Wait for the call's next output. Requests of the server suspend it; the `input_required` result is output.

        Raises the error that the call failed with; TooMany or CallLost where it cannot be suspended, which ends it.
        """
        try:
            output = await call.next_output()
            if isinstance(output, InputRequested):
                return Finished(server_requests.input_required(output.requests, await self._suspend(call)))
        except LongshoreError as err:
            self.cancel(call, str(err))
            raise
        if isinstance(output, Finished):
            self._calls.pop(call.id, None)
        return output

    def cancel(self, call: SuspendableCall, reason: str) -> None:
        """End the call, at the upstream too, if it is not over. Safe to repeat."""
        self._calls.pop(call.id, None)
        if not call.is_over:
            call.cancel(reason)

    async def close(self) -> None:
        """Cancel every call."""
        calls = list(self._calls.values())
        for call in calls:
            self.cancel(call, "the gateway that held this call stops; make the call again")
        self.message_stream.close()
        if tasks := [call.task for call in calls if call.task is not None]:
            await asyncio.wait(tasks, timeout=_CLOSE_TIMEOUT_S)

    async def _suspend(self, call: SuspendableCall) -> str:
        """Suspend the call and return the `requestState` that resumes it."""
        caller = call.caller
        if monotonic_s() - call.started_s > _MAX_CALL_S:
            raise CallLost("this call asks for too long; make it again")
        await self.message_stream.start_heartbeat()
        slot = ExitStack()
        slot.enter_context(self.reserve_slot(caller.principal, call.size_bytes))
        call.suspend(slot)
        self._calls[call.id] = call
        box_ids: _BoxIds = asyncio.get_running_loop().create_future()
        suspended_round = call.round
        self._tasks.spawn(self._await_client(call, box_ids), name="wait_for_client")
        box, disconnect_box = await box_ids
        return request_state.seal(self.sealer, RequestState(
            caller.session_id, caller.server, caller.principal, call.digest, now_ms() + self._timeout_s * 1000,
            self.message_stream.process, call.id, suspended_round, box, disconnect_box,
        ))

    async def _await_client(self, call: SuspendableCall, box_ids: _BoxIds) -> None:
        """Wait until a client request resumes the call, and relay the output where another gateway got it."""
        suspended_round, slot, scope = call.round, call.slot, call.caller.session_id
        box_ttl_ms = self._timeout_s * 1000 + _BOX_GRACE_MS
        try:
            async with AsyncExitStack() as boxes:
                with slot:
                    box = await boxes.enter_async_context(self.mailboxes.open(scope, ttl_ms=box_ttl_ms))
                    disconnect_box = await boxes.enter_async_context(self.mailboxes.open(scope, ttl_ms=box_ttl_ms))
                    async with self._session_ends.watch(scope, partial(self.cancel, call, _SESSION_ENDED)):
                        if not box_ids.done():
                            box_ids.set_result((box.id, disconnect_box.id))
                        resumption = await self._receive(call, box)
                if resumption is None or not await call.resume(suspended_round, resumption):
                    return
                if resumption.output_box:
                    source = LocalCall(self, call)
                    await RemoteRelay(
                        source, self.message_stream, scope, resumption.output_box, disconnect_box, self._tasks
                    ).run()
        except StoreDown as err:
            if not box_ids.done():
                box_ids.set_exception(err)
            self.cancel(call, "the call was lost with the store; make it again")

    async def _receive(self, call: SuspendableCall, box: Mailbox) -> Resumption | None:
        """Receive the resumption; None when the call was cancelled, which a timeout does too."""
        try:
            async with asyncio.timeout(0 if call.is_over else self._timeout_s) as call.client_timeout:
                return _resumptions.decode(await box.receive())
        except TimeoutError:
            pass
        finally:
            call.client_timeout = None       # one that is over cannot be rescheduled
        self.cancel(call, "the client did not answer in time; make the call again")
        if await self.mailboxes.deliver(call.caller.session_id, box.id, b""):
            return None              # the mailbox takes one message: no resumption will come
        box.arrived.set()
        return _resumptions.decode(await box.receive())     # it came at the last moment, and gets the error

    @contextmanager
    def reserve_slot(self, principal: str, size_bytes: int = 0) -> Iterator[None]:
        """Occupy a slot for a call that waits for its client. Raises TooMany."""
        if self._slots[principal] >= self._max_per_principal or self.count >= _MAX_CALLS:
            raise TooMany(f"{self._slots[principal]} calls of yours wait for an answer of their client already")
        if self._bytes + size_bytes > _MAX_BYTES:
            raise TooMany("calls that wait for an answer of their client hold all that they may here")
        self._slots[principal] += 1
        self._bytes += size_bytes
        try:
            yield
        finally:
            self._bytes -= size_bytes
            self._slots[principal] -= 1
            if not self._slots[principal]:
                del self._slots[principal]


@dataclass(frozen=True, slots=True)
class LocalCall:
    """Output source of a call that this gateway runs."""

    calls: SuspendedCalls
    call: SuspendableCall

    async def next_output(self) -> Notification | KeepAlive | Finished:
        return await self.calls.next_output(self.call)

    def disconnect(self) -> None:
        self.calls.cancel(self.call, "the client went away")


SUSPENDED_CALLS = web.AppKey("suspended_calls", SuspendedCalls)
