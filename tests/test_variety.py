"""How many different figures music has, over whole pieces and note by note."""

from __future__ import annotations

import numpy as np
import pytest

from melodygru.notes import NOTE
from melodygru.variety import FIGURES, VARIED, Variety, least_variety


def notes_of(pitches: np.ndarray, programs: np.ndarray | None = None) -> np.ndarray:
    notes = np.zeros(len(pitches), NOTE)
    notes["onset"], notes["pitch"], notes["duration"] = np.arange(len(pitches)), pitches, 1
    if programs is not None:
        notes["program"] = programs
    return notes


def note_by_note(notes: np.ndarray) -> list[int]:
    variety, found = Variety(), []
    for note in notes:
        variety.add(int(note["program"]) * 128 + int(note["pitch"]))
        if variety.full:
            found.append(variety.figures)
    return found


@pytest.mark.parametrize("n_pitches", [1, 2, 3, 5, 12, 40])
def test_the_least_of_a_piece_is_the_least_met_note_by_note(n_pitches: int):
    rng = np.random.default_rng(n_pitches)
    for length in (VARIED, VARIED + 1, 300, 1000):
        notes = notes_of(rng.integers(0, n_pitches, length) + 50, rng.integers(0, 2, length) * 40)
        assert least_variety(notes) == min(note_by_note(notes))


@pytest.mark.parametrize("lag", [1, 2, 7, 100])
def test_a_figure_that_goes_round_counts_once(lag: int):
    assert least_variety(notes_of(60 + np.arange(400) % lag)) == lag


def test_all_different_is_the_most_and_a_short_piece_has_none():
    assert least_variety(notes_of(np.arange(VARIED) % 128)) == FIGURES
    assert least_variety(notes_of(np.arange(VARIED - 1))) is None
    variety = Variety()
    for voice in range(VARIED - 1):
        variety.add(voice)
    assert not variety.full and variety.figures == FIGURES - 1


def test_where_it_gets_worse_and_better_again_the_worst_counts():
    rng = np.random.default_rng(0)
    pitches = np.concatenate([rng.integers(30, 100, 200), 60 + np.arange(130) % 4, rng.integers(30, 100, 200)])
    assert least_variety(notes_of(pitches)) == 4
