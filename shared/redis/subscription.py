"""Subscription to Redis channels on its own connection, which is reopened whenever it is lost.

Messages published meanwhile are lost: `on_ready` is called after every connection, so that the owner checks the
state. Nothing may depend on a message alone.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence

import hiredis
import structlog

from longshore.shared.errors import StoreDown
from longshore.shared.redis.address import RedisAddress, UnsuitableRedis, login
from longshore.shared.redis.connect import BACKOFF, CONNECT_S, open_streams, resolve_address
from longshore.shared.redis.pipeline import Arg
from longshore.shared.tasks import Tasks

log = structlog.get_logger(__name__)

_IDLE = 0.45                 # share of `ping_s` without data before a PING, and time for its reply


class Subscription:
    """Subscribed from its construction until `close`."""

    def __init__(
        self,
        address: RedisAddress,
        channels: Sequence[str],
        tasks: Tasks,
        *,
        on_message: Callable[[bytes], None],
        on_ready: Callable[[], None],
    ) -> None:
        self._address = address
        self._channels = {channel: asyncio.Event() for channel in channels}    # set while confirmed by Redis
        self._unconfirmed = len(self._channels)
        self._writer: asyncio.StreamWriter | None = None
        self._on_message = on_message
        self._on_ready = on_ready
        self._ready = asyncio.Event()
        self._keeper = tasks.start(self._keep_open(), name="redis_subscription")

    async def await_ready(self, timeout_s: float) -> bool:
        """Wait until all channels are confirmed; False at the timeout."""
        return await _is_set(self._ready, timeout_s)

    def add(self, channel: str) -> None:
        """Subscribe to another channel."""
        self._channels[channel] = asyncio.Event()
        self._unconfirmed += 1
        self._send("SUBSCRIBE", channel)

    def remove(self, channel: str) -> None:
        """Unsubscribe from a channel that was added."""
        if not self._channels.pop(channel).is_set():
            self._unconfirmed -= 1
            self._check_ready()
        self._send("UNSUBSCRIBE", channel)

    async def await_channel(self, channel: str, timeout_s: float) -> bool:
        """Wait until `channel`, which was added, is confirmed; False at the timeout."""
        return await _is_set(self._channels[channel], timeout_s)

    async def close(self) -> None:
        """Close the connection and stop reopening it."""
        self._keeper.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._keeper

    async def _keep_open(self) -> None:
        failures = 0
        while True:
            try:
                await self._listen(attempt=failures)
            except (
                OSError, TimeoutError, EOFError, StoreDown, UnsuitableRedis, hiredis.ReplyError, hiredis.ProtocolError
            ) as err:
                failures = 0 if self._ready.is_set() else failures + 1
                log.warning("redis_subscription_lost", error=type(err).__name__)
            finally:
                self._ready.clear()
                self._writer = None
                self._unconfirmed = len(self._channels)
                for confirmed in self._channels.values():
                    confirmed.clear()
            await asyncio.sleep(BACKOFF.delay_s(failures + 1))

    async def _listen(self, *, attempt: int) -> None:
        address = await resolve_address(self._address, attempt=attempt)
        async with asyncio.timeout(CONNECT_S):
            reader, writer = await open_streams(address)
        try:
            writer.write(self._first_commands())
            self._writer = writer
            await self._receive(reader, writer)
        finally:
            writer.close()

    def _send(self, *command: Arg) -> None:
        """Send a command, if connected; a new connection starts with all channels."""
        if self._writer is not None:
            self._writer.write(hiredis.pack_command(command))  # type: ignore[arg-type]

    def _first_commands(self) -> bytes:
        commands: list[tuple[Arg, ...]] = [("SUBSCRIBE", *self._channels)]
        if (auth := login(self._address.username, self._address.password)) is not None:
            commands.insert(0, auth)
        return b"".join(hiredis.pack_command(command) for command in commands)  # type: ignore[arg-type]

    async def _receive(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        replies = hiredis.Reader()
        pinged = False
        while True:
            try:
                async with asyncio.timeout(_IDLE * self._address.ping_s):
                    data = await reader.read(65_536)
            except TimeoutError:
                if pinged:
                    raise
                writer.write(hiredis.pack_command(("PING",)))
                pinged = True
                continue
            if not data:
                raise EOFError
            pinged = False
            replies.feed(data)
            while (reply := replies.gets()) is not False:
                self._handle(reply)

    def _handle(self, reply: object) -> None:
        if isinstance(reply, hiredis.ReplyError):
            raise reply
        if not isinstance(reply, list):
            return  # the reply to AUTH
        kind, *rest = reply
        if kind == b"message":
            self._on_message(rest[1])
        elif kind == b"subscribe" and (confirmed := self._channels.get(rest[0].decode())) is not None:
            self._confirm(confirmed)

    def _confirm(self, confirmed: asyncio.Event) -> None:
        if confirmed.is_set():
            return
        confirmed.set()
        self._unconfirmed -= 1
        self._check_ready()

    def _check_ready(self) -> None:
        """Report readiness once every channel of this connection is confirmed."""
        if self._writer is None:
            return
        if self._unconfirmed == 0 and not self._ready.is_set():
            self._ready.set()
            self._on_ready()


async def _is_set(event: asyncio.Event, timeout_s: float) -> bool:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            await event.wait()
    return event.is_set()
