"""What programs, drums and pitches are called."""

import pytest

from melodygru.music import names
from melodygru.music.grid import Grid
from melodygru.music.notes import DRUMS, NoteSequence, note_array


class TestNames:
    @pytest.mark.parametrize(("pitch", "name"), [(0, "C-1"), (60, "C4"), (61, "C#4"), (69, "A4"), (127, "G9")])
    def test_pitches(self, pitch, name):
        assert names.pitch_name(pitch) == name

    @pytest.mark.parametrize(
        ("program", "name"),
        [
            (0, "Acoustic Grand Piano"), (13, "Xylophone"), (24, "Nylon-string Guitar"), (40, "Violin"),
            (43, "Contrabass"), (56, "Trumpet"), (73, "Flute"), (80, "Square Lead"), (88, "New Age Pad"),
            (96, "Rain"), (104, "Sitar"), (112, "Tinkle Bell"), (120, "Guitar Fret Noise"), (127, "Gunshot"),
            (DRUMS, "Drums"),
        ],
    )  # fmt: skip
    def test_programs(self, program, name):
        assert names.program_name(program) == name

    def test_there_are_128_different_programs(self):
        assert len(names.PROGRAM_NAMES) == len(set(names.PROGRAM_NAMES)) == 128

    def test_drum_keys(self):
        assert min(names.DRUM_NAMES) == 35 and max(names.DRUM_NAMES) == 81
        wanted = {36: "Kick", 38: "Snare", 42: "Closed Hi-hat", 49: "Crash", 56: "Cowbell", 75: "Claves"}
        assert {key: names.DRUM_NAMES[key] for key in wanted} == wanted


class TestParts:
    @pytest.mark.parametrize(
        ("own", "labels"),
        [
            ((), ["Violin", "Violin 2", "Drums", "Drums 2", "Flute"]),
            (("first", "", "kit"), ["first", "Violin", "kit", "Drums", "Flute"]),
        ],
    )
    def test_a_part_without_a_name_is_called_by_its_program(self, own, labels):
        programs = [40, 40, DRUMS, DRUMS, 73]
        notes = note_array([(at, 1, program, 60, 64) for at, program in enumerate(programs)], range(5))
        assert names.part_labels(NoteSequence(notes, Grid.beats(4), 5, names=own)) == labels
        assert names.own_names(programs, labels) == (*own, *[""] * 5)[:5]

    def test_only_the_name_that_a_part_would_have_anyway_is_none(self):
        assert names.own_names([40, 40, 40], ["Violin", "Violin", "Violin 2"]) == ("", "Violin", "")
        assert names.own_names([40, 40], ["Violin 1", "Violin 2"]) == ("Violin 1", "Violin 2")

    @pytest.mark.parametrize(
        ("text", "name"),
        [
            ("  Lead\tguitar\r\n ", "Lead guitar"),
            ("a\x1b[31mb\u202ec\0", "a [31mb c"),
            ("\udce4", ""),
            ("é" * 79 + " xyz", "é" * 79),
        ],
    )
    def test_a_name_is_one_printable_line(self, text, name):
        assert names.clean_name(text) == name
