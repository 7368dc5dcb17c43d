"""A piece as a MusicXML document."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from melodygru.errors import SettingError
from melodygru.music.grid import Grid
from melodygru.music.keys import KeySignature
from melodygru.music.metre import beat_quarters, is_compound
from melodygru.music.names import DRUM_NAMES, part_labels, program_name
from melodygru.music.notes import DRUMS, NoteSequence
from melodygru.music.tuplets import FINE
from melodygru.render.score.layout import N_VOICES, Event, Note, Part, bar_keys, dynamic_marks, lay_out, tempo_marks
from melodygru.render.score.rhythm import TYPES, Bar, bars_of, units_of
from melodygru.render.score.spelling import accidentals_of, spell

FINEST = 48  # steps per beat
LOWEST = 12  # pitch: MusicXML's octaves begin at C0
# General MIDI percussion: the line or space of each key, as in Weinberg's guidelines; an x is a cymbal's notehead.
_DRUM_LINES: dict[int, str] = {
    35: "E4", 36: "F4", 37: "C5x", 38: "C5", 39: "C5x", 40: "C5", 41: "G4", 42: "G5x", 43: "A4", 44: "D4x", 45: "B4",
    46: "G5x", 47: "D5", 48: "E5", 49: "A5x", 50: "F5", 51: "F5x", 52: "B5x", 53: "F5x", 54: "B4x", 55: "A5x",
    56: "E5x", 57: "B5x", 59: "F5x",
}  # fmt: skip
_OTHER_DRUM = "B4"


def to_musicxml(sequence: NoteSequence, *, title: str | None = None, tempo_in_words: bool = False) -> bytes:
    """A piece as a MusicXML 4.0 document.

    Parameters
    ----------
    sequence : NoteSequence
        On a metrical grid of at most 48 steps per beat, or from `music.tuplets.for_score`.
    title : str, optional
    tempo_in_words : bool
        Tempo as text instead of a metronome mark, whose symbols need a font that few viewers of SVG load.

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
    check_grid(sequence.grid)
    low = sequence.notes["pitch"][sequence.notes["program"] != DRUMS].min(initial=LOWEST)
    if low < LOWEST:
        raise SettingError(f"pitch {low}: a score begins at pitch {LOWEST} (C0); transpose the piece")
    quarter, step = units_of(sequence.grid)
    bars = bars_of(sequence, quarter, step)
    keys = bar_keys(sequence, bars, step)
    labels = part_labels(sequence) or [program_name(0)]
    parts = [lay_out(sequence, number, bars, quarter, step) for number in range(len(labels))]
    lengths = [event.length for part in parts for staff in part.staves for voices in staff.bars for event in voices]
    common = math.gcd(quarter, *lengths, *(bar.length for bar in bars))

    root = ET.Element("score-partwise", version="4.0")
    if title:
        ET.SubElement(ET.SubElement(root, "work"), "work-title").text = _printable(title)
    encoding = ET.SubElement(ET.SubElement(root, "identification"), "encoding")
    ET.SubElement(encoding, "software").text = "melodygru"
    part_list = ET.SubElement(root, "part-list")
    for part, label in zip(parts, labels, strict=True):
        _write_instrument(part_list, part, label)
    marks: dict[str, Any] = {"tempo": tempo_marks(sequence, bars, step), "in_words": tempo_in_words}
    for part in parts:
        marks["dynamics"] = dynamic_marks(sequence, part.number, bars, step)
        _write_part(ET.SubElement(root, "part", id=f"P{part.number + 1}"), part, bars, quarter, common, keys, marks)
        marks["tempo"] = {}  # above the first part alone
    ET.indent(root, " ")
    doctype = (
        '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE score-partwise PUBLIC "-//Recordare//DTD MusicXML 4.0 '
        'Partwise//EN" "http://www.musicxml.org/dtds/partwise.dtd">\n'
    )
    return doctype.encode() + ET.tostring(root, "utf-8") + b"\n"


def check_grid(grid: Grid) -> None:
    """Refuse a grid without bars, or one too fine to print: `SettingError`."""
    if grid.steps_per_beat is None:
        raise SettingError(
            f"a score needs beats and bars, and this music has none: it is in seconds ({grid.describe()})"
        )
    if grid.steps_per_beat.numerator > FINEST and grid != FINE:
        raise SettingError(
            f"{grid.describe()}: a score has at most {FINEST}; put the piece on a coarser grid (music.quantize)"
        )


