"""Keras's GRU and LSTM with a faster loop where there is no cuDNN. Imported by those alone who make a Keras model."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from melodygru.model.products import product
from melodygru.model.where import on_gpu


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
            _projected(by_time, columns, shift, training)
            for columns, shift in zip(tf.split(kernel, 3, 1), biases, strict=True)
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
        projected = _projected(tf.transpose(sequences, [1, 0, 2]), kernel, bias, training)
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
        and not on_gpu()
    )


def _weights(cell: Any, dtype: Any) -> list[tf.Tensor]:
    """Kernel, recurrent kernel and bias of a cell."""
    return [tf.cast(tf.convert_to_tensor(w), dtype) for w in (cell.kernel, cell.recurrent_kernel, cell.bias)]


def _projected(by_time: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor, training: bool) -> tf.Tensor:
    """What time-major inputs add to the gates of `kernel`: (T, B, gates)."""
    steps, batch = tf.shape(by_time)[0], tf.shape(by_time)[1]
    flat = tf.reshape(by_time, [-1, by_time.shape[-1]])
    return tf.reshape(tf.nn.bias_add(product(flat, kernel, training), bias), [steps, batch, kernel.shape[1]])


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
            later = product(_rows(states[:-1]), _rows(d[1:]), transpose_a=True)
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
        d_recurrent = product(previous, tf.reshape(d_projected, [-1, 4 * units]), transpose_a=True)
        return d_projected, d_state, d_memory, d_recurrent

    return (states, last_memory), gradient
