"""melodygru.midi: the written rule case by case, both readers held equal, damage, writing and round trips."""

import dataclasses
import io
import os
import stat
import struct
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import mido
import numpy as np
import pretty_midi
import pytest
from conftest import rows_of
from hypothesis import given, settings
from hypothesis import strategies as st

from melodygru import midi
from melodygru.errors import MidiError
from melodygru.midi import bulk, chunks, reading, writing
from melodygru.music.grid import Grid
from melodygru.music.metre import METRE
from melodygru.music.names import clean_name, own_names
from melodygru.music.notes import DRUMS, KEY, TEMPO, NoteSequence, canonical, note_array, part_programs, tidy_marks
from melodygru.music.quantize import quantize

END = "00 FF 2F 00"  # end_of_track at once


def unhex(text: str) -> bytes:
    """Bytes from hex with `#` comments."""
    return bytes.fromhex("".join(line.split("#")[0] for line in text.splitlines()))


def chunk(body: bytes | str, name: bytes = b"MTrk") -> bytes:
    body = unhex(body) if isinstance(body, str) else body
    return name + struct.pack(">I", len(body)) + body


def smf(*tracks: bytes | str, kind: int = 1, division: int = 480) -> bytes:
    """A MIDI file of these track bodies."""
    return b"MThd" + struct.pack(">IHHH", 6, kind, len(tracks), division) + b"".join(chunk(track) for track in tracks)


def read(data: bytes) -> midi.Reading:
    """Read by the fast way where it applies, and check it against the reference."""
    result = midi.read(data)
    reference = midi.read_reference(data)
    assert result.sequence == reference.sequence
    assert result.oddities == reference.oddities
    return result


def read_notes(data: bytes) -> tuple[list[tuple], dict[str, int]]:
    """Notes as (onset, duration, program, pitch, velocity), and the oddities of a file."""
    result = read(data)
    return rows_of(result.sequence.notes), result.oddities.as_dict()


# The rule, case by case


def test_one_note():
    data = smf(
        """
        00 90 3C 40  # note_on C4
        60 80 3C 00  # note_off after 96 ticks
        20 FF 2F 00  # end_of_track 32 ticks later
        """
    )
    result = read(data)
    assert rows_of(result.sequence.notes) == [(0, 96, 0, 60, 64)]
    assert result.sequence.length == 128
    assert result.sequence.grid == Grid.beats(480)
    assert result.sequence.metre == (4, 4)
    assert result.sequence.qpm == 120
    assert result.oddities == midi.Oddities()
    assert result.lost == 0
    assert bulk.read_undamaged(data, chunks.parse_chunks(data)) is not None


def test_running_status_and_note_on_of_velocity_0():
    data = smf("00 90 3C 40  10 3C 00  00 3E 41  83 00 3E 00" + END)  # 83 00 is a delta time of 384
    assert read_notes(data) == ([(0, 16, 0, 60, 64), (16, 384, 0, 62, 65)], {})


def test_running_status_outlives_meta_and_sysex():
    data = smf("00 90 3C 40  00 FF 01 02 68 69  00 F0 02 01 F7  10 3C 00" + END)
    assert read_notes(data) == ([(0, 16, 0, 60, 64)], {})


def test_running_status_of_one_data_byte():
    data = smf("00 C0 05  00 06  00 90 3C 40  10 80 3C 00" + END)
    assert bulk.read_undamaged(data, chunks.parse_chunks(data)) is None
    assert read_notes(data) == ([(0, 16, 6, 60, 64)], {})


def test_running_status_does_not_cross_tracks():
    data = smf("00 90 3C 40  10 3C 00" + END, "00 3E 40  10 3E 00" + END)
    assert read_notes(data) == ([(0, 16, 0, 60, 64)], {"broken_tracks": 1})


@pytest.mark.parametrize(
    ("rest", "durations", "oddities"),
    [
        ("08 80 3C 00  08 80 3C 00", [8, 16], {"restruck": 1}),  # the later note keeps its length
        ("08 80 3C 00", [8, 8], {"restruck": 1}),  # one note-off is missing: it is that of the first
        ("08 80 3C 00  08 90 3C 60  08 80 3C 00", [8, 8, 8], {"restruck": 1}),
        ("08 80 3C 00  08 80 3C 00  08 80 3C 00", [8, 16], {"restruck": 1, "stray_note_offs": 1}),
        ("08 90 3C 60  08 80 3C 00  08 80 3C 00  08 80 3C 00", [8, 8, 24], {"restruck": 2}),
        ("08 90 3C 60  08 80 3C 00  08 80 3C 00", [8, 8, 8], {"restruck": 2}),
        ("08 80 3C 00  08 80 3C 00  08 90 3C 60", [8, 16, 8], {"restruck": 1, "hanging": 1}),
        (
            "08 80 3C 00  08 90 3C 60  00 80 3C 00  08 80 3C 00  08 90 3C 50",
            [8, 16, 8, 8],
            {"restruck": 1, "hanging": 1},
        ),
    ],
)
def test_notes_of_one_key_that_overlap(rest, durations, oddities):
    notes, found = read_notes(smf("00 90 3C 40  08 90 3C 50" + rest + "08 FF 2F 00"))
    assert [note[1] for note in notes] == durations
    assert found == oddities


def test_repeated_notes_that_overlap_a_little():
    repeated = "".join("64 90 3C 40  02 80 3C 00" for _ in range(7))
    notes, oddities = read_notes(smf("00 90 3C 40" + repeated + "66 80 3C 00" + END))
    assert [note[1] for note in notes] == [100, *[102] * 6, 104]
    assert oddities == {"restruck": 7}


def test_note_on_may_stand_before_the_note_off_of_its_tick():
    data = smf("00 90 3C 40  08 90 3C 50  00 80 3C 00  08 80 3C 00" + END)
    assert read_notes(data) == ([(0, 8, 0, 60, 64), (8, 8, 0, 60, 80)], {})


def test_note_ons_before_note_offs_in_a_chain():
    data = smf("00 90 3C 40  08 90 3C 50  00 80 3C 00  08 90 3C 60  00 80 3C 00  08 80 3C 00" + END)
    assert read_notes(data) == ([(0, 8, 0, 60, 64), (8, 8, 0, 60, 80), (16, 8, 0, 60, 96)], {})


def test_zero_length_note_is_dropped_and_lost():
    data = smf("00 90 3C 40  00 80 3C 00  00 90 3E 40  08 80 3E 00" + END)
    assert read_notes(data) == ([(0, 8, 0, 62, 64)], {"zero_length": 1})
    assert read(data).lost == 1


def test_two_note_ons_at_once_keep_the_last():
    data = smf("00 90 3C 40  00 90 3C 41  08 80 3C 00  00 80 3C 00" + END)
    assert read_notes(data) == ([(0, 8, 0, 60, 65)], {"zero_length": 1})


def test_drum_strokes_need_no_length():
    data = smf("00 99 24 40  00 89 24 00  08 99 24 41  00 99 24 00" + END)
    assert read_notes(data) == ([(0, 1, DRUMS, 36, 64), (8, 1, DRUMS, 36, 65)], {"strokes": 2})
    assert read(data).lost == 0
    assert read(data).sequence.length == 9


def test_hanging_note_ends_with_its_track():
    data = smf("00 90 3C 40  60 FF 2F 00", "81 00 FF 2F 00")
    assert read_notes(data) == ([(0, 96, 0, 60, 64)], {"hanging": 1})
    assert read(data).sequence.length == 128


def test_note_off_alone_does_nothing():
    assert read_notes(smf("00 80 3C 00  00 90 3C 00" + END)) == ([], {"stray_note_offs": 2})


def test_same_pitch_on_other_channel_or_track_is_another_key():
    data = smf("00 C1 07  00 90 3C 40  00 91 3C 41  08 80 3C 00  08 81 3C 00" + END)
    assert read_notes(data) == ([(0, 8, 0, 60, 64), (0, 16, 7, 60, 65)], {})


