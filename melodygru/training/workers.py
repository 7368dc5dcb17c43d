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
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from contextlib import contextmanager
from typing import Any

import numpy as np
import tensorflow as tf

from melodygru.errors import TrainingError

WAIT_S = 600  # for the other workers to start
SAID_AFTER_S = 3  # that the others are waited for
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
        resolver = self.strategy.cluster_resolver
        if isinstance(self.strategy, tf.distribute.MultiWorkerMirroredStrategy) and resolver is not None:
            cluster = resolver.cluster_spec().as_dict()
            jobs = [job for job in ("chief", "worker") if job in cluster]
            tasks = [(job, task) for job in jobs for task in range(len(cluster[job]))]
            if len(tasks) > 1:
                self.n, self.index = len(tasks), tasks.index((resolver.task_type, resolver.task_id))
                self.addresses = {f"{job}/task:{task}": cluster[job][task] for job, task in tasks}
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

    # -- what they tell each other; all must call the same in the same order

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

    def told(self, text: str | None) -> str:
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
                    f"worker {worker} has another {' and '.join(differing)} than worker 0: "
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

    To be called before TensorFlow has computed anything. With a cluster it returns when all workers have started.

    Parameters
    ----------
    on_wait : called once if the others have not started within a few seconds
    wait_s : seconds until they are given up

    Raises
    ------
    TrainingError
        The others did not start.
    """
    resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver()
    if len(tf.nest.flatten(resolver.cluster_spec().as_dict())) > 1:
        return Workers(_cluster(on_wait, wait_s))
    gpus = tf.config.list_logical_devices("GPU")
    return Workers(tf.distribute.MirroredStrategy() if len(gpus) > 1 else None)


def _cluster(on_wait: Callable[[], None] | None, wait_s: float) -> tf.distribute.Strategy:
    """The strategy of TF_CONFIG; made in a thread, for it waits in C++ code, where Ctrl-C is not heard."""
    made: Future[tf.distribute.Strategy] = Future()

    def make() -> None:
        try:
            made.set_result(tf.distribute.MultiWorkerMirroredStrategy())
        except Exception as error:  # noqa: BLE001  # raised again in the thread that waits
            made.set_exception(error)

    threading.Thread(target=make, daemon=True).start()
    waited, tick = 0.0, 0.25
    while True:
        try:
            return made.result(tick)
        except NotYet:
            waited += tick
        except (*GONE, tf.errors.UnknownError, tf.errors.InternalError, RuntimeError) as error:
            reason = str(error).strip().splitlines()[0]
            raise TrainingError(f"the workers of TF_CONFIG cannot be joined: {reason}") from error
        finally:
            # TensorFlow takes SIGTERM for itself, and does nothing then.
            if threading.current_thread() is threading.main_thread():
                signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGTERM))
        if on_wait is not None and waited >= SAID_AFTER_S:
            on_wait()
            on_wait = None
        if waited >= wait_s:
            raise TrainingError(
                f"the other workers have not started within {wait_s:.0f} s: start one on each host of TF_CONFIG's "
                "cluster, and let the hosts reach each other at its addresses"
            )
