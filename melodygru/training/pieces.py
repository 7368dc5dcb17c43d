"""Pieces of a corpus become batches of windows: planned by epoch, augmented, encoded ahead in a thread."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import numpy as np

from melodygru.events import INPUTS, Events, Vocabulary, encode
from melodygru.music.notes import DRUMS, N_PITCHES, NoteSequence, canonical, transpose
from melodygru.training.augmentation import EXCERPTS, beginnings, excerpt, with_mistakes
from melodygru.training.settings import Settings

UNKNOWN_SHARE = 0.2  # how often a piece condition is hidden in training, so that "unknown" is learned too
# Likewise the line-up, which is asked for or drawn in composing, and unknown where a likelihood is given.
UNKNOWN_LINE_UP = 0.5
LENGTH_JITTER = 0.2  # pieces of lengths within about this factor share a batch


class Music(Protocol):
    """Note sequences by index: a list of them, or a `Corpus`."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> NoteSequence: ...


class Pieces:
    """The pieces of a corpus, encoded on demand with the augmentation of an epoch.

    Parameters
    ----------
    corpus : sequence of NoteSequence
    styles : sequence of str or None, one for each piece
    """

    def __init__(self, corpus: Music, styles: Sequence[str | None], vocabulary: Vocabulary, settings: Settings) -> None:
        self.corpus, self.styles, self.vocabulary, self.settings = corpus, styles, vocabulary, settings
        self._of_epoch: tuple[int, np.ndarray] = (-1, np.zeros(0))
        self.transposed_epochs = math.inf  # from this epoch on, pieces are not transposed
        # Of each piece the steps from which on it may begin, and its events from there on.
        self._starts: list[np.ndarray] = []
        self._lengths: list[np.ndarray] = []
        # The range of each program over the corpus: transposition keeps within it.
        self.low = np.full(DRUMS + 1, N_PITCHES, np.int64)
        self.high = np.full(DRUMS + 1, -1, np.int64)
        for i in range(len(corpus)):
            notes, starts = corpus[i].notes, beginnings(corpus[i])
            self._starts.append(starts)
            self._lengths.append(len(notes) + 1 - np.searchsorted(notes["onset"], starts))
            np.minimum.at(self.low, notes["program"], notes["pitch"])
            np.maximum.at(self.high, notes["program"], notes["pitch"])

    def plan(self, epoch: int) -> list[np.ndarray]:
        """The batches of an epoch, as indices of pieces of similar lengths."""
        rng = np.random.default_rng([self.settings.seed, epoch])
        lengths = self.lengths(epoch)
        key = np.log(lengths) + rng.uniform(-LENGTH_JITTER, LENGTH_JITTER, len(lengths))
        order = np.argsort(key, kind="stable")
        size = self.settings.batch
        batches = [order[i : i + size] for i in range(0, len(order), size)]
        return [batches[i] for i in rng.permutation(len(batches))]

    def lengths(self, epoch: int) -> np.ndarray:
        """Events of each piece in an epoch, before it is augmented; shape (n_pieces,)."""
        return np.array([events[at] for events, at in zip(self._lengths, self._chosen(epoch), strict=True)], np.int64)

    def _chosen(self, epoch: int) -> np.ndarray:
        """Which of its beginnings each piece has in an epoch, shape (n_pieces,); 0 is its own."""
        known, chosen = self._of_epoch
        if known != epoch:
            rng = np.random.default_rng([self.settings.seed, epoch, 2])
            n = np.array([len(starts) for starts in self._starts])
            later = 1 + (rng.random(len(n)) * (n - 1)).astype(np.int64)
            chosen = np.where((rng.random(len(n)) < EXCERPTS) & (n > 1), later, 0)
            self._of_epoch = epoch, chosen  # at once: batches are made ahead in a thread
        return chosen

    def windows(self, batch: np.ndarray, epoch: int) -> int:
        """Windows until the longest piece of a batch is over in an epoch."""
        return -(-int(self.lengths(epoch)[batch].max()) // self.settings.window)

    def steps(self, epoch: int) -> int:
        """Updates in an epoch."""
        return sum(self.windows(batch, epoch) for batch in self.plan(epoch))

    def encode(self, index: int, epoch: int) -> Events:
        """A piece with the augmentation that an epoch gives it."""
        rng = np.random.default_rng([self.settings.seed, epoch, index, 1])
        sequence = excerpt(self.corpus[index], int(self._starts[index][self._chosen(epoch)[index]]))
        known = rng.random(3) >= [UNKNOWN_SHARE, UNKNOWN_SHARE, UNKNOWN_LINE_UP]
        moved = self._augment(sequence, rng, self.settings.transpose if epoch < self.transposed_epochs else 0)
        style = self.styles[index] if known[0] else None
        moved, odd = with_mistakes(moved, rng)
        events = encode(moved, self.vocabulary, style, metre_known=bool(known[1]), line_up_known=bool(known[2]))
        if len(odd) == len(events) - 1:
            events.fields[:-1][odd] = -1
        return events

    def _augment(self, sequence: NoteSequence, rng: np.random.Generator, semitones: int) -> NoteSequence:
        notes, length = sequence.notes, sequence.length
        pitched = notes["program"] != DRUMS
        if semitones and pitched.any():
            program, pitch = notes["program"][pitched], notes["pitch"][pitched].astype(np.int64)
            down = min(semitones, int((pitch - self.low[program]).min()))
            up = min(semitones, int((self.high[program] - pitch).min()))
            notes = transpose(notes, int(rng.integers(-down, up + 1)))
        if self.settings.stretch and not sequence.grid.is_metrical:
            factor = math.exp(rng.uniform(-1, 1) * math.log1p(self.settings.stretch))
            stretched = notes.copy()
            end = np.rint((notes["onset"] + notes["duration"]) * factor).astype(np.int64)
            stretched["onset"] = np.rint(notes["onset"] * factor).astype(np.int64)
            stretched["duration"] = np.maximum(1, end - stretched["onset"])
            notes, _ = canonical(stretched)
            last = int((notes["onset"] + notes["duration"]).max()) if len(notes) else 0
            length = max(last, round(length * factor))
        return dataclasses.replace(sequence, notes=notes, length=length)

    def batch_windows(
        self, epoch: int, batch: np.ndarray, first: int, rows: tuple[int, int] | None = None
    ) -> Iterator[dict[str, np.ndarray]]:
        """The windows of a batch from number `first` on, each a dict of arrays for the model.

        Parameters
        ----------
        rows : which rows of the batch, [start, stop), default all; those beyond the batch are padding
        """
        start, stop = rows or (0, len(batch))
        encoded = [self.encode(int(index), epoch) for index in batch[start:stop]]
        # From the lengths in the corpus: an augmented piece may be shorter, but windows are counted by these.
        longest = int(self.lengths(epoch)[batch].max())
        padding = stop - start - len(encoded)
        beyond = [encoded[0] if encoded else self.encode(int(batch[0]), epoch)] * padding
        for begin in range(first * self.settings.window, longest, self.settings.window):
            # The last window is cut to what is left, in steps of 16: padding costs as much as notes.
            size = min(self.settings.window, -(-(longest - begin) // 16) * 16)
            windows = [events.window(begin, begin + size) for events in encoded]
            windows += [events.window(longest + 1, longest + 1 + size) for events in beyond]
            yield stack(windows)


def stack(windows: Sequence[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """A batch of windows, first axis the batch."""
    return {name: np.stack([window[name] for window in windows]) for name in INPUTS}


def prefetch(items: Iterator[Any], depth: int = 4) -> Iterator[Any]:
    """The same items, made ahead in a thread."""
    with ThreadPoolExecutor(1) as pool:
        waiting = [pool.submit(next, items, None) for _ in range(depth)]
        try:
            while True:
                item = waiting.pop(0).result()
                if item is None:
                    return
                waiting.append(pool.submit(next, items, None))
                yield item
        finally:
            for future in waiting:
                future.cancel()
