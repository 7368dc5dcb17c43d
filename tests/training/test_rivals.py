"""The comparison: equal sizes, an honest Transformer, and `melodygru compare` from end to end."""

import dataclasses
import itertools
import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import keras
import numpy as np
import pytest
import toys
from click.testing import CliRunner
from toys import VOCABULARIES

from melodygru import training
from melodygru.cli import main
from melodygru.errors import SettingError
from melodygru.events import FIELDS, PART_HISTORY, encode, windows
from melodygru.model.architecture import PRESETS, Architecture
from melodygru.render import pictures
from melodygru.training import rivals
from melodygru.training.feeding import begun
from melodygru.training.rivals import TransformerSizes
from melodygru.training.rivals.contestant import new_model, seconds_per_note, transformer_rate
from melodygru.training.rivals.job import read_pieces, write_pieces
from melodygru.training.rivals.network import Cache
from melodygru.training.rivals.transformer import Transformer, network_of

SIZES = TransformerSizes(layers=2, units=8, hidden=12, embedding=6, head=7, heads=2, span=64)


def _transformer(name, span=64, seed=0, deep=True):
    """A toy Transformer with random weights, biases too."""
    model = new_model(VOCABULARIES[name], dataclasses.replace(SIZES, span=span, deep=deep), seed, ())
    rng = np.random.default_rng(seed)
    for variable in model.trainable_variables:
        variable.assign(rng.normal(0, 0.4, variable.shape).astype(np.float32))
    return model


# -- equal sizes


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("name", ["one", "many", "performance"])
def test_all_have_as_many_parameters_within_two_per_cent(preset, name):
    vocabulary = VOCABULARIES[name]
    gru = Architecture.preset(preset).for_corpus(100_000)
    sizes = rivals.equal_sizes(vocabulary, gru)
    assert list(sizes) == ["gru", "lstm", "transformer"] == list(rivals.NAMES)
    assert sizes["gru"] == gru
    lstm, transformer = sizes["lstm"], sizes["transformer"]
    assert lstm == dataclasses.replace(gru, cell="lstm", units=lstm.units) and lstm.units < gru.units
    assert transformer.layers == gru.layers + 2
    assert 3 * transformer.units < transformer.hidden < 5 * transformer.units
    assert transformer.units % (2 * transformer.heads) == 0  # each head rotates pairs
    for field in ("embedding", "head", "drop_input", "drop_layer", "drop_head"):
        assert getattr(transformer, field) == getattr(gru, field)
    target = rivals.count(vocabulary, gru)
    for one in sizes.values():
        assert rivals.count(vocabulary, one) == pytest.approx(target, rel=0.02)


@pytest.mark.parametrize("name", ["one", "many"])
def test_parameters_are_counted_as_keras_counts_them(name):
    gru = Architecture(layers=2, units=10, embedding=8, head=9)
    for sizes in rivals.equal_sizes(VOCABULARIES[name], gru).values():
        model = new_model(VOCABULARIES[name], sizes, 0, ())
        parameters = sum(int(np.prod(v.shape)) for v in model.trainable_variables)
        assert rivals.count(VOCABULARIES[name], sizes) == parameters


def test_only_the_models_asked_for_are_sized():
    vocabulary, gru = VOCABULARIES["one"], PRESETS["tiny"]
    assert list(rivals.equal_sizes(vocabulary, gru, ["transformer", "gru"])) == ["transformer", "gru"]
    with pytest.raises(SettingError, match="model 'rnn': expected some of gru, lstm, transformer"):
        rivals.equal_sizes(vocabulary, gru, ["gru", "rnn"])


# -- the Transformer is honest


