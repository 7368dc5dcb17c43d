"""TensorFlow's start: quiet, with the number of threads asked for, and only for those who need it."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING

from melodygru.training.cluster import Cluster, read_cluster
from melodygru.util import stderr
from melodygru.util.wording import counted

if TYPE_CHECKING:
    from melodygru.training.workers import Workers

Say = Callable[[str], None]


def start_tensorflow(
    threads: int | None = None, mixed_precision: bool | None = False, on_message: Say | None = None
) -> str:
    """Load TensorFlow and choose the device.

    Parameters
    ----------
    threads : CPU threads that TensorFlow uses; default: all cores. Without effect once it is loaded
    mixed_precision : float16 on a GPU, bfloat16 in a CPU's large products; None where they gain from it
    on_message : called with a line when loading begins, which takes seconds

    Returns which device trains, in words, with a warning where a GPU can't be used.
    """
    # Its start-up chatter goes, errors stay; but the loss of a worker is said in our own words.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2" if read_cluster() is None else "3")
    if threads is not None:
        for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"):
            os.environ[name] = str(threads)
    if "tensorflow" not in sys.modules and on_message is not None:
        on_message("loading TensorFlow")
    with _muted_unless_it_fails():  # CUDA's complaints among it: `set_up_device` says what they mean
        from melodygru.training.device import set_up_device

        return set_up_device(mixed_precision)


def join_workers(cluster: Cluster | None, on_message: Say | None = None) -> Workers:
    """The workers of the run; waits for those of a cluster. TensorFlow is loaded already."""
    from melodygru.training.workers import WAIT_S, start_workers

    say = on_message or (lambda _: None)

    def on_wait() -> None:
        addresses = ", ".join(cluster.addresses.values()) if cluster else ""
        say(f"waiting for the workers of {addresses}, {WAIT_S // 60} minutes at most")

    with _muted_unless_it_fails() if cluster is None else nullcontext():
        workers = start_workers(on_wait)
    if cluster is not None:
        say(f"worker {cluster.index} of {len(cluster.addresses)}, {counted(workers.replicas, 'device')} in all")
    return workers


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
