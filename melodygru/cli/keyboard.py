"""Single keys of a terminal, read without Enter; the terminal is as before whatever ends it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

Read = Callable[[], str]  # the next key that was pressed, or "" when there is none; never waits


@contextmanager
def keys() -> Iterator[Read | None]:
    """Within, the keys of the terminal that stdin is; None where it is no terminal."""
    if sys.stdin is None or not sys.stdin.isatty():
        yield None
    elif sys.platform == "win32":
        yield _windows_key
    else:
        with _cbreak(sys.stdin.fileno()) as read:
            yield read


def _windows_key() -> str:
    import msvcrt

    console: Any = msvcrt
    if not console.kbhit():
        return ""
    key = console.getwch()
    if key in ("\x00", "\xe0"):  # an arrow or a function key: a second code follows
        console.getwch()
        return ""
    return key


@contextmanager
def _cbreak(descriptor: int) -> Iterator[Read]:
    """Keys as they are pressed, not shown; Ctrl-C stays a signal."""
    import os
    import select
    import termios
    import tty

    def read() -> str:
        if not select.select([descriptor], [], [], 0)[0]:
            return ""
        data = os.read(descriptor, 64)
        return "" if data[:1] == b"\x1b" else data[:1].decode("ascii", "ignore")  # arrows begin with Escape

    before = termios.tcgetattr(descriptor)
    try:
        tty.setcbreak(descriptor)
        yield read
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
