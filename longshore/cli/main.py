"""The command line. Exit status: 0 done, 1 failed, 2 a wrong configuration or command line."""

import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any

import structlog
from cyclopts import App, CycloptsError, Parameter

from longshore.cli.console import Console, complain, emit
from longshore.cli.errors import CheckFailed, JourneyFailed, StartFailed, WrongUsage
from longshore.cli.settings import Overrides, config_file, read, require_private_refresh
from longshore.shared import log
from longshore.shared.clock import monotonic_s
from longshore.shared.config import Config, ConfigError
from longshore.shared.config.load import require_shared_redis
from longshore.shared.errors import LongshoreError
from longshore.shared.version import running_version

_BEGUN_S = monotonic_s()
_log = structlog.get_logger(__name__)
_INTERNAL = Parameter(show=False)  # how `longshore up` tells its children what it was told


app = App(
    name="longshore",
    help="A gateway that makes files work through remote MCP servers.",
    version=running_version,
    help_format="plaintext",
)


app.command("longshore.cli.sessions:app", name="sessions", help="List, show and end sessions.")
app.command("longshore.cli.top:app", name="top", help="Show what gateways and workers do now.")
app.command("longshore.cli.doctor:app", name="doctor", help="Find out why clients cannot do what they should.")


@app.command
def up(
    *,
    config: Path | None = None,
    demo: Annotated[bool, Parameter(negative="")] = False,
    once: Annotated[bool, Parameter(negative="")] = False,
    data: Path | None = None,
    port: int | None = None,
) -> None:
    """Run everything on this machine: a private Redis, one worker and one gateway.

    Parameters
    ----------
    config
        The configuration file.
    demo
        Bring an MCP server along and send a file in and a file out through it.
    once
        With --demo: stop after that; the exit status says whether it worked.
    data
        The data folder, instead of storage.root; with --demo instead of .longshore.
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
    service.up(service.Plan(config_file=config_file(config), overrides=overrides, begun_s=_BEGUN_S), Console())


def _demo(config: Path | None, *, once: bool, data: Path | None, port: int | None) -> None:
    from longshore.cli import up as service
    from longshore.cli.demo.plan import DATA, PORT, demo_plan

    if config is not None:
        raise WrongUsage("--demo brings its own configuration: leave out --config or --demo")
    env = service.environment()
    with demo_plan(data or DATA, port=port or PORT, once=once, env=env, begun_s=_BEGUN_S) as plan:
        service.up(plan, Console())


@app.command
def gateway(
    *,
    config: Path | None = None,
    port: Annotated[int | None, _INTERNAL] = None,
    admin_port: Annotated[int | None, _INTERNAL] = None,
    data: Annotated[Path | None, _INTERNAL] = None,
    grace_s: Annotated[int | None, _INTERNAL] = None,
) -> None:
    """Run one gateway against a shared Redis.

    Parameters
    ----------
    config
        The configuration file.
    """
    settings = _service_config(config, Overrides(port=port, admin_port=admin_port, data=data, grace_s=grace_s))
    from longshore.gateway.app import serve

    _run(serve(settings))


@app.command
def worker(
    *,
    config: Path | None = None,
    port: Annotated[int | None, _INTERNAL] = None,
    admin_port: Annotated[int | None, _INTERNAL] = None,
    data: Annotated[Path | None, _INTERNAL] = None,
    grace_s: Annotated[int | None, _INTERNAL] = None,
) -> None:
    """Run one worker against a shared Redis.

    Parameters
    ----------
    config
        The configuration file.
    """
    settings = _service_config(config, Overrides(port=port, admin_port=admin_port, data=data, grace_s=grace_s))
    from longshore.storage_worker.worker import serve

    _run(serve(settings))


@app.command
def check(*, config: Path | None = None) -> None:
    """Print the effective configuration with secrets masked, or every fault of the file.

    Parameters
    ----------
    config
        The configuration file.
    """
    from longshore.cli.check import render_effective

    emit(render_effective(read(config_file(config), Overrides())).rstrip("\n"))


def _service_config(config: Path | None, overrides: Overrides) -> Config:
    """What a process that needs a shared Redis runs with; logging follows it from here on."""
    settings = read(config_file(config), overrides)
    require_shared_redis(settings)
    log.configure(settings.core.log_level, secrets=settings.secrets(), headers=settings.secret_headers())
    if overrides == Overrides():  # else `longshore up` started this, and has said so, and done what is due at a start
        require_private_refresh(settings, private=False)
        for notice in settings.notices:
            _log.warning("setting_without_effect", path=notice.path, line=notice.line, why=notice.text)
    return settings


def _run(service: Coroutine[Any, Any, None]) -> None:
    import uvloop

    uvloop.run(service)


def main() -> None:
    """Run the command that the arguments name, and exit with its status."""
    sys.exit(_status(sys.argv[1:]))


def _status(arguments: list[str]) -> int:
    try:
        app(arguments, exit_on_error=False, result_action="return_value")
    except CycloptsError:
        return 2  # said by cyclopts
    except (ConfigError, WrongUsage) as err:
        complain(str(err))
        return 2
    except (LongshoreError, StartFailed, JourneyFailed, CheckFailed) as err:
        complain(str(err))
        return 1
    return 0
