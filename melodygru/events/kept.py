"""What is kept of a piece of which bars are composed again: the notes that stay, and where the model is shown them."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from melodygru.music.notes import N_PITCHES

NEVER = 1 << 40  # a step after all others


@dataclass(frozen=True, eq=False)
class Kept:
    """The notes of a piece that stay, and the gaps inside which the model is shown those that come.

    A **line** is a part; in composing it has a number before it has come in.

    Attributes
    ----------
    onset, line, pitch : arrays, shape (n,), of the notes that stay, ascending by onset
    pitched : array, shape (n,), bool: which of them aren't drums
    gaps : steps from which on, and before which, other notes may be composed, in order; elsewhere every note stays
    open : the lines that may get them
    """

    onset: np.ndarray
    line: np.ndarray
    pitch: np.ndarray
    pitched: np.ndarray
    gaps: tuple[tuple[int, int], ...]
    open: frozenset[int]

    def gap_after(self, step: int) -> tuple[int, int] | None:
        """The first gap that is not over at a step; None where all are."""
        at = bisect_right(self._ends, step)
        return self.gaps[at] if at < len(self.gaps) else None

    def next_of(self, line: int, least: int) -> tuple[int, int] | None:
        """Onset and pitch of a line's first note from `least` on, an onset * 128 + pitch; None is none."""
        order = self._orders.get(line, ())
        at = bisect_left(order, least)
        return divmod(order[at], N_PITCHES) if at < len(order) else None

    def classes(self, first: np.ndarray | Sequence[int], steps: float) -> np.ndarray:
        """Which pitch classes are struck in [first, first + steps) by what isn't drums, shape (n, 12), bool."""
        onset, counts = self._classes
        begin, after = np.searchsorted(onset, first), np.searchsorted(onset, np.asarray(first) + steps)
        return counts[after] > counts[begin]

    def classes_at(self, first: int, steps: float) -> list[int]:
        """The pitch classes of `classes`, of one step; they are found once."""
        key = first, steps
        if key not in self._found:
            self._found[key] = np.flatnonzero(self.classes([first], steps)[0]).tolist()
        return self._found[key]

    @cached_property
    def lines(self) -> tuple[int, ...]:
        """The lines that keep notes, in order."""
        return tuple(sorted(self._orders))

    @cached_property
    def drums(self) -> frozenset[int]:
        """Those of them that are drums."""
        return frozenset(self.line[~self.pitched].tolist())

    @cached_property
    def _found(self) -> dict[tuple[int, float], list[int]]:
        return {}

    @cached_property
    def _ends(self) -> list[int]:
        return [after for _, after in self.gaps]

    @cached_property
    def _orders(self) -> dict[int, list[int]]:
        order = np.sort(self.onset * N_PITCHES + self.pitch), np.lexsort((self.pitch, self.onset))
        line = self.line[order[1]]
        return {int(one): order[0][line == one].tolist() for one in np.unique(line)}

    @cached_property
    def _classes(self) -> tuple[np.ndarray, np.ndarray]:
        """Onsets of what isn't drums, and how often each pitch class was struck before each, shape (n + 1, 12)."""
        onset, pitch = self.onset[self.pitched], self.pitch[self.pitched]
        counts = np.zeros((len(onset) + 1, 12), np.int32)
        counts[np.arange(1, len(onset) + 1), pitch % 12] = 1
        return onset, np.cumsum(counts, 0)
