"""Indexes of due sessions and files, from which clean-up takes its work without scanning everything."""

from dataclasses import dataclass
from typing import Literal

from longshore.shared.keys import Keys
from longshore.shared.records import FileRecord, known_file
from longshore.shared.redis.connection import RedisLink
from longshore.shared.redis.scripts import Script

_BATCH = Script("list_due")
_NEXT = Script("scan_files")

FileKind = Literal["u", "a"]
Kind = Literal["s", "t", "u", "a", "p"]


@dataclass(frozen=True, slots=True)
class DueItem:
    """Member of `keys.due`, `keys.upload_ends` or `keys.artifact_ends`."""

    kind: Kind               # session, tombstone of a session, upload, artifact, pending artifact
    scope: str               # the session id of a session
    file_id: str             # "" of a session


class DueIndex:
    """Typed access to the indexes. One round trip per method; may raise StoreDown."""

    def __init__(self, link: RedisLink, keys: Keys) -> None:
        self._link = link
        self._keys = keys

    async def batch(self, limit: int) -> list[DueItem]:
        """Return what is due by Redis' clock: at most `limit` items of each index, the oldest first."""
        keys = self._keys
        members = await self._link.run(_BATCH, [keys.due(), keys.upload_ends(), keys.artifact_ends()], [limit])
        return [parse_member(member.decode()) for member in members]

    async def next_files(self, kind: FileKind, about: int) -> list[FileRecord]:
        """Return about `about` files from an endless scan over all files of `kind`, which all callers share.

        Each round returns every file, some twice. Records of a newer longshore are left out.
        """
        keys = self._keys
        ends = keys.upload_ends() if kind == "u" else keys.artifact_ends()
        found = await self._link.run(_NEXT, [ends, keys.scan_cursor(kind)], [about, keys.files("")])
        return [record for data in found if (record := known_file(data)) is not None]


def parse_member(member: str) -> DueItem:
    """Parse `s:<session>` or `t:<session>`; `u:`, `a:` or `p:`, then `<scope>:<id>`. Only a scope may hold colons."""
    kind, _, rest = member.partition(":")
    if kind in ("s", "t"):
        return DueItem(kind="s" if kind == "s" else "t", scope=rest, file_id="")
    scope, _, file_id = rest.rpartition(":")
    return DueItem(kind="u" if kind == "u" else "a" if kind == "a" else "p", scope=scope, file_id=file_id)
