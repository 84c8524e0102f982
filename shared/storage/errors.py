"""Conversion of OSError into errors for callers, whose messages hold no path. Pure."""

import errno

from longshore.shared.errors import BadRequest, DiskFull, Forbidden, LongshoreError, NotFound, Unavailable

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_LINK_OR_ODD = frozenset({errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.ENXIO, errno.ENODEV})
_DENIED = frozenset({errno.EACCES, errno.EPERM})


def error_of_os(err: OSError) -> LongshoreError:
    """Return the error to raise in place of `err`."""
    if err.errno in _FULL:
        return DiskFull("the storage volume is full; try again when files have expired")
    if err.errno == errno.ENOENT:
        return NotFound("the file is not there")
    if err.errno in _LINK_OR_ODD:
        return Forbidden("the file is not a plain file in plain folders, or is behind a symbolic link")
    if err.errno in _DENIED:
        return Forbidden("longshore may not access the file")
    if err.errno == errno.ENAMETOOLONG:
        return BadRequest("the file name is too long for the storage volume")
    problem = "is still being written" if err.errno == errno.EBUSY else "cannot be used now: the storage volume fails"
    return Unavailable(f"the file {problem}; try again shortly")
