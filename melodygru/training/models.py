"""Models to begin a run with: new ones, which know how often each class occurs, and those of checkpoints."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from melodygru.errors import TrainingError
from melodygru.events import FIRST_PART, Vocabulary, encode, fit_vocabulary
from melodygru.model.architecture import Architecture
from melodygru.model.checkpoint import as_settings
from melodygru.music.grid import Grid
from melodygru.training.settings import CELL, PRESET

if TYPE_CHECKING:
    from melodygru.corpus import Corpus
    from melodygru.model.keras_model import EventModel, MelodyGRU
    from melodygru.training.pieces import Music

SAMPLED_EVENTS = 50_000  # that a new model's first biases are counted from


def fit(corpus: Corpus, preset: str | None = None, cell: str | None = None) -> tuple[Vocabulary, Architecture]:
    """The vocabulary of a corpus, and the sizes that suit it; without TensorFlow.

    Parameters
    ----------
    preset, cell : see `TrainSettings`
    """
    styles = [piece.style for piece in corpus.pieces]
    vocabulary = fit_vocabulary(zip(corpus, styles, strict=True), corpus.grid)
    sizes = dataclasses.replace(Architecture.preset(preset or PRESET), cell=cell or CELL)
    return vocabulary, sizes.for_corpus(sum(piece.n_notes for piece in corpus.pieces))


def new_model(vocabulary: Vocabulary, architecture: Architecture, seed: int, corpus: Music = ()) -> MelodyGRU:
    """An untrained model; with a corpus, it begins with how often each class occurs in a sample of it."""
    from melodygru.model.keras_model import MelodyGRU

    model = MelodyGRU(**as_settings(vocabulary, architecture, {}), seed=seed)
    begin_from_counts(model, seed, corpus)
    return model


def begin_from_counts(model: EventModel, seed: int, corpus: Music) -> None:
    """Let an untrained model begin with how often each class occurs in a sample of a corpus."""
    vocabulary = model.vocabulary
    counts = [np.zeros(vocabulary.size(name)) for name in vocabulary.fields]
    events = 0
    for index in np.random.default_rng([seed, 3]).permutation(len(corpus)).tolist():
        fields = encode(corpus[index], vocabulary).fields
        for chosen, count in zip(fields.T, counts, strict=False):  # an unmodelled velocity is not counted
            count += np.bincount(chosen[chosen >= 0], minlength=len(count))
        events += len(fields)
        if events > SAMPLED_EVENTS:
            break
    if events:
        for name, count in zip(vocabulary.fields, counts, strict=True):
            if name == "part":
                count = count[:FIRST_PART]  # those that have played have no bias but their descriptions'
            bias = getattr(model, f"head_{name}").output_layer.bias
            start = np.zeros(bias.shape, np.float32)
            start[: len(count)] = np.log((count + 0.1) / (events + 0.1 * len(count)))
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
    from melodygru.model.keras_model import load_model

    model = load_model(path)
    if model.vocabulary.grid != grid:
        raise TrainingError(
            f"{path} was trained on a grid of {model.vocabulary.grid.describe()}, this music is on "
            f"{grid.describe()}: give --grid {model.vocabulary.grid}"
        )
    model.index = None  # of other music
    return model
