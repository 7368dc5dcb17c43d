"""Lengths of time and intervals as classes."""

from __future__ import annotations

import math
from bisect import bisect_right
from functools import cached_property

import numpy as np

from melodygru.music.notes import N_PITCHES

N_SPANS = 40  # see `span_class`
N_INTERVALS = 127  # -63..63 semitones, wider ones count as these


class TimeClasses:
    """Classes for a number of steps: exact below `exact`, then wider by `growth`, up to and including `maximum`."""

    exact = 96
    growth = 1.06
    maximum = 65_535

    def __init__(self) -> None:
        low = list(range(self.exact + 1))
        while low[-1] <= self.maximum:
            low.append(max(low[-1] + 1, math.ceil(low[-1] * self.growth)))
        low[-1] = self.maximum + 1
        self.low = np.array(low[:-1], np.int64)
        self.width = np.diff(np.array(low, np.int64))
        self.size = len(self.low)
        self.log_width = np.log(self.width).astype(np.float64)

    def encode(self, steps: np.ndarray) -> np.ndarray:
        """Class of each number of steps in 0..maximum."""
        return self._classes[steps]

    @cached_property
    def _classes(self) -> np.ndarray:
        """Class of each number of steps: looking it up is faster than searching."""
        return np.searchsorted(self.low, np.arange(self.maximum + 1), side="right") - 1

    def decode(self, classes: np.ndarray, shares: np.ndarray) -> np.ndarray:
        """Steps of `classes`, at shares in [0, 1) of their width."""
        return self.low[classes] + np.floor(shares * self.width[classes]).astype(np.int64)

    def log_place(self, classes: np.ndarray, common: np.ndarray, gain: np.ndarray, there: np.ndarray) -> np.ndarray:
        """Log-probability, in nats, of the step inside a class, given the class.

        All steps of a class are alike, but for one that is more probable by its gain where the class holds it.

        Parameters
        ----------
        classes : the classes
        common : the class, plus 1, in which that one step lies; 0 is none. Of the same shape, as are the others
        gain : in nats
        there : whether it is that step, bool
        """
        others = np.log(np.maximum(self.width[classes] - 1, 1))
        total = others + np.logaddexp(0.0, gain - others)
        holds = (common == classes + 1) & (self.width[classes] > 1)
        return np.where(holds, np.where(there, gain, 0.0) - total, -self.log_width[classes])


TIMES = TimeClasses()


def span_class(steps: np.ndarray) -> np.ndarray:
    """Coarse class in [0, N_SPANS) of a length of time in the context: exact below 16, then four an octave."""
    return SPAN_CLASSES[np.minimum(steps, len(SPAN_CLASSES) - 1)]


def _spans() -> np.ndarray:
    """`span_class` of each number of steps, up to the first of the last class."""
    steps = np.arange(16 * 2 ** math.ceil((N_SPANS - 16) / 4))
    coarse = 16 + np.floor(4 * np.log2(np.maximum(steps, 16) / 16)).astype(np.int64)
    return np.where(steps < 16, steps, np.minimum(coarse, N_SPANS - 1))


SPAN_CLASSES = _spans()


def interval_class(semitones: np.ndarray) -> np.ndarray:
    """Class in [0, N_INTERVALS) of an interval; the widest classes hold all that is wider."""
    widest = N_INTERVALS // 2
    return np.clip(semitones, -widest, widest) + widest


def motion_class(pitch: np.ndarray, last: np.ndarray | int) -> np.ndarray:
    """Class plus 1 of the interval to `pitch` from `last`, a pitch plus 1; 0 where `last` is 0, none."""
    return np.where(np.asarray(last) > 0, interval_class(pitch - (last - 1)) + 1, 0)


SPANS = SPAN_CLASSES.tolist()  # for one at a time


def span_of(steps: int) -> int:
    """`span_class` of one number of steps, from a table."""
    return SPANS[steps] if steps < len(SPANS) else N_SPANS - 1


_LOWS = TIMES.low.tolist()


def time_of(steps: int) -> int:
    """`TimeClasses.encode` of one number of steps."""
    return steps if steps <= TimeClasses.exact else bisect_right(_LOWS, steps) - 1


# `motion_class` of each interval, from a table; the negative ones are counted from its end.
MOTIONS = motion_class(np.append(np.arange(N_PITCHES), np.arange(-N_PITCHES, 0)), 1).tolist()
