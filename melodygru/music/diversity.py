"""The n-gram diversity of music: how many different trigrams of notes stand among WINDOW notes in a row.

A trigram is the programs and pitches of three notes in a row, whatever their times. Music that goes round in circles
has few of them even where no two rounds are alike; each corpus has a least number that its own pieces keep to.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from melodygru.music.notes import N_PITCHES, N_PROGRAMS

WINDOW = 128  # notes
N_TRIGRAMS = WINDOW - 2  # in a window
_N_SOUNDS = N_PROGRAMS * N_PITCHES


def least_diversity(notes: np.ndarray) -> int | None:
    """The fewest different trigrams in any window of a piece, dtype NOTE; None for a piece shorter than a window."""
    sounds = notes["program"].astype(np.int64) * N_PITCHES + notes["pitch"]
    if len(sounds) < WINDOW:
        return None
    trigrams = sounds[:-2] * _N_SOUNDS**2 + sounds[1:-1] * _N_SOUNDS + sounds[2:]
    order = np.argsort(trigrams, kind="stable")
    repeated = trigrams[order][1:] == trigrams[order][:-1]
    before = np.full(len(trigrams), -1)  # where a trigram stood last
    before[order[1:][repeated]] = order[:-1][repeated]
    # A trigram counts in each window that holds it and not the one before.
    at = np.arange(len(trigrams))
    change = np.zeros(len(trigrams) + 1, np.int64)
    np.add.at(change, np.maximum(np.maximum(before, at - N_TRIGRAMS) + 1, 0), 1)
    change[1:] -= 1
    return int(np.cumsum(change)[: len(trigrams) - N_TRIGRAMS + 1].min())


class Diversity:
    """The n-gram diversity of the last WINDOW notes, kept note by note.

    Attributes
    ----------
    trigrams : int
        How many different ones there are.
    """

    def __init__(self) -> None:
        self.trigrams = 0
        self._last = (-1, -1)
        self._recent: deque[tuple[int, int, int]] = deque()
        self._counts: dict[tuple[int, int, int], int] = {}

    @property
    def full(self) -> bool:
        """Whether a whole window of notes was added."""
        return len(self._recent) == N_TRIGRAMS

    def add(self, sound: int) -> None:
        """Add a note: its program and pitch as one number."""
        trigram = (*self._last, sound)
        self._last = trigram[1:]
        if trigram[0] < 0:
            return
        self._recent.append(trigram)
        count = self._counts[trigram] = self._counts.get(trigram, 0) + 1
        self.trigrams += count == 1
        if len(self._recent) > N_TRIGRAMS:
            oldest = self._recent.popleft()
            count = self._counts[oldest] = self._counts[oldest] - 1
            if not count:
                del self._counts[oldest]
                self.trigrams -= 1
