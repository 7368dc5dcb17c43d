"""A file that one process at a time holds, however that process ends."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_HELD = (errno.EACCES, errno.EAGAIN, errno.EDEADLK)
_BYTE = 1 << 30  # the one that is locked on Windows, where a locked byte can't be read


class Held(Exception):
    """Another process, or another thread of this one, holds the file.

    Attributes
    ----------
    process : its number, as the file says it; empty if the file doesn't
    """

    def __init__(self, process: str) -> None:
        super().__init__(f"held by process {process}")
        self.process = process


@contextlib.contextmanager
def held(path: Path) -> Iterator[None]:
    """Hold a file, which says so with the number of this process, and is gone afterwards.

    The lock is the system's, which lets go of it whatever ends the process: a file that is left behind locks nothing.

    Raises
    ------
    Held
        Somebody else holds it.
    OSError
        It can't be written; its name is `path`.
    """
    file = _opened(path)
    try:
        try:
            file.truncate(0)
            file.write(str(os.getpid()).encode())
            file.flush()
        except OSError as error:
            error.filename = str(path)
            raise
        yield
    finally:
        if sys.platform != "win32":  # while it is still locked, so that nobody else's is removed
            path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # what a full disk didn't take
            file.close()
        if sys.platform == "win32":
            with contextlib.suppress(OSError):  # somebody else has opened it
                path.unlink()


def _opened(path: Path) -> BinaryIO:
    """The file, open and locked."""
    while True:
        file = open(path, "a+b")
        try:
            _lock(file)
            if os.path.samestat(os.fstat(file.fileno()), os.stat(path)):
                return file
        except FileNotFoundError:  # its holder has ended just now
            pass
        except OSError as error:
            if error.errno not in _HELD:
                return file  # a file system without locks
            file.seek(0)
            process = file.read(20).decode("ascii", "replace")
            file.close()
            raise Held(process) from error
        file.close()


def _lock(file: BinaryIO) -> None:
    """Lock an open file, or raise OSError at once."""
    if sys.platform == "win32":
        import msvcrt

        file.seek(_BYTE)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