@pytest.mark.slow
@pytest.mark.parametrize("name", ["one", "many", "performance"])
def test_what_comes_later_changes_nothing_said_before(name):
    """Of every window input, event t's own fields in their order: earlier logits and earlier fields stay."""
    vocabulary, model = VOCABULARIES[name], _transformer(name)
    inputs = toys.batch([encode(toys.piece(vocabulary, 1, 20), vocabulary)])
    logits = {field: values.numpy() for field, values in model.logits(inputs, model.initial_state(1))[0].items()}
    for t in (0, 1, 7, inputs["fields"].shape[1] - 1):
        for column, field in enumerate(vocabulary.fields):
            changed = {key: values.copy() for key, values in inputs.items()}
            changed["fields"][:, t, column] = (changed["fields"][:, t, column] + 1) % vocabulary.size(field)
            # What the model is given of event t: its fields one step later, and the contexts after them.
            changed["previous"][:, t + 1 :] = 1
            changed["before"][:, t + 1 :] = 2
            changed["context"][:, t + 2 :] = 3
            found = model.logits(changed, model.initial_state(1))[0]
            for later, other in enumerate(vocabulary.fields):
                moved = np.abs(found[other].numpy() - logits[other]).max(-1)[0]
                assert moved[:t].max(initial=0) < 1e-6
                if later <= column:
                    assert moved[t] < 1e-6, f"{other} of event {t} is given its own {field}"
                assert t == len(moved) - 1 or moved[t + 1 :].min() > 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("cuts", [(1,), (14,), (3, 4, 20), (5, 10, 15, 20, 25)])
@pytest.mark.parametrize("span", [3, 8, 64])
def test_a_piece_in_windows_has_the_likelihood_of_the_piece_at_once(span, cuts):
    vocabulary, model = VOCABULARIES["many"], _transformer("many", span)
    pieces = [encode(toys.piece(vocabulary, seed, 30), vocabulary) for seed in (0, 1)]
    whole = model(toys.batch(pieces)).numpy()
    state, parts, edges = model.initial_state(2), [], [0, *cuts, whole.shape[1]]
    for start, stop in itertools.pairwise(edges):
        log_p, state = model.log_likelihood(toys.batch(pieces, start, stop), state)
        parts.append(log_p.numpy())
        assert [memory.shape for memory in state] == [(2, min(stop, span), 8)] * 2
    np.testing.assert_allclose(np.concatenate(parts, 1), whole, atol=1e-5)


def test_a_row_that_begins_anew_knows_nothing_of_the_piece_before():
    vocabulary, model = VOCABULARIES["many"], _transformer("many", 8)
    pieces = [encode(toys.piece(vocabulary, seed, 30), vocabulary) for seed in (0, 1)]
    _, state = model.log_likelihood(toys.batch(pieces, 0, 12), model.initial_state(2))
    state = begun(state, np.array([False, True]))
    anew = windows(pieces, [12, 0], 9)
    found = model.log_likelihood(anew, state)[0].numpy()
    whole = model(toys.batch(pieces)).numpy()
    np.testing.assert_allclose(found[0], whole[0, 12:21], atol=1e-5)
    np.testing.assert_allclose(found[1], whole[1, :9], atol=1e-5)


def test_what_lies_beyond_the_span_of_all_layers_is_forgotten():
    """Two layers of span s reach 2 (s - 1) events back, and no further."""
    vocabulary, span = VOCABULARIES["one"], 4
    model = _transformer("one", span)
    inputs = toys.batch([encode(toys.piece(vocabulary, 0, 30), vocabulary)])
    logits = model.logits(inputs, model.initial_state(1))[0]["shift"].numpy()[0]
    changed = {**inputs, "previous": inputs["previous"].copy()}
    changed["previous"][:, 5] = 7
    moved = np.abs(model.logits(changed, model.initial_state(1))[0]["shift"].numpy()[0] - logits).max(-1) > 1e-6
    assert np.flatnonzero(moved).tolist() == list(range(5, 5 + 2 * (span - 1) + 1))


def test_a_position_counts_as_a_distance():
    """The same events later in a piece, the memory full of the same, have the same likelihood."""
    model = _transformer("one", span=4)
    one = toys.batch([encode(toys.piece(VOCABULARIES["one"], 0, 5), VOCABULARIES["one"])], 2, 3)
    inputs = {name: np.repeat(values[:, -1:], 12 + (name == "context"), 1) for name, values in one.items()}
    logits = model.logits(inputs, model.initial_state(1))[0]["shift"].numpy()[0]
    np.testing.assert_allclose(logits[7:], logits[-1:].repeat(5, 0), atol=1e-5)


