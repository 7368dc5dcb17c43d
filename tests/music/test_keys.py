"""Pitch classes and keys, on notes that can be checked by hand."""

import numpy as np

from melodygru.music.grid import Grid
from melodygru.music.keys import commonest_share, key_signature, pitch_class_weights
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


def test_the_share_of_the_commonest_key():
    assert commonest_share([0, 0, 2, None]) == 2 / 3
    assert commonest_share([]) == 0.0
