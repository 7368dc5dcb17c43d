"""Rules: masks, log-weights and steps from several of them become one choice; some give way."""

import numpy as np
import pytest

from melodygru.compose.places import NEVER, share_of_classes, steps_within
from melodygru.compose.rules import Event, Rule
from melodygru.events import TIMES


class Fixed(Rule):
    """Says the same of every field."""

    def __init__(self, weights, yields=False, spans=None):
        self._weights, self.yields, self._spans = weights, yields, spans

    def weigh(self, field, event):
        return None if self._weights is None else np.array(self._weights)

    def spans(self, field, event):
        return self._spans


def weighed(*rules, field="pitch", logits=((0.0, 0.0, 0.0),)):
    event = Event([None] * len(logits), [0] * len(logits), np.ones(len(logits), bool), [0] * len(logits))
    event.logits = np.array(logits)
    event.weigh(field, rules)
    return event


def test_masks_are_joined_and_log_weights_add_up():
    event = weighed(
        Fixed(None), Fixed([[True, True, False]]), Fixed([[0.5, 0.0, 1.0]]), Fixed([[1.0, -np.inf, 0.0]]),
        Fixed([[True, False, True]]),
    )  # fmt: skip
    assert event.mask.tolist() == [[True, False, False]]
    assert event.log_weights.tolist() == [[1.5, -np.inf, 1.0]]
    assert (weighed().mask, weighed().log_weights, weighed().spans) == (None, None, None)


def test_rules_that_yield_do_so_together_and_for_their_stream_alone():
    one, other = Fixed([[True, False, False]] * 2, yields=True), Fixed([[True, True, False]] * 2, yields=True)
    event = weighed(one, other, Fixed([[True] * 3, [False, True, True]]), logits=[[0.0] * 3] * 2)
    assert event.mask.tolist() == [[True, False, False], [False, True, True]]
    # What cannot follow, and what log-weights leave out, is not left either.
    assert weighed(Fixed([[True, False, False]], yields=True), logits=[[-np.inf, 0.0, 0.0]]).mask.all()
    assert weighed(Fixed([[-np.inf, 0.0, 0.0]]), Fixed([[True, False, False]], yields=True)).mask.all()


def test_steps_are_asked_for_of_times_alone():
    rule = Fixed(None, spans=[[(3, 5)]])
    assert weighed(rule, field="shift").spans == weighed(rule, field="duration").spans == [[(3, 5)]]
    assert weighed(rule).spans is None


def test_the_share_of_a_class_and_the_steps_in_it():
    wide = int(np.flatnonzero(TIMES.width > 4)[0])
    low, width = int(TIMES.low[wide]), int(TIMES.width[wide])
    spans = [(0, 2), (low + 1, low + 3)]
    share = share_of_classes([spans, [(0, NEVER)]])
    assert share[0, :3].tolist() == [1, 1, 0]
    assert share[0, wide] == pytest.approx(2 / width)
    assert (share[1] == 1).all()
    assert [steps_within(spans, wide, place) for place in (0.0, 0.499, 0.5, 0.999)] == [
        low + 1,
        low + 1,
        low + 2,
        low + 2,
    ]
