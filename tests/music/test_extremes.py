"""Extremes of a piece: each by hand, and never less than what the guard follows note by note."""

import dataclasses

import numpy as np
import pytest
import toys

from melodygru.compose.degeneration import Thresholds, find_degeneration
from melodygru.events.fitting import fit_vocabulary
from melodygru.music.extremes import ENOUGH, MARGIN, WIDEST, Extremes, extremes, limits
from melodygru.music.notes import DRUMS


def test_each_extreme_by_hand():
    notes = [(4, 4, 0, 60, 80), (4, 2, 0, 64, 80), (8, 9, 0, 67, 80), (20, 2, 0, 67, 80)]
    notes += [(22, 2, 0, 67, 80), (24, 2, 0, 60, 80), (26, 2, 0, 67, 80)]
    found = extremes(toys.sequence_of(notes, length=34))
    assert found[:6] == (6, 9, 2, 2, 3, 5)
    assert found.trigrams == 128  # shorter than a window


@pytest.mark.parametrize(("n_notes", "program", "extent"), [(20, 0, 1.0), (36, 0, 2.0), (68, DRUMS, 1.0)])
def test_a_loop_of_four_notes(n_notes, program, extent):
    # Of a loop's n notes the first four repeat nothing; the first of all lacks the shift of the others.
    notes = [(2 + 2 * at, 2, program, 60 + at % 4, 80) for at in range(n_notes)]
    found = extremes(toys.sequence_of(notes))
    expected = (n_notes - 4) / 24 / (4 if program == DRUMS else 1)
    assert found.exact == found.line == pytest.approx(expected, rel=0.01)


def test_a_line_loops_while_another_goes_on():
    rng = np.random.default_rng(0)
    notes = [(2 * at, 2, 33, 40 + at % 3, 80) for at in range(128)]
    notes += [(2 * at, 2, 0, int(pitch), 80) for at, pitch in enumerate(rng.integers(60, 90, 128))]
    piece = toys.sequence_of(sorted(notes, key=lambda note: (note[0], note[2], note[3])))
    found = extremes(piece)
    assert found.exact < 0.5 < 6 < found.line
    usual = Thresholds()
    assert find_degeneration(piece, usual) is None
    assert find_degeneration(piece, dataclasses.replace(usual, line=1.0)).why == "a line's loop of 3 notes"
    assert find_degeneration(piece, dataclasses.replace(usual, line=found.line * 1.01)) is None


def test_no_piece_of_a_corpus_is_flagged_by_its_own_limits():
    loop = toys.sequence_of([(2 * at, 2, 0, [60, 64, 67, 64][at % 4], 80) for at in range(200)])
    assert find_degeneration(loop, Thresholds()) is not None
    vocabulary = fit_vocabulary([(loop, None)], loop.grid)
    assert find_degeneration(loop, Thresholds.from_vocabulary(vocabulary)) is None
    longer = toys.sequence_of([(2 * at, 2, 0, [60, 64, 67, 64][at % 4], 80) for at in range(600)])
    assert find_degeneration(longer, Thresholds.from_vocabulary(vocabulary)) is not None


def test_limits_are_what_the_pieces_do_and_a_margin_beyond_that_is_wider_for_few():
    calm, busy = Extremes(exact=0.5), Extremes(exact=4.0, trigrams=20)
    assert limits([calm] * ENOUGH).exact == 0.5 * MARGIN
    assert limits([busy] * ENOUGH) == limits([calm, *[busy] * (ENOUGH - 1)]) == busy._replace(exact=5.0, trigrams=16.0)
    assert limits([calm] * 100).exact == pytest.approx(0.5 * MARGIN * 4**0.3, abs=1e-3)
    assert limits([calm]).exact == 0.5 * MARGIN * WIDEST
