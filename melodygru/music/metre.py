"""Bars, beats and compound metre: where a step lies in its bar and in its beat.

A metre is a time signature, (numerator, denominator): so many units of that note value in a bar. Metres whose
numerator is 6, 9, 12 or another multiple of three above three are **compound**: their beat is three units, so 6/8 has
two beats of a dotted quarter and 6/4 two of a dotted half. In all others a beat is one unit. That is the
textbooks' rule (for one, E. Gould, Behind Bars, 2011): 3/8 is simple, three beats of an eighth, as 3/4 is three of a
quarter; whether a fast 3/8 is felt in one is the player's, and no file says so. 5/8 and 7/8 have beats of two and three
units in an order that a time signature doesn't say: their beats are the units.

Here alone a beat is the metre's; everywhere else (`Grid.steps_per_beat`, quarter notes a minute) it is a quarter note.

A change of metre begins a new bar, wherever it stands. Bars of a metre that no whole number of steps holds are
rounded to one that does.
"""

from __future__ import annotations

from bisect import bisect_right
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from melodygru.errors import SettingError
from melodygru.music.grid import Grid

METRE = np.dtype([("step", np.int64), ("numerator", np.int16), ("denominator", np.int16)])  # in force from step on
DEFAULT_METRE = (4, 4)  # what MIDI assumes when a file says nothing


def parse_metre(text: str) -> tuple[int, int]:
    """A time signature such as `3/4`; SettingError for anything else."""
    numerator, _, denominator = text.partition("/")
    if not (numerator.isdecimal() and denominator.isdecimal()):
        raise SettingError(f"{text!r}: expected a time signature such as 3/4")
    metre = int(numerator), int(denominator)
    if not 1 <= metre[0] <= 99 or metre[1] not in (1, 2, 4, 8, 16, 32, 64):
        raise SettingError(f"{text!r}: expected 1..99 over 1, 2, 4, 8, 16, 32 or 64")
    return metre


def is_compound(metre: tuple[int, int]) -> bool:
    """Whether the metre's beat is three of its units: 6/8, 9/8, 12/8, 6/4 ...; 3/8 and 3/4 aren't."""
    return metre[0] > 3 and metre[0] % 3 == 0


def beat_quarters(metre: tuple[int, int]) -> Fraction:
    """Quarter notes in a beat of the metre: 1 in 4/4, 1/2 in 3/8, 3/2 in 6/8."""
    return Fraction(4 * (3 if is_compound(metre) else 1), metre[1])


def steps_per_bar(grid: Grid, metre: tuple[int, int]) -> int:
    """Steps in a bar of the metre on a metrical grid, rounded, at least 1."""
    assert grid.steps_per_beat is not None
    numerator, denominator = metre
    return max(1, round(grid.steps_per_beat * 4 * numerator / denominator))


def signatures(metres: np.ndarray) -> list[tuple[int, int]]:
    """The time signatures of marks, dtype METRE, as (numerator, denominator)."""
    return list(zip(metres["numerator"].tolist(), metres["denominator"].tolist(), strict=True))


class InBar(NamedTuple):
    """Where steps lie in their bars: one number each for a single step, else arrays of the steps' shape, int64.

    Attributes
    ----------
    bar : number of the bar, from 0
    position : steps since the bar began
    size : steps in a bar of the metre in force
    """

    bar: np.ndarray
    position: np.ndarray
    size: np.ndarray


class InBeat(NamedTuple):
    """Where steps lie in the beats of their metre; arrays of the steps' shape, int64.

    Attributes
    ----------
    beat : number of the beat, from 0 at the start of the piece
    position : steps since the beat began
    size : steps in a beat, rounded
    """

    beat: np.ndarray
    position: np.ndarray
    size: np.ndarray


