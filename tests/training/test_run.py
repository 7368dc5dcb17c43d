"""`melodygru.train`: what the command does, from Python."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import melodygru
from melodygru.errors import SettingError
from melodygru.model import checkpoint
from melodygru.model.keras_model import load_model
from melodygru.training import Count, Progress, TrainSettings, evaluate, fit, read_corpora

SCRIPT = """
import sys, melodygru
assert "tensorflow" not in sys.modules
result = melodygru.train(
    sys.argv[1], output="tunes.keras", preset="tiny", epochs=16, seed=3, threads=1, on_progress=print, on_message=print
)
assert "tensorflow" in sys.modules
print(result.held_out.nats_per_note)
"""


@pytest.mark.slow
def test_python_and_the_command_train_the_same_model(trained, tunes, tmp_path):
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tunes)], cwd=tmp_path, env=dict(os.environ), capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    ours, theirs = checkpoint.read(tmp_path / "tunes.keras"), checkpoint.read(trained.path)
    assert ours.weights.keys() == theirs.weights.keys()
    assert all(np.array_equal(ours.weights[name], theirs.weights[name]) for name in theirs.weights)
    lines = run.stdout.splitlines()
    assert float(lines[-1]) == trained.report["held_out"]["nats_per_note"]
    assert any(line.startswith("step ") for line in lines)
    assert any(line.startswith("reading ") for line in lines) and any(line.startswith("indexing ") for line in lines)


@pytest.mark.slow
def test_a_run_from_python_is_reported_interrupted_and_resumed(tunes):
    progress, messages = [], []

    def interrupt(update):
        progress.append(update)
        if isinstance(update, Progress):
            signal.raise_signal(signal.SIGINT)

    settings = {"output": "a.keras", "preset": "tiny", "epochs": 2, "batch": 32}
    stopped = melodygru.train(tunes, on_progress=interrupt, on_message=messages.append, **settings)
    assert stopped.interrupted_by == signal.SIGINT and stopped.held_out is None
    stages = {update.stage for update in progress if isinstance(update, Count)}
    assert stages >= {f"reading {tunes}", "indexing notes"}
    assert any(line.startswith("training on the CPU, ") and " thread" in line for line in messages)
    assert messages[-1].endswith("11 pieces to learn, 1 held out (a tenth of the pieces, seed 0)")
    assert messages[-2].startswith("an update learns from 64 events of 32 pieces; learning rate 0.003 after 50 updates")

    result = melodygru.train(tunes, TrainSettings(**settings, resume=True))
    assert result.interrupted_by is None and result.settings.epochs == 2 and result.settings.batch == 32
    assert result.history[-1]["validation_nats_per_note"] > 0
    assert all(path.exists() for path in result.paths.values())
    assert result.held_out.nats_per_note == evaluate(load_model("a.keras"), read_corpora(tunes).held_out).nats_per_note
    assert result.as_dict()["paths"] == {"checkpoint": "a.keras", "history": "a.csv", "picture": "a.png"}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"minutes": 1, "epochs": 1}, "^--minutes and --epochs: give one of them$"),
        ({"start_from": "x.keras", "preset": "tiny"}, "^--preset and --from: the checkpoint brings its size, leave"),
        ({"start_from": "x.keras", "cell": "gru"}, "^--cell and --from: the checkpoint brings its cell, leave"),
        ({"preset": "huge"}, "^preset huge: expected one of tiny, small, base, large$"),
        ({"epochs": 0}, "^epochs 0: expected more than 0"),
        ({"seed": -1}, r"^seed -1: expected 0\.\.1,000,000$"),
        ({"threads": 0}, r"^threads 0: expected 1\.\.1,024$"),
    ],
)
def test_settings_that_do_not_go_together_or_are_out_of_range(tmp_path, values, message):
    with pytest.raises(SettingError, match=message):
        melodygru.train(tmp_path, **values)


@pytest.mark.slow
def test_minutes_count_from_the_commands_start(tunes):
    """Of a minute that is over already nothing is left to train; what follows is measured before, and said."""
    messages = []
    result = melodygru.train(
        tunes, minutes=1, output="a.keras", preset="tiny", started=time.perf_counter() - 60, on_message=messages.append
    )
    assert [row["step"] for row in result.history] == [1]
    assert result.held_out.nats_per_note == result.history[0]["validation_nats_per_note"]
    assert result.held_out == evaluate(load_model("a.keras"), read_corpora(tunes).held_out)
    assert all(path.exists() for path in result.paths.values())
    assert messages[-2].startswith("of 1:00, 1:") and messages[-2].endswith(" and a last judgement follow training")
    assert messages[-1].startswith("warning: less than half of the minutes asked for is left to train")


def test_settings_are_given_once(tmp_path):
    with pytest.raises(SettingError, match="^epochs: expected settings or keyword arguments, not both$"):
        melodygru.train(tmp_path, TrainSettings(), epochs=1)


def test_sizes_follow_from_the_corpus(tunes):
    corpus = read_corpora(tunes).train
    vocabulary, sizes = fit(corpus, "tiny", "lstm")
    assert vocabulary.styles == ("high", "low") and vocabulary.grid == corpus.grid
    assert (sizes.units, sizes.cell, sizes.drop_layer, sizes.deep) == (128, "lstm", 0.6, False)


def test_settings_and_sizes_need_no_tensorflow():
    code = (
        "import sys; from melodygru.training import Settings, TrainSettings, fit, read_corpora, rivals; "
        "import melodygru.training.run; assert not {'tensorflow', 'keras'} & set(sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_metre_asked_for_is_that_of_all_pieces(tunes, tmp_path):
    corpora = read_corpora(tunes, tunes, metre=(3, 4))
    for corpus in (corpora.train, corpora.held_out):
        assert {piece.metre for piece in corpus.pieces} == {(3, 4)}
