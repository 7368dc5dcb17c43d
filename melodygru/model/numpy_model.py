"""The model in NumPy, without TensorFlow: the same function as the Keras model, held to it by a parity test.

To compose, it is stepped, one event at a time for many streams at once; a stream is one piece in the making, and arrays
have one row a stream:

    step = model.step(previous, before, context, state)     # the last event of each stream
    step.logits("shift")                                    # what may come
    step.arrive(context at the new onset, pitch class levels, descriptions of the parts, line-up)
    step.logits("part", {"shift": classes chosen}) ...

`melodygru.model.trace` runs it over a whole piece instead, whose events are the rows.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from melodygru.events import FIRST_PART, NEW, PART_HISTORY, Vocabulary, layout_of, motion_class
from melodygru.events.features.harmony import REFERENCES
from melodygru.events.layout import LEVEL_PAIRS, N_HARMONY_OUTPUTS, N_INTERVAL_OUTPUTS, N_LEVEL_OUTPUTS, POINTED
from melodygru.model.architecture import DEEP
from melodygru.model.cells import CELLS, PARTS
from melodygru.model.checkpoint import Checkpoint
from melodygru.music.notes import N_PITCHES

FEW = 10  # ids in a row that are summed with those of all rows
N_LEVEL_COLUMNS = 24  # columns of `Events.pitch_class_levels`
N_LEVELS = 4  # values that each of them may have

# First column of a table of relative ids for each column of `Events.pitch_class_levels`; see `_relative_ids`.
_FIRST_LEVEL = 1 + 2 * N_PITCHES + N_LEVELS * np.arange(N_LEVEL_COLUMNS)

_PITCH_CLASSES = np.arange(N_PITCHES) % 12
_REFERENCE_OUTPUTS = N_LEVEL_OUTPUTS + 12 * np.arange(len(REFERENCES))[:, None]


class NumpyModel:
    """The weights of a checkpoint, arranged for stepping.

    Parameters
    ----------
    checkpoint : Checkpoint
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.vocabulary = checkpoint.vocabulary
        self.layout = layout_of(checkpoint.vocabulary)
        self.architecture = checkpoint.architecture
        weights, fields = checkpoint.weights, checkpoint.vocabulary.fields
        units, width = self.architecture.units, self.architecture.head
        self.table = _table(weights["bag"])
        self.load_body(weights)
        # All heads' hidden layers are one product with the state, and one with the context at the onset.
        hidden = [weights[f"head/{field}/hidden/kernel"] for field in fields]
        self.columns = {field: slice(i * width, (i + 1) * width) for i, field in enumerate(fields)}
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
        self.head_tables = {field: _table(weights[f"head/{field}/bag"]) for field in fields[1:]}
        self.head_blocks = {field: _head_blocks(self.vocabulary, field) for field in fields[1:]}
        self.relative_ids = {field: _relative_ids(self.vocabulary, field) for field in ("pitch", "duration")}
        first, n = self.layout.blocks["sounding"], self.vocabulary.n_program_slots
        # Of each context id the column of `relative_ids`: 0 for all but the sounding notes.
        self.sounding = np.zeros(self.layout.n_ids, np.int64)
        self.sounding[first : first + n * N_PITCHES * 2] = np.tile(np.arange(1, 1 + N_PITCHES * 2), n)
        self.descriptions = FIRST_PART - 1 + np.tile(self.layout.description_origins, self.vocabulary.parts)
        # Of each pitch, and of each last pitch plus 1.
        self.motion = motion_class(np.arange(N_PITCHES)[:, None], np.arange(N_PITCHES + 1))

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
        """Sums of embeddings, (rows, embedding), of ids (rows, k)."""
        return _sums(self.table, ids)

    def step(
        self,
        previous: np.ndarray,
        before: np.ndarray,
        context: np.ndarray,
        state: list[Any],
        arrived: Step | None = None,
    ) -> Step:
        """Take the last event of each stream into the state, and expect the next one.

        Parameters
        ----------
        previous : array, shape (streams, 5): ids of the event (see `Vocabulary.previous_ids`)
        before : array, shape (streams, n_before): ids known before the next event
        context : array, shape (streams, n_context): ids at the onset of the event, or `Context.start`
        state : list of arrays, shape (streams, units), see `initial_state`
        arrived : the step whose `arrive` was given the same `context`, whose sum then serves again
        """
        before_sum = self.bag(before)
        x = self.bag(previous)
        x += before_sum
        x += self.bag(context) if arrived is None or arrived.context is None else arrived.context
        h, new_state = self.body(x, state)
        hidden = h @ self.from_state
        hidden += self.bias
        return Step(self, x, before_sum, hidden, new_state)

    def body(self, x: np.ndarray, state: list[Any]) -> tuple[np.ndarray, list[Any]]:
        """The heads' features, (streams, units), of inputs (streams, embedding), and the state after them."""
        h, new_state, cell = x, [], self.cell
        n = cell.states
        for index, weights in enumerate(self.layers):
            after = cell.step(cell.project(h, weights), state[n * index : n * (index + 1)], weights)
            h = after[0]
            new_state += after
        return h, new_state

    def head(self, field: str, hidden: np.ndarray) -> np.ndarray:
        """Outputs of a field's head, (..., outputs), of what goes into its hidden layer, (..., head)."""
        hidden = np.maximum(hidden, 0.0)
        if field in self.second:
            kernel, bias = self.second[field]
            hidden += np.maximum(hidden @ kernel + bias, 0.0)
        kernel, bias = self.outputs[field]
        outputs = hidden @ kernel
        outputs += bias
        return outputs

    def pointed(
        self,
        field: str,
        outputs: np.ndarray,
        pointers: np.ndarray | None,
        last: np.ndarray | None = None,
        harmony: np.ndarray | None = None,
    ) -> np.ndarray:
        """Logits of a field's classes, (rows, classes), of its head's outputs, (rows, n): sums over what points there.

        Parameters
        ----------
        field : any but the part
        pointers : array, shape (rows, k): what the pointers to the field point to, see `Events`
        last : array, shape (rows,): for the pitch, the part's last one plus 1; 0 is none
        harmony : array, shape (rows, 36): for the pitch, see `harmony_places`
        """
        n = self.vocabulary.size(field)
        logits = outputs[:, :n].copy()
        if last is not None:
            for row, from_pitch in enumerate(last.tolist()):
                if from_pitch:
                    first = N_PITCHES + N_PITCHES - from_pitch
                    logits[row] += outputs[row, first : first + N_PITCHES]
        if harmony is not None:
            relative = np.zeros((len(outputs), N_HARMONY_OUTPUTS + 1), outputs.dtype)
            relative[:, 1:] = outputs[:, n + N_INTERVAL_OUTPUTS : n + N_INTERVAL_OUTPUTS + N_HARMONY_OUTPUTS]
            values = relative[np.arange(len(outputs))[:, None], harmony]
            logits += np.add.reduce(values.reshape(len(outputs), -1, 12), 1)[:, _PITCH_CLASSES]
        if pointers is not None:
            rows, weights = len(pointers), outputs[:, outputs.shape[1] - pointers.shape[1] :]
            if rows == 1:
                logits += np.bincount(pointers[0], weights[0], n + 1)[1:]  # 0 is none
            else:
                classes = pointers + (n + 1) * np.arange(rows)[:, None]
                logits += np.bincount(classes.ravel(), weights.ravel(), rows * (n + 1)).reshape(rows, n + 1)[:, 1:]
        return logits

    def gain(self, outputs: np.ndarray) -> np.ndarray:
        """What the step at the common end gains over the others of its class, (rows,), of the durations' outputs."""
        return outputs[..., self.vocabulary.size("duration")]

    def harmony_places(self, context: np.ndarray, pitch_class_levels: np.ndarray) -> np.ndarray:
        """Of each pitch class, three times, which of the pitch head's outputs for harmony its logit adds, plus 1.

        By its levels, and above each reference (see `features.harmony`); 0 is nothing. Shape (rows, 36).
        """
        ids = context[:, self.layout.reference_columns]
        pitch = ids - self.layout.reference_origins - 1
        above = 1 + _REFERENCE_OUTPUTS + (np.arange(12) - pitch[..., None]) % 12
        above *= ids[..., None] > 0
        levels = 1 + pitch_class_levels[:, :12].astype(np.int64) * LEVEL_PAIRS[1] + pitch_class_levels[:, 12:]
        return np.concatenate([levels, above.reshape(len(ids), -1)], 1)

    def part_logits(self, outputs: np.ndarray, descriptions: np.ndarray, line_up: np.ndarray) -> np.ndarray:
        """Logits of the part classes, (rows, classes), of the outputs of their head; the rest as in `Step.arrive`."""
        if not self.vocabulary.models_part:
            return outputs
        rows, parts = np.arange(len(outputs))[:, None], self.vocabulary.parts
        logits = np.empty((len(outputs), FIRST_PART + parts), outputs.dtype)
        logits[:, :FIRST_PART] = outputs[:, :FIRST_PART]
        bits = np.unpackbits(line_up, axis=1, count=FIRST_PART - NEW + 1, bitorder="little").view(bool)
        known = bits[:, -1]
        if known.any():
            to_come, others = outputs[:, -2, None], outputs[:, -1, None]
            logits[:, NEW:FIRST_PART] += np.where(bits[:, :-1], to_come, others) * known[:, None]
        values = outputs[rows, self.descriptions + descriptions]
        values *= descriptions > 0
        logits[:, FIRST_PART:] = np.add.reduce(values.reshape(len(outputs), parts, -1), 2)
        return logits


