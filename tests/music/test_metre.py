"""melodygru.music.metre: bars, beats and compound metre."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from melodygru.music.grid import Grid
from melodygru.music.metre import METRE, Bars, beat_quarters, is_compound, steps_per_bar

# Metre, compound, quarter notes in a beat.
METRES = [
    ((2, 4), False, "1"),
    ((3, 4), False, "1"),
    ((4, 4), False, "1"),
    ((5, 4), False, "1"),
    ((6, 4), True, "3"),
    ((9, 4), True, "3"),
    ((2, 2), False, "2"),
    ((3, 2), False, "2"),
    ((6, 2), True, "6"),
    ((1, 8), False, "1/2"),
    ((3, 8), False, "1/2"),
    ((5, 8), False, "1/2"),
    ((6, 8), True, "3/2"),
    ((7, 8), False, "1/2"),
    ((8, 8), False, "1/2"),
    ((9, 8), True, "3/2"),
    ((12, 8), True, "3/2"),
    ((3, 16), False, "1/4"),
    ((6, 16), True, "3/4"),
]


@pytest.mark.parametrize(("metre", "compound", "quarters"), METRES)
def test_compound_metres_have_beats_of_three_units(metre, compound, quarters):
    assert is_compound(metre) == compound
    assert beat_quarters(metre) == Fraction(quarters)


@pytest.mark.parametrize(
    ("grid", "metre", "steps"),
    [
        (4, (4, 4), 16),
        (4, (6, 8), 12),
        (1, (3, 4), 3),
        (2, (7, 8), 7),
        (1, (3, 8), 2),
        (1, (1, 16), 1),
        (480, (2, 2), 1920),
    ],
)
def test_steps_per_bar(grid, metre, steps):
    assert steps_per_bar(Grid.beats(grid), metre) == steps


def bars_of(grid, *metres):
    return Bars(Grid.beats(grid), np.array(list(metres), METRE))


def test_where_steps_lie_in_bars():
    # A bar of 3/4, a bar of 4/4 that the next metre cuts after a beat, then 6/8.
    bars = bars_of(4, (0, 3, 4), (12, 4, 4), (16, 6, 8))
    steps = np.array([0, 11, 12, 15, 16, 27, 28])
    at = bars.at(steps)
    assert at.bar.tolist() == [0, 0, 1, 1, 2, 2, 3]
    assert at.position.tolist() == [0, 11, 0, 3, 0, 11, 0]
    assert at.size.tolist() == [12, 12, 16, 16, 12, 12, 12]
    beats = bars.beats_at(steps)
    assert beats.beat.tolist() == [0, 2, 3, 3, 7, 8, 9]  # a bar that is cut still counts its four beats
    assert beats.position.tolist() == [0, 3, 0, 3, 0, 5, 0]
    assert beats.size.tolist() == [4, 4, 4, 4, 6, 6, 6]


@pytest.mark.parametrize(
    ("metre", "lines"),
    [
        ((4, 4), [0, 4, 8, 12, 16]),
        ((2, 2), [0, 8, 16]),
        ((3, 8), [0, 2, 4, 6]),
        ((6, 8), [0, 6, 12]),
        ((6, 4), [0, 12, 24]),
        ((5, 8), [0, 2, 4, 6, 8, 10]),
        ((3, 16), [0, 1, 2, 3]),
        ((1, 4), [0, 4]),
    ],
)
def test_lines_of_beats(metre, lines):
    bars = bars_of(4, (0, *metre))
    inside = bars.beat_lines(np.array([0]))
    assert [*inside.tolist(), steps_per_bar(Grid.beats(4), metre)] == lines


def test_lines_of_beats_need_no_whole_steps():
    assert bars_of(1, (0, 3, 8)).beat_lines(np.array([0, 2])).tolist() == [0, 0.5, 1, 2, 2.5, 3]


MARKS = st.lists(
    st.tuples(st.integers(1, 40), st.integers(1, 13), st.sampled_from([1, 2, 4, 8, 16])), min_size=1, max_size=5
)


@given(MARKS, st.integers(1, 5), st.integers(0, 200))
def test_one_step_as_many_steps_as_the_starts_of_bars(marks, grid, length):
    step, metres = 0, []
    for gap, numerator, denominator in marks:
        metres.append((step, numerator, denominator))
        step += gap
    bars = bars_of(grid, *metres)
    steps = np.arange(length + 1)
    at, starts = bars.at(steps), bars.starts(length)
    assert [bars.at_step(step) for step in steps.tolist()] == list(
        zip(at.bar.tolist(), at.position.tolist(), at.size.tolist(), strict=True)
    )
    assert starts[at.bar].tolist() == (steps - at.position).tolist()
    assert starts[-1] >= length and (starts[:-1] < max(1, length)).all()
