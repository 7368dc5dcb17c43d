"""The exact likelihood of whole pieces."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from melodygru.events import Events, encode, windows
from melodygru.model.keras_model import EventModel
from melodygru.music.notes import NoteSequence
from melodygru.music.performance_events import GRID, count_performance_events
from melodygru.music.traits import usual
from melodygru.training.batches import window_size
from melodygru.training.pieces import Music
from melodygru.util.schema import Integer, Number, Optional, Rows, Text, entry


def log_likelihoods(
    model: EventModel,
    lengths: Sequence[int],
    encoded: Callable[[int], Events],
    *,
    batch: int = 32,
    window: int = 256,
) -> Iterator[tuple[int, Events, np.ndarray]]:
    """The exact log-likelihood of whole pieces, from their first event to END, with the whole context.

    Parameters
    ----------
    lengths : notes of each piece
    encoded : gives a piece's events; a batch of pieces is in memory at a time

    Yields (index of the piece, its events, array of shape (T, 5) in nats), shorter pieces first.
    """
    step = _evaluation_step(model)
    order = np.argsort(np.asarray(lengths), kind="stable").tolist()
    for first in range(0, len(order), batch):
        group = order[first : first + batch]
        pieces = [encoded(index) for index in group]
        longest = max(len(events) for events in pieces)
        state = model.initial_state(len(group))
        columns = []
        for start in range(0, longest, window):
            log_p, state = step(windows(pieces, start, window_size(window, longest - start)), state)
            columns.append(log_p.numpy())
        log_p = np.concatenate(columns, 1)
        for row, (index, events) in enumerate(zip(group, pieces, strict=True)):
            yield index, events, log_p[row, : len(events)]


def _evaluation_step(model: EventModel) -> Callable[..., Any]:
    """The model's log-likelihood of a window, traced once for a model."""
    if not hasattr(model, "_evaluation_step"):
        step = tf.function(
            lambda inputs, state: model.log_likelihood(inputs, state), input_signature=window_signature(model)
        )
        object.__setattr__(model, "_evaluation_step", step)
    return model._evaluation_step


def window_signature(model: EventModel) -> list[Any]:
    """Types and shapes of a window's inputs and of the state before it, whatever its rows and its length.

    TensorFlow traces a function of this signature once; without it, anew as shapes change, for seconds each time.
    """
    state = [tf.TensorSpec([*[None] * (len(s.shape) - 1), s.shape[-1]], s.dtype) for s in model.initial_state(1)]
    return [model.input_specs(), state]


@dataclass(frozen=True)
class Evaluation:
    """The likelihood of a set of pieces under a model; conditions unknown, every note, every field, ends included.

    Attributes
    ----------
    pieces, notes, events : counts; a piece has an event more than notes, its END
    nats : -ln p of everything
    steps, beats, seconds : length of the pieces, to their end_of_track
    lossy_notes : notes that the encoding dropped, merged, shortened or gave another part or program
    unmodelled : fields of which the model knows a single value; they cost nothing and are not judged
    performance_events : what the public encoding of performances has for the same notes; None on another grid
    """

    pieces: int = entry(Integer())
    notes: int = entry(Integer())
    events: int = entry(Integer())
    nats: float = entry(Number())
    steps: int = entry(Integer())
    beats: float = entry(Number())
    seconds: float = entry(Number())
    lossy_notes: int = entry(Integer())
    unmodelled: list[str] = entry(Rows(Text()))
    performance_events: int | None = entry(Optional(Integer()), default=None)

    @property
    def nats_per_note(self) -> float:
        return self.nats / max(1, self.notes)

    @property
    def nats_per_step(self) -> float:
        return self.nats / max(1, self.steps)

    @property
    def nats_per_performance_event(self) -> float | None:
        return None if self.performance_events is None else self.nats / max(1, self.performance_events)

    def as_dict(self) -> dict[str, Any]:
        """All of it as plain values."""
        return {
            **dataclasses.asdict(self),
            "nats_per_note": self.nats_per_note,
            "nats_per_step": self.nats_per_step,
            "nats_per_performance_event": self.nats_per_performance_event,
        }


def evaluate(
    model: EventModel,
    corpus: Music,
    *,
    on_piece: Callable[[int, NoteSequence, Events, np.ndarray], None] | None = None,
    indices: Sequence[int] | None = None,
) -> Evaluation:
    """The exact likelihood of every piece of a corpus on the model's grid, or of those at `indices`.

    Parameters
    ----------
    on_piece : called with (index, piece, events, log-likelihoods of shape (T, 5) in nats), shorter pieces first
    """
    notes = events = steps = lossy = 0
    nats = beats = seconds = 0.0
    in_public = 0 if model.vocabulary.grid == GRID else None
    chosen = range(len(corpus)) if indices is None else indices
    lengths = [len(corpus[i].notes) for i in chosen]
    for at, piece, log_p in log_likelihoods(
        model, lengths, lambda at: encode(corpus[chosen[at]], model.vocabulary, metre_known=False)
    ):
        index = chosen[at]
        sequence = corpus[index]
        notes, events, steps = notes + len(piece) - 1, events + len(piece), steps + sequence.length
        nats -= float(log_p.sum(dtype=np.float64))
        beats, seconds = beats + sequence.beats, seconds + sequence.seconds
        lossy += piece.changes.total
        if in_public is not None:
            in_public += count_performance_events(sequence)
        if on_piece is not None:
            on_piece(index, sequence, piece, log_p)
    unmodelled = model.vocabulary.unmodelled
    return Evaluation(len(chosen), notes, events, nats, steps, beats, seconds, lossy, unmodelled, in_public)


def nats_by_style(
    pieces: Sequence[tuple[str | None, float]], styles: Sequence[str]
) -> list[tuple[float, float] | None]:
    """What is `usual` of the nats a note of pieces, for each style and then for all.

    Parameters
    ----------
    pieces : the style and the nats a note of each
    """
    return [usual([nats for of, nats in pieces if style in (of, None)]) for style in (*styles, None)]
