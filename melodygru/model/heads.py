"""Parts of the Keras model around its recurrent layers: sums of embeddings, and the heads that give the logits."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from melodygru.model.backend import require_tensorflow
from melodygru.model.products import product
from melodygru.model.where import on_gpu

require_tensorflow()

GATHERED = 32  # ids of a row whose embeddings a GPU gathers at once: more take more memory


@keras.saving.register_keras_serializable("melodygru")
class EmbeddingBag(keras.layers.Layer):
    """The sum of the embeddings of a row of ids; id 0 adds nothing.

    Input shape (..., ids), integers in [0, rows); output shape (..., width).
    """

    def __init__(self, rows: int, width: int, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_jit = False  # the ids decide how many rows are summed, which XLA can't; Keras goes on without
        self.rows, self.width = rows, width
        self.initializer = keras.initializers.RandomNormal(stddev=0.1, seed=seed)

    def build(self, input_shape: Any = None) -> None:
        self.table = self.add_weight(name="table", shape=(self.rows, self.width), initializer=self.initializer)
        self.built = True

    def call(self, ids: tf.Tensor) -> tf.Tensor:
        lead = tf.shape(ids)[:-1]
        table = tf.cast(tf.convert_to_tensor(self.table), self.compute_dtype)
        sum_of_rows = _gathered_sum_of_rows if on_gpu() else _sum_of_rows
        total = sum_of_rows(table, tf.reshape(ids, [-1, ids.shape[-1]]))
        return tf.reshape(total, tf.concat([lead, [self.width]], 0))


@tf.custom_gradient
def _sum_of_rows(table: tf.Tensor, ids: tf.Tensor):
    """Sums of a table's rows: (rows, width) and ids (N, k) give (N, width); id 0 adds nothing."""
    present = ids > 0
    wanted = tf.boolean_mask(ids, present)
    into = tf.cast(tf.where(present)[:, 0], tf.int32)

    def gradient(d_total):
        # Sorted by row, the gradient is such a sum as well: twice as fast as scattering.
        order = tf.argsort(wanted)
        rows = tf.shape(table)[0]
        return _segment_sum(d_total, tf.gather(into, order), tf.gather(wanted, order), rows), None

    return _segment_sum(table, wanted, into, tf.shape(ids)[0]), gradient


@tf.custom_gradient
def _gathered_sum_of_rows(table: tf.Tensor, ids: tf.Tensor):
    """As `_sum_of_rows`, without a size that values decide, for which a GPU would wait."""
    groups = [ids[:, first : first + GATHERED] for first in range(0, ids.shape[-1], GATHERED)]
    silent = tf.concat([tf.zeros_like(table[:1]), table[1:]], 0)
    total = tf.add_n([tf.reduce_sum(tf.gather(silent, group), 1) for group in groups])

    def gradient(d_total):
        # In float32: many terms meet in a row that stands everywhere, that of the style for instance.
        d_total, width = tf.cast(d_total, tf.float32)[:, None], table.shape[-1]
        sums = []
        for group in groups:
            spread = tf.reshape(tf.tile(d_total, [1, group.shape[-1], 1]), [-1, width])
            rows = tf.reshape(tf.where(group > 0, group, -1), [-1])  # a negative one counts for nothing
            sums.append(tf.math.unsorted_segment_sum(spread, rows, table.shape[0]))
        return tf.cast(tf.add_n(sums), table.dtype), None

    return total, gradient


def _segment_sum(data: tf.Tensor, rows: tf.Tensor, segments: tf.Tensor, n_segments: tf.Tensor) -> tf.Tensor:
    """`tf.sparse.segment_sum`; one segment more, which is dropped, as the sum of no rows at all is unset memory."""
    rows, segments = tf.concat([rows, [0]], 0), tf.concat([segments, n_segments[None]], 0)
    return tf.sparse.segment_sum(data, rows, segments, num_segments=n_segments + 1)[:-1]


@keras.saving.register_keras_serializable("melodygru")
class Head(keras.layers.Layer):
    """The head of a field: a hidden layer over the features and the fields chosen before, then the logits.

    A `deep` head has a second hidden layer, whose output is added to the first's.

    Inputs: features, a list of (B, T, width) that are never joined, and ids (B, T, k) of the choices before this field,
    into a table of `rows` embeddings; 1 row means that there are none. Output: (B, T, classes).
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
        kernel, bias = _weights(self.hidden, self.compute_dtype)
        kernels = tf.split(kernel, [values.shape[-1] for values in features])
        # In two dimensions: products of more reckon with their shapes, which a GPU does badly.
        lead = tf.shape(features[0])[:-1]
        parts = [product(_rows(values), part, training) for values, part in zip(features, kernels, strict=True)]
        if self.bag is not None:
            parts.append(self.bag(_rows(ids)))
        hidden = tf.nn.bias_add(tf.add_n(parts), bias)
        hidden = self.dropout(tf.nn.relu(hidden), training=training)
        if self.second is not None:
            hidden += self.dropout(tf.nn.relu(_dense(self.second, hidden, training)), training=training)
        logits = _dense(self.output_layer, hidden, training)
        return tf.reshape(logits, tf.concat([lead, [logits.shape[-1]]], 0))


def _dense(layer: keras.layers.Dense, values: tf.Tensor, training: bool) -> tf.Tensor:
    """A layer's call, in its own precision, with its product taken as `product` has it."""
    kernel, bias = _weights(layer, layer.compute_dtype)
    return tf.nn.bias_add(product(tf.cast(values, layer.compute_dtype), kernel, training), bias)


def _weights(layer: keras.layers.Dense, dtype: str) -> tuple[tf.Tensor, tf.Tensor]:
    """Kernel and bias of a layer."""
    return tuple(tf.cast(tf.convert_to_tensor(weight), dtype) for weight in (layer.kernel, layer.bias))


def _rows(values: tf.Tensor) -> tf.Tensor:
    """(B, T, n) as (B T, n)."""
    return tf.reshape(values, [-1, values.shape[-1]])


def _glorot(seed: int) -> keras.initializers.Initializer:
    return keras.initializers.GlorotUniform(seed=seed)
