"""A training step on the CPU against Keras's and PyTorch's GRU, and against the bare products of matrices in it.

Steps are timed, not `fit`: reading, encoding and validation are left out on all sides.
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest import mock

import keras
import numpy as np
import tensorflow as tf

from melodygru.events import FIELDS, Vocabulary, layout_of
from melodygru.model.architecture import DEEP, Architecture
from melodygru.model.cells import CELLS
from melodygru.music.notes import N_PROGRAMS
from melodygru.training import new_model
from parts.row import Row, Setting, in_turns
from parts.steps import BATCH, STARTER, WINDOW, Corpus, Step

REPEATS = 5
WHAT = f"training step, preset base, batch {BATCH} x {WINDOW} notes, data/starter"
Product = tuple[int, int, int, int]  # (m, k) by (k, n), so many times


def measure(setting: Setting) -> list[Row]:
    """Rows against stock Keras, PyTorch (if its environment is there) and the machine's products of matrices."""
    corpus = Corpus(STARTER)
    ours, stock = corpus.step(new_model), corpus.step(stock_model)
    products = products_of_step(corpus.architecture, corpus.vocabulary, BATCH, WINDOW)
    timed: dict[str, Any] = {"ours": ours.seconds, "stock": stock.seconds, "products": lambda: best_seconds(products)}
    with tempfile.TemporaryDirectory() as folder:
        if setting.peers is not None:
            batch = Path(folder) / "batch.npz"
            np.savez(batch, **peer_inputs(ours, corpus))
            timed["torch"] = lambda: _torch_seconds(setting, batch, ours.model.count_params())
        seconds = in_turns(timed, REPEATS)
    notes = ours.notes
    rows = [
        Row("training", WHAT, notes / seconds["ours"], "notes/s", against, notes / seconds[name], ratio, goal)
        for name, against, goal in (
            ("stock", "the same network with keras.layers.GRU", 1.5),
            ("torch", "the same network in PyTorch (nn.GRU)", 1.25),
        )
        if name in seconds
        for ratio in [seconds[name] / seconds["ours"]]
    ]
    gflop = sum(2 * m * k * n * times for m, k, n, times in products) / 1e9
    reached, best = gflop / seconds["ours"], gflop / seconds["products"]
    rows.append(
        Row("training", WHAT, reached, "Gflop/s", "the best sgemm rate on its shapes", best, reached / best, 0.6)
    )
    return rows


def stock_model(*arguments: Any) -> Any:
    """`training.new_model` with Keras's own GRU."""
    with mock.patch.object(CELLS["gru"], "keras_layer", lambda: keras.layers.GRU):
        return new_model(*arguments)


def products_of_step(architecture: Architecture, vocabulary: Vocabulary, batch: int, window: int) -> list[Product]:
    """The products of matrices in one step, forward and backward; embeddings are looked up, not multiplied.

    A layer's product (m, k) by (k, n) has two in its gradient, (m, n) by (n, k) and (k, m) by (m, n). In a GRU the
    product with the state is one for each step of time, and so is its gradient's first; the second is one for all.
    """
    a, rows = architecture, batch * window
    gates = 3 * a.units
    layers = []  # (inputs, outputs) of products over all rows at once
    recurrent: list[Product] = []
    for index in range(a.layers):
        layers.append((a.units if index else a.embedding, gates))
        recurrent += [
            (batch, a.units, gates, window),
            (batch, gates, a.units, window),
            (a.units, rows, gates, 1),
        ]
    for field in vocabulary.fields:
        layers += [(a.units + a.embedding, a.head), (a.head, layout_of(vocabulary).n_outputs(field))]
        if a.deep and field in DEEP:
            layers.append((a.head, a.head))
    at_once = [product for k, n in layers for product in ((rows, k, n, 1), (rows, n, k, 1), (k, rows, n, 1))]
    return at_once + recurrent


