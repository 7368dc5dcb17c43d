"""How well the last notes agreed with those a lag before them."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import Any

import numpy as np

from melodygru.events.features.feature import Feature, Region
from melodygru.events.features.lookback import lags
from melodygru.events.features.piece import ORDER_KEYS, Past, Piece
from melodygru.events.vocabulary import Vocabulary

RUNS = (0, 1, 2, 3, 4, 6, 9, 16, 32)  # notes in a row that agree with those a lag before: the least of each class
RECENT, N_RECENT_CLASSES = 16, 5  # the last notes among which those that agree are counted, and classes of their number
N_CLASSES = len(RUNS) * N_RECENT_CLASSES


class LookbackRuns(Feature):
    """For each lag, how many notes in a row agree with their counterparts a lag before, and how many of the last 16."""

    @staticmethod
    def blocks(vocabulary: Vocabulary) -> dict[str, int]:
        return {"lookback_run": vocabulary.n_lookbacks * N_CLASSES if vocabulary.lookback_runs else 0}

    @staticmethod
    def columns(vocabulary: Vocabulary) -> dict[str, int]:
        return {"before": vocabulary.n_lookbacks if vocabulary.lookback_runs else 0}

    @staticmethod
    def encode(piece: Piece, region: Region, arrays: dict[str, np.ndarray]) -> None:
        keys, pitch = piece.order_keys, piece.pitch
        for level, lag in enumerate(lags(piece.vocabulary, piece.metre)):
            if not lag or not len(keys):
                continue
            wanted = keys - lag * ORDER_KEYS
            source = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
            agrees = (keys[source] == wanted) & (pitch[source] == pitch)
            column = region.columns["before"] + level
            arrays["before"][1:, column] = region.blocks["lookback_run"] + level * N_CLASSES + run_class(agrees)

    def __init__(self, past: Past, region: Region) -> None:
        super().__init__(past, region)
        first = region.blocks["lookback_run"]
        of_piece = lags(past.vocabulary, past.metre)
        # Of each lag what it takes from order keys, and its first id.
        self._lags = tuple((lag * ORDER_KEYS, first + level * N_CLASSES) for level, lag in enumerate(of_piece))
        self._runs = [0] * len(self._lags)  # notes in a row that agree
        self._recent = [0] * len(self._lags)  # a bit for each of the last notes, the latest one lowest; 1 is agreed
        self._sources = [0] * len(self._lags)  # where the last note's counterpart was searched for

    def before(self, row: list[int]) -> None:
        if not self.past.notes:
            row += [0] * len(self._lags)
            return
        row += [
            first + run_id(run, recent) if back else 0
            for (back, first), run, recent in zip(self._lags, self._runs, self._recent, strict=True)
        ]

    def add(self) -> None:
        keys, notes, sources, runs, all_recent = (
            self.past.order_keys,
            self.past.notes,
            self._sources,
            self._runs,
            self._recent,
        )
        key, note = keys[-1], notes[-1][2]
        for level, (back, _) in enumerate(self._lags):
            if not back:
                continue
            wanted = key - back
            sources[level] = source = bisect_left(keys, wanted, sources[level])
            agrees = keys[source] == wanted and notes[source][2] == note
            runs[level] = runs[level] + 1 if agrees else 0
            all_recent[level] = (all_recent[level] << 1 | agrees) & ((1 << RECENT) - 1)


def run_class(agrees: np.ndarray) -> np.ndarray:
    """After each note, how many in a row agreed, and how many of the last RECENT, as one class; shape (n,)."""
    index = np.arange(1, len(agrees) + 1)
    run = index - np.maximum.accumulate(np.where(agrees, 0, index))
    total = np.append(0, np.cumsum(agrees))
    recent = total[1:] - total[np.maximum(index - RECENT, 0)]
    return (np.searchsorted(RUNS, run, side="right") - 1) * N_RECENT_CLASSES + recent_class(recent)


def run_id(run: int, recent: int) -> int:
    """`run_class` after one note: how many in a row agreed, and a bit for each of the last RECENT."""
    return _RUN_IDS[run if run < RUNS[-1] else RUNS[-1]] + _RECENT_CLASSES[recent.bit_count()]


def recent_class(count: Any) -> Any:
    """Class of how many of the last RECENT notes agree."""
    return (count * (N_RECENT_CLASSES - 1) + RECENT - 1) // RECENT


# The parts of `run_id`: of each run, and of each number of notes that agree.
_RUN_IDS = [(bisect_right(RUNS, run) - 1) * N_RECENT_CLASSES for run in range(RUNS[-1] + 1)]
_RECENT_CLASSES = [recent_class(count) for count in range(RECENT + 1)]
