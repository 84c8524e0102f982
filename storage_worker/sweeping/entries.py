"""Entries of the storage volume: listed one by one, and handed to jobs in slices, so that memory does not grow."""

import contextlib
import os
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from itertools import islice
from typing import Protocol, TypeVar

from longshore.shared.storage.blobs import Blobs
from longshore.shared.storage.folders import Folders

_SLICE = 200


class _Scoped(Protocol):
    @property
    def scope(self) -> str: ...


T = TypeVar("T", bound=_Scoped)


async def slices_by_scope(blobs: Blobs, entries: Iterator[T]) -> AsyncIterator[dict[str, list[T]]]:
    """Read `entries` in the volume's threads, a slice at a time, each grouped by scope. Raises Unavailable."""
    while found := await blobs.run(_next, entries):
        by_scope = defaultdict[str, list[T]](list)
        for entry in found:
            by_scope[entry.scope].append(entry)
        yield by_scope


def _next(entries: Iterator[T]) -> list[T]:
    return list(islice(entries, _SLICE))


def list_folder(folders: Folders, parts: tuple[str, ...]) -> Iterator["os.DirEntry[str]"]:
    """List the folder at `parts`; nothing if it is not there. Links are not followed. Blocking."""
    with contextlib.suppress(FileNotFoundError), folders.folder(parts) as folder, os.scandir(folder) as entries:
        yield from entries


def is_utf8(name: str) -> bool:
    """True if a record can hold this file name: names that are not UTF-8 contain lone surrogates."""
    try:
        _ = name.encode()
    except UnicodeEncodeError:
        return False
    return True