# -- its step


def _logits(network, inputs):
    """Logits of each field over whole pieces, all as streams of one batch: {field: (streams, T, classes)}."""
    fields, part_history = inputs["fields"], inputs["part_history"]
    state = network.initial_state(len(fields))
    found = {field: [] for field in network.vocabulary.fields}
    for t in range(fields.shape[1]):
        step = network.step(inputs["previous"][:, t], inputs["before"][:, t], inputs["context"][:, t], state)
        state = step.state
        chosen = {field: np.maximum(fields[:, t, column], 0) for column, field in enumerate(FIELDS)}
        chosen |= dict(zip(PART_HISTORY, part_history[:, t].T, strict=True))
        found["shift"].append(step.logits("shift", None, inputs["shift_pointers"][:, t]))
        arrives = ("pitch_class_levels", "part_descriptions", "line_up")
        step.arrive(inputs["context"][:, t + 1], *(inputs[name][:, t] for name in arrives))
        for field in network.vocabulary.fields[1:]:
            pointers = inputs[f"{field}_pointers"][:, t] if field != "part" else None
            found[field].append(step.logits(field, chosen, pointers))
    return {field: np.stack(values, 1) for field, values in found.items()}


@pytest.mark.parametrize(
    ("name", "span", "deep"), [("one", 64, True), ("many", 64, False), ("many", 5, True), ("performance", 1, True)]
)
def test_the_cached_step_is_the_keras_form(name, span, deep):
    vocabulary, model = VOCABULARIES[name], _transformer(name, span, deep=deep)
    encoded = [encode(toys.piece(vocabulary, seed, 30), vocabulary) for seed in (0, 1)]
    inputs = toys.batch(encoded)
    found = _logits(network_of(model), inputs)
    expected, _ = model.logits(inputs, model.initial_state(2))
    assert set(found) == set(vocabulary.fields) == set(expected)
    for column, field in enumerate(vocabulary.fields):
        right = expected[field].numpy()
        compared = (right > -1e8) & (inputs["fields"][..., column] >= 0)[..., None]
        np.testing.assert_allclose(found[field][compared], right[compared], rtol=1e-4, atol=1e-4)
        assert right[compared].std() > 0.05  # so that equality says something


def test_a_cache_keeps_the_last_events():
    cache = Cache(streams=1, heads=1, width=2, span=3)
    for n in range(20):
        keys, values = cache.add(np.full((1, 1, 2), n), np.full((1, 1, 2), -n))
        assert keys[0, 0, :, 0].tolist() == list(range(max(0, n - 2), n + 1))
        assert values[0, 0, :, 1].tolist() == [-key for key in keys[0, 0, :, 0]]
    assert cache.events == 20


def test_it_composes():
    assert 0 < seconds_per_note(network_of(_transformer("many")), seed=1, notes=3) < 10


# -- training it


@pytest.mark.slow
def test_it_trains_as_the_others_do(tmp_path):
    vocabulary = VOCABULARIES["one"]
    pieces = [toys.piece(vocabulary, seed, 30) for seed in range(2)]
    model = _transformer("one")
    before = training.evaluate(model, pieces).nats_per_note
    settings = training.Settings(epochs=6, batch=2, window=16, learning_rate=1e-2, warmup=2)
    trainer = training.Trainer(model, (pieces, [None] * 2), pieces, settings, tmp_path / "toy.keras")
    assert trainer.run()
    assert trainer._step.experimental_get_tracing_count() == 1
    assert trainer.position.best < before - 0.1
    loaded = keras.models.load_model(tmp_path / "toy.keras")
    inputs = toys.batch([encode(pieces[0], vocabulary)])
    assert isinstance(loaded, Transformer) and loaded.architecture == SIZES
    found = -loaded(inputs).numpy().sum() / len(pieces[0])
    assert found < before


