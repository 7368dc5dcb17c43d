"""The measures of benchmarks/form.py that judge doesn't have, on pieces written by hand."""

import importlib.util
import sys
from pathlib import Path

import pytest
from toys import sequence_of

FOLDER = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def form():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [str(FOLDER), *sys.path])
        spec = importlib.util.spec_from_file_location("form_benchmark", FOLDER / "form.py")
        module = importlib.util.module_from_spec(spec)
        sys.modules["form_benchmark"] = module
        spec.loader.exec_module(module)
        return module


def bars(*pitches):
    return sequence_of([(16 * bar, 4, 0, pitch, 80) for bar, pitch in enumerate(pitches)])


def test_likeness_of_the_sections_of_an_asked_form(form):
    # A: C D, A: C E, B: F D, A: C D. The As: 1/2, 1, 1/2; with B: 1/2, 0, 1/2
    piece = bars(60, 62, 60, 64, 65, 62, 60, 62)
    assert form.of_form(piece, "A2 A2 B2 A2") == (pytest.approx(2 / 3), pytest.approx(1 / 3))


def test_accented_notes_in_the_asked_chord(form):
    # C, E on quarter notes of a bar of C; D and, off the beat, B; G then A in a bar of F and G
    rows = [(0, 0, 60), (4, 0, 64), (8, 0, 62), (10, 0, 71), (16, 0, 67), (24, 0, 57), (28, 128, 36)]
    piece = sequence_of([(onset, 2, program, pitch, 80) for onset, program, pitch in rows])
    assert form.in_asked_chords(piece, "C | F G") == pytest.approx(2 / 5)
    assert form.in_asked_chords(piece, "C | N.C.") == pytest.approx(2 / 3)


def test_notes_in_the_chords_that_are_found(form):
    chord = [(16 * bar, 16, 0, pitch + up, 80) for bar, up in enumerate((0, 5, 7, 0)) for pitch in (48, 60, 64, 67)]
    assert form.in_found_chords(sequence_of(chord)) == 1


def test_pieces_that_end_well(form):
    long, short = sequence_of([(0, 4, 0, 60, 80), (64, 6, 0, 60, 80)]), bars(60, 62, 64, 65, 67)
    assert form.well_ended([long, short], (3, 5)) == 0.5
    assert form.well_ended([long, short], (6, 8)) == 0


def test_a_row_says_what_is_to_be_reached(form):
    assert str(form.within("a", 0.5, 0.29, 0.4)) == "| a | 0.5 | 0.29 | within 40% of real | no |"
    assert form.within("a", 0.5, 0.3, 0.4).met and str(form.Row("b", None, 2.0)) == "| b | - | 2 |  |  |"
