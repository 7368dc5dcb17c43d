"""Time in sheet music: bars, how strong each position of a bar is, and the written values that fill it."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from melodygru.errors import SettingError
from melodygru.music.grid import Grid
from melodygru.music.metre import is_compound, signatures, steps_per_bar
from melodygru.music.notes import NoteSequence

MOST_BARS = 10_000
TYPES = {  # quarter notes: MusicXML's name
    Fraction(8): "breve",
    Fraction(4): "whole",
    Fraction(2): "half",
    Fraction(1): "quarter",
    Fraction(1, 2): "eighth",
    Fraction(1, 4): "16th",
    Fraction(1, 8): "32nd",
    Fraction(1, 16): "64th",
    Fraction(1, 32): "128th",
    Fraction(1, 64): "256th",
    Fraction(1, 128): "512th",
    Fraction(1, 256): "1024th",
}
_VALUES = {length * (2 - Fraction(1, 2**dots)): (name, dots) for length, name in TYPES.items() for dots in (0, 1)}
FLAGS = {name: at for at, name in enumerate(list(TYPES.values())[4:], start=1)}  # an eighth has one


def units_of(grid: Grid) -> tuple[int, int]:
    """Units in a quarter note and in a step: small enough that steps and 256th notes are whole numbers of them."""
    assert grid.steps_per_beat is not None
    quarter = math.lcm(grid.steps_per_beat.numerator, 64)
    return quarter, int(quarter / grid.steps_per_beat)


@dataclass(frozen=True)
class Bar:
    """A bar; times in units."""

    start: int
    length: int
    metre: tuple[int, int]
    changes: bool  # whether its metre is written

    @property
    def end(self) -> int:
        return self.start + self.length

    def is_whole(self, quarter: int) -> bool:
        """Whether it is as long as its metre says."""
        return self.length * self.metre[1] == quarter * 4 * self.metre[0]


def bars_of(sequence: NoteSequence, quarter: int, step: int) -> list[Bar]:
    """Bars up to the end of the last note, one at least."""
    notes = sequence.notes
    end = max(1, int((notes["onset"] + notes["duration"]).max(initial=0)) * step)
    marks = list(zip((sequence.metres["step"] * step).tolist(), signatures(sequence.metres), strict=True))
    for _, (numerator, denominator) in marks:
        if numerator < 1 or denominator not in (1, 2, 4, 8, 16, 32, 64):
            raise SettingError(f"metre {numerator}/{denominator}: expected 1 or more over 1, 2, 4, 8, 16, 32 or 64")
    bars: list[Bar] = []
    start, written, at = 0, None, 0
    while start < end:
        if len(bars) == MOST_BARS:
            raise SettingError(f"more than {MOST_BARS:,} bars: a score of that length can't be read; crop the piece")
        while at + 1 < len(marks) and marks[at + 1][0] <= start:
            at += 1
        metre = marks[at][1]
        length = steps_per_bar(Grid.beats(quarter), metre)
        if at + 1 < len(marks) and marks[at + 1][0] < start + length:
            until = marks[at + 1][0] - start
            length = until if _is_binary(until, quarter) else length
        bars.append(Bar(start, length, metre, metre != written))
        written = metre
        start += length
    return bars


def _is_binary(time: int, quarter: int) -> bool:
    """Whether a time is a multiple of some 2**-k of a quarter note."""
    denominator = quarter // math.gcd(time, quarter)
    return denominator & (denominator - 1) == 0


class Metre:
    """The strength of every position of a bar: level 0 its start, then middle, groups, units, halves."""

    def __init__(self, bar: Bar, quarter: int) -> None:
        numerator, denominator = bar.metre
        self.quarter, self.length = quarter, bar.length
        self.unit = quarter * 4 // denominator
        self.is_compound = is_compound(bar.metre)
        if self.is_compound:
            sizes = [3] * (numerator // 3)
        elif denominator >= 8 and numerator > 1:  # 3/8 is one group, 5/8 two of 2 and 3
            sizes = [2] * (numerator // 2)
            sizes[-1] += numerator % 2
        else:
            sizes = [1] * numerator
        groups = [0, *np.cumsum(sizes).tolist()]
        levels = [[0, numerator]]
        if len(sizes) % 4 == 0 and len(sizes) > 0 and groups[-1] % 2 == 0 and groups[-1] // 2 in groups:
            levels.append([groups[-1] // 2])
        levels.append(groups)
        self.group_level = len(levels) - 1
        if len(groups) != numerator + 1:
            levels.append(list(range(numerator + 1)))
        self.levels = [
            sorted({edge * self.unit for edge in level if edge * self.unit < bar.length}) for level in levels
        ]
        self.levels[0] = [0, bar.length]
        self.groups = sorted({*self.levels[self.group_level], 0, bar.length})

    def level(self, position: int) -> int:
        """The level of a position, 0 the strongest."""
        for at, edges in enumerate(self.levels):
            if position in edges:
                return at
        at, grain = len(self.levels), self.unit
        while grain % 2 == 0 and position % (grain // 2):
            at, grain = at + 1, grain // 2
        return at

    def strongest(self, start: int, end: int) -> tuple[int, list[int]]:
        """The lowest level with positions strictly between, and those positions; none where nothing lies between."""
        for at, edges in enumerate(self.levels):
            if found := [edge for edge in edges if start < edge < end]:
                return at, found
        at, grain = len(self.levels), self.unit
        while grain % 2 == 0:
            grain //= 2
            if found := list(range(start // grain * grain + grain, end, grain)):
                return at, found
            at += 1
        return at, []

    def group_of(self, position: int) -> int:
        """The number of the group in which a position lies."""
        return bisect_right(self.groups, position) - 1

    def inside(self, start: int, end: int) -> list[int]:
        """Where a window is divided: at the strongest positions inside."""
        return self.strongest(start, end)[1]


def value_of(length: int, quarter: int) -> tuple[str, int] | None:
    """The name and dots of a length, None where no single value has it."""
    return _VALUES.get(Fraction(length, quarter))


def note_fits(metre: Metre, start: int, end: int) -> bool:
    """Whether one value may cover [start, end) of a bar: it exists, and hides no beat that a reader needs."""
    value = value_of(end - start, metre.quarter)
    if value is None:
        return False
    hidden, positions = metre.strongest(start, end)
    if not positions:
        return True
    first, last = metre.level(start), metre.level(end)
    if metre.is_compound and hidden <= metre.group_level:
        return max(first, last) <= metre.group_level
    if min(first, last) <= hidden:
        return True
    return not value[1] and min(first, last) == hidden + 1 and len(positions) == 1  # a syncopation over one beat


def rest_fits(metre: Metre, start: int, end: int) -> bool:
    """Whether one rest may cover [start, end) of a bar: rests show the beats more strictly than notes do."""
    length = end - start
    value = value_of(length, metre.quarter)
    if value is None:
        return False
    hidden, positions = metre.strongest(start, end)
    if not positions:
        return True
    if metre.is_compound and {start, end} <= set(metre.groups):
        return True
    if metre.is_compound and hidden <= metre.group_level:
        return False
    from_group = start - metre.groups[metre.group_of(start)] if metre.is_compound else start
    is_triple = len(metre.groups) == 4 and not metre.is_compound  # three quarter rests, never a half
    return (
        not value[1] and metre.level(start) <= hidden and from_group % length == 0
        and not (is_triple and hidden <= metre.group_level)
    )  # fmt: skip


@dataclass(frozen=True)
class Tuplet:
    """A window of a bar in which `actual` notes stand in the time of `normal`."""

    start: int
    end: int
    actual: int
    normal: int


def tuplets_of(metre: Metre, positions: set[int]) -> list[Tuplet]:
    """The windows of a bar that need a tuplet, for notes and rests that begin and end at `positions`."""
    quarter = metre.quarter
    beat = max(quarter, metre.unit)

    def search(start: int, end: int) -> Iterator[Tuplet]:
        inside = [position - start for position in positions if start < position < end]
        if all(_is_binary(position + start, quarter) for position in inside):
            return
        length = end - start
        parts = metre.inside(start, end)
        if value_of(length, quarter) in [(name, 0) for name in TYPES.values()]:
            n = length // math.gcd(length, *inside)
            odd = n
            while odd % 2 == 0:
                odd //= 2
            if n in (3, 5, 7, 9) or (length <= beat and not positions.intersection(parts)):
                yield Tuplet(start, end, odd, 1 << (odd.bit_length() - 1))
                return
        for a, b in zip([start, *parts], [*parts, end], strict=True):
            yield from search(a, b)

    return list(search(0, metre.length))


def cut(metre: Metre, start: int, end: int, fits: Any) -> list[int]:
    """Where [start, end), outside tuplets, is cut into values: the starts of the pieces."""
    if fits(metre, start, end):
        return [start]
    _, positions = metre.strongest(start, end)
    if not positions:
        raise SettingError("a note shorter than any value that a score has: put the piece on a coarser grid")
    at = next((position for position in reversed(positions) if fits(metre, start, position)), positions[0])
    return cut(metre, start, at, fits) + cut(metre, at, end, fits)


def cut_in_tuplet(tuplet: Tuplet, start: int, end: int, quarter: int) -> list[int]:
    """Likewise inside a tuplet."""
    if tuplet_value(tuplet, end - start, quarter) is not None:
        return [start]
    grain = Fraction(tuplet.end - tuplet.start, tuplet.actual)
    while grain >= 1:
        first = tuplet.start + (math.floor((start - tuplet.start) / grain) + 1) * grain
        positions = [int(first + at * grain) for at in range(math.ceil((end - first) / grain))]
        if positions:
            fitting = (at for at in reversed(positions) if tuplet_value(tuplet, at - start, quarter) is not None)
            at = next(fitting, positions[0])
            return [
                *cut_in_tuplet(tuplet, start, at, quarter),
                *cut_in_tuplet(tuplet, at, end, quarter),
            ]
        grain /= 2
    raise SettingError("a note shorter than any value that a score has: put the piece on a coarser grid")


def tuplet_value(tuplet: Tuplet, length: int, quarter: int) -> tuple[str, int] | None:
    """The written value of a length inside a tuplet."""
    return _VALUES.get(Fraction(length * tuplet.actual, tuplet.normal * quarter))
