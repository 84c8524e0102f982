"""`longshore up`: a private Redis, one worker and one gateway on one machine, started and stopped together."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from longshore.cli import embedded, processes, refresh
from longshore.cli.console import Console, print_error
from longshore.cli.errors import JourneyFailed, StartFailed
from longshore.cli.ready import Health, base_url, require_free, wait_until_healthy
from longshore.cli.settings import LAST_EXPORT_S, Overrides, read_config, require_private_refresh
from longshore.cli.store import require_suitable
from longshore.cli.supervise import ChildSpec, Supervisor
from longshore.shared import log
from longshore.shared.clock import monotonic_s
from longshore.shared.config import REDIS_URL_VARIABLE, Config
from longshore.shared.tasks import Tasks

_SLACK_S = 15.0             # added to the time that the gateway waits for its upstreams
_REDIS_TIMEOUT_S = 30.0     # loading a large append-only file takes a while
_CANCEL_TIMEOUT_S = 0.2     # for an interrupted demonstration to close its session


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Processes to start, and what to do once the gateway is ready."""

    config_file: Path
    overrides: Overrides
    started_s: float                                # start of the command, by shared.clock.monotonic_s
    children: tuple[ChildSpec, ...] = ()            # started before all others
    on_ready: Callable[[Console, str], Awaitable[None]] | None = None  # takes the gateway's URL
    keep_running: bool = True                       # after `on_ready`, until a signal


@dataclass(frozen=True, kw_only=True)
class _PrivateRedis:
    """Command and socket of the private Redis."""

    spec: ChildSpec
    socket: Path


def child_environment(**more: str) -> dict[str, str]:
    """Environment of this process, with `more` added, for a child process."""
    return {**os.environ, **more}


def up(plan: Plan, console: Console) -> None:
    """Start all processes, run until SIGINT, SIGTERM or SIGHUP, and stop them all.

    Raises ConfigError, StartFailed and JourneyFailed, each after all processes were stopped.
    """
    config = read_config(plan.config_file, plan.overrides)
    require_private_refresh(config, private=not config.shares_redis)
    log.configure(config.core.log_level, secrets=config.secrets(), headers=config.secret_headers())
    for notice in config.notices:
        print_error(str(notice))
    _require_free_ports(config)
    console.step(f"starting {'' if config.shares_redis else 'a private Redis, '}one worker and one gateway")
    with ExitStack() as folders:
        private = None if config.shares_redis else _prepare_private(folders, config)
        try:
            asyncio.run(_Run(plan, config, private, console).run())
        finally:
            if private is not None and config.state_persistence.type == "memory":
                asyncio.run(refresh.delete_files(config))  # their records end with the private Redis


def _require_free_ports(config: Config) -> None:
    core = config.core
    require_free(core.host, core.port, hint="choose another with --port, or stop the process that listens there")
    for port in (core.admin_port, _worker_admin_port(core.admin_port)):
        if port:
            require_free(core.admin_host, port, hint="set core.admin_port to another, or to 0 for none")


def _worker_admin_port(admin_port: int) -> int:
    """Admin port of the worker: the one after the gateway's, or 0 for none."""
    return admin_port + 1 if admin_port else 0


def _prepare_private(folders: ExitStack, config: Config) -> _PrivateRedis:
    environ = child_environment()
    binary = embedded.find_server(environ.get("PATH"))
    state = Path(config.storage.root).absolute() / "state"
    lock = folders.enter_context(embedded.locked_state_folder(state))
    socket = folders.enter_context(embedded.socket_path(state, environ.get("XDG_RUNTIME_DIR")))
    persist = config.state_persistence.type == "disk"
    spec = processes.redis(binary, state=state, socket=socket, persist=persist, lock=lock, env=environ)
    return _PrivateRedis(spec=spec, socket=socket)


_OutcomeTask = asyncio.Task[StartFailed | JourneyFailed | None]


