"""The Redis scripts: one `.lua` file each, called by one typed method in `longshore.shared.state`.

`Scripts` sends EVALSHA and loads a script again when the server does not know it (NOSCRIPT means that
it did not run, so repeating is safe).
"""

import hashlib
from collections.abc import Sequence
from importlib.resources import files

from longshore.shared import tracing
from longshore.shared.redis.connection import Arg, RedisLink, RedisReplyError, Reply


class Script:
    """The source of one script and its SHA-1, as EVALSHA wants it."""

    __slots__ = ("name", "sha", "source")

    def __init__(self, name: str) -> None:
        self.name = name
        self.source = files("longshore.shared.lua").joinpath(f"{name}.lua").read_text()
        self.sha = hashlib.sha1(self.source.encode(), usedforsecurity=False).hexdigest()


class Scripts:
    """Runs scripts over the process's Redis link. One round trip a call."""

    def __init__(self, link: RedisLink) -> None:
        self._link = link

    async def run(self, script: Script, keys: Sequence[str], args: Sequence[Arg]) -> Reply:
        """Run `script`. Raises StoreDown; RedisReplyError is a bug in the script."""
        with tracing.child(f"redis {script.name}", "client"):
            return await self._run(script, keys, args)

    async def _run(self, script: Script, keys: Sequence[str], args: Sequence[Arg]) -> Reply:
        try:
            return await self._link.call("EVALSHA", script.sha, len(keys), *keys, *args)
        except RedisReplyError as err:
            if not str(err).startswith("NOSCRIPT"):
                raise RedisReplyError(f"{script.name}: {err}") from err
        return await self._link.call("EVAL", script.source, len(keys), *keys, *args)
