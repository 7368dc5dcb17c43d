"""Keras runs on TensorFlow, JAX or PyTorch; our Keras model is written for TensorFlow."""

from __future__ import annotations

import os
import sys

from melodygru.errors import SettingError


def require_tensorflow() -> None:
    """Raise SettingError where Keras runs, or is about to run, on something else."""
    keras = sys.modules.get("keras")
    config = getattr(keras, "config", None)
    chosen = config.backend() if config is not None else os.environ.get("KERAS_BACKEND") or "tensorflow"
    if chosen != "tensorflow":
        raise SettingError(
            f"Keras runs on {chosen}, and melodygru's Keras model needs TensorFlow: set KERAS_BACKEND=tensorflow "
            "before Keras is imported (composing with melodygru.generate needs neither)"
        )
