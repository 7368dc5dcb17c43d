"""Beats divided in 5, 7, 9 and 10: found where they are written, and never in what is played freely."""

import numpy as np
import pytest

from melodygru.corpus import choose_grid
from melodygru.music.grid import Grid
from melodygru.music.notes import KEY, NoteSequence, note_array
from melodygru.music.tuplets import FINE, divisions, for_score, in_tuplets


def piece(onsets, ticks=480, duration=None):
    """Notes one after another; each ends where the next begins."""
    onsets = np.array(onsets)
    lengths = np.diff(np.append(onsets, onsets[-1] + ticks)) if duration is None else np.full(len(onsets), duration)
    pairs = enumerate(zip(onsets.tolist(), lengths.tolist(), strict=True))
    rows = [(onset, length, 0, 60 + at % 12, 80) for at, (onset, length) in pairs]
    return NoteSequence(note_array(rows), Grid.beats(ticks), int(onsets[-1] + ticks), keys=np.array([(0, 2, 0)], KEY))


def beats(*parts, ticks=480):
    """Onsets of beats in so many equal parts each, rounded down as some programs do."""
    return [beat * ticks + ticks * at // n for beat, n in enumerate(parts) for at in range(n)]


@pytest.mark.parametrize("ticks", [96, 480, 960])
@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 16])
def test_a_beat_in_n(n, ticks):
    if n > 10 and ticks == 96:
        return  # within a tick of something coarser
    found = divisions(np.array(beats(1, n, ticks=ticks)), ticks)
    assert found[0].tolist() == [0, 1]
    assert found[1].tolist() == [1, n]


def test_what_no_division_holds():
    assert divisions(np.array([0, 100, 231]), 480)[1].tolist() == [0]
    assert divisions(np.zeros(0, np.int64), 480)[0].tolist() == []


def test_a_free_performance_has_no_tuplets():
    onsets = np.sort(np.random.default_rng(3).choice(96_000, 800, replace=False))
    assert not in_tuplets(piece(onsets)).any()
    assert not choose_grid([piece(onsets)])[0].is_metrical


@pytest.mark.parametrize("n", [5, 7, 9, 10])
def test_a_piece_with_beats_has_a_grid_of_beats(n):
    sequence = piece(beats(1, n, 2, n, 1, n, n, 2))
    assert in_tuplets(sequence).sum() == 4 * n
    assert choose_grid([sequence])[0] == Grid.beats(12 if n == 9 else 2)  # a twelfth is near enough to a ninth
    found, rounded = for_score(sequence, Grid.beats(2))
    assert found.grid == FINE
    assert rounded == []
    assert found.notes["onset"].tolist() == [
        beat * 5040 + 5040 * at // parts for beat, parts in enumerate((1, n, 2, n, 1, n, n, 2)) for at in range(parts)
    ]
    assert found.keys.tolist() == [(0, 2, 0)]


def test_without_tuplets_the_grid_stays():
    sequence = piece(beats(1, 2, 4, 3))
    found, rounded = for_score(sequence, Grid.beats(12))
    assert (found.grid, rounded) == (Grid.beats(12), [])


def test_bars_that_had_to_be_rounded_are_named():
    onsets = [*beats(*[2] * 8), 8 * 480 + 100, 9 * 480, *[at * 480 for at in range(10, 20)], 20 * 480 + 33]
    found, rounded = for_score(piece(onsets), Grid.beats(2))
    assert rounded == [3, 6]
    _, rounded = for_score(piece([*onsets, *[22 * 480 + 96 * at for at in range(5)]]), Grid.beats(2))
    assert rounded == [3, 6]
