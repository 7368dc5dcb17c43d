"""The processes and devices that share a run, as `tf.distribute` knows them.

A *worker* is a process; a *replica* is a device of one, with a copy of the weights. Every worker has as many replicas.
The rows of a global batch are dealt out to the replicas in order, each has the same number, and what is missing at the
end is padding, which counts nothing. Gradients are summed, so that the batch, and what is learned from it, is the
same however many share it; dropout alone is drawn for each replica.
"""

from __future__ import annotations

import re
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import tensorflow as tf

from melodygru.errors import TrainingError
from melodygru.training.cluster import read_cluster

WAIT_S = 600  # for the other workers to start
# What collectives raise when a peer is gone; whatever else is raised is this worker's own.
GONE = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.FailedPreconditionError,
)


class Workers:
    """Who shares the run: this process alone with its device, several GPUs, or several processes.

    Parameters
    ----------
    strategy : tf.distribute.Strategy, optional
        Default: the one in whose scope this is called, else none.

    Attributes
    ----------
    n, index : workers, and which of them this is, from 0; worker 0 is the chief, which alone writes files
    replicas, local : devices of all workers, and of this one
    """

    def __init__(self, strategy: tf.distribute.Strategy | None = None) -> None:
        self.strategy = strategy or tf.distribute.get_strategy()
        self.replicas = int(self.strategy.num_replicas_in_sync)
        self.addresses: dict[str, str] = {}  # `worker/task:1` and the like -> host and port
        self.n, self.index = 1, 0
        shared = isinstance(self.strategy, tf.distribute.MultiWorkerMirroredStrategy)
        if shared and (cluster := read_cluster()) is not None:
            self.addresses = cluster.addresses
            self.n, self.index = len(cluster.addresses), cluster.index
        self.local = self.replicas // self.n
        self._total = tf.function(self._sum, input_signature=[tf.TensorSpec([None], tf.float64)])

    @property
    def is_chief(self) -> bool:
        return self.index == 0

    # -- what each has of a batch

    def rows(self, rows: int) -> tuple[int, int]:
        """This worker's part, [start, stop), of a batch of so many rows; what lies beyond them is padding."""
        each = -(-rows // self.replicas) * self.local
        return self.index * each, (self.index + 1) * each

    def run(
        self, step: Callable[..., tuple[tf.Tensor, list[tf.Tensor]]], inputs: Any, state: Any, *same: tf.Tensor
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Within a tf.function: step(replica, inputs, state, *same) on each replica, with its part of the rows.

        Returns the first result of any replica, which must be the same on all, and the states of this worker's rows.
        """

        def on_replica(inputs: Any, state: Any, *same: tf.Tensor) -> Any:
            replica = tf.cast(tf.distribute.get_replica_context().replica_id_in_sync_group, tf.int32)
            if self.local > 1:
                mine = replica - self.index * self.local
                inputs, state = tf.nest.map_structure(lambda rows: _part(rows, mine, self.local), (inputs, state))
            return step(replica, inputs, state, *same)

        said, ends = self.strategy.run(on_replica, args=(inputs, state, *same))
        results = self.strategy.experimental_local_results
        return results(said)[0], [tf.concat(results(end), 0) if self.local > 1 else results(end)[0] for end in ends]

    def sum(self, tensors: Sequence[tf.Tensor]) -> Sequence[tf.Tensor]:
        """Within `run`: the sums of tensors over all replicas."""
        if self.replicas == 1:
            return tensors
        return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, list(tensors))

    # -- what they exchange; all must call the same in the same order

    def total(self, values: np.ndarray) -> np.ndarray:
        """The sum of the workers' arrays, of one shape; exact where all but one give 0. float64 as it travels."""
        if self.n == 1 or values.size == 0:  # TensorFlow's ring crashes on arrays of nothing
            return values
        found = self._total(tf.constant(values.reshape(-1).astype(np.float64))).numpy()
        return found.reshape(values.shape).astype(values.dtype)

    def _sum(self, values: tf.Tensor) -> tf.Tensor:
        def on_replica(values: tf.Tensor) -> tf.Tensor:
            context = tf.distribute.get_replica_context()
            first = tf.cast(context.replica_id_in_sync_group, tf.int32) == self.index * self.local
            values = tf.where(first, values, tf.zeros_like(values))
            return context.all_reduce(tf.distribute.ReduceOp.SUM, values)

        return self.strategy.experimental_local_results(self.strategy.run(on_replica, args=(values,)))[0]

    def share(self, text: str | None) -> str:
        """The chief's text; the others give None."""
        mine = np.frombuffer((text or "").encode(), np.uint8) if self.is_chief else np.zeros(0, np.uint8)
        size = int(self.total(np.array([len(mine)], np.int64))[0])
        return bytes(self.total(mine if self.is_chief else np.zeros(size, np.uint8))).decode()

    def require_same(self, digests: Mapping[str, int]) -> None:
        """Raise TrainingError if the workers differ in something; digests are below 2 ** 48."""
        every = np.zeros((self.n, len(digests)), np.int64)
        every[self.index] = list(digests.values())
        every = self.total(every)
        for worker, row in enumerate(every):
            differing = [name for name, one, chiefs in zip(digests, row, every[0], strict=True) if one != chiefs]
            if differing:
                raise TrainingError(
                    f"worker {worker} differs from worker 0 in {' and '.join(differing)}: "
                    "give all of them the same music, options and version of melodygru"
                )

    @contextmanager
    def watched(self, doing: Callable[[], str]) -> Iterator[None]:
        """Within, the loss of another worker is a TrainingError that begins with what `doing` says."""
        try:
            yield
        except GONE as error:
            if self.n == 1:
                raise
            found = re.search(r"/job:(\w+)/(?:replica:\d+/)?(task:\d+)", str(error.message))
            address = self.addresses.get("/".join(found.groups())) if found else None
            other = f"the worker at {address}" if address and address != self._own_address() else "another worker"
            raise TrainingError(
                f"{doing()}: {other} has ended or is out of reach; when all are there again, start each with --resume"
            ) from error

    def _own_address(self) -> str:
        return list(self.addresses.values())[self.index]


def _part(rows: tf.Tensor, index: tf.Tensor, parts: int) -> tf.Tensor:
    """One of equal parts along the first axis."""
    each = tf.shape(rows)[0] // parts
    return rows[index * each : (index + 1) * each]


def start_workers(on_wait: Callable[[], None] | None = None, wait_s: float = WAIT_S) -> Workers:
    """Those who share a run, by what there is: TF_CONFIG's cluster, else this process's GPUs, else one device.

    To be called before TensorFlow has computed anything. With a cluster it returns when all workers have started; a
    process that waits in vain for `wait_s` seconds is ended by SIGALRM, with no chance of a word.

    Parameters
    ----------
    on_wait : called before the others are waited for

    Raises
    ------
    SettingError
        TF_CONFIG can't be used.
    TrainingError
        The workers can't be joined, because a port is in use for instance.
    """
    if read_cluster() is not None:
        if on_wait is not None:
            on_wait()
        with _ended_after(wait_s):
            try:
                return Workers(tf.distribute.MultiWorkerMirroredStrategy())
            except (*GONE, tf.errors.UnknownError, tf.errors.InternalError, RuntimeError) as error:
                reason = str(error).strip().splitlines()[0]
                raise TrainingError(f"the workers of TF_CONFIG cannot be joined: {reason}") from error
    gpus = tf.config.list_logical_devices("GPU")
    return Workers(tf.distribute.MirroredStrategy() if len(gpus) > 1 else None)


@contextmanager
def _ended_after(seconds: float) -> Iterator[None]:
    """Within, Ctrl-C and the end of the time end the process at once.

    TensorFlow waits with Python's lock in its hands: no code of ours runs until it is done, but the system's does.
    """
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return
    terminate = signal.getsignal(signal.SIGTERM)
    previous = {number: signal.signal(number, signal.SIG_DFL) for number in (signal.SIGINT, signal.SIGALRM)}
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in previous.items():
            signal.signal(number, handler)
        # TensorFlow has taken SIGTERM for itself, and does nothing then.
        signal.signal(signal.SIGTERM, terminate)
