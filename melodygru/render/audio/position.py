"""Where the music is, in a line of text."""

from __future__ import annotations

from melodygru.util.wording import clock


def position_line(position_s: float, total_s: float, width: int) -> str:
    """One line of exactly `width` characters: ` 0:12 / 1:03 [=====>      ]`; without the bar where it doesn't fit."""
    position_s = min(max(position_s, 0.0), total_s)
    total = clock(total_s)
    text = f" {clock(position_s):>{len(total)}} / {total}"
    columns = width - len(text) - len(" []")
    if columns < 4:
        return text[:width].ljust(width)
    done = int(columns * position_s / total_s) if total_s > 0 else columns
    bar = "=" * columns if done >= columns else "=" * done + ">"
    return f"{text} [{bar:<{columns}}]"
