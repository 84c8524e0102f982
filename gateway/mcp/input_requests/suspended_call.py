"""Suspendable call: a running call whose server may request input from its client, over several client requests.

It runs in a task of its own, since it outlives the client request that started it. At most one client request is
attached to it at a time. While none is, the call is suspended: its stream at the upstream stays open.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Protocol

import msgspec

from longshore.gateway.upstream.client import UpstreamExchange
from longshore.gateway.wire import progress, server_requests
from longshore.gateway.wire.server_requests import InputCapabilities, ServerRequest
from longshore.shared import ids
from longshore.shared.clock import monotonic_s
from longshore.shared.errors import CallLost, LongshoreError
from longshore.shared.state.sessions import Caller

_COALESCE_S = 0.02           # requests that a server sends at once come within this time
_KEEP_ALIVE_S = 5.0
_MAX_NOTIFICATIONS = 32      # that wait for a slow client; then the server is made to wait
_MAX_NOTIFICATION_BYTES = 1024 * 1024        # likewise, unless it is a single one
_MAX_REQUESTS = 32           # of the server that wait for the client at once
_MAX_KEPT_BYTES = 64 * 1024  # of a result that comes while the call is suspended, for each of many calls


@dataclass(frozen=True, slots=True)
class OriginalRequest:
    """The client request that started a call."""

    caller: Caller
    method: str
    body: bytes


class Notification(msgspec.Struct, frozen=True, tag="said"):
    """Output: a notification for the client. The tag is a contract between gateways."""

    data: bytes


@dataclass(frozen=True, slots=True)
class KeepAlive:
    """Output: nothing happened for a while."""


@dataclass(frozen=True, slots=True)
class InputRequested:
    """Output: requests of the server, by their keys in `inputRequests`."""

    requests: dict[str, ServerRequest]


class Finished(msgspec.Struct, frozen=True, tag="ended"):
    """Output: the response to the client request, under any id. The tag is a contract between gateways."""

    body: bytes
    status: int = 200
    headers: dict[str, str] = {}


class Resumption(msgspec.Struct, frozen=True, array_like=True):
    """Content of the client request that resumes a call, and the destination of the output that follows."""

    declared: InputCapabilities
    progress_token: str | int | float | None
    responses: dict[str, bytes]          # JSON, by the keys in `inputRequests`
    output_box: str = ""                 # mailbox of the gateway that has the client now, "" for this gateway


class OutputSource(Protocol):
    """Source of a call's output, in this gateway or another one."""

    async def next_output(self) -> Notification | KeepAlive | Finished:
        """Wait for the next output. Raises the error that the call failed with."""

    def disconnect(self) -> None:
        """Cancel the call: its client closed the connection (MCP 2026-07-28 basic/patterns/cancellation)."""


