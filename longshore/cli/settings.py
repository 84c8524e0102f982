"""Configuration file together with the command line's options. Pure, except for reading the file."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter

from longshore.cli.errors import WrongUsage
from longshore.shared.config import Config, ConfigError, Fault
from longshore.shared.config.load import find_config, load_config

ConfigFile = Annotated[Path | None, Parameter(help="The configuration file.")]
Flag = Annotated[bool, Parameter(negative="")]
JsonFlag = Annotated[bool, Parameter(name="--json", negative="", help="Print JSON, one object per line.")]

LAST_EXPORT_S = 2       # limit of the last export under `longshore up`


@dataclass(frozen=True, kw_only=True)
class Overrides:
    """Options that take precedence over the file; None keeps the file's value."""

    port: int | None = None
    admin_port: int | None = None
    data: Path | None = None
    grace_s: int | None = None

    def options(self) -> list[str]:
        """Command line options for a child process."""
        given = {name: value for name, value in asdict(self).items() if value is not None}
        return [word for name, value in given.items() for word in (f"--{name.replace('_', '-')}", str(value))]


def find_config_file(named: Path | None) -> Path:
    """Path of the configuration file. Raises WrongUsage if none is named and the default does not exist."""
    file = find_config(named)
    if named is None and not file.exists():
        raise WrongUsage(f"there is no {file}: name a configuration with --config, or try `longshore up --demo`")
    return file


def read_config(file: Path, overrides: Overrides | None = None) -> Config:
    """Read the configuration and apply `overrides`. Raises ConfigError with every fault of the file."""
    config = load_config(file)
    if overrides is None:
        return config
    core, storage, telemetry = config.core, config.storage, config.telemetry
    if overrides.port is not None:
        core = msgspec.structs.replace(core, port=overrides.port)
    if overrides.admin_port is not None:
        core = msgspec.structs.replace(core, admin_port=overrides.admin_port)
    if overrides.grace_s is not None:
        core = msgspec.structs.replace(core, shutdown_grace_seconds=overrides.grace_s)
        export_s = min(telemetry.shutdown_drain_timeout_seconds, LAST_EXPORT_S)
        telemetry = msgspec.structs.replace(telemetry, shutdown_drain_timeout_seconds=export_s)
    if overrides.data is not None:
        storage = msgspec.structs.replace(storage, root=str(overrides.data))
    return msgspec.structs.replace(config, core=core, storage=storage, telemetry=telemetry)


def require_private_refresh(config: Config, *, private: bool) -> None:
    """Raise ConfigError if this start must delete all state and the Redis is not private."""
    if config.state_persistence.refresh_on_startup and not private:
        text = "a start must not wipe a Redis that others may use: run `longshore sessions purge` instead"
        raise ConfigError((Fault(path="state_persistence.refresh_on_startup", text=text),))
