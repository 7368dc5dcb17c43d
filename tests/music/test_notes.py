"""melodygru.music: canonical order, grids, quantising, time, bars, and cutting and joining pieces."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from conftest import rows_of
from hypothesis import given, settings
from hypothesis import strategies as st

from melodygru.errors import NoteError
from melodygru.music.grid import Grid
from melodygru.music.metre import METRE
from melodygru.music.notes import (
    DRUMS,
    KEY,
    NOTE,
    TEMPO,
    Changes,
    NoteSequence,
    canonical,
    note_array,
    part_order,
    part_programs,
    renamed,
    tidy_marks,
    transpose,
)
from melodygru.music.quantize import quantize


def notes_of(*rows) -> np.ndarray:
    """Notes from (onset, duration, program, pitch, velocity) rows."""
    return note_array(rows)


def piece(*rows, grid=None, length=None, tempos=((0, 500_000),), metres=((0, 4, 4),)) -> NoteSequence:
    notes = notes_of(*rows)
    end = max([0, *(notes["onset"] + notes["duration"]).tolist()])
    marks = np.array(list(tempos), TEMPO), np.array(list(metres), METRE)
    return NoteSequence(notes, grid or Grid.beats(4), end if length is None else length, *marks)


# Grids


@pytest.mark.parametrize(
    ("text", "grid", "words"),
    [
        ("4", Grid.beats(4), "4 steps per beat"),
        ("1", Grid.beats(1), "1 step per beat"),
        ("1/2", Grid.beats(Fraction(1, 2)), "1/2 steps per beat"),
        ("10ms", Grid.seconds(100), "10 ms per step"),
        ("1001/30ms", Grid.seconds(Fraction(30_000, 1001)), "1001/30 ms per step"),
    ],
)
def test_grid_and_its_text(text, grid, words):
    assert Grid.parse(text) == grid
    assert str(grid) == text
    assert grid.describe() == words
    assert grid.is_metrical == (not text.endswith("ms"))


@pytest.mark.parametrize("text", ["", "0", "-4", "four", "0ms", "-10ms", "ms", "10 s", "1/0", "nan", "inf"])
def test_grid_that_means_nothing(text):
    with pytest.raises(NoteError, match="expected a number of steps per beat such as 4, or a step in milliseconds"):
        Grid.parse(text)


@pytest.mark.parametrize("rates", [{}, {"steps_per_beat": Fraction(4), "steps_per_second": Fraction(100)}])
def test_grid_has_one_rate(rates):
    with pytest.raises(NoteError, match="a grid needs one positive rate"):
        Grid(**rates)


# Canonical notes


def test_canonical_order():
    rows = [(0, 1, 0, 60, 1), (0, 1, 0, 61, 1), (0, 1, 1, 0, 1), (0, 1, DRUMS, 0, 1), (1, 1, 0, 0, 1)]
    notes, changes = canonical(notes_of(*reversed(rows)))
    assert rows_of(notes) == rows
    assert changes == Changes()


def test_canonical_merges_to_the_longest_and_loudest():
    notes, changes = canonical(notes_of((0, 4, 0, 60, 90), (0, 5, 0, 60, 70), (0, 5, 0, 60, 80), (0, 9, 1, 60, 1)))
    assert rows_of(notes) == [(0, 5, 0, 60, 80), (0, 9, 1, 60, 1)]
    assert changes == Changes(merged=2)
    assert changes.total == 2


def test_canonical_cuts_at_the_next_strike():
    notes, changes = canonical(notes_of((0, 5, 0, 60, 1), (4, 1, 0, 60, 2), (5, 9, 0, 60, 3), (5, 9, 0, 61, 3)))
    assert rows_of(notes) == [(0, 4, 0, 60, 1), (4, 1, 0, 60, 2), (5, 9, 0, 60, 3), (5, 9, 0, 61, 3)]
    assert changes == Changes(cut=1)


def test_canonical_leaves_its_argument_alone():
    given_notes = notes_of((0, 9, 0, 60, 1), (4, 1, 0, 60, 2))
    before = given_notes.copy()
    canonical(given_notes)
    assert np.array_equal(given_notes, before)


def test_canonical_of_nothing():
    notes, changes = canonical(notes_of())
    assert len(notes) == 0 and notes.dtype == NOTE and changes == Changes()


ROW = st.tuples(
    st.integers(0, 9), st.integers(1, 9), st.sampled_from([0, 1, DRUMS]), st.integers(60, 62), st.integers(1, 3)
)
ROWS = st.lists(ROW, max_size=30)


PART_PROGRAMS = {7: 0, 2: 0, 4: 1, 300: DRUMS}  # the parts that notes come with, and their programs


@settings(max_examples=100)
@given(st.lists(st.tuples(st.sampled_from([*PART_PROGRAMS]), ROW), max_size=30))
def test_canonical_is_what_a_plain_loop_makes(parts_and_rows):
    rows = [(onset, duration, PART_PROGRAMS[part], *rest) for part, (onset, duration, _, *rest) in parts_and_rows]
    parts = [part for part, _ in parts_and_rows]
    first = {part: min(row[0] for row, other in zip(rows, parts, strict=True) if other == part) for part in parts}
    order = sorted(first, key=lambda part: (first[part], PART_PROGRAMS[part], part))
    longest: dict[tuple, tuple] = {}
    for part, (onset, duration, _, pitch, velocity) in zip(parts, rows, strict=True):
        at = (onset, order.index(part), pitch)
        longest[at] = max(longest.get(at, (0, 0)), (duration, velocity))
    expected, cut = [], 0
    for onset, part, pitch in sorted(longest):
        duration, velocity = longest[onset, part, pitch]
        later = [other[0] for other in longest if other[1:] == (part, pitch) and other[0] > onset]
        short = min([duration, *(other - onset for other in later)])
        cut += short < duration
        expected.append((onset, short, part, PART_PROGRAMS[order[part]], pitch, velocity))
    given_notes = note_array(rows, parts)
    notes, changes = canonical(given_notes)
    assert notes.tolist() == expected
    assert part_order(given_notes) == order
    assert renamed([str(part) for part in range(301)], given_notes) == tuple(map(str, order))
    assert changes == Changes(merged=len(rows) - len(expected), cut=cut)
    NoteSequence(notes, Grid.beats(4), 99)
    assert np.array_equal(canonical(notes)[0], notes)


def test_parts_are_numbered_as_they_come_in():
    """By (first onset, program, the number they came with); two of one program stay two, in unison as well."""
    rows = [(4, 2, 0, 60, 1), (0, 2, 9, 60, 2), (0, 2, 9, 60, 3), (0, 2, 3, 40, 4)]
    notes, changes = canonical(note_array(rows, [0, 3, 2, 5]))
    assert notes.tolist() == [
        (0, 2, 0, 3, 40, 4),
        (0, 2, 1, 9, 60, 3),
        (0, 2, 2, 9, 60, 2),
        (4, 2, 3, 0, 60, 1),
    ]
    assert changes == Changes()
    assert part_programs(notes).tolist() == [3, 9, 9, 0]
    assert part_programs(notes[:0]).tolist() == [] == part_order(notes[:0])


def test_a_part_for_each_program_where_none_are_given():
    notes = note_array([(4, 1, 0, 60, 1), (0, 1, 5, 60, 1), (0, 1, DRUMS, 36, 1), (8, 1, 5, 60, 1)])
    assert notes["part"].tolist() == [2, 0, 1, 0]
    assert np.array_equal(part_programs(canonical(notes)[0]), [5, DRUMS, 0])
    assert note_array([]).dtype == NOTE


def test_changes_add_up():
    assert Changes(1, 2, 3) + Changes(10, 20, 30) == Changes(11, 22, 33)
    assert Changes(1, 2, 3).total == 6


# What a sequence refuses


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ((-1, 1, 0, 60, 64), "onset -1 at note 1: expected at least 0"),
        ((0, 0, 0, 60, 64), "duration 0 at note 1: expected at least 1"),
        ((0, 1, -1, 60, 64), "program -1 at note 1: expected 0..128"),
        ((0, 1, 129, 60, 64), "program 129 at note 1: expected 0..128"),
        ((0, 1, 0, -1, 64), "pitch -1 at note 1: expected 0..127"),
        ((0, 1, 0, 128, 64), "pitch 128 at note 1: expected 0..127"),
        ((0, 1, 0, 60, 0), "velocity 0 at note 1: expected 1..127"),
        ((0, 1, 0, 60, 128), "velocity 128 at note 1: expected 1..127"),
        ((0, 9, 0, 60, 1), "note 1 ends at step 9, after the piece's end at 8"),
        ((0, 1, 0, 39, 1), "note 1 is out of order"),
        ((3, 1, 0, 40, 1), r"note 0 \(pitch 40\) still sounds when its part strikes the pitch again"),
        ((0, 1, 0, 40, 1), r"note 0 \(pitch 40\) still sounds"),
    ],
)
def test_note_that_breaks_a_rule(row, message):
    with pytest.raises(NoteError, match=message):
        piece((0, 4, 0, 40, 64), row, length=8)


def test_extreme_notes_are_welcome():
    sequence = piece((0, 4, 0, 0, 1), (4, 4, 0, 0, 127), (4, 4, DRUMS, 127, 127), length=8)
    assert len(sequence) == 3
    assert sequence.programs == [0, DRUMS]


def test_notes_of_another_dtype():
    with pytest.raises(NoteError, match="notes of dtype int64 and shape .3, 5.: expected one axis of NOTE"):
        NoteSequence(np.zeros((3, 5), np.int64), Grid.beats(4), 8)


@pytest.mark.parametrize("steps", [[], [1], [0, 0], [0, 5, 4]])
def test_marks_out_of_order(steps):
    with pytest.raises(NoteError, match="expected 0 first, then increasing"):
        piece(tempos=[(step, 500_000) for step in steps])


def test_equality_is_of_everything():
    sequence = piece((0, 4, 0, 60, 64))
    assert sequence == piece((0, 4, 0, 60, 64))
    assert sequence != piece((0, 4, 0, 60, 65))
    assert sequence != piece((0, 4, 0, 60, 64), length=5)
    assert sequence != piece((0, 4, 0, 60, 64), grid=Grid.beats(3))
    assert sequence != piece((0, 4, 0, 60, 64), tempos=[(0, 1)])
    assert sequence != piece((0, 4, 0, 60, 64), metres=[(0, 3, 4)])
    assert sequence != "a sequence"


def with_parts(rows, parts, **given) -> NoteSequence:
    """A sequence of two parts or more of one program."""
    notes = canonical(note_array(rows, parts))[0]
    given = {"length": int((notes["onset"] + notes["duration"]).max())} | given
    return NoteSequence(notes, Grid.beats(4), **given)


@pytest.mark.parametrize(
    ("parts", "programs"),
    [
        ([1, 1], [0, 0]),  # not from 0
        ([0, 2], [0, 0]),  # not without a gap
        ([1, 0], [0, 0]),  # not in their order: out of order as notes, too
        ([0, 0], [0, 1]),  # two programs of one part
        ([-1, 0], [0, 0]),
    ],
)
def test_parts_that_break_a_rule(parts, programs):
    notes = note_array([(0, 1, programs[0], 60, 64), (1, 1, programs[1], 62, 64)], parts)
    with pytest.raises(NoteError, match="parts are not numbered from 0 by|part -1 at note 0: expected at least 0"):
        NoteSequence(notes, Grid.beats(4), 8)


def test_names_of_parts():
    rows = [(0, 1, 0, 60, 64), (1, 1, 0, 60, 64), (2, 1, 9, 60, 64)]
    sequence = with_parts(rows, [0, 1, 2], names=("upper", "lower"))
    assert sequence.part_programs.tolist() == [0, 0, 9]
    assert sequence.part_names == ("upper", "lower", "")
    assert sequence == with_parts(rows, [0, 1, 2], names=("upper", "lower", ""))
    assert sequence != with_parts(rows, [0, 1, 2])


# Time


def test_step2second_through_changes_of_tempo():
    # A step is 1/4 beat: 125 ms, from step 8 on 250 ms, from step 12 on 62.5 ms.
    sequence = piece(length=16, tempos=[(0, 500_000), (8, 1_000_000), (12, 250_000)])
    assert sequence.step2second(np.array([[0, 4, 8], [10, 12, 16]])).tolist() == [[0, 0.5, 1.0], [1.5, 2.0, 2.25]]
    assert sequence.step2second(10.5) == 1.625
    assert sequence.seconds == 2.25
    assert sequence.beats == 4
    assert sequence.qpm == 120


def test_step2second_on_a_grid_of_seconds():
    sequence = piece(length=250, grid=Grid.parse("10ms"), tempos=[(0, 1_000_000)])
    assert sequence.seconds == 2.5
    assert sequence.beats == 2.5


@pytest.mark.parametrize(
    ("length", "metres", "bars"),
    [
        (0, [(0, 4, 4)], [0]),
        (1, [(0, 4, 4)], [0, 16]),
        (16, [(0, 4, 4)], [0, 16]),
        (17, [(0, 4, 4)], [0, 16, 32]),
        (40, [(0, 4, 4), (16, 3, 4)], [0, 16, 28, 40]),
        (40, [(0, 4, 4), (20, 3, 4)], [0, 16, 20, 32, 44]),  # a change of metre begins a bar
        (16, [(0, 4, 4), (16, 3, 4)], [0, 16]),
        (10, [(0, 4, 4), (40, 3, 4)], [0, 16]),  # a mark after the end
    ],
)
def test_bar_starts(length, metres, bars):
    assert piece(length=length, metres=metres).bar_starts().tolist() == bars


# Moving, cutting, joining


def test_transpose_spares_drums():
    sequence = piece((0, 1, 0, 60, 64), (0, 1, DRUMS, 36, 64))
    assert sequence.transpose(-60).notes["pitch"].tolist() == [0, 36]
    assert sequence.transpose(67).notes["pitch"].tolist() == [127, 36]
    assert sequence.notes["pitch"].tolist() == [60, 36]
    for semitones in (-61, 68):
        with pytest.raises(NoteError, match=rf"transposing by {semitones} takes pitch 60 \(note 0\) outside 0..127"):
            transpose(sequence.notes, semitones)


def test_keys_go_with_the_music():
    keys = np.array([(2, 0, 0), (6, -3, 1)], KEY)
    sequence = replace(piece((0, 8, 0, 60, 1), (8, 4, 0, 60, 1)), keys=keys)
    assert sequence != replace(sequence, keys=keys[:1])
    assert sequence.crop(1, 4).keys.tolist() == [(1, 0, 0)]
    assert sequence.crop(4, 12).keys.tolist() == [(0, 0, 0), (2, -3, 1)]
    assert sequence.crop(0, 1).keys.tolist() == []
    assert sequence.join(sequence).keys["step"].tolist() == [2, 6, 14, 18]
    assert sequence.transpose(12).keys.tolist() == keys.tolist()
    assert sequence.transpose(-1).keys.tolist() == [(2, 5, 0), (6, 2, 1)]
    assert sequence.transpose(1).keys.tolist() == [(2, -5, 0), (6, 4, 1)]
    assert quantize(sequence, Grid.beats(2))[0].keys["step"].tolist() == [1, 3]
    assert quantize(sequence, Grid.parse("10ms"))[0].keys["fifths"].tolist() == [0, -3]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ([(4, 0, 0), (4, 1, 0)], r"^keys at steps \[4, 4\]: expected 0 or more, increasing$"),
        ([(-1, 0, 0)], r"^keys at steps \[-1\]"),
        ([(0, 8, 0)], r"^keys of \[8\] sharps: expected -7 \(seven flats\) to 7$"),
    ],
)
def test_no_keys(keys, message):
    with pytest.raises(NoteError, match=message):
        NoteSequence(note_array([]), Grid.beats(4), 9, keys=np.array(keys, KEY))


def test_crop():
    sequence = piece(
        (0, 8, 0, 60, 1),
        (4, 4, 0, 61, 2),
        (7, 9, 0, 62, 3),
        (8, 1, 0, 63, 4),
        tempos=[(0, 1), (3, 2), (6, 3), (8, 4)],
        metres=[(0, 2, 4), (4, 3, 4)],
    )
    cropped = sequence.crop(4, 8)
    assert rows_of(cropped.notes) == [(0, 4, 0, 61, 2), (3, 1, 0, 62, 3)]
    assert cropped.length == 4
    assert cropped.tempos.tolist() == [(0, 2), (2, 3)]
    assert cropped.metres.tolist() == [(0, 3, 4)]
    assert sequence.crop(0, sequence.length) == sequence


@pytest.mark.parametrize(
    ("end", "length", "trimmed"),
    [(16, 16, 16), (16, 17, 16), (15, 40, 16), (17, 40, 28), (17, 27, 27), (1, 400, 16)],
)
def test_trimmed_goes_up_to_the_bar_line_after_the_last_note(end, length, trimmed):
    sequence = piece((end - 1, 1, 0, 60, 1), length=length, metres=[(0, 4, 4), (16, 3, 4)], tempos=[(0, 5), (30, 6)])
    found = sequence.trimmed()
    assert sequence.music_end == end
    assert found.length == trimmed
    assert found is sequence or (found.tempos.tolist() == [(0, 5)] and len(found.metres) == 1 + (trimmed > 16))


def test_trimmed_without_bars_or_notes():
    assert piece((3, 2, 0, 60, 1), grid=Grid.parse("10ms"), length=900).trimmed().length == 5
    assert piece(length=9).trimmed().length == 0
    assert piece().music_end == 0


@pytest.mark.parametrize(("start", "end"), [(-1, 4), (4, 4), (5, 4)])
def test_crop_of_nothing(start, end):
    with pytest.raises(NoteError, match=f"crop to steps {start}..{end}: expected 0 <= start < end"):
        piece(length=8).crop(start, end)


def test_join():
    first = piece((0, 4, 0, 60, 1), length=8, tempos=[(0, 5), (8, 6)], metres=[(0, 3, 4)])
    second = piece((0, 4, 0, 60, 2), length=4, tempos=[(0, 7), (2, 8)], metres=[(0, 3, 4), (3, 4, 4)])
    joined = first.join(second)
    assert rows_of(joined.notes) == [(0, 4, 0, 60, 1), (8, 4, 0, 60, 2)]
    assert joined.length == 12
    assert joined.tempos.tolist() == [(0, 5), (8, 7), (10, 8)]
    assert joined.metres.tolist() == [(0, 3, 4), (11, 4, 4)]


def test_parts_and_their_names_outlive_cutting_and_joining():
    rows = [(0, 1, 0, 60, 1), (1, 1, 0, 60, 2), (2, 1, 0, 62, 3), (3, 1, 0, 60, 4)]
    sequence = with_parts(rows, [0, 1, 2, 0], names=("a", "b", "c"))
    late = sequence.crop(2, 4)  # the part that came in first is the last now
    assert late.notes["part"].tolist() == [0, 1]
    assert late.part_names == ("c", "a")
    joined = sequence.join(late)
    assert joined.part_names == ("a", "b", "c")
    assert joined.notes["part"].tolist() == [0, 1, 2, 0, 2, 0]
    other = with_parts([(0, 1, 0, 60, 1), (0, 1, 0, 64, 1)], [0, 1], names=("b", "b"))
    assert sequence.join(other).part_names == ("a", "b", "c", "b")
    assert quantize(sequence, Grid.beats(1))[0].part_names == ("a", "b", "c")


def test_quantising_renumbers_parts_that_come_to_begin_together():
    sequence = with_parts([(0, 1, 9, 60, 1), (1, 3, 2, 60, 1)], [0, 1], names=("late", "soon"))
    result = quantize(sequence, Grid.beats(1))[0]
    assert result.part_programs.tolist() == [2, 9]
    assert result.part_names == ("soon", "late")


def test_join_to_nothing():
    second = piece((0, 4, 0, 60, 2), tempos=[(0, 7)], metres=[(0, 3, 4)])
    assert piece(length=0).join(second) == second


def test_join_on_a_grid_of_seconds_has_one_tempo():
    grid = Grid.parse("10ms")
    joined = piece(length=4, grid=grid).join(piece(length=4, grid=grid, tempos=[(0, 7)]))
    assert joined.tempos.tolist() == [(0, 500_000)]


def test_join_needs_one_grid():
    with pytest.raises(NoteError, match=r"grids differ \(4 steps per beat, 10 ms per step\); quantize one first"):
        piece(length=4).join(piece(length=4, grid=Grid.parse("10ms")))


@settings(max_examples=50)
@given(ROWS, st.integers(1, 17))
def test_cropped_parts_join_to_the_whole(rows, cut):
    notes, _ = canonical(notes_of(*rows))
    notes["duration"] = 1  # a note that sounds across the cut would lose its end
    whole = NoteSequence(
        notes, Grid.beats(4), 18, np.array([(0, 5), (4, 6)], TEMPO), np.array([(0, 3, 4), (9, 4, 4)], METRE)
    )
    assert whole.crop(0, cut).join(whole.crop(cut, 18)) == whole


def test_tidy_marks():
    marks = np.array([(0, 5), (0, 6), (3, 6), (4, 7), (4, 6), (5, 5)], TEMPO)
    assert tidy_marks(marks).tolist() == [(0, 6), (5, 5)]


# Quantising


def test_quantize_halves_go_up():
    # 12 ticks a beat to 4 steps: a step is 3 ticks; to 2 steps: 6 ticks.
    sequence = piece(*((tick, 1, 0, 40 + tick, 64) for tick in range(7)), grid=Grid.beats(12), length=12)
    assert quantize(sequence, Grid.beats(4))[0].notes["onset"].tolist() == [0, 0, 1, 1, 1, 2, 2]
    result, changes, error_s = quantize(sequence, Grid.beats(2))
    assert result.notes["onset"].tolist() == [0, 0, 0, 1, 1, 1, 1]
    assert result.notes["duration"].tolist() == [1] * 7  # at least one step
    assert result.length == 2
    assert changes == Changes()
    assert error_s == pytest.approx(np.array([0, 1, 2, 3, 2, 1, 0]) / 24)  # 24 ticks a second


def test_quantize_rounds_ends_and_not_durations():
    sequence = piece((2, 5, 0, 60, 64), grid=Grid.beats(16), length=9)  # 4 ticks a step: 0.5 to 1.75
    result, _, _ = quantize(sequence, Grid.beats(4))
    assert rows_of(result.notes) == [(1, 1, 0, 60, 64)]
    assert result.length == 2


def test_quantize_makes_room_for_the_last_note():
    result, _, _ = quantize(piece((1, 1, 0, 60, 64), grid=Grid.beats(4)), Grid.beats(1))
    assert rows_of(result.notes) == [(0, 1, 0, 60, 64)]
    assert result.length == 1


def test_quantize_counts_what_coincides():
    sequence = piece((0, 2, 0, 60, 1), (2, 2, 0, 60, 2), (3, 1, 0, 61, 3), (9, 9, 0, 61, 4), grid=Grid.beats(16))
    result, changes, _ = quantize(sequence, Grid.beats(2))
    assert rows_of(result.notes) == [(0, 1, 0, 60, 2), (0, 1, 0, 61, 3), (1, 1, 0, 61, 4)]
    assert changes == Changes(merged=1)


def test_quantize_moves_marks():
    sequence = piece(
        length=64, grid=Grid.beats(16), tempos=[(0, 5), (7, 6), (9, 7), (33, 8)], metres=[(0, 3, 4), (31, 2, 4)]
    )
    result, _, _ = quantize(sequence, Grid.beats(2))
    assert result.tempos.tolist() == [(0, 5), (1, 7), (4, 8)]
    assert result.metres.tolist() == [(0, 3, 4), (4, 2, 4)]


def test_quantize_to_seconds_through_tempo():
    # 62.5 ms a step, from step 8 on 125 ms.
    sequence = piece(
        (4, 4, 0, 60, 1), (8, 4, 0, 61, 2), length=16, grid=Grid.beats(8), tempos=[(0, 500_000), (8, 1_000_000)],
        metres=[(0, 3, 4)],
    )  # fmt: skip
    result, _, error_s = quantize(sequence, Grid.parse("20ms"))
    assert rows_of(result.notes) == [(13, 12, 0, 60, 1), (25, 25, 0, 61, 2)]  # 250 ms is 12.5 steps: up
    assert result.length == 75
    assert result.tempos.tolist() == [(0, 500_000)]
    assert result.metres.tolist() == [(0, 4, 4)]
    assert error_s == pytest.approx([0.01, 0])


def test_quantize_from_seconds_takes_the_first_tempo():
    sequence = piece((100, 50, 0, 60, 1), length=200, grid=Grid.parse("10ms"), tempos=[(0, 1_000_000)])
    result, _, _ = quantize(sequence, Grid.beats(4))
    assert rows_of(result.notes) == [(4, 2, 0, 60, 1)]
    assert result.length == 8
    assert result.qpm == 60


def test_quantize_between_grids_of_seconds():
    sequence = piece((5, 10, 0, 60, 1), length=20, grid=Grid.parse("10ms"))
    assert rows_of(quantize(sequence, Grid.parse("20ms"))[0].notes) == [(3, 5, 0, 60, 1)]


def test_quantize_error_does_not_count_marks_that_move():
    sequence = piece((1000, 4, 0, 60, 1), grid=Grid.beats(4), tempos=[(0, 500_000), (3, 50_000), (6, 5_000_000)])
    assert quantize(sequence, Grid.beats(1))[2] == pytest.approx([0])


@settings(max_examples=150)
@given(
    st.integers(0, 2**27 - 1),
    st.sampled_from([1, 96, 384, 480, 32_767]),
    st.lists(st.tuples(st.integers(1, 2**27), st.integers(1, 2**24 - 1)), max_size=4, unique_by=lambda mark: mark[0]),
    st.sampled_from(["10ms", "1ms", "1001/2400ms", "7/3ms"]),
)
def test_quantize_to_seconds_is_exact(onset, ticks_per_beat, marks, text):
    tempos = tidy_marks(np.array([(0, 500_000), *sorted(marks)], TEMPO))
    sequence = piece((onset, 1, 0, 60, 64), grid=Grid.beats(ticks_per_beat), tempos=tempos.tolist())
    second, last, tempo = Fraction(0), 0, 500_000
    for step, value in [*tempos.tolist(), (2**40, 0)]:
        second += Fraction(min(step, onset) - min(last, onset)) * tempo / 1_000_000 / ticks_per_beat
        last, tempo = step, value
    grid = Grid.parse(text)
    expected = (2 * second * grid.steps_per_second + 1) // 2
    assert quantize(sequence, grid)[0].notes["onset"].tolist() == [expected]


@settings(max_examples=100)
@given(ROWS, st.sampled_from([1, 3, 4]), st.sampled_from([1, 2, 120]))
def test_a_finer_grid_and_back_changes_nothing(rows, coarse, factor):
    notes, _ = canonical(notes_of(*rows))
    sequence = NoteSequence(notes, Grid.beats(coarse), 20, metres=np.array([(0, 3, 4), (7, 4, 4)], METRE))
    finer, changes, error_s = quantize(sequence, Grid.beats(coarse * factor))
    assert changes == Changes()
    assert not error_s.any()
    assert quantize(finer, sequence.grid)[0] == sequence