class _Run:
    """One run of `longshore up`, inside its event loop."""

    def __init__(self, plan: Plan, config: Config, private: _PrivateRedis | None, console: Console) -> None:
        self._plan = plan
        self._config = config
        self._private = private
        self._console = console
        self._stop_requested = asyncio.Event()

    async def run(self) -> None:
        """Run until a signal, the end of the work, or the failure of a child process."""
        async with Supervisor() as children:
            self._handle_signals(children)
            tasks = Tasks()
            work = tasks.start(self._outcome(self._work(children)), name="up")
            failure = tasks.start(children.wait_for_failure(), name="failure")
            signalled = tasks.start(self._stop_requested.wait(), name="signal")
            await asyncio.wait({work, failure, signalled}, return_when=asyncio.FIRST_COMPLETED)
            if signalled.done():
                self._console.title("stopping")
            outcome = self._outcome_of(work, failure)
            work.cancel()
            await asyncio.wait({work}, timeout=_CANCEL_TIMEOUT_S)
            await children.stop()
            await tasks.close()
        if outcome is not None:
            raise outcome

    def _outcome_of(self, work: _OutcomeTask, failure: asyncio.Task[StartFailed]) -> StartFailed | JourneyFailed | None:
        if failure.done():
            return failure.result()
        if work.done():
            return work.result()
        return None if self._plan.keep_running else StartFailed("interrupted before the end")

    def _handle_signals(self, children: Supervisor) -> None:
        def stop() -> None:
            if self._stop_requested.is_set():
                children.kill_all()
            self._stop_requested.set()

        for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(signum, stop)

    async def _outcome(self, work: Awaitable[None]) -> StartFailed | JourneyFailed | None:
        """Await `work` and return its expected errors, to be raised after all processes were stopped."""
        try:
            await work
        except (StartFailed, JourneyFailed) as err:
            return err
        return None

    async def _work(self, children: Supervisor) -> None:
        for spec in self._plan.children:
            children.start(spec)
        env = child_environment()
        if self._private is not None:
            children.start(self._private.spec)
            await embedded.wait_until_ready(self._private.socket, timeout_s=_REDIS_TIMEOUT_S)
            if self._config.state_persistence.refresh_on_startup:
                await refresh.delete_all(self._config, self._private.socket)
            env = child_environment(**{REDIS_URL_VARIABLE: embedded.redis_url(self._private.socket)})
        else:
            await require_suitable(self._config)
        self._start_services(children, env)
        core = self._config.core
        timeout_s = core.max_start_wait_seconds + _SLACK_S
        health = await wait_until_healthy(core.host, core.port, timeout_s=timeout_s)
        self._report(health)
        if self._plan.on_ready is not None:
            await self._plan.on_ready(self._console, base_url(core.host, core.port))
        if self._plan.keep_running:
            await self._stop_requested.wait()

    def _start_services(self, children: Supervisor, env: dict[str, str]) -> None:
        file, core = self._plan.config_file.absolute(), self._config.core
        overrides = replace(self._plan.overrides, grace_s=min(core.shutdown_grace_seconds, processes.DRAIN_S))
        for_worker = replace(overrides, admin_port=_worker_admin_port(core.admin_port))
        telemetry = self._config.telemetry
        export_s = LAST_EXPORT_S if telemetry.enabled and telemetry.flush_on_shutdown else 0
        children.start(processes.worker(file, for_worker.options(), env, export_s=export_s))
        children.start(processes.gateway(file, overrides.options(), env, export_s=export_s))

    def _report(self, health: Health) -> None:
        core = self._config.core
        base = core.public_base_url or base_url(core.host, core.port)
        took_s = monotonic_s() - self._plan.started_s
        self._console.success(f"longshore is ready after {took_s:.1f} s")
        for server in self._config.servers:
            self._console.detail(f"{base}{server.mount_path}")
        if health.status != "ok":
            self._console.detail(f"degraded: {health.degraded_reason or 'see /healthz'}")
