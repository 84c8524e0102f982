"""Loads a configuration file into a Config. The only module that reads the environment and configuration files."""

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from longshore.shared.config import cross_checks
from longshore.shared.config.config import Config
from longshore.shared.config.faults import ConfigError, Fault
from longshore.shared.config.parse_result import ParseResult
from longshore.shared.config.schema import ROOT, SectionSchema
from longshore.shared.config.section_reader import read
from longshore.shared.config.text_types import RedisUrl
from longshore.shared.config.value_types import InvalidValue
from longshore.shared.config.variables import Variables
from longshore.shared.config.yaml_tree import NotYaml, parse

REDIS_URL_VARIABLE = "LONGSHORE_REDIS_URL"
CONFIG_PATH_VARIABLE = "MCP_ADAPTER_CONFIG"

_MAX_FILE_BYTES = 1024 * 1024
_MAX_SECRET_BYTES = 64 * 1024


def find_config(argument: Path | None, *, environ: Mapping[str, str] | None = None) -> Path:
    """Path of the configuration file: `argument`, else the value of MCP_ADAPTER_CONFIG, else ./config.yaml."""
    if argument is not None:
        return argument
    named = (os.environ if environ is None else environ).get(CONFIG_PATH_VARIABLE, "").strip()
    return Path(named or "config.yaml")


def load_config(path: Path, *, environ: Mapping[str, str] | None = None) -> Config:
    """Load and validate the configuration file at `path`.

    Raises ConfigError with all faults; no fault contains a secret. `environ` replaces the environment of
    the process.
    """
    known = os.environ if environ is None else environ
    try:
        return parse_config(_read_text(path), environ=known)
    except ConfigError as err:
        raise ConfigError(err.faults, source=str(path)) from err


def parse_config(text: str, *, environ: Mapping[str, str]) -> Config:
    """Parse and validate a configuration. Raises ConfigError with all faults."""
    try:
        parsed = parse(text)
    except NotYaml as err:
        raise ConfigError(err.faults) from err
    result = read(parsed.tree, Variables(environ=environ, read_file=_read_secret_file))
    result.faults.extend(parsed.faults)
    url = _redis_url(environ, result)
    cross_checks.check(result, redis_url_variable=url)
    if result.faults:
        raise ConfigError(tuple(result.faults))
    fields = _fields(ROOT, "", result)
    return Config(**fields, notices=tuple(result.notices), redis_url_variable=url)  # type: ignore[arg-type]


def require_shared_redis(config: Config) -> None:
    """Raise ConfigError unless the configuration names a Redis that several processes can share."""
    if not config.shares_redis:
        private = config.state_persistence.type
        text = (
            f"{private} is a private Redis that only `longshore up` starts; run `longshore up`, or set this to redis "
            f"with redis.host, redis.url or redis.sentinel, or set the environment variable {REDIS_URL_VARIABLE}"
        )
        raise ConfigError((Fault(path="state_persistence.type", text=text),))


def _read_text(path: Path) -> str:
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


def _read_secret_file(name: str) -> str | None:
    try:
        with Path(name).open("rb") as file:
            data = file.read(_MAX_SECRET_BYTES + 1)
        if len(data) > _MAX_SECRET_BYTES:
            raise InvalidValue(f"the file {name!r} is larger than {_MAX_SECRET_BYTES} bytes")
        return data.decode()
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as err:
        why = err.strerror if isinstance(err, OSError) else "it is not UTF-8 text"
        raise InvalidValue(f"the file {name!r} cannot be read: {why}") from err


def _redis_url(environ: Mapping[str, str], result: ParseResult) -> str | None:
    if not (text := environ.get(REDIS_URL_VARIABLE, "").strip()):
        return None
    value_type = RedisUrl()
    try:
        return value_type.read(text)
    except InvalidValue as err:
        reason = f"is refused: {err}; allowed: {value_type.allowed}"
        result.faults.append(Fault(text=f"the environment variable {REDIS_URL_VARIABLE} {reason}"))
        return None


def _fields(section: SectionSchema, at: str, result: ParseResult) -> dict[str, object]:
    """Fields of the struct of `section`, from a result without faults."""
    prefix = f"{at}." if at else ""
    fields: dict[str, object] = {name: result.values[prefix + name] for name in section.keys}
    for name, below in section.sections.items():
        fields[name] = _struct(below, prefix + name, result)
    for name, below in section.lists.items():
        paths = _paths(prefix + name, result)
        fields[name] = tuple(_struct(below, path, result) for path in paths)
    for name, tags in section.tagged.items():
        paths = _paths(prefix + name, result)
        fields[name] = tuple(_struct(tags[result.tags[path]], path, result) for path in paths)
    return fields


def _struct(section: SectionSchema, at: str, result: ParseResult) -> msgspec.Struct:
    fields = _fields(section, at, result)
    if at in result.tags:
        del fields["type"]  # a tag of the struct
    return section.struct(**fields)


def _paths(at: str, result: ParseResult) -> list[str]:
    return [f"{at}[{index}]" for index in range(result.lengths[at])]
