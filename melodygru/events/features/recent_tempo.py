"""How fast the last onsets followed one another, in music without a beat."""

from __future__ import annotations

import numpy as np

from melodygru.events.features.feature import Feature, Region, point
from melodygru.events.features.piece import Past, Piece
from melodygru.events.times import TIMES, time_of
from melodygru.events.vocabulary import Vocabulary

CHORD_S = 0.035  # notes that follow one another at most so closely are struck together
N_WAITS = 3  # between chords, the last ones
LONGEST = 400  # steps; longer waits count as so long
N_SINCE = 16  # classes of the steps since the last chord began


class RecentTempo(Feature):
    """The last waits from one chord to the next, to the step, and how long ago the last chord began.

    A chord is what is struck within CHORD_S from note to note. What is left of each of these waits is a pointer to the
    shift.
    """

    @staticmethod
    def blocks(vocabulary: Vocabulary) -> dict[str, int]:
        if vocabulary.grid.is_metrical:
            return {}
        return {"waits": N_WAITS * _N_WAITS, "since": N_SINCE}

    @staticmethod
    def columns(vocabulary: Vocabulary) -> dict[str, int]:
        n = 0 if vocabulary.grid.is_metrical else N_WAITS
        return {"before": n and n + 1, "shift_pointers": n}

    @staticmethod
    def encode(piece: Piece, region: Region, arrays: dict[str, np.ndarray]) -> None:
        n = len(piece.onset)
        if not n:
            return
        begins = np.append(True, np.diff(piece.onset) > _longest_gap(piece.vocabulary))
        starts, chord = piece.onset[begins], np.cumsum(begins) - 1
        before, column = arrays["before"], region.columns["before"]
        since = piece.onset - starts[chord]
        before[1:, column] = region.blocks["since"] + np.minimum(since, N_SINCE - 1)
        for rank in range(N_WAITS):
            has = np.flatnonzero(chord > rank)
            of = chord[has] - rank
            wait = np.minimum(starts[of] - starts[of - 1], LONGEST)
            classes = TIMES.encode(wait)
            before[has + 1, column + 1 + rank] = region.blocks["waits"] + rank * _N_WAITS + classes
            left = wait - since[has]
            to_come = left > 0
            point(arrays, region, "shift", rank, has[to_come] + 1, TIMES.encode(left[to_come]))

    def __init__(self, past: Past, region: Region) -> None:
        super().__init__(past, region)
        self._waits, self._since = (region.blocks[name] for name in ("waits", "since"))
        self._gap = _longest_gap(past.vocabulary)
        self._starts: list[int] = []  # of the last chords, the latest last
        self._at = 0  # of the last note

    def before(self, row: list[int]) -> None:
        if not self._starts:
            row += [0] * (1 + N_WAITS)
            return
        row.append(self._since + min(self._at - self._starts[-1], N_SINCE - 1))
        waits = [time_of(wait) for wait in self._last_waits()]
        row += [self._waits + rank * _N_WAITS + wait for rank, wait in enumerate(waits)]
        row += [0] * (N_WAITS - len(waits))

    def point_shift(self, row: list[int]) -> None:
        since = self._at - self._starts[-1] if self._starts else 0
        left = [wait - since for wait in self._last_waits()]
        row += [time_of(wait) + 1 if wait > 0 else 0 for wait in left]
        row += [0] * (N_WAITS - len(left))

    def _last_waits(self) -> list[int]:
        """From one chord to the next, the latest first."""
        starts = self._starts
        return [min(starts[-1 - rank] - starts[-2 - rank], LONGEST) for rank in range(len(starts) - 1)]

    def add(self) -> None:
        at = self.past.onset
        if not self._starts or at - self._at > self._gap:
            self._starts = [*self._starts[-N_WAITS:], at]
        self._at = at


_N_WAITS = time_of(LONGEST) + 1


def _longest_gap(vocabulary: Vocabulary) -> int:
    """Steps from note to note inside a chord, at most."""
    return int(CHORD_S * vocabulary.grid.rate)
