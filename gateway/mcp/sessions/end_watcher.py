"""Ends of sessions, watched by what waits in them: a session may end at any gateway, or from the command line."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from aiohttp import web

from longshore.shared.errors import StoreDown
from longshore.shared.messaging.pubsub import ENDED, RESYNC, Event, EventListener
from longshore.shared.state.sessions import SessionStore
from longshore.shared.tasks import Tasks


class SessionEndWatcher:
    """Watcher of sessions. Costs one subscription and one look-up for each `watch`. Built once at start-up."""

    def __init__(self, events: EventListener, sessions: SessionStore, tasks: Tasks) -> None:
        self._events = events
        self._sessions = sessions
        self._tasks = tasks

    @asynccontextmanager
    async def watch(self, session_id: str, on_end: Callable[[], None]) -> AsyncIterator[None]:
        """Call `on_end` if the session ends while the block runs, or ended before it; perhaps more than once.

        Raises StoreDown.
        """
        is_watched = True

        async def check() -> None:
            with suppress(StoreDown):        # another RESYNC follows when Redis is back
                if not await self._sessions.is_live(session_id) and is_watched:
                    on_end()

        def on_event(event: Event) -> None:
            if event.kind == ENDED:
                on_end()
            elif event.kind == RESYNC:
                self._tasks.spawn(check(), name="look_for_end")

        async with self._events.subscribed(session_id, on_event):
            try:
                if not await self._sessions.is_live(session_id):     # it ended before we subscribed
                    on_end()
                yield
            finally:
                is_watched = False


SESSION_ENDS = web.AppKey("session_ends", SessionEndWatcher)
