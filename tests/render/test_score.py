"""Sheet music: what is written reads back as the same notes, and every bar adds up."""

import json
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from melodygru import midi
from melodygru.cli import main
from melodygru.compose.composition import Composition
from melodygru.errors import SettingError
from melodygru.music.grid import Grid
from melodygru.music.keys import KeySignature
from melodygru.music.metre import METRE
from melodygru.music.notes import DRUMS, KEY, NOTE, TEMPO, NoteSequence, canonical, note_array
from melodygru.music.tuplets import for_score
from melodygru.render import score
from melodygru.render.score.write import _stack

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "checkpoints" / "starter.keras"
TYPES = {
    name: Fraction(8) / 2**at
    for at, name in enumerate(
        "breve whole half quarter eighth 16th 32nd 64th 128th 256th 512th 1024th".split(),
    )
}
Row = tuple[int, int, int, int]


def piece(
    *rows: tuple[int, ...], grid: int | Fraction = 4, metres: list[tuple[int, int, int]] | None = None, length: int = 0
) -> NoteSequence:
    """A sequence of rows (onset, duration, pitch[, program[, velocity]])."""
    full = [(r[0], r[1], r[3] if len(r) > 3 else 0, r[2], r[4] if len(r) > 4 else 80) for r in rows]
    notes, _ = canonical(note_array(full))
    end = int((notes["onset"] + notes["duration"]).max(initial=0))
    return NoteSequence(notes, Grid.beats(grid), max(end, length), metres=np.array(metres or [(0, 4, 4)], METRE))


def number(element: ET.Element, path: str) -> int:
    text = element.findtext(path)
    assert text is not None, path
    return int(text)


class Reading:
    """A MusicXML document read back; everything that must hold of any is asserted on the way."""

    def __init__(self, document: bytes) -> None:
        self.root = ET.fromstring(document)
        self.sounding: list[tuple[Fraction, Fraction, int, int]] = []  # onset, duration (quarters), pitch, program
        programs = {p.get("id"): p for p in self.root.findall("part-list/score-part")}
        bars = set()
        for part in self.root.findall("part"):
            entry = programs[part.get("id")]
            keys = {i.get("id"): number(i, "midi-unpitched") - 1 for i in entry.iterfind("midi-instrument")
                    if i.find("midi-unpitched") is not None}  # fmt: skip
            program = DRUMS if keys else number(entry, "midi-instrument/midi-program") - 1
            bars.add(len(part.findall("measure")))
            self._part(part, program, keys)
        assert len(bars) == 1
        self.sounding.sort()

    def _part(self, part: ET.Element, program: int, keys: dict[str | None, int]) -> None:
        divisions = number(part, "measure/attributes/divisions")
        metre, start = Fraction(4), Fraction(0)
        open_notes: dict[tuple[str, int], tuple[Fraction, Fraction]] = {}  # voice, pitch: onset, where it must go on
        for measure in part.findall("measure"):
            if measure.find("attributes/time") is not None:
                metre = Fraction(4 * number(measure, "attributes/time/beats"),
                                 number(measure, "attributes/time/beat-type"))  # fmt: skip
            at = last = Fraction(0)
            lengths: dict[str, Fraction] = {}
            beams: dict[tuple[str, str], bool] = {}
            tuplets: dict[str, list[Fraction]] = {}
            for element in measure:
                if element.tag == "backup":
                    at -= Fraction(number(element, "duration"), divisions)
                    assert at == 0
                if element.tag != "note":
                    continue
                length = Fraction(number(element, "duration"), divisions)
                assert length > 0
                voice = element.findtext("voice") or ""
                begin = last if element.find("chord") is not None else at
                if element.find("chord") is None:
                    lengths[voice] = lengths.get(voice, Fraction(0)) + length
                    last, at = at, at + length
                    self._beams(element, voice, beams)
                    self._tuplet(element, voice, tuplets, length)
                self._type(element, length)
                if element.find("rest") is not None:
                    assert element.find("tie") is None
                    continue
                pitch = self._pitch(element, keys)
                ties = {tie.get("type") for tie in element.findall("tie")}
                assert ties == {tie.get("type") for tie in element.findall("notations/tied")}
                onset = start + begin
                if "stop" in ties:
                    onset, expected = open_notes.pop((voice, pitch))
                    assert expected == start + begin
                if "start" in ties:
                    open_notes[voice, pitch] = onset, start + begin + length
                else:
                    self.sounding.append((onset, start + begin + length - onset, pitch, program))
            assert not any(beams.values()), "a beam stays open"
            assert not any(tuplets.values()), "a bracket stays open"
            (total,) = set(lengths.values())
            assert total == metre or (total < metre and measure.get("implicit") == "yes")
            start += total
        assert not open_notes

    @staticmethod
    def _pitch(element: ET.Element, keys: dict[str | None, int]) -> int:
        if element.find("unpitched") is not None:
            instrument = element.find("instrument")
            assert instrument is not None
            return keys[instrument.get("id")]
        step = "C D EF G A B".index(element.findtext("pitch/step") or "?")
        assert 0 <= number(element, "pitch/octave") <= 9
        return 12 * (number(element, "pitch/octave") + 1) + step + int(element.findtext("pitch/alter") or 0)

    @staticmethod
    def _type(element: ET.Element, length: Fraction) -> None:
        """The printed value is the length."""
        rest = element.find("rest")
        if rest is not None and rest.get("measure") == "yes":
            return
        value = TYPES[element.findtext("type") or ""] * (2 - Fraction(1, 2 ** len(element.findall("dot"))))
        if element.find("time-modification") is not None:
            value *= Fraction(number(element, "time-modification/normal-notes"),
                              number(element, "time-modification/actual-notes"))  # fmt: skip
        assert value == length

    @staticmethod
    def _beams(element: ET.Element, voice: str, beams: dict[tuple[str, str], bool]) -> None:
        """Beams open before they go on and close; a longer note or a rest lies under none."""
        found = element.findall("beam")
        if not found:
            assert not any(is_open for (of, _), is_open in beams.items() if of == voice)
        flags = int(np.log2(float(1 / TYPES[element.findtext("type") or "whole"]))) if found else 0
        assert len(found) == flags
        for beam in found:
            key = voice, beam.get("number") or ""
            if beam.text in ("begin", "forward hook", "backward hook"):
                assert not beams.get(key)
            else:
                assert beams.get(key)
            beams[key] = beam.text in ("begin", "continue")

    @staticmethod
    def _tuplet(element: ET.Element, voice: str, tuplets: dict[str, list[Fraction]], length: Fraction) -> None:
        """Brackets enclose what has a ratio, and nothing else, and are as long as their normal notes."""
        marks = [mark.get("type") for mark in element.findall("notations/tuplet")]
        lengths = tuplets.setdefault(voice, [])
        if "start" in marks:
            assert not lengths
        assert (element.find("time-modification") is not None) == ("start" in marks or bool(lengths))
        if "start" in marks or lengths:
            lengths.append(length)
        if "stop" in marks:
            normal = TYPES[element.findtext("time-modification/normal-type") or ""]
            assert sum(lengths) == normal * number(element, "time-modification/normal-notes")
            tuplets[voice] = []


