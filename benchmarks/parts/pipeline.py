"""The input pipeline alone, without a model: from the corpus's cache to the batches of an epoch.

Short pieces are its hard case. At first every piece is encoded, by one thread or by several processes; the second time
most come from the disk, where encoded pieces are kept, and those with mistakes alone are encoded anew.
"""

from __future__ import annotations

import itertools
import tempfile
import time
from pathlib import Path

from melodygru.corpus.cache import default_folder
from melodygru.events import PITCH
from melodygru.training import Pieces, Settings, fit
from melodygru.training.encoders import Encoders
from melodygru.training.feeding import prefetch
from parts.row import Row, Setting

STARTER = Path(__file__).parents[2] / "data" / "starter"
BATCH, WINDOW = 64, 128
BATCHES = 14
NEEDED = 300_000  # notes/s that a GPU learns from
WHAT = f"batches of {BATCH} x {WINDOW} notes of data/starter"


def measure(setting: Setting) -> list[Row]:
    """Rows against one thread, and against what a GPU is to be given."""
    pieces, n = pieces_of(STARTER), setting.threads
    with Encoders(pieces, 0) as thread:
        alone = notes_per_s(thread)
    folder = default_folder()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as disk, Encoders(pieces, n, Path(disk)) as encoders:
        notes_per_s(encoders, epoch=1, batches=n)  # the processes start
        encoded, kept = notes_per_s(encoders), notes_per_s(encoders)
    return [
        Row(
            "pipeline",
            f"{WHAT}, encoded by {n} processes",
            encoded,
            "notes/s",
            "one thread",
            alone,
            encoded / alone,
            0.8 * n,
        ),
        Row("pipeline", f"{WHAT}, kept on disk", kept, "notes/s", "what is needed", NEEDED, kept / NEEDED, 1.0),
    ]


def pieces_of(folder: Path) -> Pieces:
    """The pieces of a folder, for training on a GPU."""
    from melodygru.corpus import intake

    corpus = intake(folder, workers=1)
    styles = [piece.style for piece in corpus.pieces]
    return Pieces(corpus, styles, fit(corpus)[0], Settings(epochs=1, batch=BATCH, window=WINDOW, seed=1))


def notes_per_s(encoders: Encoders, epoch: int = 0, batches: int = BATCHES) -> float:
    """Notes a second of the first batches of an epoch; the first of them is not counted."""
    pieces = encoders.pieces
    counts = [batch.windows for batch in pieces.plan(epoch)[:batches]]
    windows = encoders.windows(epoch, 0, 0, lambda rows: (0, rows))
    ready = prefetch(itertools.islice(windows, sum(counts)))
    for _ in range(counts[0]):
        next(ready)
    started, notes = time.perf_counter(), 0
    for window, _ in ready:
        notes += int((window["fields"][..., PITCH] >= 0).sum())
    return notes / (time.perf_counter() - started)
