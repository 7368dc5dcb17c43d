"""Where TensorFlow computes, and what a model does differently there."""

from __future__ import annotations

from typing import Any

import tensorflow as tf


def on_gpu() -> bool:
    """Whether there is a GPU, which then trains."""
    return bool(tf.config.list_logical_devices("GPU"))


def index_type() -> Any:
    """The type of the integers that a model computes with: on a GPU TensorFlow has those of 32 bits on the host."""
    return tf.int64 if on_gpu() else tf.int32
