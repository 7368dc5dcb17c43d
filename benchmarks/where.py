"""Where the time of a training step, and of a composed note, goes.

    python benchmarks/where.py [--threads N]

The training step is the one that `bench.py training` times, under TensorFlow's profiler: the time of its operations on
all threads, by kind, inside the recurrent loops and outside. The note is one of a single stream of preset `base`, under
cProfile: the time of each function, without those that it calls, by module.
"""

from __future__ import annotations

import cProfile
import os
import pstats
import sys
import tempfile
from collections import Counter
from pathlib import Path

import click

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

STEPS = 3  # of training, under the profiler
NOTES = 1000
# The operations of each kind, by how TensorFlow's names begin; what is in none is element-wise work or copies.
KINDS = {
    "products": (
        "MatMul",
        "_MklMatMul",
        "_MklNativeFusedMatMul",
        "_FusedMatMul",
        "Einsum",
        "BatchMatMul",
        "_MklBatchMatMul",
    ),
    "sums of embeddings": ("SparseSegment", "TopK", "Gather", "ResourceGather", "Where", "_MklFusedSegment"),
    "softmax": ("SparseSoftmax", "Softmax", "LogSoftmax"),
    "dropout": ("Random", "StatelessRandom", "GreaterEqual"),
    "update of the weights": ("ResourceApply", "AssignVariable", "AssignSub", "AssignAdd", "L2Loss"),
}
HOLDERS = ("While", "_While", "If", "Partitioned", "StatefulPartitioned", " ")


def kind_of(operation: str) -> str:
    """One of KINDS, or "element-wise work and copies"."""
    found = [kind for kind, names in KINDS.items() if operation.startswith(names)]
    return found[0] if found else "element-wise work and copies"


def training_shares() -> dict[str, float]:
    """Share of each kind of operation in the time of a training step's operations, largest first."""
    import tensorflow as tf
    from parts.steps import STARTER, Corpus
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    from melodygru.training import new_model

    step = Corpus(STARTER).step(new_model)
    step.seconds()  # warm
    with tempfile.TemporaryDirectory(prefix="melodygru-where-") as folder:
        tf.profiler.experimental.start(folder)
        for _ in range(STEPS):
            step._update()
        tf.profiler.experimental.stop()
        space = xplane_pb2.XSpace()
        space.ParseFromString(next(Path(folder).rglob("*.xplane.pb")).read_bytes())
    time: Counter[str] = Counter()
    for plane in space.planes:
        for line in plane.lines:
            for event in line.events:
                node, colon, operation = plane.event_metadata[event.metadata_id].name.rpartition(":")
                # What holds other operations is no operation itself.
                if colon and node[-1:] != ":" and " " not in node and not operation.startswith(HOLDERS):
                    where = "in the loops" if "while" in node else "over whole windows"
                    time[f"{kind_of(operation)}, {where}"] += event.duration_ps
    total = sum(time.values())
    return {kind: picoseconds / total for kind, picoseconds in time.most_common()}


def sampling_shares() -> tuple[dict[str, float], float]:
    """Share of each module in the time of a note, largest first; and microseconds a note, without the profiler."""
    import time

    from parts.sampling import composing, untrained

    from melodygru.model.architecture import Architecture
    from melodygru.model.numpy_model import NumpyModel

    notes = composing(NumpyModel(untrained(Architecture.preset("base"))), 1)

    def compose() -> None:
        for _ in range(NOTES):
            next(notes)

    compose()
    started = time.perf_counter()
    compose()
    seconds = time.perf_counter() - started
    profile = cProfile.Profile()
    profile.runcall(compose)
    own: Counter[str] = Counter()
    for (file, _, name), (_, _, tottime, _, _) in pstats.Stats(profile).stats.items():  # type: ignore[attr-defined]
        path = Path(file)
        module = path.stem if "melodygru" in path.parts else "NumPy and Python"
        own[f"{module}.{name}" if name in ("gru_step", "logits") else module] += tottime
    total = sum(own.values())
    return {name: share / total for name, share in own.most_common()}, seconds / NOTES * 1e6


@click.command(help=__doc__)
@click.option("--threads", default=1, show_default=True, type=click.IntRange(1), help="CPU threads.")
def main(threads: int) -> None:
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(threads)
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    shares, microseconds = sampling_shares()
    click.echo(f"| a note of one stream, {microseconds:,.0f} microseconds | share |\n|---|---|")
    for name, share in shares.items():
        if share >= 0.01:
            click.echo(f"| {name} | {share:.0%} |")
    click.echo("\n| a training step | share |\n|---|---|")
    for name, share in training_shares().items():
        if share >= 0.005:
            click.echo(f"| {name} | {share:.1%} |")


if __name__ == "__main__":
    main()
