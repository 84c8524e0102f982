"""What falls due: the index by which clean-up finds its work without walking what exists."""

from dataclasses import dataclass
from typing import Literal

from shared.keys import Keys
from shared.lua import Script, Scripts

_BATCH = Script("due_batch")

Kind = Literal["s", "t", "f", "p"]


@dataclass(frozen=True, slots=True)
class DueItem:
    """One member of `keys.due`."""

    kind: Kind               # session, tombstone of one, file, pending artifact
    scope: str               # the session id of a session
    file_id: str             # "" of a session


class Due:
    """Reads the index of what falls due. One round trip a method; may raise StoreDown."""

    def __init__(self, scripts: Scripts, keys: Keys) -> None:
        self._scripts = scripts
        self._keys = keys

    async def batch(self, limit: int, *, skip: int = 0) -> list[DueItem]:
        """At most `limit` items that are due by Redis' clock, oldest first, after stepping over `skip`."""
        members = await self._scripts.run(_BATCH, [self._keys.due()], [skip, limit])
        return [parse_member(member.decode()) for member in members]


def parse_member(member: str) -> DueItem:
    """`s:<session>`, `t:<session>`, `f:<scope>:<id>` or `p:<scope>:<id>`; a scope may hold colons, an id none. Pure."""
    kind, _, rest = member.partition(":")
    if kind in ("s", "t"):
        return DueItem(kind="s" if kind == "s" else "t", scope=rest, file_id="")
    scope, _, file_id = rest.rpartition(":")
    return DueItem(kind="f" if kind == "f" else "p", scope=scope, file_id=file_id)
