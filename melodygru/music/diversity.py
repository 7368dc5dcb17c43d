"""How many different figures music has: of three notes in a row, among VARIED notes.

A figure is the programs and pitches of its notes, whatever their times. Music that goes round in circles has few of
them even where no two rounds are alike; each corpus has a least number that its own pieces keep to.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from melodygru.music.notes import N_PITCHES

VARIED = 128  # notes
FIGURE = 3
FIGURES = VARIED - FIGURE + 1
_VOICES = 129 * N_PITCHES


def least_diversity(notes: np.ndarray) -> int | None:
    """The fewest different figures among VARIED notes in a row of a piece, dtype NOTE; None for a shorter one."""
    voices = notes["program"].astype(np.int64) * N_PITCHES + notes["pitch"]
    if len(voices) < VARIED:
        return None
    figures = voices[:-2] * _VOICES**2 + voices[1:-1] * _VOICES + voices[2:]
    order = np.argsort(figures, kind="stable")
    again = figures[order][1:] == figures[order][:-1]
    before = np.full(len(figures), -1)  # where a figure stood last
    before[order[1:][again]] = order[:-1][again]
    # A figure counts in each window that holds it and not the one before.
    at = np.arange(len(figures))
    change = np.zeros(len(figures) + 1, np.int64)
    np.add.at(change, np.maximum(np.maximum(before, at - FIGURES) + 1, 0), 1)
    change[1:] -= 1
    return int(np.cumsum(change)[: len(figures) - FIGURES + 1].min())


class Diversity:
    """The same, note by note: `figures` is their number among the last VARIED notes.

    Attributes
    ----------
    figures : int
    full : bool
        Whether there were so many notes.
    """

    def __init__(self) -> None:
        self.figures = 0
        self._last = (-1, -1)
        self._recent: deque[tuple[int, int, int]] = deque()
        self._counts: dict[tuple[int, int, int], int] = {}

    @property
    def full(self) -> bool:
        return len(self._recent) == FIGURES

    def add(self, voice: int) -> None:
        """A note more: its program and pitch as one number."""
        figure = (*self._last, voice)
        self._last = figure[1:]
        if figure[0] < 0:
            return
        self._recent.append(figure)
        count = self._counts[figure] = self._counts.get(figure, 0) + 1
        self.figures += count == 1
        if len(self._recent) > FIGURES:
            oldest = self._recent.popleft()
            count = self._counts[oldest] = self._counts[oldest] - 1
            if not count:
                del self._counts[oldest]
                self.figures -= 1