def expected(sequence: NoteSequence) -> list[tuple[Fraction, Fraction, int, int]]:
    rate = sequence.grid.steps_per_beat
    assert rate is not None
    return sorted(
        (n["onset"].item() / rate, n["duration"].item() / rate, n["pitch"].item(), n["program"].item())
        for n in sequence.notes
    )


def written(sequence: NoteSequence) -> Reading:
    """A piece's score, read back and found to sound the same."""
    reading = Reading(score.to_musicxml(sequence))
    assert reading.sounding == expected(sequence)
    return reading


def values(reading: Reading, part: int = 1, voice: str = "1") -> list[str]:
    """The values of a voice, bar by bar: `quarter.`, `r eighth`, `~` for a tie to the next, `|` for a bar line."""
    out = []
    for measure in reading.root.findall(f"part[{part}]/measure"):
        for note in measure.findall("note"):
            if note.findtext("voice") != voice or note.find("chord") is not None:
                continue
            rest = "r " if note.find("rest") is not None else ""
            tie = "~" if any(t.get("type") == "start" for t in note.findall("tie")) else ""
            out.append(rest + (note.findtext("type") or "bar") + "." * len(note.findall("dot")) + tie)
        out.append("|")
    return out[:-1]


def beams(reading: Reading, level: int = 1) -> list[str | None]:
    return [note.findtext(f"beam[@number='{level}']") for note in reading.root.iter("note")]


