"""Pieces encoded ahead, by other processes or not, kept or not, are those that a run encodes one by one."""

import logging
import os
import signal

import numpy as np
import pytest
import toys
from toys import VOCABULARIES

from melodygru.events import INPUTS, encode, windows
from melodygru.training import Pieces, Settings
from melodygru.training.encoders import Encoders, Kept


def pieces_of(name, n=9, batch=4, window=8):
    """Of several lengths; the last repeats itself where there are several parts, so that it may have mistakes."""
    vocabulary = VOCABULARIES[name]
    music = [toys.piece(vocabulary, seed, 6 + 5 * seed) for seed in range(n - 1)]
    bar = [(at, 2, program, 60 + at, 80) for program in vocabulary.programs[:2] for at in (0, 4, 8)]
    rows = [(16 * k + at, *rest) for k in range(6) for at, *rest in bar]
    music.append(toys.sequence_of(rows, 0, vocabulary.grid))
    styles = [(*vocabulary.styles, None)[seed % (len(vocabulary.styles) + 1)] for seed in range(n)]
    return Pieces(music, styles, vocabulary, Settings(epochs=1, batch=batch, window=window, seed=3))


def rows_of(n):
    return 0, n


def expected(pieces, epoch, batch, window, rows=rows_of, n=40):
    """The windows from a position on, each piece encoded by itself when its turn comes."""
    found = []
    while len(found) < n:
        for indices in pieces.plan(epoch)[batch:]:
            found += pieces.batch_windows(epoch, indices, window, rows(len(indices)))
            window = 0
        epoch, batch = epoch + 1, 0
    return found[:n]


def assert_same(found, wanted):
    for (window, begins), (other, too) in zip(found, wanted, strict=False):
        np.testing.assert_array_equal(begins, too)
        for name in INPUTS:
            np.testing.assert_array_equal(window[name], other[name])
            assert window[name].dtype == other[name].dtype


@pytest.mark.parametrize("name", ["many", "styles", "performance", "ensemble"])
def test_what_is_kept_is_what_would_be_encoded_again(name, tmp_path):
    pieces = pieces_of(name)
    with Encoders(pieces, 0, tmp_path) as encoders:
        wanted = expected(pieces, 0, 1, 1, n=200)
        assert_same(encoders.windows(0, 1, 1, rows_of), wanted)
        keys = len(encoders.kept._places)
        assert keys > 0 or name in ("performance", "ensemble")  # each epoch stretches anew
        assert_same(encoders.windows(0, 1, 1, rows_of), wanted)  # from the disk
        assert len(encoders.kept._places) == keys
    assert list(tmp_path.iterdir()) == []


def test_a_piece_with_mistakes_is_not_kept():
    pieces = pieces_of("many")
    mistaken = [pieces.draw(8, epoch).mistakes is not None for epoch in range(40)]
    assert 0.2 < np.mean(mistaken) < 0.8
    for epoch, has in enumerate(mistaken):
        assert (pieces.draw(8, epoch).key(pieces.vocabulary) is None) == has


def test_draws_of_one_key_encode_alike():
    pieces, seen, met = pieces_of("styles", 4), {}, 0
    for epoch in range(60):
        for index in range(4):
            key = pieces.draw(index, epoch).key(pieces.vocabulary)
            events = pieces.encode(index, epoch)
            first = seen.setdefault((index, key), events)
            met += first is not events
            if key is not None:
                for name in INPUTS:
                    np.testing.assert_array_equal(getattr(events, name), getattr(first, name))
    assert met > 20


def test_other_processes_encode_the_same(tmp_path):
    pieces = pieces_of("many")
    with Encoders(pieces, 2, tmp_path) as encoders:
        assert_same(encoders.windows(1, 0, 0, lambda n: (2, 6)), expected(pieces, 1, 0, 0, lambda n: (2, 6)))


def test_when_the_processes_end_this_one_goes_on(caplog):
    pieces = pieces_of("many")
    with Encoders(pieces, 1) as encoders, caplog.at_level(logging.WARNING):
        windows = encoders.windows(0, 0, 0, rows_of)
        first = [next(windows)]
        for number in list(encoders._pool._processes):
            os.kill(number, signal.SIGKILL)
        assert_same([*first, *(next(windows) for _ in range(60))], expected(pieces, 0, 0, 0, n=61))
    assert "the processes that encode pieces have ended" in caplog.text
    assert len(caplog.records) == 1


def test_no_more_is_kept_than_there_is_room_for(tmp_path):
    kept = Kept(tmp_path, 1 << 16)
    for key in range(20):
        kept.add((key,), (key, bytes([key]) * 10_000))
    assert 0 < len(kept._places) < 20
    for key in range(len(kept._places)):
        n, content = kept[(key,)]
        assert (n, bytes(content)) == (key, bytes([key]) * 10_000)
    kept.close()


def test_a_disk_that_is_full_keeps_nothing(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    kept = Kept(tmp_path, 1 << 16)
    monkeypatch.setattr(os, "pwrite", full)
    kept.add((0,), (1, bytes(80)))
    assert (0,) not in kept
    kept.close()


@pytest.mark.parametrize(("start", "stop"), [(0, 5), (3, 8), (8, 24), (30, 40)])
def test_windows_of_a_batch_are_those_of_its_pieces(start, stop):
    pieces = [encode(toys.piece(VOCABULARIES["many"], seed, n), VOCABULARIES["many"]) for seed, n in ((0, 5), (1, 24))]
    batch = windows([*pieces, pieces[0]], [start, start, len(pieces[0]) + 1], stop - start)
    for name, values in batch.items():
        assert values.shape[:2] == (3, stop - start + (name == "context"))
        for row, events in zip(values, pieces, strict=False):
            np.testing.assert_array_equal(row, events.window(start, stop)[name])
        assert np.all(values[2] == (-1 if name == "fields" else 0))
