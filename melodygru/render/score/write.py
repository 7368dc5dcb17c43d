"""Sheet music: a note sequence as MusicXML, and as a picture of its pages (SVG) through verovio.

Conventions
-----------
Nothing of the music is rounded: reading the MusicXML back, with ties joined, gives every note's onset, duration, pitch
and program again. What is chosen here is how the notes are written:

- A **part** is a program. A part that is wide and in chords has two **staves**; a staff has up to four **voices**:
  notes of one onset and duration are a chord of one voice; of notes that overlap otherwise, the highest is in voice
  1, the lowest in voice 2, what lies between in voices 3 and 4. A staff that is in two lines most of the time keeps
  them apart throughout, and their rests are printed; elsewhere rests of a bar's first voice alone are, save where
  an inner voice, or at the bar's end any other, sounds through them. Where four voices are too few, notes of one
  voice are cut where the others begin and end, and tied.
- **Bars** are as long as their metre says; one that a change of metre interrupts is shorter. A change that falls
  where no binary fraction of a quarter note does waits for the bar line. Bars after the last note are left out.
- **Values** have at most one dot. What a value would hide (a beat inside a syncopation, the middle of the bar) cuts
  it into tied ones. A window of time that is halved from the bar down, and whose notes fall on no binary fraction of a
  quarter note, is a tuplet: `n` in the time of the next smaller power of two.
- **Spelling** takes twelve neighbours on the line of fifths around the key signature, E flat to G sharp in C.

MusicXML 4.0, score-partwise: https://www.w3.org/2021/06/musicxml40/
"""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from melodygru.errors import SettingError
from melodygru.music.keys import key_signature
from melodygru.music.names import DRUM_NAMES, program_name
from melodygru.music.notes import DRUMS, Grid, NoteSequence
from melodygru.util.atomic import atomic_write
from melodygru.util.stderr import diverted

SUFFIXES = (".svg", ".musicxml", ".xml")
FINEST = 48  # steps per beat
MOST_BARS = 10_000
LOWEST = 12  # pitch: MusicXML's octaves begin at C0
N_VOICES = 4  # of a staff

_PAGE_WIDTH = 2100  # tenths of a millimetre, as A4
_PAGE_HEIGHT = 60_000  # likewise; verovio's limit

