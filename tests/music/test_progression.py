"""Chords of one piece in the form of another."""

import numpy as np

from melodygru.music.chords import chord_code, chord_name
from melodygru.music.form import as_runs, from_runs, parse_form, runs_of
from melodygru.music.harmony import parse_chord
from melodygru.music.progression import laid_out


def codes(text):
    """The codes of half bars of chords, one a bar, or two with a slash between."""
    return np.array([chord_code(parse_chord(name)) for bar in text.split() for name in (bar.split("/") * 2)[:2]])


def laid(form, theirs, text):
    """The chords of each bar of a form, of a piece with another form and these chords."""
    found = laid_out(parse_form(form), runs_of(parse_form(theirs)), as_runs(codes(text)))
    assert len(found) == 2 * len(parse_form(form))
    return " ".join("/".join(dict.fromkeys(map(chord_name, bar))) for bar in found.reshape(-1, 2).tolist())


def test_runs_are_the_chords():
    for text in ("C", "C C Am F/G", "C/F G/C"):
        assert from_runs(as_runs(codes(text))).tolist() == codes(text).tolist()
    assert as_runs(codes("C C/F")) == ((3, 1), (1, codes("F")[0]))
    assert from_runs(as_runs(np.zeros(0, int))).tolist() == []


def test_a_section_has_the_chords_of_a_section_and_so_has_what_returns_to_it():
    assert laid("A2 B2 A2", "A2 B2", "C F G C") == "C F G C C F"
    assert laid("A2 A2 B2 A2", "A2 B2 A2", "C F/G Am Em C F/G") == "C F/G C F/G Am Em C F/G"


def test_a_longer_section_goes_on_as_the_other_piece_did():
    assert laid("A3 A3", "A2 A2", "C F Am G") == "C F Am C F Am"
    assert laid("A6 A6", "A2 A2", "C F Am G") == "C F Am G C F C F Am G C F"


def test_after_the_last_new_bar_comes_the_first_again():
    assert laid("A2 B2 C2 A2", "A3", "C F G") == "C F G C F G C F"


def test_a_last_bar_that_is_new_ends_as_the_other_piece_does():
    returns = np.append(parse_form("A2 A2")[:-1], -1)
    found = laid_out(returns, runs_of(parse_form("A4")), as_runs(codes("C F G/G7 Am")))
    assert [chord_name(code) for code in found[-2:].tolist()] == ["Am", "Am"]
    assert [chord_name(code) for code in found[4:6].tolist()] == ["C", "C"]


def test_a_piece_without_chords_gives_none():
    assert laid_out(np.array([-1, 0]), ((2, 0),), ()).tolist() == [0, 0, 0, 0]
    assert laid_out(np.zeros(0, int), ((2, 0),), ((4, 1),)).tolist() == []
