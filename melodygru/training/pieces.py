"""Pieces of a corpus become batches of windows: planned by epoch, augmented, encoded ahead in a thread."""

from __future__ import annotations

import dataclasses
import math
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from melodygru.events import Events, Vocabulary, encode, representable, windows
from melodygru.events.planned import UNPLANNED, Planned
from melodygru.music.notes import DRUMS, N_PITCHES, NoteSequence, canonical, transpose
from melodygru.training.augmentation import EXCERPTS, MISTAKEN, beginnings, excerpt, repeats_itself, with_mistakes
from melodygru.training.batches import Batch, lines_of, window_size
from melodygru.training.gaps import SHOWN, with_gaps
from melodygru.training.settings import Settings

UNKNOWN_SHARE = 0.2  # how often a piece condition is hidden in training, so that "unknown" is learned too
# Likewise the line-up, which is asked for or drawn in composing, and unknown where a likelihood is given.
UNKNOWN_LINE_UP = 0.5
UNKNOWN_PLAN = (0.3, 0.5, 0.5, 0.5)  # and each entry of the plan: tempo, length, form, chords
LENGTH_JITTER = 0.2  # pieces of lengths within about this factor share a batch
# Windows of a piece on average from which on a row takes one piece after another: padding, between them alone, is less
# than where pieces of similar lengths end together.
LONG = 16


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
        self._of_epoch: tuple[int, np.ndarray, np.ndarray] = (-1, np.zeros(0), np.zeros(0))
        self.transposed_epochs = math.inf  # from this epoch on, pieces are not transposed
        self._repeating: dict[tuple[int, int], bool] = {}
        self._planned: dict[int, Planned] = {}
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

    def plan(self, epoch: int) -> list[Batch]:
        """The batches of an epoch: each of pieces of similar lengths, or where pieces are LONG one, of all of them."""
        rng = np.random.default_rng([self.settings.seed, epoch])
        lengths, size, window = self.lengths(epoch), self.settings.batch, self.settings.window
        if lengths.mean() >= LONG * window and len(lengths) > size:
            return [Batch.of(lines_of(-(-lengths // window), size, rng), lengths, window)]
        key = np.log(lengths) + rng.uniform(-LENGTH_JITTER, LENGTH_JITTER, len(lengths))
        order = np.argsort(key, kind="stable")
        batches = [Batch.of(order[i : i + size, None], lengths, window) for i in range(0, len(order), size)]
        return [batches[i] for i in rng.permutation(len(batches))]

    def lengths(self, epoch: int) -> np.ndarray:
        """Events of each piece in an epoch, before it is augmented; shape (n_pieces,)."""
        return self._beginnings(epoch)[1]

    def _beginnings(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """Of each piece the step from which on an epoch has it, and its events from there on; each (n_pieces,)."""
        known, starts, lengths = self._of_epoch
        if known != epoch:
            rng = np.random.default_rng([self.settings.seed, epoch, 2])
            n = np.array([len(of_piece) for of_piece in self._starts])
            later = 1 + (rng.random(len(n)) * (n - 1)).astype(np.int64)
            chosen = np.where((rng.random(len(n)) < EXCERPTS) & (n > 1), later, 0)
            starts, lengths = (
                np.array([values[at] for values, at in zip(of_pieces, chosen, strict=True)], np.int64)
                for of_pieces in (self._starts, self._lengths)
            )
            self._of_epoch = epoch, starts, lengths  # at once: batches are made ahead in a thread
        return starts, lengths

    def steps(self, epoch: int) -> int:
        """Updates in an epoch."""
        return sum(batch.windows for batch in self.plan(epoch))

    def draw(self, index: int, epoch: int) -> Draw:
        """What an epoch does to a piece, before it is done."""
        rng = np.random.default_rng([self.settings.seed, epoch, index, 1])
        known = rng.random(7) >= [UNKNOWN_SHARE, UNKNOWN_SHARE, UNKNOWN_LINE_UP, *UNKNOWN_PLAN]
        sequence = self.piece(index, epoch)
        semitones, factor = 0, 1.0
        pitched = sequence.notes["program"] != DRUMS
        most = self.settings.transpose if epoch < self.transposed_epochs else 0
        if most and pitched.any():
            program, pitch = sequence.notes["program"][pitched], sequence.notes["pitch"][pitched].astype(np.int64)
            down = min(most, int((pitch - self.low[program]).min()))
            up = min(most, int((self.high[program] - pitch).min()))
            semitones = int(rng.integers(-down, up + 1))
        if self.settings.stretch and not sequence.grid.is_metrical:
            factor = math.exp(rng.uniform(-1, 1) * math.log1p(self.settings.stretch))
        mistaken = rng.random() < MISTAKEN and self._repeats_itself(index, epoch)
        style = self.styles[index] if known[0] else None
        start = self._start(index, epoch)
        gaps = np.random.default_rng([self.settings.seed, epoch, index, 3])
        shown = self.vocabulary.kept and gaps.random() < SHOWN
        # Not of one that begins later: it begins in the full line-up and density, which no plan tells.
        planned = UNPLANNED if start else self._plan(index).knowing(tuple(known[3:].tolist())).transposed(semitones)
        return Draw(
            start,
            style,
            bool(known[1]),
            bool(known[2]),
            planned,
            semitones,
            factor,
            rng if mistaken else None,
            gaps if shown else None,
        )

    def _plan(self, index: int) -> Planned:
        """The plan of a piece, found once."""
        if not self.vocabulary.plans:
            return UNPLANNED
        if index not in self._planned:
            self._planned[index] = Planned.of(self.corpus[index])
        return self._planned[index]

    def piece(self, index: int, epoch: int) -> NoteSequence:
        """A piece from where an epoch lets it begin, as it stands in the corpus."""
        return excerpt(self.corpus[index], self._start(index, epoch))

    def _start(self, index: int, epoch: int) -> int:
        return int(self._beginnings(epoch)[0][index])

    def _repeats_itself(self, index: int, epoch: int) -> bool:
        """Whether a piece repeats itself, which its transposition does not change."""
        key = index, self._start(index, epoch)
        if key not in self._repeating:
            self._repeating[key] = repeats_itself(self.piece(index, epoch))
        return self._repeating[key]

    def encode(self, index: int, epoch: int) -> Events:
        """A piece with the augmentation that an epoch gives it."""
        return self.draw(index, epoch).encode(self.piece(index, epoch), self.vocabulary)

    def batch_windows(
        self,
        epoch: int,
        batch: Batch,
        first: int = 0,
        rows: tuple[int, int] | None = None,
        encoded: Iterator[Events] | None = None,
    ) -> Iterator[tuple[dict[str, np.ndarray], np.ndarray]]:
        """The windows of a batch from number `first` on: arrays for the model, and which rows begin a piece there.

        Parameters
        ----------
        rows : which rows of the batch, [start, stop), in all windows: those beyond the batch, or whose pieces are over,
            are padding. Default: those alone that are not over
        encoded : the pieces in the order of `Batch.turns`, where they are encoded elsewhere
        """
        turns = batch.turns(first, rows)
        if encoded is None:
            encoded = (self.encode(turn.piece, epoch) for turn in turns)
        start, stop = rows or (0, len(batch))
        size, waiting = self.settings.window, deque(turns)
        playing: dict[int, tuple[Events, int]] = {}  # of each row its piece, with the window at which that begins
        for window in range(first, batch.windows):
            while waiting and waiting[0].begin <= max(first, window):
                turn = waiting.popleft()
                playing[turn.row] = next(encoded), turn.begin
            of_rows = [playing.get(row, next(iter(playing.values()))) for row in range(start, stop)]
            begins = np.array([row in playing and playing[row][1] == window for row in range(start, stop)])
            starts = [
                (window - begin) * size if row in playing else len(events) + 1
                for row, (events, begin) in enumerate(of_rows, start)
            ]
            n = (stop if rows else batch.rows_at(window)) - start
            events_now = window_size(size, batch.longest - window * size)
            yield windows([events for events, _ in of_rows[:n]], starts[:n], events_now), begins[:n]


@dataclass(frozen=True)
class Draw:
    """What an epoch does to a piece: conditions that are known, transposition, stretch, mistakes.

    Attributes
    ----------
    start : step of the piece at which it begins
    style : None where it is hidden
    planned : what of its plan is known
    factor : of all times
    mistakes, gaps : draw them; None where there are none
    """

    start: int
    style: str | None
    metre_known: bool
    line_up_known: bool
    planned: Planned
    semitones: int
    factor: float
    mistakes: np.random.Generator | None
    gaps: np.random.Generator | None = None

    def encode(self, sequence: NoteSequence, vocabulary: Vocabulary) -> Events:
        """The piece with all that done to it; once, for the generators go on from where they are."""
        moved, odd = _stretched(_transposed(sequence, self.semitones), self.factor), np.zeros(0, bool)
        if self.mistakes is not None:
            moved, odd = with_mistakes(moved, self.mistakes)
        moved, _ = representable(moved, vocabulary)
        events = encode(
            moved,
            vocabulary,
            self.style,
            metre_known=self.metre_known,
            line_up_known=self.line_up_known,
            kept=None if self.gaps is None else with_gaps(moved, self.gaps),
            planned=self.planned,
        )
        if len(odd) == len(events) - 1:
            events.fields[:-1][odd] = -1
        return events

    def key(self, vocabulary: Vocabulary) -> tuple[Any, ...] | None:
        """The same for draws that encode a piece alike; None where no other draw does."""
        if self.factor != 1 or self.mistakes is not None or self.gaps is not None:
            return None
        metre_known = self.metre_known and len(vocabulary.metres) > 1
        line_up_known = self.line_up_known and vocabulary.models_part
        return self.start, self.style, metre_known, line_up_known, self.planned.known, self.semitones


def _transposed(sequence: NoteSequence, semitones: int) -> NoteSequence:
    """All but drums moved."""
    if not semitones:
        return sequence
    return dataclasses.replace(sequence, notes=transpose(sequence.notes, semitones))


def _stretched(sequence: NoteSequence, factor: float) -> NoteSequence:
    """All times by a factor."""
    if factor == 1:
        return sequence
    notes = sequence.notes
    stretched = notes.copy()
    end = np.rint((notes["onset"] + notes["duration"]) * factor).astype(np.int64)
    stretched["onset"] = np.rint(notes["onset"] * factor).astype(np.int64)
    stretched["duration"] = np.maximum(1, end - stretched["onset"])
    notes, _ = canonical(stretched)
    last = int((notes["onset"] + notes["duration"]).max()) if len(notes) else 0
    return dataclasses.replace(sequence, notes=notes, length=max(last, round(sequence.length * factor)))