@st.composite
def sequences(draw: st.DrawFn) -> NoteSequence:
    """Anything on a metrical grid: programs, overlaps, changes of metre and tempo, odd grids."""
    rate = draw(st.sampled_from([Fraction(n) for n in (1, 2, 3, 4, 5, 6, 7, 8, 12, 24, 48)] + [Fraction(1, 2)]))
    programs = draw(st.lists(st.sampled_from([0, 40, 42, 33, 73, DRUMS]), min_size=1, max_size=2, unique=True))
    span = max(4, int(rate * 6))
    rows = draw(
        st.lists(
            st.tuples(
                st.integers(0, span), st.integers(1, span), st.sampled_from(programs), st.integers(12, 127),
                st.integers(1, 127),
            ),
            max_size=14,
        )
    )  # fmt: skip
    rows = [(a, b, c, d if draw(st.booleans()) else 48 + d % 30, e) for a, b, c, d, e in rows]
    parts = [2 * c + draw(st.integers(0, 1)) for _, _, c, *_ in rows]
    notes, _ = canonical(note_array(rows, parts))
    changes = sorted(draw(st.sets(st.integers(1, 2 * span), max_size=2)))
    metres = st.tuples(st.integers(1, 12), st.sampled_from([2, 4, 8, 16]))
    marks = np.array([(step, *draw(metres)) for step in [0, *changes]], METRE)
    tempos = np.array([(0, 500_000), (span, draw(st.integers(200_000, 900_000)))], TEMPO)
    length = int((notes["onset"] + notes["duration"]).max(initial=0)) + draw(st.integers(0, 5))
    return NoteSequence(notes, Grid.beats(rate), length, tempos, marks)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(sequences())
def test_what_is_written_reads_back(sequence: NoteSequence) -> None:
    written(sequence)


def test_values_are_tied_over_bar_lines_and_the_middle() -> None:
    long = written(piece((0, 4, 60), (4, 14, 62), (22, 4, 64), grid=4))
    assert " ".join(values(long)) == "quarter half.~ | eighth r eighth r eighth eighth~ eighth r eighth r quarter"
    assert values(written(piece((6, 4, 60)))) == ["r quarter", "r eighth", "eighth~", "eighth", "r eighth", "r quarter"]
    assert values(written(piece((4, 8, 60), (0, 4, 60), (12, 4, 60)))) == ["quarter", "half", "quarter"]
    assert values(written(piece((0, 2, 60), (2, 4, 62), (6, 2, 60)))) == ["eighth", "quarter", "eighth", "r half"]
    assert values(written(piece((0, 20, 60)))) == ["whole~", "|", "quarter", "r quarter", "r half"]


def test_rests_show_the_beats() -> None:
    assert values(written(piece((8, 4, 60), metres=[(0, 3, 4)]))) == ["r quarter", "r quarter", "quarter"]
    assert values(written(piece((0, 2, 60), (8, 2, 60), metres=[(0, 6, 8)]))) == [
        "eighth",
        *["r eighth"] * 3,
        "eighth",
        "r eighth",
    ]
    assert values(written(piece((10, 2, 60), metres=[(0, 6, 8)]))) == ["r quarter.", "r quarter", "eighth"]
    assert values(written(piece((16, 16, 60)))) == ["r bar", "|", "whole"]


def test_an_empty_piece_is_a_bar_of_rest() -> None:
    assert values(written(piece(length=64))) == ["r bar"]  # silence after the last note is left out


def test_beams_join_the_notes_of_a_beat() -> None:
    common = written(piece(*[(2 * i, 2, 60 + i) for i in range(8)]))
    assert beams(common) == ["begin", "end"] * 4
    jig = written(piece(*[(2 * i, 2, 60 + i) for i in range(6)], metres=[(0, 6, 8)]))
    assert beams(jig) == ["begin", "continue", "end"] * 2
    seven = written(piece(*[(2 * i, 2, 60 + i) for i in range(7)], metres=[(0, 7, 8)]))
    assert beams(seven) == ["begin", "end", "begin", "end", "begin", "continue", "end"]
    cut = written(piece(*[(2 * i, 2, 60 + i) for i in range(8)], metres=[(0, 2, 2)]))
    assert beams(cut) == ["begin", "continue", "continue", "end"] * 2
    broken = written(piece((0, 1, 60), (2, 1, 60), (3, 1, 62), grid=4))
    assert beams(broken)[:4] == [None, None, "begin", "end"]  # a rest breaks the beam


def test_a_lone_second_beam_is_a_hook() -> None:
    dotted = written(piece((0, 3, 60), (3, 1, 62), (4, 1, 60), (5, 3, 62)))
    assert values(dotted)[:4] == ["eighth.", "16th", "16th", "eighth."]
    assert beams(dotted, 2)[:4] == [None, "backward hook", "forward hook", None]


def test_thirds_of_a_beat_are_triplets() -> None:
    reading = written(piece((0, 1, 60), (1, 2, 62), (3, 3, 64), grid=3))
    assert values(reading) == ["eighth", "quarter", "quarter", "r half"]
    marks = [[m.attrib for m in note.findall("notations/tuplet")] for note in reading.root.iter("note")]
    assert marks[:2] == [
        [{"type": "start", "number": "1", "bracket": "yes"}],
        [{"type": "stop", "number": "1"}],
    ]
    assert not any(marks[2:])


