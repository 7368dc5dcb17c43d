"""melodygru.midi: the written rule case by case, both readers held equal, damage, writing and round trips."""

import io
import os
import stat
import struct
from fractions import Fraction
from pathlib import Path

import mido
import numpy as np
import pretty_midi
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from melodygru import midi
from melodygru.errors import MidiError
from melodygru.midi import bulk, reading
from melodygru.music.grid import Grid
from melodygru.music.metre import METRE
from melodygru.music.notes import DRUMS, NOTE, TEMPO, NoteSequence, canonical
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
    return result.sequence.notes.tolist(), result.oddities.as_dict()


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
    assert result.sequence.notes.tolist() == [(0, 96, 0, 60, 64)]
    assert result.sequence.length == 128
    assert result.sequence.grid == Grid.beats(480)
    assert result.sequence.metre == (4, 4)
    assert result.sequence.qpm == 120
    assert result.oddities == midi.Oddities()
    assert result.lost == 0
    assert bulk.read_undamaged(data, reading.parse_chunks(data)) is not None


def test_running_status_and_note_on_of_velocity_0():
    data = smf("00 90 3C 40  10 3C 00  00 3E 41  83 00 3E 00" + END)  # 83 00 is a delta time of 384
    assert read_notes(data) == ([(0, 16, 0, 60, 64), (16, 384, 0, 62, 65)], {})


def test_running_status_outlives_meta_and_sysex():
    data = smf("00 90 3C 40  00 FF 01 02 68 69  00 F0 02 01 F7  10 3C 00" + END)
    assert read_notes(data) == ([(0, 16, 0, 60, 64)], {})


def test_running_status_of_one_data_byte():
    data = smf("00 C0 05  00 06  00 90 3C 40  10 80 3C 00" + END)
    assert bulk.read_undamaged(data, reading.parse_chunks(data)) is None
    assert read_notes(data) == ([(0, 16, 6, 60, 64)], {})


def test_running_status_does_not_cross_tracks():
    data = smf("00 90 3C 40  10 3C 00" + END, "00 3E 40  10 3E 00" + END)
    assert read_notes(data) == ([(0, 16, 0, 60, 64)], {"broken_tracks": 1})


def test_note_struck_again_ends_there():
    data = smf("00 90 3C 40  08 90 3C 50  08 80 3C 00  08 80 3C 00" + END)
    assert read_notes(data) == ([(0, 8, 0, 60, 64), (8, 8, 0, 60, 80)], {"restruck": 1, "stray_note_offs": 1})


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
    assert read_notes(data) == ([(0, 8, 0, 60, 65)], {"zero_length": 1, "stray_note_offs": 1})


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
        ("00 B0 40 7F  00 90 3C 40  08 80 3C 00  18 FF 2F 00", 32, 1),  # never up: the end of the track
        ("00 90 3C 40  08 80 3C 00  00 B0 40 7F  08 B0 40 00  08 FF 2F 00", 16, 1),  # down in the release's tick
        ("00 B0 40 7F  00 90 3C 40  08 B0 40 00  00 80 3C 00  08 FF 2F 00", 8, 0),  # up in the release's tick
        ("00 B0 40 7F  00 90 3C 40  08 80 3C 00  08 B0 79 00  08 FF 2F 00", 16, 1),  # reset all controllers
        ("00 B1 40 7F  00 90 3C 40  08 80 3C 00  08 FF 2F 00", 8, 0),  # another channel's pedal
        ("00 B0 40 7F  00 90 3C 40  18 FF 2F 00", 24, 0),  # hanging: nothing to prolong
    ],
)
def test_pedal(body, duration, pedalled):
    result = read(smf(body))
    assert result.sequence.notes["duration"].tolist() == [duration]
    assert result.oddities.pedalled == pedalled
    assert result.lost == 0


def test_pedal_holds_until_the_pitch_is_struck_again():
    data = smf("00 B0 40 7F  00 90 3C 40  08 80 3C 00  08 90 3C 41  08 80 3C 00  08 B0 40 00" + END)
    assert read_notes(data) == ([(0, 16, 0, 60, 64), (16, 16, 0, 60, 65)], {"pedalled": 2})


def test_pedal_of_one_track_holds_the_notes_of_another():
    data = smf("00 B0 40 7F  20 B0 40 00" + END, "00 90 3C 40  08 80 3C 00" + END)
    assert read_notes(data) == ([(0, 32, 0, 60, 64)], {"pedalled": 1})


def test_drums_have_no_pedal():
    data = smf("00 B9 40 7F  00 99 3C 40  08 89 3C 00  08 B9 40 00" + END)
    assert read_notes(data) == ([(0, 8, DRUMS, 60, 64)], {})


