"""What a guard did, in words and as plain values."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from melodygru.util.wording import counted


@dataclass(frozen=True)
class Action:
    """What a guard did.

    Parameters
    ----------
    stream : of which piece of the batch, from 0
    taken : how many notes were taken back; 0 if none
    onset : step of the first of them
    where : "bar 7", or on a grid of seconds "0:14"
    why : in words
    outcome : "resampled", "ended" (the piece ends there) or "let be"
    """

    stream: int
    taken: int
    onset: int
    where: str
    why: str
    outcome: str = "resampled"

    @property
    def of_copy(self) -> bool:
        """Whether it was to keep a match with the corpus short."""
        return self.why.startswith("a match")

    def __str__(self) -> str:
        piece = f"piece {self.stream + 1}"
        if self.outcome == "ended":
            return f"ended {piece} at {self.where} ({self.why}, again and again)"
        if self.outcome == "let be":
            return f"let {piece} be at {self.where} ({self.why}, again and again)"
        return f"took back {counted(self.taken, 'note')} of {piece} at {self.where} ({self.why})"

    def as_dict(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        return asdict(self)


def action_lines(actions: Iterable[Action], most: int = 12) -> list[str]:
    """Lines for people: each degeneration, the copies of a piece together; at most `most` and a line more."""
    lines: list[str] = []
    copies: dict[int, tuple[int, int]] = {}  # of each stream: times, and notes taken back
    for action in actions:
        if action.of_copy and action.outcome == "resampled":
            times, n_notes = copies.get(action.stream, (0, 0))
            copies[action.stream] = times + 1, n_notes + action.taken
        else:
            lines.append(f"{'max-copy' if action.of_copy else 'guard'}: {action}")
    for stream, (times, n_notes) in sorted(copies.items()):
        lines.append(f"max-copy: took back {counted(n_notes, 'note')} of piece {stream + 1}, {counted(times, 'time')}")
    if len(lines) > most:
        lines[most:] = [f"guard: and {len(lines) - most:,} more"]
    return lines
