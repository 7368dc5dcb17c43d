"""Takes and transpositions of one piece are recognised, and stay on one side of a split."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import toys

from melodygru import midi
from melodygru.corpus import intake, split
from melodygru.corpus.relatives import PAIRED, SHARED, families, sketch
from melodygru.music.grid import Grid
from melodygru.music.notes import DRUMS, TEMPO, transpose

STARTER = Path(__file__).parents[2] / "data" / "starter"
STYLES = ("airs", "chorales", "jigs")


def another_take(piece, semitones, later_s, seed):
    """A piece as someone else plays it in another key: slower, unsteady, chords spread, softer, on a grid of 10 ms."""
    rng = np.random.default_rng(seed)
    notes = transpose(piece.notes, semitones)
    second_per_step = 60 / piece.qpm / float(piece.grid.steps_per_beat)
    written_s = notes["onset"] * second_per_step
    onset = later_s + 1.25 * written_s + 0.3 * np.sin(written_s) + rng.uniform(0, 0.015, len(notes))
    notes["onset"] = np.rint(100 * onset)
    notes["duration"] = np.maximum(1, np.rint(80 * notes["duration"] * second_per_step))
    notes["velocity"] = rng.integers(30, 90, len(notes))
    return toys.sequence_of([tuple(int(note[name]) for name in ROW) for note in notes], grid=Grid.parse("10ms"))


ROW = ("onset", "duration", "program", "pitch", "velocity")


def moved(piece, semitones, steps, qpm):
    """A piece in another key, some steps later and in another tempo."""
    notes = transpose(piece.notes, semitones)
    notes["onset"] += steps
    tempos = np.array([(0, qpm)], TEMPO)
    return dataclasses.replace(piece, notes=notes, length=piece.length + steps, tempos=tempos)


@pytest.fixture(scope="module")
def starter():
    """Pieces of the starter corpus by style: ten of each."""
    return {
        style: [midi.read(path).sequence for path in sorted((STARTER / style).glob("*.mid"))[:200:20]]
        for style in STYLES
    }


def test_a_sketch_depends_on_neither_key_nor_time(starter):
    for piece in [pieces[0] for pieces in starter.values()]:
        assert len(sketch(piece)) >= SHARED
        assert np.array_equal(sketch(moved(piece, -4, 960, 60)), sketch(piece))
        take = sketch(another_take(piece, 3, 1.5, 0))
        assert len(np.intersect1d(take, sketch(piece))) >= SHARED


def test_families_are_takes_and_transpositions_and_nothing_else(starter):
    pieces = [piece for of_style in starter.values() for piece in of_style]
    takes = [another_take(piece, at % 7 - 3, 0.5, at) for at, piece in enumerate(pieces[:20])]
    found = families([sketch(piece) for piece in [*pieces, *takes]])
    assert found.tolist() == [*range(30), *range(20)]


def test_a_family_of_many_is_one():
    line = np.random.default_rng(1).integers(40, 60, 60).tolist()
    keys = [toys.sequence_of([(at, 1, 0, pitch + key, 80) for at, pitch in enumerate(line)]) for key in range(60)]
    assert len(keys) > 2 * PAIRED
    assert set(families([sketch(piece) for piece in keys]).tolist()) == {0}


def test_short_lines_are_relatives_only_when_they_are_the_same():
    def line(pitches, program=0):
        return sketch(toys.sequence_of([(at, 1, program, pitch, 80) for at, pitch in enumerate(pitches)]))

    scale = [60, 62, 64, 65, 67, 69, 71, 72, 71, 69]
    assert families([line(scale), line([pitch + 5 for pitch in scale]), line([*scale, 67, 50])]).tolist() == [0, 0, 2]
    assert families([line(scale[:8]), line(scale[:8])]).tolist() == [0, 1]  # nothing to go by
    assert families([]).tolist() == []
    # Drums count only where there is nothing else.
    assert len(line(scale, DRUMS)) == 2
    both = toys.sequence_of([(at, 1, program, 60, 80) for at in range(20) for program in (0, DRUMS)])
    assert np.array_equal(sketch(both), line([60] * 20))


@pytest.fixture(scope="module")
def folder(starter, tmp_path_factory):
    """A folder in which half of the pieces have a transposition, and one of each style a second take."""
    root = tmp_path_factory.mktemp("takes")
    for style, pieces in starter.items():
        (root / style).mkdir()
        for at, piece in enumerate(pieces):
            midi.write(piece, root / style / f"{at}.mid")
            if at % 2:
                midi.write(moved(piece, 2, 0, 77), root / style / f"{at}-transposed.mid")
        midi.write(moved(pieces[1], -3, 480, 140), root / style / "1-again.mid")
    return root


def test_a_split_keeps_takes_on_one_side(folder, tmp_path):
    corpus = intake(folder, cache=tmp_path)
    assert (corpus.report.relatives, corpus.report.families) == (3 * 11, 3 * 5)
    row = "33 pieces are takes or transpositions of 15 pieces; those of one are held out together"
    assert f"relatives   {row}" in corpus.report.table()
    drawn = set()
    for seed in range(20):
        train, held_out = split(corpus, 0.25, seed=seed)
        assert len(train) + len(held_out) == 48 and len(held_out) == 12
        assert not set(train.families.tolist()) & set(held_out.families.tolist())
        assert {piece.style for piece in held_out.pieces} == set(STYLES)
        drawn |= {piece.path for piece in held_out.pieces}
    assert any("again" in path for path in drawn)
    again = intake(folder, cache=tmp_path)
    assert np.array_equal(again.families, corpus.families)


def test_where_all_pieces_have_many_takes_the_smallest_family_is_held_out_and_never_most_of_all(folder, tmp_path):
    corpus = intake(folder, cache=tmp_path)
    for sizes, n_held_out in (([20, 14, 14], 14), ([30, 18], 18), ([48], 5), ([44, 4], 4)):
        corpus.families = np.repeat(np.arange(len(sizes)), sizes)
        train, held_out = split(corpus, 0.1)
        assert len(held_out) == n_held_out
        if len(sizes) > 1:
            assert not set(train.families.tolist()) & set(held_out.families.tolist())