@pytest.mark.parametrize("controller", ["78", "7B"])
def test_all_off_ends_the_notes_of_its_channel(controller):
    data = smf(f"00 90 3C 40  00 91 3E 40  08 B0 {controller} 00  08 80 3C 00  00 81 3E 00" + END)
    assert read_notes(data) == ([(0, 8, 0, 60, 64), (0, 16, 0, 62, 64)], {"silenced": 1})


def test_all_off_spares_the_notes_that_begin_with_it():
    assert read_notes(smf("00 90 3C 40  00 B0 7B 00  08 80 3C 00" + END)) == ([(0, 8, 0, 60, 64)], {})


def test_tracks_of_one_program_are_made_canonical():
    data = smf(
        "00 90 3C 40  10 80 3C 00  00 90 3E 40  10 80 3E 00" + END,
        "00 91 3C 41  08 81 3C 00  10 91 3E 41  10 81 3E 00" + END,
    )
    assert read_notes(data) == ([(0, 16, 0, 60, 64), (16, 8, 0, 62, 64), (24, 16, 0, 62, 65)], {"merged": 1, "cut": 1})
    assert read(data).lost == 2


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
    "mark", ["FF 51 03 00 00 00", "FF 51 02 07 A1", "FF 58 04 00 02 18 08", "FF 58 04 04 08 18 08", "FF 58 01 04"]
)
def test_mark_that_means_nothing_is_ignored(mark):
    result = read(smf(f"00 {mark}  10 FF 2F 00"))
    assert result.oddities == midi.Oddities(bad_marks=1)
    assert result.lost == 0
    assert result.sequence.tempos.tolist() == [(0, 500_000)]
    assert result.sequence.metres.tolist() == [(0, 4, 4)]


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
    assert result.sequence.notes.tolist() == [(0, 2**27, 0, 60, 64), (2**27 - 2, 1, 0, 62, 64)]
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
        "00 90 3E C0",  # a data byte above 127
        "00 90 BE 40",
        "00 F4",  # undefined
        "00 F8",  # real time
        "00 FF 01 7F 41",  # text that claims 127 bytes
        "00 FF 2F 05",  # end_of_track likewise
        "00 FF 01 FF FF FF FF 7F",
        "00 F0 83 FF FF 7F 01",  # system exclusive of 8 MB
    ],
)
def test_broken_track_keeps_what_was_read(rest):
    result = read(smf(NOTE_96 + rest, NOTE_96.replace("3C", "40") + END))
    assert result.sequence.notes.tolist() == [(0, 96, 0, 60, 64), (0, 96, 0, 64, 64)]
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
    assert read_notes(data) == ([(0, 96, 0, 60, 64), (0, 96, 0, 64, 64)], {"broken_tracks": 1})


def test_header_that_claims_65535_tracks():
    data = bytearray(smf(NOTE_96 + END))
    data[10:12] = b"\xff\xff"
    assert read_notes(bytes(data)) == ([(0, 96, 0, 60, 64)], {})


def test_header_that_claims_no_track():
    data = bytearray(smf(NOTE_96 + END))
    data[10:12] = b"\0\0"
    assert read_notes(bytes(data)) == ([(0, 96, 0, 60, 64)], {})


def test_longer_header_other_chunks_and_garbage():
    data = b"MThd" + struct.pack(">IHHH", 8, 1, 1, 480) + b"\1\2" + chunk("01 02 03", b"XFIH")
    data += chunk(NOTE_96 + END) + bytes(range(200, 256)) + chunk(NOTE_96.replace("3C", "40") + END) + b"\xff" * 9
    assert read_notes(data) == ([(0, 96, 0, 60, 64), (0, 96, 0, 64, 64)], {})