_TYPES = {  # quarter notes: MusicXML's name
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
_VALUES = {length * (2 - Fraction(1, 2**dots)): (name, dots) for length, name in _TYPES.items() for dots in (0, 1)}
_FLAGS = {name: at for at, name in enumerate(list(_TYPES.values())[4:], start=1)}  # an eighth has one

_LOW_PROGRAMS = (*range(32, 40), 42, 43, 57, 58, 67, 70)  # basses, cello, trombone and so on: read in the bass clef

_DYNAMICS = {"ppp": 16, "pp": 33, "p": 49, "mp": 64, "mf": 80, "f": 96, "ff": 112, "fff": 126}  # velocities
_LEAST_VARIATION = 10  # of the bars' mean velocities, from which dynamics are written

# General MIDI percussion: the line or space of each key, as in Weinberg's guidelines; an x is a cymbal's notehead.
_DRUM_PLACES: dict[int, str] = {
    35: "E4", 36: "F4", 37: "C5x", 38: "C5", 39: "C5x", 40: "C5", 41: "G4", 42: "G5x", 43: "A4", 44: "D4x", 45: "B4",
    46: "G5x", 47: "D5", 48: "E5", 49: "A5x", 50: "F5", 51: "F5x", 52: "B5x", 53: "F5x", 54: "B4x", 55: "A5x",
    56: "E5x", 57: "B5x", 59: "F5x",
}  # fmt: skip
_ELSEWHERE = "B4"


def to_musicxml(sequence: NoteSequence, *, title: str | None = None) -> bytes:
    """A piece as a MusicXML 4.0 document.

    Parameters
    ----------
    sequence : NoteSequence
        On a metrical grid of at most 48 steps per beat.
    title : str, optional

    Returns
    -------
    bytes
        UTF-8; the same piece gives the same bytes.

    Raises
    ------
    SettingError
        The grid is one of seconds or too fine, or something can't be written: a pitch below C0, a metre over
        anything but 1, 2, 4 .. 64, more than 10,000 bars.
    """
    return _document(sequence, title)


def _document(sequence: NoteSequence, title: str | None, *, tempo_in_words: bool = False) -> bytes:
    """The MusicXML; a tempo in words is a metronome mark without a font of its own, which few viewers of SVG load."""
    check_grid(sequence.grid)
    low = sequence.notes["pitch"][sequence.notes["program"] != DRUMS].min(initial=LOWEST)
    if low < LOWEST:
        raise SettingError(f"pitch {low}: a score begins at pitch {LOWEST} (C0); transpose the piece")
    quarter, step = _units(sequence.grid)
    bars = _bars(sequence, quarter, step)
    signature = key_signature(sequence)
    fifths = 0 if signature is None else (7 * signature + 5) % 12 - 5
    parts = [_part(sequence, program, bars, quarter, step) for program in sequence.programs or [0]]
    lengths = [event.length for part in parts for staff in part.staves for voices in staff.bars for event in voices]
    common = math.gcd(quarter, *lengths, *(bar.length for bar in bars))

    root = ET.Element("score-partwise", version="4.0")
    if title:
        ET.SubElement(ET.SubElement(root, "work"), "work-title").text = _printable(title)
    encoding = ET.SubElement(ET.SubElement(root, "identification"), "encoding")
    ET.SubElement(encoding, "software").text = "melodygru"
    part_list = ET.SubElement(root, "part-list")
    for at, part in enumerate(parts):
        _write_instrument(part_list, part, at)
    marks: dict[str, Any] = {"tempo": _tempo_marks(sequence, bars, step), "in_words": tempo_in_words}
    for at, part in enumerate(parts):
        marks["dynamics"] = _dynamic_marks(sequence, part.program, bars, step)
        _write_part(ET.SubElement(root, "part", id=f"P{at + 1}"), part, bars, quarter, common, fifths, marks)
        marks["tempo"] = {}  # above the first part alone
    ET.indent(root, " ")
    doctype = (
        '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE score-partwise PUBLIC "-//Recordare//DTD MusicXML 4.0 '
        'Partwise//EN" "http://www.musicxml.org/dtds/partwise.dtd">\n'
    )
    return doctype.encode() + ET.tostring(root, "utf-8") + b"\n"


def to_svg(sequence: NoteSequence, *, title: str | None = None) -> bytes:
    """A piece as one SVG picture, as wide as a sheet of A4 and as high as the music needs.

    Parameters, and what else is raised, as for `to_musicxml`.

    Raises
    ------
    SettingError
        verovio is missing.
    """
    verovio = _verovio()
    document = _document(sequence, title, tempo_in_words=True).decode()
    options = {
        "pageWidth": _PAGE_WIDTH,
        "pageHeight": _PAGE_HEIGHT,
        "pageMarginLeft": 150,  # a wider font than verovio reckons with leaves the parts' names whole
        "adjustPageHeight": True,
        "breaks": "auto",
        "scale": 50,
        "footer": "none",
        "header": "auto" if title else "none",
        "svgViewBox": True,
        "xmlIdSeed": 1,  # else its ids are random
    }
    with diverted():  # it reports on standard error what it makes of the document
        toolkit = verovio.toolkit()
        toolkit.setOptions(options)
        if not toolkit.loadData(document):
            raise SettingError("verovio cannot read the score; write it as .musicxml instead, and open that elsewhere")
        pages = [toolkit.renderToSVG(number + 1) for number in range(toolkit.getPageCount())]
    return _stack(pages)


def write(sequence: NoteSequence, path: str | Path, *, title: str | None = None) -> None:
    """Write a piece as a score.

    Parameters
    ----------
    sequence : NoteSequence
        On a metrical grid.
    path : str or Path
        Ends in .svg (a picture; needs verovio), .musicxml or .xml (MusicXML); the file appears whole or not at all.
    title : str, optional

    Raises
    ------
    SettingError
        Another suffix, verovio is missing, the piece can't be written as a score, or the file can't be written.
    """
    path = Path(path)
    check_path(path)
    data = (to_svg if path.suffix.lower() == ".svg" else to_musicxml)(sequence, title=title)
    with atomic_write(path, SettingError) as aside:
        aside.write_bytes(data)


def check_path(path: Path) -> None:
    """Refuse, before any work, a name that `write` can't write to: `SettingError`."""
    if path.suffix.lower() not in SUFFIXES:
        raise SettingError(f"score {path.name}: expected a name that ends in .svg, .musicxml or .xml")
    if path.suffix.lower() == ".svg":
        _verovio()


def check_grid(grid: Grid) -> None:
    """Refuse a grid without bars, or one too fine to print: `SettingError`."""
    if grid.steps_per_beat is None:
        raise SettingError(
            f"a score needs beats and bars, and this music has none: it is in seconds ({grid.describe()})"
        )
    if grid.steps_per_beat.numerator > FINEST:
        raise SettingError(
            f"{grid.describe()}: a score has at most {FINEST}; put the piece on a coarser grid (notes.quantize)"
        )


def _verovio() -> Any:
    """The package, or what to install."""
    try:
        import verovio
    except ImportError as error:
        raise SettingError(
            'a score as .svg needs verovio: pip install "melodygru[score]"; .musicxml is written without it'
        ) from error
    return verovio


def _stack(pages: Sequence[str]) -> bytes:
    """Pages beneath each other as one picture."""
    if len(pages) == 1:
        return pages[0].encode()
    roots = [ET.fromstring(page) for page in pages]
    boxes = [[float(value) for value in root.attrib["viewBox"].split()] for root in roots]
    width, height = max(box[2] for box in boxes), sum(box[3] for box in boxes)
    ET.register_namespace("", "http://www.w3.org/2000/svg")
    ET.register_namespace("xlink", "http://www.w3.org/1999/xlink")
    whole = ET.Element("{http://www.w3.org/2000/svg}svg", viewBox=f"0 0 {width:g} {height:g}", version="1.1")
    top = 0.0
    for root, box in zip(roots, boxes, strict=True):
        root.attrib.update(x="0", y=f"{top:g}", width=f"{box[2]:g}", height=f"{box[3]:g}")
        whole.append(root)
        top += box[3]
    return ET.tostring(whole, "utf-8")


def _printable(text: str) -> str:
    """Text without what XML can't hold."""
    return "".join(c if c.isprintable() else " " for c in text)


# ---- time -----------------------------------------------------------------------------------------------------


def _units(grid: Grid) -> tuple[int, int]:
    """Units in a quarter note and in a step: small enough that steps and 256th notes are whole numbers of them."""
    assert grid.steps_per_beat is not None
    quarter = math.lcm(grid.steps_per_beat.numerator, 64)
    return quarter, int(quarter / grid.steps_per_beat)


@dataclass(frozen=True)
class _Bar:
    """A bar; times in units."""

    start: int
    length: int
    metre: tuple[int, int]
    changes: bool  # whether its metre is written

    @property
    def end(self) -> int:
        return self.start + self.length


def _bars(sequence: NoteSequence, quarter: int, step: int) -> list[_Bar]:
    """Bars up to the end of the last note, one at least."""
    notes = sequence.notes
    end = max(1, int((notes["onset"] + notes["duration"]).max(initial=0)) * step)
    marks = [(int(m["step"]) * step, (int(m["numerator"]), int(m["denominator"]))) for m in sequence.metres]
    for _, (numerator, denominator) in marks:
        if numerator < 1 or denominator not in (1, 2, 4, 8, 16, 32, 64):
            raise SettingError(f"metre {numerator}/{denominator}: expected 1 or more over 1, 2, 4, 8, 16, 32 or 64")
    bars: list[_Bar] = []
    start, written, at = 0, None, 0
    while start < end:
        if len(bars) == MOST_BARS:
            raise SettingError(f"more than {MOST_BARS:,} bars: a score of that length can't be read; crop the piece")
        while at + 1 < len(marks) and marks[at + 1][0] <= start:
            at += 1
        metre = marks[at][1]
        length = quarter * 4 * metre[0] // metre[1]
        if at + 1 < len(marks) and marks[at + 1][0] < start + length:
            until = marks[at + 1][0] - start
            length = until if _is_binary(until, quarter) else length
        bars.append(_Bar(start, length, metre, metre != written))
        written = metre
        start += length
    return bars


def _is_binary(time: int, quarter: int) -> bool:
    """Whether a time is a multiple of some 2**-k of a quarter note."""
    denominator = quarter // math.gcd(time, quarter)
    return denominator & (denominator - 1) == 0


class _Metre:
    """The strength of every place of a bar: level 0 is its start, then its middle, groups, units, their halves ..."""

    def __init__(self, bar: _Bar, quarter: int) -> None:
        numerator, denominator = bar.metre
        self.quarter, self.length = quarter, bar.length
        self.unit = quarter * 4 // denominator
        self.is_compound = denominator >= 8 and numerator % 3 == 0
        if self.is_compound:
            sizes = [3] * (numerator // 3)
        elif denominator >= 8 and numerator > 1:
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

    def level(self, place: int) -> int:
        """The level of a place, 0 the strongest."""
        for at, edges in enumerate(self.levels):
            if place in edges:
                return at
        at, grain = len(self.levels), self.unit
        while grain % 2 == 0 and place % (grain // 2):
            at, grain = at + 1, grain // 2
        return at

    def strongest(self, start: int, end: int) -> tuple[int, list[int]]:
        """The lowest level with places strictly between, and those places; none where nothing lies between."""
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

    def group_of(self, place: int) -> int:
        """The number of the group in which a place lies."""
        return bisect_right(self.groups, place) - 1

    def inside(self, start: int, end: int) -> list[int]:
        """Where a window is divided: at the strongest places inside."""
        return self.strongest(start, end)[1]


def _value(length: int, quarter: int) -> tuple[str, int] | None:
    """The name and dots of a length, None where no single value has it."""
    return _VALUES.get(Fraction(length, quarter))


def _note_fits(metre: _Metre, start: int, end: int) -> bool:
    """Whether one value may cover [start, end) of a bar: it exists, and hides nothing that a reader needs to see."""
    value = _value(end - start, metre.quarter)
    if value is None:
        return False
    hidden, places = metre.strongest(start, end)
    if not places:
        return True
    first, last = metre.level(start), metre.level(end)
    if metre.is_compound and hidden <= metre.group_level:
        return max(first, last) <= metre.group_level
    if min(first, last) <= hidden:
        return True
    return not value[1] and min(first, last) == hidden + 1 and len(places) == 1  # a syncopation over one beat


def _rest_fits(metre: _Metre, start: int, end: int) -> bool:
    """Whether one rest may cover [start, end) of a bar: rests show the beats more strictly than notes do."""
    length = end - start
    value = _value(length, metre.quarter)
    if value is None:
        return False
    hidden, places = metre.strongest(start, end)
    if not places:
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
class _Tuplet:
    """A window of a bar in which `actual` notes stand in the time of `normal`."""

    start: int
    end: int
    actual: int
    normal: int


def _tuplets(metre: _Metre, places: set[int]) -> list[_Tuplet]:
    """The windows of a bar that need a tuplet, for notes and rests that begin and end at `places`."""
    quarter = metre.quarter
    beat = max(quarter, metre.unit)

    def search(start: int, end: int) -> Iterator[_Tuplet]:
        inside = [place - start for place in places if start < place < end]
        if all(_is_binary(place + start, quarter) for place in inside):
            return
        length = end - start
        parts = metre.inside(start, end)
        if _value(length, quarter) in [(name, 0) for name in _TYPES.values()]:
            n = length // math.gcd(length, *inside)
            odd = n
            while odd % 2 == 0:
                odd //= 2
            if n == 3 or (length <= beat and not places.intersection(parts)):
                yield _Tuplet(start, end, odd, 1 << (odd.bit_length() - 1))
                return
        for a, b in zip([start, *parts], [*parts, end], strict=True):
            yield from search(a, b)

    return list(search(0, metre.length))


def _cut(metre: _Metre, start: int, end: int, fits: Any) -> list[int]:
    """Where [start, end), outside tuplets, is cut into values: the starts of the pieces."""
    if fits(metre, start, end):
        return [start]
    _, places = metre.strongest(start, end)
    if not places:
        raise SettingError("a note shorter than any value that a score has: put the piece on a coarser grid")
    at = next((place for place in reversed(places) if fits(metre, start, place)), places[0])
    return _cut(metre, start, at, fits) + _cut(metre, at, end, fits)


def _cut_in_tuplet(tuplet: _Tuplet, start: int, end: int, quarter: int) -> list[int]:
    """Likewise inside a tuplet."""
    if _tuplet_value(tuplet, end - start, quarter) is not None:
        return [start]
    grain = Fraction(tuplet.end - tuplet.start, tuplet.actual)
    while grain >= 1:
        first = tuplet.start + (math.floor((start - tuplet.start) / grain) + 1) * grain
        places = [int(first + at * grain) for at in range(math.ceil((end - first) / grain))]
        if places:
            fitting = (at for at in reversed(places) if _tuplet_value(tuplet, at - start, quarter) is not None)
            at = next(fitting, places[0])
            return [
                *_cut_in_tuplet(tuplet, start, at, quarter),
                *_cut_in_tuplet(tuplet, at, end, quarter),
            ]
        grain /= 2
    raise SettingError("a note shorter than any value that a score has: put the piece on a coarser grid")


def _tuplet_value(tuplet: _Tuplet, length: int, quarter: int) -> tuple[str, int] | None:
    """The written value of a length inside a tuplet."""
    return _VALUES.get(Fraction(length * tuplet.actual, tuplet.normal * quarter))


# ---- parts, staves, voices ------------------------------------------------------------------------------------


@dataclass
class _Note:
    """A note of the piece; times in units."""

    onset: int
    end: int
    pitch: int
    staff: int = 0
    voice: int = 0


@dataclass
class _Event:
    """A value that is written: a note, a chord, or a rest. `start` counts from the bar's start."""

    start: int
    length: int
    notes: list[_Note]
    value: tuple[str, int]
    voice: int
    tuplet: _Tuplet | None = None
    whole_bar: bool = False
    beams: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Staff:
    """A staff: its clef (sign, line, octaves), and for each bar the events of its voices, voice by voice."""

    clef: tuple[str, int, int]
    two_lines: bool
    bars: list[list[_Event]]


@dataclass(frozen=True)
class _Part:
    """A program's staves."""

    program: int
    pitches: list[int]  # that occur, ascending
    staves: list[_Staff]


def _part(sequence: NoteSequence, program: int, bars: list[_Bar], quarter: int, step: int) -> _Part:
    """How the notes of a program are written."""
    found = sequence.notes[sequence.notes["program"] == program]
    notes = [
        _Note(onset * step, (onset + duration) * step, pitch)
        for onset, duration, pitch in zip(
            found["onset"].tolist(), found["duration"].tolist(), found["pitch"].tolist(), strict=True
        )
    ]
    n_staves = 2 if program != DRUMS and _is_wide(notes, program) else 1
    if n_staves == 2:
        _choose_staves(notes)
    staves = []
    for at in range(n_staves):
        inside = [note for note in notes if note.staff == at]
        two_lines = _choose_voices(inside)
        clef = _clef([note.pitch for note in inside], program) if n_staves == 1 else (("G", 2, 0), ("F", 4, 0))[at]
        staves.append(_Staff(clef, two_lines, _staff_bars(inside, bars, quarter)))
    return _Part(program, sorted({note.pitch for note in notes}), staves)


def _clef(pitches: list[int], program: int) -> tuple[str, int, int]:
    """Sign, line and octaves for a single staff."""
    if program == DRUMS:
        return "percussion", 2, 0
    middle = float(np.median(pitches)) if pitches else 60.0
    if middle >= (67 if program in _LOW_PROGRAMS else 58):
        return "G", 2, int(middle > 88)
    return "F", 4, -int(middle < 33)


def _polyphony(notes: Sequence[_Note]) -> dict[int, int]:
    """For how long (units) how many notes sound at once."""
    changes = sorted([(note.onset, 1) for note in notes] + [(note.end, -1) for note in notes])
    share: dict[int, int] = {}
    sounding, since = 0, 0
    for place, change in changes:
        if place > since and sounding:
            share[sounding] = share.get(sounding, 0) + place - since
        sounding, since = sounding + change, place
    return share


def _is_wide(notes: Sequence[_Note], program: int) -> bool:
    """Whether a part needs two staves: it reaches below the one clef and above the other, in chords or on keys."""
    pitches = np.array([note.pitch for note in notes] or [60])
    share = _polyphony(notes)
    together, in_chords = (
        sum(length for n, length in share.items() if n > least) / max(1, sum(share.values())) for least in (1, 2)
    )
    has_keys = program < 24 or program == 46  # pianos, mallets, organs; the harp
    if np.mean(pitches < 55) >= 0.05 and np.mean(pitches > 64) >= 0.05:
        return has_keys or together > 0.15
    return has_keys and in_chords > 0.5 and np.ptp(pitches) >= 24  # a tune over chords around middle C


def _split_pitch(notes: Sequence[_Note]) -> int:
    """The pitch from 55 to 65 that best divides high from low notes, by the time they sound (Otsu's criterion)."""
    pitches = np.array([note.pitch for note in notes])
    lengths = np.array([note.end - note.onset for note in notes], float)

    def apart(split: int) -> float:
        low, high = pitches < split, pitches >= split
        if not low.any() or not high.any():
            return 0.0
        means = [np.average(pitches[side], weights=lengths[side]) for side in (low, high)]
        return float(lengths[low].sum() * lengths[high].sum() * (means[1] - means[0]) ** 2)

    return max(sorted(range(55, 66), key=lambda split: abs(split - 60)), key=apart)


def _is_four_lines(notes: Sequence[_Note]) -> bool:
    """Whether a part is in four lines, as a chorale is, and no melody over close chords, which one hand plays."""
    share = _polyphony(notes)
    if max(share) != 4 or share[4] <= 0.5 * sum(share.values()):
        return False
    spans: list[int] = []
    sounding: list[_Note] = []
    for note in notes:
        sounding = [other for other in sounding if other.end > note.onset] + [note]
        if len(sounding) == 4:
            low, _, third, _ = sorted(other.pitch for other in sounding)
            spans.append(third - low)
    return float(np.mean(spans)) > 12


def _choose_staves(notes: Sequence[_Note]) -> None:
    """Upper (0) or lower (1) staff for each note: by a pitch near middle C, two lines each where there are four."""
    split = _split_pitch(notes)
    four_lines = _is_four_lines(notes)
    last: list[float | None] = [None, None]  # the mean pitch of what each staff had last
    held: list[_Note] = []
    at = 0
    while at < len(notes):
        onset = notes[at].onset
        end = at
        while end < len(notes) and notes[end].onset == onset:
            end += 1
        new = sorted(notes[at:end], key=lambda note: note.pitch)
        held = [note for note in held if note.end > onset]
        best, chosen = math.inf, 0
        for n_lower in range(len(new) + 1):
            lower = [note.pitch for note in new[:n_lower]]
            upper = [note.pitch for note in new[n_lower:]]
            cost = 1.0 * sum(max(0, split - p) for p in upper) + sum(max(0, p - split + 1) for p in lower)
            for pitches, before in ((upper, last[0]), (lower, last[1])):
                if pitches:
                    cost += 2 * max(0, max(pitches) - min(pitches) - 14)
                    cost += 0.3 * abs(sum(pitches) / len(pitches) - before) if before is not None else 0
            for note in held:  # the hands do not cross
                cost += sum(3 for p in lower if note.staff == 0 and p > note.pitch)
                cost += sum(3 for p in upper if note.staff == 1 and p < note.pitch)
            if four_lines:
                n_upper = len(upper) + sum(note.staff == 0 for note in held)
                all_lower = len(lower) + sum(note.staff == 1 for note in held)
                cost += 12 * (max(0, n_upper - 2) + max(0, all_lower - 2))
            if cost < best:
                best, chosen = cost, n_lower
        for rank, note in enumerate(new):
            note.staff = int(rank < chosen)
        for staff, pitches in enumerate(([n.pitch for n in new[chosen:]], [n.pitch for n in new[:chosen]])):
            if pitches:
                last[staff] = sum(pitches) / len(pitches)
        held += new
        at = end


_INSTEAD = ((0, 2, 3, 1), (1, 3, 2, 0), (2, 3, 1, 0))  # the wanted voice, then the others as they come into question


def _choose_voices(notes: Sequence[_Note]) -> bool:
    """Voices 0..3 for the notes of a staff, ordered by onset; tells whether they are two lines."""
    share = _polyphony(notes)
    more = sum(length for n, length in share.items() if n > 2)
    two_lines = share.get(2, 0) > 0.5 * sum(share.values()) and more <= 0.1 * sum(share.values())
    chords: dict[tuple[int, ...], list[_Note]] = {}
    for rank, note in enumerate(notes):
        chords.setdefault((note.onset, -note.pitch, rank) if two_lines else (note.onset, note.end), []).append(note)
    groups = sorted(chords.values(), key=lambda chord: (chord[0].onset, -max(note.pitch for note in chord)))
    above, below = _neighbours(groups)
    free = [0] * N_VOICES  # when each voice's last note ends
    line: list[int | None] = [None, None]  # the pitch that each of two lines had last
    for at, chord in enumerate(groups):
        onset, end = chord[0].onset, chord[0].end
        wanted = (2 if below[at] else 1) if above[at] else 0
        if two_lines and not above[at] and not below[at] and line[0] is not None and line[1] is not None:
            wanted = int(abs(chord[0].pitch - line[1]) < abs(chord[0].pitch - line[0]))
        voice = next((voice for voice in _INSTEAD[wanted] if free[voice] <= onset), wanted)
        free[voice] = max(free[voice], end)
        if voice < 2:
            line[voice] = chord[0].pitch
        for note in chord:
            note.voice = voice
    return two_lines


def _neighbours(chords: Sequence[Sequence[_Note]]) -> tuple[list[bool], list[bool]]:
    """Whether a chord, ordered by onset, overlaps with one that lies above it; with one that lies below it."""
    above, below = [False] * len(chords), [False] * len(chords)
    sounding: list[int] = []
    means = [sum(note.pitch for note in chord) / len(chord) for chord in chords]
    for at, chord in enumerate(chords):
        sounding = [other for other in sounding if chords[other][0].end > chord[0].onset]
        for other in sounding:
            low, high = (at, other) if (means[at], -at) < (means[other], -other) else (other, at)
            above[low] = below[high] = True
        sounding.append(at)
    return above, below


def _staff_bars(notes: Sequence[_Note], bars: list[_Bar], quarter: int) -> list[list[_Event]]:
    """The events of a staff, bar by bar, voice by voice."""
    inside: list[list[_Note]] = [[] for _ in bars]
    starts = [bar.start for bar in bars]
    for note in notes:
        for at in range(bisect_right(starts, note.onset) - 1, bisect_right(starts, note.end - 1)):
            inside[at].append(note)
    metres: dict[tuple[int, tuple[int, int]], _Metre] = {}
    events = []
    for bar, sounding in zip(bars, inside, strict=True):
        metre = metres.setdefault((bar.length, bar.metre), _Metre(bar, quarter))
        voices = sorted({note.voice for note in sounding})
        if voices:
            found = [_voice_bar([n for n in sounding if n.voice == voice], bar, metre, voice) for voice in voices]
            events.append([event for voice in found for event in voice])
        else:
            events.append([_Event(0, bar.length, [], ("whole", 0), 0, whole_bar=True)])
    return events


def _voice_bar(notes: Sequence[_Note], bar: _Bar, metre: _Metre, voice: int) -> list[_Event]:
    """The events of one voice in one bar: they fill it."""
    clipped = [(max(0, n.onset - bar.start), min(bar.length, n.end - bar.start), n) for n in notes]
    places = {0, bar.length} | {place for start, end, _ in clipped for place in (start, end)}
    tuplets = _tuplets(metre, places)
    edges = sorted(places | {edge for t in tuplets for edge in (t.start, t.end)})  # no value crosses a bracket's end
    events: list[_Event] = []
    spans: list[tuple[int, int, list[_Note], _Tuplet | None]] = []
    for start, end in zip(edges[:-1], edges[1:], strict=True):
        sounding = [note for a, b, note in clipped if a <= start and b >= end]
        tuplet = next((t for t in tuplets if t.start <= start < t.end), None)
        spans.append((start, end, sounding, tuplet))
    for start, end, sounding, tuplet in spans:
        if tuplet is None:
            starts = _cut(metre, start, end, _note_fits if sounding else _rest_fits)
        else:
            starts = _cut_in_tuplet(tuplet, start, end, metre.quarter)
        for a, b in zip(starts, [*starts[1:], end], strict=True):
            value = _tuplet_value(tuplet, b - a, metre.quarter) if tuplet else _value(b - a, metre.quarter)
            assert value is not None
            events.append(_Event(a, b - a, sorted(sounding, key=lambda n: n.pitch), value, voice, tuplet))
    _beam(events, metre)
    return events


def _beam(events: list[_Event], metre: _Metre) -> None:
    """Join the flags of neighbouring notes of one group."""
    run: list[_Event] = []
    for event in [*events, None]:
        flagged = event is not None and bool(event.notes) and event.value[0] in _FLAGS
        if run and not (flagged and event is not None and metre.group_of(event.start) == metre.group_of(run[0].start)):
            _beam_run(run, metre)
            run = []
        if flagged and event is not None:
            run.append(event)


def _beam_run(run: Sequence[_Event], metre: _Metre) -> None:
    """The beams of notes that hang together, level by level; a beam of one note is a hook."""
    if len(run) < 2:
        return
    flags = [_FLAGS[event.value[0]] for event in run]
    for level in range(1, max(flags) + 1):
        has = [n >= level for n in flags]
        for at, event in enumerate(run):
            if not has[at]:
                continue
            before = at > 0 and has[at - 1]
            after = at + 1 < len(run) and has[at + 1]
            if before and after:
                event.beams.append("continue")
            elif before or after:
                event.beams.append("end" if before else "begin")
            else:
                weak = metre.level(event.start) > metre.level(event.start + event.length)
                backward = at == len(run) - 1 or (at > 0 and weak)
                event.beams.append("backward hook" if backward else "forward hook")


# ---- marks ----------------------------------------------------------------------------------------------------


def _tempo_marks(sequence: NoteSequence, bars: list[_Bar], step: int) -> dict[int, float]:
    """Bar number: quarter notes per minute, at the first bar and where it differs by a twentieth from the last one."""
    marks: dict[int, float] = {}
    steps = sequence.tempos["step"] * step
    qpm = 60e6 / sequence.tempos["tempo"]
    for number, bar in enumerate(bars):
        now = float(qpm[np.searchsorted(steps, bar.start, side="right") - 1])
        if not marks or abs(now / list(marks.values())[-1] - 1) >= 0.05:
            marks[number] = now
    return marks


def _dynamic_marks(sequence: NoteSequence, program: int, bars: list[_Bar], step: int) -> dict[int, str]:
    """Bar number: dynamic, where it changes; none where the bars' mean velocities hardly differ."""
    notes = sequence.notes[sequence.notes["program"] == program]
    number = np.searchsorted([bar.start for bar in bars], notes["onset"] * step, side="right") - 1
    total = np.bincount(number, weights=notes["velocity"], minlength=len(bars))
    count = np.bincount(number, minlength=len(bars))
    means = {at: total[at] / count[at] for at in np.flatnonzero(count).tolist()}
    if not means or max(means.values()) - min(means.values()) < _LEAST_VARIATION:
        return {}
    marks: dict[int, str] = {}
    current: str | None = None
    for at, mean in means.items():
        nearest = min(_DYNAMICS, key=lambda name: abs(_DYNAMICS[name] - mean))
        nearer = 0 if current is None else abs(_DYNAMICS[current] - mean) - abs(_DYNAMICS[nearest] - mean)
        if current is None or nearer > 6:  # clearly nearer, or every other bar would have a mark
            marks[at] = current = nearest
    return marks


# ---- MusicXML -------------------------------------------------------------------------------------------------


def _write_instrument(part_list: ET.Element, part: _Part, at: int) -> None:
    """A part's entry in the list of parts: its name and, for players, its program."""
    name = f"P{at + 1}"
    entry = ET.SubElement(part_list, "score-part", id=name)
    ET.SubElement(entry, "part-name").text = program_name(part.program)
    if part.program != DRUMS:
        instrument = ET.SubElement(entry, "score-instrument", id=f"{name}-I1")
        ET.SubElement(instrument, "instrument-name").text = program_name(part.program)
        midi = ET.SubElement(entry, "midi-instrument", id=f"{name}-I1")
        ET.SubElement(midi, "midi-channel").text = str((at % 15) + 1 + (at % 15 >= 9))  # the 10th is the drums'
        ET.SubElement(midi, "midi-program").text = str(part.program + 1)  # it counts from 1
        return
    for pitch in part.pitches:
        instrument = ET.SubElement(entry, "score-instrument", id=f"{name}-D{pitch}")
        ET.SubElement(instrument, "instrument-name").text = DRUM_NAMES.get(pitch, f"key {pitch}")
    for pitch in part.pitches:
        midi = ET.SubElement(entry, "midi-instrument", id=f"{name}-D{pitch}")
        ET.SubElement(midi, "midi-channel").text = "10"
        ET.SubElement(midi, "midi-unpitched").text = str(pitch + 1)  # likewise


def _write_part(
    root: ET.Element, part: _Part, bars: list[_Bar], quarter: int, common: int, fifths: int, marks: dict[str, Any]
) -> None:
    """The measures of a part."""
    for at, bar in enumerate(bars):
        measure = ET.SubElement(root, "measure", number=str(at + 1))
        whole = quarter * 4 * bar.metre[0] // bar.metre[1]
        if bar.length != whole:
            measure.set("implicit", "yes")
        if at == 0 or bar.changes:
            attributes = ET.SubElement(measure, "attributes")
            if at == 0:
                ET.SubElement(attributes, "divisions").text = str(quarter // common)
                ET.SubElement(ET.SubElement(attributes, "key"), "fifths").text = str(
                    0 if part.program == DRUMS else fifths
                )
            time = ET.SubElement(attributes, "time")
            ET.SubElement(time, "beats").text = str(bar.metre[0])
            ET.SubElement(time, "beat-type").text = str(bar.metre[1])
            if at == 0:
                _write_clefs(attributes, part)
        if at in marks["tempo"]:
            _write_tempo(measure, marks["tempo"][at], bar.metre, in_words=marks["in_words"])
        dynamic = marks["dynamics"].get(at)
        first = True
        for number, staff in enumerate(part.staves):
            events = staff.bars[at]
            accidentals = {} if part.program == DRUMS else _accidentals(events, bar, fifths)
            voices = sorted({event.voice for event in events})
            for voice in voices:
                if not first:
                    ET.SubElement(ET.SubElement(measure, "backup"), "duration").text = str(bar.length // common)
                first = False
                stem = ("up", "down")[voice % 2] if len(voices) > 1 else None
                shown = [event for event in events if event.voice == voice]
                unprinted = _unprinted(events, voice, two_lines=staff.two_lines)
                for event in shown:
                    if dynamic is not None and event.notes:
                        _write_dynamic(measure, dynamic, number)
                        dynamic = None
                    of = number if len(part.staves) > 1 else None
                    place = _Place(root.attrib["id"], of, number * N_VOICES, stem, unprinted)
                    _write_event(measure, event, bar, part.program, place, quarter, common, fifths, accidentals, shown)
    ET.SubElement(ET.SubElement(measure, "barline", location="right"), "bar-style").text = "light-heavy"


def _unprinted(events: Sequence[_Event], voice: int, *, two_lines: bool) -> set[int]:
    """The starts of a voice's rests in a bar that are not printed, because the staff is clearer without them."""
    rests = [event for event in events if event.voice == voice and not event.notes]
    if two_lines and voice < 2:
        return set()
    if voice != min(event.voice for event in events):
        return {rest.start for rest in rests}
    last = max((event.start for event in events if event.voice == voice and event.notes), default=0)

    def is_covered(rest: _Event) -> bool:
        """Whether another voice sounds through it: an inner one, or any at the bar's end."""
        sounding = dict.fromkeys(range(N_VOICES), 0)
        for event in events:
            if event.notes:
                end = min(event.start + event.length, rest.start + rest.length)
                sounding[event.voice] += max(0, end - max(event.start, rest.start))
        return any(length == rest.length for of, length in sounding.items() if of >= 2 or rest.start > last)

    return {rest.start for rest in rests if is_covered(rest)}


def _write_clefs(attributes: ET.Element, part: _Part) -> None:
    """How many staves, and a clef for each."""
    if len(part.staves) > 1:
        ET.SubElement(attributes, "staves").text = str(len(part.staves))
    for number, staff in enumerate(part.staves):
        clef = ET.SubElement(attributes, "clef", {"number": str(number + 1)} if len(part.staves) > 1 else {})
        sign, line, octaves = staff.clef
        ET.SubElement(clef, "sign").text = sign
        ET.SubElement(clef, "line").text = str(line)
        if octaves:
            ET.SubElement(clef, "clef-octave-change").text = str(octaves)


def _write_tempo(measure: ET.Element, qpm: float, metre: tuple[int, int], *, in_words: bool) -> None:
    """A metronome mark above the staff, in dotted quarters where those are the beat."""
    compound = metre[1] == 8 and metre[0] % 3 == 0
    per_minute = str(round(qpm / 1.5 if compound else qpm))
    direction = ET.SubElement(measure, "direction", placement="above")
    kind = ET.SubElement(direction, "direction-type")
    if in_words:
        ET.SubElement(kind, "words").text = f"\N{QUARTER NOTE}{'.' if compound else ''} = {per_minute}"
    else:
        mark = ET.SubElement(kind, "metronome")
        ET.SubElement(mark, "beat-unit").text = "quarter"
        if compound:
            ET.SubElement(mark, "beat-unit-dot")
        ET.SubElement(mark, "per-minute").text = per_minute
    ET.SubElement(direction, "sound", tempo=f"{qpm:.6g}")


def _write_dynamic(measure: ET.Element, dynamic: str, staff: int) -> None:
    """A dynamic below the staff."""
    direction = ET.SubElement(measure, "direction", placement="below")
    ET.SubElement(ET.SubElement(ET.SubElement(direction, "direction-type"), "dynamics"), dynamic)
    ET.SubElement(direction, "staff").text = str(staff + 1)


@dataclass(frozen=True)
class _Place:
    """Where an event stands: its part, its staff where there are two, the voices before its staff; how it looks."""

    part: str
    staff: int | None
    voices_before: int
    stem: str | None
    unprinted: set[int]  # the starts of rests that are not printed


def _write_event(
    measure: ET.Element,
    event: _Event,
    bar: _Bar,
    program: int,
    place: _Place,
    quarter: int,
    common: int,
    fifths: int,
    accidentals: dict[tuple[int, int], str],
    voice_events: Sequence[_Event],
) -> None:
    """A rest, a note, or the notes of a chord, their elements in the order that the schema has."""
    start = bar.start + event.start
    end = start + event.length
    for rank, note in enumerate(event.notes or [None]):
        hidden = note is None and event.start in place.unprinted
        element = ET.SubElement(measure, "note", {"print-object": "no"} if hidden else {})
        if rank:
            ET.SubElement(element, "chord")
        ties: list[str] = []
        if note is None:
            ET.SubElement(element, "rest", {"measure": "yes"} if event.whole_bar else {})
        else:
            ties = [kind for kind, tied in (("stop", note.onset < start), ("start", note.end > end)) if tied]
            _write_pitch(element, note.pitch, program, fifths)
        ET.SubElement(element, "duration").text = str(event.length // common)
        for kind in ties:
            ET.SubElement(element, "tie", type=kind)
        if note is not None and program == DRUMS:
            ET.SubElement(element, "instrument", id=f"{place.part}-D{note.pitch}")
        ET.SubElement(element, "voice").text = str(place.voices_before + event.voice + 1)
        if not event.whole_bar:
            _write_value(element, event, quarter, note, accidentals)
        if note is not None and place.stem and event.value[0] not in ("whole", "breve"):
            ET.SubElement(element, "stem").text = place.stem
        if note is not None and program == DRUMS and _DRUM_PLACES.get(note.pitch, _ELSEWHERE).endswith("x"):
            ET.SubElement(element, "notehead").text = "x"
        if place.staff is not None:
            ET.SubElement(element, "staff").text = str(place.staff + 1)
        if rank == 0:
            for number, beam in enumerate(event.beams, start=1):
                ET.SubElement(element, "beam", number=str(number)).text = beam
        _write_notations(element, event, ties if note is not None else [], rank, voice_events)


def _write_pitch(element: ET.Element, pitch: int, program: int, fifths: int) -> None:
    """A pitch, or where a drum stands on the staff."""
    if program == DRUMS:
        place = _DRUM_PLACES.get(pitch, _ELSEWHERE)
        unpitched = ET.SubElement(element, "unpitched")
        ET.SubElement(unpitched, "display-step").text = place[0]
        ET.SubElement(unpitched, "display-octave").text = place[1]
        return
    step, alter, octave = spell(pitch, fifths)
    written = ET.SubElement(element, "pitch")
    ET.SubElement(written, "step").text = step
    if alter:
        ET.SubElement(written, "alter").text = str(alter)
    ET.SubElement(written, "octave").text = str(octave)


def _write_value(
    element: ET.Element, event: _Event, quarter: int, note: _Note | None, accidentals: dict[tuple[int, int], str]
) -> None:
    """Type, dots, accidental and the tuplet's ratio."""
    ET.SubElement(element, "type").text = event.value[0]
    for _ in range(event.value[1]):
        ET.SubElement(element, "dot")
    if note is not None and (event.start, note.pitch) in accidentals:
        ET.SubElement(element, "accidental").text = accidentals[event.start, note.pitch]
    if event.tuplet is not None:
        tuplet = event.tuplet
        ratio = ET.SubElement(element, "time-modification")
        ET.SubElement(ratio, "actual-notes").text = str(tuplet.actual)
        ET.SubElement(ratio, "normal-notes").text = str(tuplet.normal)
        ET.SubElement(ratio, "normal-type").text = _TYPES[Fraction(tuplet.end - tuplet.start, tuplet.normal * quarter)]


def _write_notations(
    element: ET.Element, event: _Event, ties: Sequence[str], rank: int, voice_events: Sequence[_Event]
) -> None:
    """Ties and the tuplet's bracket."""
    tuplet = event.tuplet if rank == 0 else None
    edges = []
    if tuplet is not None:
        edges = [
            kind
            for kind, here in (
                ("start", event.start == tuplet.start),
                ("stop", event.start + event.length == tuplet.end),
            )
            if here
        ]
    if not ties and not edges:
        return
    notations = ET.SubElement(element, "notations")
    for kind in ties:
        ET.SubElement(notations, "tied", type=kind)
    for kind in edges:
        mark = ET.SubElement(notations, "tuplet", type=kind, number="1")
        if kind == "start":  # a beam over the whole tuplet shows its extent
            of = [other for other in voice_events if other.tuplet == tuplet]
            beamed = [other.beams[0] for other in of if other.beams]
            joined = len(beamed) == len(of) and not {"begin", "end"} & set(beamed[1:-1])
            mark.set("bracket", "no" if joined else "yes")


# ---- spelling -------------------------------------------------------------------------------------------------


def spell(pitch: int, fifths: int) -> tuple[str, int, int]:
    """How a pitch is written in a key: (letter, alteration in semitones, octave, C4 being pitch 60).

    Parameters
    ----------
    pitch : int
    fifths : int
        The key signature: sharps, or flats below zero.

    Notes
    -----
    On the line of fifths, F = -1, C = 0, G = 1 and so on; a key of n sharps takes the twelve from n - 3 to n + 8.
    """
    lowest = fifths - 3
    place = lowest + (pitch * 7 - lowest) % 12  # pitch classes are 7 apart on the line, modulo 12
    letter, alter = "FCGDAEB"[(place + 1) % 7], (place + 1) // 7
    octave = (pitch - alter - "C D EF G A B".index(letter)) // 12 - 1
    return letter, alter, octave


_ACCIDENTALS = {-2: "flat-flat", -1: "flat", 0: "natural", 1: "sharp", 2: "double-sharp"}


def _accidentals(events: Iterable[_Event], bar: _Bar, fifths: int) -> dict[tuple[int, int], str]:
    """(start, pitch): the accidental to print, on a staff in one bar; a tied note keeps the one it had."""
    key = {letter: 1 + (fifths - 1 - at) // 7 for at, letter in enumerate("FCGDAEB")}
    struck: dict[int, set[int]] = {}
    for event in events:
        for note in event.notes:
            if note.onset >= bar.start + event.start:
                struck.setdefault(event.start, set()).add(note.pitch)
    state: dict[tuple[str, int], int | None] = {}
    printed: dict[tuple[int, int], str] = {}
    for start in sorted(struck):
        places: dict[tuple[str, int], list[tuple[int, int]]] = {}
        for pitch in sorted(struck[start]):
            letter, alter, octave = spell(pitch, fifths)
            places.setdefault((letter, octave), []).append((alter, pitch))
        for (letter, octave), here in places.items():
            for alter, pitch in here:
                if len(here) > 1 or state.get((letter, octave), key[letter]) != alter:
                    printed[start, pitch] = _ACCIDENTALS[alter]
            state[letter, octave] = here[0][0] if len(here) == 1 else None  # after two at once, say it again
    return printed
