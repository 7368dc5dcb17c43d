"""Degeneration: what the detectors find, note by note; thresholds are those of a grid of four steps a beat."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import toys

from melodygru import midi
from melodygru.compose.degeneration import Degeneration, Monitor, Thresholds, find_degeneration
from melodygru.music.notes import DRUMS
from melodygru.music.quantize import quantize

THRESHOLDS = Thresholds(silence=64, onset=4, sounding=8, duration=128)


def _first(notes, thresholds=THRESHOLDS):
    """Where a monitor first finds something, and what."""
    monitor = Monitor(thresholds)
    for at, note in enumerate(notes):
        found = monitor.add(*note)
        if found is not None:
            return at, found
    return None


def _line(pitches, duration=2, program=0, start=0):
    return [(start + 2 * at, duration, program, pitch) for at, pitch in enumerate(pitches)]


NEVER_ALIKE = [40 + (7 * at * at + 3 * at + at // 5) % 41 for at in range(96)]


def test_music_that_goes_on_is_left_alone():
    assert _first(_line(NEVER_ALIKE)) is None


@pytest.mark.parametrize(("length", "repeated"), [(2, 16), (3, 18), (4, 24), (5, 24), (8, 32), (16, 64), (17, 85)])
def test_a_loop_may_come_so_often_and_no_oftener(length, repeated):
    lead, loop = NEVER_ALIKE[:20], NEVER_ALIKE[30 : 30 + length]
    notes = _line(lead + [loop[at % length] for at in range(length + repeated)])
    # Only from the loop's second note on: the first no longer follows what it followed.
    assert _first(notes[:-1]) is None
    at, found = _first(notes)
    assert (at, found) == (20 + length + repeated - 1, Degeneration(f"a loop of {length} notes", 20 + length, length))


def test_a_loop_in_other_times_may_come_oftener():
    def played(n):
        return [(3 * at + (at * at) % 2, 1 + (at * 7) % 3, 0, NEVER_ALIKE[at % 8]) for at in range(n)]

    assert _first(played(8 + 47)) is None
    assert _first(played(8 + 48)) == (8 + 47, Degeneration("a loop of 8 notes", 8, 8))


def test_few_trigrams_are_degenerate_though_no_two_rounds_are_alike():
    rng = np.random.default_rng(0)
    phrases = [[60, 62, 64], [60, 62, 65]]
    notes = _in_other_times([pitch for at in rng.integers(0, 2, 60) for pitch in phrases[at]])
    found = _first(notes)
    assert found == (127, Degeneration("the same few trigrams", 64, 16))
    assert _first(notes, dataclasses.replace(THRESHOLDS, diversity=6)) is None
    assert Thresholds.from_vocabulary(toys.VOCABULARIES["many"]).diversity == THRESHOLDS.diversity


def test_a_repeated_strain_is_no_loop():
    strain = NEVER_ALIKE[:40]
    assert _first(_line((strain + strain + NEVER_ALIKE[50:80]) * 2)) is None


def test_drums_may_repeat_themselves_four_times_as_often():
    loop = [36, 42, 38, 42]
    assert _first(_line(loop * 24, program=DRUMS)) is None
    assert _first(_line(loop * 40, program=DRUMS))[1].why == "a loop of 4 notes"
    with_bass = [*_line(loop * 8, program=DRUMS), (70, 2, 33, 40), *_line(loop * 8, program=DRUMS, start=72)]
    assert _first(with_bass) is None


def _in_other_times(pitches):
    times = np.random.default_rng(0).integers(0, 3, (len(pitches), 2)).tolist()
    return [(4 * at + times[at][0], 1 + times[at][1], 0, pitch) for at, pitch in enumerate(pitches)]


def test_one_pitch_and_two():
    one = _in_other_times([60] * 23)
    assert _first(one) is None
    assert _first(_in_other_times([60] * 24)) == (23, Degeneration("one pitch over and over", 2))
    two = np.random.default_rng(1).choice([60, 62], 48).tolist()
    assert _first(_in_other_times(two[:47])) is None
    assert _first(_in_other_times(two)) == (47, Degeneration("two pitches over and over", 2))
    assert _first(_in_other_times([*two[:40], 64, *two[:40]])) is None


def test_silence():
    assert _first([(0, 4, 0, 60), (68, 4, 0, 62)]) is None
    assert _first([(0, 4, 0, 60), (69, 4, 0, 62)]) == (1, Degeneration("a silence", 1))
    assert _first([(0, 80, 0, 60), (2, 1, 0, 62), (100, 4, 0, 62)]) is None  # the first sounds meanwhile
    monitor = Monitor(THRESHOLDS)
    assert monitor.finish(1000) is None  # a piece without a note is none of the guard's
    monitor.add(0, 4, 0, 60)
    assert monitor.finish(68) is None
    assert monitor.finish(69) == Degeneration("a silence", 1)


def test_clusters():
    chord = [(8, 2, 0, 60 + at) for at in range(5)]
    assert _first([(0, 1, 0, 50), *chord[:4]]) is None
    assert _first([(0, 1, 0, 50), *chord]) == (5, Degeneration("5 notes at once", 1))
    held = [(2 * at, 100, 0, 40 + at) for at in range(9)]
    assert _first(held[:8]) is None
    assert _first(held) == (8, Degeneration("9 notes sounding together", 5))
    passing = [(2 * at, 16, 0, 40 + at) for at in range(30)]
    assert _first(passing) is None
    assert _first([(0, 128, 0, 60)]) is None
    assert _first([(0, 1, 0, 50), (4, 129, 0, 60)]) == (1, Degeneration("a note without end", 1))


def test_limits_follow_the_music():
    beats = Thresholds.from_vocabulary(
        toys.with_statistics(dataclasses.replace(toys.VOCABULARIES["many"], n_sounding=7), longest=1200)
    )
    assert (beats.silence, beats.onset, beats.sounding, beats.duration, beats.alike) == (64, 16, 35, 400, 48)
    seconds = Thresholds.from_vocabulary(dataclasses.replace(toys.VOCABULARIES["performance"], n_sounding=16))
    assert (seconds.silence, seconds.onset, seconds.sounding, seconds.duration, seconds.alike) == (
        2400,
        32,
        80,
        9000,
        128,
    )


def test_a_finished_piece():
    loop = toys.sequence_of([(2 * at, 2, 0, [60, 64, 67, 64][at % 4], 80) for at in range(29)])
    assert find_degeneration(loop, THRESHOLDS) == Degeneration(
        "a loop of 4 notes", 5, 4
    )  # the first note follows nothing
    assert find_degeneration(toys.sequence_of([(0, 4, 0, 60, 80)], length=100), THRESHOLDS) == Degeneration(
        "a silence", 1
    )
    assert find_degeneration(toys.sequence_of([(0, 4, 0, 60, 80)], length=60), THRESHOLDS) is None


@pytest.mark.parametrize("folder", ["airs", "chorales", "hornpipes", "jigs", "reels"])
def test_real_music_does_not_degenerate(folder):
    vocabulary = toys.with_statistics(dataclasses.replace(toys.VOCABULARIES["many"], n_sounding=7), longest=1162)
    paths = sorted((Path(__file__).parents[2] / "data" / "starter" / folder).glob("*.mid"))[::8]
    assert len(paths) >= 10
    for path in paths:
        piece, *_ = quantize(midi.read(path).sequence, vocabulary.grid)
        assert find_degeneration(piece, Thresholds.from_vocabulary(vocabulary)) is None, path