@pytest.mark.slow
@pytest.mark.parametrize("make", [_transformer, lambda name: toys.new_model(VOCABULARIES[name], 2, cell="lstm")])
def test_what_it_carries_from_window_to_window_is_saved_and_restored(make, tmp_path):
    pieces = [toys.piece(VOCABULARIES["one"], seed, 30) for seed in range(2)]
    settings = training.Settings(epochs=1, batch=2, window=16)
    trainers = [
        training.Trainer(make("one"), (pieces, [None] * 2), pieces, settings, tmp_path / "toy.keras") for _ in range(2)
    ]
    trainers[0].stop()
    assert not trainers[0].run()  # one step, in the middle of the pieces
    trainers[1].restore()
    assert len(trainers[1].state) == len(trainers[0].state) > 1
    for state, restored in zip(trainers[0].state, trainers[1].state, strict=True):
        np.testing.assert_array_equal(state, restored)
        assert np.abs(state).max() > 0


@pytest.mark.parametrize(("units", "share"), [(8, 1), (128, 1), (136, 128 / 136), (256, 0.5)])
def test_its_learning_rate_falls_with_its_width(units, share):
    rate = transformer_rate(dataclasses.replace(SIZES, units=units))
    assert rate == pytest.approx(share * training.Settings.learning_rate)


# -- the processes


def test_pieces_go_to_another_process_unchanged(tmp_path):
    for name in ("many", "performance"):
        pieces = [toys.piece(VOCABULARIES[name], seed, n) for seed, n in ((0, 9), (1, 1), (2, 30))]
        write_pieces(tmp_path / "pieces.npz", pieces)
        read = read_pieces(tmp_path / "pieces.npz")
        assert len(read) == 3
        for piece, other in zip(pieces, read, strict=True):
            assert (other.grid, other.length) == (piece.grid, piece.length)
            for array in ("notes", "tempos", "metres"):
                np.testing.assert_array_equal(getattr(other, array), getattr(piece, array))


def _files(tunes, folder, n=4):
    """A folder of a few tunes."""
    folder.mkdir()
    for path in sorted(tunes.rglob("*.mid"))[:n]:
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


OPTIONS = ("--preset", "tiny", "--minutes", "0.2", "--threads", "1")


@pytest.mark.slow
def test_a_model_is_measured_in_a_process_of_its_own(melodygru, tunes, tmp_path):
    folder = _files(tunes, tmp_path / "few")
    process = melodygru("compare", folder, *OPTIONS, "--only", "gru", "--json", "--png", "c.png", cwd=tmp_path)
    stdout, stderr = process.communicate(timeout=240)
    assert process.returncode == 0, stderr
    found = json.loads(stdout)
    assert (found["pieces"], found["held_out"]["pieces"], found["held_out"]["notes"]) == (3, 1, 32)
    (gru,) = found["models"]
    assert gru["name"] == "gru" and gru["sizes"]["units"] == 128 and gru["parameters"] > 100_000
    assert 0 < gru["nats_per_note"] < 15 and gru["history"][-1][1] == pytest.approx(gru["nats_per_note"], abs=1.0)
    assert gru["steps"] >= 1 and gru["sampling_us_per_note"] > 0
    assert gru["training_notes_per_second"] > 0 or gru["steps"] == 1  # the first traces: a busy machine does no other
    assert gru["memory_bytes"] > gru["memory_before_bytes"] > 100 << 20
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.png", "few"]  # no model is left behind
    assert "3 pieces to learn, 1 held out" in stderr and "GRU (1 of 1): step " in stderr


@pytest.mark.slow
def test_all_three_are_measured_and_tabled(melodygru, tunes, tmp_path):
    process = melodygru("compare", _files(tunes, tmp_path / "few"), *OPTIONS, cwd=tmp_path)
    stdout, stderr = process.communicate(timeout=600)
    assert process.returncode == 0, stderr
    rows = stdout.splitlines()
    assert rows[0].split() == ["model", "layers", "parameters", "nats/note", "notes/s", "us/note", "MiB"]
    parameters = {}
    for row in rows[1:4]:
        name, _, _, _, count, *figures = row.split()
        parameters[name] = int(count.replace(",", ""))
        assert all(float(figure.replace(",", "")) > 0 for figure in figures) and len(figures) == 4
    assert list(parameters) == ["GRU", "LSTM", "Transformer"]
    assert max(parameters.values()) < 1.02 * min(parameters.values())
    assert "each layer attends to the last 512 notes" in stdout


