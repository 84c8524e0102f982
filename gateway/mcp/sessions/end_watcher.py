"""The end of a session, told to what waits in it at this gateway. It may come at any other, or from an operator."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from aiohttp import web

from longshore.shared.errors import StoreDown
from longshore.shared.messaging.pubsub import ENDED, RESYNC, Event, EventListener
from longshore.shared.state.sessions import SessionStore
from longshore.shared.tasks import Tasks


class SessionEndWatcher:
    """Built once at start-up. Costs those that wait a subscription and one look, and nobody else anything."""

    def __init__(self, hearing: EventListener, sessions: SessionStore, tasks: Tasks) -> None:
        self._hearing = hearing
        self._sessions = sessions
        self._tasks = tasks

    @asynccontextmanager
    async def watch(self, session_id: str, end: Callable[[], None]) -> AsyncIterator[None]:
        """Call `end` should the session end while the block runs, or have ended before; perhaps more than once.

        Raises StoreDown.
        """
        waits = True

        async def look() -> None:
            with suppress(StoreDown):        # then the connection is lost as well, and is looked after when it is back
                if not await self._sessions.is_live(session_id) and waits:
                    end()

        def hear(event: Event) -> None:
            if event.kind == ENDED:
                end()
            elif event.kind == RESYNC:
                self._tasks.spawn(look(), name="look_for_end")

        async with self._hearing.subscribed(session_id, hear):
            try:
                if not await self._sessions.is_live(session_id):     # it ended before we listened
                    end()
                yield
            finally:
                waits = False


SESSION_ENDS = web.AppKey("endings", SessionEndWatcher)
