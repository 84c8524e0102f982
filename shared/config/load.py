"""Reads a configuration file into a Config. The only place that looks at the environment and at such files."""

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from longshore.shared.config import rules
from longshore.shared.config.config import Config
from longshore.shared.config.faults import ConfigError, Fault
from longshore.shared.config.kinds import BadValue
from longshore.shared.config.reader import read
from longshore.shared.config.reading import Reading
from longshore.shared.config.surface import ROOT, STRUCTS, Section
from longshore.shared.config.variables import Variables
from longshore.shared.config.words import RedisUrl
from longshore.shared.config.yamltree import NotYaml, parse

REDIS_URL_VARIABLE = "LONGSHORE_REDIS_URL"
CONFIG_PATH_VARIABLE = "MCP_ADAPTER_CONFIG"

_MAX_FILE_BYTES = 1024 * 1024
_MAX_SECRET_BYTES = 64 * 1024


def find_config(argument: Path | None, *, environ: Mapping[str, str] | None = None) -> Path:
    """The file to read: `argument`, else what MCP_ADAPTER_CONFIG names, else ./config.yaml."""
    if argument is not None:
        return argument
    named = (os.environ if environ is None else environ).get(CONFIG_PATH_VARIABLE, "").strip()
    return Path(named or "config.yaml")


def load_config(path: Path, *, environ: Mapping[str, str] | None = None) -> Config:
    """The configuration in `path`, checked and complete.

    Raises ConfigError with every fault at once; no fault repeats a secret. `environ` stands in for the
    process' environment.
    """
    known = os.environ if environ is None else environ
    try:
        return parse_config(_text(path), environ=known)
    except ConfigError as err:
        raise ConfigError(err.faults, source=str(path)) from err


def parse_config(text: str, *, environ: Mapping[str, str]) -> Config:
    """The configuration that `text` holds. Raises ConfigError."""
    try:
        parsed = parse(text)
    except NotYaml as err:
        raise ConfigError(err.faults) from err
    reading = read(parsed.tree, Variables(environ=environ, read_file=_secret_file))
    reading.faults.extend(parsed.faults)
    url = _redis_url(environ, reading)
    rules.check(reading, redis_url_variable=url)
    if reading.faults:
        raise ConfigError(tuple(reading.faults))
    fields = _fields(ROOT, "", reading)
    return Config(**fields, notices=tuple(reading.notices), redis_url_variable=url)  # type: ignore[arg-type]


def require_shared_redis(config: Config) -> None:
    """Raises ConfigError unless the configuration names a Redis that several processes can share."""
    if not config.shares_redis:
        kept = config.state_persistence.type
        text = (
            f"{kept} is a private Redis that only `longshore up` starts; run `longshore up`, or set this to redis "
            f"with redis.host, redis.url or redis.sentinel, or set the environment variable {REDIS_URL_VARIABLE}"
        )
        raise ConfigError((Fault(path="state_persistence.type", text=text),))


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_FILE_BYTES + 1)
    except OSError as err:
        raise ConfigError((Fault(text=f"cannot be read: {err.strerror or err}"),)) from err
    if len(data) > _MAX_FILE_BYTES:
        raise ConfigError((Fault(text=f"is larger than {_MAX_FILE_BYTES} bytes"),))
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as err:
        line = data.count(b"\n", 0, err.start) + 1
        raise ConfigError((Fault(line=line, text="is not UTF-8"),)) from err


def _secret_file(name: str) -> str | None:
    try:
        with Path(name).open("rb") as file:
            data = file.read(_MAX_SECRET_BYTES + 1)
        if len(data) > _MAX_SECRET_BYTES:
            raise BadValue(f"the file {name!r} is larger than {_MAX_SECRET_BYTES} bytes")
        return data.decode()
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as err:
        why = err.strerror if isinstance(err, OSError) else "it is not UTF-8 text"
        raise BadValue(f"the file {name!r} cannot be read: {why}") from err


def _redis_url(environ: Mapping[str, str], reading: Reading) -> str | None:
    if not (text := environ.get(REDIS_URL_VARIABLE, "").strip()):
        return None
    kind = RedisUrl()
    try:
        return kind.read(text)
    except BadValue as err:
        fault = Fault(text=f"the environment variable {REDIS_URL_VARIABLE} is refused: {err}; allowed: {kind.allowed}")
        reading.faults.append(fault)
        return None


def _fields(section: Section, at: str, reading: Reading) -> dict[str, object]:
    """What the struct of `section` is made of, from a reading without faults."""
    prefix = f"{at}." if at else ""
    fields: dict[str, object] = {name: reading.values[prefix + name] for name in section.rows}
    for name, below in section.sections.items():
        fields[name] = _struct(below, prefix + name, reading)
    for name, below in section.lists.items():
        paths = _paths(prefix + name, reading)
        fields[name] = tuple(_struct(below, path, reading) for path in paths)
    for name, kinds in section.tagged.items():
        paths = _paths(prefix + name, reading)
        fields[name] = tuple(_struct(kinds[reading.tags[path]], path, reading) for path in paths)
    return fields


def _struct(section: Section, at: str, reading: Reading) -> msgspec.Struct:
    struct = STRUCTS[section.path]
    fields = _fields(section, at, reading)
    if at in reading.tags:
        del fields["type"]  # the class says it
    return struct(**fields)


def _paths(at: str, reading: Reading) -> list[str]:
    return [f"{at}[{index}]" for index in range(reading.lengths[at])]
