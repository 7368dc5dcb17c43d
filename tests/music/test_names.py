"""What programs, drums and pitches are called."""

import pytest

from melodygru.music import names
from melodygru.music.notes import DRUMS


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