@pytest.mark.parametrize(
    ("tracks", "program"),
    [
        (["00 C0 05  00 C0 06  00 90 3C 40  08 C0 07  08 80 3C 00" + END], 6),  # the last before, in its own track
        (["00 90 3C 40  08 80 3C 00" + END, "00 C0 05" + END], 5),  # of another track, at its tick
        (["08 90 3C 40  08 80 3C 00" + END, "00 C0 05  08 C0 06  01 C0 07" + END], 6),
        (["00 C0 04  08 90 3C 40  08 80 3C 00" + END, "08 C0 05" + END], 4),  # its own comes first
        (["00 90 3C 40  08 80 3C 00" + END, "01 C0 05" + END], 0),  # later than the note
        (["00 90 3C 40  08 80 3C 00" + END, "00 C1 05" + END], 0),  # another channel
        (["00 C9 05  00 99 3C 40  08 89 3C 00" + END], DRUMS),  # channel 10
    ],
)
def test_program(tracks, program):
    notes, _ = read_notes(smf(*tracks))
    assert [note[2] for note in notes] == [program]


@pytest.mark.parametrize(
    ("body", "duration", "pedalled"),
    [
        ("00 B0 40 40  00 90 3C 40  08 80 3C 00  08 B0 40 3F  08 FF 2F 00", 16, 1),  # 64 is down, 63 is up
        ("00 B0 40 3F  00 90 3C 40  08 80 3C 00  08 B0 40 00  08 FF 2F 00", 8, 0),
        ("00 B0 40 7F  00 90 3C 40  08 80 3C 00  18 FF 2F 00", 8, 0),  # never up: the last note's end
        ("00 B0 40 7F  00 90 3C 40  08 80 3C 00  08 90 3E 40  08 80 3E 00  7F FF 2F 00", [24, 8], 1),
        ("00 90 3C 40  08 80 3C 00  00 B0 40 7F  08 B0 40 00  08 FF 2F 00", 8, 0),  # down after the release
        ("00 90 3C 40  08 B0 40 7F  00 80 3C 00  08 B0 40 00  08 FF 2F 00", 16, 1),  # and before it, in one tick
        ("00 B0 40 7F  00 90 3C 40  08 80 3C 00  08 B0 40 00  00 B0 40 7F  08 B0 40 00" + END, 16, 1),  # up and down
        ("00 B0 40 7F  00 90 3C 40  08 80 3C 00  00 B0 40 00  00 B0 40 7F  08 B0 40 00" + END, 8, 0),
        ("00 B0 40 7F  00 90 3C 40  08 B0 40 00  00 B0 40 7F  00 80 3C 00  08 B0 40 00" + END, 16, 1),
        ("00 B0 40 7F  00 90 3C 40  08 B0 40 00  00 80 3C 00  08 FF 2F 00", 8, 0),  # up in the release's tick
        ("00 B0 40 7F  00 90 3C 40  08 80 3C 00  08 B0 79 00  08 FF 2F 00", 16, 1),  # reset all controllers
        ("00 B1 40 7F  00 90 3C 40  08 80 3C 00  08 FF 2F 00", 8, 0),  # another channel's pedal
        ("00 B0 40 7F  00 90 3C 40  18 FF 2F 00", 24, 0),  # hanging: nothing to prolong
    ],
)
def test_pedal(body, duration, pedalled):
    result = read(smf(body))
    assert result.sequence.notes["duration"].tolist() == (duration if isinstance(duration, list) else [duration])
    assert result.oddities.pedalled == pedalled
    assert result.lost == 0


def test_pedal_holds_until_the_pitch_is_struck_again():
    data = smf("00 B0 40 7F  00 90 3C 40  08 80 3C 00  08 90 3C 41  08 80 3C 00  08 B0 40 00" + END)
    assert read_notes(data) == ([(0, 16, 0, 60, 64), (16, 16, 0, 60, 65)], {"pedalled": 2})


def test_pedal_of_one_track_holds_the_notes_of_another():
    data = smf("00 B0 40 7F  20 B0 40 00" + END, "00 90 3C 40  08 80 3C 00" + END)
    assert read_notes(data) == ([(0, 32, 0, 60, 64)], {"pedalled": 1})


def test_pedals_of_one_tick_are_in_the_order_of_the_tracks():
    note = "00 90 3C 40  08 80 3C 00"
    up_first = smf("00 B0 40 7F  08 B0 40 00" + END, note + "00 B0 40 7F  08 B0 40 00" + END)
    assert read_notes(up_first)[0][0][1] == 8
    off_first = smf(note + "00 B0 40 7F" + END, "00 B0 40 7F  08 B0 40 00  00 B0 40 7F  08 B0 40 00" + END)
    assert read_notes(off_first)[0][0][1] == 8
    down_first = smf("08 B0 40 7F  08 B0 40 00" + END, note + END)
    assert read_notes(down_first)[0][0][1] == 16


def test_drums_have_no_pedal():
    data = smf("00 B9 40 7F  00 99 3C 40  08 89 3C 00  08 B9 40 00" + END)
    assert read_notes(data) == ([(0, 8, DRUMS, 60, 64)], {})


@pytest.mark.parametrize("controller", ["78", "7B"])
def test_all_off_ends_the_notes_of_its_channel(controller):
    data = smf(f"00 90 3C 40  00 91 3E 40  08 B0 {controller} 00  08 80 3C 00  00 81 3E 00" + END)
    assert read_notes(data) == ([(0, 8, 0, 60, 64), (0, 16, 0, 62, 64)], {"silenced": 1})


def test_all_off_spares_the_notes_that_begin_with_it():
    assert read_notes(smf("00 90 3C 40  00 B0 7B 00  08 80 3C 00" + END)) == ([(0, 8, 0, 60, 64)], {})


NOTES_11 = "00 9A 24 40  08 8A 24 00"
SYSEX = {
    "gs_on": "00 F0 0A 41 10 42 12 40 00 7F 00 41 F7",
    "gs_11": "00 F0 0A 41 10 42 12 40 1A 15 02 0F F7",
    "gs_11_off": "00 F0 0A 41 10 42 12 40 1A 15 00 11 F7",
    "gs_1": "00 F0 0A 41 10 42 12 40 11 15 01 19 F7",
    "gs_10_off": "00 F0 0A 41 10 42 12 40 10 15 00 1B F7",
    "xg_on": "00 F0 08 43 10 4C 00 00 7E 00 F7",
    "xg_11": "00 F0 08 43 10 4C 08 0A 07 02 F7",
    "other": "00 F0 05 7E 7F 09 03 F7",
}


@pytest.mark.parametrize(
    ("messages", "drums"),
    [
        (SYSEX["gs_11"], True),
        (SYSEX["gs_11"] + SYSEX["gs_11_off"], False),
        (SYSEX["gs_1"], False),
        (SYSEX["xg_11"], True),
        (SYSEX["other"], False),
        ("00 F0 02 41 F7", False),
        ("00 BA 00 78  00 CA 00", True),  # GM2
        ("00 BA 00 78  00 CA 00  00 BA 00 79  00 CA 05", False),
        ("00 BA 00 78", False),  # a bank counts from the program change on
        ("00 BA 00 7F  00 CA 00", False),  # of XG alone
        (SYSEX["xg_on"] + "00 BA 00 7F  00 CA 00", True),
        (SYSEX["xg_on"] + "00 BA 00 7E  00 CA 00  00 BA 00 00  00 CA 05", False),
        (SYSEX["xg_on"] + "00 BB 00 7F  00 CB 00", False),  # another channel
    ],
)
def test_messages_that_say_which_channels_play_drums(messages, drums):
    for data in (smf(messages + NOTES_11 + END), smf(NOTES_11 + END, messages + END)):
        assert (read(data).sequence.notes["program"][0] == DRUMS) == drums