def test_triplets_over_two_beats_and_of_sixteenths() -> None:
    assert values(written(piece((0, 8, 60), (8, 8, 62), (16, 8, 64), grid=12))) == ["quarter"] * 3 + ["r half"]
    fine = written(piece(*[(i, 1, 60 + i) for i in range(6)], grid=6))
    assert values(fine)[:6] == ["16th"] * 6
    assert len(list(fine.root.iter("tuplet"))) == 4  # two triplets, each with a start and a stop
    five = written(piece(*[(i, 1, 60 + i) for i in range(5)], grid=5))
    assert five.root.findtext(".//actual-notes") == "5" and five.root.findtext(".//normal-notes") == "4"


def test_a_beamed_triplet_needs_no_bracket() -> None:
    reading = written(piece((0, 1, 60), (1, 1, 62), (2, 1, 64), grid=3))
    assert [mark.get("bracket") for mark in reading.root.iter("tuplet")] == ["no", None]


def test_a_change_of_metre_begins_a_bar() -> None:
    reading = written(piece((0, 12, 60), (12, 12, 60), metres=[(0, 4, 4), (12, 3, 4)]))
    measures = reading.root.findall("part/measure")
    assert [m.get("implicit") for m in measures] == ["yes", None]
    assert [m.findtext("attributes/time/beats") for m in measures] == ["4", "3"]


def test_a_change_at_a_third_of_a_beat_waits_for_the_bar_line() -> None:
    reading = written(piece((0, 24, 60), grid=3, metres=[(0, 4, 4), (4, 3, 4)]))
    assert [m.findtext("attributes/time/beats") for m in reading.root.findall("part/measure")] == ["4", "3", None]


def test_chords_and_lines() -> None:
    chord = written(piece((0, 4, 72), (0, 4, 76), (4, 4, 72)))
    assert {n.findtext("voice") for n in chord.root.iter("note")} == {"1"}
    assert len(list(chord.root.iter("chord"))) == 1 and not list(chord.root.iter("stem"))
    two = written(piece((0, 16, 65), (0, 8, 72), (8, 8, 74)))
    assert values(two) == ["half", "half"] and values(two, voice="2") == ["whole"]
    assert [n.findtext("stem") for n in two.root.iter("note")] == ["up", "up", None]  # a whole note has none


def test_two_lines_stay_two_voices_where_they_agree() -> None:
    reading = written(piece((0, 4, 76), (0, 4, 72), (4, 4, 77), (4, 2, 71), (6, 2, 72), (8, 8, 76), (8, 8, 72)))
    assert values(reading) == ["quarter", "quarter", "half"]
    assert values(reading, voice="2") == ["quarter", "eighth", "eighth", "half"]


def test_more_than_four_lines_are_tied_within_voices() -> None:
    reading = written(piece(*[(i, 16 - i, 72 + i) for i in range(7)]))
    assert {n.findtext("voice") for n in reading.root.iter("note")} == {"1", "2", "3", "4"}
    assert list(reading.root.iter("tie"))


def test_rests_of_a_voice_that_comes_and_goes_are_not_printed() -> None:
    reading = written(piece((0, 16, 60), (0, 4, 72), (4, 4, 71), (8, 8, 72), (4, 2, 65)))
    rests = [n for n in reading.root.iter("note") if n.find("rest") is not None]
    assert [(n.findtext("voice"), n.get("print-object")) for n in rests] == [("3", "no")] * 3
    chords = written(piece((0, 12, 72), (0, 12, 76), (0, 12, 79), (4, 4, 60), (16, 4, 72), (24, 4, 60)))
    rests = [n for n in chords.root.iter("note") if n.find("rest") is not None]
    assert [(n.findtext("voice"), n.get("print-object")) for n in rests] == [
        ("1", None), ("2", "no"), ("2", "no"), ("1", None), ("1", None),
    ]  # fmt: skip
    left = written(piece((0, 4, 67), (0, 4, 72), (0, 16, 60), (16, 8, 67), (16, 8, 72), (16, 12, 60), (24, 8, 55, 1)))
    rests = [n for n in left.root.iterfind("part[@id='P1']//note") if n.find("rest") is not None]
    assert [n.get("print-object") for n in rests] == ["no", "no", None, "no"]  # the lower voice sounds on, then not
    lines = written(piece((0, 16, 72), (4, 12, 60)))
    assert [n.get("print-object") for n in lines.root.iter("note")] == [None] * 3


def staves(*rows: tuple[int, ...]) -> list[tuple[int, str | None]]:
    """(pitch, staff) of each note, ascending."""
    notes = [n for n in written(piece(*rows)).root.iter("note") if n.find("pitch") is not None]
    return sorted((Reading._pitch(n, {}), n.findtext("staff")) for n in notes)


