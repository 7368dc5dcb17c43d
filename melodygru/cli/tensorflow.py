"""TensorFlow's start: quiet, with the number of threads asked for, and only for those who need it."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from typing import Any

from melodygru.cli import screen
from melodygru.errors import SettingError
from melodygru.util import stderr
from melodygru.util.wording import counted


@dataclass(frozen=True)
class Cluster:
    """The workers that share a run, and which of them this process is."""

    addresses: tuple[str, ...]  # host:port, the chief's first
    index: int

    @property
    def is_chief(self) -> bool:
        return self.index == 0


def cluster() -> Cluster | None:
    """The cluster of TF_CONFIG; None without one of several workers.

    Raises
    ------
    SettingError
        TF_CONFIG is not as TensorFlow's users know it, or has jobs that have no part in such a run.
    """
    text = os.environ.get("TF_CONFIG", "").strip()
    if not text:
        return None
    expected = 'expected {"cluster": {"worker": ["host:port", ...]}, "task": {"type": "worker", "index": 0}}'
    try:
        config = json.loads(text)
        jobs = config.get("cluster") or {}
        tasks = [(job, index) for job in ("chief", "worker") for index in range(len(jobs.get(job, [])))]
        addresses = tuple(str(jobs[job][index]) for job, index in tasks)
        mine = (str(config["task"]["type"]), int(config["task"]["index"])) if jobs else ("worker", 0)
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise SettingError(f"TF_CONFIG: {expected} ({type(error).__name__}: {error})") from error
    others = sorted(set(jobs) - {"chief", "worker"})
    if others:
        raise SettingError(f"TF_CONFIG: the job {others[0]} has no part in training here; leave it out")
    if len(tasks) < 2:
        return None
    if mine not in tasks:
        raise SettingError(f"TF_CONFIG: the task {mine[0]} {mine[1]} is not in its cluster; {expected}")
    return Cluster(addresses, tasks.index(mine))


def join(training: Any, cluster: Cluster | None) -> Any:
    """The workers of the run; waits for those of a cluster."""

    def say_so() -> None:
        addresses = ", ".join(cluster.addresses) if cluster else "the cluster"
        screen.say(f"waiting for the workers of {addresses}, {training.WAIT_S // 60} minutes at most")

    with _muted_unless_it_fails() if cluster is None else nullcontext():
        workers = training.start_workers(say_so)
    if cluster is not None:
        screen.say(f"worker {cluster.index} of {len(cluster.addresses)}, {counted(workers.replicas, 'device')} in all")
    return workers


def start(threads: int | None = None, mixed_precision: bool | None = False) -> tuple[Any, str]:
    """Load TensorFlow and choose the device.

    Parameters
    ----------
    threads : CPU threads that TensorFlow uses; default: all cores. Without effect once it is loaded.
    mixed_precision : float16 on a GPU; None where the GPUs gain from it

    Returns
    -------
    training : the room
    device : which device trains, in words, with a warning where a GPU can't be used
    """
    # Its start-up chatter goes, errors stay; but the loss of a worker is told in our own words.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2" if cluster() is None else "3")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    if threads is not None:
        for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"):
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