def test_drums_from_a_tick_on_and_on_a_port():
    data = smf(NOTES_11 + "08" + SYSEX["gs_11"][2:] + NOTES_11 + END)
    assert read(data).sequence.notes["program"].tolist() == [0, DRUMS]
    port = "00 FF 21 01 01"
    assert read(smf(port + SYSEX["gs_11"] + END, NOTES_11 + END)).sequence.notes["program"].tolist() == [0]
    assert read(smf(port + SYSEX["gs_11"] + NOTES_11 + END)).sequence.notes["program"].tolist() == [DRUMS]


def test_channel_ten_can_be_melodic():
    data = smf(SYSEX["gs_on"] + SYSEX["gs_10_off"] + "00 C9 30  00 99 3C 40  08 89 3C 00" + END)
    assert read_notes(data) == ([(0, 8, 48, 60, 64)], {})


def test_music_written_twice_is_read_once():
    """Channels 13 to 16 of a file that is marked as written for two kinds of synthesiser."""
    music = "00 90 3C 40  08 80 3C 00  00 99 24 40  08 89 24 00"
    again = "00 9C 3C 40  08 8C 3C 00  00 9F 24 40  08 8F 24 00"
    mark = "00 FF 7F 03 00 00 41"
    assert read_notes(smf(mark + END, music + END, again + END)) == (
        [(0, 8, 0, 60, 64), (8, 8, DRUMS, 36, 64)],
        {"doubled": 2},
    )
    assert len(read(smf(music + END, again + END)).sequence) == 4
    assert len(read(smf(mark + END, again + END)).sequence) == 2
    assert len(read(smf("00 FF 7F 02 00 00" + END, music + END, again + END)).sequence) == 4


# Parts


def parts_of(data: bytes) -> list[tuple[int, str]]:
    """The program and the name of each part."""
    sequence = read(data).sequence
    return list(zip(sequence.part_programs.tolist(), sequence.part_names, strict=True))


def test_tracks_of_one_program_are_parts():
    data = smf(
        "00 90 3C 40  10 80 3C 00  00 90 3E 40  10 80 3E 00" + END,
        "00 90 3C 41  08 80 3C 00  10 91 3E 41  10 81 3E 00" + END,
    )
    result = read(data)
    assert result.sequence.notes.tolist() == [
        (0, 16, 0, 0, 60, 64),
        (0, 8, 1, 0, 60, 65),
        (16, 16, 0, 0, 62, 64),
        (24, 16, 2, 0, 62, 65),  # another channel of the same track
    ]
    assert result.lost == 0


def test_each_program_of_a_channel_is_a_part_of_its_own():
    data = smf("00 C0 05  00 90 3C 40  08 C0 02  00 90 3C 41  08 C0 05  00 90 3C 42  08 80 3C 00" + END)
    assert read(data).sequence.notes.tolist() == [(0, 8, 0, 5, 60, 64), (8, 8, 1, 2, 60, 65), (16, 8, 0, 5, 60, 66)]


def name(text: bytes, kind: int = 3) -> str:
    """A meta event at once that names a track (3) or an instrument (4), as hex."""
    return f"00 FF {kind:02X} {len(text):02X} {text.hex()} "


ONE = "00 90 3C 40  08 80 3C 00 "
TWO = "00 91 3C 40  08 81 3C 00 "


@pytest.mark.parametrize(
    ("body", "names"),
    [
        (name(b"Lead") + ONE, ["Lead"]),
        (ONE + name(b"Lead"), ["Lead"]),
        (name(b"organ", 4) + name(b"Lead") + ONE, ["Lead"]),
        (name(b"  ") + name(b"organ", 4) + ONE, ["organ"]),
        (name(b"one") + name(b"two") + ONE, ["one"]),
        (name("Flöte".encode()) + ONE, ["Flöte"]),
        (name("Flöte".encode("latin-1")) + ONE, ["Flöte"]),
        (name(b"a\x1b[0m\nb") + ONE, ["a [0m b"]),
        (name(b"Acoustic Grand Piano") + ONE, [""]),  # what it is called without a name
        (name(b"Piano") + ONE, ["Piano"]),
        (name(b"The song") + ONE + TWO, ["", ""]),  # of which of the two?
        ("00 FF 20 01 01" + name(b"second") + "00 FF 20 01 00" + name(b"first", 4) + ONE + TWO, ["first", "second"]),
        ("00 FF 20 01 01" + ONE + name(b"The song") + TWO, ["", ""]),  # a channel's message ends the prefix
        ("00 FF 20 01 00" + name(b"first") + ONE, ["first"]),
        ("00 FF 20 01 01" + name(b"another's") + ONE, [""]),
        ("00 FF 20 01 10" + name(b"no channel") + ONE, ["no channel"]),
        ("00 FF 20 00" + name(b"no channel") + ONE, ["no channel"]),
        ("00 FF 20 01 00" + name(b"both") + ONE + "00 C0 05" + ONE, ["", ""]),
    ],
)
def test_a_part_has_a_name_of_its_own(body, names):
    assert [name for _, name in parts_of(smf(body + END))] == names


def test_names_follow_the_parts():
    data = smf(name(b"late") + "08" + ONE[2:] + END, name(b"soon") + ONE + END)
    assert parts_of(data) == [(0, "soon"), (0, "late")]
    data = smf(name(b"of no note") + END, name(b"piano") + ONE + END)
    assert parts_of(data) == [(0, "piano")]


def test_ports_have_channels_of_their_own():
    """Program and pedal of the second port leave the first alone; its channel 10 is drums as well."""
    port = "00 FF 21 01 01"
    data = smf(
        ONE + "00 99 24 40  08 89 24 00" + END,
        port + "00 C0 49  00 B0 40 7F" + ONE + "08 99 24 40  08 89 24 00" + END,
        "00 FF 21 01 00" + ONE + port + ONE + END,
    )
    assert parts_of(data) == [(0, ""), (0, ""), (73, ""), (73, ""), (DRUMS, ""), (DRUMS, "")]
    assert read(data).sequence.notes.tolist() == [
        (0, 8, 0, 0, 60, 64),
        (0, 8, 1, 0, 60, 64),
        (0, 24, 2, 73, 60, 64),  # held
        (8, 16, 3, 73, 60, 64),  # down until the last note ends
        (8, 8, 4, DRUMS, 36, 64),
        (16, 8, 5, DRUMS, 36, 64),
    ]


def test_a_name_after_a_prefix_is_that_of_the_ports_channel():
    body = "00 FF 21 01 02  00 FF 20 01 01" + name(b"second") + ONE + TWO + END
    assert [name for _, name in parts_of(smf(body))] == ["", "second"]


@pytest.mark.parametrize("port", ["00 FF 21 00", "00 FF 21 02 01 01"])
def test_a_port_of_another_size_is_none(port):
    assert parts_of(smf("00 C0 05" + END, port + ONE + END)) == [(5, "")]


def test_more_parts_than_can_be_numbered(monkeypatch):
    monkeypatch.setattr(reading, "MAX_PARTS", 2)
    data = smf(ONE + TWO + "00 92 3C 40  08 82 3C 00" + END)
    for reader in (midi.read, midi.read_reference):
        with pytest.raises(MidiError, match="3 parts: expected at most 2 in one piece"):
            reader(data)


# Time


def test_patterns_of_type_2_follow_one_another():
    pattern = "00 90 3C 40  08 80 3C 00  08 FF 2F 00"
    assert read_notes(smf(pattern, pattern, kind=2))[0] == [(0, 8, 0, 60, 64), (16, 8, 0, 60, 64)]
    assert read(smf(pattern, pattern, kind=2)).sequence.length == 32


@pytest.mark.parametrize(
    ("division", "grid"),
    [
        (1, Grid.beats(1)),
        (0x7FFF, Grid.beats(32767)),
        (0xE728, Grid.seconds(1000)),  # 25 frames x 40 ticks
        (0xE350, Grid.seconds(Fraction(2_400_000, 1001))),  # 29.97 frames x 80 ticks
        (0xE801, Grid.seconds(24)),
        (0xE202, Grid.seconds(60)),
    ],
)
def test_division(division, grid):
    assert read(smf("00 90 3C 40  08 80 3C 00" + END, division=division)).sequence.grid == grid


