"""Pitch classes and keys, on notes that can be checked by hand."""

import numpy as np
import pytest

from melodygru.music.grid import Grid
from melodygru.music.keys import KeySignature, commonest_share, estimate_key, key_signature, pitch_class_weights
from melodygru.music.notes import DRUMS, NOTE, NoteSequence

C_MAJOR = (60, 62, 64, 65, 67, 69, 71)


def piece(*pitches, program=0, duration=1):
    notes = np.zeros(len(pitches), NOTE)
    notes["onset"] = np.arange(len(pitches)) * duration
    notes["duration"], notes["program"], notes["pitch"], notes["velocity"] = duration, program, pitches, 80
    return NoteSequence(notes, Grid.beats(4), len(pitches) * duration)


def test_pitch_classes_are_weighted_by_duration_and_leave_drums_out():
    assert pitch_class_weights(piece(60, 72, 61, duration=3)).tolist() == [6, 3, *[0] * 10]
    assert not pitch_class_weights(piece(60, program=DRUMS)).any()


def test_the_white_keys_are_no_semitones_above_c_wherever_they_start():
    assert key_signature(piece(*C_MAJOR)) == 0
    assert key_signature(piece(*sorted(p - 3 for p in C_MAJOR))) == 9
    assert key_signature(piece()) is None


@pytest.mark.parametrize("up", [0, 5])
@pytest.mark.parametrize(("first", "last", "fifths"), [(67, 67, 1), (67, 62, 1), (62, 62, 2)])
def test_where_five_notes_leave_it_open_the_first_and_the_last_say_the_key(first, last, fifths, up):
    tune = (first, 62, 64, 67, 69, 71, 74, 71, 69, 67, 64, 62, 74, 71, 67, 69, 64, last)  # neither C nor C sharp nor F
    assert estimate_key(piece(*[pitch + up for pitch in tune]).notes) == KeySignature(fifths - up // 5)


def test_the_share_of_the_commonest_key():
    assert commonest_share([0, 0, 2, None]) == 2 / 3
    assert commonest_share([]) == 0.0
