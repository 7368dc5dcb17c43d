"""The vocabulary: fields and classes, and what becomes of them in a checkpoint."""

import json

import numpy as np
from toys import sequence_of

from melodygru.events import CorpusStatistics, Vocabulary, decode, fit_vocabulary
from melodygru.events.vocabulary import MAX_PROGRAM_SLOTS
from melodygru.music.grid import Grid

GRID = Grid.beats(4)


def test_one_program_and_one_velocity_are_unmodelled_and_restored():
    piece = sequence_of([(0, 4, 40, 72, 64), (4, 4, 40, 74, 64)])
    vocabulary = fit_vocabulary([(piece, None)], GRID)
    assert vocabulary.unmodelled == ["program", "velocity"]
    assert vocabulary.fields == ("shift", "program", "pitch", "duration")
    assert vocabulary.size("program") == 2
    restored = decode([(0, 1, 72, 4, -1), (4, 1, 74, 4, -1)], vocabulary)
    assert np.array_equal(restored.notes, piece.notes)


def test_the_programs_with_most_notes_have_a_slot_of_their_own():
    rows = [(step, 1, program, 60, 80) for program in range(30) for step in range(1 + program)]
    vocabulary = fit_vocabulary([(sequence_of(rows), None)], GRID)
    assert vocabulary.programs == tuple(range(29, -1, -1))
    assert vocabulary.n_program_slots == MAX_PROGRAM_SLOTS + 1
    assert vocabulary.program_slots[1:31].tolist() == [MAX_PROGRAM_SLOTS] * 6 + list(range(23, -1, -1))


def test_a_vocabulary_survives_json():
    styles, metres = ("x", "y"), ((4, 4), (6, 8))
    statistics = CorpusStatistics(qpm=99.5, style_qpm=(90.0, 80.0), lengths=((), (), ((), (7, 9))), longest=9)
    vocabulary = Vocabulary(Grid.parse("10ms"), (0, 40), tuple(range(1, 33)), styles, metres, statistics=statistics)
    assert Vocabulary.from_dict(json.loads(json.dumps(vocabulary.as_dict()))) == vocabulary