def test_riff_wrapper():
    data = smf(NOTE_96 + END)
    data = b"RIFF" + struct.pack("<I", len(data) + 12) + b"RMIDdata" + struct.pack("<I", len(data)) + data
    assert read_notes(data) == ([(0, 96, 0, 60, 64)], {})


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
        (smf(END, kind=3), "type 3: expected 0, 1 or 2"),
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
    st.tuples(st.just(0xC0), st.integers(0, 3)),
    st.tuples(st.just(0xE0), st.just(0), st.just(64)),
)
OTHER_EVENTS = st.sampled_from(
    [
        unhex(text)
        for text in (
            "FF 51 03 07 A1 20",
            "FF 51 03 03 A1 20",
            "FF 51 03 00 00 00",
            "FF 58 04 03 02 18 08",
            "FF 58 04 06 03 18 08",
            "FF 01 03 90 3C FF",
            "F0 04 10 3C 40 F7",
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
    assert bulk.read_undamaged(data, reading.parse_chunks(data)) is not None
    read(data)


@settings(max_examples=150)
@given(st.binary(max_size=60), track_bodies())
def test_readers_agree_on_any_bytes(noise, sound):
    read(smf(noise, sound))


@settings(max_examples=60)
@given(st.lists(track_bodies(plain=True), min_size=1, max_size=3))
def test_events_are_those_of_mido(bodies):
    data = smf(*bodies)
    header = reading.parse_chunks(data)
    for (start, stop), track in zip(header.spans, mido.MidiFile(file=io.BytesIO(data)).tracks, strict=True):
        ours = list(reading.track_events(data[start:stop]))
        assert np.diff([0, *(event.tick for event in ours)]).tolist() == [message.time for message in track]
        for event, message in zip(ours, track, strict=True):
            if not message.is_meta and message.type != "sysex" and event.status < 0xF0:
                assert bytes([event.status]) + event.data == bytes(message.bytes())


# Writing


def piece(rows, grid=None, length=None, tempos=((0, 500_000),), metres=((0, 4, 4),)) -> NoteSequence:
    notes, _ = canonical(np.array(rows, NOTE))
    end = max([0, *(notes["onset"] + notes["duration"]).tolist()])
    return NoteSequence(
        notes,
        grid or Grid.beats(4),
        end if length is None else length,
        np.array(list(tempos), TEMPO),
        np.array(list(metres), METRE),
    )


def back(sequence: NoteSequence) -> NoteSequence:
    """Written, read and quantised."""
    result = read(midi.to_bytes(sequence))
    assert result.oddities == midi.Oddities()
    return quantize(result.sequence, sequence.grid)[0]


def test_bytes_of_a_small_piece():
    sequence = piece([(0, 4, 5, 60, 80), (4, 2, DRUMS, 36, 100)], length=8, metres=[(0, 3, 4)])
    assert midi.to_bytes(sequence, ["é"]) == smf(
        """
        00 FF 01 02 C3 A9           # text, UTF-8
        00 FF 51 03 07 A1 20        # tempo 500,000
        00 FF 58 04 03 02 18 08     # 3/4
        87 40 FF 2F 00              # tick 960
        """,
        "00 C0 05  00 90 3C 50  83 60 80 3C 00  83 60 FF 2F 00",
        "00 C9 00  83 60 99 24 64  81 70 89 24 00  81 70 FF 2F 00",
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


def test_many_programs_share_channels():
    sequence = piece([(step, 2, program, 60, 80) for program in [*range(40), DRUMS] for step in (0, 3)])
    assert back(sequence) == sequence
    channels = [
        {message.channel for message in track if message.type == "note_on"}
        for track in mido.MidiFile(file=io.BytesIO(midi.to_bytes(sequence))).tracks[1:]
    ]
    assert channels[-1] == {9}
    assert all(len(used) == 1 and used != {9} for used in channels[:-1])
    assert len(set.union(*channels)) == 16


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
    if draw(st.booleans()):
        rows += [(program % 5, 3, program, 60, 64) for program in range(draw(st.integers(14, 50)))]
    tempos, metres = [(0, 500_000)], [(0, 4, 4)]
    if metrical:
        tempos = [(0, draw(st.integers(1, 2**24 - 1)))]
        metres = [(0, draw(st.integers(1, 255)), draw(st.sampled_from([1, 2, 4, 8, 16, 32, 64, 128])))]
        if draw(st.booleans()):
            tempos.append((draw(st.integers(1, 50)), tempos[0][1] % 1000 + 1))
            metres.append((draw(st.integers(1, 50)), metres[0][1] % 255 + 1, 4))
        tempos = tempos[:1] if tempos[-1][1] == tempos[0][1] else tempos
    length = max([50, *(onset + duration for onset, duration, *_ in rows)]) + draw(st.integers(0, 9))
    return piece(rows, grid, length, tempos, metres)


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
    assert midi.find_files(tmp_path) == {"b.mid": str(tmp_path / "b.mid")}


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
        (40, False, 1),
        (0, True, 1),
    ]
    assert pm.get_end_time() == pytest.approx(1.0 + 0.5)  # 8 steps at 120 qpm, 8 at 240
    assert midi.from_pretty_midi(pm, Grid.beats(4)) == sequence
    assert midi.from_pretty_midi(pm).grid == Grid.beats(480)


def test_from_pretty_midi_of_seconds():
    pm = pretty_midi.PrettyMIDI(resolution=500)
    pm.instruments.append(pretty_midi.Instrument(3))
    pm.instruments[0].notes += [pretty_midi.Note(80, 60, 0.5, 0.75), pretty_midi.Note(80, 61, 0.5, 0.5)]
    sequence = midi.from_pretty_midi(pm, Grid.parse("10ms"))
    assert sequence.notes.tolist() == [(50, 25, 3, 60, 80)]
    assert sequence.length == 75
