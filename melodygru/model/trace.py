"""A model traced through a whole piece: its gates, outputs and expectations, and what each note cost.

The function is that of `melodygru.model.numpy_model`, with the events of the piece as rows: what does not depend on the
state comes before the loop over the recurrence, and the heads after it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from melodygru.events import (
    DURATION,
    FIELDS,
    PART_HISTORY,
    SHIFT,
    TIMES,
    Events,
    Vocabulary,
    encode,
    possible_parts,
    representable,
)
from melodygru.events.planned import UNPLANNED, Planned
from melodygru.model.numpy_model import NumpyModel, Step
from melodygru.music.notes import NoteSequence


@dataclass(frozen=True)
class Trace:
    """What a model made of a piece; T is the piece's number of events: its notes and its end.

    Row 0 of `outputs` and `gates` is before the first note, and row t is after note t - 1, the t-th. Row t of `nats`
    and `log_p` is about note t, given all notes before it.

    Attributes
    ----------
    sequence : NoteSequence
        The piece as the vocabulary holds it.
    events : Events
    outputs : array, shape (T, layers, units), float32
        In -1..1.
    gates : dict of name -> array, shape (T, layers, units), float32
        In 0..1, by the names of the cell's gates.
    nats : array, shape (T, 5), float64
        -ln p of each field, with the charge for wide time classes; 0 where an event has no such field.
    log_p : dict of field -> array, shape (T, classes), float32
        Log-probabilities of all classes, given the piece's own values of the fields before it; what cannot follow
        has -inf.
    """

    sequence: NoteSequence
    events: Events
    outputs: np.ndarray
    gates: dict[str, np.ndarray]
    nats: np.ndarray
    log_p: dict[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.events)


class Tracer:
    """Traces pieces through a model.

    Parameters
    ----------
    model : NumpyModel
    """

    def __init__(self, model: NumpyModel) -> None:
        self.model = model
        self.vocabulary = model.vocabulary
        self.gates = tuple(model.cell.gates)  # their names; the first one keeps the memory

    def trace(self, sequence: NoteSequence, *, metre_known: bool = False, planned: Planned = UNPLANNED) -> Trace:
        """Trace a piece, by default with nothing known as in `evaluate`. NoteError if it is on another grid."""
        sequence, _ = representable(sequence, self.vocabulary)
        events = encode(sequence, self.vocabulary, metre_known=metre_known, planned=planned)
        given = _Given(self.model, events)
        h = given.x[:, None]
        outputs, gates = [], []
        for layer, weights in enumerate(self.model.layers):
            below, h = h, self._layer(layer, h)
            last = np.concatenate([np.zeros_like(h[:1]), h[:-1]])[:, 0]
            gates.append(self.model.cell.gate_values(self._projected(layer, below)[:, 0], last, weights))
            outputs.append(h[:, 0])
        rows = np.arange(len(events))[:, None]
        log_p, gain = given.expected(rows, h)
        return Trace(
            sequence,
            events,
            np.stack(outputs, 1),
            {name: np.stack([values[name] for values in gates], 1) for name in self.gates},
            given.nats(rows, log_p, gain)[:, 0],
            {field: values[:, 0] for field, values in log_p.items()},
        )

    def nats_without(self, trace: Trace, layer: int, units: np.ndarray, held_at: np.ndarray, stop: int) -> np.ndarray:
        """Nats of the first `stop` events with one unit of a layer silenced, for each of `units` alone.

        A silenced unit gives out a constant, which says nothing to the other units, the layers above and the heads.

        Parameters
        ----------
        units : array of int, shape (n,)
        held_at : array, shape (n,): the constant of each, in -1..1

        Returns
        -------
        nats : array, shape (n,), float64
        """
        given = _Given(self.model, trace.events)
        h = given.x[:stop, None] if layer == 0 else trace.outputs[:stop, layer - 1, None]
        h = self._layer(layer, h, (units, held_at))
        for above in range(layer + 1, len(self.model.layers)):
            h = self._layer(above, h)
        rows = np.arange(stop)[:, None]
        return given.nats(rows, *given.expected(rows, h)).sum((0, 2))

    def nats_since(self, trace: Trace, steps: np.ndarray) -> np.ndarray:
        """Nats of events, given a memory that begins later.

        Features of the past that do not go through the memory (sounding notes, lookbacks, ...) stay as they are.

        Parameters
        ----------
        steps : array of int, shape (n, streams)
            In each stream consecutive steps of the piece; the state before the first is that of the start.

        Returns
        -------
        nats : array, shape (n, streams), float64
        """
        given = _Given(self.model, trace.events)
        h = given.x[steps]
        for layer in range(len(self.model.layers)):
            h = self._layer(layer, h)
        return given.nats(steps, *given.expected(steps, h)).sum(2)

    def influence(self, layer: int) -> np.ndarray:
        """Norm of the weights that lead from a layer's units to themselves, to the layer above or to the heads."""
        layers = self.model.layers
        above = layers[layer + 1][0] if layer + 1 < len(layers) else self.model.from_state
        return np.sqrt((layers[layer][1] ** 2).sum(1) + (above**2).sum(1))

    def _projected(self, layer: int, x: np.ndarray) -> np.ndarray:
        """`Cell.project` of inputs (T, streams, width)."""
        projected = self.model.cell.project(x.reshape(-1, x.shape[-1]), self.model.layers[layer])
        return projected.reshape(*x.shape[:2], -1)

    def _layer(self, layer: int, x: np.ndarray, held: tuple[np.ndarray, np.ndarray] | None = None) -> np.ndarray:
        """A layer's outputs, (T, streams, units), of inputs (T, 1 or streams, width).

        With `held`, (unit, value) of each stream, that unit of the stream gives out that value.
        """
        model = self.model
        streams = x.shape[1] if held is None else len(held[0])
        state = model.initial_state(streams)[: model.cell.states]
        outputs = np.empty((len(x), streams, model.architecture.units), np.float32)
        for t, projected in enumerate(self._projected(layer, x)):
            state = model.cell.step(projected, state, model.layers[layer])
            if held is not None:
                state[0][np.arange(streams), held[0]] = held[1]
            outputs[t] = state[0]
        return outputs


