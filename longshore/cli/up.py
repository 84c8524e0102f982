"""`longshore up`: a private Redis, one worker and one gateway on one machine, started and stopped together."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from longshore.cli import embedded, processes, refresh
from longshore.cli.console import Console, complain
from longshore.cli.errors import JourneyFailed, StartFailed
from longshore.cli.ready import Health, base_url, require_free, until_answering
from longshore.cli.settings import LAST_EXPORT_S, Overrides, read, require_private_refresh
from longshore.cli.store import require_suitable
from longshore.cli.supervise import ChildSpec, Supervisor
from longshore.shared import log
from longshore.shared.clock import monotonic_s
from longshore.shared.config import REDIS_URL_VARIABLE, Config
from longshore.shared.tasks import Tasks

_SLACK_S = 15.0             # beyond what the gateway itself waits for its upstreams
_REDIS_PATIENCE_S = 30.0    # loading a large append-only file takes a while
_EVERYTHING = "a private Redis, one worker and one gateway"
_LET_GO_S = 0.2             # for the journey to close its session when it is interrupted


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to bring up, and what to do once it answers."""

    config_file: Path
    overrides: Overrides
    begun_s: float                                  # when the command began, by shared.clock.monotonic_s
    first: tuple[ChildSpec, ...] = ()               # started before everything else
    then: Callable[[Console, str], Awaitable[None]] | None = None  # takes the gateway's address
    stay: bool = True                               # after that, until a signal


@dataclass(frozen=True, kw_only=True)
class _Private:
    """The private Redis: how it is run and where it answers."""

    spec: ChildSpec
    socket: Path


def environment(**more: str) -> dict[str, str]:
    """This process' environment for a child, with `more`."""
    return {**os.environ, **more}


def up(plan: Plan, console: Console) -> None:
    """Bring everything up, hold it until SIGINT, SIGTERM or SIGHUP, and leave nothing behind.

    Raises ConfigError, StartFailed and JourneyFailed, each after everything was stopped.
    """
    config = read(plan.config_file, plan.overrides)
    require_private_refresh(config, private=not config.shares_redis)
    log.configure(config.core.log_level, secrets=config.secrets(), headers=config.secret_headers())
    for notice in config.notices:
        complain(str(notice))
    _require_free_ports(config)
    console.step("starting " + ("one worker and one gateway" if config.shares_redis else _EVERYTHING))
    with ExitStack() as folders:
        private = None if config.shares_redis else _prepare_private(folders, config)
        try:
            asyncio.run(_Run(plan, config, private, console).run())
        finally:
            if private is not None and config.state_persistence.type == "memory":
                asyncio.run(refresh.forget_files(config))  # their records are gone with their Redis


def _require_free_ports(config: Config) -> None:
    core = config.core
    require_free(core.host, core.port, hint="choose another with --port, or stop what listens there")
    for port in (core.admin_port, _worker_admin_port(core.admin_port)):
        if port:
            require_free(core.admin_host, port, hint="set core.admin_port to another, or to 0 for none")


def _worker_admin_port(admin_port: int) -> int:
    """Gateway and worker share this machine: the worker's metrics are one port further."""
    return admin_port + 1 if admin_port else 0


def _prepare_private(folders: ExitStack, config: Config) -> _Private:
    environ = environment()
    binary = embedded.find_server(environ.get("PATH"))
    state = Path(config.storage.root).absolute() / "state"
    lock = folders.enter_context(embedded.locked_state_folder(state))
    socket = folders.enter_context(embedded.socket_path(state, environ.get("XDG_RUNTIME_DIR")))
    persist = config.state_persistence.type == "disk"
    spec = processes.redis(binary, state=state, socket=socket, persist=persist, lock=lock, env=environ)
    return _Private(spec=spec, socket=socket)


_Ending = asyncio.Task[StartFailed | JourneyFailed | None]


class _Run:
    """One life of `longshore up`, inside its event loop."""

    def __init__(self, plan: Plan, config: Config, private: _Private | None, console: Console) -> None:
        self._plan = plan
        self._config = config
        self._private = private
        self._console = console
        self._told_to_stop = asyncio.Event()

    async def run(self) -> None:
        """Until a signal, until the work is done, or until something cannot be kept up."""
        async with Supervisor() as children:
            self._listen_for_signals(children)
            tasks = Tasks()
            work = tasks.start(self._outcome(self._work(children)), name="up")
            failure = tasks.start(children.failed(), name="failure")
            told = tasks.start(self._told_to_stop.wait(), name="signal")
            await asyncio.wait({work, failure, told}, return_when=asyncio.FIRST_COMPLETED)
            if told.done():
                self._console.title("stopping")
            outcome = self._outcome_of(work, failure)
            work.cancel()
            await asyncio.wait({work}, timeout=_LET_GO_S)
            await children.stop()
            await tasks.close()
        if outcome is not None:
            raise outcome

    def _outcome_of(self, work: _Ending, failure: asyncio.Task[StartFailed]) -> StartFailed | JourneyFailed | None:
        if failure.done():
            return failure.result()
        if work.done():
            return work.result()
        return None if self._plan.stay else StartFailed("interrupted before the end")

    def _listen_for_signals(self, children: Supervisor) -> None:
        def stop() -> None:
            if self._told_to_stop.is_set():
                children.hurry()
            self._told_to_stop.set()

        for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(signum, stop)

    async def _outcome(self, work: Awaitable[None]) -> StartFailed | JourneyFailed | None:
        """An expected end as a value: whoever waits decides what to stop before it is raised."""
        try:
            await work
        except (StartFailed, JourneyFailed) as err:
            return err
        return None

    async def _work(self, children: Supervisor) -> None:
        for spec in self._plan.first:
            children.start(spec)
        env = environment()
        if self._private is not None:
            children.start(self._private.spec)
            await embedded.until_ready(self._private.socket, patience_s=_REDIS_PATIENCE_S)
            if self._config.state_persistence.refresh_on_startup:
                await refresh.forget_all(self._config, self._private.socket)
            env = environment(**{REDIS_URL_VARIABLE: embedded.url_of(self._private.socket)})
        else:
            await require_suitable(self._config)
        self._start_services(children, env)
        core = self._config.core
        patience_s = core.max_start_wait_seconds + _SLACK_S
        health = await until_answering(core.host, core.port, patience_s=patience_s)
        self._report(health)
        if self._plan.then is not None:
            await self._plan.then(self._console, base_url(core.host, core.port))
        if self._plan.stay:
            await self._told_to_stop.wait()

    def _start_services(self, children: Supervisor, env: dict[str, str]) -> None:
        file, core = self._plan.config_file.absolute(), self._config.core
        told = replace(self._plan.overrides, grace_s=min(core.shutdown_grace_seconds, processes.DRAIN_S))
        beside = replace(told, admin_port=_worker_admin_port(core.admin_port))
        telemetry = self._config.telemetry
        export_s = LAST_EXPORT_S if telemetry.enabled and telemetry.flush_on_shutdown else 0
        children.start(processes.worker(file, beside.options(), env, export_s=export_s))
        children.start(processes.gateway(file, told.options(), env, export_s=export_s))

    def _report(self, health: Health) -> None:
        core = self._config.core
        base = core.public_base_url or base_url(core.host, core.port)
        took_s = monotonic_s() - self._plan.begun_s
        self._console.success(f"longshore is ready after {took_s:.1f} s")
        for server in self._config.servers:
            self._console.detail(f"{base}{server.mount_path}")
        if health.status != "ok":
            self._console.detail(f"degraded: {health.degraded_reason or 'see /healthz'}")