def test_four_lines_are_two_on_each_staff_and_a_close_chord_is_in_one_hand() -> None:
    chorale = staves((0, 4, 43), (0, 4, 55), (0, 4, 59), (0, 4, 74))
    assert chorale == [(43, "2"), (55, "2"), (59, "1"), (74, "1")]
    accompanied = staves((0, 4, 48), (0, 4, 52), (0, 4, 55), (0, 4, 74))
    assert accompanied == [(48, "2"), (52, "2"), (55, "2"), (74, "1")]


def test_a_wide_part_has_two_staves() -> None:
    reading = written(piece((0, 16, 40), (0, 8, 72), (8, 8, 76)))
    assert reading.root.findtext(".//staves") == "2"
    assert [(n.findtext("staff"), n.findtext("voice")) for n in reading.root.iter("note")] == [
        ("1", "1"), ("1", "1"), ("2", "5"),
    ]  # fmt: skip
    assert [c.findtext("sign") for c in reading.root.iter("clef")] == ["G", "F"]


@pytest.mark.parametrize(
    ("pitch", "program", "sign", "octaves"),
    [(58, 40, "G", None), (57, 40, "F", None), (66, 42, "F", None), (67, 42, "G", None), (89, 72, "G", "1"),
     (32, 43, "F", "-1"), (36, DRUMS, "percussion", None)],
)  # fmt: skip
def test_the_clef_suits_the_register(pitch: int, program: int, sign: str, octaves: str | None) -> None:
    clef = written(piece((0, 4, pitch, program))).root.find(".//clef")
    assert clef is not None
    assert (clef.findtext("sign"), clef.findtext("clef-octave-change")) == (sign, octaves)


def test_two_parts_of_one_program_are_two_of_the_score_with_their_names() -> None:
    rows = [(0, 4, 0, 60, 80), (0, 4, 0, 60, 90), (4, 4, DRUMS, 36, 80), (4, 4, DRUMS, 38, 80), (4, 4, 0, 67, 80)]
    notes, _ = canonical(note_array(rows, [0, 1, 2, 3, 1]))
    reading = written(NoteSequence(notes, Grid.beats(4), 16, names=("Ann & Bo", "", "kit")))
    assert [p.text for p in reading.root.iter("part-name")] == ["Ann & Bo", "Acoustic Grand Piano", "kit", "Drums"]
    assert values(reading, 1) == ["quarter", "r quarter", "r half"]
    assert values(reading, 2) == ["quarter", "quarter", "r half"]
    assert len(reading.root.findall("part")) == 4


def test_drums_are_unpitched() -> None:
    reading = written(piece((0, 4, 36, DRUMS), (0, 4, 42, DRUMS), (4, 4, 20, DRUMS), (0, 4, 60, 0)))
    assert [p.text for p in reading.root.iter("part-name")] == ["Acoustic Grand Piano", "Drums"]
    drums = reading.root.findall("part[2]/measure/note")
    assert [(n.findtext("unpitched/display-step"), n.findtext("notehead")) for n in drums[:3]] == [
        ("F", None), ("G", "x"), ("B", None),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("pitch", "fifths", "name"),
    [
        (60, 0, ("C", 0, 4)), (61, 0, ("C", 1, 4)), (63, 0, ("E", -1, 4)), (66, 0, ("F", 1, 4)),
        (70, 0, ("B", -1, 4)),
        (68, 0, ("G", 1, 4)), (61, -3, ("D", -1, 4)), (59, -6, ("C", -1, 4)), (60, 6, ("B", 1, 3)),
        (63, 4, ("D", 1, 4)),
        (12, 0, ("C", 0, 0)), (127, 0, ("G", 0, 9)),
    ],
)  # fmt: skip
def test_spelling(pitch: int, fifths: int, name: tuple[str, int, int]) -> None:
    assert score.spell(pitch, KeySignature(fifths)) == name


@pytest.mark.parametrize("fifths", range(-6, 7))
def test_the_notes_of_a_key_need_no_accidental(fifths: int) -> None:
    tonic = 60 + 7 * fifths % 12
    scale = [tonic + step for step in (0, 2, 4, 5, 7, 9, 11)]
    reading = written(piece(*[(2 * i, 2, pitch) for i, pitch in enumerate(scale)]))
    assert reading.root.findtext(".//fifths") == str(6 if abs(fifths) == 6 else fifths)
    assert not list(reading.root.iter("accidental"))


