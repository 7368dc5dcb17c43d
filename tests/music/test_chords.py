"""Chords of pieces made by hand, and the names of their codes."""

from dataclasses import replace

import numpy as np
import pytest

from melodygru.music.chords import N_CHORDS, N_QUALITIES, chord_code, chord_codes, chord_name, half_bar_chords
from melodygru.music.grid import Grid
from melodygru.music.harmony import parse_chord, parse_chords
from melodygru.music.notes import DRUMS, NoteSequence, canonical, note_array

STEPS = 16  # of a bar of 4/4, at 4 steps a beat


def piece(*chords, length=STEPS, program=0):
    """A piece of chords, tuples of pitches, one after the other."""
    rows = [(number * length, length, program, pitch, 80) for number, pitches in enumerate(chords) for pitch in pitches]
    return NoteSequence(canonical(note_array(rows))[0], Grid.beats(4), length * len(chords))


C, AM, F, G7 = (48, 64, 67, 72), (45, 60, 64, 69), (41, 60, 65, 69), (43, 59, 62, 65)


def names(sequence):
    return [chord_name(code) for code in half_bar_chords(sequence)]


def test_a_chord_a_bar_and_a_chord_a_half_bar():
    assert names(piece(C, AM, F, G7)) == ["C", "C", "Am", "Am", "F", "F", "G7", "G7"]
    assert names(piece(C, AM, F, G7, length=8)) == ["C", "Am", "F", "G7"]


def test_the_bass_decides_between_a_sixth_and_a_seventh():
    assert names(piece((45, 60, 64, 67))) == ["Am7", "Am7"]


def test_drums_dont_count_and_silence_has_no_chord():
    assert names(piece(C, (), program=0))[2:] == ["N.C.", "N.C."]
    assert names(piece(C, (), G7, length=8)) == ["C", "C", "G7", "G7"]
    assert names(piece(C, program=DRUMS)) == ["N.C.", "N.C."]


def test_a_passing_note_changes_nothing():
    song = piece(C, C)
    passing = note_array([(6, 2, 0, 74, 80), (14, 2, 0, 77, 80)])
    assert names(replace(song, notes=canonical(np.concatenate([song.notes, passing]))[0])) == ["C"] * 4


def test_without_beats_or_notes():
    song = piece(C)
    assert len(half_bar_chords(replace(song, grid=Grid.seconds(100)))) == 0
    assert half_bar_chords(replace(song, notes=song.notes[:0])).tolist() == [0, 0]
    assert half_bar_chords(song).dtype == np.int8


def test_every_code_has_a_name_of_its_own():
    assert len({chord_name(code) for code in range(N_CHORDS)}) == N_CHORDS
    assert chord_name(0) == "N.C."
    assert chord_name(1 + 9 * N_QUALITIES + 4) == "Am7"


def test_roots_are_spelled_in_the_key():
    code = 1 + 6 * N_QUALITIES
    assert chord_name(code) == "F#"
    assert chord_name(code, fifths=-5) == "Gb"
    assert chord_name(1 + 10 * N_QUALITIES) == "Bb"
    assert chord_name(1 + 8 * N_QUALITIES, fifths=4) == "G#"


def test_every_name_gives_its_code_back():
    for fifths in range(-7, 8):
        names = [chord_name(code, fifths) for code in range(N_CHORDS)]
        assert [chord_code(parse_chord(name)) for name in names] == list(range(N_CHORDS))


@pytest.mark.parametrize(
    ("symbol", "simple"),
    [("C9", "C7"), ("Am11", "Am7"), ("G13", "G7"), ("G7#9", "G7"), ("Cmaj9", "Cmaj7"), ("C6/9", "C"), ("Am6", "Am"),
     ("C5", "C"), ("Csus2", "Csus4"), ("C7sus4", "Csus4"), ("C11", "Csus4"), ("Bdim7", "Bdim"), ("Caug", "C"),
     ("Am/G", "Am7")],
)  # fmt: skip
def test_the_nearest_code(symbol, simple):
    assert chord_name(chord_code(parse_chord(symbol))) == simple


def test_codes_of_bars_that_come_over_and_over():
    def names(text, n_bars):
        return [chord_name(code) for code in chord_codes(parse_chords(text), n_bars)]

    assert names("C | F G", 3) == ["C", "C", "F", "G", "C", "C"]
    assert names("C F G | A B D E", 2) == ["C", "G", "A", "D"]
    assert names("N.C.", 1) == ["N.C.", "N.C."]
    assert names("C", 0) == []
