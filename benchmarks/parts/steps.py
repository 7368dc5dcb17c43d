"""Training steps, timed: what the parts `training` and `tokens` share."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf

from melodygru.events import PITCH, windows
from melodygru.training import Settings, Trainer, fit

BATCH, WINDOW = 64, 128
WARM_UP, STEPS = 2, 3  # updates of a turn, as in `peers/training.py`
STARTER = Path(__file__).parents[2] / "data" / "starter"
RATE, DECAY = 1e-3, 0.9


class Corpus:
    """A folder read for training: its pieces, vocabulary and the sizes that a preset has for it."""

    def __init__(self, folder: Path, preset: str = "base") -> None:
        from melodygru.corpus import intake

        # One process reads: others would load TensorFlow first.
        read = intake(folder, workers=1)
        self.pieces = read
        self.styles = [piece.style for piece in read.pieces]
        self.vocabulary, self.architecture = fit(read, preset)

    def step(self, make: Callable) -> Step:
        """A step of a new model; `make` is `training.new_model` or takes the same arguments."""
        return Step(self, make(self.vocabulary, self.architecture, 1, self.pieces))


class Step:
    """An update of a model by the trainer, over and over with the first window of a corpus' longest pieces."""

    def __init__(self, corpus: Corpus, model) -> None:
        self.model = model
        settings = Settings(epochs=1, batch=BATCH, window=WINDOW, seed=1)
        with tempfile.TemporaryDirectory() as folder:
            output = Path(folder) / "unused.keras"
            self.trainer = Trainer(model, (corpus.pieces, corpus.styles), [corpus.pieces[0]], settings, output)
        longest = np.argsort(-self.trainer.pieces.lengths(0), kind="stable")[:BATCH]
        self.inputs = windows([self.trainer.pieces.encode(int(index), 0) for index in longest], 0, WINDOW)
        self.notes = int((self.inputs["fields"][..., PITCH] >= 0).sum())
        self.state = model.initial_state(len(longest))
        self.step = 0

    def seconds(self) -> float:
        """Median time of an update, as one follows another in a training run: the first ones are not counted."""
        return statistics.median([self._update() for _ in range(WARM_UP + STEPS)][WARM_UP:])

    def _update(self) -> float:
        """Time of one update; the very first traces."""
        started = time.perf_counter()
        scalars = (tf.constant(self.step), tf.constant(RATE), tf.constant(DECAY))
        nats, _ = self.trainer._step(self.inputs, self.state, *scalars)
        float(nats)  # waits for the end
        self.step += 1
        return time.perf_counter() - started
