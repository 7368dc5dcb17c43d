"""The vocabulary: fields and classes, and what becomes of them in a checkpoint."""

import json

import numpy as np
from toys import sequence_of

from melodygru.events import MAX_PARTS, CorpusStatistics, Vocabulary, decode, fit_vocabulary
from melodygru.events.vocabulary import MAX_PROGRAM_SLOTS
from melodygru.music.grid import Grid

GRID = Grid.beats(4)


def test_one_program_and_one_velocity_are_unmodelled_and_restored():
    piece = sequence_of([(0, 4, 40, 72, 64), (4, 4, 40, 74, 64)])
    vocabulary = fit_vocabulary([(piece, None)], GRID)
    assert vocabulary.unmodelled == ["part", "velocity"]
    assert vocabulary.fields == ("shift", "part", "pitch", "duration")
    assert vocabulary.size("part") == 2
    restored = decode([(0, 1, 72, 4, -1), (4, 1, 74, 4, -1)], vocabulary)
    assert np.array_equal(restored.notes, piece.notes)


def test_a_vocabulary_has_more_parts_than_any_piece_of_its_corpus():
    def parts(*pieces, programs=(40,)):
        rows = [[(step, 1, programs[part % len(programs)], 60, 80) for step, part in enumerate(of)] for of in pieces]
        corpus = [(sequence_of(notes, parts=of), None) for notes, of in zip(rows, pieces, strict=True)]
        return fit_vocabulary(corpus, GRID).parts

    assert parts([0], [0, 0]) == 0  # all of them alone: nothing to choose
    assert parts([0], [1], programs=(0, 40)) == 1 + 4
    assert parts([0, 1], [0]) == 2 + 4
    assert parts(range(12)) == 12 + 6
    assert parts(range(40)) == MAX_PARTS


def test_the_programs_with_most_notes_have_a_slot_of_their_own():
    rows = [(step, 1, program, 60, 80) for program in range(30) for step in range(1 + program)]
    vocabulary = fit_vocabulary([(sequence_of(rows), None)], GRID)
    assert vocabulary.programs == tuple(range(29, -1, -1))
    assert vocabulary.n_program_slots == MAX_PROGRAM_SLOTS + 1
    assert vocabulary.program_slots[:30].tolist() == [MAX_PROGRAM_SLOTS] * (30 - MAX_PROGRAM_SLOTS) + [
        *range(MAX_PROGRAM_SLOTS - 1, -1, -1)
    ]


def test_a_vocabulary_survives_json():
    styles, metres = ("x", "y"), ((4, 4), (6, 8))
    statistics = CorpusStatistics(qpm=99.5, style_qpm=(90.0, 80.0), lengths=((), (), ((), (7, 9))), longest=9)
    vocabulary = Vocabulary(Grid.parse("10ms"), (0, 40), 6, tuple(range(1, 33)), styles, metres, statistics=statistics)
    assert Vocabulary.from_dict(json.loads(json.dumps(vocabulary.as_dict()))) == vocabulary