@pytest.mark.parametrize(
    ("division", "message"),
    [
        (0, "division 0: expected ticks per quarter note"),
        (0xE700, "25 frames x 0 ticks"),
        (0xE628, "26 frames x 40 ticks: expected 24, 25, 29 or 30 frames"),
    ],
)
def test_division_that_means_nothing(division, message):
    with pytest.raises(MidiError, match=message):
        midi.read(smf(END, division=division))


def test_tempo_and_metre_from_any_track():
    data = smf(
        """
        08 FF 51 03 0F 42 40        # 1,000,000 microseconds per quarter note
        00 FF 58 04 06 03 18 08     # 6/8
        08 FF 51 03 0F 42 40        # again the same: no mark
        """
        + END,
        "0C FF 51 03 00 00 01  10 FF 58 02 02 07" + END,  # tempo 1; 2/128 without clocks
    )
    sequence = read(data).sequence
    assert sequence.tempos.tolist() == [(0, 500_000), (8, 1_000_000), (12, 1), (16, 1_000_000)]
    assert sequence.metres.tolist() == [(0, 4, 4), (8, 6, 8), (28, 2, 128)]


def test_last_mark_of_a_tick_holds():
    data = smf("00 FF 51 03 00 00 05  00 FF 51 03 00 00 06" + END, "00 FF 51 03 00 00 07" + END)
    assert read(data).sequence.tempos.tolist() == [(0, 7)]


@pytest.mark.parametrize(
    "mark",
    ["FF 51 03 00 00 00", "FF 51 02 07 A1", "FF 58 04 00 02 18 08", "FF 58 04 04 08 18 08", "FF 58 01 04"]
    + ["FF 59 02 08 00", "FF 59 02 F8 00", "FF 59 02 00 02", "FF 59 01 00"],
)
def test_mark_that_means_nothing_is_ignored(mark):
    result = read(smf(f"00 {mark}  10 FF 2F 00"))
    assert result.oddities == midi.Oddities(bad_marks=1)
    assert result.lost == 0
    assert not len(result.sequence.keys)
    assert result.sequence.tempos.tolist() == [(0, 500_000)]
    assert result.sequence.metres.tolist() == [(0, 4, 4)]


def test_keys_are_read_and_of_a_tick_the_first_tracks():
    data = smf(
        "00 FF 59 02 FE 01  10 FF 59 02 07 00  10 FF 59 02 07 00  10 FF 59 02 F9 01" + END,  # G minor, C sharp, A flat
        "00 FF 59 02 00 00  08 FF 59 02 00 00  40 FF 2F 00",
    )
    assert read(data).sequence.keys.tolist() == [(0, -2, 1), (8, 0, 0), (16, 7, 0), (48, -7, 1)]
    assert not len(read(smf("10 FF 2F 00")).sequence.keys)


def test_smpte_keeps_one_tempo():
    data = smf("04 FF 51 03 00 00 05  04 FF 51 03 00 00 06" + END, division=0xE728)
    assert read(data).sequence.tempos.tolist() == [(0, 5)]


# Damage


def test_limit_of_ticks():
    assert midi.tick_limit(Grid.beats(480)) == midi.MAX_TICKS == 2**27
    assert midi.tick_limit(Grid.beats(1)) == midi.MAX_BEATS == 2**20
    assert midi.tick_limit(Grid.seconds(1000)) == midi.MAX_TICKS
    data = smf(
        """
        00 90 3C 40
        BF FF FF 7E 90 3E 40  # tick 2**27 - 2
        01 80 3E 00           # and 2**27 - 1
        01 90 3F 40           # 2**27: dropped
        00 FF 51 03 00 00 05  # likewise a tempo
        00 FF 58 02 03 02     # and a metre
        01 80 3F 00
        FF FF FF 7F FF 2F 00
        """
    )
    result = read(data)
    assert rows_of(result.sequence.notes) == [(0, 2**27, 0, 60, 64), (2**27 - 2, 1, 0, 62, 64)]
    assert result.sequence.length == 2**27
    assert result.oddities == midi.Oddities(beyond_limit=1, bad_marks=2, hanging=1, stray_note_offs=1)


@pytest.mark.parametrize("kind", [1, 2])
def test_delta_times_beyond_all_bounds(kind):
    body = "FF FF FF 7F 90 3C 40" * 50 + "FF FF FF 7F FF 2F 00"
    result = read(smf(body, body, kind=kind))
    assert len(result.sequence) == 0
    assert result.sequence.length == midi.MAX_TICKS
    assert result.oddities == midi.Oddities(beyond_limit=100)


NOTE_96 = "00 90 3C 40  60 80 3C 00"


@pytest.mark.parametrize(
    "rest",
    [
        "",  # no end_of_track
        "00",  # ends after a delta time
        "00 90 3E",  # within an event
        "FF FF FF FF 7F 90 3E 40",  # a delta time of five bytes
        "00 FF 01 7F 41",  # text that claims 127 bytes
        "00 FF 2F 05",  # end_of_track likewise
        "00 FF 01 FF FF FF FF 7F",
        "00 F0 83 FF FF 7F 01",  # system exclusive of 8 MB
    ],
)
def test_broken_track_keeps_what_was_read(rest):
    result = read(smf(NOTE_96 + rest, NOTE_96.replace("3C", "40") + END))
    assert rows_of(result.sequence.notes) == [(0, 96, 0, 60, 64), (0, 96, 0, 64, 64)]
    assert result.sequence.length == 96
    assert result.oddities == midi.Oddities(broken_tracks=1)


def test_status_missing_at_the_start():
    assert read_notes(smf("00 3C 40  60 3C 00" + END)) == ([], {"broken_tracks": 1})


def test_truncated_last_track():
    whole = smf(NOTE_96 + END, NOTE_96.replace("3C", "40") + "00 90 43 40  60 80 43 00" + END)
    result = read(whole[:-9])  # ends after the last note-on's status byte
    assert result.sequence.notes["pitch"].tolist() == [60, 64]
    assert result.oddities == midi.Oddities(broken_tracks=1)


def test_what_follows_the_end_of_track_is_ignored():
    assert read_notes(smf(NOTE_96 + END + NOTE_96 + "FF FF FF FF FF")) == ([(0, 96, 0, 60, 64)], {})


def test_end_of_track_may_carry_bytes():
    assert read_notes(smf(NOTE_96 + "00 FF 2F 02 01 02")) == ([(0, 96, 0, 60, 64)], {})


def test_chunk_of_two_gigabytes():
    data = smf(NOTE_96 + END) + b"MTrk\x7f\xff\xff\xff" + unhex("00 90 40 40  60 80 40 00")
    assert read_notes(data) == (
        [(0, 96, 0, 60, 64), (0, 96, 0, 64, 64)],
        {"broken_tracks": 1, "miscounted_tracks": 1},
    )


@pytest.mark.parametrize(("claimed", "off_by"), [(0, 1), (1, 0), (2, 1), (65_535, 65_534)])
def test_header_that_claims_another_number_of_tracks(claimed, off_by):
    data = bytearray(smf(NOTE_96 + END))
    data[10:12] = struct.pack(">H", claimed)
    oddities = {"miscounted_tracks": off_by} if off_by else {}
    assert read_notes(bytes(data)) == ([(0, 96, 0, 60, 64)], oddities)


@pytest.mark.parametrize("kind", [3, 0x7401, 0xFFFF])
def test_unknown_types_are_read_as_type_1(kind):
    data = smf(NOTE_96 + END, NOTE_96.replace("3C", "40") + END, kind=kind)
    assert read_notes(data) == ([(0, 96, 0, 60, 64), (0, 96, 0, 64, 64)], {"unknown_type": 1})


