"""Substitution of `${NAME}`, `${NAME:-default}` and `${file:PATH}` in values. Pure except for `read_file`."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from longshore.shared.config.value_types import InvalidValue

_REFERENCE = re.compile(
    r"\$\$\{"                                                                # $${ is an escaped ${
    r"|\$\{(?:(?P<name>[A-Za-z_][A-Za-z0-9_]*)|file:(?P<file>[^{}]+?))(?::-(?P<default>[^{}]*))?\}"
    r"|\$\{"                                                                 # a malformed reference
)


@dataclass(frozen=True)
class Variables:
    """Sources of values: environment variables, and files (`read_file` returns None if a file does not exist)."""

    environ: Mapping[str, str]
    read_file: Callable[[str], str | None]

    def substitute(self, text: str) -> str:
        """Replace every reference in `text`, not recursively.

        The default replaces an unset or empty variable and a missing or empty file. Raises InvalidValue,
        which never contains a value, if there is no default or a reference is malformed.
        """
        return _REFERENCE.sub(self._replace, text)

    def _replace(self, match: re.Match[str]) -> str:
        if match[0] == "$${":
            return "${"
        default = match["default"]
        if (name := match["name"]) is not None:
            found = self.environ.get(name)
            missing = f"the environment variable {name} is not set, or empty, and has no default"
        elif (path := match["file"]) is not None:
            found = self._content(path)
            missing = f"the file {path!r} does not exist, or is empty, and has no default"
        else:
            raise InvalidValue("`${` begins ${NAME}, ${NAME:-default} or ${file:/path}; write `$${` for the characters")
        if found:
            return found
        if default is None:
            raise InvalidValue(missing)
        return default

    def _content(self, path: str) -> str | None:
        content = self.read_file(path)
        return None if content is None else content.removesuffix("\n").removesuffix("\r")
