"""Standing streams of upstream sessions, open while calls run there whose client can be asked.

Some servers ask there instead of within the call's own answer, where nothing says what a question belongs to. It
belongs to the one call that runs in that session, if there is just one.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from gateway.asking.call import AskingCall
from gateway.upstream.client import UpstreamAnswer, UpstreamClient
from gateway.wire import inputs, sse, to_legacy
from shared.errors import LongshoreError
from shared.tasks import Tasks

_OPEN_S = 1.0                # what a call waits for its stream
_ALONE_S = 2.0               # what a question waits for other calls to end
_LOOK_S = 0.05
_BACKOFF_S = (0.05, 0.05, 0.1, 0.2, 0.5, 1.0)
_MAX_EVENT_BYTES = 16 * 1024 * 1024
_CONFLICT = 409              # some other gateway has the stream


@dataclass(frozen=True, slots=True)
class Session:
    """An upstream session in which calls run, and the ways to speak there."""

    key: tuple[str, str]                         # server and upstream session
    client: UpstreamClient
    headers: dict[str, str]
    reply: Callable[[bytes], Awaitable[None]]
    running: Callable[[], Awaitable[int]]        # calls in it, through whichever gateway
    notice: Callable[[bytes], None]              # of what is said there besides


class Stands:
    """Every such stream of this process. Built once at start-up."""

    def __init__(self, tasks: Tasks) -> None:
        self._tasks = tasks
        self._open: dict[tuple[str, str], _Stand] = {}
        self._slow: set[str] = set()             # servers that leave a GET without an answer

    @property
    def count(self) -> int:
        """Streams open, or being opened."""
        return len(self._open)

    @asynccontextmanager
    async def held(self, session: Session, call: AskingCall) -> AsyncIterator[None]:
        """Hear what `session` asks on its standing stream, while the block runs, as a question of `call`."""
        stand = self._open.get(session.key)
        if stand is None:
            stand = self._open[session.key] = _Stand(session)
            stand.task = self._tasks.start(stand.read(), name="stand")
        stand.calls.add(call)
        try:
            await self._ready(stand)
            yield
        finally:
            (self._slow.discard if stand.ready.is_set() else self._slow.add)(session.key[0])
            stand.calls.discard(call)
            for question in call.withdrawn():
                self._tasks.spawn(_quietly(session.reply(inputs.too_late(question))), name="refuse_request")
            if not stand.calls:
                del self._open[session.key]
                if stand.task is not None:
                    stand.task.cancel()

    async def _ready(self, stand: "_Stand") -> None:
        """Wait until the stream is open, or it is known that there is none. A server that did not say so while a
        whole call ran is not waited for the next time."""
        if not stand.ready.is_set() and stand.session.key[0] not in self._slow:
            with suppress(TimeoutError):
                async with asyncio.timeout(_OPEN_S):
                    await stand.ready.wait()


class _Stand:
    """One stream."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.calls: set[AskingCall] = set()
        self.ready = asyncio.Event()
        self.task: asyncio.Task[None] | None = None

    async def read(self) -> None:
        """Read it, opened again whenever it ends; return where the server has none."""
        failures = 0
        while True:
            try:
                async with self.session.client.exchange("GET", self.session.headers) as answer:
                    if answer.status == 200 and answer.is_stream:
                        self.ready.set()
                        failures = 0
                        await self._take_all(answer)
                    elif answer.status != _CONFLICT:
                        self.ready.set()
                        return
            except LongshoreError:
                self.ready.set()
            await asyncio.sleep(_BACKOFF_S[min(failures, len(_BACKOFF_S) - 1)])
            failures += 1

    async def _take_all(self, answer: UpstreamAnswer) -> None:
        parser = sse.Parser(_MAX_EVENT_BYTES)
        async for chunk in answer.chunks():
            for event in parser.feed(chunk):
                if not event.data:
                    continue
                if to_legacy.aside(event.data, "") is to_legacy.Aside.ASK:
                    await self._ask(event.data)
                else:
                    self.session.notice(event.data)

    async def _ask(self, data: bytes) -> None:
        call = await self._only_call()
        refusal = call.ask(data) if call is not None else inputs.answered_here(data, inputs.NOTHING)
        if refusal is not None:
            await _quietly(self.session.reply(refusal))

    async def _only_call(self) -> AskingCall | None:
        """The one call that runs in the session; None while there are others for too long."""
        deadline_s = asyncio.get_running_loop().time() + _ALONE_S
        while True:
            if len(self.calls) == 1 and await self._is_alone():
                return next(iter(self.calls), None)
            if asyncio.get_running_loop().time() > deadline_s:
                return None
            await asyncio.sleep(_LOOK_S)

    async def _is_alone(self) -> bool:
        try:
            return await self.session.running() == 1
        except LongshoreError:
            return False


async def _quietly(work: Awaitable[None]) -> None:
    with suppress(LongshoreError):       # the call itself will tell
        await work