def test_a_minor_key_has_sharps_for_what_leads_on() -> None:
    # A minor: B flat leads down to A, D sharp up to E.
    assert [score.spell(pitch, KeySignature(0, minor=True))[:2] for pitch in (68, 70, 63, 61)] == [
        ("G", 1), ("B", -1), ("D", 1), ("C", 1),
    ]  # fmt: skip
    assert score.spell(62, KeySignature(-7, minor=True)) == ("D", 0, 4)
    assert score.spell(67, KeySignature(7, minor=True)) == ("F", 2, 4)


@pytest.mark.parametrize("fifths", [-7, -6, 6, 7])
def test_the_key_that_a_piece_names_is_drawn(fifths: int) -> None:
    keys = np.array([(0, fifths, 0)], KEY)
    reading = written(replace(piece((0, 4, 60), (4, 4, 64)), keys=keys))
    assert reading.root.findtext(".//fifths") == str(fifths)


def test_every_change_of_key_is_drawn_at_the_nearest_bar_line() -> None:
    keys = np.array([(0, 0, 0), (17, 4, 0), (31, -3, 1), (40, -3, 0)], KEY)
    music = replace(piece(*[(at, 4, 64) for at in range(0, 64, 4)], (0, 4, 36, DRUMS)), keys=keys)
    parts = written(music).root.findall("part")
    shown = [[(m.get("number"), m.findtext(".//fifths")) for m in p if m.find(".//fifths") is not None] for p in parts]
    assert shown == [[("1", "0"), ("2", "4"), ("3", "-3")], [("1", "0")]]


def test_before_the_first_key_that_is_named_its_notes_say_it() -> None:
    d_major = [(2 * i, 2, p) for i, p in enumerate([62, 64, 66, 67, 69, 71, 73, 74])]
    later = [(16 + 2 * i, 2, p) for i, p in enumerate([63, 65, 67, 68, 70, 72, 74, 75])]
    reading = written(replace(piece(*d_major, *later), keys=np.array([(16, -3, 0)], KEY)))
    assert [element.text for element in reading.root.iter("fifths")] == ["2", "-3"]


def test_harmonic_minor_is_written_in_its_own_signature() -> None:
    g_minor = [67, 69, 70, 72, 74, 75, 78, 79, 78, 75, 74, 72, 70, 69, 67]
    reading = written(piece(*[(2 * i, 2, pitch) for i, pitch in enumerate(g_minor)]))
    assert reading.root.findtext(".//fifths") == "-2"
    alters = {
        (n.findtext("step"), n.findtext("alter")) for n in reading.root.iter("pitch") if n.find("alter") is not None
    }
    assert alters == {("B", "-1"), ("E", "-1"), ("F", "1")}


@pytest.mark.parametrize("n", [5, 7, 9, 10])
def test_tuplets_of_a_file_are_printed(n: int) -> None:
    onsets = [
        480 * beat + 480 * at // parts for beat, parts in enumerate((1, 2, n, 1, 2, n, 1, 1)) for at in range(parts)
    ]
    rows = [
        (onset, end - onset, 60 + at) for at, (onset, end) in enumerate(zip(onsets, [*onsets[1:], 3840], strict=True))
    ]
    music, rounded = for_score(piece(*rows, grid=480), Grid.beats(2))
    reading = written(music)
    shown = [(note.findtext(".//actual-notes"), note.findtext(".//normal-notes")) for note in reading.root.iter("note")]
    inside = ("5", "4") if n == 10 else (str(n), str(8 if n == 9 else 4))
    assert shown == [(None, None)] * 3 + [inside] * n + [(None, None)] * 3 + [inside] * n + [(None, None)] * 2
    assert rounded == []


