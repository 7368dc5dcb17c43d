"""Steps inside the classes of time."""

import numpy as np
import pytest

from melodygru.compose.places import EVEN, NEVER, Places
from melodygru.events import TIMES

LEFT = 300  # steps to the common end
HELD = int(TIMES.encode(np.array([LEFT]))[0])
LOW, WIDTH = int(TIMES.low[HELD]), int(TIMES.width[HELD])
SPANS = {
    "all": [(0, NEVER)],
    "with the end": [(LEFT - 2, LEFT + 3)],
    "the end alone": [(LEFT, LEFT + 1)],
    "beside the end": [(LOW, LEFT), (LEFT + 1, LEFT + 2)],
}


def probabilities(places, spans):
    """Of each step of the class, what `log_p` gives it, where it is allowed."""
    steps = np.arange(LOW, LOW + WIDTH)
    p = np.array([np.exp(places.log_p(np.array([HELD]), [int(step)])[0]) for step in steps])
    allowed = np.any([(first <= steps) & (steps < after) for first, after in spans], axis=0)
    return np.where(allowed, p, 0.0)


@pytest.mark.parametrize("gain", [-2.0, 0.0, 3.0, 200.0])
@pytest.mark.parametrize("spans", SPANS.values(), ids=SPANS)
def test_what_is_drawn_what_is_counted_and_what_is_shared_agree(spans, gain):
    places = Places([LEFT], [gain])
    p = probabilities(places, spans)
    assert probabilities(places, SPANS["all"]).sum() == pytest.approx(1)
    share = places.share_of_classes([spans])[0, HELD]
    assert share == pytest.approx(p.sum(), abs=1e-12)
    numbers = (np.arange(4000) + 0.5) / 4000
    drawn = [places.steps([spans], [HELD], [number])[0] for number in numbers]
    found = np.bincount(np.array(drawn) - LOW, minlength=WIDTH) / len(drawn)
    assert found == pytest.approx(p / p.sum() if p.sum() else found, abs=2e-3)


def test_other_classes_are_even():
    places, wide = Places([LEFT, 0], [5.0, 5.0]), HELD + 3
    spans = [[(TIMES.low[wide], TIMES.low[wide] + 1)]] * 2
    np.testing.assert_allclose(places.share_of_classes(spans), EVEN.share_of_classes(spans))
    assert places.log_p(np.array([wide, HELD]), [int(TIMES.low[wide]), LOW]) == pytest.approx(
        -TIMES.log_width[[wide, HELD]]
    )
    numbers = [0.0, 0.999]
    assert places.steps(None, [wide, HELD], numbers) == EVEN.steps(None, [wide, HELD], numbers)


def test_an_end_within_the_exact_classes_gains_nothing():
    places = Places([5], [4.0])
    assert places.share_of_classes([[(5, 6)]])[0, 5] == 1
    assert places.log_p(np.array([5]), [5])[0] == pytest.approx(0)
    assert places.steps(None, [5], [0.5]) == [5]