def _child(pid):
    """The process that a process has started, as (its id, its command line), or None."""
    found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False).stdout.split()
    if not found:
        return None
    shown = subprocess.run(["ps", "-ww", "-o", "args=", "-p", found[0]], capture_output=True, text=True, check=False)
    return int(found[0]), shown.stdout.split()


@pytest.mark.skipif(shutil.which("pgrep") is None, reason="needs pgrep")
@pytest.mark.parametrize(
    ("number", "code", "said"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
)
def test_ctrl_c_and_sigterm_leave_a_line_and_nothing_else(melodygru, tunes, tmp_path, number, code, said):
    folder = _files(tunes, tmp_path / "few")
    process = melodygru("compare", folder, "--preset", "tiny", "--minutes", "5", "--threads", "1", cwd=tmp_path)
    try:
        until, child = time.monotonic() + 60, None
        while time.monotonic() < until and (child is None or child[1][1:3] != ["-m", "melodygru.training.rivals"]):
            time.sleep(0.1)
            child = _child(process.pid)
        pid, (*_, job, name) = child
        assert Path(job).is_dir() and name == "gru"
        process.send_signal(number)
        _, stderr = process.communicate(timeout=60)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == code, stderr
    assert stderr.strip().splitlines()[-1] == f"melodygru: {said}"
    assert "Traceback" not in stderr
    assert not Path(job).exists()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


# -- train --cell lstm


@pytest.mark.slow
def test_an_lstm_is_trained_judged_and_composes(tunes, tmp_path, monkeypatch):
    monkeypatch.setenv("MELODYGRU_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    folder, run = _files(tunes, tmp_path / "few"), CliRunner().invoke
    options = ["--preset", "tiny", "--cell", "lstm", "--epochs", "1", "--output", "lstm.keras", "--json"]
    trained = run(main, ["train", str(folder), *options])
    assert trained.exit_code == 0, trained.stderr
    report = json.loads(trained.stdout)
    assert report["architecture"]["cell"] == "lstm"
    model = ["--model", "lstm.keras"]
    judged = run(main, ["evaluate", str(folder), *model, "--json"])
    assert 0 < json.loads(judged.stdout)["nats_per_note"] < 20
    composed = run(main, ["generate", *model, "--notes", "5", "--seed", "1", "--output-dir", "new"])
    assert composed.exit_code == 0, composed.stderr
    assert [path.suffix for path in (tmp_path / "new").iterdir()] == [".mid"]
    refused = run(main, ["train", str(folder), "--from", "lstm.keras", "--cell", "gru", "--epochs", "1"])
    assert refused.exit_code == 2
    assert "--cell and --from: the checkpoint brings its cell, leave --cell out" in refused.stderr


# -- what goes wrong


def _job():
    """A job of two models that none of these tests trains, and its music."""
    sizes = {"gru": Architecture(layers=1, units=4, embedding=4, head=4), "lstm": SIZES}
    job = rivals.Job(VOCABULARIES["one"], sizes, styles=[None], minutes=0.01, seed=0)
    return job, [toys.piece(VOCABULARIES["one"])]


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ('print(\'{"device": "x"}\'); print(\'{"error": "too little"}\'); raise SystemExit(1)', "too little"),
        ("import sys; print('noise', file=sys.stderr); sys.exit('odd: 3')", "its process ended with code 1: odd: 3"),
        ("raise SystemExit(4)", "its process ended with code 4: it said nothing"),
        (
            "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
            "its process was ended by signal 9; the memory may not suffice, try a smaller --preset",
        ),
    ],
)
def test_a_model_that_fails_is_named_and_the_others_go_on(monkeypatch, script, message):
    job, pieces = _job()
    real, reports = subprocess.Popen, []

    def start(command, **options):
        assert command[1:3] == ["-m", "melodygru.training.rivals"]
        return real([command[0], "-c", script], **options)

    monkeypatch.setattr(subprocess, "Popen", start)
    results = list(rivals.compare(job, pieces, pieces, on_report=lambda name, values: reports.append(name)))
    assert results == [rivals.Failed("gru", message), rivals.Failed("lstm", message)]
    assert results[0].as_dict() == {"name": "gru", "error": message}


