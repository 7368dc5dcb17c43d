"""Counts and times as people read them, in every room's messages."""

from __future__ import annotations


def counted(n: int, noun: str) -> str:
    """A number and its noun: `1 note`, `1,234 notes`. The noun takes an s."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def clock(seconds: float) -> str:
    """Whole seconds as `0:12`, `59:59` or `1:02:03`."""
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"
