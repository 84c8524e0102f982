"""Reads a configuration file into a Config. The only place that looks at the environment and at such files."""

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
    result = read(parsed.tree, Variables(environ=environ, read_file=_secret_file))
    result.faults.extend(parsed.faults)
    url = _redis_url(environ, result)
    cross_checks.check(result, redis_url_variable=url)
    if result.faults:
        raise ConfigError(tuple(result.faults))
    fields = _fields(ROOT, "", result)
    return Config(**fields, notices=tuple(result.notices), redis_url_variable=url)  # type: ignore[arg-type]


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
    kind = RedisUrl()
    try:
        return kind.read(text)
    except InvalidValue as err:
        fault = Fault(text=f"the environment variable {REDIS_URL_VARIABLE} is refused: {err}; allowed: {kind.allowed}")
        result.faults.append(fault)
        return None


def _fields(section: SectionSchema, at: str, result: ParseResult) -> dict[str, object]:
    """What the struct of `section` is made of, from a result without faults."""
    prefix = f"{at}." if at else ""
    fields: dict[str, object] = {name: result.values[prefix + name] for name in section.keys}
    for name, below in section.sections.items():
        fields[name] = _struct(below, prefix + name, result)
    for name, below in section.lists.items():
        paths = _paths(prefix + name, result)
        fields[name] = tuple(_struct(below, path, result) for path in paths)
    for name, value_types in section.tagged.items():
        paths = _paths(prefix + name, result)
        fields[name] = tuple(_struct(value_types[result.tags[path]], path, result) for path in paths)
    return fields


def _struct(section: SectionSchema, at: str, result: ParseResult) -> msgspec.Struct:
    fields = _fields(section, at, result)
    if at in result.tags:
        del fields["type"]  # the class says it
    return section.struct(**fields)


def _paths(at: str, result: ParseResult) -> list[str]:
    return [f"{at}[{index}]" for index in range(result.lengths[at])]
