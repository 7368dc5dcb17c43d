import pytest
from toys import PERFORMANCE, sequence_of

from melodygru.music.performance_events import count_performance_events


def of(*rows):
    return count_performance_events(sequence_of(rows, grid=PERFORMANCE))


def test_a_small_performance_counted_by_hand() -> None:
    found = of(
        (50, 50, 0, 60, 64),  # shift 50, velocity 16, on 60; shift 50, off 60
        (100, 10, 0, 64, 67),  # on 64 (67 is in bin 16, too); shift 10, off 64
        (100, 10, 0, 67, 68),  # velocity 17, on 67; off 67
        (311, 1, 0, 60, 64),  # shifts 100, 100, 1, velocity 16, on 60; shift 1, off 60
    )
    assert found == 5 + 3 + 3 + 7


@pytest.mark.parametrize(
    ("row", "n"),
    [
        ((0, 1, 0, 60, 1), 4),  # velocity, on, shift, off: the first note has a velocity, in bin 0 as well
        ((0, 100, 0, 60, 127), 4),
        ((0, 101, 0, 60, 127), 5),  # two shifts
        ((1, 100, 0, 60, 127), 5),
    ],
)
def test_edges(row: tuple[int, int, int, int, int], n: int) -> None:
    assert of(row) == n


def test_notes_that_begin_together_come_in_ascending_pitch() -> None:
    # Parts 0 and 40 at one step: by pitch the bins are 1, 1, 2, by part they would be 1, 2, 1.
    assert of((0, 5, 0, 60, 4), (0, 5, 0, 72, 8), (0, 5, 40, 64, 4)) == 3 * 2 + 1 + 2


def test_no_note() -> None:
    assert of() == 0
