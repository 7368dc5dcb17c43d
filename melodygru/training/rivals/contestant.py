"""One model of the comparison, in a process of its own: trained, judged, and timed while it composes."""

from __future__ import annotations

import dataclasses
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from melodygru.compose.sampler import Sampler
from melodygru.events import Vocabulary
from melodygru.model import checkpoint
from melodygru.model.architecture import Architecture
from melodygru.model.checkpoint import as_settings
from melodygru.model.keras_model import EventModel
from melodygru.model.numpy_model import NumpyModel
from melodygru.training.device import set_up_device
from melodygru.training.evaluation import evaluate
from melodygru.training.models import begin_from_counts
from melodygru.training.models import new_model as new_recurrent_model
from melodygru.training.progress import Progress
from melodygru.training.rivals.job import HELD_OUT, TRAIN, Job, Result, read_pieces
from melodygru.training.rivals.sizes import TransformerSizes
from melodygru.training.rivals.transformer import Transformer, network_of
from melodygru.training.settings import Settings, default_transpose_until
from melodygru.training.trainer import Trainer

RATED_WIDTH = 128  # of a Transformer that has the cells' learning rate
SAMPLED = 400  # notes composed for the timing, a piece's worth
UNTIMED = 20  # before them

Report = Callable[[dict[str, Any]], None]


def new_model(vocabulary: Vocabulary, sizes: Architecture | TransformerSizes, seed: int, corpus: Any) -> EventModel:
    """An untrained model of the sizes' kind."""
    if isinstance(sizes, Architecture):
        return new_recurrent_model(vocabulary, sizes, seed, corpus)
    model = Transformer(**as_settings(vocabulary, sizes, {}), seed=seed)
    begin_from_counts(model, seed, corpus)
    return model


def transformer_rate(sizes: TransformerSizes) -> float:
    """The Transformer's learning rate at its height: up to a width of 128 the cells', above it falling with the width.

    At a width of 120 it learned faster at 0.003 than at 0.002 and 0.001; a wider one wants less, in proportion (Yang et
    al. 2022).
    """
    return float(Settings.learning_rate * min(1.0, RATED_WIDTH / sizes.units))


def run(folder: Path, name: str, report: Report) -> Result:
    """Train and measure the model called `name` of the job in `folder`.

    Parameters
    ----------
    report : called with plain values: {"device": ...} and, as training goes on, {"progress": ...}
    """
    job = Job.read(folder)
    train, held_out, sizes = read_pieces(folder / TRAIN), read_pieces(folder / HELD_OUT), job.sizes[name]
    device = set_up_device()
    report({"device": device})
    before = memory("VmRSS")
    cells = Settings.learning_rate
    rate = transformer_rate(sizes) if isinstance(sizes, TransformerSizes) else cells
    settings = Settings(
        minutes=job.minutes,
        seed=job.seed,
        patience=0,  # all train for the same time
        transpose_until=default_transpose_until(job.vocabulary),
        learning_rate=rate,
    )
    model = new_model(job.vocabulary, sizes, job.seed, train)
    parameters = model.count_params()
    output = folder / f"{name}.keras"
    trainer = Trainer(model, (train, job.styles), held_out, settings, output)
    speeds: list[float] = []

    def on_progress(progress: Progress) -> None:
        if progress.minutes_left is not None:  # the first steps are over, in which TensorFlow traces
            speeds.append(progress.notes_per_second)
        report({"progress": dataclasses.asdict(progress)})

    trainer.run(on_progress)
    highest = memory("VmHWM")
    best = keras.models.load_model(output)
    found = evaluate(best, held_out)
    network = network_of(best) if isinstance(best, Transformer) else NumpyModel(checkpoint.read(output))
    return Result(
        name=name,
        sizes=dataclasses.asdict(sizes),
        parameters=parameters,
        device=device.splitlines()[0],
        minutes=trainer.position.seconds / 60,
        steps=trainer.position.step,
        epochs=trainer.position.epoch,
        learning_rate=settings.learning_rate,
        nats_per_note=found.nats_per_note,
        training_notes_per_second=statistics.median(speeds) if speeds else 0.0,
        sampling_us_per_note=1e6 * seconds_per_note(network, job.seed),
        memory_bytes=highest,
        memory_before_bytes=before,
        history=[(row["minutes"], row["validation_nats_per_note"]) for row in trainer.position.history],
    )


def seconds_per_note(network: NumpyModel, seed: int, notes: int = SAMPLED) -> float:
    """The time that a note of a single piece takes to compose, the mean over its first `notes`."""
    sampler = Sampler(network, [np.random.default_rng(seed)])
    warm = Sampler(network, [np.random.default_rng(seed)])
    for _ in range(UNTIMED):
        warm.step(may_end=False)
    started = time.perf_counter()
    for _ in range(notes):
        sampler.step(may_end=False)
    return (time.perf_counter() - started) / notes


def memory(which: str) -> int | None:
    """Main memory of this process in bytes, now ("VmRSS") or at its highest ("VmHWM")."""
    try:
        for line in Path("/proc/self/status").read_text("ascii").splitlines():
            if line.startswith(f"{which}:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    try:
        import resource
    except ImportError:  # Windows
        return None
    # Only the highest so far, which before training is what was asked for too. macOS counts bytes, others KiB.
    highest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return highest if sys.platform == "darwin" else highest * 1024
