"""Parallels: what a pitch costs that moves with another line, and when a piece avoids them."""

import numpy as np
import toys

from melodygru.compose.parallels import COST, Parallels, are_avoided
from melodygru.events import NEW, Context

C, E, G, B = 60, 64, 67, 71


def chord(low, high):
    """A context after a chord of two lines of four steps, at whose end it stands; line 7 is part 0, line 8 part 1."""
    context = Context(toys.VOCABULARIES["many"])
    context.before()
    context.move(0)
    context.add(NEW, low, 4)
    context.before()
    context.move(0)
    context.add(NEW + 40, high, 4)
    context.past.given |= {7: 0, 8: 1}
    context.before()
    context.move(4)
    return context


def test_a_pitch_that_moves_in_a_fifth_with_a_line_costs():
    free = Parallels((7, 8), {(8, 4): G + 2})  # the other line has yet to strike its A
    bias = free.bias(chord(C, G), 7)
    fifths = [*range(2, G + 2, 12), *range(G + 2 + 7, 128, 12)]  # the Ds below it, and the Es above
    assert np.flatnonzero(bias).tolist() == fifths and bias[62] == -COST
    assert free.bias(chord(C, E), 7) is None  # a third before
    assert Parallels((7, 8), {}).bias(chord(C, G), 7) is None  # the other line stays
    assert Parallels((7, 8), {(8, 4): G}).bias(chord(C, G), 7) is None  # on its pitch
    assert Parallels((7,), {(8, 4): G + 2}).bias(chord(C, G), 7) is None


def lines(*pitches):
    """Notes of four steps of each line."""
    n = len(pitches[0])
    onset = np.tile(4 * np.arange(n), len(pitches))
    return onset, onset + 4, np.repeat(np.arange(len(pitches)), n), np.concatenate(pitches)


def test_a_piece_avoids_parallels_that_has_none_in_many_changes():
    third = np.array([C, C + 2] * 20)
    fifths = np.where(np.arange(40) < 2, third + 7, third + 4)  # one parallel in 39 changes
    assert are_avoided(*lines(third, third + 4), lines=(0, 1))
    assert not are_avoided(*lines(third, fifths), lines=(0, 1))
    assert not are_avoided(*lines(third[:17], third[:17] + 4), lines=(0, 1)[:1])
    assert not are_avoided(*lines(third[:16], third[:16] + 4), lines=(0, 1))  # too few to tell
    assert are_avoided(*lines(third, third + 4), lines=(0, 1, 2))  # of the last one nothing stays
