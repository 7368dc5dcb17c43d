"""Parallel fifths, octaves and primes: where a piece has none, what is composed again avoids them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations

import numpy as np

from melodygru.events import Context
from melodygru.music.notes import N_PITCHES

PERFECT = (0, 7)  # semitones, within an octave, of the intervals that don't move in parallel
COST = 5.0  # nats
RARE, CHANGES = 0.02, 16  # parallels a change of chord up to which a piece has none, and the changes that show it
_PITCHES = np.arange(N_PITCHES)


class Parallels:
    """What a pitch costs that would move in parallel with another line.

    Parameters
    ----------
    lines : those that play one note at a time, and don't move in parallel
    struck : the pitch of each of their notes that are known beforehand, by line and onset
    """

    def __init__(self, lines: Iterable[int], struck: dict[tuple[int, int], int]) -> None:
        self._lines, self._struck = frozenset(lines), struck

    def bias(self, context: Context, line: int) -> np.ndarray | None:
        """Log-weights of the pitches of a line's note at the onset, shape (128,); None where all weigh the same."""
        past = context.past
        part = past.given.get(line)
        if part is None or line not in self._lines:
            return None
        at = past.onset
        was: dict[int, int] = {}  # of each part, before the onset
        now: dict[int, int] = {}
        for other, pitch, onset, _, _ in past.active:
            (now if onset == at else was)[other] = pitch
        if part not in was:
            return None
        bias = None
        for other in self._lines - {line}:
            number = past.given.get(other)
            if number is None or number not in was:
                continue
            struck = now.get(number, self._struck.get((other, at)))
            interval = abs(was[part] - was[number]) % 12
            if struck is None or struck == was[number] or interval not in PERFECT:
                continue
            found = (abs(_PITCHES - struck) % 12 == interval) & (_PITCHES != was[part])
            bias = np.where(found, -COST, 0.0) + (0.0 if bias is None else bias)
        return bias


def are_avoided(onset: np.ndarray, end: np.ndarray, line: np.ndarray, pitch: np.ndarray, lines: Sequence[int]) -> bool:
    """Whether notes, arrays of shape (n,), show that these lines, each of one note at a time, avoid parallels."""
    steps = np.unique(onset[np.isin(line, lines)])
    if len(lines) < 2 or len(steps) <= CHANGES:
        return False
    sounds = np.full((len(lines), len(steps)), -1)
    for row, one in zip(sounds, lines, strict=True):
        own = np.flatnonzero(line == one)
        if not len(own):  # the line is composed from end to end
            continue
        own = own[np.argsort(onset[own], kind="stable")]
        last = np.searchsorted(onset[own], steps, side="right") - 1
        known = (last >= 0) & (end[own[last]] > steps)
        row[known] = pitch[own[last[known]]]
    n = 0
    for a, b in combinations(sounds, 2):
        known = (a[:-1] >= 0) & (a[1:] >= 0) & (b[:-1] >= 0) & (b[1:] >= 0)
        moved = (a[:-1] != a[1:]) & (b[:-1] != b[1:])
        interval = abs(a - b) % 12
        n += int(np.sum(known & moved & (interval[1:] == interval[:-1]) & np.isin(interval[1:], PERFECT)))
    return n <= RARE * (len(steps) - 1)
