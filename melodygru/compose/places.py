"""Steps inside the classes of time: where a shift or a duration of a class lies, among the steps that are allowed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from melodygru.events import TIMES
from melodygru.events.times import time_of

NEVER = 1 << 62  # steps
Spans = list[tuple[int, int]]  # steps: the first, and the first that is no more among them

_LOW, _WIDTH = TIMES.low.tolist(), TIMES.width.tolist()
_FIRST, _SIZE = np.array(_LOW, np.float64), np.array(_WIDTH, np.float64)
_ANY: Spans = [(0, NEVER)]
_MOST = 50.0  # nats that a step gains, at most: beyond, it is certain


def share_of_classes(spans: Sequence[Spans]) -> np.ndarray:
    """The share of each class of `events.TIMES` that lies in each stream's spans, shape (streams, classes)."""
    share = np.zeros((len(spans), TIMES.size))
    for k in range(max(map(len, spans))):
        first, after = np.array([of_stream[k] if k < len(of_stream) else (0, 0) for of_stream in spans]).T[:, :, None]
        share += np.maximum(0, np.minimum(_FIRST + _SIZE, after) - np.maximum(_FIRST, first))
    return share / _SIZE


def steps_within(spans: Spans, time_class: int, share: float) -> int:
    """Of the steps of a class that lie in the spans, those after a share of them, in [0, 1)."""
    inside = _inside(spans, time_class)
    at = int(share * _count(inside))
    for first, after in inside:
        if at < after - first:
            return first + at
        at -= after - first
    return _LOW[time_class]


def _inside(spans: Spans, time_class: int) -> Spans:
    """What of the spans lies in a class."""
    low, high = _LOW[time_class], _LOW[time_class] + _WIDTH[time_class]
    cut = [(max(low, first), min(high, after)) for first, after in spans]
    return [(first, after) for first, after in cut if first < after]


def _count(spans: Spans) -> int:
    """How many steps the spans have."""
    return sum(after - first for first, after in spans)


def _allows(spans: Spans, step: int) -> bool:
    """Whether a step lies in one of the spans."""
    return any(first <= step < after for first, after in spans)


@dataclass(frozen=True)
class Places:
    """How the probability of a class of durations spreads over its steps: evenly, but for the common end.

    Parameters
    ----------
    common : for each stream the steps to the end that most sounding notes share, 0 is none; empty: none has one
    gain : for each of them what that step gains over the others of its class, in nats
    """

    common: Sequence[int] = ()
    gain: Sequence[float] = ()

    def share_of_classes(self, spans: Sequence[Spans]) -> np.ndarray:
        """The share of the probability of each class that lies in each stream's spans, shape (streams, classes)."""
        share = share_of_classes(spans)
        for stream, (of_stream, common) in enumerate(zip(spans, self.common, strict=False)):
            if common:
                held, more = time_of(common), math.exp(min(self.gain[stream], _MOST)) - 1
                inside = _WIDTH[held] * share[stream, held] + more * _allows(of_stream, common)
                share[stream, held] = inside / (_WIDTH[held] + more)
        return share

    def steps(self, spans: Sequence[Spans] | None, classes: Sequence[int], shares: Sequence[float]) -> list[int]:
        """The steps of a class of each stream, by numbers in [0, 1)."""
        if not self.common and spans is None:
            return [_LOW[c] + int(share * _WIDTH[c]) for c, share in zip(classes, shares, strict=True)]
        n = len(classes)
        rows = zip(spans or [_ANY] * n, classes, shares, self.common or [0] * n, self.gain or [0.0] * n, strict=True)
        return [self._step(*row) for row in rows]

    def log_p(self, classes: np.ndarray, steps: Sequence[int]) -> np.ndarray:
        """Log-probability of the steps of each stream, given their classes, in nats."""
        if not self.common:
            return -TIMES.log_width[classes]
        common = np.array(self.common)
        held = np.where(common > 0, TIMES.encode(common) + 1, 0)
        return TIMES.log_place(classes, held, np.array(self.gain), np.array(steps) == common)

    @staticmethod
    def _others(spans: Spans, common: int) -> Spans:
        """The spans without one step."""
        before = [(first, min(after, common)) for first, after in spans if first < common]
        return before + [(max(first, common + 1), after) for first, after in spans if after > common + 1]

    def _step(self, spans: Spans, time_class: int, share: float, common: int, gain: float) -> int:
        low, width = _LOW[time_class], _WIDTH[time_class]
        if width == 1 or not low <= common < low + width or not _allows(spans, common):
            return steps_within(spans, time_class, share)
        others = self._others(spans, common)
        n, weight = _count(_inside(others, time_class)), math.exp(min(gain, _MOST))
        at = share * (n + weight)
        return common if at < weight or not n else steps_within(others, time_class, (at - weight) / n)


EVEN = Places()
