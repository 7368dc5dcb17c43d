"""The device that trains, and the precision it computes in."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from melodygru.model.products import gains_from_bfloat16, in_bfloat16, set_bfloat16
from melodygru.util.wording import counted

TENSOR_CORES = (7, 0)  # compute capability from which on NVIDIA's GPUs have them, and gain from float16


def set_up_device(mixed_precision: bool | None = False) -> str:
    """Choose precision, and say which device trains.

    Parameters
    ----------
    mixed_precision : whether to compute in float16 on GPUs, and large products in bfloat16 on a CPU that has it; None
        where all GPUs, or the CPU, gain from it

    Returns a line for the user; it warns when the machine has an NVIDIA GPU that TensorFlow can't use.
    """
    gpus = [tf.config.experimental.get_device_details(gpu) for gpu in tf.config.list_physical_devices("GPU")]
    mixed = gains_from_float16(gpus) if mixed_precision is None else mixed_precision and bool(gpus)
    keras.mixed_precision.set_dtype_policy("mixed_float16" if mixed else "float32")
    set_bfloat16(not gpus and mixed_precision is not False and gains_from_bfloat16())
    if gpus:
        names = Counter(gpu.get("device_name", "GPU") for gpu in gpus)
        each = [name if n == 1 else f"{n} x {name}" for name, n in names.items()]
        return f"training on {', '.join(each)}" + (", mixed precision" if mixed else "")
    line = f"training on the CPU, {counted(threads(), 'thread')} on {counted(os.cpu_count() or 1, 'core')}"
    if in_bfloat16():
        line += ", mixed precision"
    elif mixed_precision:
        line += "; mixed precision needs a GPU, or a CPU with bfloat16 (avx512_bf16 or amx_bf16), and is off"
    if Path("/dev/nvidia0").exists() or Path("/proc/driver/nvidia/version").exists():
        line += (
            "\nwarning: this machine has an NVIDIA GPU, but TensorFlow can't use it: "
            "pip install 'melodygru[gpu]', and see the README's troubleshooting"
        )
    return line


def threads() -> int:
    """CPU threads with which TensorFlow computes: as many as were asked for, else as there are cores it may use."""
    asked = tf.config.threading.get_intra_op_parallelism_threads()
    said = os.environ.get("TF_NUM_INTRAOP_THREADS", "")
    if not asked and said.isdigit():
        asked = int(said)
    return asked or (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


def gains_from_float16(gpus: list[dict[str, Any]]) -> bool:
    """Whether there are GPUs, and all of them have tensor cores; each as TensorFlow's device details describe it."""
    return bool(gpus) and all(tuple(gpu.get("compute_capability") or (0, 0)) >= TENSOR_CORES for gpu in gpus)


def is_mixed_precision() -> bool:
    """Whether models made now compute in float16, or learn with products in bfloat16."""
    return keras.mixed_precision.dtype_policy().compute_dtype == "float16" or in_bfloat16()
