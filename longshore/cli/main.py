"""Command line of longshore. Exit status: 0 success, 1 failure, 2 wrong configuration or command line."""

import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any

import structlog
from cyclopts import App, CycloptsError, Parameter

from longshore.cli.console import Console, print_error, print_result
from longshore.cli.errors import CheckFailed, JourneyFailed, StartFailed, WrongUsage
from longshore.cli.settings import ConfigFile, Flag, Overrides, find_config_file, read_config, require_private_refresh
from longshore.shared import log
from longshore.shared.clock import monotonic_s
from longshore.shared.config import Config, ConfigError
from longshore.shared.config.load import require_shared_redis
from longshore.shared.errors import LongshoreError
from longshore.shared.version import running_version

_STARTED_S = monotonic_s()
_NO_OVERRIDES = Overrides()
_log = structlog.get_logger(__name__)
_Internal = Annotated[Overrides, Parameter(name="*", show=False)]  # options that `longshore up` passes to its children


app = App(
    name="longshore",
    help="A gateway that makes files work through remote MCP servers.",
    version=running_version,
    help_format="plaintext",
)


app.command("longshore.cli.sessions:app", name="sessions", help="List, show and end sessions.")
app.command("longshore.cli.top:app", name="top", help="Show the current activity of gateways and workers.")
app.command("longshore.cli.doctor:app", name="doctor", help="Find out why clients cannot connect.")


@app.command
def up(
    *, config: ConfigFile = None, demo: Flag = False, once: Flag = False, data: Path | None = None,
    port: int | None = None,
) -> None:
    """Run everything on this machine: a private Redis, one worker and one gateway.

    Parameters
    ----------
    demo
        Start a demo MCP server, and send one file to it and get one from it.
    once
        With --demo: stop after that; the exit status says if it worked.
    data
        The data folder, instead of storage.root; with --demo, instead of .longshore.
    port
        The port to listen on, instead of core.port.
    """
    from longshore.cli import up as service

    if demo:
        _demo(config, once=once, data=data, port=port)
        return
    if once:
        raise WrongUsage("--once belongs to --demo")
    overrides = Overrides(port=port, data=None if data is None else data.absolute())
    plan = service.Plan(config_file=find_config_file(config), overrides=overrides, started_s=_STARTED_S)
    service.up(plan, Console())


def _demo(config: Path | None, *, once: bool, data: Path | None, port: int | None) -> None:
    from longshore.cli import up as service
    from longshore.cli.demo.plan import DATA, PORT, demo_plan

    if config is not None:
        raise WrongUsage("--demo brings its own configuration: leave out --config or --demo")
    env = service.child_environment()
    with demo_plan(data or DATA, port=port or PORT, once=once, env=env, started_s=_STARTED_S) as plan:
        service.up(plan, Console())


@app.command
def gateway(*, config: ConfigFile = None, overrides: _Internal = _NO_OVERRIDES) -> None:
    """Run one gateway. It needs a shared Redis."""
    settings = _service_config(config, overrides)
    from longshore.gateway.app import serve

    _run(serve(settings))


@app.command
def worker(*, config: ConfigFile = None, overrides: _Internal = _NO_OVERRIDES) -> None:
    """Run one worker. It needs a shared Redis."""
    settings = _service_config(config, overrides)
    from longshore.storage_worker.worker import serve

    _run(serve(settings))


@app.command
def check(*, config: ConfigFile = None) -> None:
    """Print the effective configuration with secrets masked, or all faults of the file."""
    from longshore.cli.check import render_effective

    print_result(render_effective(read_config(find_config_file(config))).rstrip("\n"))


def _service_config(config: Path | None, overrides: Overrides) -> Config:
    """Read the configuration of a process that needs a shared Redis, and configure logging by it."""
    settings = read_config(find_config_file(config), overrides)
    require_shared_redis(settings)
    log.configure(settings.core.log_level, secrets=settings.secrets(), headers=settings.secret_headers())
    if overrides == _NO_OVERRIDES:  # else `longshore up` has started this, and has done both already
        require_private_refresh(settings, private=False)
        for notice in settings.notices:
            _log.warning("setting_without_effect", path=notice.path, line=notice.line, why=notice.text)
    return settings


def _run(service: Coroutine[Any, Any, None]) -> None:
    import uvloop

    uvloop.run(service)


def main() -> None:
    """Run the command that the arguments name, and exit with its status."""
    sys.exit(_run_command(sys.argv[1:]))


def _run_command(arguments: list[str]) -> int:
    try:
        app(arguments, exit_on_error=False, result_action="return_value")
    except CycloptsError:
        return 2  # cyclopts has printed the error
    except (ConfigError, WrongUsage) as err:
        print_error(str(err))
        return 2
    except (LongshoreError, StartFailed, JourneyFailed, CheckFailed) as err:
        print_error(str(err))
        return 1
    return 0
