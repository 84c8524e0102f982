"""What an upstream says on its stream of changes: handed to those who listen, kept lists forgotten first."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass

from aiohttp import web

from longshore.gateway.appkeys import PUBLISHER, SESSIONS
from longshore.gateway.mcp.list_cache import LIST_CACHE
from longshore.gateway.mcp.subscriptions.upstream_feed import FeedOwner
from longshore.gateway.mounts import Mount
from longshore.gateway.wire import changes
from longshore.shared.messaging.pubsub import LISTS_CHANGED, Event
from longshore.shared.state.feeds import CHANGE
from longshore.shared.state.sessions import Caller

OPEN_S = 15.0                # to open a stream, and for what has to be asked for that
MAX_EVENT_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class UpstreamContext:
    """By whom and on whose behalf an upstream is listened to."""

    request: web.Request         # of a client that listens: its headers are what the upstream lets in
    mount: Mount
    caller: Caller               # whose session it is, or scope


async def publish(way: UpstreamContext, data: bytes) -> bool:
    """Whether a message tells of a change, which is handed on then. Raises StoreDown."""
    change = changes.parse_change(data)
    if change is None:
        return False
    app, scope = way.request.app, way.caller.session_id
    if change.method != changes.UPDATED and app[LIST_CACHE].is_on:
        await app[SESSIONS].count_list_change(scope)
        await app[PUBLISHER].publish(Event(LISTS_CHANGED, "", way.mount.server.id.encode()))
    await app[PUBLISHER].publish(Event(CHANGE, scope, change.data))
    return True


class Reading:
    """A stream that is read in a task of its own: whether it is over, and its end."""

    def __init__(self, ear: FeedOwner) -> None:
        self.is_over = False
        self.begun = asyncio.Event()         # or over
        self._ear = ear
        self._task: asyncio.Task[None] | None = None

    def start(self, task: asyncio.Task[None]) -> None:
        """Follow the task that reads it."""
        self._task = task
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self.is_over = True
        self.begun.set()
        self._ear.wake()

    async def stop(self) -> None:
        """Read no more."""
        if self._task is not None:
            self._task.remove_done_callback(self._ended)
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