def _printable(text: str) -> str:
    """Text without what XML can't hold."""
    return "".join(c if c.isprintable() else " " for c in text)


def _write_instrument(part_list: ET.Element, part: Part, label: str) -> None:
    """A part's entry in the list of parts: its name and, for players, its program."""
    name, at = f"P{part.number + 1}", part.number % 15
    entry = ET.SubElement(part_list, "score-part", id=name)
    ET.SubElement(entry, "part-name").text = _printable(label)
    if part.program != DRUMS:
        instrument = ET.SubElement(entry, "score-instrument", id=f"{name}-I1")
        ET.SubElement(instrument, "instrument-name").text = program_name(part.program)
        midi = ET.SubElement(entry, "midi-instrument", id=f"{name}-I1")
        ET.SubElement(midi, "midi-channel").text = str(at + 1 + (at >= 9))  # the 10th is the drums'
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
    root: ET.Element,
    part: Part,
    bars: list[Bar],
    quarter: int,
    common: int,
    keys: list[KeySignature],
    marks: dict[str, Any],
) -> None:
    """The measures of a part."""
    written: int | None = None  # the sharps of the key signature
    for at, (bar, key) in enumerate(zip(bars, keys, strict=True)):
        fifths = 0 if part.program == DRUMS else key.fifths
        measure = ET.SubElement(root, "measure", number=str(at + 1))
        if not bar.is_whole(quarter):
            measure.set("implicit", "yes")
        if bar.changes or fifths != written:
            attributes = ET.SubElement(measure, "attributes")
            if at == 0:
                ET.SubElement(attributes, "divisions").text = str(quarter // common)
            if fifths != written:
                ET.SubElement(ET.SubElement(attributes, "key"), "fifths").text = str(fifths)
                written = fifths
            if bar.changes:
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
            accidentals = {} if part.program == DRUMS else accidentals_of(events, bar, key)
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
                    setting = _Setting(root.attrib["id"], of, number * N_VOICES, stem, unprinted)
                    _write_event(measure, event, bar, part.program, setting, quarter, common, key, accidentals, shown)
    ET.SubElement(ET.SubElement(measure, "barline", location="right"), "bar-style").text = "light-heavy"


def _unprinted(events: Sequence[Event], voice: int, *, two_lines: bool) -> set[int]:
    """The starts of a voice's rests in a bar that are not printed, because the staff is clearer without them."""
    rests = [event for event in events if event.voice == voice and not event.notes]
    if two_lines and voice < 2:
        return set()
    if voice != min(event.voice for event in events):
        return {rest.start for rest in rests}
    last = max((event.start for event in events if event.voice == voice and event.notes), default=0)

    def is_covered(rest: Event) -> bool:
        """Whether another voice sounds through it: an inner one, or any at the bar's end."""
        sounding = dict.fromkeys(range(N_VOICES), 0)
        for event in events:
            if event.notes:
                end = min(event.start + event.length, rest.start + rest.length)
                sounding[event.voice] += max(0, end - max(event.start, rest.start))
        return any(length == rest.length for of, length in sounding.items() if of >= 2 or rest.start > last)

    return {rest.start for rest in rests if is_covered(rest)}


def _write_clefs(attributes: ET.Element, part: Part) -> None:
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
    """A metronome mark above the staff, in quarter notes, or in the dotted notes that are a compound metre's beat."""
    beat = beat_quarters(metre) if is_compound(metre) else Fraction(1)
    if in_words and beat != Fraction(3, 2):  # of the notes' signs a text font has the quarter note alone
        beat = Fraction(1)
    dotted, per_minute = beat != 1, str(round(qpm / beat))
    direction = ET.SubElement(measure, "direction", placement="above")
    kind = ET.SubElement(direction, "direction-type")
    if in_words:
        ET.SubElement(kind, "words").text = f"\N{QUARTER NOTE}{'.' if dotted else ''} = {per_minute}"
    else:
        mark = ET.SubElement(kind, "metronome")
        ET.SubElement(mark, "beat-unit").text = TYPES[beat * Fraction(2, 3) if dotted else beat]
        if dotted:
            ET.SubElement(mark, "beat-unit-dot")
        ET.SubElement(mark, "per-minute").text = per_minute
    ET.SubElement(direction, "sound", tempo=f"{qpm:.6g}")


def _write_dynamic(measure: ET.Element, dynamic: str, staff: int) -> None:
    """A dynamic below the staff."""
    direction = ET.SubElement(measure, "direction", placement="below")
    ET.SubElement(ET.SubElement(ET.SubElement(direction, "direction-type"), "dynamics"), dynamic)
    ET.SubElement(direction, "staff").text = str(staff + 1)


@dataclass(frozen=True)
class _Setting:
    """Where an event stands (part, staff if there are two, voices on the staves before it), and how it looks."""

    part: str
    staff: int | None
    voices_before: int
    stem: str | None
    unprinted: set[int]  # the starts of rests that are not printed


def _write_event(
    measure: ET.Element,
    event: Event,
    bar: Bar,
    program: int,
    setting: _Setting,
    quarter: int,
    common: int,
    key: KeySignature,
    accidentals: dict[tuple[int, int], str],
    voice_events: Sequence[Event],
) -> None:
    """A rest, a note, or the notes of a chord, their elements in the order that the schema has."""
    start = bar.start + event.start
    end = start + event.length
    for rank, note in enumerate(event.notes or [None]):
        hidden = note is None and event.start in setting.unprinted
        element = ET.SubElement(measure, "note", {"print-object": "no"} if hidden else {})
        if rank:
            ET.SubElement(element, "chord")
        ties: list[str] = []
        if note is None:
            ET.SubElement(element, "rest", {"measure": "yes"} if event.whole_bar else {})
        else:
            ties = [kind for kind, tied in (("stop", note.onset < start), ("start", note.end > end)) if tied]
            _write_pitch(element, note.pitch, program, key)
        ET.SubElement(element, "duration").text = str(event.length // common)
        for kind in ties:
            ET.SubElement(element, "tie", type=kind)
        if note is not None and program == DRUMS:
            ET.SubElement(element, "instrument", id=f"{setting.part}-D{note.pitch}")
        ET.SubElement(element, "voice").text = str(setting.voices_before + event.voice + 1)
        if not event.whole_bar:
            _write_value(element, event, quarter, note, accidentals)
        if note is not None and setting.stem and event.value[0] not in ("whole", "breve"):
            ET.SubElement(element, "stem").text = setting.stem
        if note is not None and program == DRUMS and _DRUM_LINES.get(note.pitch, _OTHER_DRUM).endswith("x"):
            ET.SubElement(element, "notehead").text = "x"
        if setting.staff is not None:
            ET.SubElement(element, "staff").text = str(setting.staff + 1)
        if rank == 0:
            for number, beam in enumerate(event.beams, start=1):
                ET.SubElement(element, "beam", number=str(number)).text = beam
        _write_notations(element, event, ties if note is not None else [], rank, voice_events)


def _write_pitch(element: ET.Element, pitch: int, program: int, key: KeySignature) -> None:
    """A pitch, or where a drum stands on the staff."""
    if program == DRUMS:
        line = _DRUM_LINES.get(pitch, _OTHER_DRUM)
        unpitched = ET.SubElement(element, "unpitched")
        ET.SubElement(unpitched, "display-step").text = line[0]
        ET.SubElement(unpitched, "display-octave").text = line[1]
        return
    step, alter, octave = spell(pitch, key)
    written = ET.SubElement(element, "pitch")
    ET.SubElement(written, "step").text = step
    if alter:
        ET.SubElement(written, "alter").text = str(alter)
    ET.SubElement(written, "octave").text = str(octave)


def _write_value(
    element: ET.Element, event: Event, quarter: int, note: Note | None, accidentals: dict[tuple[int, int], str]
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
        ET.SubElement(ratio, "normal-type").text = TYPES[Fraction(tuplet.end - tuplet.start, tuplet.normal * quarter)]


def _write_notations(
    element: ET.Element, event: Event, ties: Sequence[str], rank: int, voice_events: Sequence[Event]
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
