"""One call whose server may ask its client: what it says, whoever listens, over however many requests of the client.

The call runs in a task of its own, since it outlives the request that began it. At any time one listener at most
stands for the client; while there is none, the call is parked: its stream at the server stays open.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import msgspec

from longshore.gateway.upstream.client import UpstreamExchange
from longshore.gateway.wire import progress, server_requests
from longshore.gateway.wire.server_requests import InputCapabilities, ServerRequest
from longshore.shared import ids
from longshore.shared.clock import monotonic_s
from longshore.shared.errors import CallLost, LongshoreError
from longshore.shared.state.sessions import Caller

_TOGETHER_S = 0.02           # questions that a server asks at once come within this time
_QUIET_S = 5.0
_MOST_SAID = 32              # notifications that wait for a slow listener; then the server is made to wait
_MOST_OPEN = 32              # questions that wait for the client at once
_MOST_SAID_BYTES = 1024 * 1024       # likewise, unless it is a single one
_MOST_KEPT_BYTES = 64 * 1024         # of an answer that comes while nobody listens, of each of many parked calls


@dataclass(frozen=True, slots=True)
class Request:
    """The client's request that began a call."""

    caller: Caller
    method: str
    body: bytes


class Said(msgspec.Struct, frozen=True, tag="said"):
    """A notification on the way to the client."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Quiet:
    """Nothing came for a while."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The server waits for these answers, by their keys in `inputRequests`."""

    questions: dict[str, ServerRequest]


class Ended(msgspec.Struct, frozen=True, tag="ended"):
    """The answer to the client's request, under whatever id."""

    body: bytes
    status: int = 200
    headers: dict[str, str] = {}


class SuspendableCall:
    """A running call. `reply` hands an answer of the client's to the server."""

    def __init__(
        self, request: "Request", takes: InputCapabilities, reply: Callable[[bytes], Awaitable[None]], *,
        quiet_s: float = _QUIET_S,
    ) -> None:
        self.id = ids.new_id()
        self.caller = request.caller
        self.takes = takes
        self.round = 0                                   # of questions that were asked so far
        self.began_s = monotonic_s()
        self._clock: UpstreamExchange | None = None      # whose time stands still while the client is asked
        self.task: asyncio.Task[None] | None = None
        self.wait: asyncio.Timeout | None = None         # for its client
        self.is_over = False                             # given up, or its end was heard
        self._request = request
        self._token = self._token_now = progress.token_of(request.body)
        self.reply = reply
        self._quiet_s = quiet_s
        self._said: deque[bytes] = deque()
        self._said_bytes = 0
        self._open: dict[str, ServerRequest] = {}
        self._count = 0
        self._end: Ended | LongshoreError | None = None
        self._is_heard = True
        self._changed = asyncio.Event()
        self._room = asyncio.Event()

    @property
    def size_bytes(self) -> int:
        """What its request takes while it waits: as it came, and as it was sent on."""
        return 2 * len(self._request.body)

    @property
    def digest(self) -> bytes:
        """What it asks for."""
        return server_requests.call_digest(self._request.method, self._request.body)

    # The call's side.

    def use_timer(self, clock: UpstreamExchange) -> None:
        """Go by the time of this one from now on."""
        self._clock = clock
        if not self._is_heard:
            clock.pause_timeout()

    async def say(self, data: bytes) -> None:
        """A notification for the client, lost while it is not there. Waits while it is slow."""
        said = progress.with_token(data, self._token, self._token_now)
        if said is None:
            return
        while self._is_heard and (len(self._said) >= _MOST_SAID or self._said_bytes > _MOST_SAID_BYTES):
            self._room.clear()
            await self._room.wait()
        if self._is_heard:
            self._said.append(said)
            self._said_bytes += len(said)
            self._changed.set()

    def ask(self, data: bytes) -> bytes | None:
        """A request of the server's: the answer to it where it is not for the client, else None."""
        if (refusal := server_requests.own_response(data, self.takes)) is not None:
            return refusal
        if len(self._open) >= _MOST_OPEN:
            return server_requests.too_many_error(data)
        self._count += 1
        self._open[f"{self._count}"] = server_requests.parse_request(data)
        self._changed.set()
        return None

    def end(self, end: Ended | LongshoreError) -> None:
        """What the call came to; the first counts. A large answer is not kept for a client that is away."""
        if self._end is None:
            is_kept = self._is_heard or not isinstance(end, Ended) or len(end.body) <= _MOST_KEPT_BYTES
            self._end = end if is_kept else CallLost(
                "the server answered without waiting for its client, too much to be kept; make the call again"
            )
            self._changed.set()

    def withdrawn(self) -> list[ServerRequest]:
        """The questions that nobody will answer any more, once the call has ended."""
        left = list(self._open.values())
        self._open = {}
        return left

    # The listener's side.

    async def heard(self) -> Said | Quiet | Asked | Ended:
        """What comes next; nothing is lost when this is cancelled. Raises what the call failed with."""
        while True:
            if self._said:
                said = self._said.popleft()
                self._said_bytes -= len(said)
                self._room.set()
                return Said(said)
            if self._end is not None:
                self.is_over = True
                if isinstance(self._end, LongshoreError):
                    raise self._end
                return self._end
            if self._open:
                await asyncio.sleep(_TOGETHER_S)
                if not self._said and self._end is None:
                    return Asked(dict(self._open))
                continue
            self._changed.clear()
            try:
                async with asyncio.timeout(self._quiet_s):
                    await self._changed.wait()
            except TimeoutError:
                return Quiet()

    def park(self) -> None:
        """Nobody listens from now on: the client has the questions."""
        self.round += 1
        self._is_heard = False
        self._room.set()
        if self._clock is not None:
            self._clock.pause_timeout()

    async def resume(self, answered_round: int, now: "Resumed") -> bool:
        """Go on with the client's answers, which the server gets in the order in which it asked. False when this
        round was answered before. What was not answered is asked again."""
        if answered_round != self.round or self._is_heard:
            return False
        self._is_heard, self.takes, self._token_now = True, now.takes, now.token
        if self._clock is not None:
            self._clock.resume_timeout()
        if self.is_over:
            return True
        answered = [
            server_requests.client_response(one, msgspec.Raw(now.responses[key]))
            for key, one in self._open.items() if key in now.responses
        ]
        self._open = {key: one for key, one in self._open.items() if key not in now.responses}
        for answer in answered:
            await self.reply(answer)
        return True

    def cancel(self, why: str) -> None:
        """End the call, at the server too. Safe to repeat."""
        self.end(CallLost(why))
        self.is_over = True
        if self.task is not None:
            self.task.cancel()
        if self.wait is not None and not self.wait.expired():
            self.wait.reschedule(0)


class Resumed(msgspec.Struct, frozen=True, array_like=True):
    """What a client's next request for the same call brings, and where what it is told goes."""

    takes: InputCapabilities
    token: str | int | float | None      # for progress
    responses: dict[str, bytes]          # JSON, by the keys of the questions
    box: str = ""                        # the mailbox in another gateway that hears the rest; "": in this one
