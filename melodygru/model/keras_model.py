"""The Keras model: one recurrent step per note, and a chain of heads that factorises the note exactly.

    x_t = bag(previous[t], before[t], context[t-1])          bag: the sum of the ids' embeddings
    h_t = GRU(x_t, h_{t-1})                              or an LSTM's, as the architecture's cell says
    a_t = bag(before[t], context[t])
    p(event_t | h_t, x_t, a_t) = p(shift | h, x) p(program or END | h, a, shift) p(pitch | ..., program)
                                 p(duration | ..., pitch) p(velocity | ..., duration)

What `previous`, `before` and `context` hold is specified in `melodygru.events`. Each head is a hidden layer, or two.
The logit of a pitch is the sum of two views, of the pitch and of the interval from its program's last pitch, and of the
pointers to it: notes recalled and echoed. Events that cannot follow have no probability.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from melodygru.errors import CheckpointError
from melodygru.events import (
    DURATION,
    END,
    FIELDS,
    N_INTERVALS,
    PITCH,
    PROGRAM,
    PROGRAM_HISTORY,
    SHIFT,
    TIMES,
    Vocabulary,
    encode,
)
from melodygru.model.checkpoint import DEEP, Architecture, as_settings, layer_group, read_settings, to_float16
from melodygru.music.notes import N_PITCHES, NOTE, NoteSequence
from melodygru.util.atomic import atomic_write

ONE_MASK = (None, 1, None)  # dropout's noise shape: variational, the same units for all steps
IMPOSSIBLE = -1e9  # a logit; finite, so that nothing becomes NaN should every class be impossible


@keras.saving.register_keras_serializable("melodygru")
class GRU(keras.layers.GRU):
    """`keras.layers.GRU` with a faster loop where there is no cuDNN: same weights, values and gradients.

    On a GPU the stock layer runs, with cuDNN. On a CPU the stock loop multiplies the inputs inside the loop and
    accumulates weight gradients step by step; here the inputs are projected before the loop, and the weight gradients
    are taken after it, by one product a gate.
    """

    def inner_loop(self, sequences, initial_state, mask, training=False):
        if not (_is_plain(self, mask) and self.reset_after):
            return super().inner_loop(sequences, initial_state, mask, training)
        state = initial_state[0] if isinstance(initial_state, (list, tuple)) else initial_state
        kernel, recurrent, bias = _weights(self.cell, sequences.dtype)
        *gates, candidate = tf.split(bias[1], 3)
        biases = tf.split(bias[0] + tf.concat([*gates, tf.zeros_like(candidate)], 0), 3)
        by_time = tf.transpose(sequences, [1, 0, 2])
        projected = [
            _projected(by_time, columns, shift) for columns, shift in zip(tf.split(kernel, 3, 1), biases, strict=True)
        ]
        state = tf.cast(state, sequences.dtype)
        outputs = _gru_recurrence(*projected, state, *tf.split(recurrent, 3, 1), candidate)
        last = outputs[-1]
        return last, _by_batch(self, sequences, outputs), [last]


@keras.saving.register_keras_serializable("melodygru")
class LSTM(keras.layers.LSTM):
    """`keras.layers.LSTM` with a faster loop where there is no cuDNN, as `GRU`."""

    def inner_loop(self, sequences, initial_state, mask, training=False):
        if not _is_plain(self, mask):
            return super().inner_loop(sequences, initial_state, mask, training)
        state, memory = (tf.cast(array, sequences.dtype) for array in initial_state)
        kernel, recurrent, bias = _weights(self.cell, sequences.dtype)
        projected = _projected(tf.transpose(sequences, [1, 0, 2]), kernel, bias)
        outputs, memory = _lstm_recurrence(projected, state, memory, recurrent)
        last = outputs[-1]
        return last, _by_batch(self, sequences, outputs), [last, memory]


def _is_plain(layer: keras.layers.Layer, mask: Any) -> bool:
    """Whether the faster loop serves: no GPU, and only options that it has."""
    return (
        mask is None
        and layer.use_bias
        and not (layer.dropout or layer.recurrent_dropout or layer.go_backwards or layer.unroll)
        and layer.activation is keras.activations.tanh
        and layer.recurrent_activation is keras.activations.sigmoid
        and not tf.config.list_logical_devices("GPU")
    )


def _weights(cell: Any, dtype: Any) -> list[tf.Tensor]:
    """Kernel, recurrent kernel and bias of a cell."""
    return [tf.cast(tf.convert_to_tensor(w), dtype) for w in (cell.kernel, cell.recurrent_kernel, cell.bias)]


def _projected(by_time: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
    """What time-major inputs add to the gates of `kernel`: (T, B, gates)."""
    steps, batch = tf.shape(by_time)[0], tf.shape(by_time)[1]
    flat = tf.reshape(by_time, [-1, by_time.shape[-1]])
    return tf.reshape(tf.nn.bias_add(tf.matmul(flat, kernel), bias), [steps, batch, kernel.shape[1]])


def _by_batch(layer: keras.layers.Layer, sequences: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
    """Time-major outputs as Keras returns them: all of them, or the last."""
    if not layer.return_sequences:
        return outputs[-1][:, None]
    outputs = tf.transpose(outputs, [1, 0, 2])
    outputs.set_shape([sequences.shape[0], sequences.shape[1], layer.units])
    return outputs


@tf.custom_gradient
def _gru_recurrence(z_in, r_in, candidate_in, state, to_z, to_r, to_candidate, bias):
    """The GRU's recurrent part over time-major projected inputs, a tensor for each gate.

    z_in, r_in, candidate_in: (T, B, H), what the inputs add to each gate, biases included; state: (B, H); to_z, to_r,
    to_candidate: (H, H), the recurrent kernel's columns of each gate; bias: (H,), of the candidate's recurrent part.
    Returns (T, B, H).

    Nothing is sliced but first axes, which costs no copy, and a step's element-wise work stays in the cache: both are
    why each gate has its own tensors, and why the gradient is not taken over the whole window at once.
    """
    steps = tf.shape(z_in)[0]
    like_state = {"dtype": z_in.dtype, "size": steps, "element_shape": [None, to_z.shape[0]]}

    def forward(t, h, states, saved):
        z = tf.sigmoid(z_in[t] + tf.matmul(h, to_z))
        r = tf.sigmoid(r_in[t] + tf.matmul(h, to_r))
        inner = tf.nn.bias_add(tf.matmul(h, to_candidate), bias)
        candidate = tf.tanh(candidate_in[t] + r * inner)
        h = candidate + z * (h - candidate)
        saved = [array.write(t, value) for array, value in zip(saved, (z, r, candidate, inner), strict=True)]
        return t + 1, h, states.write(t, h), saved

    saved = [tf.TensorArray(**like_state) for _ in range(4)]
    _, _, states, saved = tf.while_loop(
        lambda t, *_: t < steps,
        forward,
        (tf.constant(0), state, tf.TensorArray(**like_state), saved),
        maximum_iterations=steps,
    )
    states = states.stack()
    saved = [array.stack() for array in saved]  # arrays that a gradient reads cannot be exported

    def gradient(d_states):
        transposed = [tf.transpose(kernel) for kernel in (to_z, to_r, to_candidate)]

        def backward(k, d_h, d_gates):
            t = steps - 1 - k
            z, r, candidate, inner = (values[t] for values in saved)
            before = tf.cond(t > 0, lambda: states[t - 1], lambda: state)
            d_h += d_states[t]
            d_kept = d_h * z
            d_candidate = tf.raw_ops.TanhGrad(y=candidate, dy=d_h - d_kept)
            d_z = tf.raw_ops.SigmoidGrad(y=z, dy=d_h * (before - candidate))
            d_r = tf.raw_ops.SigmoidGrad(y=r, dy=d_candidate * inner)
            d_inner = d_candidate * r
            d_values = (d_z, d_r, d_candidate, d_inner)
            d_gates = [array.write(t, value) for array, value in zip(d_gates, d_values, strict=True)]
            products = map(tf.matmul, (d_z, d_r, d_inner), transposed)
            return k + 1, tf.add_n([d_kept, *products]), d_gates

        d_gates = [tf.TensorArray(**like_state) for _ in range(4)]
        _, d_state, d_gates = tf.while_loop(
            lambda k, *_: k < steps,
            backward,
            (tf.constant(0), tf.zeros_like(state), d_gates),
            maximum_iterations=steps,
        )
        d_z, d_r, d_candidate, d_inner = (array.stack() for array in d_gates)

        def d_kernel(d):
            """Of the products of each step with the state before it; of the first, with the state given."""
            later = tf.matmul(_rows(states[:-1]), _rows(d[1:]), transpose_a=True)
            return later + tf.matmul(state, d[0], transpose_a=True)

        d_kernels = [d_kernel(d) for d in (d_z, d_r, d_inner)]
        return d_z, d_r, d_candidate, d_state, *d_kernels, tf.reduce_sum(_rows(d_inner), 0)

    return states, gradient


def _rows(values: tf.Tensor) -> tf.Tensor:
    """(T, B, n) as (T * B, n)."""
    return tf.reshape(values, [-1, values.shape[-1]])


@tf.custom_gradient
def _lstm_recurrence(projected: tf.Tensor, state: tf.Tensor, memory: tf.Tensor, recurrent: tf.Tensor):
    """The LSTM's recurrent part over time-major projected inputs, gates in the order i, f, candidate, o.

    projected: (T, B, 4H), state and memory: (B, H), recurrent: (H, 4H). Returns the states, (T, B, H), and the last
    memory, (B, H).
    """
    steps = tf.shape(projected)[0]
    dtype = projected.dtype
    units = recurrent.shape[0]

    def forward(t, h, c, states, memories, gates):
        inner = projected[t] + tf.matmul(h, recurrent)
        i_f = tf.sigmoid(inner[:, : 2 * units])
        candidate = tf.tanh(inner[:, 2 * units : 3 * units])
        o = tf.sigmoid(inner[:, 3 * units :])
        c = i_f[:, units:] * c + i_f[:, :units] * candidate
        h = o * tf.tanh(c)
        gates = gates.write(t, tf.concat([i_f, candidate, o], 1))
        return t + 1, h, c, states.write(t, h), memories.write(t, c), gates

    arrays = [tf.TensorArray(dtype, steps, element_shape=[None, k * units]) for k in (1, 1, 4)]
    _, _, last_memory, states, memories, gates = tf.while_loop(
        lambda t, *_: t < steps, forward, (tf.constant(0), state, memory, *arrays), maximum_iterations=steps
    )
    states, memories, gates = states.stack(), memories.stack(), gates.stack()

    def gradient(d_states, d_last_memory):
        # All that does not depend on the gradient's own recursion is one fused step over the whole window.
        i, f, candidate, o = tf.split(gates, 4, 2)
        before = tf.concat([memory[None], memories[:-1]], 0)
        bent = tf.tanh(memories)
        to_memory = o * (1 - bent * bent)
        to_gates = tf.concat(
            [candidate * i * (1 - i), before * f * (1 - f), i * (1 - candidate * candidate), bent * o * (1 - o)], 2
        )
        transposed = tf.transpose(recurrent)

        def backward(k, d_h, d_c, out):
            t = steps - 1 - k
            d_h = d_h + d_states[t]
            d_c = d_c + d_h * to_memory[t]
            d_gates = tf.concat([d_c, d_c, d_c, d_h], 1) * to_gates[t]
            return k + 1, tf.matmul(d_gates, transposed), d_c * f[t], out.write(t, d_gates)

        out = tf.TensorArray(dtype, steps, element_shape=[None, 4 * units])
        _, d_state, d_memory, d_projected = tf.while_loop(
            lambda k, *_: k < steps,
            backward,
            (tf.constant(0), tf.zeros_like(state), d_last_memory, out),
            maximum_iterations=steps,
        )
        d_projected = d_projected.stack()
        previous = tf.reshape(tf.concat([state[None], states[:-1]], 0), [-1, units])
        d_recurrent = tf.matmul(previous, tf.reshape(d_projected, [-1, 4 * units]), transpose_a=True)
        return d_projected, d_state, d_memory, d_recurrent

    return (states, last_memory), gradient


CELLS: dict[str, Any] = {"gru": GRU, "lstm": LSTM}


@keras.saving.register_keras_serializable("melodygru")
class EmbeddingBag(keras.layers.Layer):
    """The sum of the embeddings of a row of ids; id 0 adds nothing.

    Input shape (..., ids), integers in [0, rows); output shape (..., width).
    """

    def __init__(self, rows: int, width: int, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.rows, self.width = rows, width
        self.initializer = keras.initializers.RandomNormal(stddev=0.1, seed=seed)

    def build(self, input_shape: Any = None) -> None:
        self.table = self.add_weight(name="table", shape=(self.rows, self.width), initializer=self.initializer)
        self.built = True

    def call(self, ids: tf.Tensor) -> tf.Tensor:
        lead = tf.shape(ids)[:-1]
        table = tf.cast(tf.convert_to_tensor(self.table), self.compute_dtype)
        total = _sum_of_rows(table, tf.reshape(ids, [-1, ids.shape[-1]]))
        return tf.reshape(total, tf.concat([lead, [self.width]], 0))


@tf.custom_gradient
def _sum_of_rows(table: tf.Tensor, ids: tf.Tensor):
    """Sums of a table's rows: (rows, width) and ids (N, k) give (N, width); id 0 adds nothing."""
    pitch_class_levels = ids > 0
    wanted = tf.boolean_mask(ids, pitch_class_levels)
    into = tf.cast(tf.where(pitch_class_levels)[:, 0], tf.int32)

    def gradient(d_total):
        # Sorted by row, the gradient is such a sum as well: twice as fast as scattering.
        order = tf.argsort(wanted)
        rows = tf.shape(table)[0]
        return _segment_sum(d_total, tf.gather(into, order), tf.gather(wanted, order), rows), None

    return _segment_sum(table, wanted, into, tf.shape(ids)[0]), gradient


