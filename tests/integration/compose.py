"""docker-compose.yml as a person reads it, and its services as host processes.

Only the part of the format that the file uses: YAML merges, variables, bind mounts in short form.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import yaml

from tests.fixtures.processes import LONGSHORE, REPOSITORY, Process, run

FILE = REPOSITORY / "docker-compose.yml"
DOCKERFILE = REPOSITORY / "deploy" / "Dockerfile"

_VARIABLE = re.compile(r"\$(?:\$|\{(?P<name>\w+)(?:(?P<how>:[-+])(?P<word>[^}]*))?\})")


@dataclass(frozen=True)
class Service:
    """Command of one service of longshore's own."""

    command: Sequence[str]
    environment: Mapping[str, str]
    mounts: Mapping[str, Path]  # files of the repository, by where the container has them

    def argv(self) -> list[str | Path]:
        """The image's entry point and the command, with mounted files where they are on this host."""
        program = _entry_point()
        assert program == ["longshore"]
        return [*LONGSHORE, *(self.mounts.get(word, word) for word in self.command)]

    @contextmanager
    def run(self, folder: Path) -> Iterator[Process]:
        """The service as a host process, with no more environment than the file gives it."""
        with run(self.argv(), folder=folder, env=self.environment) as process:
            yield process


def document(variables: Mapping[str, str]) -> dict[str, Any]:
    """The whole file with `variables` put in, defaults for the others."""
    loaded: dict[str, Any] = _substitute(yaml.safe_load(FILE.read_text()), variables)
    return loaded


def service(name: str, variables: Mapping[str, str]) -> Service:
    """One service under `variables`."""
    found = document(variables)["services"][name]
    mounts = {}
    for volume in found["volumes"]:
        source, target = volume.split(":")[:2]
        if source.startswith("./"):
            mounts[target] = REPOSITORY / source
    return Service(found["command"], {name: str(value) for name, value in found["environment"].items()}, mounts)


def _substitute(value: Any, variables: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _substitute(one, variables) for key, one in value.items()}
    if isinstance(value, list):
        return [_substitute(one, variables) for one in value]
    return _VARIABLE.sub(lambda match: _value(match, variables), value) if isinstance(value, str) else value


def _value(match: re.Match[str], variables: Mapping[str, str]) -> str:
    if match["name"] is None:
        return "$"
    found = variables.get(match["name"], "")
    if match["how"] == ":+":
        return match["word"] if found else ""
    assert found or match["how"] == ":-", f"{match['name']} has no default"
    return found or match["word"]


def _entry_point() -> list[str]:
    [line] = [line for line in DOCKERFILE.read_text().splitlines() if line.startswith("ENTRYPOINT ")]
    return msgspec.json.decode(line.removeprefix("ENTRYPOINT "), type=list[str])
