"""The model's step in NumPy: the same function as the Keras model, one event at a time, for many streams at once.

A stream is one piece being heard or written; arrays have one row a stream. A parity test holds the logits to those
of the Keras model.

    step = network.step(previous, before, context, state)    # hear the last event
    step.logits("shift")                                     # what may come, given nothing else
    step.arrive(context at the new onset, pitch classes heard)
    step.logits("program", [classes of shift]) ...
"""

from __future__ import annotations

from typing import Any

import numpy as np

from melodygru.events import PROGRAM_HISTORY, motion_class
from melodygru.model.architecture import DEEP
from melodygru.model.cells import CELLS, PARTS
from melodygru.model.checkpoint import Checkpoint
from melodygru.music.notes import N_PITCHES

FEW = 10  # ids of a stream that are summed with those of all streams
N_LEVEL_COLUMNS = 24  # columns of `Events.heard`
N_LEVELS = 4  # and the most values that one of them has


class NumpyModel:
    """The weights of a checkpoint, arranged for stepping.

    Parameters
    ----------
    checkpoint : Checkpoint
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.vocabulary = checkpoint.vocabulary
        self.architecture = checkpoint.architecture
        weights, fields = checkpoint.weights, checkpoint.vocabulary.fields
        units = self.architecture.units
        self.table = weights["bag"].copy()
        self.table[0] = 0.0  # id 0 adds nothing
        self.load_body(weights)
        hidden = [weights[f"head/{field}/hidden/kernel"] for field in fields]
        # All heads' hidden layers are one product with the state, and one with the context at the onset.
        self.from_state = np.ascontiguousarray(np.concatenate([kernel[:units] for kernel in hidden], 1))
        self.bias = np.concatenate([weights[f"head/{field}/hidden/bias"] for field in fields])
        self.from_input = np.ascontiguousarray(hidden[0][units:])
        self.from_context = np.ascontiguousarray(np.concatenate([kernel[units:] for kernel in hidden[1:]], 1))
        self.outputs = {
            field: (weights[f"head/{field}/output/kernel"], weights[f"head/{field}/output/bias"]) for field in fields
        }
        deep = DEEP if self.architecture.deep else ()
        self.second = {
            field: (weights[f"head/{field}/second/kernel"], weights[f"head/{field}/second/bias"]) for field in deep
        }
        self.chosen = {field: weights[f"head/{field}/bag"].copy() for field in fields[1:]}
        for table in self.chosen.values():
            table[0] = 0.0
        self.told = {field: self._told(field) for field in fields[1:]}
        self.seen = {field: self._seen(field) for field in ("pitch", "duration")}
        pitches = np.arange(N_PITCHES)[:, None]
        first, n = self.vocabulary.blocks["sounding"], self.vocabulary.n_program_slots
        self.sounding = np.zeros(self.vocabulary.n_context_ids, np.int64)  # column of `seen` of each id, 0 is none
        self.sounding[first : first + n * N_PITCHES * 2] = np.tile(np.arange(1, 1 + N_PITCHES * 2), n)
        self.motion = motion_class(pitches, np.arange(N_PITCHES + 1))  # of each pitch and last pitch

    def _told(self, field: str) -> tuple[list[str], np.ndarray, np.ndarray]:
        """What a head is told of the choices before it: names, and of each its first id and the least that has one."""
        blocks = self.vocabulary.head_blocks(field)
        classes = set(self.vocabulary.fields)
        names = [name for name in blocks if name in classes or name in PROGRAM_HISTORY or name == "motion"]
        first = np.array([blocks[name] for name in names])
        least = np.array([name not in classes for name in names], np.int64)  # of VOICE and "motion" 0 is none
        return names, first[:, None], least[:, None]

    def _seen(self, field: str) -> np.ndarray:
        """`Vocabulary.relative_ids` as a table: of each pitch that is seen from, and each id of `Step.arrive`."""
        origins, n = np.arange(N_PITCHES + 1), N_PITCHES * 2
        sounding = np.repeat(self.vocabulary.blocks["sounding"] + np.arange(n)[None], len(origins), 0)
        tables = [
            self.vocabulary.relative_ids(field, sounding, np.full((len(origins), N_LEVEL_COLUMNS), level), origins)
            for level in range(N_LEVELS)
        ]
        pitch_class_levels = np.stack([table[:, n:] for table in tables], 2).reshape(len(origins), -1)
        nothing = np.zeros((len(origins), 1), np.int64)
        return np.concatenate([nothing, tables[0][:, :n], pitch_class_levels], 1)

    def load_body(self, weights: dict[str, np.ndarray]) -> None:
        """Arrange the weights of what stands between embeddings and heads."""
        a = self.architecture
        self.cell = CELLS[a.cell]
        self.layers: list[Any] = [
            tuple(weights[f"{a.cell}/{layer}/{part}"] for part in PARTS) for layer in range(a.layers)
        ]

    def initial_state(self, streams: int) -> list[Any]:
        """The state before the first event: for each layer its cell's `states` arrays, (streams, units)."""
        return [np.zeros((streams, self.architecture.units), np.float32)] * (len(self.layers) * self.cell.states)

    def bag(self, ids: np.ndarray) -> np.ndarray:
        """Sums of embeddings, (streams, embedding), of ids (streams, k)."""
        return _sums(self.table, ids)

    def step(
        self,
        previous: np.ndarray,
        before: np.ndarray,
        context: np.ndarray,
        state: list[Any],
        arrived: Step | None = None,
    ) -> Step:
        """Hear an event.

        Parameters
        ----------
        previous : array, shape (streams, 5): ids of the event (see `Vocabulary.previous_ids`)
        before : array, shape (streams, n_before): ids known before the next event
        context : array, shape (streams, n_context): ids at the onset of the event, or `Context.start`
        state : list of arrays, shape (streams, units), see `initial_state`
        arrived : the step that was told the same `context`, which then needs no sum again
        """
        before_bag = self.bag(before)
        x = self.bag(previous)
        x += before_bag
        x += self.bag(context) if arrived is None or arrived.context is None else arrived.context
        h, new_state = self.body(x, state)
        return Step(self, x, h, before_bag, new_state)

    def body(self, x: np.ndarray, state: list[Any]) -> tuple[np.ndarray, list[Any]]:
        """What the heads are given, (streams, units), of inputs (streams, embedding), and the state after them."""
        h, new_state, cell = x, [], self.cell
        n = cell.states
        for index, weights in enumerate(self.layers):
            after = cell.step(cell.project(h, weights), state[n * index : n * (index + 1)], weights)
            h = after[0]
            new_state += after
        return h, new_state


