"""What a GPU is given to do, judged where there is none: the graph of an update, and the script that measures it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
import toys
from toys import VOCABULARIES

from melodygru import training
from melodygru.events import encode
from melodygru.model.architecture import Architecture
from melodygru.model.cells import CELLS
from melodygru.model.heads import EmbeddingBag

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))

from parts.placement import host_waits, operations  # noqa: E402


@pytest.fixture
def pretended_gpu(monkeypatch):
    """TensorFlow says that there is a GPU: what is traced is what a GPU would run."""
    real = tf.config.list_logical_devices
    found = ["GPU:0"]
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind=None: found if kind == "GPU" else real(kind))
    yield
    keras.mixed_precision.set_dtype_policy("float32")


def update(tmp_path, mixed, cell="gru"):
    """The traced update of a small model with parts, deep heads and dropout everywhere."""
    keras.mixed_precision.set_dtype_policy("mixed_float16" if mixed else "float32")
    vocabulary = VOCABULARIES["many"]
    sizes = Architecture(layers=2, units=16, embedding=8, head=9, cell=cell, deep=True)
    pieces = [toys.piece(vocabulary, seed) for seed in range(3)]
    settings = training.Settings(epochs=1, batch=2, window=16, mixed_precision=mixed)
    model = training.new_model(vocabulary, sizes, 0)
    trainer = training.Trainer(model, (pieces, [None] * 3), pieces, settings, tmp_path / "m.keras")
    return model, trainer._step.get_concrete_function()


@pytest.mark.slow
@pytest.mark.parametrize("mixed", [False, True])
def test_an_update_on_a_gpu_is_cudnns_and_waits_for_nothing(pretended_gpu, tmp_path, mixed):
    model, concrete = update(tmp_path, mixed)
    assert {"CudnnRNNV3", "CudnnRNNBackpropV3"} <= operations(concrete)
    assert not {"While", "StatelessWhile", "If", "StatelessIf"} & operations(concrete)
    assert host_waits(concrete) == []
    for index in range(2):  # what cuDNN asks of a layer
        layer = getattr(model, CELLS["gru"].attribute(index))
        assert layer.activation is keras.activations.tanh and layer.recurrent_activation is keras.activations.sigmoid
        assert layer.use_bias and layer.reset_after and not layer.unroll and not layer.go_backwards
        assert layer.dropout == layer.recurrent_dropout == 0


def test_what_waits_is_found():
    @tf.function
    def waits(x, ids):
        few = tf.boolean_mask(x, x > 0)  # a size that values decide
        return tf.reduce_sum(few), tf.where(ids > 3, ids, 0) + 1  # 32 bits: chosen by the GPU, added by the host

    specs = [tf.TensorSpec([None], tf.float32), tf.TensorSpec([None], tf.int32)]
    found = host_waits(waits.get_concrete_function(*specs))
    assert any(line.startswith("Where") for line in found)
    assert any(line.startswith("AddV2") and "SelectV2" in line for line in found)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_embeddings_are_summed_on_a_gpu_as_on_a_cpu(dtype, monkeypatch):
    rng = np.random.default_rng(0)
    ids = rng.integers(0, 40, (3, 7, 70)) * (rng.random((3, 7, 70)) < 0.4)
    ids[0, 0] = 0
    weights = tf.constant(rng.normal(size=(3, 7, 6)), dtype)
    results = []
    for gpu in (False, True):
        monkeypatch.setattr("melodygru.model.heads.on_gpu", lambda gpu=gpu: gpu)
        bag = EmbeddingBag(40, 6, dtype=keras.DTypePolicy("mixed_float16" if dtype == "float16" else "float32"))
        bag.build()
        bag.table.assign(np.random.default_rng(1).normal(size=(40, 6)))
        with tf.GradientTape() as tape:
            total = bag(tf.constant(ids, tf.int64 if gpu else tf.int32))
            loss = tf.reduce_sum(tf.cast(total * weights, tf.float32))
        results.append((total.numpy(), tf.convert_to_tensor(tape.gradient(loss, bag.table.value)).numpy()))
    tolerance = 1e-5 if dtype == "float32" else 0.03
    for on_cpu, on_gpu in zip(*results, strict=True):
        np.testing.assert_allclose(on_gpu, on_cpu, rtol=tolerance, atol=tolerance)
    assert not results[1][0][0, 0].any() and not results[1][1][0].any()


@pytest.mark.parametrize("name", ["many", "one", "lookbacks", "performance"])
def test_a_gpu_is_given_the_same_likelihood(name, monkeypatch):
    """All but the recurrent layers, whose operation a CPU lacks."""
    vocabulary = VOCABULARIES[name]
    model = toys.model(name, 2)
    inputs = toys.batch([encode(toys.piece(vocabulary, seed), vocabulary) for seed in range(3)])
    found = [model.log_likelihood(inputs, model.initial_state(3))[0].numpy()]
    for module in ("heads", "where", "keras_model"):
        monkeypatch.setattr(f"melodygru.model.{module}.on_gpu", lambda: True)
    found.append(model.log_likelihood(inputs, model.initial_state(3))[0].numpy())
    np.testing.assert_allclose(found[1], found[0], rtol=1e-5, atol=1e-5)


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_the_script_goes_through_all_its_sections_on_a_cpu(tmp_path):
    data = tmp_path / "data" / "songs"
    data.mkdir(parents=True)
    for path in sorted((ROOT / "data" / "starter" / "chorales").glob("*.mid"))[:12]:
        (data / path.name).write_bytes(path.read_bytes())
    command = [sys.executable, str(ROOT / "benchmarks" / "gpu.py"), "--small", "--out", str(tmp_path / "out")]
    command += ["--model", str(ROOT / "checkpoints" / "starter.keras")]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1"}
    run = subprocess.run(
        [*command, "--data", str(data.parent)], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stdout + run.stderr
    found = json.loads((tmp_path / "out" / "gpu.json").read_text())
    assert found["parity tf32=False"]["per_note"] < 1e-6
    assert found["gru float32, TF32 off"]["error"] < 1e-5
    assert found["speed tiny"]["notes_per_s"] > 0
    assert len(found["curve float32, TF32 off"]) == len(found["curve cpu"]) == 3
    assert found["train"]["nats_per_note"] > 0