def _segment_sum(data: tf.Tensor, rows: tf.Tensor, segments: tf.Tensor, n_segments: tf.Tensor) -> tf.Tensor:
    """`tf.sparse.segment_sum`; one segment more, which is dropped, as the sum of no rows at all is unset memory."""
    rows, segments = tf.concat([rows, [0]], 0), tf.concat([segments, n_segments[None]], 0)
    return tf.sparse.segment_sum(data, rows, segments, num_segments=n_segments + 1)[:-1]


@keras.saving.register_keras_serializable("melodygru")
class Head(keras.layers.Layer):
    """One link of the chain: a hidden layer over the features and the fields chosen before, then the logits.

    A `deep` head has a second hidden layer, whose output is added to the first's.

    Inputs: features, a list of (B, T, width) that are never joined, and ids (B, T, k) into a table of what was chosen
    before; `rows` 1 means nothing was. Output: (B, T, classes).
    """

    def __init__(
        self,
        classes: int,
        width: int,
        features: int,
        rows: int,
        drop: float,
        seed: int,
        deep: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.features = features
        self.hidden = keras.layers.Dense(width, name="hidden", kernel_initializer=_glorot(seed))
        self.output_layer = keras.layers.Dense(
            classes, name="output", dtype="float32", kernel_initializer=_glorot(seed + 1)
        )
        self.bag = EmbeddingBag(rows, width, seed=seed + 2, name="bag") if rows > 1 else None
        self.second = keras.layers.Dense(width, name="second", kernel_initializer=_glorot(seed + 5)) if deep else None
        self.dropout = keras.layers.Dropout(drop, seed=seed + 3)

    def build(self, input_shape: Any = None) -> None:
        self.hidden.build((None, None, self.features))
        self.output_layer.build((None, None, self.hidden.units))
        if self.bag is not None:
            self.bag.build()
        if self.second is not None:
            self.second.build((None, None, self.hidden.units))
        self.built = True

    def call(self, features: list[tf.Tensor], ids: tf.Tensor | None = None, training: bool = False) -> tf.Tensor:
        hidden = self.hidden
        kernel, bias = (tf.cast(tf.convert_to_tensor(w), self.compute_dtype) for w in (hidden.kernel, hidden.bias))
        kernels = tf.split(kernel, [values.shape[-1] for values in features])
        parts = [tf.tensordot(values, part, 1) for values, part in zip(features, kernels, strict=True)]
        if self.bag is not None:
            parts.append(self.bag(ids))
        hidden = tf.nn.bias_add(tf.add_n(parts), bias)
        hidden = self.dropout(tf.nn.relu(hidden), training=training)
        if self.second is not None:
            hidden += self.dropout(tf.nn.relu(self.second(hidden)), training=training)
        return self.output_layer(hidden)


def _glorot(seed: int) -> keras.initializers.Initializer:
    return keras.initializers.GlorotUniform(seed=seed)


class EventModel(keras.Model):
    """What every model of events shares: the bag of embeddings, the heads, the likelihood.

    A subclass gives the body between them: `_build_body`, `_body` and `initial_state`.

    Parameters
    ----------
    vocabulary : Vocabulary
    sizes : object with embedding, head, drop_input and drop_head, as `Architecture` has them
    seed : int
        Of the initial weights.
    """

    def __init__(self, vocabulary: Vocabulary, sizes: Any, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.vocabulary, self.architecture, self.seed = vocabulary, sizes, seed
        v, a = vocabulary, sizes
        seeds = iter(range(10_000 * seed, 10_000 * seed + 1000))
        self.bag = EmbeddingBag(v.n_context_ids, a.embedding, seed=next(seeds), name="bag")
        self.bag.build()
        self.drop_input = keras.layers.Dropout(a.drop_input, noise_shape=ONE_MASK, seed=next(seeds))
        width = self._build_body(seeds)
        self._head_blocks = {}
        for index, field in enumerate(v.fields, 100):
            blocks = v.head_blocks(field)
            self._head_blocks[field] = {name: first for name, first in blocks.items() if name != "end"}
            head = Head(
                v.n_outputs(field),
                a.head,
                width + a.embedding,
                blocks["end"],
                a.drop_head,
                10_000 * seed + 10 * index,
                deep=a.deep and field in DEEP,
                name=f"head_{field}",
            )
            head.build()
            setattr(self, f"head_{field}", head)
        self.built = True

    def _build_body(self, seeds: Iterator[int]) -> int:
        """Make the body's layers; returns the width of what it gives the heads."""
        raise NotImplementedError

    def _body(
        self, x: tf.Tensor, state: Sequence[tf.Tensor], training: bool = False
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """What the heads are given, (B, T, width), of the inputs (B, T, embedding), and the state after them."""
        raise NotImplementedError

    def initial_state(self, batch: int | tf.Tensor) -> list[tf.Tensor]:
        """The state before the first event, a list of tensors, first axis the batch."""
        raise NotImplementedError

    def call(self, inputs: dict[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        return self.log_likelihood(inputs, self.initial_state(tf.shape(inputs["fields"])[0]), training)[0]

    def log_likelihood(
        self, inputs: dict[str, tf.Tensor], state: list[tf.Tensor], training: bool = False
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Log-likelihood of a window that begins in `state`, as from a call, and the state at its end."""
        fields = tf.cast(inputs["fields"], tf.int32)
        logits, state = self.logits(inputs, state, training)
        columns = []
        for column, field in enumerate(FIELDS):
            if field not in self.vocabulary.fields:
                columns.append(tf.zeros(tf.shape(fields)[:2]))
                continue
            target = fields[..., column]
            chosen = tf.maximum(target, 0)
            log_p = -tf.nn.sparse_softmax_cross_entropy_with_logits(chosen, logits[field])
            if column in (SHIFT, DURATION):
                log_p -= tf.gather(tf.constant(TIMES.log_width, tf.float32), chosen)
            columns.append(tf.where(target >= 0, log_p, 0.0))
        return tf.stack(columns, -1), state

    def logits(
        self, inputs: dict[str, tf.Tensor], state: list[tf.Tensor], training: bool = False
    ) -> tuple[dict[str, tf.Tensor], list[tf.Tensor]]:
        """Logits of each field, (B, T, classes) float32, given the fields before it in `inputs`, and the end state."""
        before = self.bag(tf.cast(inputs["before"], tf.int32))
        context = self.bag(tf.cast(inputs["context"], tf.int32))
        # tf.slice, as the gradient of [:, 1:] takes several times as long.
        earlier, context = (tf.slice(context, [0, first, 0], tf.shape(before)) for first in (0, 1))
        x = self.bag(tf.cast(inputs["previous"], tf.int32)) + before + earlier
        at_onset = before + context
        h, end_state = self._body(self.drop_input(x, training=training), state, training)
        chosen = self._chosen(inputs)
        logits = {}
        for field in self.vocabulary.fields:
            features = [h, x if field == "shift" else at_onset]
            ids = self._head_ids(field, inputs, chosen)
            head = getattr(self, f"head_{field}")
            logits[field] = head(features, ids, training=training)
        logits["pitch"] = self._pitch_logits(logits["pitch"], chosen["last_pitch_1"], inputs["context"])
        for field, impossible in self._impossible(inputs).items():
            logits[field] = tf.where(impossible, IMPOSSIBLE, logits[field])
        return logits, end_state

    def _head_ids(self, field: str, inputs: dict[str, tf.Tensor], chosen: dict[str, tf.Tensor]) -> tf.Tensor | None:
        """Ids of what a field's head is told beside its features, (B, T, k); None if that is nothing."""
        blocks = self._head_blocks[field]
        ids = [tf.where(chosen[n] >= 0, first + chosen[n], 0)[..., None] for n, first in blocks.items() if n in chosen]
        if field == "pitch":
            ids.extend(self._relative_ids(inputs, blocks, inputs["program_history"][..., 0:1]))
        if field == "duration":
            ids.extend(self._relative_ids(inputs, blocks, inputs["fields"][..., PITCH : PITCH + 1] + 1))
        return tf.concat(ids, -1) if ids else None

    def _relative_ids(
        self, inputs: dict[str, tf.Tensor], blocks: dict[str, int], relative_to: tf.Tensor
    ) -> list[tf.Tensor]:
        """Ids of what sounds, and of what was heard, as `Vocabulary.relative_ids`; `seen_from` of shape (B, T, 1)."""
        origin = tf.cast(relative_to, tf.int32)
        sounding = tf.cast(inputs["context"], tf.int32)[:, 1:, self.vocabulary.sounding_columns]
        state = sounding - self.vocabulary.blocks["sounding"]
        interval = _interval_class(state // 2 % N_PITCHES - (origin - 1))
        intervals = tf.where((sounding > 0) & (origin > 0), blocks["interval"] + interval * 2 + state % 2, 0)
        pitch_class_levels = tf.cast(inputs["pitch_class_levels"], tf.int32)
        degree = (tf.range(12) - (origin - 1)) % 12
        degrees = tf.concat([blocks["scale"] + degree * 2, blocks["key"] + degree * 3], -1)
        return [intervals, tf.where((pitch_class_levels > 0) & (origin > 0), degrees + pitch_class_levels - 1, 0)]

    def _pitch_logits(self, outputs: tf.Tensor, last: tf.Tensor, context: tf.Tensor) -> tf.Tensor:
        """Sums of the logits of pitches, intervals from the program's `last` pitch (plus 1, or -1) and pointers."""
        v = self.vocabulary
        absolute, relative, pointers = tf.split(outputs, [N_PITCHES, 2 * N_PITCHES - 1, v.n_pointers], -1)
        place = tf.range(N_PITCHES) - (last[..., None] - 1) + N_PITCHES - 1
        relative = tf.gather(relative, tf.clip_by_value(place, 0, 2 * N_PITCHES - 2), batch_dims=2)
        logits = absolute + tf.where(last[..., None] > 0, relative, 0.0)
        if not v.n_pointers:
            return logits
        ids = tf.gather(tf.cast(context, tf.int32)[:, 1:], v.pointer_columns, axis=-1)
        pitches = tf.where(ids > 0, (ids - tf.constant(v.pointer_origins, tf.int32)) % N_PITCHES, -1)
        return logits + tf.einsum("btk,btkp->btp", pointers, tf.one_hot(pitches, N_PITCHES))

    def _chosen(self, inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """What the heads are told of earlier choices, by block name: (B, T) classes, -1 for none."""
        fields, program_history = tf.cast(inputs["fields"], tf.int32), tf.cast(inputs["program_history"], tf.int32)
        chosen = {field: fields[..., column] for column, field in enumerate(FIELDS)}
        for column, name in enumerate(PROGRAM_HISTORY):
            chosen[name] = tf.where(program_history[..., column] > 0, program_history[..., column], -1)
        motion = _interval_class(chosen["pitch"] - (program_history[..., 0] - 1)) + 1
        chosen["motion"] = tf.where((program_history[..., 0] > 0) & (chosen["pitch"] >= 0), motion, -1)
        return chosen

    def _impossible(self, inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """What cannot follow, by field, of a shape that fits (B, T, classes)."""
        legality = tf.cast(inputs["legality"], tf.int32)
        may_join_chord, floor, may_end = legality[..., 0:1], legality[..., 1:2], legality[..., 2:3]
        shift = tf.range(self.vocabulary.size("shift"))
        program = tf.range(self.vocabulary.size("program"))
        bits = tf.bitwise.right_shift(tf.cast(inputs["pitch_mask"], tf.int32)[..., None], tf.range(8)) & 1
        pitch_mask = tf.reshape(bits, tf.concat([tf.shape(legality)[:2], [128]], 0))
        return {
            "shift": (shift == 0) & (may_join_chord == 0),
            "program": tf.where(program == END, may_end == 0, program < floor),
            "pitch": pitch_mask > 0,
            "duration": tf.range(self.vocabulary.size("duration")) == 0,  # a note lasts a step or more
        }

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Mean nats per event."""
        events = tf.reduce_sum(tf.cast(x["fields"][..., PROGRAM] >= 0, tf.float32))
        return -tf.reduce_sum(y_pred) / tf.maximum(events, 1.0)

    def get_build_config(self) -> None:
        return None  # everything is built in __init__

    def export(self, filepath: str, format: str = "tf_saved_model", **options: Any) -> None:
        """As Keras's own; where none is given, the signature is a dict of INPUTS, for any batch and length."""
        options.setdefault("input_signature", [self.input_specs()])
        super().export(filepath, format=format, **options)

    def input_specs(self) -> dict[str, keras.InputSpec]:
        """Types and shapes of the inputs: those of an empty piece, with the batch and the length left open."""
        empty = NoteSequence(np.zeros(0, NOTE), self.vocabulary.grid, 0)
        window = encode(empty, self.vocabulary).window(0, 1)
        return {
            name: keras.InputSpec(dtype=values.dtype.name, shape=(None, None, *values.shape[1:]), name=name)
            for name, values in window.items()
        }


@keras.saving.register_keras_serializable("melodygru")
class MelodyGRU(EventModel):
    """The model of a vocabulary's events; despite its name its cells are LSTMs if the architecture says so.

    Called with a batch of windows (`Events.window`, stacked: a dict of arrays, first axes (B, T)), it returns the
    log-likelihood of every field of every event, in nats: shape (B, T, 5), float32, the charge for places inside
    wide time classes included; 0 where an event has no such field, and for padding.

    Parameters
    ----------
    vocabulary, architecture, card : dict
        Plain values, see `melodygru.model.checkpoint.as_settings`.
    seed : int
        Of the initial weights.
    """

    def __init__(
        self,
        vocabulary: dict[str, Any],
        architecture: dict[str, Any],
        card: dict[str, Any] | None = None,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(Vocabulary.from_dict(vocabulary), Architecture(**architecture), seed, **kwargs)
        self.card = dict(card or {})

    def _build_body(self, seeds: Iterator[int]) -> int:
        a = self.architecture
        for index in range(a.layers):
            layer = CELLS[a.cell](
                a.units,
                return_sequences=True,
                return_state=True,
                kernel_initializer=_glorot(next(seeds)),
                recurrent_initializer=keras.initializers.Orthogonal(seed=next(seeds)),
                name=f"{a.cell}_{index}",
            )
            layer.build((None, None, a.units if index else a.embedding))
            setattr(self, layer_group(a.cell, index), layer)
            setattr(self, f"drop_{index}", keras.layers.Dropout(a.drop_layer, noise_shape=ONE_MASK, seed=next(seeds)))
        return a.units

    def _body(
        self, x: tf.Tensor, state: Sequence[tf.Tensor], training: bool = False
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        a, h, end_state = self.architecture, x, []
        for index in range(a.layers):
            first = a.states * index
            h, *last = getattr(self, layer_group(a.cell, index))(h, initial_state=list(state[first : first + a.states]))
            h = getattr(self, f"drop_{index}")(h, training=training)
            end_state += last
        return h, end_state

    def initial_state(self, batch: int | tf.Tensor) -> list[tf.Tensor]:
        """The state before the first event: for each layer a (B, units) tensor; an LSTM has two, state and memory."""
        a = self.architecture
        return [tf.zeros([batch, a.units], self.compute_dtype)] * (a.layers * a.states)

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            **as_settings(self.vocabulary, self.architecture, self.card),
            "seed": self.seed,
        }


def _interval_class(semitones: tf.Tensor) -> tf.Tensor:
    """As `events.interval_class`."""
    widest = N_INTERVALS // 2
    return tf.clip_by_value(semitones, -widest, widest) + widest


def save(model: MelodyGRU, path: Path, card: dict[str, Any] | None = None, *, half: bool = False) -> None:
    """Write a checkpoint, aside first and then renamed; with `half`, weights in float16."""
    if card is not None:
        model.card = dict(card)
    with atomic_write(path, make_folder=True) as aside:
        model.save(aside)
        if half:
            to_float16(aside)


def load_model(path: str | Path) -> MelodyGRU:
    """The Keras model of a checkpoint.

    Raises
    ------
    CheckpointError
        The file is missing, damaged, or holds another kind of model.
    """
    read_settings(Path(path))  # says clearly what is wrong with a file that is not ours
    try:
        return keras.models.load_model(path)
    except (OSError, zipfile.BadZipFile, ValueError, TypeError, KeyError) as error:
        raise CheckpointError(f"{path}: damaged, or written by another version of melodygru ({error})") from error
