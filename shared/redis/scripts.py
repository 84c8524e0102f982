"""Redis scripts: each is one `.lua` file, called by one typed method in `longshore.shared.state` or `.messaging`.

`Scripts` sends EVALSHA, and EVAL when the server does not know the script. NOSCRIPT means that it did not run,
so repeating is safe. The functions of `_common.lua` precede the source of every script.
"""

import hashlib
from collections.abc import Sequence
from importlib.resources import files

from longshore.shared import tracing
from longshore.shared.redis.connection import Arg, RedisLink, RedisReplyError, Reply

_FOLDER = files("longshore.shared.lua")
_COMMON = _FOLDER.joinpath("_common.lua").read_text()


class Script:
    """Source of one script, and its SHA-1 for EVALSHA."""

    __slots__ = ("name", "sha", "source")

    def __init__(self, name: str) -> None:
        self.name = name
        self.source = _COMMON + _FOLDER.joinpath(f"{name}.lua").read_text()
        self.sha = hashlib.sha1(self.source.encode(), usedforsecurity=False).hexdigest()


class Scripts:
    """Runner of scripts over the shared connection. One round trip per call."""

    def __init__(self, link: RedisLink) -> None:
        self._link = link

    async def run(self, script: Script, keys: Sequence[str], args: Sequence[Arg]) -> Reply:
        """Run `script` and return its reply. Raises StoreDown; RedisReplyError means a bug in the script."""
        with tracing.child(f"redis {script.name}", "client"):
            return await self._run(script, keys, args)

    async def _run(self, script: Script, keys: Sequence[str], args: Sequence[Arg]) -> Reply:
        try:
            return await self._link.call("EVALSHA", script.sha, len(keys), *keys, *args)
        except RedisReplyError as err:
            if not str(err).startswith("NOSCRIPT"):
                raise RedisReplyError(f"{script.name}: {err}") from err
        return await self._link.call("EVAL", script.source, len(keys), *keys, *args)
