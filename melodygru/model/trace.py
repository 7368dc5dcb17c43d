"""A piece heard note by note, with everything kept that `network` forgets: gates, outputs, probabilities.

The recurrence is that of `melodygru.model.numpy_model`, over a whole piece: what does not depend on the state is one
product before the loop, and the heads are one product after it. Tests hold the states to the Keras model's and the
nats to those of `evaluate`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from melodygru.events import (
    END,
    FIELDS,
    PROGRAM_HISTORY,
    TIMES,
    Events,
    encode,
    motion_class,
    representable,
)
from melodygru.model.architecture import DEEP
from melodygru.model.checkpoint import Checkpoint
from melodygru.music.notes import N_PITCHES, NoteSequence

GATES = {"gru": ("update", "reset"), "lstm": ("forget", "input", "output")}  # the first one keeps the memory
BLOCK = 256  # events whose embeddings are summed at once


@dataclass(frozen=True)
class Trace:
    """A piece as a model hears it; T is its number of events: its notes and its end.

    At step t the model has heard t notes. Row 0 of `outputs` and `gates` is before the first note, row t what hearing
    note t - 1 did; row t of `nats` and `log_p` is what note t cost, given all before it.

    Attributes
    ----------
    sequence : NoteSequence
        The piece as the vocabulary holds it.
    events : Events
    outputs : array, shape (T, layers, units), float32
        In -1..1.
    gates : dict of name -> array, shape (T, layers, units), float32
        In 0..1, by the names of GATES.
    nats : array, shape (T, 5), float64
        -ln p of each field, places inside wide time classes charged; 0 where an event has no such field.
    log_p : dict of field -> array, shape (T, classes), float32
        Log-probabilities of all classes, given the fields before it as they came; what cannot follow has -inf.
    """

    sequence: NoteSequence
    events: Events
    outputs: np.ndarray
    gates: dict[str, np.ndarray]
    nats: np.ndarray
    log_p: dict[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.events)


class Reader:
    """A checkpoint arranged for hearing whole pieces.

    Parameters
    ----------
    checkpoint : Checkpoint
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.vocabulary, self.architecture = checkpoint.vocabulary, checkpoint.architecture
        self.weights = checkpoint.weights
        self._table = self.weights["bag"].copy()
        self._table[0] = 0.0  # id 0 adds nothing
        cell = self.architecture.cell
        self.layers = [
            tuple(self.weights[f"{cell}/{layer}/{part}"] for part in ("kernel", "recurrent", "bias"))
            for layer in range(self.architecture.layers)
        ]
        self._step = _lstm_step if cell == "lstm" else _gru_step
        self.gates = GATES[cell]

    def hear(self, sequence: NoteSequence) -> Trace:
        """Hear a piece, style and metre unknown as in `evaluate`. NoteError if it is on another grid."""
        sequence, _ = representable(sequence, self.vocabulary)
        events = encode(sequence, self.vocabulary, metre_known=False)
        x, at_onset = self._inputs(events)
        h = x[:, None]
        outputs, gates = [], []
        for layer in range(len(self.layers)):
            h, opened = self._layer(layer, h)
            outputs.append(h[:, 0])
            gates.append(opened[:, 0])
        rows = np.arange(len(events))[:, None]
        log_p = self._log_p(events, rows, h, self._told(events, x, at_onset))
        units = self.architecture.units
        stacked = np.stack(gates, 1)
        return Trace(
            sequence,
            events,
            np.stack(outputs, 1),
            {name: stacked[..., i * units : (i + 1) * units] for i, name in enumerate(self.gates)},
            _nats(events, rows, log_p)[:, 0],
            {field: values[:, 0] for field, values in log_p.items()},
        )

    def nats_without(
        self, pitch_class_levels: Trace, layer: int, units: np.ndarray, held_at: np.ndarray, stop: int
    ) -> np.ndarray:
        """Nats of the first `stop` events with one unit of a layer silenced, for each of `units` alone.

        A silenced unit gives out a constant: it tells the other units, the layers above and the heads nothing.

        Parameters
        ----------
        units : array of int, shape (n,)
        held_at : array, shape (n,): what each gives out instead, in -1..1

        Returns
        -------
        nats : array, shape (n,), float64
        """
        x, at_onset = self._inputs(pitch_class_levels.events)
        h = x[:stop, None] if layer == 0 else pitch_class_levels.outputs[:stop, layer - 1, None]
        h, _ = self._layer(layer, h, (units, held_at))
        for above in range(layer + 1, len(self.layers)):
            h, _ = self._layer(above, h)
        rows, told = np.arange(stop)[:, None], self._told(pitch_class_levels.events, x, at_onset)
        return _nats(pitch_class_levels.events, rows, self._log_p(pitch_class_levels.events, rows, h, told)).sum((0, 2))

    def nats_since(self, pitch_class_levels: Trace, steps: np.ndarray) -> np.ndarray:
        """Nats of events heard with a memory that begins later.

        What the model is told of the past beside its memory (sounding notes, echoes, ...) it is still told.

        Parameters
        ----------
        steps : array of int, shape (n, streams)
            In each stream consecutive steps of the piece; the state before the first is that of the start.

        Returns
        -------
        nats : array, shape (n, streams), float64
        """
        x, at_onset = self._inputs(pitch_class_levels.events)
        h = x[steps]
        for layer in range(len(self.layers)):
            h, _ = self._layer(layer, h)
        told = self._told(pitch_class_levels.events, x, at_onset)
        return _nats(pitch_class_levels.events, steps, self._log_p(pitch_class_levels.events, steps, h, told)).sum(2)

    def influence(self, layer: int) -> np.ndarray:
        """Norm of the weights by which a layer's units are heard, by themselves, above, or by the heads: (units,)."""
        units = self.architecture.units
        out = [self.layers[layer][1]]
        if layer + 1 < len(self.layers):
            out.append(self.layers[layer + 1][0])
        else:
            out += [self.weights[f"head/{field}/hidden/kernel"][:units] for field in self.vocabulary.fields]
        return np.sqrt(sum((kernel**2).sum(1) for kernel in out))

    def _layer(
        self, layer: int, x: np.ndarray, held: tuple[np.ndarray, np.ndarray] | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """A layer's outputs, (T, streams, units), and gates beside each other, of inputs (T, 1 or streams, width).

        With `held`, (unit, value) of each stream, that unit of the stream gives out that value.
        """
        kernel, recurrent, bias = self.layers[layer]
        projected = x @ kernel + (bias[0] if self.architecture.cell == "gru" else bias)
        steps, units = len(x), len(recurrent)
        streams = x.shape[1] if held is None else len(held[0])
        outputs = np.empty((steps, streams, units), np.float32)
        gates = np.empty((steps, streams, len(self.gates) * units), np.float32)
        state = [np.zeros((streams, units), np.float32)] * (2 if self.architecture.cell == "lstm" else 1)
        for t in range(steps):
            state, gates[t] = self._step(projected[t], state, recurrent, bias)
            if held is not None:
                state[0][np.arange(streams), held[0]] = held[1]
            outputs[t] = state[0]
        return outputs, gates

    def _bag(self, ids: np.ndarray) -> np.ndarray:
        """Sums of embeddings, (T, embedding), of ids (T, k)."""
        blocks = [self._table[ids[at : at + BLOCK]].sum(1) for at in range(0, len(ids), BLOCK)]
        return np.concatenate(blocks)

    def _inputs(self, events: Events) -> tuple[np.ndarray, np.ndarray]:
        """What the recurrent layers hear, and what is known at each event's onset: both (T, embedding)."""
        inputs = events.window(0, len(events))
        context, before = self._bag(inputs["context"]), self._bag(inputs["before"])
        return self._bag(inputs["previous"]) + before + context[:-1], before + context[1:]

    def _told(self, events: Events, x: np.ndarray, at_onset: np.ndarray) -> dict[str, np.ndarray]:
        """For each field what its head's hidden layer is told beside the state, (T, head)."""
        v, units = self.vocabulary, self.architecture.units
        chosen = {field: np.maximum(events.fields[:, column], 0) for column, field in enumerate(FIELDS)}
        chosen |= dict(zip(PROGRAM_HISTORY, events.program_history.T, strict=True))
        chosen["motion"] = motion_class(chosen["pitch"], chosen["last_pitch_1"])
        sounding = events.context[:, v.sounding_columns]
        told = {}
        for field in v.fields:
            kernel = self.weights[f"head/{field}/hidden/kernel"][units:]
            told[field] = (x if field == "shift" else at_onset) @ kernel + self.weights[f"head/{field}/hidden/bias"]
            ids = []
            for name, first in v.head_blocks(field).items():
                if name in FIELDS:
                    ids.append(first + chosen[name][:, None])
                elif name in chosen:
                    ids.append(np.where(chosen[name] > 0, first + chosen[name], 0)[:, None])
            if field in ("pitch", "duration"):
                relative_to = chosen["last_pitch_1"] if field == "pitch" else chosen["pitch"] + 1
                ids.append(v.relative_ids(field, sounding, events.pitch_class_levels, relative_to))
            if ids:
                table = self.weights[f"head/{field}/bag"].copy()
                table[0] = 0.0
                told[field] += table[np.concatenate(ids, 1)].sum(1)
        return told

    def _log_p(
        self, events: Events, rows: np.ndarray, h: np.ndarray, told: dict[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """Log-probabilities of the classes of each field, (T, streams, classes), of the top layer's outputs `h`.

        `rows`: which event each is, (T, 1 or streams).
        """
        weights, units = self.weights, self.architecture.units
        possible = _possible(events, self.vocabulary.size("program"))
        found = {}
        for field in self.vocabulary.fields:
            hidden = h @ weights[f"head/{field}/hidden/kernel"][:units] + told[field][rows]
            hidden = np.maximum(hidden, 0.0)
            if self.architecture.deep and field in DEEP:
                kernel, bias = weights[f"head/{field}/second/kernel"], weights[f"head/{field}/second/bias"]
                hidden = hidden + np.maximum(hidden @ kernel + bias, 0.0)
            logits = hidden @ weights[f"head/{field}/output/kernel"] + weights[f"head/{field}/output/bias"]
            if field == "pitch":
                pointed = self.vocabulary.pointed(events.context[rows])
                logits = _pitch_logits(logits, events.program_history[rows, 0], pointed)
            if field in possible:
                logits = np.where(possible[field][rows], logits, -np.inf)
            logits = logits - logits.max(-1, keepdims=True)
            found[field] = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
        return found


def _gru_step(
    projected: np.ndarray, state: list[np.ndarray], recurrent: np.ndarray, bias: np.ndarray
) -> tuple[list[np.ndarray], np.ndarray]:
    """The state of Keras's GRU (reset_after) after projected inputs (1 or S, 3 units); its gates, update and reset."""
    (last,), units = state, len(recurrent)
    inner = last @ recurrent + bias[1]
    gates = _sigmoid(projected[:, : 2 * units] + inner[:, : 2 * units])
    candidate = np.tanh(projected[:, 2 * units :] + gates[:, units:] * inner[:, 2 * units :])
    return [candidate + gates[:, :units] * (last - candidate)], gates


def _lstm_step(
    projected: np.ndarray, state: list[np.ndarray], recurrent: np.ndarray, bias: np.ndarray
) -> tuple[list[np.ndarray], np.ndarray]:
    """An LSTM's output and memory after projected inputs (1 or S, 4 units), and its gates, forget, input, output."""
    (last, memory), units = state, len(recurrent)
    inner = projected + last @ recurrent
    i, f, o = (_sigmoid(inner[:, at * units : (at + 1) * units]) for at in (0, 1, 3))
    memory = f * memory + i * np.tanh(inner[:, 2 * units : 3 * units])
    return [o * np.tanh(memory), memory], np.concatenate([f, i, o], 1)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    """Never 0 in single precision, so that its logarithm says how much is forgotten."""
    return 1.0 / (1.0 + np.exp(-np.maximum(x, -80.0)))


def _pitch_logits(outputs: np.ndarray, last: np.ndarray, pointed: np.ndarray) -> np.ndarray:
    """Pitch logits, (T, S, 128): those of pitches, of intervals from the program's `last` pitch + 1 and of pointers."""
    place = np.arange(N_PITCHES) - (last[..., None] - 1) + N_PITCHES - 1
    place = np.broadcast_to(np.clip(place, 0, 2 * N_PITCHES - 2), (*outputs.shape[:2], N_PITCHES))
    relative = np.take_along_axis(outputs[..., N_PITCHES:], place, 2)
    logits = outputs[..., :N_PITCHES] + np.where(last[..., None] > 0, relative, 0.0)
    for pointer in range(pointed.shape[-1]):
        here = np.arange(N_PITCHES) == pointed[..., pointer, None]
        logits += np.where(here, outputs[..., 3 * N_PITCHES - 1 + pointer, None], 0.0)
    return logits


def _possible(events: Events, n_programs: int) -> dict[str, np.ndarray]:
    """Field -> (T, classes) bool, what may follow (see `melodygru.events`); velocity may be anything."""
    may_join_chord, floor, may_end = (events.legality[:, column, None] for column in range(3))
    shift, duration, program = np.arange(TIMES.size), np.arange(TIMES.size), np.arange(n_programs)
    pitch_mask = np.unpackbits(events.pitch_mask, axis=1, bitorder="little").astype(bool)
    return {
        "shift": (shift > 0) | (may_join_chord > 0),
        "program": np.where(program == END, may_end > 0, program >= floor),
        "pitch": ~pitch_mask,
        "duration": np.broadcast_to(duration > 0, (len(events), TIMES.size)),
    }


def _nats(events: Events, rows: np.ndarray, log_p: dict[str, np.ndarray]) -> np.ndarray:
    """-ln p of what came at `rows`, (T, streams, 5) float64, of log-probabilities (T, streams, classes)."""
    nats = np.zeros((*log_p["shift"].shape[:2], len(FIELDS)))
    for column, field in enumerate(FIELDS):
        if field not in log_p:
            continue
        target = events.fields[rows, column]
        index = np.broadcast_to(np.maximum(target, 0)[..., None], (*nats.shape[:2], 1))
        came = np.take_along_axis(log_p[field], index, 2)[..., 0]
        nats[..., column] = np.where(target >= 0, events.log_bin_width[rows, column] - came.astype(np.float64), 0.0)
    return nats
