"""Composing with preset base: one stream, 64 streams, and a piece of 100,000 notes.

Ours is the sampler as `generate` runs it, from its notes' context to its choices. The model is untrained: it has
the starter corpus' classes as often as the corpus, so that what is composed is as dense as its music.
`BENCH_NOTES=10000` makes the long piece shorter.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import keras
import numpy as np

from melodygru.compose import NEVER, Controls, Note, Sampler, notes
from melodygru.corpus import intake
from melodygru.model import checkpoint
from melodygru.model.architecture import DEEP, Architecture
from melodygru.model.checkpoint import Checkpoint
from melodygru.model.keras_model import save
from melodygru.model.numpy_model import NumpyModel
from melodygru.training import fit, new_model
from parts.row import Row, Setting, in_turns

STARTER = Path(__file__).parents[2] / "data" / "starter"
NOTES = int(os.environ.get("BENCH_NOTES", "100000"))  # of the long piece
STREAMS = 64
REPEATS = 5
TIMED = 200  # notes of one stream at a time; of 64 streams a sixteenth of it each
UNTIMED = 20
PEER_EVENTS = 200
PREDICTED = 20  # notes
TUTORIAL_WINDOW = 25  # notes that a step is given, as in TensorFlow's tutorial on generating music


def measure(setting: Setting) -> list[Row]:
    """Rows of one stream, of many, and of a long piece."""
    model = untrained(Architecture.preset("base"))
    network, matrices = NumpyModel(model), matrices_of(model)
    one, many = composing(network, 1), composing(network, STREAMS)
    timed: dict[str, Callable[[], float]] = {
        "one": lambda: seconds_of(lambda: list(islice(one, TIMED))) / TIMED,
        "read": lambda: products_seconds(matrices, 1),
        "many": lambda: seconds_of(lambda: list(islice(many, TIMED // 16 * STREAMS))) / (TIMED // 16),
        "sgemm": lambda: products_seconds(matrices, STREAMS),
        "predict": predicting(model),
    }
    if setting.peers is not None:
        timed["notochord"] = lambda: notochord_seconds(setting, model.architecture)
    list(islice(one, UNTIMED)), list(islice(many, UNTIMED * STREAMS))
    seconds = in_turns(timed, REPEATS)
    what = "sampling one stream, preset base"
    against = {
        "read": ("reading each weight once a note, bare NumPy products", 0.6),
        "notochord": ("Notochord, two events a note", 20),
        "predict": ("Keras's model.predict for each note", 100),
    }
    rows = [
        Row(
            "sampling", what, 1 / seconds["one"], "notes/s", name, 1 / seconds[key], seconds[key] / seconds["one"], goal
        )
        for key, (name, goal) in against.items()
        if key in seconds
    ]
    gflop = 2 * STREAMS * sum(matrix.size for matrix in matrices) / 1e9
    ours, best = gflop / seconds["many"], gflop / seconds["sgemm"]
    what = f"sampling {STREAMS} streams, preset base: {STREAMS / seconds['many']:,.0f} notes/s"
    rows.append(Row("sampling", what, ours, "Gflop/s", "the best sgemm rate on its shapes", best, ours / best, 0.5))
    first, last = tenths(network, NOTES)
    what = f"time of a note, last tenth of {NOTES:,}"
    rows.append(
        Row("sampling", what, last * 1e6, "us", "its first tenth", first * 1e6, last / first, 1.1, at_most=True)
    )
    return rows


def untrained(architecture: Architecture, folder: Path = STARTER) -> Checkpoint:
    """A model as training begins with it: random weights, each class as probable as it is frequent in the corpus."""
    corpus = intake(folder, workers=1)
    vocabulary, _ = fit(corpus)
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "untrained.keras"
        save(new_model(vocabulary, architecture, 1, corpus), path)
        return checkpoint.read(path)


def matrices_of(model: Checkpoint) -> list[np.ndarray]:
    """The weights that an event is multiplied by, all but embeddings and biases; the heads' first layers as one."""
    a, fields, weights = model.architecture, model.vocabulary.fields, model.weights
    of_layers = [weights[f"{a.cell}/{layer}/{part}"] for layer in range(a.layers) for part in ("kernel", "recurrent")]
    hidden = np.concatenate([weights[f"head/{field}/hidden/kernel"] for field in fields], 1)
    second = [weights[f"head/{field}/second/kernel"] for field in (DEEP if a.deep else ())]
    outputs = [weights[f"head/{field}/output/kernel"] for field in fields]
    return [*of_layers, np.ascontiguousarray(hidden), *second, *outputs]


def products_seconds(matrices: list[np.ndarray], streams: int) -> float:
    """Time of bare products, one after another; each matrix's input is ones."""
    inputs = {len(matrix): np.ones((streams, len(matrix)), np.float32) for matrix in matrices}
    times = TIMED // 2 if streams == 1 else 5

    def multiply() -> None:
        for _ in range(times):
            for matrix in matrices:
                inputs[len(matrix)] @ matrix

    return seconds_of(multiply) / times


def composing(network: NumpyModel, streams: int) -> Iterator[Note]:
    """Notes without end, with the settings that `generate` has by default."""
    rngs = [np.random.default_rng(child) for child in np.random.SeedSequence(1).spawn(streams)]
    metres = [network.vocabulary.metres[0]] * streams
    sampler = Sampler(network, rngs, Controls(top_p=0.9), metres=metres)
    return notes(sampler, [NEVER] * streams, may_end=False)


def seconds_of(work: Callable[[], object]) -> float:
    """Wall time of a call."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def tenths(network: NumpyModel, n_notes: int) -> tuple[float, float]:
    """Seconds a note of the first and of the last tenth of a piece."""
    piece = composing(network, 1)
    list(islice(composing(network, 1), UNTIMED))
    seconds = [seconds_of(lambda: list(islice(piece, n_notes // 10))) / (n_notes // 10) for _ in range(10)]
    return seconds[0], seconds[-1]


def notochord_seconds(setting: Setting, architecture: Architecture) -> float:
    """A note of Notochord's: two events, its beginning and its end."""
    a = architecture
    return 2 * setting.run_peer("sampling.py", a.layers, a.units, a.embedding, PEER_EVENTS)["seconds_per_event"]


def predicting(model: Checkpoint) -> Callable[[], float]:
    """Seconds of a note as TensorFlow's tutorial composes: `predict` of the last notes, a draw, the window moves on.

    The network has our layers and units, one embedding a field and one output layer a field.
    """
    v, a = model.vocabulary, model.architecture
    given = keras.Input((TUTORIAL_WINDOW, len(v.fields)), dtype="int32")
    x = keras.layers.add(
        [keras.layers.Embedding(v.size(field), a.embedding)(given[..., i]) for i, field in enumerate(v.fields)]
    )
    for layer in range(a.layers):
        x = keras.layers.GRU(a.units, return_sequences=layer < a.layers - 1)(x)
    tutorial = keras.Model(given, {field: keras.layers.Dense(v.size(field))(x) for field in v.fields})
    rng = np.random.default_rng(1)

    def compose(n_notes: int) -> None:
        window = np.zeros((1, TUTORIAL_WINDOW, len(v.fields)), np.int32)
        for _ in range(n_notes):
            logits = tutorial.predict(window, verbose=0)
            # The greatest logit after Gumbel noise is a draw from their softmax.
            note = [(logits[field][0] + rng.gumbel(size=v.size(field))).argmax() for field in v.fields]
            window = np.concatenate([window[:, 1:], np.array(note, np.int32)[None, None]], 1)

    compose(2)
    return lambda: seconds_of(lambda: compose(PREDICTED)) / PREDICTED
