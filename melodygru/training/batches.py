"""What is learned from at once: which pieces, in which rows, one after another or each by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Turn:
    """A row of a batch begins a piece with a window."""

    begin: int
    row: int
    piece: int


@dataclass(frozen=True)
class Batch:
    """What is learned from at once: rows, each of one piece or of several, every one of which begins with a window.

    Attributes
    ----------
    rows : turns of each row, in order
    ends : windows of each row, never more than the row's before: as rows end, those left stay the first
    longest : events of the longest row, from its first to its last
    """

    rows: list[list[Turn]]
    ends: list[int]
    longest: int

    @classmethod
    def of(cls, lines: Sequence[np.ndarray] | np.ndarray, lengths: np.ndarray, window: int) -> Batch:
        """Of the pieces of each row, integers of shape (n,), and the events of every piece, shape (n_pieces,)."""
        begins = [np.cumsum([0, *(-(-lengths[piece] // window) for piece in line)]).tolist() for line in lines]
        events = [begin[-2] * window + int(lengths[line[-1]]) for line, begin in zip(lines, begins, strict=True)]
        order = sorted(range(len(lines)), key=lambda row: -events[row])
        rows = [
            [Turn(begin, row, int(piece)) for begin, piece in zip(begins[at], lines[at], strict=False)]
            for row, at in enumerate(order)
        ]
        return cls(rows, [begins[at][-1] for at in order], max(events))

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def windows(self) -> int:
        return self.ends[0]

    def rows_at(self, window: int) -> int:
        """How many rows are not over."""
        return sum(end > window for end in self.ends)

    def turns(self, first: int = 0, rows: tuple[int, int] | None = None) -> list[Turn]:
        """Those of some rows that are not over before window `first`, as they begin; the first one's, if none is."""
        start, stop = rows or (0, len(self))
        found = []
        for turns, end in list(zip(self.rows, self.ends, strict=True))[start:stop]:
            ends = [*(turn.begin for turn in turns[1:]), end]
            found += [turn for turn, over in zip(turns, ends, strict=True) if over > first]
        return sorted(found, key=lambda turn: (turn.begin, turn.row)) or self.rows[0][:1]


def window_size(most: int, left: int) -> int:
    """Events of a window where so many are left: the last is cut, in steps of 16, as padding costs as much as notes."""
    return min(most, -(-left // 16) * 16)


def lines_of(weights: np.ndarray, n: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Items dealt out to n lines of about the same weight, heaviest first to the lightest line (Graham, 1969)."""
    lines: list[list[int]] = [[] for _ in range(n)]
    totals = np.zeros(n, np.int64)
    shuffled = rng.permutation(len(weights))
    for item in shuffled[np.argsort(-weights[shuffled], kind="stable")]:
        line = int(totals.argmin())
        lines[line].append(int(item))
        totals[line] += weights[item]
    return [rng.permutation(line) for line in lines]