@pytest.mark.parametrize(("n", "beats"), [(5, 2), (5, 4), (7, 2), (7, 4)])
def test_tuplets_over_several_beats(n: int, beats: int) -> None:
    rows = [(beats * 480 * at // n, beats * 480 // n, 60 + at) for at in range(n)]
    music, _ = for_score(piece(*rows, grid=480), Grid.beats(2))
    notes = [note for note in written(music).root.iter("note") if note.find("pitch") is not None]
    assert [note.findtext(".//actual-notes") for note in notes] == [str(n)] * n


def test_a_bar_that_is_cut_short_has_rests_of_its_own_length() -> None:
    quiet = piece((0, 8, 60), (8, 12, 62), (8, 12, 65, 40), metres=[(0, 4, 4), (8, 3, 4)])
    rests = [note for note in written(quiet).root[-1].iter("note") if note.find("rest") is not None]
    assert [(rest.findtext("type"), rest.find("rest[@measure]")) for rest in rests] == [("half", None)]


def test_accidentals_hold_for_the_bar_and_not_over_a_tie() -> None:
    scale = [(64 + 32 * i, 32, p) for i, p in enumerate([60, 62, 64, 65, 67, 69, 71, 72])]  # C major settles the key
    reading = written(piece((0, 2, 66), (2, 2, 66), (4, 2, 65), (6, 2, 78), (12, 8, 66), (20, 4, 66), *scale))
    shown = [n.findtext("accidental") for n in reading.root.iter("note") if n.find("pitch") is not None]
    assert shown[:8] == ["sharp", None, "natural", "sharp", "sharp", None, "sharp", None]


def test_after_two_on_one_line_the_accidental_is_said_again() -> None:
    settled = [(16, 64, pitch) for pitch in (60, 64, 65, 71)]  # C major
    reading = written(piece((0, 4, 65), (0, 4, 66), (4, 4, 65), *settled))
    shown = [note.findtext("accidental") for note in reading.root.iter("note")]
    assert shown[:3] == ["natural", "sharp", "natural"]


def test_tempo_and_dynamics() -> None:
    loud = piece((0, 16, 60, 0, 49), (16, 16, 60, 0, 50), (32, 16, 60, 0, 96))
    reading = written(loud)
    assert [d[0].tag for d in reading.root.iter("dynamics")] == ["p", "f"]
    assert reading.root.findtext(".//per-minute") == "120"
    assert not list(written(piece((0, 16, 60, 0, 80), (16, 16, 60, 0, 89))).root.iter("dynamics"))


@pytest.mark.parametrize(
    ("metre", "unit", "per_minute"),
    [
        ((6, 8), "quarter.", "80"),
        ((6, 4), "half.", "40"),
        ((9, 16), "eighth.", "160"),
        ((3, 8), "quarter", "120"),  # three eighths, as in 3/4 three quarters: no dotted beat
        ((2, 2), "quarter", "120"),
    ],
)
def test_the_metronome_counts_the_beats_of_a_compound_metre(metre, unit, per_minute) -> None:
    root = written(piece((0, 8, 60), metres=[(0, *metre)])).root
    assert root.findtext(".//beat-unit") + "." * (root.find(".//beat-unit-dot") is not None) == unit
    assert root.findtext(".//per-minute") == per_minute


@pytest.mark.parametrize(
    ("sequence", "message"),
    [
        (NoteSequence(np.array([], NOTE), Grid.parse("10ms"), 1), "a score needs beats and bars, and this music has "
         "none: it is in seconds (10 ms per step)"),
        (piece((0, 1, 60), grid=49), "49 steps per beat: a score has at most 48; put the piece on a coarser grid "
         "(music.quantize)"),
        (piece((0, 1, 11)), "pitch 11: a score begins at pitch 12 (C0); transpose the piece"),
        (piece((0, 1, 60), metres=[(0, 4, 3)]), "metre 4/3: expected 1 or more over 1, 2, 4, 8, 16, 32 or 64"),
        (piece((160_000, 1, 60)), "more than 10,000 bars: a score of that length can't be read; crop the piece"),
    ],
)  # fmt: skip
def test_what_cannot_be_written_is_refused(sequence: NoteSequence, message: str) -> None:
    with pytest.raises(SettingError) as error:
        score.to_musicxml(sequence)
    assert str(error.value) == message


def test_the_longest_score() -> None:
    assert len(Reading(score.to_musicxml(piece((159, 1, 60)))).root.findall("part/measure")) == 10


def test_files(tmp_path: Path) -> None:
    sequence = piece((0, 4, 60), (4, 4, 64))
    for name in ("a.xml", "a.musicxml", "A.MUSICXML"):
        score.write(sequence, tmp_path / name, title="Hear \x00 & <see>")
        assert Reading((tmp_path / name).read_bytes()).root.findtext("work/work-title") == "Hear   & <see>"
    assert (tmp_path / "a.xml").read_bytes() == (tmp_path / "a.musicxml").read_bytes()
    with pytest.raises(SettingError, match=r"score a\.pdf: expected a name that ends in \.svg, \.musicxml or \.xml"):
        score.write(sequence, tmp_path / "a.pdf")
    with pytest.raises(SettingError, match="choose another place"):
        score.write(sequence, tmp_path / "no" / "a.xml")


def test_without_verovio_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "verovio", None)
    with pytest.raises(SettingError) as error:
        score.write(piece((0, 4, 60)), tmp_path / "a.svg")
    assert str(error.value) == (
        'a score as .svg needs verovio: pip install "melodygru[score]"; .musicxml is written without it'
    )
    assert list(tmp_path.iterdir()) == []


def test_the_picture(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("verovio")
    sequence = piece(*[(4 * i, 4, 60 + i % 12) for i in range(64)], (0, 16, 36, DRUMS))
    score.write(sequence, tmp_path / "a.svg", title="Sheet")
    data = (tmp_path / "a.svg").read_bytes()
    assert data == score.to_svg(sequence, title="Sheet")  # ids included
    root = ET.fromstring(data)
    classes = [e.get("class", "") for e in root.iter("{http://www.w3.org/2000/svg}g")]
    assert sum("note" in name.split() for name in classes) == 65
    assert sum("measure" in name.split() for name in classes) == 16
    assert "Sheet" in "".join(root.itertext()) and b"font-face" not in data
    assert capfd.readouterr() == ("", "")


def test_sheet_music_is_drawn_in_every_thread() -> None:
    pytest.importorskip("verovio")
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(score.to_svg, piece((0, 4, 60))).result()
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(score.to_svg, piece((0, 4, 60))).result() == first


def test_pages_stand_beneath_each_other() -> None:
    page = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {} {}"><g id="{}"/></svg>'
    root = ET.fromstring(_stack([page.format(210, 600, "a"), page.format(210, 150, "b")]))
    assert root.get("viewBox") == "0 0 210 750"
    assert [(p.get("y"), p.get("height")) for p in root] == [("0", "600"), ("600", "150")]
    assert _stack(["<svg/>"]) == b"<svg/>"


def test_a_composition_saves_itself_as_musicxml(tmp_path: Path) -> None:
    sequence = piece((0, 4, 60), (4, 4, 64))
    Composition.from_notes(sequence, 1).save(tmp_path / "a.musicxml")
    assert Reading((tmp_path / "a.musicxml").read_bytes()).sounding == expected(sequence)


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Run a command line in this process, in a folder with song.mid and toy.keras."""
    monkeypatch.chdir(tmp_path)
    midi.write(piece((0, 480, 60), (480, 960, 64), grid=480), tmp_path / "song.mid")

    def run(*arguments: object, code: int = 0) -> Result:
        result = CliRunner().invoke(main, [str(argument) for argument in arguments], prog_name="melodygru")
        assert result.exit_code == code, result.output
        return result

    return run


def test_inspect_writes_the_score_of_a_file(call: Callable[..., Result]) -> None:
    assert call("inspect", "song.mid", "--score", "song.xml").stdout.endswith("score         song.xml\n")
    assert Reading(Path("song.xml").read_bytes()).sounding == [(0, 1, 60, 0), (1, 2, 64, 0)]
    assert json.loads(call("inspect", "song.mid", "--score", "song.xml", "--json").stdout)["score"] == "song.xml"
    assert json.loads(call("inspect", "song.mid", "--json").stdout)["score"] is None


def test_inspect_refuses_what_has_no_score(call: Callable[..., Result]) -> None:
    folder = call("inspect", ".", "--score", "a.xml", code=1)
    assert "--score a.xml: . is a folder; expected a MIDI file" in folder.stderr
    shipped = call("inspect", SHIPPED, "--score", "a.xml", code=1)
    assert "is a checkpoint; expected a MIDI file" in shipped.stderr
    assert "expected a name that ends in" in call("inspect", "song.mid", "--score", "a.png", code=1).stderr
    assert call("inspect", "missing.mid", "--score", "a.xml", code=1).stderr.startswith("melodygru: missing.mid: ")
    assert not Path("a.xml").exists() and not Path("a.png").exists()


def test_generate_writes_scores(call: Callable[..., Result]) -> None:
    options = ["generate", "--model", SHIPPED, "--bars", 2, "--seed", 1]
    (made,) = json.loads(call(*options, "--score", "new.musicxml", "--json").stdout)["outputs"]
    assert made["score"] == "new.musicxml"
    reading = Reading(Path("new.musicxml").read_bytes())
    assert len(reading.sounding) == made["notes"]
    assert reading.root.findtext("work/work-title") == Path(made["midi"]).stem
    lines = call(*options, "-n", 2, "--score", "two.musicxml").stdout.splitlines()
    assert [line for line in lines if "musicxml" in line] == ["two-1.musicxml", "two-2.musicxml"]
    assert "score" in call(*options, "--score", "new.gif", code=1).stderr and not list(Path().glob("*.gif"))


def test_generate_keeps_the_music_where_the_score_has_no_place(call: Callable[..., Result]) -> None:
    made = call("generate", "--model", SHIPPED, "--bars", 2, "--seed", 1, "--score", "no/new.xml", "--json", code=1)
    document = json.loads(made.stdout)
    assert document["outputs"][0]["score"] is None and Path(document["outputs"][0]["midi"]).exists()
    assert len(document["problems"]) == 1 and "choose another place" in document["problems"][0]


def test_importing_the_room_loads_no_verovio() -> None:
    code = "import sys, melodygru.render.score; sys.exit('verovio' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