class Step:
    """What the model expects of one event of every stream; logits are asked for in the order of the fields."""

    def __init__(self, network: NumpyModel, x: np.ndarray, h: np.ndarray, before: np.ndarray, state: list[Any]) -> None:
        self.state = state
        self.context: np.ndarray | None = None  # (streams, embedding): the sum of what `arrive` is told
        # Of each pointer that points somewhere: stream, pitch and output of the pitch head.
        self._pointers: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None
        self._network = network
        self._before = before
        self._hidden = h @ network.from_state
        self._hidden += network.bias
        self._hidden[:, : network.architecture.head] += x @ network.from_input

    def arrive(self, context: np.ndarray, pitch_class_levels: np.ndarray) -> None:
        """Tell the context at the new onset.

        Parameters
        ----------
        context : array, shape (streams, n_context): ids
        heard : array, shape (streams, 24): see `Events.heard`
        """
        network = self._network
        sounding = network.sounding[context[:, network.vocabulary.sounding_columns]]
        self._seen = np.concatenate([sounding, pitch_class_levels + _FIRST_LEVEL], 1)  # columns of `Network.seen`
        self.context = network.bag(context)
        if network.vocabulary.pointers:
            pitches = network.vocabulary.pointed(context)
            streams, pointers = (pitches >= 0).nonzero()
            self._pointers = streams, pitches[streams, pointers], pointers + 3 * N_PITCHES - 1
        self._hidden[:, network.architecture.head :] += (self._before + self.context) @ network.from_context

    def logits(self, field: str, chosen: dict[str, np.ndarray] | None = None) -> np.ndarray:
        """Logits of a field, shape (streams, classes), before what cannot follow is left out.

        Parameters
        ----------
        chosen : for every field but shift, the (streams,) classes chosen before it, by name, and those of VOICE once
            the program is chosen (`Context.voice`; 0 is none)
        """
        network = self._network
        width = network.architecture.head
        index = network.vocabulary.fields.index(field)
        hidden = self._hidden[:, index * width : (index + 1) * width]
        if chosen is not None and field in network.told:
            names, first, least = network.told[field]
            if field == "duration":
                chosen = {**chosen, "motion": network.motion[chosen["pitch"], chosen["last_pitch_1"]]}
            known = np.array([chosen[name] for name in names])
            ids = np.where(known < least, 0, known + first).T
            if field in network.seen:
                relative_to = chosen["last_pitch_1"] if field == "pitch" else chosen["pitch"] + 1
                ids = np.concatenate([ids, network.seen[field][relative_to[:, None], self._seen]], 1)
            hidden = hidden + _sums(network.chosen[field], ids)
        hidden = np.maximum(hidden, 0.0)
        if field in network.second:
            kernel, bias = network.second[field]
            hidden += np.maximum(hidden @ kernel + bias, 0.0)
        kernel, bias = network.outputs[field]
        logits = hidden @ kernel
        logits += bias
        if field == "pitch" and chosen is not None:
            pitches = _both_views(logits, chosen["last_pitch_1"])
            if self._pointers is not None:
                np.add.at(pitches, self._pointers[:2], logits[self._pointers[0], self._pointers[2]])
            return pitches
        return logits


def _sums(table: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Sums of rows of a table, (streams, width), of ids (streams, k)."""
    if ids.shape[1] < FEW:
        return np.add.reduce(table.take(ids, 0), 1)
    sums, ones = np.empty((len(ids), table.shape[1]), np.float32), np.ones(ids.shape[1], np.float32)
    # A stream at a time, its rows stay in the cache; as a product their sum takes half the time of `sum`.
    for stream, of_stream in enumerate(ids):
        np.dot(ones, table.take(of_stream, 0), sums[stream])
    return sums


_FIRST_LEVEL = (
    1 + 2 * N_PITCHES + N_LEVELS * np.arange(N_LEVEL_COLUMNS)
)  # first column of `Network.seen` of each of `heard`


def _both_views(logits: np.ndarray, last: np.ndarray) -> np.ndarray:
    """Pitch logits from those of pitches and those of intervals from the program's `last` pitch (plus 1; 0 is none)."""
    pitches = logits[:, :N_PITCHES].copy()
    for stream, from_pitch in enumerate(last.tolist()):
        if from_pitch:
            first = N_PITCHES + N_PITCHES - from_pitch
            pitches[stream] += logits[stream, first : first + N_PITCHES]
    return pitches
