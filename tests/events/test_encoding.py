"""Notes to events and back, and what a vocabulary can't hold."""

import numpy as np
import pytest
import toys
from hypothesis import given, settings
from toys import sequence_of

from melodygru.errors import NoteError
from melodygru.events import (
    DURATION,
    END,
    FIRST_PART,
    NEW,
    PART,
    TIMES,
    VELOCITY_WIDTH,
    Vocabulary,
    decode,
    encode,
    fit_vocabulary,
    parts_of,
    representable,
)
from melodygru.music.grid import Grid
from melodygru.music.notes import Changes

GRID = Grid.beats(4)


def test_a_chord_and_its_end_as_rows():
    piece = sequence_of([(2, 4, 40, 72, 80), (2, 4, 43, 48, 80), (6, 100, 40, 74, 80)], length=110)
    vocabulary = Vocabulary(GRID, (40, 43), 3, (80,))
    encoded = encode(piece, vocabulary)
    assert encoded.fields.tolist() == [
        [2, NEW + 40, 72, 4, -1],
        [0, NEW + 43, 48, 4, -1],
        [4, FIRST_PART, 74, int(TIMES.encode(np.array([100]))[0]), -1],
        [int(TIMES.encode(np.array([104]))[0]), END, -1, -1, -1],
    ]
    assert vocabulary.unmodelled == ["velocity"]
    np.testing.assert_allclose(TIMES.log_width[encoded.fields[2, DURATION]], np.log(6))
    assert encoded.legality.tolist() == [[1, 1, 0, 0, 0], [1, 0, 0, 1, 40], [1, 1, 0, 2, 0], [1, 1, 0, 2, 0]]
    none = [0] * 6
    assert encoded.part_history.tolist() == [[41, *none], [44, *none], [41, 73, 0, 5, 0, 1, 1], [0, *none]]


def test_two_parts_of_one_program_pay_for_it_once_each_and_then_are_told_apart():
    rows = [(0, 4, 40, 72, 80), (0, 4, 40, 60, 80), (4, 4, 40, 60, 80), (4, 4, 40, 74, 80)]
    piece = sequence_of(rows, parts=[0, 1, 1, 0])
    vocabulary = Vocabulary(GRID, (40,), 2, (80,))
    classes = [NEW + 40, NEW + 40, FIRST_PART, FIRST_PART + 1, END]
    assert encode(piece, vocabulary).fields[:, PART].tolist() == classes
    part, program = parts_of(np.array(classes[:-1]), vocabulary)
    assert (part.tolist(), program.tolist()) == ([0, 1, 0, 1], [40] * 4)


def test_parts_beyond_those_that_a_vocabulary_has_join_others():
    rows = [(at, 1, program, 60 + at, 80) for at, program in enumerate((0, 40, 0, 7, 40))]
    piece = sequence_of(rows, parts=range(5))
    held, changes = representable(piece, Vocabulary(GRID, (0, 40), 2, (80,)))
    # The third is on the first of its program, the fourth, of a program of its own, on the last one; so is the fifth.
    assert held.notes[["part", "program"]].tolist() == [(0, 0), (1, 40), (0, 0), (1, 40), (1, 40)]
    assert changes == Changes(reprogrammed=3)
    assert representable(piece, Vocabulary(GRID, (0, 40), 5, (80,))) == (piece, Changes())


def test_another_program_than_the_only_one_counts_as_changed():
    vocabulary = Vocabulary(GRID, (0,), 0, (80,))
    piece = sequence_of([(0, 4, 5, 60, 80), (0, 8, 6, 60, 80), (4, 4, 0, 62, 80)])
    changed, changes = representable(piece, vocabulary)
    assert changed.programs == [0]
    assert (changes.reprogrammed, changes.merged) == (2, 1)


def test_a_second_part_of_the_only_program_counts_as_changed():
    piece = sequence_of([(0, 4, 0, 60, 80), (0, 4, 0, 64, 80), (4, 4, 0, 60, 80)], parts=[0, 1, 1])
    joined, changes = representable(piece, Vocabulary(GRID, (0,), 0, (80,)))
    assert (joined.part_programs.tolist(), changes) == ([0], Changes(reprogrammed=2))


def test_times_beyond_the_maximum_are_clipped_and_counted():
    vocabulary = Vocabulary(GRID, (0,), 0, (80,))
    longest = TIMES.maximum
    exact = sequence_of([(longest, longest, 0, 60, 80)], length=2 * longest)
    assert representable(exact, vocabulary)[1].total == 0
    beyond = sequence_of([(longest + 1, longest + 1, 0, 60, 80)])
    clipped, changes = representable(beyond, vocabulary)
    assert changes.clipped == 2  # the note, and the end of the piece
    assert clipped.notes[["onset", "duration"]].tolist() == [(longest, longest)]


def test_another_grid_is_refused():
    with pytest.raises(NoteError, match="1 step per beat: this vocabulary needs 4 steps per beat"):
        encode(sequence_of([(0, 1, 0, 60, 80)], grid=Grid.beats(1)), Vocabulary(GRID, (0,), 0, (80,)))


@settings(max_examples=150, deadline=None)
@given(toys.pieces())
def test_events_and_notes_determine_each_other(piece):
    vocabulary = fit_vocabulary([(piece, "a"), (piece, "b")], GRID)
    encoded = encode(piece, vocabulary)
    at = np.append(piece.notes["onset"], piece.length)
    shares = (np.diff(at, prepend=0) - TIMES.low[encoded.fields[:, 0]] + 0.5) / TIMES.width[encoded.fields[:, 0]]
    shift = TIMES.decode(encoded.fields[:, 0], shares)
    duration_class = encoded.fields[:-1, 3]
    inside = (piece.notes["duration"] - TIMES.low[duration_class] + 0.5) / TIMES.width[duration_class]
    duration = TIMES.decode(duration_class, inside)
    rows = np.column_stack([shift[:-1], encoded.fields[:-1, 1:3], duration, encoded.fields[:-1, 4]])
    restored = decode([tuple(row) for row in rows.tolist()], vocabulary, length=int(shift.sum()))
    assert restored.length == piece.length
    for name in ("onset", "duration", "part", "program", "pitch"):
        assert np.array_equal(restored.notes[name], piece.notes[name])
    assert np.abs(restored.notes["velocity"] - piece.notes["velocity"]).max() < VELOCITY_WIDTH