@pytest.mark.parametrize(
    ("event", "oddities"),
    [
        ("00 B0 07 FF", {"clipped": 1}),  # volume 255
        ("00 B0 A8 40", {"clipped": 1}),
        ("00 E0 00 80", {"clipped": 1}),
        ("00 C0 FF", {"clipped": 1}),
        ("00 B0 07 FF  00 07 FF", {"clipped": 2}),  # running status
        ("00 F1 10", {"system": 1}),
        ("00 F2 10 20", {"system": 1}),
        ("00 F3 FF", {"system": 1}),
        ("00 F4  00 F6", {"system": 2}),
        ("00 F8  00 FE", {"system": 2}),
    ],
)
def test_one_bad_byte_costs_no_track(event, oddities):
    data = smf(NOTE_96 + event + NOTE_96.replace("3C", "40") + END)
    assert bulk.read_undamaged(data, chunks.parse_chunks(data)) is not None
    notes, found = read_notes(data)
    assert [note[:2] for note in notes] == [(0, 96), (96, 96)]
    assert found == oddities


def test_a_velocity_above_127_is_127():
    assert read_notes(smf("00 90 3C C0  08 80 3C 00" + END)) == ([(0, 8, 0, 60, 127)], {"clipped": 1})


def test_running_status_outlives_system_messages():
    assert read_notes(smf("00 90 3C 40  00 F1 10  08 3C 00" + END)) == ([(0, 8, 0, 60, 64)], {"system": 1})


THREE = [NOTE_96.replace("3C", pitch) + END for pitch in ("3C", "3E", "40")]


def with_length(claimed: int, tracks: list[str] = THREE, at: int = 1) -> bytes:
    """A file in which one track's chunk claims to be so many bytes long."""
    data = bytearray(smf(*tracks))
    start = 14 + sum(8 + len(unhex(track)) for track in tracks[:at])
    data[start + 4 : start + 8] = struct.pack(">I", claimed)
    return bytes(data)


@pytest.mark.parametrize("at", [0, 1, 2])
@pytest.mark.parametrize("claimed", [0, 1, 4, 8, 11, 13, 14, 16, 20, 24, 36, 0x7FFFFFFF, 0xFFFFFFFF])
def test_a_chunk_of_another_length_than_it_claims(claimed, at):
    assert len(unhex(THREE[at])) == 12
    notes, oddities = read_notes(with_length(claimed, at=at))
    assert [note[3] for note in notes] == [60, 62, 64]
    assert oddities == {"misstated_lengths": 1}


def test_a_track_without_an_end_whose_chunk_claims_too_much():
    tracks = [NOTE_96, *THREE[1:]]
    notes, oddities = read_notes(with_length(9 + 20, tracks, at=0))  # up to the end of the second track
    assert [note[3] for note in notes] == [60, 62, 64]
    assert oddities == {"misstated_lengths": 1, "broken_tracks": 1}


def test_letters_where_a_chunk_seems_to_end_are_no_chunk():
    letters = "00 90 3C 40" + "60 3C 00 60 3D 40 60 3D 00" + "60 41 40 60 41 00" * 3 + END
    notes, oddities = read_notes(with_length(8, [THREE[0], letters, THREE[2]]))
    assert [note[3] for note in notes] == [60, 60, 64, 61, 65, 65, 65]
    assert oddities == {"misstated_lengths": 1}


def test_what_looks_like_a_track_inside_one_is_none():
    text = b"\0\xff\1\x08MTrk\0\0\0\1"
    data = smf(text + unhex(NOTE_96 + END), NOTE_96.replace("3C", "40") + END)
    assert read_notes(data) == ([(0, 96, 0, 60, 64), (0, 96, 0, 64, 64)], {})


def test_many_tracks_of_wrong_lengths_are_read_once_each():
    """The bytes of a hostile file are walked through once, however many tracks it has."""
    track = b"MTrk\xff\xff\xff\xff" + unhex("00 F6")
    data = b"MThd" + struct.pack(">IHHH", 6, 1, 40_000, 480) + track * 40_000
    walked = 0
    original = chunks.track_events

    def counted(*arguments):
        nonlocal walked
        for event in original(*arguments):
            walked += 1
            yield event

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunks, "track_events", counted)
        header = chunks.parse_chunks(data)
    assert len(header.spans) == 40_000
    assert walked <= 80_000


def test_longer_header_other_chunks_and_garbage():
    data = b"MThd" + struct.pack(">IHHH", 8, 1, 1, 480) + b"\1\2" + chunk("01 02 03", b"XFIH")
    data += chunk(NOTE_96 + END) + bytes(range(200, 256)) + chunk(NOTE_96.replace("3C", "40") + END) + b"\xff" * 9
    assert read_notes(data) == ([(0, 96, 0, 60, 64), (0, 96, 0, 64, 64)], {"miscounted_tracks": 1})


@pytest.mark.parametrize("picture", [0, 5, 6000])
def test_riff_wrapper(picture, tmp_path):
    """With other chunks before and after the data, which may hold what looks like a header."""

    def riff(name: bytes, body: bytes) -> bytes:
        return name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)

    before = riff(b"DISP", (b"MThd\0\0" * picture)[:picture]) if picture else b""
    after = riff(b"LIST", b"INFOINAM\4\0\0\0song")
    data = riff(b"RIFF", b"RMID" + before + riff(b"data", smf(NOTE_96 + END)) + after)
    assert read_notes(data) == ([(0, 96, 0, 60, 64)], {})
    (tmp_path / "a.RMI").write_bytes(data)
    assert list(midi.find_files(tmp_path)) == ["a.RMI"]
    assert midi.read(tmp_path / "a.RMI").sequence == read(data).sequence


def test_riff_files_of_another_kind_are_refused():
    for data in (b"RIFF\4\0\0\0WAVE", b"RIFF\4\0\0\0RMID", b"RIFF\4\0\0\0RMIDdata\4\0\0\0abcd"):
        with pytest.raises(MidiError, match="not a MIDI file: begins with b'RIFF'"):
            midi.read(data)


def test_oddities_in_words():
    counts = {"hanging": 3, "broken_tracks": 1, "pedalled": 4000}
    assert (
        midi.in_words(counts) == "notes held by the pedal (4,000), notes without an end (3), tracks that break off (1)"
    )
    assert midi.damage(counts) == {"broken_tracks": 1}
    assert midi.in_words({}) == ""


def test_every_oddity_has_words():
    names = [item.name for item in dataclasses.fields(midi.Oddities)]
    words = [midi.oddity_words(name) for name in names]
    assert len(set(words)) == len(names)
    docs = (Path(__file__).parents[2] / "docs" / "corpus.md").read_text(encoding="utf-8")
    for name, text in zip(names, words, strict=True):
        assert f"| {text} | `{name}` |" in docs
    assert not set(words) & {name.replace("_", " ") for name in names}
    assert midi.oddity_words("something_else") == "something else"


def test_text_in_any_encoding():
    data = smf(b"\0\xff\1\4\xff\xfe\x80\x41\0\xff\5\3\xe3\x81\x82" + unhex(NOTE_96 + END))
    assert read_notes(data) == ([(0, 96, 0, 60, 64)], {})


def test_no_notes_are_no_error():
    assert read_notes(smf("60 FF 2F 00")) == ([], {})
    assert read(smf("60 FF 2F 00")).sequence.length == 96
    assert read_notes(smf(b"")) == ([], {"broken_tracks": 1})


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the file is empty"),
        (b"RIFF____WAVE", "not a MIDI file: begins with b'RIFF', expected b'MThd'"),
        (b"MThd\0\0\0\6\0\1\0\1\1", "truncated header: 13 bytes, expected at least 14"),
        (b"MThd\0\0\0\5\0\1\0\1\1\0", "header of 5 bytes"),
        (smf(), "no track in the file"),
        (smf() + b"MTrk\0\0\0", "no track in the file"),
        (b"MThd" + b"\0" * (2**22 - 3), "more than 4,194,304 bytes"),
        (b"MThd" + b"\0" * (2**22 - 4), "header of 0 bytes"),  # the largest that is looked at
    ],
)
def test_unreadable(data, message):
    for reader in (midi.read, midi.read_reference):
        with pytest.raises(MidiError, match=message):
            reader(data)


