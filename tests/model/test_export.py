"""The Keras model elsewhere: exported, compiled by XLA, saved by Keras with all that its file held."""

import shutil
import warnings
import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf
import toys
from toys import VOCABULARIES

from melodygru.analysis import originality
from melodygru.errors import SettingError
from melodygru.events import encode
from melodygru.model import checkpoint
from melodygru.model.keras_model import load_model, save


def inputs_of(name, pieces=3):
    return toys.batch([encode(toys.piece(VOCABULARIES[name], seed), VOCABULARIES[name]) for seed in range(pieces)])


def parts_of(inputs):
    """The whole batch, one piece of it, and three events of one: any batch and length will do."""
    yield slice(None), slice(None), inputs
    yield slice(0, 1), slice(None), {name: values[:1] for name, values in inputs.items()}
    short = {name: values[:1, : 4 if name == "context" else 3] for name, values in inputs.items()}
    yield slice(0, 1), slice(0, 3), short


@pytest.mark.slow
@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_a_saved_model_gives_the_same_numbers(cell, tmp_path):
    model, inputs = toys.model("many", 2, cell=cell), inputs_of("many")
    expected = model(inputs).numpy()
    model.export(str(tmp_path / "exported"), verbose=False)
    served = tf.saved_model.load(str(tmp_path / "exported"))
    for rows, events, part in parts_of(inputs):
        found = served.serve({name: tf.constant(values) for name, values in part.items()})
        np.testing.assert_allclose(found, expected[rows, events], atol=1e-5)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("name", "cell"), [("many", "gru"), ("performance", "lstm"), ("pedal", "gru")])
def test_onnx_gives_the_same_numbers(name, cell, tmp_path):
    import onnxruntime

    model, inputs = toys.model(name, 2, cell=cell), inputs_of(name)
    expected = model(inputs).numpy()
    path = str(tmp_path / "model.onnx")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of what Keras does to NumPy for tf2onnx
        model.export(path, format="onnx", verbose=False)
    session = onnxruntime.InferenceSession(path)
    assert {given.name for given in session.get_inputs()} <= set(inputs)
    for rows, events, part in parts_of(inputs):
        (found,) = session.run(None, {given.name: part[given.name] for given in session.get_inputs()})
        np.testing.assert_allclose(found, expected[rows, events], atol=1e-4)


@pytest.mark.parametrize("name", ["litert", "openvino", "torch", "tflite"])
def test_what_would_give_other_numbers_is_refused_in_a_line(name, tmp_path):
    with pytest.raises(SettingError, match=f"^export as {name}: expected tf_saved_model or onnx; the model takes any"):
        toys.model("one").export(str(tmp_path / "model.tflite"), format=name)
    with pytest.raises(SettingError, match="^opset_version 15: expected 16 or more$"):
        toys.model("one").export(str(tmp_path / "model.onnx"), format="onnx", opset_version=15)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_model_that_xla_cannot_compile_says_so_and_is_trained(tmp_path):
    inputs = inputs_of("one", 2)
    model = toys.new_model(VOCABULARIES["one"])
    with pytest.warns(UserWarning, match="doesn't support `jit_compile=True`"):
        model.compile(optimizer=keras.optimizers.Adam(1e-2), jit_compile=True)
    losses = model.fit(inputs, epochs=2, verbose=0).history["loss"]
    assert losses[1] < losses[0]


@pytest.fixture(scope="module")
def indexed(tmp_path_factory):
    """A checkpoint with an index of three pieces, and the index."""
    path = tmp_path_factory.mktemp("indexed") / "toy.keras"
    save(toys.model("one"), path)
    vocabulary = VOCABULARIES["one"]
    index = originality.Index.build(((f"{n}.mid", toys.piece(vocabulary, n)) for n in range(3)), vocabulary.grid)
    originality.attach(path, index)
    return path, checkpoint.read_index(path)


def as_before(path, target):
    """The checkpoint as it was when Keras passed over the index."""
    with zipfile.ZipFile(path) as new, zipfile.ZipFile(target, "w") as old:
        for name in new.namelist():
            old.writestr(name.removeprefix("assets/"), new.read(name))
        assert "originality.npz" in old.namelist()


@pytest.mark.parametrize("made_before", [False, True])
@pytest.mark.parametrize("opened_by", [load_model, keras.models.load_model])
def test_whoever_saves_a_model_saves_its_index(indexed, opened_by, made_before, tmp_path):
    path, content = indexed
    given = tmp_path / "given.keras"
    (as_before if made_before else shutil.copy)(path, given)
    assert checkpoint.read_index(given) == content
    for write in (lambda model, path: model.save(path), save):
        write(opened_by(given), tmp_path / "new.keras")
        assert checkpoint.read_index(tmp_path / "new.keras") == content
        assert originality.read(tmp_path / "new.keras") is not None


def test_an_index_that_is_put_in_replaces_one_made_before(indexed, tmp_path):
    as_before(indexed[0], tmp_path / "toy.keras")
    originality.attach(tmp_path / "toy.keras", originality.read(indexed[0]))
    with zipfile.ZipFile(tmp_path / "toy.keras") as archive:
        assert [name for name in archive.namelist() if "originality" in name] == ["assets/originality.npz"]


def test_a_model_that_goes_on_with_other_music_has_no_index_of_the_old(indexed):
    from melodygru.training import fine_tune_from

    assert load_model(indexed[0]).index == indexed[1]
    assert fine_tune_from(indexed[0], VOCABULARIES["one"].grid).index is None
