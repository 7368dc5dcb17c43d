"""The form of pieces made by hand: which bar returns to which."""

from dataclasses import replace

import numpy as np

from melodygru.music.form import WINDOW, bar_returns
from melodygru.music.grid import Grid
from melodygru.music.notes import DRUMS, NoteSequence, canonical, note_array

STEPS = 16  # of a bar of 4/4, at 4 steps a beat


def bar(number, pitches, length=4, program=0):
    """Rows of a bar: pitches one after the other, each so many steps long."""
    return [(number * STEPS + place * length, length, program, pitch, 80) for place, pitch in enumerate(pitches)]


def piece(*bars, drums=False):
    """A piece of bars, each a list of pitches; None is a silent bar. With drums, one stroke of them every beat."""
    rows = [row for number, pitches in enumerate(bars) for row in bar(number, pitches or [])]
    if drums:
        rows += [row for number in range(len(bars)) for row in bar(number, [36, 38, 36, 38], program=DRUMS)]
    return NoteSequence(canonical(note_array(rows))[0], Grid.beats(4), STEPS * len(bars))


A = ([60, 64, 67, 72], [62, 65, 69, 74], [59, 62, 67, 71], [60, 60, 64, 60])
B = ([70, 66, 63], [54, 57], [51], [66, 63, 61])


def test_aaba():
    returns = bar_returns(piece(*A, *A, *B, *A))
    assert returns.tolist() == [-1, -1, -1, -1, 0, 1, 2, 3, -1, -1, -1, -1, 0, 1, 2, 3]
    assert returns.dtype == np.int64


def test_drums_that_never_change_dont_hide_the_form():
    assert bar_returns(piece(*A, *A, *B, *A, drums=True)).tolist() == bar_returns(piece(*A, *A, *B, *A)).tolist()


def test_a_section_returns_on_other_pitches():
    moved = [[pitch + 5 for pitch in pitches] for pitches in A]
    assert bar_returns(piece(*A, *B, *moved)).tolist() == [-1] * 8 + [0, 1, 2, 3]


def test_bars_of_one_kind_return_to_what_lies_four_before():
    assert bar_returns(piece(*[A[0]] * 12))[8:].tolist() == [4, 5, 6, 7]


def test_a_silent_bar_returns_nowhere_and_doesnt_break_what_goes_on():
    assert bar_returns(piece(*A, *B, A[0], A[1], None, A[3])).tolist() == [-1] * 8 + [0, 1, -1, 3]


def test_the_grid_doesnt_matter():
    song = piece(*A, *B, *A)
    fine = replace(song, notes=song.notes.copy(), grid=Grid.beats(480), length=song.length * 120)
    fine.notes["onset"] = song.notes["onset"] * 120 + 7 * (np.arange(len(song)) % 3)  # 7 ticks are less than a 64th
    fine.notes["duration"] = 100
    assert bar_returns(fine).tolist() == bar_returns(song).tolist()


def test_without_beats_or_notes():
    song = piece(*A)
    assert bar_returns(replace(song, grid=Grid.seconds(100))).tolist() == []
    assert bar_returns(replace(song, notes=song.notes[:0])).tolist() == [-1] * 4
    assert bar_returns(replace(song, notes=song.notes[:0], length=0)).tolist() == []


def test_long_pieces_look_back_as_far_as_the_window():
    between = [[40 + number % 40, 41 + number // 40] for number in range(2 * WINDOW)]
    returns = bar_returns(piece(*A, *between, *A, *A))
    assert (returns[-4:] == np.arange(4) + 2 * WINDOW + 4).all()
    assert (np.arange(len(returns)) - returns)[returns >= 0].max() <= WINDOW
