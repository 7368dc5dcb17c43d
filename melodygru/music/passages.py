"""Passages that return: where the last notes of a line stood before, moved and in another order, and what came next.

A performance never repeats itself note by note: the notes of a chord come in another order each time, ornaments come
and go. So a passage is looked up by a bag of notes, and then followed as a page-turner follows a score.
"""

from __future__ import annotations

import numpy as np

from melodygru.music.notes import N_PITCHES
from melodygru.util.hashes import MASK, latest_equal, mixed

RETURNING = 5  # notes by which a passage is found that returns, where that is measured
N_EXPECTED = 4  # notes of the passage that are awaited at once
KEPT_BACK = 4  # an awaited note is given up when another one is struck that stands further on than so many notes
LATELY = 4  # of so many notes OTHER may miss before another passage is looked for
OTHER = 2
LONGER = 8  # of so many notes LOST may miss before the passage is given up
LOST = 5
N_HITS = 9  # classes of how many of the last 16 notes were expected
N_RUNS = 4  # classes of how many in a row
N_AGREED = N_HITS * N_RUNS
LONGEST = (1 << 16) - 1  # one bit for each of the last 16 notes


class Bags:
    """Where the last notes of a line stood before, moved by any interval and in any order.

    Parameters
    ----------
    order : how many last notes
    fixed : whether they must have stood at the same pitches, as drums must
    """

    def __init__(self, order: int, fixed: bool = False) -> None:
        self._order, self._fixed = order, fixed
        self._known: dict[int, int] = {}  # the note after each bag of notes

    def add(self, pitches: list[int]) -> tuple[int, int]:
        """The note after the same bag of notes as the line ends with, or -1, and by what it has moved since."""
        if len(pitches) < self._order:
            return -1, 0
        last = pitches[-self._order :]
        low = 0 if self._fixed else min(last)
        bag = sum([_MIXED[pitch - low] for pitch in last]) & MASK
        found = self._known.get(bag, -1)
        self._known[bag] = len(pitches)
        return found, low - min(pitches[found - self._order : found]) if found >= 0 and not self._fixed else 0

    def copy(self) -> Bags:
        """Another in the same state."""
        other = Bags(self._order, self._fixed)
        other._known = self._known.copy()
        return other


class Follower:
    """Goes along with an earlier passage of a piece, note by note.

    Attributes
    ----------
    expected : list of int
        The passage's next notes that weren't struck yet, at most N_EXPECTED, in order; none where no passage is known.
    moved : semitones from the passage's pitches to those expected
    source, own : the passage's note that was struck last, and the note that struck it
    agreed : class of how many notes were expected lately, and in a row
    """

    __slots__ = ("_end", "_hits", "_misses", "_run", "agreed", "expected", "moved", "own", "source")

    def __init__(self) -> None:
        self.expected: list[int] = []
        self.moved = self.source = self.own = self.agreed = 0
        self._end = 0  # the note of the passage that will be expected next
        self._hits = self._misses = 0  # a bit for each of the last notes, the lowest for the last one
        self._run = 0

    def add(self, pitches: list[int], note: int, found: int, moved: int) -> None:
        """Go on past a note; `found` is where a passage goes on that ends as the piece does now, or -1."""
        expected = self.expected
        if expected:
            pitch = pitches[note] - self.moved
            for struck in expected:
                if pitches[struck] == pitch:
                    self._hits = self._hits << 1 & LONGEST | 1
                    self._misses = self._misses << 1 & LONGEST
                    self._run += 1
                    self.source, self.own = struck, note
                    least = struck - KEPT_BACK
                    self.expected = expected = [other for other in expected if other >= least and other != struck]
                    while len(expected) < N_EXPECTED and self._end <= note:
                        expected.append(self._end)
                        self._end += 1
                    break
            else:
                self._hits = self._hits << 1 & LONGEST
                self._misses = self._misses << 1 & LONGEST | 1
                self._run = 0
        if found >= 0:
            if not expected or (self._misses & (1 << LATELY) - 1).bit_count() >= OTHER:
                self._end = min(found + N_EXPECTED, note + 1)
                self.expected = list(range(found, self._end))
                self.moved, self.source, self.own = moved, found - 1, note
                self._hits = self._misses = self._run = 0
        elif expected and (self._misses & (1 << LONGER) - 1).bit_count() >= LOST:
            self.expected = []
        self.agreed = self._hits.bit_count() // 2 * N_RUNS + min(self._run, N_RUNS - 1)

    def copy(self) -> Follower:
        """Another in the same state."""
        other = Follower()
        for name in self.__slots__:
            setattr(other, name, getattr(self, name))
        return other  # no list of it is ever changed once `add` is over


def followed(pitch: np.ndarray, order: int, fixed: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """What the follower expects before each of n notes, and after the last: shape (n + 1, N_EXPECTED), -1 is nothing.

    And its `moved`, `agreed`, `source` and `own`, shape (4, n + 1). `order` and `fixed` are those of `Bags`.
    """
    n = len(pitch)
    found, moved = np.full(n + 1, -1), np.zeros(n + 1, np.int64)
    if n > order:
        last = np.lib.stride_tricks.sliding_window_view(pitch, order)
        low = np.zeros(len(last), np.int64) if fixed else last.min(1)
        at = latest_equal(_MIXED_ARRAY[last - low[:, None]].sum(1, dtype=np.uint64))
        has = at >= 0
        found[order:][has] = at[has] + order
        moved[order:][has] = low[has] - low[at[has]]
    none = [-1] * N_EXPECTED
    expected, states = none.copy(), [0] * 4
    follower, pitches = Follower(), pitch.tolist()
    for note, (where, by) in enumerate(zip(found[1:].tolist(), moved[1:].tolist(), strict=True)):
        if where < 0 and not follower.expected:
            expected += none
            states += (0, 0, 0, 0)
            continue
        follower.add(pitches, note, where, by)
        now = follower.expected
        expected += now if len(now) == N_EXPECTED else (now + none)[:N_EXPECTED]
        states += (follower.moved, follower.agreed, follower.source, follower.own)
    return np.array(expected).reshape(-1, N_EXPECTED), np.array(states).reshape(-1, 4).T


def awaited(pitch: np.ndarray, expected: np.ndarray, moved: np.ndarray) -> np.ndarray:
    """The pitches of what `followed` expects, of the same shape; below 0 is nothing, or beyond the keyboard."""
    return np.where(expected >= 0, np.append(pitch, 0)[expected] + moved[:, None], -1)


def returning(pitch: np.ndarray, fixed: bool = False) -> np.ndarray:
    """Whether each note of a line was awaited from an earlier passage, found by RETURNING notes; shape (n,), bool."""
    expected, (moved, *_) = followed(pitch, RETURNING, fixed)
    return np.any(awaited(pitch, expected, moved)[:-1] == pitch[:, None], axis=1)


_MIXED_ARRAY = mixed(np.arange(N_PITCHES))
_MIXED = _MIXED_ARRAY.tolist()