class SuspendableCall:
    """A running call. `respond` sends a response of the client to the server."""

    def __init__(
        self, request: OriginalRequest, declared: InputCapabilities, respond: Callable[[bytes], Awaitable[None]], *,
        keep_alive_s: float = _KEEP_ALIVE_S,
    ) -> None:
        self.id = ids.new_id()
        self.caller = request.caller
        self.declared = declared                         # by the client, in its last request
        self.respond = respond
        self.round = 0                                   # how often the call was suspended
        self.started_s = monotonic_s()
        self.task: asyncio.Task[None] | None = None
        self.slot = ExitStack()                          # of the suspended call
        self.client_timeout: asyncio.Timeout | None = None   # likewise
        self.is_over = False                             # cancelled, or its end was output
        self._request = request
        self._first_token = self._token = progress.token_of(request.body)
        self._keep_alive_s = keep_alive_s
        self._timer: UpstreamExchange | None = None      # paused while the call is suspended
        self._notifications: deque[bytes] = deque()
        self._notification_bytes = 0
        self._requests: dict[str, ServerRequest] = {}    # that have no response yet
        self._request_count = 0
        self._outcome: Finished | LongshoreError | None = None
        self._is_attached = True                         # a client request reads the output
        self._changed = asyncio.Event()
        self._has_room = asyncio.Event()

    @property
    def size_bytes(self) -> int:
        """Memory of the suspended call: its request as received, and as forwarded."""
        return 2 * len(self._request.body)

    @property
    def digest(self) -> bytes:
        """Digest of the method and params, which every retry has to repeat."""
        return server_requests.call_digest(self._request.method, self._request.body)

    # The upstream's side.

    def use_timer(self, exchange: UpstreamExchange) -> None:
        """Use this exchange's timeout; it is paused while the call is suspended."""
        self._timer = exchange
        if not self._is_attached:
            exchange.pause_timeout()

    async def notify(self, data: bytes) -> None:
        """Buffer a notification for the client, waiting while it is slow. Drop it while the call is suspended."""
        message = progress.with_token(data, self._first_token, self._token)
        if message is None:
            return
        while self._is_attached and (
            len(self._notifications) >= _MAX_NOTIFICATIONS or self._notification_bytes > _MAX_NOTIFICATION_BYTES
        ):
            self._has_room.clear()
            await self._has_room.wait()
        if self._is_attached:
            self._notifications.append(message)
            self._notification_bytes += len(message)
            self._changed.set()

    def request_input(self, data: bytes) -> bytes | None:
        """Queue a request of the server for the client. Returns the response where longshore answers it itself."""
        if (response := server_requests.own_response(data, self.declared)) is not None:
            return response
        if len(self._requests) >= _MAX_REQUESTS:
            return server_requests.too_many_error(data)
        self._request_count += 1
        self._requests[f"{self._request_count}"] = server_requests.parse_request(data)
        self._changed.set()
        return None

    def finish(self, outcome: Finished | LongshoreError) -> None:
        """Set the outcome, once: the first one counts. A large result of a suspended call is dropped."""
        if self._outcome is None:
            is_kept = (
                self._is_attached or not isinstance(outcome, Finished) or len(outcome.body) <= _MAX_KEPT_BYTES
            )
            self._outcome = outcome if is_kept else CallLost(
                "the server answered without waiting for its client, too much to be kept; make the call again"
            )
            self._changed.set()

    def take_requests(self) -> list[ServerRequest]:
        """Remove and return the requests that get no response any more, after the call has ended."""
        requests = list(self._requests.values())
        self._requests = {}
        return requests

    # The client's side.

    async def next_output(self) -> Notification | KeepAlive | InputRequested | Finished:
        """Wait for the next output; safe to cancel. Raises the error that the call failed with."""
        while True:
            if self._notifications:
                message = self._notifications.popleft()
                self._notification_bytes -= len(message)
                self._has_room.set()
                return Notification(message)
            if self._outcome is not None:
                self.is_over = True
                if isinstance(self._outcome, LongshoreError):
                    raise self._outcome
                return self._outcome
            if self._requests:
                await asyncio.sleep(_COALESCE_S)
                if not self._notifications and self._outcome is None:
                    return InputRequested(dict(self._requests))
                continue
            self._changed.clear()
            try:
                async with asyncio.timeout(self._keep_alive_s):
                    await self._changed.wait()
            except TimeoutError:
                return KeepAlive()

    def suspend(self, slot: ExitStack) -> None:
        """Detach the client, which has the server's requests now. The slot is freed when the call is resumed."""
        self.slot = slot
        self.round += 1
        self._is_attached = False
        self._has_room.set()
        if self._timer is not None:
            self._timer.pause_timeout()

    async def resume(self, suspended_round: int, resumption: Resumption) -> bool:
        """Attach the client again and send its responses to the server, in the order of the server's requests.

        Requests that it did not answer are output again. A server that accepts no response ends the call. Returns
        False where this round was resumed before.
        """
        if suspended_round != self.round or self._is_attached:
            return False
        self.slot.close()
        self._is_attached, self.declared, self._token = True, resumption.declared, resumption.progress_token
        if self._timer is not None:
            self._timer.resume_timeout()
        if self.is_over:
            return True
        responses = [
            server_requests.client_response(request, msgspec.Raw(resumption.responses[key]))
            for key, request in self._requests.items() if key in resumption.responses
        ]
        self._requests = {
            key: request for key, request in self._requests.items() if key not in resumption.responses
        }
        try:
            for response in responses:
                await self.respond(response)
        except LongshoreError as err:
            self.finish(err)
        return True

    def cancel(self, reason: str) -> None:
        """End the call, at the upstream too. Safe to repeat."""
        self.finish(CallLost(reason))
        self.is_over = True
        if self.task is not None:
            self.task.cancel()
        if self.client_timeout is not None and not self.client_timeout.expired():
            self.client_timeout.reschedule(0)
