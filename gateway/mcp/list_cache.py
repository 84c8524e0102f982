"""Cache of upstream lists: each is fetched once however many ask at the same time, and forgotten when it changes.

An entry belongs to one session, since an upstream may list other things to another. Only an upstream without sessions
shares its lists among callers whose headers are the same to it. A list-changed notification raises a number in the
session's record, which every gateway reads with each call.
"""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import msgspec
from aiohttp import web

from longshore.shared.clock import monotonic_s

METHODS = frozenset({"tools/list", "resources/list", "resources/templates/list", "prompts/list"})
CHANGED = b"list_changed"    # what every notification that a list has changed holds

_MAX_ENTRIES = 2_000
_MAX_BYTES = 1024 * 1024    # of one list; a longer one is fetched each time

Key = tuple[str, ...]


@dataclass(slots=True)
class _Entry:
    until_s: float
    result: asyncio.Future[msgspec.Raw | None]


class Fetch:
    """Fetch of one list from the upstream."""

    def __init__(self, cache: "ListCache", key: Key, result: asyncio.Future[msgspec.Raw | None]) -> None:
        self._cache = cache
        self._key = key
        self._result = result

    def keep(self, result: msgspec.Raw) -> None:
        """Store the list: those that wait for it have it, and those that come in time."""
        if not self._result.done():
            self._result.set_result(msgspec.Raw(bytes(result)) if len(bytes(result)) <= _MAX_BYTES else None)

    def end(self) -> None:
        """End without a list: those that wait for it fetch it themselves."""
        if not self._result.done():
            self._result.set_result(None)
        if self._result.result() is None:
            self._cache.forget(self._key)


class ListCache:
    """Lists that this process keeps. Built once at start-up."""

    def __init__(self, ttl_s: int) -> None:
        self._ttl_s = ttl_s
        self._entries: OrderedDict[Key, _Entry] = OrderedDict()

    @property
    def is_on(self) -> bool:
        """True where lists are kept at all."""
        return self._ttl_s > 0

    async def find(self, key: Key) -> msgspec.Raw | None:
        """Return the list's result, after waiting for one that is being fetched; None where the caller must fetch it.
        """
        entry = self._entries.get(key)
        if entry is None or entry.until_s < monotonic_s():
            return None
        return await asyncio.shield(entry.result)

    @contextmanager
    def fetching(self, key: Key) -> Iterator[Fetch]:
        """Let the block fetch the list, for which others wait."""
        result: asyncio.Future[msgspec.Raw | None] = asyncio.get_running_loop().create_future()
        self._entries[key] = _Entry(monotonic_s() + self._ttl_s, result)
        self._entries.move_to_end(key)
        while len(self._entries) > _MAX_ENTRIES:
            self._entries.popitem(last=False)
        fetch = Fetch(self, key, result)
        try:
            yield fetch
        finally:
            fetch.end()

    def forget_server(self, server: str) -> None:
        """Forget every list of the server."""
        for key in [key for key in self._entries if key[0] == server]:
            self.forget(key)

    def forget(self, key: Key) -> None:
        """Forget the list."""
        self._entries.pop(key, None)


def fingerprint(headers: dict[str, str]) -> str:
    """Digest of the headers that callers must have in common to share a list."""
    return hashlib.sha256(msgspec.json.encode(sorted(headers.items()))).hexdigest()


LIST_CACHE = web.AppKey("lists", ListCache)
