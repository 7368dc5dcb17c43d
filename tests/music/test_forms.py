"""The form of pieces made by hand: which bar returns to which."""

import re
from dataclasses import replace

import numpy as np
import pytest

from melodygru.errors import SettingError
from melodygru.music.form import (
    LETTERS,
    WINDOW,
    Section,
    bar_returns,
    form_letters,
    form_name,
    parse_form,
    sections,
)
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


def test_silence_at_the_end_is_new():
    song = piece(*A, *B, *A)
    assert bar_returns(replace(song, length=10**6))[:14].tolist() == [*bar_returns(song).tolist(), -1, -1]


def test_long_pieces_look_back_as_far_as_the_window():
    between = [[40 + number % 40, 41 + number // 40] for number in range(2 * WINDOW)]
    returns = bar_returns(piece(*A, *between, *A, *A))
    assert (returns[-4:] == np.arange(4) + 2 * WINDOW + 4).all()
    assert (np.arange(len(returns)) - returns)[returns >= 0].max() <= WINDOW


def letters(text):
    return "".join(form_letters(parse_form(text)))


def test_a_form_of_letters_has_eight_bars_each():
    returns = parse_form("AABA")
    assert returns.tolist() == [-1] * 8 + list(range(8)) + [-1] * 8 + list(range(8))
    assert returns.dtype == np.int64


def test_a_form_with_bars_and_names():
    assert parse_form("A2 B1 A3").tolist() == [-1, -1, -1, 0, 1, -1]
    assert parse_form("Intro1 A2 A2").tolist() == [-1, -1, -1, 1, 2]
    assert parse_form("AB2 | A1").tolist() == [-1, -1, -1, -1, 0]
    assert parse_form("A1B1, A1").tolist() == parse_form("a1 b1 a1").tolist() == [-1, -1, 0]


def test_sections_share_the_bars_that_are_left():
    assert parse_form("ABA", 6).tolist() == [-1, -1, -1, -1, 0, 1]
    assert parse_form("Intro2 A A", 6).tolist() == [-1, -1, -1, -1, 2, 3]
    assert len(parse_form("A2 B4", 6)) == 6


@pytest.mark.parametrize(
    ("text", "n_bars", "message"),
    [
        ("", None, "form '': expected sections such as AABA, A8 B8 A8 or Intro4 A8 B8 A8"),
        ("A8 8B", None, "form 'A8 8B': expected sections such as"),
        ("A8 B0", None, "form 'A8 B0': B0 has no bars; expected 1 or more"),
        ("AABA", 30, "form 'AABA' in 30 bars: expected a multiple of 4 bars; name the bars of each, as in A8 B4"),
        ("Intro2 AA", 2, "expected 2 bars and a multiple of 2 more"),
        ("A2 B4", 7, "form 'A2 B4' in 7 bars: expected 6 bars"),
        ("A9999 B9999", None, "form 'A9999 B9999': expected at most 10,000 bars"),
    ],
)
def test_what_is_no_form(text, n_bars, message):
    with pytest.raises(SettingError, match=re.escape(message)):
        parse_form(text, n_bars)


@pytest.mark.parametrize("text", ["A8 A8 B8 A8", "A12 B8 A12 C6", "A5 A5 B4"])
def test_a_form_is_named_as_it_is_asked_for(text):
    assert form_name(parse_form(text)) == text


def test_sections_that_are_found():
    assert form_name(bar_returns(piece(*A, *A, *B, *A))) == "A4 A4 B4 A4"
    assert letters("A8 B4 A8") == "AAAAAAAABBBBAAAAAAAA"
    assert sections(parse_form("A8 B4 A8"))[1] == Section("B", 8, 4)
    assert sections(np.zeros(0, np.int64)) == []


def test_a_bar_that_differs_doesnt_break_its_section():
    returns = parse_form("A8 B8 A8")
    returns[19] = -1
    assert form_name(returns) == "A8 B8 A8"


def test_short_sections_join_their_neighbours():
    assert form_name(parse_form("A2 A2 B8 A2 B8 C1")) == "A4 B10 B9"
    assert form_name(parse_form("A2 A2 A2 A2")) == "A4 A4"
    assert form_name(parse_form("A4 " * 8)) == "A8 A8 A8 A8"
    assert form_name(parse_form("A2")) == "A2"


def test_more_sections_than_letters():
    many = form_letters(parse_form(" ".join(f"Part{a}{b}4" for a in "XYZ" for b in LETTERS)))
    assert len(many) == 3 * 52 * 4
