"""Checkpoints: read without TensorFlow, found by their recorded time, and refused with the reason."""

import hashlib
import io
import json
import subprocess
import sys
import zipfile
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pytest
import toys
from toys import VOCABULARIES

from melodygru.errors import CheckpointError, SettingError
from melodygru.model import checkpoint
from melodygru.model.architecture import (
    DEEP,
    PRESETS,
    Architecture,
    count_parameters,
    count_shared_parameters,
)
from melodygru.model.keras_model import load_model, save


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("checkpoint") / "toy.keras"
    save(toys.model("many", 2), path, {"recorded": "2026-05-01T10:00:00+00:00", "seed": 7})
    return path


def _members(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _write(path, members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def _with_settings(path, source, **changes):
    """A copy of a checkpoint with other settings."""
    members = _members(source)
    config = json.loads(members["config.json"])
    config["config"].update(changes)
    return _write(path, {**members, "config.json": json.dumps(config)})


# -- reading


@pytest.mark.parametrize(
    ("name", "layers", "cell"), [("one", 1, "gru"), ("many", 3, "gru"), ("performance", 2, "gru"), ("many", 2, "lstm")]
)
def test_weights_are_those_of_keras(name, layers, cell, tmp_path):
    model = toys.model(name, layers, cell=cell)
    save(model, tmp_path / "toy.keras")
    read = checkpoint.read(tmp_path / "toy.keras")
    assert read.vocabulary == model.vocabulary
    assert read.architecture == model.architecture
    expected = {"bag": model.bag.table}
    for index in range(layers):
        layer = model.get_layer(f"{cell}_{index}")
        for part, weight in zip(("kernel", "recurrent", "bias"), layer.trainable_variables, strict=True):
            expected[f"{cell}/{index}/{part}"] = weight
    for field in model.vocabulary.fields:
        head = getattr(model, f"head_{field}")
        layers_of_head = {"hidden": head.hidden, "output": head.output_layer}
        if field in DEEP:
            layers_of_head["second"] = head.second
        for part, layer in layers_of_head.items():
            expected[f"head/{field}/{part}/kernel"] = layer.kernel
            expected[f"head/{field}/{part}/bias"] = layer.bias
        if head.bag is not None:
            expected[f"head/{field}/bag"] = head.bag.table
    assert set(read.weights) == set(expected)
    for part, weight in expected.items():
        np.testing.assert_array_equal(read.weights[part], weight.numpy())
        assert read.weights[part].dtype == np.float32
    parameters = sum(int(np.prod(v.shape)) for v in model.trainable_variables)
    assert read.n_parameters == parameters == count_parameters(model.vocabulary, model.architecture)
    a = model.architecture
    shared = sum(int(np.prod(w.shape)) for part, w in expected.items() if not part.startswith(cell))
    assert count_shared_parameters(model.vocabulary, a.embedding, a.head, a.units, a.deep) == shared


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_half_the_size_is_the_same_model_to_three_digits(cell, tmp_path):
    model = toys.model("many", 2, cell=cell)
    save(model, tmp_path / "full.keras")
    save(model, tmp_path / "half.keras", float16=True)
    full, half = (checkpoint.read(tmp_path / f"{name}.keras") for name in ("full", "half"))
    assert set(half.weights) == set(full.weights) and half.vocabulary == full.vocabulary
    for part, weight in half.weights.items():
        assert weight.dtype == np.float32
        np.testing.assert_array_equal(weight, full.weights[part].astype(np.float16))
    loaded = load_model(tmp_path / "half.keras")
    np.testing.assert_array_equal(loaded.bag.table, half.weights["bag"])
    assert (tmp_path / "half.keras").stat().st_size < 0.6 * (tmp_path / "full.keras").stat().st_size


def test_the_card_comes_with_it(saved):
    assert checkpoint.read(saved).card == {"recorded": "2026-05-01T10:00:00+00:00", "seed": 7}
    assert checkpoint.read_settings(saved)["card"]["seed"] == 7


def test_reading_needs_no_tensorflow(saved):
    code = (
        "import sys; from pathlib import Path; from melodygru.model import checkpoint; "
        f"checkpoint.read(Path({str(saved)!r})); "
        "print([m for m in ('tensorflow', 'keras') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (result.stdout.strip(), result.returncode) == ("[]", 0), result.stderr


# -- what is refused


def test_a_missing_file_is_named(tmp_path):
    for read in (checkpoint.read, checkpoint.read_settings, checkpoint.find):
        with pytest.raises(CheckpointError, match=r"gone\.keras: no such checkpoint$"):
            read(tmp_path / "gone.keras")


@pytest.mark.parametrize("data", [b"", b"PK", b"MThd junk", b"\x00" * 4000])
def test_a_file_that_is_no_archive_is_refused(tmp_path, data):
    path = tmp_path / "junk.keras"
    path.write_bytes(data)
    for read in (checkpoint.read, checkpoint.read_settings):
        with pytest.raises(CheckpointError, match=r"junk\.keras: not a readable \.keras file \("):
            read(path)


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match=r"not a readable \.keras file"):
        checkpoint.read(tmp_path)


def test_every_truncation_is_refused(saved, tmp_path):
    data = saved.read_bytes()
    path = tmp_path / "cut.keras"
    for size in [1, 10, len(data) // 3, len(data) // 2, len(data) - 30, len(data) - 1]:
        path.write_bytes(data[:size])
        with pytest.raises(CheckpointError, match=r"cut\.keras: (not a readable|damaged)"):
            checkpoint.read(path)


def test_damage_anywhere_is_refused_or_harmless(saved, tmp_path):
    """Bytes overwritten here and there: never anything but a checkpoint or a CheckpointError."""
    data = saved.read_bytes()
    rng = np.random.default_rng(0)
    path = tmp_path / "damaged.keras"
    refused = 0
    for _ in range(60):
        broken = bytearray(data)
        at = int(rng.integers(0, len(data) - 8))
        broken[at : at + 8] = rng.bytes(8)
        path.write_bytes(broken)
        try:
            checkpoint.read(path)
        except CheckpointError as error:
            assert str(path) in str(error)
            refused += 1
    assert refused > 30


@pytest.mark.parametrize("config", ["", "{", "[]", "3", "null", '"text"', "{}", b"\xff\xfe"])
def test_a_configuration_that_is_none_is_refused(tmp_path, config):
    path = _write(tmp_path / "odd.keras", {"config.json": config})
    with pytest.raises(CheckpointError, match=r"odd\.keras: (not a readable|holds a nameless model)"):
        checkpoint.read(path)


def test_another_model_is_named(tmp_path):
    path = _write(tmp_path / "other.keras", {"config.json": json.dumps({"class_name": "Sequential", "config": {}})})
    with pytest.raises(CheckpointError, match="holds a Sequential model, expected MelodyGRU; make one with melodygru"):
        checkpoint.read(path)


@pytest.mark.parametrize(
    "changes",
    [
        {"vocabulary": {}},
        {"vocabulary": []},
        {"vocabulary": None},
        {"architecture": {"layers": 1}},
        {"architecture": {"layers": 2, "units": 10, "embedding": 8, "head": 9, "wings": 2}},
        {"architecture": None},
        {"architecture": {"layers": 2, "units": 10, "embedding": 8, "head": 9, "cell": "lstm"}},  # of a GRU
        {"architecture": {"layers": 2, "units": 10, "embedding": 8, "head": 9, "cell": "rnn"}},
        {"architecture": {"layers": 3, "units": 10, "embedding": 8, "head": 9}},  # more layers than weights
        {"architecture": {"layers": 2, "units": 11, "embedding": 8, "head": 9}},  # of another size than the weights
    ],
)
def test_settings_that_do_not_fit_are_refused(saved, tmp_path, changes):
    path = _with_settings(tmp_path / "odd.keras", saved, **changes)
    with pytest.raises(CheckpointError, match=r"odd\.keras: damaged, or written by another version of melodygru"):
        checkpoint.read(path)


@pytest.mark.parametrize("parts", [-1, 49, 10**9, 2.5, "3", None])
def test_an_odd_number_of_parts_is_refused(saved, tmp_path, parts):
    vocabulary = {**VOCABULARIES["many"].as_dict(), "parts": parts}
    path = _with_settings(tmp_path / "odd.keras", saved, vocabulary=vocabulary)
    for read in (checkpoint.read, checkpoint.read_vocabulary):
        with pytest.raises(CheckpointError, match=r"odd\.keras: damaged, or written by another version of melodygru"):
            read(path)


@pytest.mark.parametrize("grid", ["fast", 4, None, "0", "-2"])
def test_an_odd_grid_is_refused(saved, tmp_path, grid):
    vocabulary = {**VOCABULARIES["many"].as_dict(), "grid": grid}
    path = _with_settings(tmp_path / "odd.keras", saved, vocabulary=vocabulary)
    for read in (checkpoint.read, checkpoint.read_vocabulary):
        with pytest.raises(CheckpointError, match=r"odd\.keras: damaged, or written by another version of melodygru"):
            read(path)


def test_the_vocabulary_can_be_read_alone(saved):
    assert checkpoint.read_vocabulary(saved) == checkpoint.read(saved).vocabulary == VOCABULARIES["many"]


def test_weights_of_another_vocabulary_are_refused(saved, tmp_path):
    path = _with_settings(tmp_path / "odd.keras", saved, vocabulary=VOCABULARIES["one"].as_dict())
    with pytest.raises(CheckpointError, match="damaged, or written by another version"):
        checkpoint.read(path)


def test_missing_weights_are_refused(saved, tmp_path):
    members = _members(saved)
    del members["model.weights.h5"]
    with pytest.raises(CheckpointError, match="damaged, or written by another version"):
        checkpoint.read(_write(tmp_path / "odd.keras", members))


def test_no_pickle_is_ever_opened(saved, tmp_path):
    """An HDF5 file whose weights are opaque objects is refused."""
    import h5py

    members = _members(saved)
    data = io.BytesIO(members["model.weights.h5"])
    with h5py.File(data, "r+") as file:
        del file["bag/vars/0"]
        file.create_dataset("bag/vars/0", data=np.array([b"text"], dtype=object), dtype=h5py.string_dtype())
    with pytest.raises(CheckpointError, match="damaged, or written by another version"):
        checkpoint.read(_write(tmp_path / "odd.keras", {**members, "model.weights.h5": data.getvalue()}))


# -- finding


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty working folder with ./checkpoints, and no shipped checkpoint."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(checkpoint, "shipped_path", lambda: None)
    (tmp_path / "checkpoints").mkdir()
    return tmp_path / "checkpoints"


def test_the_newest_by_recorded_time_is_found(saved, folder):
    for name, recorded in (("a", "2026-03-01T09:00:00+00:00"), ("b", "2026-03-01T10:00:00+00:00"), ("c", "2025-12-31")):
        _with_settings(folder / f"{name}.keras", saved, card={"recorded": recorded})
    assert checkpoint.find().name == "b.keras"
    _with_settings(folder / "a.keras", saved, card={"recorded": datetime.now(timezone.utc).isoformat()})
    assert checkpoint.find().name == "a.keras"


def test_a_save_in_progress_is_not_found(saved, folder):
    _with_settings(folder / "done.keras", saved, card={"recorded": "2026-01-01"})
    _with_settings(folder / ".done.1f2e3d4c.keras", saved, card={"recorded": "2026-01-02"})
    assert checkpoint.find().name == "done.keras"


def test_junk_and_others_files_are_passed_over(saved, folder):
    (folder / "junk.keras").write_bytes(b"junk")
    (folder / "folder.keras").mkdir()
    _write(folder / "other.keras", {"config.json": json.dumps({"class_name": "Sequential"})})
    _write(folder / "list.keras", {"config.json": "[]"})
    _with_settings(folder / "nocard.keras", saved, card=None)
    (folder / "z.txt").write_text("notes")
    _with_settings(folder / "mine.keras", saved, card={"recorded": "2020-01-01"})
    assert checkpoint.find().name == "mine.keras"


def test_without_any_the_shipped_one_is_used(saved, folder, monkeypatch):
    with pytest.raises(CheckpointError, match=r"no checkpoint in \./checkpoints, and none came .*run melodygru train"):
        checkpoint.find()
    monkeypatch.setattr(checkpoint, "shipped_path", lambda: saved)
    assert checkpoint.find() == saved
    folder.rmdir()
    assert checkpoint.find() == saved


def test_the_one_given_is_used_whatever_lies_about(saved, folder):
    _with_settings(folder / "newer.keras", saved, card={"recorded": "2030-01-01"})
    assert checkpoint.find(saved) == saved


def test_the_shipped_path_is_a_file_or_none():
    path = checkpoint.shipped_path()
    assert path is None or (path.name == checkpoint.SHIPPED and path.is_file())


def test_a_checkpoint_from_before_there_were_lstms_holds_a_gru(saved, tmp_path):
    settings = checkpoint.read_settings(saved)["architecture"]
    assert settings.pop("cell") == "gru"
    path = _with_settings(tmp_path / "old.keras", saved, architecture=settings)
    assert checkpoint.read(path).architecture == checkpoint.read(saved).architecture


# -- formats


OLDER = "format {} of an older melodygru, which knew no plans: train the model anew"


def test_the_format_is_written(saved):
    settings = json.loads(_members(saved)["config.json"])["config"]
    assert settings["format"] == checkpoint.FORMAT == 7
    assert checkpoint.upgrade(settings) == settings


def _without_format(path, source):
    """A copy of a checkpoint as it would have been written before formats had numbers."""
    members = _members(source)
    config = json.loads(members["config.json"])
    del config["config"]["format"]
    return _write(path, {**members, "config.json": json.dumps(config)})


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (None, OLDER.format(1)),
        (4, OLDER.format(4)),
        (8, "format 8 of a newer melodygru, this one reads up to 7: upgrade melodygru"),
    ],
)
def test_an_older_and_a_newer_format_are_refused_in_one_line(saved, tmp_path, number, message):
    import keras

    path = tmp_path / "other.keras"
    _with_settings(path, saved, format=number) if number else _without_format(path, saved)
    for read in (checkpoint.read, checkpoint.read_settings, checkpoint.read_vocabulary, load_model):
        with pytest.raises(CheckpointError) as caught:
            read(path)
        assert str(caught.value) == f"{path}: {message}"
    with pytest.raises(CheckpointError, match=message):
        keras.models.load_model(path)


@pytest.mark.parametrize("number", [0, -1, 1.5, "2", None, True])
def test_a_format_that_is_no_number_is_refused(saved, tmp_path, number):
    path = _with_settings(tmp_path / "odd.keras", saved, format=number)
    with pytest.raises(CheckpointError, match=r"odd\.keras: damaged, or written by another version of melodygru"):
        checkpoint.read(path)


def test_an_upgrade_changes_what_is_read_and_neither_the_file_nor_its_hash(saved, folder, monkeypatch):
    path = _with_settings(folder / "old.keras", saved, card={"recorded": "2026-01-01"}, format=checkpoint.OLDEST)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    upgrades = (lambda settings: {**settings, "card": {"upgraded": True}},)
    monkeypatch.setattr(checkpoint, "_UPGRADES", upgrades)
    monkeypatch.setattr(checkpoint, "FORMAT", checkpoint.OLDEST + 1)
    found = checkpoint.read(path)
    assert (found.card, found.sha256) == ({"upgraded": True}, digest)
    assert checkpoint.find_by_hash(digest).name == "old.keras"
    assert hashlib.sha256(path.read_bytes()).hexdigest() == digest


# -- presets


def test_presets_grow(saved):
    assert list(PRESETS) == ["tiny", "small", "base", "large"]
    sizes = [preset.layers * preset.units**2 for preset in PRESETS.values()]
    assert sizes == sorted(set(sizes))
    assert Architecture.preset("tiny") is PRESETS["tiny"]
    with pytest.raises(SettingError, match="preset 'huge': expected one of tiny, small, base, large"):
        Architecture.preset("huge")


def test_an_unknown_cell_is_refused():
    with pytest.raises(SettingError, match="cell 'rnn': expected one of gru, lstm"):
        Architecture(layers=1, units=2, embedding=2, head=2, cell="rnn")


def test_dropout_falls_with_the_size_of_the_corpus():
    sizes = Architecture.preset("tiny")
    drops = [sizes.for_corpus(n).drop_layer for n in (0, 5_000, 50_000, 1_000_000, 10**9)]
    assert drops == pytest.approx([0.6, 0.6, 0.4, 0.1, 0.1])
    between = sizes.for_corpus(200_000)
    assert 0.1 < between.drop_head < 0.4
    assert between.drop_input == pytest.approx(0.4 * between.drop_head)
    assert between.units == sizes.units


def test_a_small_corpus_has_shallow_heads():
    sizes = Architecture.preset("tiny")
    assert [sizes.for_corpus(n).deep for n in (39_999, 40_000)] == [False, True]


def test_the_shipped_model_is_readable_and_small():
    path = Path(__file__).parents[2] / "checkpoints" / "starter.keras"
    found = checkpoint.read(path)
    assert path.stat().st_size < 12_000_000
    assert found.n_parameters == count_parameters(found.vocabulary, found.architecture)
    assert found.card["seed"] == 0
    np.testing.assert_array_equal(load_model(path).bag.table, found.weights["bag"])
