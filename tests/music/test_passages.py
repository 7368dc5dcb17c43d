"""Passages that return: found by a bag of notes, followed note by note."""

import numpy as np
import pytest

from melodygru.music.passages import N_EXPECTED, Bags, Follower, followed, returning

TUNE = [60, 64, 67, 65, 62, 71, 80, 59, 50]


def test_a_tune_that_returns_at_another_pitch_returns_from_its_sixth_note_on():
    line = np.array([*TUNE, *(pitch + 5 for pitch in TUNE)])
    assert returning(line).tolist() == [False] * 14 + [True] * 4
    assert not returning(line, fixed=True).any()
    assert returning(np.array(TUNE * 2), fixed=True).sum() == 4


def test_one_wrong_note_and_one_too_many_are_no_end():
    line = np.array([*TUNE, *TUNE[:5], 99, *TUNE[5:7], 31, *TUNE[8:]])
    assert returning(line)[14:].tolist() == [False, True, True, False, True]


@pytest.mark.parametrize("line", [[], [60], [60] * 5])
def test_short_lines_return_nowhere(line):
    assert returning(np.array(line, np.int64)).tolist() == [False] * len(line)


@pytest.mark.parametrize("fixed", [False, True])
@pytest.mark.parametrize("order", [1, 5, 12])
def test_a_line_is_followed_the_same_at_once_and_note_by_note(order, fixed):
    rng = np.random.default_rng(order)
    figure = rng.integers(40, 80, 30)
    line = np.concatenate([figure + rng.choice([0, 3]) + 9 * (rng.random(30) < 0.05) for _ in range(8)])
    expected, states = followed(line, order, fixed)
    assert expected.shape == (len(line) + 1, N_EXPECTED)
    assert (expected >= 0).any(1).mean() > 0.2
    bags, follower, pitches = Bags(order, fixed), Follower(), []
    for note, pitch in enumerate([*line.tolist(), None]):
        assert [*follower.expected, *[-1] * N_EXPECTED][:N_EXPECTED] == expected[note].tolist()
        if follower.expected:
            assert (follower.moved, follower.agreed, follower.source, follower.own) == tuple(states[:, note])
        if pitch is not None:
            pitches.append(pitch)
            bags, follower = bags.copy(), follower.copy()
            follower.add(pitches, note, *bags.add(pitches))
