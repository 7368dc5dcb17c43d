"""Standard error, diverted where a C++ or Rust library writes to it past Python.

The descriptor belongs to the process, so that whoever diverts it takes the lines of all threads. Only a program that
says so (`owned`) diverts it; in somebody else's process, a server for instance, what a library writes there stays.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator
from typing import BinaryIO

_owners = 0  # how many commands run in this process
_lock = threading.RLock()  # two diversions at once would each restore what the other had put there


@contextlib.contextmanager
def owned() -> Iterator[None]:
    """Within, this process is a program of ours, whose standard error may be diverted."""
    global _owners
    with _lock:
        _owners += 1
    try:
        yield
    finally:
        with _lock:
            _owners -= 1


@contextlib.contextmanager
def diverted(to: BinaryIO | None = None) -> Iterator[None]:
    """Within, what our program writes to standard error goes to an open file, or nowhere; without `owned` it stays.

    Parameters
    ----------
    to : file open for writing, optional
        Without it what is written is lost.
    """
    with contextlib.ExitStack() as stack:
        if _owners:
            stack.enter_context(_lock)
            _divert(stack, to)
        yield


def undisturbed() -> contextlib.AbstractContextManager[object]:
    """Within, no other thread diverts standard error: a line of our own that is written meanwhile is not lost."""
    return _lock


def _divert(stack: contextlib.ExitStack, to: BinaryIO | None) -> None:
    """Divert descriptor 2 until the stack closes."""
    if sys.stderr is not None:
        sys.stderr.flush()
    try:
        saved = os.dup(2)
    except OSError:  # closed already
        return
    stack.callback(os.close, saved)
    target = to or stack.enter_context(open(os.devnull, "wb"))
    stack.callback(os.dup2, saved, 2)
    os.dup2(target.fileno(), 2)
