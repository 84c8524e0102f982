"""Redis scripts: each is one `.lua` file, called by one typed method in `longshore.shared.state` or `.messaging`.

The functions of `_common.lua` precede the source of every script.
"""

import hashlib
from importlib.resources import files

_FOLDER = files("longshore.shared.lua")
_COMMON = _FOLDER.joinpath("_common.lua").read_text()


class Script:
    """Source of one script, and its SHA-1 for EVALSHA."""

    __slots__ = ("name", "sha", "source")

    def __init__(self, name: str) -> None:
        self.name = name
        self.source = _COMMON + _FOLDER.joinpath(f"{name}.lua").read_text()
        self.sha = hashlib.sha1(self.source.encode(), usedforsecurity=False).hexdigest()
