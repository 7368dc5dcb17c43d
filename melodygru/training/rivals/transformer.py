"""A small causal Transformer instead of the GRU: same events, embeddings, heads and likelihood.

It is here to be compared with, and for nothing else. Blocks are pre-norm (Xiong et al. 2020), attention knows how far
back an event lies from rotated queries and keys (RoPE, Su et al. 2021), and what a block was given in a window of
training is its memory in the next, which takes no gradient (Transformer-XL, Dai et al. 2019).

Each layer attends to the last `span` events, the present one among them, however a piece is cut into windows: the
likelihood is that of the whole piece at once.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf

from melodygru.model.keras_model import EventModel
from melodygru.training.rivals.network import ROTATION_BASE, TransformerNetwork
from melodygru.training.rivals.sizes import TransformerSizes

MASKED = -1e9  # a score that leaves no weight


@keras.saving.register_keras_serializable("melodygru")
class Block(keras.layers.Layer):
    """One block: attention over memory and window, then a feed-forward net; each adds to its input, normalised."""

    def __init__(self, sizes: dict[str, Any], seeds: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.sizes = s = TransformerSizes(**sizes)

        def dense(width: int, name: str, seed: int) -> keras.layers.Dense:
            return keras.layers.Dense(width, name=name, kernel_initializer=keras.initializers.GlorotUniform(seed=seed))

        # Without gain and offset of their own: the dense layers that follow have them.
        self.norm = keras.layers.LayerNormalization(epsilon=1e-5, center=False, scale=False)
        self.query = dense(s.units, "query", seeds[0])
        self.key_value = dense(2 * s.units, "key_value", seeds[1])
        self.output_layer = dense(s.units, "output", seeds[2])
        self.hidden = dense(s.hidden, "hidden", seeds[3])
        self.back = dense(s.units, "back", seeds[4])
        self.drop_attention = keras.layers.Dropout(s.drop_layer, seed=seeds[5])
        self.drop_back = keras.layers.Dropout(s.drop_layer, seed=seeds[6])

    def build(self, input_shape: Any = None) -> None:
        inner = (None, None, self.sizes.units)
        for layer in (self.norm, self.query, self.key_value, self.output_layer, self.hidden):
            layer.build(inner)
        self.back.build((None, None, self.sizes.hidden))
        self.built = True

    def call(self, h: tf.Tensor, memory: tf.Tensor, training: bool = False) -> tuple[tf.Tensor, tf.Tensor]:
        """The block's output, (B, T, units), and its memory after the window, (B, at most span, units)."""
        now = self.norm(h)
        inputs = tf.concat([memory, now], 1)
        h = h + self.drop_attention(self.output_layer(self._attend(now, inputs)), training=training)
        h = h + self.drop_back(self.back(tf.nn.relu(self.hidden(self.norm(h)))), training=training)
        return h, inputs[:, -self.sizes.span :]

    def _attend(self, now: tf.Tensor, inputs: tf.Tensor) -> tf.Tensor:
        """What each event of the window takes from those up to it, (B, T, units); zeros are no event."""
        s = self.sizes
        steps, n = tf.shape(now)[1], tf.shape(inputs)[1]

        def by_head(x: tf.Tensor) -> tf.Tensor:
            shape = tf.concat([tf.shape(x)[:2], [s.heads, s.units // s.heads]], 0)
            return tf.transpose(tf.reshape(x, shape), [0, 2, 1, 3])

        key, value = tf.split(self.key_value(inputs), 2, -1)
        at = tf.range(n)
        query = rotate(by_head(self.query(now)), at[n - steps :])
        scores = tf.matmul(query, rotate(by_head(key), at), transpose_b=True) / math.sqrt(s.units // s.heads)
        back = at[n - steps :, None] - at
        there = tf.reduce_any(inputs != 0, -1)[:, None, None] | (back == 0)
        scores = tf.where((back >= 0) & (back < s.span) & there, scores, tf.cast(MASKED, scores.dtype))
        attended = tf.transpose(tf.matmul(tf.nn.softmax(scores), by_head(value)), [0, 2, 1, 3])
        return tf.reshape(attended, tf.concat([tf.shape(now)[:2], [s.units]], 0))


def rotate(x: tf.Tensor, at: tf.Tensor) -> tf.Tensor:
    """Vectors (B, heads, T, d) turned by their positions `at`, (T,), the pairs (i, i + d/2) by falling frequencies."""
    half = x.shape[-1] // 2
    frequency = ROTATION_BASE ** (-tf.range(half, dtype=tf.float32) / half)
    angle = tf.cast(at, tf.float32)[:, None] * frequency
    cos, sin = tf.cast(tf.cos(angle), x.dtype), tf.cast(tf.sin(angle), x.dtype)
    a, b = x[..., :half], x[..., half:]
    return tf.concat([a * cos - b * sin, a * sin + b * cos], -1)


@keras.saving.register_keras_serializable("melodygru")
class Transformer(EventModel):
    """The Transformer of a vocabulary's events, called as `MelodyGRU`.

    Its state is each layer's memory: the normalised input of the last `span` events, (B, at most span, units).
    """

    sizes = TransformerSizes

    def _build_body(self, seeds: Iterator[int]) -> int:
        s = self.architecture
        glorot = keras.initializers.GlorotUniform(seed=next(seeds))
        self.entry = keras.layers.Dense(s.units, name="entry", kernel_initializer=glorot)
        self.entry.build((None, None, s.embedding))
        self.norm = keras.layers.LayerNormalization(epsilon=1e-5, center=False, scale=False, name="norm")
        self.norm.build((None, None, s.units))
        self.blocks = []
        for index in range(s.layers):
            block = Block(dataclasses.asdict(s), [next(seeds) for _ in range(7)], name=f"block_{index}")
            block.build()
            self.blocks.append(block)
        return s.units

    def _body(
        self, x: tf.Tensor, state: Sequence[tf.Tensor], training: bool = False
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        h, end_state = self.entry(x), []
        for block, memory in zip(self.blocks, state, strict=True):
            h, memory = block(h, memory, training=training)
            end_state.append(memory)
        return self.norm(h), end_state

    def initial_state(self, batch: int | tf.Tensor) -> list[tf.Tensor]:
        """The state before the first event: for each layer a memory of no events, (B, 0, units), or of zeros alone."""
        s = self.architecture
        return [tf.zeros([batch, 0, s.units], self.compute_dtype)] * s.layers


def network_of(model: Transformer) -> TransformerNetwork:
    """The model's step in NumPy, with a cache of keys and values."""
    weights = {"bag": model.bag.table.numpy()}
    layers = {"entry": model.entry}
    for index, block in enumerate(model.blocks):
        for part in ("query", "key_value", "hidden", "back"):
            layers[f"block/{index}/{part}"] = getattr(block, part)
        layers[f"block/{index}/output"] = block.output_layer
    for field in model.vocabulary.fields:
        head = getattr(model, f"head_{field}")
        layers |= {f"head/{field}/hidden": head.hidden, f"head/{field}/output": head.output_layer}
        if head.second is not None:
            layers[f"head/{field}/second"] = head.second
        if head.bag is not None:
            weights[f"head/{field}/bag"] = head.bag.table.numpy()
    for name, layer in layers.items():
        weights[f"{name}/kernel"], weights[f"{name}/bias"] = layer.kernel.numpy(), layer.bias.numpy()
    return TransformerNetwork(model.vocabulary, model.architecture, weights)
