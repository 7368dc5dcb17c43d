"""Products of large matrices: in bfloat16 where a CPU has the instructions for it, and a model learns there.

bfloat16 has float32's range and 8 of its bits. Sums are taken in float32 and rounded once, weights and all else stay in
float32 (Kalamkar et al., 2019, "A study of BFLOAT16 for deep learning training"). The products inside a recurrent loop
are small ones, whose rounding would add up from step to step: they stay in float32, and so does every likelihood that
is not learned from.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tensorflow as tf

INSTRUCTIONS = {"avx512_bf16", "amx_bf16"}  # as Linux names them; either multiplies two pairs where float32 does one

_narrow = False


def set_bfloat16(on: bool) -> None:
    """Let models learn with products in bfloat16 from now on; of those whose graph is made already nothing changes."""
    global _narrow
    _narrow = on


def in_bfloat16() -> bool:
    """Whether products are taken in bfloat16 where a model learns."""
    return _narrow


def gains_from_bfloat16(about: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the CPU multiplies in bfloat16 faster than in float32, as far as its system says."""
    try:
        lines = about.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    return any(line.startswith("flags") and INSTRUCTIONS & set(line.split()) for line in lines)


def product(a: tf.Tensor, b: tf.Tensor, training: bool | None = True, **transposed: bool) -> tf.Tensor:
    """`tf.matmul` of two matrices; its gradient's two products are taken as it is itself."""
    if not (_narrow and training and a.dtype == tf.float32):
        return tf.matmul(a, b, **transposed)
    return _narrowed(**transposed)(a, b)


def _narrowed(transpose_a: bool = False) -> Any:
    @tf.custom_gradient
    def multiply(a: tf.Tensor, b: tf.Tensor):
        a, b = (tf.cast(values, tf.bfloat16) for values in (a, b))

        def gradient(d: tf.Tensor):
            d = tf.cast(d, tf.bfloat16)
            d_a = tf.matmul(b, d, transpose_b=True) if transpose_a else tf.matmul(d, b, transpose_b=True)
            d_b = tf.matmul(a, d) if transpose_a else tf.matmul(a, d, transpose_a=True)
            return tf.cast(d_a, tf.float32), tf.cast(d_b, tf.float32)

        return tf.cast(tf.matmul(a, b, transpose_a=transpose_a), tf.float32), gradient

    return multiply
