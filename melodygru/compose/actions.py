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
    """Lines for people: one a piece for all degenerations, one for all copies; at most `most` and a line more."""
    by_piece: dict[tuple[int, bool], list[Action]] = {}
    for action in actions:
        by_piece.setdefault((action.stream, action.of_copy), []).append(action)
    lines = [_line(of_piece) for _, of_piece in sorted(by_piece.items())]
    if len(lines) > most:
        lines[most:] = [f"guard: and {counted(len(lines) - most, 'line')} more"]
    return lines


def _line(actions: list[Action]) -> str:
    """What was done to one piece, by the guard or against copies; one action, or one that failed, in full."""
    who, last = "max-copy" if actions[0].of_copy else "guard", actions[-1]
    failed = [action for action in actions if action.outcome != "resampled"]
    if failed or len(actions) == 1:
        return f"{who}: {failed[-1] if failed else last}"
    taken = counted(sum(action.taken for action in actions), "note")
    about = "" if last.of_copy else f" ({', '.join(dict.fromkeys(action.why for action in actions))})"
    return f"{who}: took back {taken} of piece {last.stream + 1}, {counted(len(actions), 'time')}{about}"
