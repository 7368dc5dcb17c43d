"""The device that trains, and the precision it computes in."""

from __future__ import annotations

import os
from pathlib import Path

import keras
import tensorflow as tf


def set_up_device(mixed_precision: bool = False) -> str:
    """Choose precision, and say which device trains.

    Returns a line for the user; it warns when the machine has an NVIDIA GPU that TensorFlow can't use.
    """
    gpus = tf.config.list_physical_devices("GPU")
    keras.mixed_precision.set_dtype_policy("mixed_float16" if mixed_precision and gpus else "float32")
    if gpus:
        names = [tf.config.experimental.get_device_details(gpu).get("device_name", "GPU") for gpu in gpus]
        return f"training on {names[0]}" + (", mixed precision" if mixed_precision else "")
    line = f"training on the CPU, {os.cpu_count()} cores"
    if mixed_precision:
        line += "; mixed precision needs a GPU and is off"
    if Path("/dev/nvidia0").exists() or Path("/proc/driver/nvidia/version").exists():
        line += (
            "\nwarning: this machine has an NVIDIA GPU, but TensorFlow can't use it: "
            "pip install 'melodygru[gpu]', and see the README's troubleshooting"
        )
    return line
