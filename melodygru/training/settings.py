"""What a run depends on beside the corpus and the architecture, and what is chosen when nothing is asked for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from melodygru.errors import SettingError
from melodygru.events import Vocabulary
from melodygru.music.notes import NoteSequence

EPOCHS = 40  # that a corpus is heard; from LARGE notes on it falls with their number to the power of SATED
LARGE, SATED = 400_000, 0.35
ONE_KEY_FROM = 0.6  # share of the run after which a corpus in one key stands in it
FEWEST_STEPS = 200  # of a run whose length follows from the corpus


@dataclass(frozen=True)
class Settings:
    """Everything that a training run depends on beside the corpus and the architecture.

    Parameters
    ----------
    epochs, minutes : one of them is given; minutes become a number of steps once, after the first steps were timed
    batch, window : pieces heard at once, and events heard between updates (state is carried over windows)
    learning_rate : at its height; warmed up linearly over `warmup` steps, then a half cosine down to 0
    weight_decay : AdamW's, on matrices
    clip : bound of the global gradient norm
    average : the weights' moving average reaches back this share of the run
    transpose : pieces are moved by a random number of semitones up to this, as far as the corpus' range allows
    transpose_until : share of the run after which pieces stand as they are; a corpus in one key ends in that key
    stretch : pieces on a grid of seconds are stretched or squeezed in time by a random factor up to 1 + stretch
    patience : validations without improvement before the run stops early; 0 never stops
    mixed_precision : float16 on GPUs that are fast at it
    """

    epochs: float | None = None
    minutes: float | None = None
    batch: int = 16
    window: int = 128
    learning_rate: float = 3e-3
    warmup: int = 50
    weight_decay: float = 0.6
    clip: float = 1.0
    average: float = 0.03
    transpose: int = 5
    transpose_until: float = 1.0
    stretch: float = 0.05
    patience: int = 12
    seed: int = 0
    mixed_precision: bool = False

    def __post_init__(self) -> None:
        if (self.epochs is None) == (self.minutes is None):
            raise SettingError("give either epochs or minutes")
        for name in ("epochs", "minutes"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise SettingError(f"{name} {value}: expected more than 0")
        if not 0 <= self.transpose <= 24:
            raise SettingError(f"transpose {self.transpose}: expected 0..24 semitones")
        if not 0 <= self.transpose_until <= 1:
            raise SettingError(f"transpose_until {self.transpose_until}: expected a share, 0..1")


def default_transpose_until(vocabulary: Vocabulary) -> float:
    """Share of the run in which pieces are transposed: all of it, unless the corpus is in one key.

    Someone transposed it already: the model learns much from all keys, and then that one.
    """
    return Settings.transpose_until if vocabulary.key else ONE_KEY_FROM


def default_epochs(corpus: Sequence[NoteSequence]) -> float:
    """Times that a corpus is heard when no length is asked for: fewer the larger it is, more if it is tiny."""
    notes = np.array([len(corpus[i].notes) for i in range(len(corpus))])
    steps = -(-len(notes) // Settings.batch) * max(1.0, float(notes.mean()) / Settings.window)  # of an epoch, about
    return round(max(EPOCHS * min(1.0, (LARGE / max(1, notes.sum())) ** SATED), FEWEST_STEPS / steps), 1)


def learning_rate(settings: Settings, step: int, steps: int | None) -> float:
    """Linear warm-up, then a half cosine that reaches 0 at the last step."""
    rate = settings.learning_rate * min(1.0, (step + 1) / settings.warmup)
    if steps is None or steps <= settings.warmup:
        return rate
    done = min(1.0, max(0.0, (step - settings.warmup) / (steps - settings.warmup)))
    return rate * 0.5 * (1 + math.cos(math.pi * done))
