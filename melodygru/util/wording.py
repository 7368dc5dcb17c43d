"""Counts, times and names as people read them, in every message."""

from __future__ import annotations

import os
import re
from pathlib import Path


def counted(n: int, noun: str) -> str:
    """A number and its noun: `1 note`, `1,234 notes`. The noun takes an s."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def clock(seconds: float) -> str:
    """Whole seconds as `0:12`, `59:59` or `1:02:03`."""
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def left(seconds: float) -> str:
    """A remaining time: `0:07 left`, `1:02:03 left`."""
    return f"{clock(max(0, round(seconds)))} left"


def name(path: Path | str) -> str:
    """A path for people: bytes that are no text are replaced."""
    return os.fspath(path).encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def one_line(text: object) -> str:
    """The text without line breaks."""
    return " ".join(str(text).split())


# What a terminal obeys instead of showing it: control characters (C0, DEL, C1), line and paragraph separators, and the
# marks that turn the direction of text (Unicode 16, Bidi_Control), with which a name can be made to look like another.
_OBEYED = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def escaped(text: str) -> str:
    """The text with what a terminal would obey written out: a line break as `\\x0a`."""

    def written_out(match: re.Match[str]) -> str:
        code = ord(match.group())
        return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"

    return _OBEYED.sub(written_out, text)
