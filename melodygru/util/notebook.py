"""A line in a notebook that is written anew in its place."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

EVERY_S = 0.5  # seconds between two versions of the line; a notebook that gets more falls behind


def moving_line(clock: Callable[[], float] = time.monotonic) -> Callable[[object], None] | None:
    """A function that shows a text, or what str() makes of it, in one line of the cell's output; None elsewhere.

    Objects that follow each other too fast are left out; a text, a `str` itself, never is.
    """
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if getattr(shell, "kernel", None) is None:  # a script, or IPython in a terminal
        return None
    handle: Any = None
    shown_at = -EVERY_S

    def show(text: object) -> None:
        nonlocal handle, shown_at
        from IPython.display import display

        if not isinstance(text, str) and clock() - shown_at < EVERY_S:
            return
        content = {"text/plain": str(text)}
        if handle is None:
            handle = display(content, raw=True, display_id=True)
        else:
            handle.update(content, raw=True)
        shown_at = clock()

    return show