def test_unreadable_paths(tmp_path):
    with pytest.raises(MidiError, match="cannot open the file: No such file or directory"):
        midi.read(tmp_path / "none.mid")
    with pytest.raises(MidiError, match="cannot open the file: Is a directory"):
        midi.read(tmp_path)
    with pytest.raises(MidiError, match="cannot open the file: .*null"):
        midi.read("a\0b.mid")


def test_no_song_is_too_damaged(tmp_path):
    """Flipped, cut and doubled bytes: both readers agree or raise, never anything else."""
    rng = np.random.default_rng(5)
    seeds = [
        smf(
            "00 FF 51 03 07 A1 20  00 FF 58 04 03 02 18 08" + END,
            "00 C0 05  00 B0 40 7F"
            + NOTE_96 * 3
            + "10 B0 40 00  00 99 24 40  10 24 00  83 00 90 3C 40  08 3C 00"
            + END,
        ),
        smf("00 F0 03 01 02 F7  00 FF 03 03 61 62 63" + NOTE_96 * 2 + END, kind=0, division=0xE728),
        smf(NOTE_96 + END, NOTE_96 + END, kind=2),
    ]
    outcomes = {"read": 0, "refused": 0}
    for _ in range(3000):
        data = bytearray(seeds[rng.integers(len(seeds))])
        for _ in range(rng.integers(1, 5)):
            at = int(rng.integers(len(data)))
            match rng.integers(4):
                case 0:
                    data[at] = rng.integers(256)
                case 1:
                    data[at] ^= 1 << int(rng.integers(8))
                case 2:
                    del data[at : at + int(rng.integers(1, 9))]
                case 3:
                    data[at:at] = data[at : at + int(rng.integers(1, 9))]
            if not data:
                break
        if rng.random() < 0.3:
            del data[rng.integers(len(data) + 1) :]
        try:
            read(bytes(data))
            outcomes["read"] += 1
        except MidiError:
            with pytest.raises(MidiError):
                midi.read_reference(bytes(data))
            outcomes["refused"] += 1
    assert min(outcomes.values()) > 200


# The two readers are one function


def quantity(value: int) -> bytes:
    """A variable-length quantity."""
    digits = [value & 0x7F]
    while value := value >> 7:
        digits.insert(0, value & 0x7F | 0x80)
    return bytes(digits)


PITCHES = st.integers(60, 62)
CHANNELS = st.sampled_from([0, 1, 9])
DELTAS = st.sampled_from([0, 0, 0, 1, 1, 2, 5, 127, 128, 300, 20_000, 2_100_000])
CHANNEL_EVENTS = st.one_of(
    st.tuples(st.just(0x90), PITCHES, st.sampled_from([0, 1, 64, 127])),
    st.tuples(st.just(0x90), PITCHES, st.sampled_from([0, 1, 64, 127])),
    st.tuples(st.just(0x80), PITCHES, st.just(0)),
    st.tuples(st.just(0xB0), st.sampled_from([64, 64, 64, 120, 121, 123, 7]), st.sampled_from([0, 63, 64, 127])),
    st.tuples(st.just(0xB0), st.just(0), st.sampled_from([0, 120, 121, 127, 255])),
    st.tuples(st.just(0xC0), st.integers(0, 3)),
    st.tuples(st.just(0xE0), st.just(0), st.just(64)),
)
OTHER_EVENTS = st.sampled_from(
    [
        unhex(text)
        for text in (
            "FF 03 04 42 61 73 73",
            "FF 04 01 78",
            "FF 20 01 01",
            "FF 21 01 01",
            "FF 21 01 00",
            "FF 51 03 07 A1 20",
            "FF 51 03 03 A1 20",
            "FF 51 03 00 00 00",
            "FF 58 04 03 02 18 08",
            "FF 58 04 06 03 18 08",
            "FF 59 02 FE 01",
            "FF 59 02 07 00",
            "FF 01 03 90 3C FF",
            "F0 04 10 3C 40 F7",
            "F0 0A 41 10 42 12 40 11 15 02 18 F7",
            "F0 0A 41 10 42 12 40 10 15 00 1B F7",
            "F0 08 43 10 4C 00 00 7E 00 F7",
            "FF 7F 03 00 00 41",
            "F8",
            "F1 10",
            "F7 00",
        )
    ]
)


@st.composite
def track_bodies(draw, plain: bool = False) -> bytes:
    """A track of few keys, so that every odd case comes up; if not `plain`, running status outlives sysex."""
    running = draw(st.booleans())
    body, last = b"", None
    for delta, event, channel in draw(
        st.lists(st.tuples(DELTAS, CHANNEL_EVENTS | OTHER_EVENTS, CHANNELS), max_size=30)
    ):
        body += quantity(delta)
        if isinstance(event, bytes):
            body += event
            last = None if plain else last
            continue
        status = event[0] | channel
        if not (running and status == last and event[0] != 0xC0):
            body += bytes([status])
        body += bytes(event[1:])
        last = status
    return body + quantity(draw(DELTAS)) + b"\xff\x2f\0"


@settings(max_examples=300)
@given(st.lists(track_bodies(), min_size=1, max_size=4), st.integers(0, 2), st.sampled_from([1, 480, 0xE728]))
def test_fast_reader_is_the_reference(tracks, kind, division):
    data = smf(*tracks, kind=kind, division=division)
    assert bulk.read_undamaged(data, chunks.parse_chunks(data)) is not None
    read(data)


@settings(max_examples=150)
@given(st.binary(max_size=60), track_bodies())
def test_readers_agree_on_any_bytes(noise, sound):
    read(smf(noise, sound))


@settings(max_examples=60)
@given(st.lists(track_bodies(plain=True), min_size=1, max_size=3))
def test_events_are_those_of_mido(bodies):
    data = smf(*bodies)
    header = chunks.parse_chunks(data)
    for (start, stop), track in zip(header.spans, mido.MidiFile(file=io.BytesIO(data), clip=True).tracks, strict=True):
        ours = list(chunks.track_events(data, start, stop))
        assert np.diff([0, *(event.tick for event in ours)]).tolist() == [message.time for message in track]
        for event, message in zip(ours, track, strict=True):
            if not message.is_meta and message.type != "sysex" and event.status < 0xF0:
                assert bytes([event.status]) + event.data == bytes(message.bytes())


# Writing


def piece(
    rows, grid=None, length=None, tempos=((0, 500_000),), metres=((0, 4, 4),), parts=None, names=()
) -> NoteSequence:
    notes, _ = canonical(note_array(rows, parts))
    programs = part_programs(notes).tolist()
    names = own_names(programs, (*names, *[""] * len(programs))[: len(programs)])
    end = max([0, *(notes["onset"] + notes["duration"]).tolist()])
    return NoteSequence(
        notes,
        grid or Grid.beats(4),
        end if length is None else length,
        np.array(list(tempos), TEMPO),
        np.array(list(metres), METRE),
        names,
    )


def back(sequence: NoteSequence) -> NoteSequence:
    """Written, read and quantised."""
    result = read(midi.to_bytes(sequence))
    assert result.oddities == midi.Oddities()
    return quantize(result.sequence, sequence.grid)[0]


def test_bytes_of_a_small_piece():
    sequence = piece([(0, 4, 5, 60, 80), (4, 2, DRUMS, 36, 100)], length=8, metres=[(0, 3, 4)], names=["flute"])
    assert midi.to_bytes(sequence, ["é"]) == smf(
        """
        00 FF 01 02 C3 A9           # text, UTF-8
        00 FF 51 03 07 A1 20        # tempo 500,000
        00 FF 58 04 03 02 18 08     # 3/4
        87 40 FF 2F 00              # tick 960
        """,
        "00 FF 03 05 66 6C 75 74 65  00 C0 05  00 90 3C 50  83 60 80 3C 00  83 60 FF 2F 00",
        "00 FF 03 05 44 72 75 6D 73  00 C9 00  83 60 99 24 64  81 70 89 24 00  81 70 FF 2F 00",
    )


