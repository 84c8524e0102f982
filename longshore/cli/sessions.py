"""`longshore sessions`: lists, shows and ends sessions. Reading a session does not prolong its life."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import App, Parameter

from longshore.cli.console import print_error, print_result
from longshore.cli.errors import WrongUsage
from longshore.cli.session_text import HEADING, details, row
from longshore.cli.settings import ConfigFile, Flag, JsonFlag, find_config_file, read_config
from longshore.cli.store import Store, open_store
from longshore.shared import log
from longshore.shared.config import Config
from longshore.shared.errors import NotFound, SessionGone
from longshore.shared.ids import is_id, new_id
from longshore.shared.jobs import RemoveScope
from longshore.shared.state.inspect import Inspector, SessionView
from longshore.shared.state.queue import Queue
from longshore.shared.state.sessions import Caller, SessionLimits, SessionStore
from longshore.shared.state.workers import Workers

app = App(name="sessions", help="List, show and end sessions.", help_format="plaintext")

_REASON = "the operator ended it"
_SessionId = Annotated[str, Parameter(help="The session's id.")]


class _Operator:
    """Operations of the commands on one open store."""

    def __init__(self, store: Store, config: Config) -> None:
        self.inspector = Inspector(store.link, store.keys)
        self.workers = Workers(store.link, store.keys)
        limits = SessionLimits.of(config.sessions)
        self._sessions = SessionStore(store.link, store.keys, limits)
        self._queue = Queue(store.link, store.keys, new_id(), store.tasks)

    async def view(self, session_id: str) -> SessionView:
        """Read one session. Raises NotFound."""
        view = await self.inspector.session(session_id) if is_id(session_id) else None
        if view is None:
            raise NotFound("no session of this id is known; `longshore sessions list` shows the live ones")
        return view

    async def end(self, view: SessionView) -> None:
        """End the session and enqueue the removal of its files. Raises SessionGone if it has ended already."""
        caller = Caller(view.session_id, view.server, principal="")
        _ = await self._sessions.end(caller, reason=_REASON)
        await self._queue.enqueue(RemoveScope(scope=view.session_id))

    async def warn_without_workers(self) -> None:
        """Warn on stderr if no worker can remove the files now."""
        if not await self.workers.count_live():
            print_error("no worker is alive: the files are removed once one runs, within a day or with its sweep")


@app.command(name="list")
def list_sessions(*, config: ConfigFile = None, as_json: JsonFlag = False) -> None:
    """List the live sessions, oldest first."""

    async def work(operator: _Operator) -> None:
        if not as_json:
            print_result(HEADING)
        async for view in operator.inspector.live():
            print_result(msgspec.json.encode(view).decode() if as_json else row(view))

    _run(config, work)


@app.command
def show(session_id: _SessionId, *, config: ConfigFile = None, as_json: JsonFlag = False) -> None:
    """Show one session and its files: live, expired or ended."""

    async def work(operator: _Operator) -> None:
        view = await operator.view(session_id)
        files = await operator.inspector.files(session_id)
        as_text = msgspec.json.encode({"session": view, "files": files}).decode() if as_json else details(view, files)
        print_result(as_text)

    _run(config, work)


@app.command
def end(session_id: _SessionId, *, config: ConfigFile = None) -> None:
    """End one session at once and for good, with its files, links and upstream session."""

    async def work(operator: _Operator) -> None:
        view = await operator.view(session_id)
        await operator.end(view)
        print_result(f"ended {view.session_id}, {view.files} files, {view.bytes} bytes")
        await operator.warn_without_workers()

    _run(config, work)


@app.command
def purge(*, yes: Flag = False, config: ConfigFile = None) -> None:
    """End all sessions, live and expired, and delete all of their files.

    Parameters
    ----------
    yes
        Confirm; without it, nothing happens.
    """
    if not yes:
        raise WrongUsage("this ends every session and deletes all of their files: confirm with --yes")

    async def work(operator: _Operator) -> None:
        ended = 0
        for views in (operator.inspector.live(), operator.inspector.expired()):
            async for view in views:
                with contextlib.suppress(SessionGone):  # another process has ended it
                    await operator.end(view)
                    ended += 1
        print_result(f"ended {ended} sessions")
        await operator.warn_without_workers()

    _run(config, work)


def _run(config: Path | None, work: Callable[[_Operator], Awaitable[None]]) -> None:
    settings = read_config(find_config_file(config))
    log.configure("error", secrets=settings.secrets(), headers=settings.secret_headers())

    async def run() -> None:
        async with open_store(settings) as store:
            await work(_Operator(store, settings))

    asyncio.run(run())