def best_seconds(products: list[Product], tries: int = 3) -> float:
    """Time of bare products, each at the better of NumPy's and TensorFlow's rates."""
    rng = np.random.default_rng(0)
    multiply = tf.function(tf.matmul)
    total = 0.0
    for m, k, n, times in products:
        left, right = (rng.random(shape, np.float32) for shape in ((m, k), (k, n)))
        tensors = tf.constant(left), tf.constant(right)
        multiply(*tensors)
        runs = max(1, round(1e9 / (2 * m * k * n)))  # small ones are timed several at once
        found = []
        for work in (lambda a=left, b=right: a @ b, lambda a=tensors: multiply(*a)):
            for _ in range(tries):
                started = time.perf_counter()
                for _ in range(runs):
                    work()
                found.append((time.perf_counter() - started) / runs)
        total += times * min(found)
    return total


def peer_inputs(step: Step, corpus: Corpus) -> dict[str, Any]:
    """A batch and all sizes, for `benchmarks/peers/training.py`.

    The ids that each head is given, the positions of the intervals, those of the parts' descriptions, what pointers
    point to and what cannot follow are given to the peer ready made; our own step computes them.
    """
    model, inputs, a = step.model, step.inputs, corpus.architecture
    tensors = {name: tf.constant(values) for name, values in inputs.items()}
    chosen = model._chosen(tensors)
    impossible = model._impossible(tensors)
    arrays = {name: inputs[name].astype(np.int64) for name in ("previous", "before", "context")}
    heads, layout = {}, layout_of(corpus.vocabulary)
    for field in corpus.vocabulary.fields:
        head = getattr(model, f"head_{field}")
        heads[field] = {
            "classes": corpus.vocabulary.size(field),
            "outputs": layout.n_outputs(field),
            "rows": head.bag.rows if head.bag is not None else 0,
            "deep": head.second is not None,
        }
        arrays[f"target_{field}"] = inputs["fields"][..., FIELDS.index(field)].astype(np.int64)
        if head.bag is not None:
            arrays[f"ids_{field}"] = model._head_ids(field, tensors, chosen).numpy().astype(np.int64)
        if layout.n_pointers(field):
            arrays[f"pointed_{field}"] = inputs[f"{field}_pointers"].astype(np.int64)  # plus 1; 0 is none
        if field in impossible:
            arrays[f"impossible_{field}"] = np.broadcast_to(
                impossible[field].numpy(), (*inputs["fields"].shape[:2], corpus.vocabulary.size(field))
            )
    arrays["last"] = chosen["last_pitch_1"].numpy().astype(np.int64)
    if corpus.vocabulary.models_part:
        described = inputs["part_descriptions"].astype(np.int64)
        origins = np.tile(layout.description_origins, corpus.vocabulary.parts)
        arrays["described"] = np.where(described > 0, described + origins, 0).reshape(
            *described.shape[:2], corpus.vocabulary.parts, -1
        )
        line_up = np.unpackbits(inputs["line_up"], axis=-1, bitorder="little")[..., : N_PROGRAMS + 1].astype(np.float32)
        listed, known = line_up[..., :-1], line_up[..., -1:]
        arrays["to_come"], arrays["others"] = known * listed, known * (1 - listed)
    settings = step.trainer.settings
    about = {
        "rows": model.bag.rows,
        "layers": a.layers,
        "units": a.units,
        "embedding": a.embedding,
        "head": a.head,
        "drop": [a.drop_input, a.drop_layer, a.drop_head],
        "heads": heads,
        "weight_decay": settings.weight_decay,
        "clip": settings.clip,
    }
    return {**arrays, "about": np.array(json.dumps(about))}


def _torch_seconds(setting: Setting, batch: Path, parameters: int) -> float:
    """A step in PyTorch, from a fresh process that warms up by itself."""
    found = setting.run_peer("training.py", batch, setting.threads)
    assert found["parameters"] == parameters, "PyTorch's network is not the same"
    return found["seconds"]