class Bars:
    """The bars and beats of a piece's metres on a metrical grid.

    Parameters
    ----------
    grid : Grid
        A metrical one.
    metres : array, shape (n,), dtype METRE
        The first at step 0.
    """

    def __init__(self, grid: Grid, metres: np.ndarray) -> None:
        self._grid, self._signatures = grid, signatures(metres)
        self._starts = metres["step"]
        self._sizes = np.array([steps_per_bar(grid, metre) for metre in self._signatures])
        n_bars = -(-np.diff(self._starts) // self._sizes[:-1])  # of each metre but the last
        self._bars_before = np.concatenate([[0], np.cumsum(n_bars)]).astype(np.int64)
        self._mark_steps = self._starts.tolist()
        self._marks = list(zip(self._mark_steps, self._sizes.tolist(), self._bars_before.tolist(), strict=True))

    def at(self, steps: np.ndarray) -> InBar:
        """Where steps, of any shape, lie in their bars."""
        mark = np.searchsorted(self._starts, steps, side="right") - 1
        inside, size = steps - self._starts[mark], self._sizes[mark]
        return InBar(self._bars_before[mark] + inside // size, inside % size, size)

    def at_step(self, step: int) -> tuple[int, int, int]:
        """The same for one step, in Python's integers: number of the bar, position in it, steps in it."""
        start, size, bars_before = self._marks[bisect_right(self._mark_steps, step) - 1]
        bar, position = divmod(step - start, size)
        return bars_before + bar, position, size

    def starts_of(self, bars: np.ndarray) -> np.ndarray:
        """Steps at which bars, given by their numbers, begin."""
        mark = np.searchsorted(self._bars_before, bars, side="right") - 1
        return self._starts[mark] + (bars - self._bars_before[mark]) * self._sizes[mark]

    def start_of(self, bar: int) -> int:
        """The same for one bar, in Python's integers."""
        start, size, bars_before = next(mark for mark in reversed(self._marks) if mark[2] <= bar)
        return start + (bar - bars_before) * size

    def beats_at(self, steps: np.ndarray) -> InBeat:
        """Where steps, of any shape, lie in the beats of their metres."""
        assert self._grid.steps_per_beat is not None
        exact = [self._grid.steps_per_beat * beat_quarters(metre) for metre in self._signatures]
        beats = np.array([max(1, round(beat)) for beat in exact])
        in_a_bar = -(-self._sizes // beats)
        beats_before = np.concatenate([[0], np.cumsum(np.diff(self._bars_before) * in_a_bar[:-1])]).astype(np.int64)
        mark = np.searchsorted(self._starts, steps, side="right") - 1
        bar, position, _ = self.at(steps)
        size = beats[mark]
        number = beats_before[mark] + (bar - self._bars_before[mark]) * in_a_bar[mark] + position // size
        return InBeat(number, position % size, size)

    def starts(self, length: int) -> np.ndarray:
        """Steps at which bars begin, ascending, up to and including the first at or after `length`."""
        last = int(self._starts[-1])
        ends = np.append(self._starts[1:], max(length, last))
        found = [np.arange(*each) for each in zip(self._starts, ends, self._sizes, strict=True)]
        last = int(found[-1][-1] + self._sizes[-1]) if len(found[-1]) else last
        bars = np.concatenate([*found, [last]])
        return bars[: np.searchsorted(bars, length) + 1]

    def beat_lines(self, bars: np.ndarray) -> np.ndarray:
        """Where the beats of the bars that begin at steps `bars` begin: in steps, not rounded, ascending, float."""
        assert self._grid.steps_per_beat is not None
        found = [bars.astype(float)]
        mark = np.searchsorted(self._starts, bars, side="right") - 1
        for number, metre in enumerate(self._signatures):
            beat = float(self._grid.steps_per_beat * beat_quarters(metre))
            inside = np.arange(1, metre[0] // 3 if is_compound(metre) else metre[0]) * beat
            found.append((bars[mark == number][:, None] + inside).reshape(-1))
        return np.unique(np.concatenate(found))
