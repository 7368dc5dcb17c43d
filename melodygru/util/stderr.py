"""Standard error, diverted where a C++ or Rust library writes to it past Python."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import BinaryIO


@contextlib.contextmanager
def diverted(to: BinaryIO | None = None) -> Iterator[None]:
    """Within, what this process writes to standard error goes to an open file, or nowhere.

    Parameters
    ----------
    to : file open for writing, optional
        Without it what is written is lost.
    """
    if sys.stderr is not None:
        sys.stderr.flush()
    try:
        saved = os.dup(2)
    except OSError:  # closed already
        yield
        return
    with contextlib.ExitStack() as stack:
        stack.callback(os.close, saved)
        target = to or stack.enter_context(open(os.devnull, "wb"))
        stack.callback(os.dup2, saved, 2)
        os.dup2(target.fileno(), 2)
        yield