class Step:
    """What the model expects of the next event in every row; logits are asked for in the order of the fields.

    Parameters
    ----------
    model : NumpyModel
    x : array, shape (rows, embedding): the recurrent layers' input
    before : array, shape (rows, embedding): the part of it that is known before the next event
    hidden : array, shape (rows, heads' widths): the state's share in the heads' hidden layers; it is written over
    state : list of arrays, shape (rows, units): the state after the last event
    """

    def __init__(
        self, model: NumpyModel, x: np.ndarray, before: np.ndarray, hidden: np.ndarray, state: list[Any]
    ) -> None:
        self.state = state
        self.context: np.ndarray | None = None  # (rows, embedding): the sum of the context that `arrive` was given
        self._model = model
        self._before = before
        self._hidden = hidden
        self._hidden[:, : model.architecture.head] += x @ model.from_input
        self.gain: np.ndarray | None = None  # (rows,): once durations were asked for, see `NumpyModel.gain`

    def arrive(
        self, context: np.ndarray, pitch_class_levels: np.ndarray, part_descriptions: np.ndarray, line_up: np.ndarray
    ) -> None:
        """Take in what is known once the new onset is.

        Parameters
        ----------
        context : array, shape (rows, n_context): ids
        pitch_class_levels, part_descriptions, line_up : arrays, a row each: see `Events`
        """
        model = self._model
        sounding = model.sounding[context[:, model.layout.sounding_columns]]
        self._relative = np.concatenate([sounding, pitch_class_levels + _FIRST_LEVEL], 1)
        self.context = model.bag(context)
        self._harmony = model.harmony_places(context, pitch_class_levels)
        self._parts = part_descriptions, line_up
        self._hidden[:, model.architecture.head :] += (self._before + self.context) @ model.from_context

    def pick(self, rows: np.ndarray) -> None:
        """Expect on for these rows alone, which may come several times; `state` stays as it is."""
        self._before, self._hidden = self._before[rows], self._hidden[rows]
        if self.context is not None:
            self.context, self._relative = self.context[rows], self._relative[rows]
            self._harmony = self._harmony[rows]
            descriptions, line_up = self._parts
            self._parts = descriptions[rows], line_up[rows]

    def logits(
        self, field: str, chosen: dict[str, np.ndarray] | None = None, pointers: np.ndarray | None = None
    ) -> np.ndarray:
        """Logits of a field, shape (rows, classes), before what cannot follow is left out.

        Parameters
        ----------
        chosen : for every field but shift, the (rows,) classes chosen before it, by name, and those of PART_HISTORY
            once the part is chosen (`Context.part_history`; 0 is none)
        pointers : array, shape (rows, k): what the pointers to the field point to (see `Events`); none to the part
        """
        outputs = self._model.head(field, self.hidden(field, chosen, pointers))
        if field == "part":
            return self._model.part_logits(outputs, *self._parts)
        if field == "duration" and self._model.vocabulary.exact_ends:
            self.gain = self._model.gain(outputs)
        last = None if field != "pitch" or chosen is None else chosen["last_pitch_1"]
        return self._model.pointed(field, outputs, pointers, last, None if last is None else self._harmony)

    def hidden(
        self, field: str, chosen: dict[str, np.ndarray] | None = None, pointers: np.ndarray | None = None
    ) -> np.ndarray:
        """What goes into the hidden layer of a field's head, (rows, head); the rest as in `logits`."""
        model = self._model
        hidden = self._hidden[:, model.columns[field]]
        if chosen is None or field not in model.head_blocks:
            return hidden
        names, first, least = model.head_blocks[field]
        if field == "duration":
            chosen = {**chosen, "motion": model.motion[chosen["pitch"], chosen["last_pitch_1"]]}
        known = np.array([chosen[name] for name in names])
        ids = np.where(known < least, 0, known + first).T
        if field in model.relative_ids:
            relative_to = chosen["last_pitch_1"] if field == "pitch" else chosen["pitch"] + 1
            ids = np.concatenate([ids, model.relative_ids[field][relative_to[:, None], self._relative]], 1)
        if field in POINTED and pointers is not None:
            ids = np.concatenate([ids, model.layout.pointer_ids(field, pointers)], 1)
        return hidden + _sums(model.head_tables[field], ids)


