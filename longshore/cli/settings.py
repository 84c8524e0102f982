"""A configuration file together with what the command line says otherwise. Pure but for reading the file."""

from dataclasses import dataclass
from pathlib import Path

import msgspec

from longshore.cli.errors import WrongUsage
from longshore.shared.config import Config, ConfigError, Fault
from longshore.shared.config.load import find_config, load_config

LAST_EXPORT_S = 2       # what the last export may take under `longshore up`, if not less


@dataclass(frozen=True, kw_only=True)
class Overrides:
    """Options that take precedence over the file; None leaves what the file says."""

    port: int | None = None
    admin_port: int | None = None
    data: Path | None = None
    grace_s: int | None = None

    def options(self) -> list[str]:
        """The same, for the command line of a child."""
        words: list[str] = []
        for name, value in (
            ("--port", self.port),
            ("--admin-port", self.admin_port),
            ("--data", self.data),
            ("--grace-s", self.grace_s),
        ):
            words += [] if value is None else [name, str(value)]
        return words


def config_file(named: Path | None) -> Path:
    """The configuration file that counts. Raises WrongUsage when none is named and there is none."""
    file = find_config(named)
    if named is None and not file.exists():
        raise WrongUsage(f"there is no {file}: name a configuration with --config, or try `longshore up --demo`")
    return file


def read(file: Path, overrides: Overrides) -> Config:
    """The configuration that holds. Raises ConfigError with every fault of the file."""
    config = load_config(file)
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
    """Raises ConfigError when state is to be forgotten at this start and the Redis is not this start's own."""
    if config.state_persistence.refresh_on_startup and not private:
        text = "no start may wipe a Redis that others may use: run `longshore sessions purge` instead"
        raise ConfigError((Fault(path="state_persistence.refresh_on_startup", text=text),))
