"""Classes of times and of intervals."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from melodygru.events import TIMES, span_class
from melodygru.events.times import N_SPANS, span_of


def test_time_classes_are_exact_below_96_and_cover_all_up_to_the_maximum():
    assert TIMES.encode(np.array([0, 1, 95])).tolist() == [0, 1, 95]
    assert TIMES.width[:96].max() == 1
    assert TIMES.low[0] == 0
    assert TIMES.low[-1] + TIMES.width[-1] == TIMES.maximum + 1
    assert (TIMES.low[1:] == TIMES.low[:-1] + TIMES.width[:-1]).all()  # no gap, no overlap
    assert (TIMES.width[96:] <= np.ceil(TIMES.low[96:] * 0.06) + 1).all()


@given(st.integers(0, TIMES.maximum))
def test_a_time_lies_in_its_class(steps):
    time_class = TIMES.encode(np.array([steps]))[0]
    inside = steps - TIMES.low[time_class]
    share = (inside + 0.5) / TIMES.width[time_class]
    assert TIMES.decode(np.array([time_class]), np.array([share]))[0] == steps


def test_span_classes_hold_at_their_edges():
    assert span_class(np.array([0, 15, 16, 18, 19, 32])).tolist() == [0, 15, 16, 16, 16, 20]
    assert span_class(np.array([10**9])).tolist() == [N_SPANS - 1]
    assert [span_of(s) for s in (0, 2047, 2048, 10**9)] == [
        int(c) for c in span_class(np.array([0, 2047, 2048, 10**9]))
    ]