def _table(weights: np.ndarray) -> np.ndarray:
    """Embeddings of ids; that of id 0, which means nothing, is 0."""
    table = weights.copy()
    table[0] = 0.0
    return table


def _sums(table: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """Sums of rows of a table, (rows, width), of ids (rows, k)."""
    if ids.shape[1] < FEW:
        return np.add.reduce(table.take(ids, 0), 1)
    sums, ones = np.empty((len(ids), table.shape[1]), np.float32), np.ones(ids.shape[1], np.float32)
    # A row at a time, its embeddings stay in the cache; as a product their sum takes half the time of `sum`.
    for row, of_row in enumerate(ids):
        np.dot(ones, table.take(of_row, 0), sums[row])
    return sums


def _head_blocks(vocabulary: Vocabulary, field: str) -> tuple[list[str], np.ndarray, np.ndarray]:
    """What a field's head is given of the choices before it: names, first ids, and the least class that has an id."""
    blocks = layout_of(vocabulary).head_blocks(field)
    classes = set(vocabulary.fields)
    names = [name for name in blocks if name in classes or name in PART_HISTORY or name == "motion"]
    first = np.array([blocks[name] for name in names])
    least = np.array([name not in classes for name in names], np.int64)  # of PART_HISTORY and "motion" 0 is none
    return names, first[:, None], least[:, None]


def _relative_ids(vocabulary: Vocabulary, field: str) -> np.ndarray:
    """`Layout.relative_ids` as a table: a row for each pitch that they are relative to, plus 1.

    Columns: 0 for nothing; each state of the block "sounding"; each level of each column of pitch class levels.
    """
    layout, origins, n = layout_of(vocabulary), np.arange(N_PITCHES + 1), N_PITCHES * 2
    sounding = np.repeat(layout.blocks["sounding"] + np.arange(n)[None], len(origins), 0)
    tables = [
        layout.relative_ids(field, sounding, np.full((len(origins), N_LEVEL_COLUMNS), level), origins)
        for level in range(N_LEVELS)
    ]
    levels = np.stack([table[:, n:] for table in tables], 2).reshape(len(origins), -1)
    return np.concatenate([np.zeros((len(origins), 1), np.int64), tables[0][:, :n], levels], 1)
