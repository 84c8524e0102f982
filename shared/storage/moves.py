"""Moves, unlinks and fsyncs below one root. Blocking; errors are OSError."""

import contextlib
import errno
import os
import secrets
from collections.abc import Sequence
from concurrent.futures import wait
from functools import partial

from longshore.shared.storage.folders import Folders, open_regular
from longshore.shared.storage.layout import staging_parts

Parts = tuple[str, ...]


def move_in(folders: Folders, moves: Sequence[tuple[Parts, Parts]]) -> None:
    """Rename each file from its first path to its second, unless done already; then sync all."""
    move(folders, moves)
    sync(folders, [target for _, target in moves])


def move(folders: Folders, moves: Sequence[tuple[Parts, Parts]]) -> None:
    """Rename as `move_in` does, without syncing."""
    for source, target in moves:
        _rename(folders, source, target)


def _rename(folders: Folders, source: Parts, target: Parts) -> None:
    with folders.parent(source) as (staging, old), folders.parent(target, create=True) as (folder, new):
        try:
            fd = open_regular(staging, old)
            try:
                folders.set_file_mode(fd)
                os.rename(old, new, src_dir_fd=staging, dst_dir_fd=folder)
            finally:
                os.close(fd)
        except FileNotFoundError:  # moved by an interrupted or concurrent run
            os.close(open_regular(folder, new))


def sync(folders: Folders, targets: Sequence[Parts]) -> None:
    """Sync the bytes of files, their names and the names of their two parent folders to disk, all concurrently.

    On a busy disk each fsync waits for the disk's cache to be written, and one such write serves all of them.
    """
    parents = dict.fromkeys(parts[:-depth] for depth in (1, 2, 3) for parts in targets)
    work = [partial(_sync_file, folders, parts) for parts in targets]
    work += [partial(_sync_folder, folders, parts) for parts in parents]
    if not work:
        return
    first, *others = work
    waiting = [folders.sync_pool.submit(one) for one in others]
    try:
        first()
    finally:
        _ = wait(waiting)        # no thread uses the files after this returns
    for one in waiting:
        one.result()


def _sync_file(folders: Folders, parts: Parts) -> None:
    fd = folders.open_file(parts)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _sync_folder(folders: Folders, parts: Parts) -> None:
    with folders.folder(parts) as folder:
        os.fsync(folder)


def discard(folders: Folders, paths: Sequence[Parts]) -> None:
    """Unlink these files, if they exist, and the folders that become empty."""
    for parts in paths:
        folders.unlink(parts)
        prune(folders, parts[:-1])


def remove_folder(folders: Folders, parts: Parts) -> int:
    """Unlink a folder and its content; return the number of files. Links are unlinked, never followed."""
    try:
        with folders.parent(parts) as (above, name):
            files = _remove(above, name)
    except FileNotFoundError:
        return 0
    prune(folders, parts[:-1])
    return files


def _remove(above: int, name: str) -> int:
    try:
        fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=above)
    except OSError as err:
        if err.errno not in (errno.ENOTDIR, errno.ELOOP):
            raise
        os.unlink(name, dir_fd=above)  # a file or a link
        return 1
    files = 0
    try:
        with os.scandir(fd) as entries:
            names = [entry.name for entry in entries]
        for below in names:
            with contextlib.suppress(FileNotFoundError):  # another worker was first
                files += _remove(fd, below)
    finally:
        os.close(fd)
    try:
        os.rmdir(name, dir_fd=above)
    except OSError as err:
        if err.errno not in (errno.ENOTEMPTY, errno.EEXIST):  # new content belongs to its writer
            raise
    return files


def prune(folders: Folders, parts: Parts) -> None:
    """Remove the folder at `parts` and its parents while they are empty; the two outermost always stay."""
    while len(parts) > 2:
        try:
            with folders.parent(parts) as (above, name):
                os.rmdir(name, dir_fd=above)
        except OSError:  # not empty, or gone: both are fine
            return
        parts = parts[:-1]


def volume_time_ns(folders: Folders) -> int:
    """Return the volume's time: the change time of a new file, which is then unlinked."""
    parts = staging_parts(f"stamp-{secrets.token_urlsafe(12)}")
    fd = folders.create_file(parts)
    try:
        return os.fstat(fd).st_ctime_ns
    finally:
        os.close(fd)
        folders.unlink(parts)
