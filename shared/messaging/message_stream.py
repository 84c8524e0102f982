"""Message streams: messages of any length from a call in one gateway to a receiver in another, in order, in frames.

The receiver opens a mailbox and tells the sender its id. Frames in Redis are bounded; a sender waits for room.
"""

import asyncio
from contextlib import suppress

from longshore.shared.clock import monotonic_s
from longshore.shared.errors import CallLost, StoreDown
from longshore.shared.keys import Keys
from longshore.shared.messaging.mailboxes import Mailbox
from longshore.shared.redis.connection import Arg, RedisLink
from longshore.shared.redis.scripts import Script
from longshore.shared.tasks import Tasks

_PUSH = Script("push_frame")
_TAKE = Script("take_frames")
_FRAME_BYTES = 256 * 1024
_MAX_FRAMES = 32
_FRAMES_PER_TAKE = 8
_TTL_MS = 60_000             # of frames that are not taken, and of a mailbox whose receiver is gone
_RETRY_EVERY_S = 0.05
_SEND_TIMEOUT_S = 30.0       # for a receiver that takes nothing
_HEARTBEAT_TTL_MS = 10_000
_HEARTBEAT_EVERY_S = 2.5
_POLL_EVERY_S = 2.0
_MAX_SILENCE_S = 45.0        # of a sender whose heartbeat is current
_MORE, _LAST = b"0", b"1"    # first byte of a frame


class MessageStream:
    """Sender of messages, and heartbeat of this gateway. Built once at start-up."""

    def __init__(self, link: RedisLink, keys: Keys, tasks: Tasks, process: str) -> None:
        self.process = process           # id of this gateway
        self._link = link
        self._keys = keys
        self._tasks = tasks
        self._heartbeat: asyncio.Task[None] | None = None

    async def start_heartbeat(self) -> None:
        """Start the heartbeat of this gateway, which runs until `close`. Raises StoreDown. Safe to repeat."""
        if self._heartbeat is None or self._heartbeat.done():
            self._heartbeat = self._tasks.start(self._keep_beating(), name="say_alive")
            await self._beat()

    async def is_alive(self, process: str) -> bool:
        """Return True if the heartbeat of a gateway is current. Raises StoreDown."""
        return bool(await self._link.call("EXISTS", self._keys.call_gateway_alive(process)))

    async def send(self, owner: str, box_id: str, message: bytes) -> bool:
        """Send a message; False if the receiver is gone or takes too long. Raises StoreDown."""
        keys = [self._keys.mailbox(owner, box_id), self._keys.stream_frames(box_id)]
        for start in range(0, max(1, len(message)), _FRAME_BYTES):
            chunk = message[start:start + _FRAME_BYTES]
            frame = (_LAST if start + _FRAME_BYTES >= len(message) else _MORE) + chunk
            args: list[Arg] = [frame, _MAX_FRAMES, _TTL_MS, self._keys.mailbox_channel(""), box_id]
            if not await self._send_frame(keys, args):
                return False
        return True

    async def _send_frame(self, keys: list[str], args: list[Arg]) -> bool:
        until_s = monotonic_s() + _SEND_TIMEOUT_S
        while monotonic_s() < until_s:
            if (pushed := await self._link.run(_PUSH, keys, args)) != 0:
                return bool(pushed == 1)
            await asyncio.sleep(_RETRY_EVERY_S)     # nothing is published when frames are taken
        return False

    def receiver(
        self, owner: str, box: Mailbox, process: str, *,
        poll_every_s: float = _POLL_EVERY_S, max_silence_s: float = _MAX_SILENCE_S,
    ) -> "MessageReceiver":
        """Return the receiver of what `process` sends to a mailbox of this gateway."""
        names = self._keys
        keys = [names.mailbox(owner, box.id), names.stream_frames(box.id), names.call_gateway_alive(process)]
        return MessageReceiver(self._link, keys, box, poll_every_s, max_silence_s)

    def close(self) -> None:
        """Stop the heartbeat: this gateway holds no calls any more."""
        if self._heartbeat is not None:
            self._heartbeat.cancel()
            self._link.send_nowait("DEL", self._keys.call_gateway_alive(self.process))

    async def _beat(self) -> None:
        await self._link.call("SET", self._keys.call_gateway_alive(self.process), "1", "PX", _HEARTBEAT_TTL_MS)

    async def _keep_beating(self) -> None:
        while True:
            await asyncio.sleep(_HEARTBEAT_EVERY_S)
            with suppress(StoreDown):
                await self._beat()


class MessageReceiver:
    """Receiver of the messages of one sender."""

    def __init__(
        self, link: RedisLink, keys: list[str], box: Mailbox, poll_every_s: float, max_silence_s: float
    ) -> None:
        self._link = link
        self._keys = keys
        self._box = box
        self._poll_every_s = poll_every_s
        self._max_silence_s = max_silence_s
        self._parts: list[bytes] = []
        self._messages: list[bytes] = []
        self._silent_s = 0.0             # waiting time since the last frame

    async def next(self) -> bytes | None:
        """Return the next message; None after two seconds without one. Raises CallLost when the sender has died."""
        if not self._messages:
            self._box.arrived.clear()
            is_alive = await self._take_frames()
            if not self._messages and is_alive:
                started_s = monotonic_s()
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._poll_every_s):
                        await self._box.arrived.wait()
                self._silent_s += monotonic_s() - started_s
                self._box.arrived.clear()
                is_alive = await self._take_frames()    # outside the timeout: taken frames must not be lost
            if not self._messages and (not is_alive or self._silent_s > self._max_silence_s):
                raise CallLost("the gateway that held this call is gone; make the call again")
        return self._messages.pop(0) if self._messages else None

    async def _take_frames(self) -> bool:
        """Take the frames that have arrived; return True if the sender's heartbeat is current."""
        while True:
            is_alive, *frames = await self._link.run(_TAKE, self._keys, [_FRAMES_PER_TAKE, _TTL_MS])
            for frame in frames:
                self._silent_s = 0.0
                self._parts.append(frame[1:])
                if frame[:1] == _LAST:
                    self._messages.append(b"".join(self._parts))
                    self._parts = []
            if not frames or self._messages:
                return bool(is_alive)
