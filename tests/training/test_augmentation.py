"""What training changes in pieces: where they begin, and mistakes, which are never learned."""

import numpy as np
import pytest
import toys

from melodygru.music.notes import DRUMS
from melodygru.training.augmentation import EXCERPT_BARS, beginnings, excerpt, repeats_itself, with_mistakes
from melodygru.training.pieces import Pieces
from melodygru.training.settings import Settings

BAR = 16


def band(bars=16):
    """A bass and drums that play the same in every bar, and a melody in its last half that doesn't."""
    rows = [(bar * BAR + 4 * beat, 4, 33, 40 + beat, 80) for bar in range(bars) for beat in range(4)]
    rows += [(bar * BAR + at, 1, DRUMS, pitch, 80) for bar in range(bars) for at, pitch in ((0, 36), (4, 38), (12, 38))]
    rows += [(bar * BAR, 2, 0, 60 + bar, 80) for bar in range(bars // 2, bars)]
    return toys.sequence_of(rows, bars * BAR)


def melody():
    return toys.sequence_of([(at, 1, 0, 40 + at % 50, 80) for at in range(200)])


def test_a_band_that_repeats_itself_may_begin_after_every_fourth_bar_and_other_pieces_as_they_do():
    assert repeats_itself(band()) and not repeats_itself(melody())
    assert beginnings(band()).tolist() == [0, 4 * BAR, 8 * BAR, 12 * BAR]
    assert beginnings(melody()).tolist() == [0]
    few = toys.sequence_of([(bar * BAR, 1, program, 60, 80) for bar in range(16) for program in (0, 1)])
    assert beginnings(few).tolist() == [0, 4 * BAR, 8 * BAR]  # after the last there are too few notes


def test_an_excerpt_is_the_piece_from_there_on_and_its_parts_are_those_that_play_in_it():
    piece = band()
    assert excerpt(piece, 0) is piece
    later = excerpt(piece, 8 * BAR)
    assert later.length == 8 * BAR and later.metre == piece.metre
    left = piece.notes[piece.notes["onset"] >= 8 * BAR]
    left["onset"] -= 8 * BAR
    assert sorted(left[["onset", "pitch"]].tolist()) == sorted(later.notes[["onset", "pitch"]].tolist())
    assert later.part_programs.tolist() == [0, 33, DRUMS]  # the melody is there from the first bar on
    assert piece.part_programs.tolist() == [33, DRUMS, 0]


def test_half_of_the_draws_of_a_band_have_mistakes_and_none_of_a_melody():
    pieces = Pieces([band(), melody()], [None] * 2, toys.VOCABULARIES["many"], Settings(epochs=1))
    seen = [sum(pieces.draw(index, epoch).mistakes is not None for epoch in range(40)) for index in range(2)]
    assert 10 < seen[0] < 30 and seen[1] == 0


def test_mistakes_are_marked_and_all_else_is_the_piece_s_own():
    piece = band()
    who = ["onset", "program", "pitch"]  # parts are numbered anew where the first note of one was moved
    own = set(piece.notes[who].tolist())
    for seed in range(40):
        changed, odd = with_mistakes(piece, np.random.default_rng(seed))
        assert len(odd) == len(changed) <= len(piece) and changed.length == piece.length
        assert set(changed.notes[~odd][who].tolist()) <= own
        assert (changed.notes["velocity"] == 80).all()


def test_about_as_many_notes_are_added_as_are_left_out():
    piece = band(64)
    sizes = [len(with_mistakes(piece, np.random.default_rng(seed))[0]) for seed in range(40)]
    assert len(piece) * 0.96 < np.mean(sizes) <= len(piece)


@pytest.mark.parametrize("seed", range(3))
def test_windows_are_counted_by_what_an_epoch_leaves_of_each_piece(seed):
    corpus = [band(16), melody(), band(24)]
    vocabulary = toys.VOCABULARIES["many"]
    pieces = Pieces(corpus, [None] * 3, vocabulary, Settings(epochs=1, seed=seed, window=16, batch=2, transpose=0))
    found = set()
    for epoch in range(12):
        lengths = pieces.lengths(epoch)
        assert lengths[1] == len(melody()) + 1
        for index in range(3):
            events = pieces.encode(index, epoch)
            assert len(events) <= lengths[index]
            found.add((index, len(events) == len(corpus[index]) + 1))
        for batch in pieces.plan(epoch):
            assert len(list(pieces.batch_windows(epoch, batch))) == batch.windows
    assert (0, True) in found and (0, False) in found


def test_beginnings_are_on_bar_lines():
    assert all(step % (EXCERPT_BARS * BAR) == 0 for step in beginnings(band(40)))
