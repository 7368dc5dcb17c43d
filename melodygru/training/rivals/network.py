"""The Transformer's step in NumPy, with a cache of keys and values: the same function as the Keras form."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from melodygru.events import Vocabulary
from melodygru.model.architecture import Architecture
from melodygru.model.checkpoint import Checkpoint
from melodygru.model.numpy_model import NumpyModel
from melodygru.training.rivals.sizes import TransformerSizes

ROTATION_BASE = 10_000.0  # the slowest pair turns once in 2 pi times so many events, as usual for RoPE


class TransformerNetwork(NumpyModel):
    """The weights of a Transformer, arranged for stepping.

    Its state is a `Cache` for each layer. Unlike a recurrent network's state a cache is advanced in place: copying it
    at every step would cost more than the step. So a sampler of it steps forwards only, `rewind` is not for it.

    Parameters
    ----------
    vocabulary, sizes : of the model
    weights : dict of name -> array, float32; embeddings and heads are named as in `checkpoint.Checkpoint`
    """

    def __init__(self, vocabulary: Vocabulary, sizes: TransformerSizes, weights: dict[str, np.ndarray]) -> None:
        self.sizes = sizes
        shared = Architecture(sizes.layers, sizes.units, sizes.embedding, sizes.head, deep=sizes.deep)
        super().__init__(Checkpoint(vocabulary, shared, {}, weights))

    def load_body(self, weights: dict[str, np.ndarray]) -> None:
        def pair(name: str) -> tuple[np.ndarray, np.ndarray]:
            return weights[f"{name}/kernel"], weights[f"{name}/bias"]

        sizes = self.sizes
        self.entry = pair("entry")
        self.layers = []
        for index in range(sizes.layers):
            # Query, key and value of the new event are one product.
            parts = [pair(f"block/{index}/{part}") for part in ("query", "key_value")]
            qkv = (np.concatenate([p[0] for p in parts], 1), np.concatenate([p[1] for p in parts]))
            self.layers.append((qkv, *(pair(f"block/{index}/{part}") for part in ("output", "hidden", "back"))))
        half = sizes.units // sizes.heads // 2
        self._frequency = ROTATION_BASE ** (-np.arange(half) / half)

    def initial_state(self, streams: int) -> list[Any]:
        """The state before the first event: an empty cache for each layer."""
        s = self.sizes
        return [Cache(streams, s.heads, s.units // s.heads, s.span) for _ in range(s.layers)]

    def body(self, x: np.ndarray, state: list[Any]) -> tuple[np.ndarray, list[Any]]:
        """What the heads are given, (streams, units), and the caches, each an event longer."""
        s = self.sizes
        shape = (len(x), 3 * s.heads, s.units // s.heads)
        angle = state[0].events * self._frequency
        cos, sin = np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32)
        scale = np.float32(1 / math.sqrt(shape[2]))
        h = x @ self.entry[0] + self.entry[1]
        for (qkv, output, hidden, back), cache in zip(self.layers, state, strict=True):
            every = (_normalised(h) @ qkv[0] + qkv[1]).reshape(shape)
            turned = _rotated(every[:, : 2 * s.heads], cos, sin)
            keys, values = cache.add(turned[:, s.heads :], every[:, 2 * s.heads :])
            scores = np.matmul(keys, turned[:, : s.heads, :, None])[..., 0] * scale  # (streams, heads, events)
            weights = np.exp(scores - scores.max(-1, keepdims=True))
            weights /= weights.sum(-1, keepdims=True)
            attended = np.matmul(weights[:, :, None], values).reshape(len(x), s.units)
            h = h + attended @ output[0] + output[1]
            h = h + np.maximum(_normalised(h) @ hidden[0] + hidden[1], 0.0) @ back[0] + back[1]
        return _normalised(h), state


class Cache:
    """Keys and values of the last `span` events of a layer, each (streams, heads, events, width).

    Attributes
    ----------
    events : added so far, those that left the cache included
    nbytes : what it holds, as an array's
    """

    def __init__(self, streams: int, heads: int, width: int, span: int) -> None:
        # Twice the span, so that what is kept moves to the front once in `span` events and not at each.
        self._keys, self._values = np.empty((2, streams, heads, 2 * span, width), np.float32)
        self._span = span
        self._stop = self.events = 0
        self.nbytes = self._keys.nbytes + self._values.nbytes

    def add(self, key: np.ndarray, value: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Add an event's, (streams, heads, width) each; returns those of the last `span` events, it included."""
        if self._stop == 2 * self._span:
            kept = self._span - 1
            for array in (self._keys, self._values):
                array[:, :, :kept] = array[:, :, self._stop - kept :]
            self._stop = kept
        self._keys[:, :, self._stop], self._values[:, :, self._stop] = key, value
        self._stop += 1
        self.events += 1
        held = slice(max(0, self._stop - self._span), self._stop)
        return self._keys[:, :, held], self._values[:, :, held]


def _normalised(x: np.ndarray) -> np.ndarray:
    """Rows with mean 0 and variance 1."""
    x = x - x.mean(-1, keepdims=True)
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + np.float32(1e-5))


def _rotated(x: np.ndarray, cos: np.ndarray, sin: np.ndarray) -> np.ndarray:
    """As `transformer.rotate`, all at one position."""
    half = x.shape[-1] // 2
    a, b = x[..., :half], x[..., half:]
    return np.concatenate([a * cos - b * sin, a * sin + b * cos], -1)