@pytest.mark.parametrize(
    ("grid", "ticks_per_beat", "ticks_per_step"),
    [
        (Grid.beats(1), 480, 480),
        (Grid.beats(480), 480, 1),
        (Grid.beats(7), 483, 69),
        (Grid.beats(Fraction(1, 2)), 480, 960),
        (Grid.beats(Fraction(4, 3)), 480, 360),
        (Grid.beats(384), 768, 2),
        (Grid.beats(32767), 32767, 1),
        (Grid.seconds(100), 500, 10),  # 10 ms
        (Grid.seconds(125), 500, 8),  # 8 ms
        (Grid.seconds(Fraction(2_400_000, 1001)), 480, 1),
    ],
)
def test_every_step_is_a_whole_number_of_ticks(grid, ticks_per_beat, ticks_per_step):
    sequence = piece([(0, 1, 0, 60, 80), (7, 3, 0, 60, 80)], grid, length=1001)
    result = midi.read(midi.to_bytes(sequence)).sequence
    assert result.grid == Grid.beats(ticks_per_beat)
    assert result.notes["onset"].tolist() == [0, 7 * ticks_per_step]
    assert back(sequence) == sequence


def test_time_signature_without_music():
    assert back(piece([], length=5)) == piece([], length=5)
    assert back(piece([], length=0)) == piece([], length=0)


def heads_of(sequence) -> list[tuple[str, int, int | None]]:
    """Name, channel and port of each track after the first."""
    heads = []
    for track in mido.MidiFile(file=io.BytesIO(midi.to_bytes(sequence)), charset="utf-8").tracks[1:]:
        (channel,) = {message.channel for message in track if message.type == "note_on"}
        heads.append((track.name, channel, next((m.port for m in track if m.type == "midi_port"), None)))
    return heads


def test_two_parts_of_one_program_have_two_channels():
    rows = [(0, 2, 5, 60, 80), (0, 4, 5, 60, 81), (0, 2, DRUMS, 36, 80), (1, 2, DRUMS, 36, 80), (2, 2, 5, 60, 80)]
    sequence = piece(rows, parts=[0, 1, 2, 3, 4], names=("", "Óli", "", "", "\x1b"))
    assert heads_of(sequence) == [
        ("Electric Piano 2", 0, None),
        ("Óli", 1, None),
        ("Drums", 9, None),
        ("Drums 2", 9, None),
        ("", 2, None),
    ]
    assert back(sequence).notes.tolist() == sequence.notes.tolist()
    assert back(sequence).part_names == ("", "Óli", "", "", "")


