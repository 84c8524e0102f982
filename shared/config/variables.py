"""`${NAME}`, `${NAME:-default}` and `${file:PATH}` inside string values. Pure but for what it is given."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from longshore.shared.config.value_types import InvalidValue

_REFERENCE = re.compile(
    r"\$\$\{"                                                                # $${ is a plain ${
    r"|\$\{(?:(?P<name>[A-Za-z_][A-Za-z0-9_]*)|file:(?P<file>[^{}]+?))(?::-(?P<default>[^{}]*))?\}"
    r"|\$\{"                                                                 # anything else that begins so
)


@dataclass(frozen=True)
class Variables:
    """Where values come from: the environment, and files (None when one does not exist)."""

    environ: Mapping[str, str]
    read_file: Callable[[str], str | None]

    def substitute(self, text: str) -> str:
        """`text` with every reference replaced; what is put in is not searched again.

        An unset or empty variable or file takes its default. Raises InvalidValue, which never holds a
        value, when there is none or when a reference cannot be read.
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
