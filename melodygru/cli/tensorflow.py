"""TensorFlow's start: quiet, with the number of threads asked for, and only for those who need it."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from melodygru import stderr
from melodygru.cli import screen


def start(threads: int | None = None, mixed_precision: bool = False) -> tuple[Any, str]:
    """Load TensorFlow and choose the device.

    Parameters
    ----------
    threads : CPU threads that TensorFlow uses; default: all cores. Without effect once it is loaded.
    mixed_precision : float16 on a GPU

    Returns
    -------
    training : the room
    device : which device trains, in words, with a warning where a GPU can't be used
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # its start-up chatter; errors stay
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    if threads is not None:
        for name in ("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS"):
            os.environ[name] = str(threads)
    if "tensorflow" not in sys.modules:
        screen.say("loading TensorFlow")
    with _muted_unless_it_fails():  # CUDA's complaints among it: `device` says what they mean
        from melodygru import training

        device = training.set_up_device(mixed_precision)
    return training, device


@contextmanager
def _muted_unless_it_fails() -> Iterator[None]:
    """Keep what C++ code writes to stderr, and show it if the block raises."""
    if os.environ.get("MELODYGRU_DEBUG"):
        yield
        return
    with tempfile.TemporaryFile() as kept:
        try:
            with stderr.diverted(kept):
                yield
        except Exception:
            kept.seek(0)
            with suppress(OSError):  # standard error may be closed
                os.write(2, kept.read())
            raise