LAST_PITCH = list(PART_HISTORY).index("last_pitch_1")  # column of `Events.part_history`


class _Given:
    """What the heads know of each event of a piece beside the recurrent state; T events.

    Attributes
    ----------
    x : array, shape (T, embedding): inputs of the recurrent layers
    """

    def __init__(self, model: NumpyModel, events: Events) -> None:
        self._model, self._events = model, events
        inputs = events.window(0, len(events))
        before, context = model.bag(inputs["before"]), inputs["context"]
        self.x = model.bag(inputs["previous"]) + before + model.bag(context[:-1])
        step = Step(model, self.x, before, np.tile(model.bias, (len(events), 1)), [])
        step.arrive(context[1:], events.pitch_class_levels, events.part_descriptions, events.line_up)
        chosen = {field: np.maximum(events.fields[:, column], 0) for column, field in enumerate(FIELDS)}
        chosen |= dict(zip(PART_HISTORY, events.part_history.T, strict=True))
        self._hidden = {field: step.hidden(field, chosen, self._pointers(field)) for field in model.vocabulary.fields}

    def _pointers(self, field: str) -> np.ndarray | None:
        """What the pointers to a field point to, or None."""
        return getattr(self._events, f"{field}_pointers", None)

    def expected(self, rows: np.ndarray, h: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray | None]:
        """Log-probabilities of the classes of each field, (n, streams, classes), and the gain of the common end's step.

        Parameters
        ----------
        rows : array of int, shape (n, 1 or streams): which event each is
        h : array, shape (n, streams, units): outputs of the top layer
        """
        model, events, shape = self._model, self._events, h.shape[:2]
        possible = _possible(events, model.vocabulary)
        flat = np.broadcast_to(rows, shape).reshape(-1)
        found, gain = {}, None
        for field in model.vocabulary.fields:
            logits = model.head(field, h @ model.from_state[:, model.columns[field]] + self._hidden[field][rows])
            outputs = logits.reshape(len(flat), -1)
            if field == "part":
                logits = model.part_logits(outputs, events.part_descriptions[flat], events.line_up[flat])
            else:
                pointers = self._pointers(field)
                of_pitch: tuple[np.ndarray, ...] = ()
                if field == "pitch":
                    levels = events.pitch_class_levels[flat]
                    places = model.harmony_places(events.context[flat], levels)
                    of_pitch = events.part_history[flat, LAST_PITCH], places
                logits = model.pointed(field, outputs, None if pointers is None else pointers[flat], *of_pitch)
            if field == "duration" and model.vocabulary.exact_ends:
                gain = model.gain(outputs).reshape(shape)
            logits = logits.reshape(*shape, -1)
            if field in possible:
                logits = np.where(possible[field][rows], logits, -np.inf)
            logits = logits - logits.max(-1, keepdims=True)
            found[field] = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
        return found, gain

    def nats(self, rows: np.ndarray, log_p: dict[str, np.ndarray], gain: np.ndarray | None) -> np.ndarray:
        """-ln p of the events at `rows`, (n, streams, 5) float64, of what `expected` gives."""
        events, nats = self._events, np.zeros((*log_p["shift"].shape[:2], len(FIELDS)))
        for column, field in enumerate(FIELDS):
            if field not in log_p:
                continue
            target = events.fields[rows, column]
            chosen = np.broadcast_to(np.maximum(target, 0), nats.shape[:2])
            found = np.take_along_axis(log_p[field], chosen[..., None], 2)[..., 0].astype(np.float64)
            if column == DURATION and gain is not None:
                common = events.duration_pointers[rows, self._model.layout.common_end_column]
                found += TIMES.log_place(chosen, common, gain, events.at_common_end[rows, 0] > 0)
            elif column in (SHIFT, DURATION):
                found -= TIMES.log_width[chosen]
            nats[..., column] = np.where(target >= 0, -found, 0.0)
        return nats


def _possible(events: Events, vocabulary: Vocabulary) -> dict[str, np.ndarray]:
    """Field -> (T, classes) bool, what may follow (see `melodygru.events`); velocity may be anything."""
    may_join_chord = events.legality[:, :1]
    shift, duration = np.arange(TIMES.size), np.arange(TIMES.size)
    pitch_mask = np.unpackbits(events.pitch_mask, axis=1, bitorder="little").astype(bool)
    return {
        "shift": (shift > 0) | (may_join_chord > 0),
        "part": possible_parts(vocabulary, events.legality),
        "pitch": ~pitch_mask,
        "duration": np.broadcast_to(duration > 0, (len(events), TIMES.size)),
    }