def test_more_than_fifteen_parts_play_on_several_ports():
    rows = [(step, 2, program, 60, 80) for program in [*range(35), DRUMS] for step in (0, 3)]
    sequence = piece(rows)
    assert back(sequence) == sequence
    heads = heads_of(sequence)
    assert heads[-1] == ("Drums", 9, None)
    melodic = [channel for channel in range(16) if channel != 9]
    assert [head[1:] for head in heads[:-1]] == [(melodic[n % 15], n // 15) for n in range(35)]
    assert {head[2] for head in heads_of(piece(rows[:30]))} == {None}


def test_parts_beyond_all_ports_are_read_back(monkeypatch):
    monkeypatch.setattr(writing, "MAX_PORTS", 2)
    rows = [(number % 7, 2, number % 3, 60, 80) for number in range(70)]
    sequence = piece(rows, parts=range(70))
    assert back(sequence) == sequence
    assert {head[2] for head in heads_of(sequence)} == {0, 1}


def test_shared_channels_set_the_program_before_each_note():
    """A player that knows only channels must hear program 20 after program 5 has played there."""
    sequence = piece([(0, 2, program, 60, 80) for program in range(16)] + [(4, 2, 0, 60, 80)])
    file = mido.MidiFile(file=io.BytesIO(midi.to_bytes(sequence)))
    played, program = [], {}
    for message in file:
        if message.type == "program_change":
            program[message.channel] = message.program
        elif message.type == "note_on":
            played.append(program[message.channel])
    assert sorted(played[:16]) == list(range(16))
    assert played[16:] == [0]


NAMES = st.sampled_from(["", "Bass", "Bass", "Gítar 2", "Violin"]) | st.text(max_size=9).map(clean_name)


@st.composite
def pieces(draw) -> NoteSequence:
    metrical = draw(st.booleans())
    if metrical:
        grid = Grid.beats(draw(st.sampled_from([1, 2, 3, 4, 7, 24, 480, 1001, Fraction(1, 4), Fraction(5, 3)])))
    else:
        grid = Grid.parse(draw(st.sampled_from(["10ms", "5ms", "8ms", "1ms", "16ms", "20ms"])))
    row = st.tuples(
        st.integers(0, 60),
        st.integers(1, 30),
        st.integers(0, DRUMS) | st.sampled_from([0, DRUMS]),
        st.integers(0, 127) | st.sampled_from([0, 60, 127]),
        st.integers(1, 127),
    )
    rows = draw(st.lists(row, max_size=40))
    parts = [4 * program + draw(st.integers(0, 3)) for _, _, program, *_ in rows]
    if draw(st.booleans()):
        rows += [(number % 5, 3, number % 11, 60, 64) for number in range(draw(st.integers(14, 50)))]
        parts += range(1000, 1000 + len(rows) - len(parts))
    names = draw(st.lists(NAMES, max_size=4))
    tempos, metres = [(0, 500_000)], [(0, 4, 4)]
    if metrical:
        tempos = [(0, draw(st.integers(1, 2**24 - 1)))]
        metres = [(0, draw(st.integers(1, 255)), draw(st.sampled_from([1, 2, 4, 8, 16, 32, 64, 128])))]
        if draw(st.booleans()):
            tempos.append((draw(st.integers(1, 50)), tempos[0][1] % 1000 + 1))
            metres.append((draw(st.integers(1, 50)), metres[0][1] % 255 + 1, 4))
        tempos = tempos[:1] if tempos[-1][1] == tempos[0][1] else tempos
    length = max([50, *(onset + duration for onset, duration, *_ in rows)]) + draw(st.integers(0, 9))
    keys = sorted(draw(st.dictionaries(st.integers(0, 50), st.integers(-7, 7), max_size=3)).items())
    keys = tidy_marks(np.array([(step, fifths, fifths % 2) for step, fifths in keys], KEY))
    return replace(piece(rows, grid, length, tempos, metres, parts, names), keys=keys)


@settings(max_examples=100)
@given(pieces())
def test_what_is_written_is_read(sequence):
    assert back(sequence) == sequence


@pytest.mark.parametrize(
    ("sequence", "message"),
    [
        (
            piece([], Grid.beats(32768), 1),
            "32768 steps per beat has no whole number of MIDI ticks in a step; quantize to another",
        ),
        (piece([], Grid.seconds(Fraction(99991, 7919)), 1), "no whole number of MIDI ticks"),
        (piece([], tempos=[(0, 2**24)]), "tempo 16777216 at step 0: expected 1..16777215"),
        (piece([], tempos=[(0, 0)]), "tempo 0 at step 0"),
        (piece([], metres=[(0, 4, 3)]), "metre 4/3 at step 0: expected 1..255 over a power of two to 128"),
        (piece([], metres=[(0, 256, 4)]), "metre 256/4"),
        (piece([], metres=[(0, 0, 4)]), "metre 0/4"),
        (piece([], length=2**27 // 120 + 1), "134,217,840 ticks: expected at most 134,217,728"),
    ],
)
def test_what_has_no_place_in_a_file(sequence, message):
    with pytest.raises(MidiError, match=message):
        midi.to_bytes(sequence)


def test_longest_piece():
    sequence = piece([(2**27 // 120 - 1, 1, 0, 60, 80)])
    assert back(sequence) == sequence


def test_write_replaces_the_file_at_once(tmp_path, monkeypatch):
    path = tmp_path / "song.mid"
    sequence = piece([(0, 4, 0, 60, 80)])
    midi.write(sequence, path, ["made in a test"])
    assert path.read_bytes() == midi.to_bytes(sequence, ["made in a test"])
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask

    def fail(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(
        MidiError,
        match=r"cannot write .*song.mid: No space left on device; free some space there, or choose another place",
    ):
        midi.write(piece([]), path)
    assert path.read_bytes() == midi.to_bytes(sequence, ["made in a test"])
    assert os.listdir(tmp_path) == ["song.mid"]


def test_write_to_no_folder(tmp_path):
    with pytest.raises(MidiError, match="cannot write .*: No such file or directory"):
        midi.write(piece([]), tmp_path / "none" / "song.mid")


# Players


def test_players_are_given_the_file_itself():
    """Its bends and controllers, up to the bar line after its last note."""
    body = name(b"\xff") + "00 B0 07 10  00 E0 00 60" + ONE + "8F 00 90 3C 40  08 80 3C 00  9E 00 B0 07 00  60 FF 2F 00"
    data = smf(body)
    reading = midi.read(data)
    messages = midi.own_messages(b"preamble" + data, reading)
    assert messages is not None
    assert midi.read(messages).sequence == reading.sequence.trimmed()
    (track,) = mido.MidiFile(file=io.BytesIO(messages), charset="latin-1").tracks
    assert [message.type for message in track] == [
        "track_name", "control_change", "pitchwheel", *["note_on", "note_off"] * 2, "end_of_track",
    ]  # fmt: skip
    assert sum(message.time for message in track) == 1920 * 2


@pytest.mark.parametrize(
    "data",
    [
        smf(ONE),  # damaged
        smf(ONE + END, kind=7),
        smf(ONE + END, kind=2),
        smf(ONE + END, division=0xE728),  # in seconds
        smf(ONE + END, "00 FF 21 01 01" + ONE + END),  # two ports
        smf("00 F8" + ONE + END),
        smf("00 FF 51 02 00 00" + ONE + END),  # what mido refuses
    ],
)
def test_players_are_given_notes_where_the_file_would_mislead_them(data):
    assert midi.own_messages(data, midi.read(data)) is None


def test_what_notes_leave_out():
    body = "00 B0 07 10  00 07 11  00 0A 40  00 40 7F  00 00 01  00 03 01  00 E0 00 40  00 E0 00 41  00 D0 05"
    assert midi.left_out(smf(body + "00 FF 05 02 61 68" + END)) == {
        "volume": 2, "pan": 1, "controller 3": 1, "pitch bends": 1, "aftertouch": 1, "lyrics": 1,
    }  # fmt: skip
    assert midi.left_out(smf(ONE + END)) == {}


# Folders


def test_find_files(tmp_path):
    for name in ("b.MID", "a/z.midi", "a/c.Kar", "a.smf", "a/notes.txt", "mid", "a/.mid.bak", "A.mid"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "folder.mid").mkdir()
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    (tmp_path / "0").symlink_to(tmp_path / "a")  # within the tree: a file is found where it really is
    (tmp_path / "gone.mid").symlink_to(tmp_path / "nothing")
    found = midi.find_files(tmp_path)
    assert all(Path(path) == tmp_path / name for name, path in found.items())
    assert list(found) == ["A.mid", "a.smf", "a/c.Kar", "a/z.midi", "b.MID"]


def test_find_files_through_links_once(tmp_path):
    for name in ("outside/x.mid", "music/b.mid"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    for name in ("one", "two"):
        (tmp_path / "music" / name).symlink_to(tmp_path / "outside")
    (tmp_path / "outside" / "loop").symlink_to(tmp_path / "outside")
    assert list(midi.find_files(tmp_path / "music")) == ["b.mid", "one/x.mid"]


def test_find_files_passes_over_what_it_may_not_list(tmp_path, monkeypatch):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.mid").touch()
    (tmp_path / "b.mid").touch()
    scandir = os.scandir

    def refuse(path):
        if os.fspath(path).endswith("a"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    unlisted = {}
    assert midi.find_files(tmp_path, unlisted) == midi.find_files(tmp_path) == {"b.mid": str(tmp_path / "b.mid")}
    assert unlisted == {"a/": "cannot list the folder: Permission denied"}


def test_find_files_in_nothing(tmp_path):
    assert midi.find_files(tmp_path) == midi.find_files(tmp_path / "none") == {}


def test_another_format_is_a_line_of_the_table(tmp_path, monkeypatch):
    """Its files are found, and read by its own reader, from a path as from bytes; an unknown suffix is read as MIDI."""
    song = piece([(0, 4, 5, 60, 80)])
    monkeypatch.setitem(midi.READERS, ".txt", lambda data: midi.Reading(song.transpose(len(data)), midi.Oddities()))
    (tmp_path / "a.TXT").write_bytes(b"abc")
    midi.write(song, tmp_path / "b.mid")
    assert list(midi.find_files(tmp_path)) == ["a.TXT", "b.mid"]
    assert midi.read(tmp_path / "a.TXT").sequence == midi.read(b"abc", ".txt").sequence == song.transpose(3)
    (tmp_path / "b.mid").rename(tmp_path / "b.bin")
    assert len(midi.read(tmp_path / "b.bin").sequence) == 1


# pretty_midi


def test_pretty_midi_and_back():
    sequence = piece(
        [(0, 4, 5, 60, 80), (4, 4, 5, 60, 81), (4, 2, DRUMS, 36, 100), (8, 8, 40, 70, 1)],
        tempos=[(0, 500_000), (8, 250_000)],
        metres=[(0, 3, 4), (12, 6, 8)],
    )
    pm = midi.to_pretty_midi(sequence)
    assert [(i.program, i.is_drum, len(i.notes)) for i in pm.instruments] == [
        (5, False, 2),
        (0, True, 1),
        (40, False, 1),
    ]
    assert pm.get_end_time() == pytest.approx(1.0 + 0.5)  # 8 steps at 120 qpm, 8 at 240
    assert midi.from_pretty_midi(pm, Grid.beats(4)) == sequence
    assert midi.from_pretty_midi(pm).grid == Grid.beats(480)


@pytest.mark.parametrize("minor", [0, 1])
def test_pretty_midi_knows_keys_but_not_how_they_are_spelled(minor):
    for fifths in range(-7, 8):
        sequence = replace(piece([(0, 4, 5, 60, 80)]), keys=np.array([(0, fifths, minor)], KEY))
        found = midi.from_pretty_midi(midi.to_pretty_midi(sequence)).keys.tolist()
        assert found == [(0, (fifths + 5) % 12 - 5, minor)]


def test_instruments_of_pretty_midi_are_parts():
    rows = [(0, 4, 5, 60, 80), (0, 4, 5, 60, 81), (4, 2, DRUMS, 36, 100)]
    sequence = piece(rows, parts=[0, 1, 2], names=["first", "", "kit"])
    pm = midi.to_pretty_midi(sequence)
    assert [instrument.name for instrument in pm.instruments] == ["first", "Electric Piano 2", "kit"]
    assert midi.from_pretty_midi(pm, Grid.beats(4)) == sequence
    pm.instruments.insert(0, pretty_midi.Instrument(3, name="of no note"))
    pm.instruments.reverse()  # parts that begin together with one program stay in the order of the instruments
    assert midi.from_pretty_midi(pm, Grid.beats(4)).part_names == ("", "first", "kit")


def test_from_pretty_midi_of_seconds():
    pm = pretty_midi.PrettyMIDI(resolution=500)
    pm.instruments.append(pretty_midi.Instrument(3))
    pm.instruments[0].notes += [pretty_midi.Note(80, 60, 0.5, 0.75), pretty_midi.Note(80, 61, 0.5, 0.5)]
    sequence = midi.from_pretty_midi(pm, Grid.parse("10ms"))
    assert rows_of(sequence.notes) == [(50, 25, 3, 60, 80)]
    assert sequence.length == 75
