"""Notes of a MIDI file exchanged: what stays is what it was, bytes and ticks."""

import numpy as np
import pytest

from melodygru import midi
from melodygru.errors import MidiError
from melodygru.midi.editing import Editor
from melodygru.music.notes import DRUMS, note_array


def file_of(*tracks, kind=1):
    """A file of tracks given as bytes, 96 ticks a beat."""
    head = b"MThd" + bytes([0, 0, 0, 6, 0, kind, 0, len(tracks), 0, 96])
    return head + b"".join(b"MTrk" + len(track).to_bytes(4, "big") + track for track in tracks)


# A violin on channel 1 that becomes a flute, by running status; a controller between; a note-on of velocity 0 ends one.
TRACK = bytes.fromhex(
    "00 c028  00 9040 50  30 4000  00 b00760  30 c049  00 904550  60 804510  00 ff2f00".replace(" ", "")
)


def rows(data):
    return midi.read(data).sequence.notes[["onset", "duration", "program", "pitch", "velocity"]].tolist()


def exchanged(data, stays, added=(), parts=None):
    notes = note_array(added, parts if parts is not None else [0] * len(added))
    return Editor(data).exchange(np.array(stays, bool), notes)


def test_nothing_exchanged_is_the_same_music():
    data = file_of(TRACK)
    assert rows(exchanged(data, [True, True])) == rows(data) == [(0, 48, 40, 64, 80), (96, 96, 73, 69, 80)]


def test_a_note_goes_and_every_other_message_stays():
    out = exchanged(file_of(TRACK), [False, True])
    assert out == file_of(bytes.fromhex("00c028 30b00760 30c049 00904550 60804510 00ff2f00".replace(" ", "")))


def test_a_note_of_a_program_that_is_not_in_force_is_framed_by_its_own():
    out = exchanged(file_of(TRACK), [True, True], [(100, 10, 40, 50, 70)])
    assert rows(out) == [(0, 48, 40, 64, 80), (96, 96, 73, 69, 80), (100, 10, 40, 50, 70)]
    assert b"\xc0\x28\x00\x90\x32\x46\x00\xc0\x49" in out


@pytest.mark.parametrize(
    ("added", "found"),
    [
        ((10, 20, 40, 64, 70), []),  # inside a kept note: nothing is left
        ((10, 50, 40, 64, 70), [(48, 12, 40, 64, 70)]),  # it comes after it
        ((48, 10, 40, 64, 70), [(48, 10, 40, 64, 70)]),
    ],
)
def test_nothing_sounds_over_a_kept_note_of_its_pitch(added, found):
    out = rows(exchanged(file_of(TRACK), [True, True], [added]))
    assert (0, 48, 40, 64, 80) in out
    assert [row for row in out if row[4] == 70] == found


def test_a_note_that_the_next_one_ended_ends_there_still():
    # Two strikes of one pitch with both note-offs after the second: the first ends where the second begins.
    track = bytes.fromhex("00903c50 30903c50 30803c40 30803c40 00ff2f00".replace(" ", ""))
    assert rows(file_of(track)) == [(0, 48, 0, 60, 80), (48, 96, 0, 60, 80)]
    assert rows(exchanged(file_of(track), [True, False])) == [(0, 48, 0, 60, 80)]
    assert rows(exchanged(file_of(track), [False, True])) == [(48, 96, 0, 60, 80)]


@pytest.mark.parametrize("kind", [0, 1])
def test_new_parts_get_channels_of_their_own(kind):
    added = [(0, 96, 0, 50, 70), (0, 10, DRUMS, 36, 90)]
    out = exchanged(file_of(TRACK, kind=kind), [True, True], added, [2, 3])
    assert rows(file_of(TRACK)) == [row for row in rows(out) if row[4] == 80]
    assert sorted(midi.read(out).sequence.part_programs.tolist()) == [0, 40, 73, DRUMS]
    assert out[9] == kind


def test_a_text_takes_the_place_of_the_one_before():
    once = Editor(file_of(TRACK)).with_text("mark one", "mark")
    assert midi.read_texts(once) == ["mark one"]
    assert midi.read_texts(Editor(once).with_text("mark two", "mark")) == ["mark two"]
    assert rows(once) == rows(file_of(TRACK))


def test_patterns_are_refused():
    with pytest.raises(
        MidiError, match="^a file of type 2, whose tracks follow one another: expected one of type 0 or 1$"
    ):
        Editor(file_of(TRACK, kind=2))
