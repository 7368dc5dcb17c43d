"""Files that are read: regular ones, whose size is looked at before their contents."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from typing import BinaryIO

_KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


def open_regular(path: str | os.PathLike[str], most: int | None = None) -> BinaryIO:
    """Open a regular file for reading.

    A named pipe, on which opening would wait, and a device, on which reading may never end, are not opened.

    Parameters
    ----------
    path : the file
    most : bytes that it may have

    Raises
    ------
    OSError
        It can't be opened, is no regular file, or has more bytes.
    """
    _require(path, os.stat(path), most)
    # Not to wait, should it have become a pipe since.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        _require(path, os.fstat(descriptor), most)
        return open(descriptor, "rb")
    except OSError:
        os.close(descriptor)
        raise


def read_regular(path: str | os.PathLike[str], most: int) -> bytes:
    """The bytes of a regular file. Raises OSError as `open_regular` does."""
    with open_regular(path, most) as file:
        data = file.read(most + 1)
    if len(data) > most:  # it has grown meanwhile, or is one of those whose size the system does not know
        raise _too_large(path, most)
    return data


def sha256_of(path: str | os.PathLike[str], most: int | None = None) -> str:
    """SHA-256 of a regular file, in hexadecimal. Raises OSError as `open_regular` does."""
    state = hashlib.sha256()
    with open_regular(path, most) as file:
        while block := file.read(1 << 20):
            state.update(block)
    return state.hexdigest()


def holds(path: str | os.PathLike[str], data: bytes) -> bool:
    """Whether a path is a regular file of these very bytes."""
    try:
        return os.stat(path).st_size == len(data) and read_regular(path, len(data)) == data
    except OSError:
        return False


def _require(path: str | os.PathLike[str], status: os.stat_result, most: int | None) -> None:
    kind = stat.S_IFMT(status.st_mode)
    if kind == stat.S_IFDIR:
        raise IsADirectoryError(errno.EISDIR, "Is a directory", str(path))
    if kind != stat.S_IFREG:
        raise OSError(errno.EINVAL, f"{_KINDS.get(kind, 'something else')}, expected a regular file", str(path))
    if most is not None and status.st_size > most:
        raise _too_large(path, most)


def _too_large(path: str | os.PathLike[str], most: int) -> OSError:
    return OSError(errno.EFBIG, f"more than {most:,} bytes", str(path))
