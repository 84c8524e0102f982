"""`longshore sessions`: what an operator sees of sessions, and ending them. Looking never prolongs one."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import App, Parameter

from longshore.cli.console import complain, emit
from longshore.cli.errors import WrongUsage
from longshore.cli.session_text import HEADING, details, row
from longshore.cli.settings import Overrides, config_file, read
from longshore.cli.store import Store, opened_store
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
_Flag = Annotated[bool, Parameter(negative="")]


class _Operator:
    """The commands' work on one open store."""

    def __init__(self, store: Store, config: Config) -> None:
        self.inspector = Inspector(store.scripts, store.link, store.keys)
        self.workers = Workers(store.scripts, store.link, store.keys)
        limits = SessionLimits.of(config.sessions)
        self._sessions = SessionStore(store.scripts, store.link, store.keys, limits)
        self._queue = Queue(store.scripts, store.link, store.keys, new_id(), store.tasks)

    async def view(self, session_id: str) -> SessionView:
        """Raises NotFound."""
        view = await self.inspector.session(session_id) if is_id(session_id) else None
        if view is None:
            raise NotFound("no session of this id is known; `longshore sessions list` shows those that live")
        return view

    async def end(self, view: SessionView) -> None:
        """End the session for good and have its files removed. Raises SessionGone when it has ended already."""
        caller = Caller(view.session_id, view.server, principal="")
        _ = await self._sessions.end(caller, reason=_REASON)
        await self._queue.enqueue(RemoveScope(scope=view.session_id))


@app.command(name="list")
def list_sessions(*, config: Path | None = None, as_json: Annotated[_Flag, Parameter(name="--json")] = False) -> None:
    """List the sessions that live, oldest first.

    Parameters
    ----------
    config
        The configuration file.
    as_json
        One JSON object a line.
    """

    async def work(operator: _Operator) -> None:
        if not as_json:
            emit(HEADING)
        async for view in operator.inspector.live():
            emit(msgspec.json.encode(view).decode() if as_json else row(view))

    _run(config, work)


@app.command
def show(
    session_id: str, *, config: Path | None = None, as_json: Annotated[_Flag, Parameter(name="--json")] = False
) -> None:
    """Show one session and its files, whether it lives, rests or has ended.

    Parameters
    ----------
    session_id
        The session's id.
    config
        The configuration file.
    as_json
        One JSON object.
    """

    async def work(operator: _Operator) -> None:
        view = await operator.view(session_id)
        files = await operator.inspector.files(session_id)
        if as_json:
            emit(msgspec.json.encode({"session": view, "files": files}).decode())
        else:
            emit(details(view, files))

    _run(config, work)


@app.command
def end(session_id: str, *, config: Path | None = None) -> None:
    """End one session at once and for good, with its files, links and upstream session.

    Parameters
    ----------
    session_id
        The session's id.
    config
        The configuration file.
    """

    async def work(operator: _Operator) -> None:
        view = await operator.view(session_id)
        await operator.end(view)
        emit(f"ended {view.session_id}, {view.files} files, {view.bytes} bytes")
        await _warn_without_workers(operator)

    _run(config, work)


@app.command
def purge(*, yes: _Flag = False, config: Path | None = None) -> None:
    """End every session there is, those that rest included, and delete all of their files.

    Parameters
    ----------
    yes
        Do it; without, nothing happens.
    config
        The configuration file.
    """
    if not yes:
        raise WrongUsage("this ends every session and deletes all of their files: say --yes if you mean it")

    async def work(operator: _Operator) -> None:
        ended = 0
        for views in (operator.inspector.live(), operator.inspector.expired()):
            async for view in views:
                try:
                    await operator.end(view)
                except SessionGone:
                    continue  # meanwhile
                ended += 1
        emit(f"ended {ended} sessions")
        await _warn_without_workers(operator)

    _run(config, work)


async def _warn_without_workers(operator: _Operator) -> None:
    if not await operator.workers.count_live():
        complain("no worker is alive: the files go when one is, within a day or with its sweep")


def _run(config: Path | None, work: Callable[[_Operator], Awaitable[None]]) -> None:
    settings = read(config_file(config), Overrides())
    log.configure("error", secrets=settings.secrets(), headers=settings.secret_headers())

    async def run() -> None:
        async with opened_store(settings) as store:
            await work(_Operator(store, settings))

    asyncio.run(run())
