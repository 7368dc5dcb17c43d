"""Windows on their way to the device."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import tensorflow as tf

from melodygru.events import PITCH


def prefetch(items: Iterator[Any], depth: int = 4) -> Iterator[Any]:
    """The same items, made ahead in a thread."""
    with ThreadPoolExecutor(1) as pool:
        waiting = [pool.submit(next, items, None) for _ in range(depth)]
        try:
            while True:
                item = waiting.pop(0).result()
                if item is None:
                    return
                waiting.append(pool.submit(next, items, None))
                yield item
        finally:
            for future in waiting:
                future.cancel()


def as_tensors(window: tuple[dict[str, np.ndarray], np.ndarray]) -> tuple[dict[str, tf.Tensor], np.ndarray, int]:
    """A window's arrays, where the step wants them, which of its rows begin a piece, and its notes."""
    inputs, begins = window
    notes = int((inputs["fields"][..., PITCH] >= 0).sum())
    return {name: tf.constant(values) for name, values in inputs.items()}, begins, notes


def begun(state: list[tf.Tensor], begins: np.ndarray) -> list[tf.Tensor]:
    """The state of the rows that go on, the first ones; zeros, which are no past, where a piece begins."""
    if len(state[0]) != len(begins):
        state = [part[: len(begins)] for part in state]
    if not begins.any():
        return state
    return [tf.where(begins.reshape(-1, *[1] * (part.ndim - 1)), tf.zeros_like(part), part) for part in state]