def test_when_all_fail_it_is_an_error_of_one_line(tunes, tmp_path, monkeypatch):
    monkeypatch.setenv("MELODYGRU_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(
        "melodygru.training.rivals.compare", lambda *_, **__: iter([rivals.Failed("gru", "out of luck")])
    )
    run = CliRunner().invoke(main, ["compare", str(tunes), "--only", "gru"])
    assert run.exit_code == 1
    assert run.stderr.splitlines()[-1] == "melodygru: no model could be measured; gru: out of luck"


def test_one_that_fails_is_said_beside_the_figures_of_the_others(tunes, tmp_path, monkeypatch):
    monkeypatch.setenv("MELODYGRU_CACHE", str(tmp_path / "cache"))
    lstm = rivals.Result(
        "lstm", {"layers": 1, "units": 112}, 1_234_567, "a CPU", 3.0, 90, 2, 3e-3, 1.23456, 5300.4, 612.7, None, None
    )
    monkeypatch.setattr(
        "melodygru.training.rivals.compare", lambda *_, **__: iter([rivals.Failed("gru", "out of luck"), lstm])
    )
    run = CliRunner().invoke(main, ["compare", str(tunes), "--only", "gru", "--only", "lstm"])
    assert run.exit_code == 1
    assert "warning: GRU: out of luck" in run.stderr.splitlines()
    assert run.stdout.splitlines() == [
        "model  layers   parameters  nats/note  notes/s  us/note  MiB",
        "LSTM   1 x 112   1,234,567     1.2346    5,300      613    ?",
        "held out: 1 piece, 32 notes (a tenth of the pieces, seed 0)",
    ]
    run = CliRunner().invoke(main, ["compare", str(tunes), "--only", "gru", "--only", "lstm", "--json"])
    assert [model["name"] for model in json.loads(run.stdout)["models"]] == ["gru", "lstm"]


def test_a_picture_of_another_kind_is_refused_before_anything_is_read(tmp_path):
    run = CliRunner().invoke(main, ["compare", str(tmp_path / "gone"), "--png", "c.jpg"])
    assert run.exit_code == 1
    assert run.stderr == "melodygru: --png c.jpg: expected a name that ends in .png or .svg\n"


# -- the picture


def test_the_picture_shows_each_model(tmp_path):
    models = [
        {
            "label": label,
            "history": history,
            "nats_per_note": nats,
            "training_notes_per_second": 5300.0,
            "sampling_us_per_note": 612.0,
            "memory_bytes": memory,
        }
        for label, nats, history, memory in (
            ("GRU", 1.25, [[0.5, 2.0], [1.0, 1.25]], 800 << 20),
            ("Transformer", 1.5, [[1.0, 1.5]], None),
        )
    ]
    curves, *bars = pictures.rivals_figure(models).axes
    assert [line.get_label() for line in curves.lines] == ["GRU", "Transformer"]
    assert curves.lines[0].get_xydata().tolist() == [[0.5, 2.0], [1.0, 1.25]]
    assert [[text.get_text() for text in axes.texts] for axes in bars] == [
        ["1.250", "1.500"], ["5,300", "5,300"], ["612", "612"], ["800", "unknown"],
    ]  # fmt: skip
    pictures.save(pictures.rivals_figure(models), tmp_path / "a.svg")
    assert (tmp_path / "a.svg").read_text("utf-8").count("<path") > 20
    with pytest.raises(SettingError, match="expected a name that ends in .png or .svg"):
        pictures.save(pictures.rivals_figure(models), tmp_path / "a.jpg")
