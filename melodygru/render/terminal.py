"""A piece as a piano roll in characters, for a terminal.

Conventions
-----------
A row of characters is two pitches: the upper half of a block is the upper one. Bars follow each other in **systems**,
rows of as many whole bars as the width holds; on a grid of seconds a second stands for a bar. The lines between bars
have columns of their own, and a note that sounds across one covers it. A note that begins in the column where the one
before it on its pitch ends is set off by an empty column, if that one has two at least. Drums have rows of their own, a
mark for each stroke.

Colours are the sixteen of every terminal (ECMA-48's SGR 30..37 and 90..97), so that they follow its theme.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from melodygru.music.names import DRUM_NAMES, facts, pitch_name
from melodygru.music.notes import DRUMS, NoteSequence
from melodygru.music.voices import voices
from melodygru.render.pictures import page_units
from melodygru.util.wording import clock

LEAST_WIDTH = 24  # columns; where there are fewer, lines are longer than the terminal
_VOICES = (36, 33, 35, 32, 31, 94, 96, 93, 95, 92, 91, 34)  # foreground; 10 more is the background
_STROKES = 37  # drums
_FAINT, _BOLD, _RESET = "\x1b[2m", "\x1b[1m", "\x1b[0m"
_BEAT_COLUMNS = (4, 6, 8, 12)  # columns of a quarter note, the first that keeps almost all onsets apart
_SECOND_COLUMNS = 8
_APART = 0.95  # so many of the onsets fall on a column
_SHARED_SPAN = 36  # semitones: up to there all systems show the same pitches, else each its own
_LEAST_SPAN = 12  # semitones
_WHITE_KEYS = {2: "D", 4: "E F", 6: "G", 8: "A", 10: "B"}  # of a row's lower pitch class; a row of C is named with it


@dataclass(frozen=True)
class _Marks:
    """What notes are drawn with."""

    upper: str
    lower: str
    both: str
    line: str
    stroke: str
    square: str
    levels: str  # of surprise, the least first

    @classmethod
    def drawn_with(cls, blocks: bool) -> _Marks:
        return (
            cls("▀", "▄", "█", "│", "▄", "■", "▁▂▃▄▅▆▇█") if blocks else cls("'", ".", ":", "|", "x", "#", "0123456789")
        )


CHARACTERS = "▀▄█│■▁▂▃▅▆▇·"  # what an encoding needs to have for `lines` with blocks


@dataclass(frozen=True)
class _Page:
    """How the time of a piece is laid out: bars (or seconds) with their edges in steps, and their columns."""

    edges: np.ndarray  # steps, shape (n_bars + 1,)
    columns: np.ndarray  # of each bar, its closing line not counted, shape (n_bars,)
    names: Sequence[str]
    systems: list[tuple[int, int]]  # first bar, and one past the last


def lines(
    sequence: NoteSequence,
    width: int = 80,
    *,
    title: str | None = None,
    colour: bool = False,
    blocks: bool = True,
    nats: np.ndarray | None = None,
) -> Iterator[str]:
    """A piece as lines of text.

    Parameters
    ----------
    sequence : NoteSequence
    width : int
        Columns; lines are no longer, except where `width` is below 24.
    title : str, optional
    colour : bool
        Whether voices (see `music.voices`) have colours, by escape sequences.
    blocks : bool
        Half blocks; otherwise ASCII, where `'` is a row's upper pitch, `.` the lower and `:` both.
    nats : array, shape (n_notes,), optional
        The surprise of each note. It becomes a row beneath each system: the most surprising note of every column.

    Yields
    ------
    str
        A line, without its end.
    """
    marks, width = _Marks.drawn_with(blocks), max(width, LEAST_WIDTH)
    voice, names = voices(sequence)
    codes = _codes(sequence, len(names))
    strokes = np.unique(sequence.notes["pitch"][sequence.notes["program"] == DRUMS]).tolist()
    labels = [DRUM_NAMES.get(key, f"key {key}") for key in strokes]
    margin = max(4 if nats is not None else 3, min(max(map(len, labels), default=0), width // 4))
    page = _page(sequence, width - margin - 1)

    if title:
        shown = "".join(letter if letter.isprintable() else "?" for letter in " ".join(title.split()))[:width]
        yield f"{_BOLD}{shown}{_RESET}" if colour else shown
    yield from _wrapped(facts(sequence), width, "  ·  " if blocks else ", ")
    if len(names) > 1:
        entries = [f"{marks.square} {name}" for name in names] if colour else names
        for text in _wrapped(entries, width, "  " if colour else ", "):
            yield _painted_legend(text, entries, codes, marks.square) if colour else text
    top = 0.0
    if nats is not None:
        top = max(2.0, float(np.quantile(nats, 0.98)) if len(nats) else 0.0)
        yield f"surprise of a note in nats: {marks.levels[0]} 0, {marks.levels[-1]} {top:.1f} and more"[:width]
    if len(sequence) == 0:
        yield "no notes"
    shared = _span(sequence.notes)
    for first, last in page.systems:
        yield ""
        yield _faint(" " * (margin + 1) + _numbers(page, first, last), colour)
        here, start, end = _columns(sequence.notes, page, first, last)
        notes, look = sequence.notes[here], codes[voice[here]]
        n_columns = int(page.columns[first:last].sum()) + last - first
        closing = np.cumsum(page.columns[first:last] + 1) - 1
        low, high = shared if shared[1] - shared[0] <= _SHARED_SPAN else _span(notes)
        drum = notes["program"] == DRUMS
        cells = np.zeros((128, n_columns), int)
        melodic = np.flatnonzero(~drum)
        for note, until in zip(melodic.tolist(), _set_off(notes[melodic], start[melodic], end[melodic]), strict=True):
            cells[notes["pitch"][note], start[note] : until] = look[note]
        for lower in range(high - 1, low - 1, -2) if high > low else ():
            name = pitch_name(lower) if lower % 12 == 0 else _WHITE_KEYS[lower % 12]
            text = _row(cells[lower + 1], cells[lower], closing, marks, colour)
            yield _faint(f"{name:>{margin}}{marks.line}", colour) + text
        for key, label in zip(reversed(strokes), reversed(labels), strict=True):
            row = np.zeros(n_columns, int)
            row[start[drum & (notes["pitch"] == key)]] = _STROKES
            text = _row(np.zeros(n_columns, int), row, closing, marks, colour, marks.stroke)
            yield _faint(f"{label[:margin]:>{margin}}{marks.line}", colour) + text
        if nats is not None:
            begins = sequence.notes["onset"][here] >= page.edges[first]
            yield _faint(f"{'nats':>{margin}}{marks.line}", colour) + _levels(
                nats[here][begins], start[begins], n_columns, top, marks.levels
            )


def _codes(sequence: NoteSequence, n_voices: int) -> np.ndarray:
    """The foreground colour of each voice, shape (n_voices,)."""
    programs = sequence.part_programs
    drum = programs == DRUMS if len(programs) == n_voices else np.zeros(n_voices, bool)
    codes = np.full(n_voices, _STROKES)
    codes[~drum] = np.resize(np.array(_VOICES), np.count_nonzero(~drum))
    return codes


def _page(sequence: NoteSequence, width: int) -> _Page:
    """Lay out the time of a piece in systems of `width` columns."""
    edges = page_units(sequence)
    if sequence.grid.steps_per_beat is not None:
        beat = float(sequence.grid.steps_per_beat)
        at = sequence.notes["onset"] / beat
        rate = next((n for n in _BEAT_COLUMNS if _apart(at * n) >= _APART), _BEAT_COLUMNS[0]) / beat
        names = [str(1 + bar) for bar in range(len(edges) - 1)]
    else:
        assert sequence.grid.steps_per_second is not None
        second = float(sequence.grid.steps_per_second)
        rate = _SECOND_COLUMNS / second
        names = [clock(math.floor(edge / second)) for edge in edges[:-1]]
    lengths = np.diff(edges)
    while round(int(lengths.max()) * rate) + 1 > width:
        rate /= 2
    columns = np.maximum(1, np.round(lengths * rate)).astype(int)
    systems, first, used = [], 0, 0
    for bar, wide in enumerate((columns + 1).tolist()):
        if used + wide > width:
            systems.append((first, bar))
            first, used = bar, 0
        used += wide
    return _Page(edges, columns, names, [*systems, (first, len(columns))])


def _apart(at: np.ndarray) -> float:
    """The share of onsets (in columns, fractions included) that fall near enough to a whole column."""
    return float((np.abs(at - np.round(at)) < 0.1).mean()) if len(at) else 1.0


def _columns(notes: np.ndarray, page: _Page, first: int, last: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The notes that sound in the bars [first, last), where they begin, and one past the column where they end."""
    edges = page.edges[first : last + 1]
    ends = notes["onset"] + notes["duration"]
    here = np.flatnonzero((notes["onset"] < edges[-1]) & (ends > edges[0]))
    left = np.append(0, np.cumsum(page.columns[first:last] + 1))  # of each bar
    columns, lengths = page.columns[first:last], np.diff(edges)

    onset = np.maximum(notes["onset"][here], edges[0])
    bar = np.searchsorted(edges, onset, side="right") - 1
    start = left[bar] + np.minimum(columns[bar] - 1, (onset - edges[bar]) * columns[bar] // lengths[bar])
    end = np.minimum(ends[here], edges[-1])
    bar = np.searchsorted(edges, end, side="left") - 1
    until = left[bar] - (-(end - edges[bar]) * columns[bar] // lengths[bar])
    until = np.where(ends[here] > edges[-1], left[-1], np.maximum(until, start + 1))
    return here, start, until


def _set_off(notes: np.ndarray, start: np.ndarray, end: np.ndarray) -> list[int]:
    """Where notes end that leave a column before the next one on their pitch."""
    end = end.copy()
    order = np.lexsort((start, notes["pitch"]))
    now, then = order[:-1], order[1:]
    touch = (notes["pitch"][now] == notes["pitch"][then]) & (end[now] >= start[then]) & (start[then] > start[now] + 1)
    end[now[touch]] = start[then[touch]] - 1
    return end.tolist()


def _span(notes: np.ndarray) -> tuple[int, int]:
    """The pitches shown, drums apart: an even one and an odd one, an octave at least; (0, 0) where only drums play."""
    pitches = notes["pitch"][notes["program"] != DRUMS].astype(int)
    if len(pitches) == 0:
        return (0, 0) if len(notes) else (60, 71)
    low, high = int(pitches.min()) // 2 * 2, int(pitches.max()) // 2 * 2 + 1
    missing = max(0, _LEAST_SPAN - (high - low + 1)) // 2
    low, high = low - missing // 2 * 2, high + (missing + 1) // 2 * 2
    shift = max(0, -low) - max(0, high - 127)
    return low + shift, high + shift


def _row(
    upper: np.ndarray, lower: np.ndarray, closing: np.ndarray, marks: _Marks, colour: bool, below: str | None = None
) -> str:
    """Two rows of cells (0, or the colour of what sounds) as one of characters; bar lines where nothing sounds."""
    is_line = np.zeros(len(upper), bool)
    is_line[closing] = True
    cells = zip(upper.tolist(), lower.tolist(), is_line.tolist(), strict=True)
    text = []
    for (above, under, line), run in itertools.groupby(cells):
        length = len(list(run))
        if above and under:
            shown, code = (marks.both, f"{above}") if above == under else (marks.upper, f"{above};{under + 10}")
            if not colour:
                shown = marks.both
        elif above or under:
            shown, code = (marks.upper if above else below or marks.lower), f"{above or under}"
        else:
            shown, code = (marks.line, "2") if line else (" ", "")
        text.append(f"\x1b[{code}m{shown * length}{_RESET}" if colour and code else shown * length)
    return "".join(text) if colour else "".join(text).rstrip()


def _numbers(page: _Page, first: int, last: int) -> str:
    """The names of bars above where they begin, those that fit."""
    text, at = "", 0
    for bar in range(first, last):
        name = page.names[bar]
        if (not text or len(text) < at) and len(name) <= page.columns[bar] + 1 or bar == first:
            text = text.ljust(at) + name
        at += int(page.columns[bar]) + 1
    return text


def _levels(nats: np.ndarray, column: np.ndarray, n_columns: int, top: float, levels: str) -> str:
    """The greatest surprise of each column as a character, nothing where no note begins."""
    most = np.full(n_columns, -1.0)
    np.maximum.at(most, column, nats)
    at = np.clip(most / top * len(levels), 0, len(levels) - 1).astype(int)
    return "".join(levels[i] if some >= 0 else " " for i, some in zip(at, most, strict=True)).rstrip()


def _wrapped(entries: Sequence[str], width: int, between: str) -> Iterator[str]:
    """Entries in lines no wider than `width`."""
    row = ""
    for entry in entries:
        if row and len(row) + len(between) + len(entry) > width:
            yield row
            row = ""
        row += (between if row else "") + entry
    if row:
        yield row[:width]


def _painted_legend(row: str, entries: Sequence[str], codes: np.ndarray, square: str) -> str:
    """A line of the legend with each square in its voice's colour."""
    for entry, code in zip(entries, codes.tolist(), strict=True):
        row = row.replace(entry, f"\x1b[{code}m{square}{_RESET}{entry[len(square) :]}", 1)
    return row


def _faint(text: str, colour: bool) -> str:
    return f"{_FAINT}{text}{_RESET}" if colour and text.strip() else text
