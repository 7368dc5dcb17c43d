"""Models to begin a run with: new ones, which know how often each class occurs, and those of checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from melodygru.errors import TrainingError
from melodygru.events import Vocabulary, encode
from melodygru.model.architecture import Architecture
from melodygru.model.checkpoint import as_settings
from melodygru.model.keras_model import EventModel, MelodyGRU, load_model
from melodygru.music.grid import Grid
from melodygru.music.notes import NoteSequence

SAMPLED_EVENTS = 50_000  # that a new model's first biases are counted from


def new_model(
    vocabulary: Vocabulary, architecture: Architecture, seed: int, corpus: Sequence[NoteSequence] = ()
) -> MelodyGRU:
    """An untrained model; with a corpus, it begins with how often each class occurs in a sample of it."""
    model = MelodyGRU(**as_settings(vocabulary, architecture, {}), seed=seed)
    begin_from_counts(model, seed, corpus)
    return model


def begin_from_counts(model: EventModel, seed: int, corpus: Sequence[NoteSequence]) -> None:
    """Let an untrained model begin with how often each class occurs in a sample of a corpus."""
    vocabulary = model.vocabulary
    counts = [np.zeros(vocabulary.size(name)) for name in vocabulary.fields]
    pitch_class_levels = 0
    for index in np.random.default_rng([seed, 3]).permutation(len(corpus)).tolist():
        fields = encode(corpus[index], vocabulary).fields
        for chosen, count in zip(fields.T, counts, strict=False):  # an unmodelled velocity is not counted
            count += np.bincount(chosen[chosen >= 0], minlength=len(count))
        pitch_class_levels += len(fields)
        if pitch_class_levels > SAMPLED_EVENTS:
            break
    if pitch_class_levels:
        for name, count in zip(vocabulary.fields, counts, strict=True):
            bias = getattr(model, f"head_{name}").output_layer.bias
            start = np.zeros(bias.shape, np.float32)
            start[: len(count)] = np.log((count + 0.1) / (count.sum() + 0.1 * len(count)))
            bias.assign(start)


def fine_tune_from(path: Path, grid: Grid) -> MelodyGRU:
    """The model of a checkpoint, to be trained on other music, which is on `grid`.

    Its vocabulary stays as it is: styles and metres that it does not have are unknown to it, and music that it can't
    hold is changed (see `events.representable`).

    Raises
    ------
    TrainingError
        The other music is on another grid than the checkpoint's.
    """
    model = load_model(path)
    if model.vocabulary.grid != grid:
        raise TrainingError(
            f"{path} was trained on a grid of {model.vocabulary.grid.describe()}, this music is on "
            f"{grid.describe()}: give --grid {model.vocabulary.grid}"
        )
    return model
