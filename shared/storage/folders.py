"""Files and folders below one root, opened without following symbolic links. Blocking.

Each component is opened relative to its parent with O_NOFOLLOW, so that no link, created at any moment, leads
outside. The root itself may be a link: the operator chose it. Errors are OSError; a component that is not a
plain name is ENOENT.
"""

import contextlib
import errno
import os
import stat
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_SYNC_THREADS = 16
_MAX_TRIES = 50              # another worker may remove an empty folder during the walk
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Folders:
    """One root, and the modes of what is created below it, independent of the umask.

    `sync_pool` keeps its threads for fsync: starting new ones takes longer than the disk.
    """

    def __init__(self, root: Path, *, dir_mode: int, file_mode: int) -> None:
        self.root = root
        self.sync_pool = ThreadPoolExecutor(_SYNC_THREADS, thread_name_prefix="sync")
        self._dir_mode = dir_mode
        self._file_mode = file_mode

    @contextmanager
    def folder(self, parts: Sequence[str], *, create: bool = False) -> Iterator[int]:
        """Open the folder at `parts` for the block."""
        fd = self._walk(parts, create)
        try:
            yield fd
        finally:
            os.close(fd)

    @contextmanager
    def parent(self, parts: Sequence[str], *, create: bool = False) -> Iterator[tuple[int, str]]:
        """Open the parent folder of `parts` for the block; yields also the last part, which must be a plain name."""
        name = _plain(parts[-1])
        with self.folder(parts[:-1], create=create) as folder:
            yield folder, name

    def open_file(self, parts: Sequence[str]) -> int:
        """Open the regular file at `parts` for reading. Never waits on a FIFO, never opens a device."""
        with self.parent(parts) as (folder, name):
            return open_regular(folder, name)

    def create_file(self, parts: Sequence[str]) -> int:
        """Create a file at `parts` and open it for writing; EEXIST when there is one."""
        with self.parent(parts, create=True) as (folder, name):
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            fd = os.open(name, flags, self._file_mode, dir_fd=folder)
        os.fchmod(fd, self._file_mode)
        return fd

    def open_to_write(self, parts: Sequence[str]) -> int:
        """Open the existing regular file at `parts` for writing."""
        with self.parent(parts) as (folder, name):
            _check_regular(os.stat(name, dir_fd=folder, follow_symlinks=False))
            return os.open(name, os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)

    def unlink(self, parts: Sequence[str]) -> None:
        """Unlink the file or link at `parts`, if it exists."""
        with contextlib.suppress(FileNotFoundError), self.parent(parts) as (folder, name):
            os.unlink(name, dir_fd=folder)

    def set_file_mode(self, fd: int) -> None:
        """Set the configured mode, which lets the upstream's user open the file; not on a file of another user."""
        try:
            os.fchmod(fd, self._file_mode)
        except PermissionError:
            return

    def _walk(self, parts: Sequence[str], create: bool) -> int:
        for _ in range(_MAX_TRIES if create else 0):
            with contextlib.suppress(FileNotFoundError):
                return self._walk_once(parts, create)
        return self._walk_once(parts, create)

    def _walk_once(self, parts: Sequence[str], create: bool) -> int:
        fd = os.open(self.root, _FOLDER)
        try:
            for part in parts:
                below = self._step(fd, part, create)
                os.close(fd)
                fd = below
        except OSError:
            os.close(fd)
            raise
        return fd

    def _step(self, folder: int, part: str, create: bool) -> int:
        name = _plain(part)
        try:
            return os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=folder)
        except FileNotFoundError:
            if not create:
                raise
        try:
            os.mkdir(name, self._dir_mode, dir_fd=folder)
        except FileExistsError:  # another worker was first
            return os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=folder)
        fd = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=folder)
        os.fchmod(fd, self._dir_mode)
        return fd


def open_regular(folder: int, name: str) -> int:
    """Open the regular file `name` in `folder`; ELOOP for a link, EISDIR for anything else."""
    name = _plain(name)
    _check_regular(os.stat(name, dir_fd=folder, follow_symlinks=False))  # opening a device has side effects
    fd = os.open(name, _FILE, dir_fd=folder)
    try:
        _check_regular(os.fstat(fd))
    except OSError:
        os.close(fd)
        raise
    return fd


def _check_regular(found: os.stat_result) -> None:
    if stat.S_ISLNK(found.st_mode):
        raise OSError(errno.ELOOP, "a symbolic link")
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EISDIR, "not a regular file")


def _plain(part: str) -> str:
    if part in ("", ".", "..") or "/" in part or "\0" in part:
        raise FileNotFoundError(errno.ENOENT, "not a name")
    return part
