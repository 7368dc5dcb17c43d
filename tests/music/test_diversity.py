"""How many different trigrams of notes music has, over whole pieces and note by note."""

from __future__ import annotations

import json

import numpy as np
import pytest
from toys import BEAT as GRID

from melodygru.events import Vocabulary, fit_vocabulary
from melodygru.music.diversity import N_TRIGRAMS, WINDOW, Diversity, least_diversity
from melodygru.music.extremes import LEAST_DIVERSITY, MARGIN, WIDEST
from melodygru.music.notes import NOTE, NoteSequence


def notes_of(pitches: np.ndarray, programs: np.ndarray | None = None) -> np.ndarray:
    notes = np.zeros(len(pitches), NOTE)
    notes["onset"], notes["pitch"], notes["duration"], notes["velocity"] = np.arange(len(pitches)), pitches, 1, 80
    if programs is not None:
        notes["program"] = programs
    return notes


def sequence_of(notes: np.ndarray) -> NoteSequence:
    return NoteSequence(notes, GRID, len(notes))


def note_by_note(notes: np.ndarray) -> list[int]:
    diversity, found = Diversity(), []
    for note in notes:
        diversity.add(int(note["program"]) * 128 + int(note["pitch"]))
        if diversity.full:
            found.append(diversity.trigrams)
    return found


@pytest.mark.parametrize("n_pitches", [1, 2, 3, 5, 12, 40])
def test_the_least_of_a_piece_is_the_least_met_note_by_note(n_pitches: int):
    rng = np.random.default_rng(n_pitches)
    for length in (WINDOW, WINDOW + 1, 300, 1000):
        notes = notes_of(rng.integers(0, n_pitches, length) + 50, rng.integers(0, 2, length) * 40)
        assert least_diversity(notes) == min(note_by_note(notes))


@pytest.mark.parametrize("lag", [1, 2, 7, 100])
def test_a_trigram_that_goes_round_counts_once(lag: int):
    assert least_diversity(notes_of(60 + np.arange(400) % lag)) == lag


def test_all_different_is_the_most_and_a_short_piece_has_none():
    assert least_diversity(notes_of(np.arange(WINDOW) % 128)) == N_TRIGRAMS
    assert least_diversity(notes_of(np.arange(WINDOW - 1))) is None
    diversity = Diversity()
    for sound in range(WINDOW - 1):
        diversity.add(sound)
    assert not diversity.full and diversity.trigrams == N_TRIGRAMS - 1


def test_where_it_gets_worse_and_better_again_the_worst_counts():
    rng = np.random.default_rng(0)
    pitches = np.concatenate([rng.integers(30, 100, 200), 60 + np.arange(130) % 4, rng.integers(30, 100, 200)])
    assert least_diversity(notes_of(pitches)) == 4


def test_a_vocabulary_knows_the_least_diversity_and_the_keys_of_its_corpus():
    rng = np.random.default_rng(1)
    white = np.array([60, 62, 64, 65, 67, 69, 71])

    def piece(semitones: int, n: int = 200) -> NoteSequence:
        return sequence_of(notes_of(rng.choice(white, n) + semitones))

    round_and_round = sequence_of(notes_of(60 + np.arange(200) % 20))
    short = sequence_of(notes_of(np.full(20, 62)))
    pieces = [(piece(2), "a"), (piece(2), "a"), (piece(0), "b"), (round_and_round, "b"), (short, None)]
    vocabulary = fit_vocabulary(pieces, GRID)
    assert vocabulary.statistics.extremes_of(None).trigrams == 20 / (MARGIN * WIDEST)
    of_a, of_b, of_all = vocabulary.statistics.signatures
    assert (of_a[2], sum(of_a), of_b[0] >= 1, sum(of_b), sum(of_all)) == (2, 2, True, 2, 5)
    assert Vocabulary.from_dict(json.loads(json.dumps(vocabulary.as_dict()))) == vocabulary
    assert fit_vocabulary([(short, None)], GRID).statistics.extremes_of(None).trigrams == LEAST_DIVERSITY
