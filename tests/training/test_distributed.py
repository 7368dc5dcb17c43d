"""A run shared by several devices, or by several processes on the loopback address, is the run of one alone."""

import csv
import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import toys
from click.testing import CliRunner

from melodygru.cli import main
from melodygru.corpus import intake
from melodygru.errors import SettingError, TrainingError
from melodygru.events import fit_vocabulary
from melodygru.model import checkpoint
from melodygru.model.architecture import Architecture
from melodygru.training.cluster import Cluster, read_cluster
from melodygru.training.workers import Workers, start_workers

ROOT = Path(__file__).parents[2]
SIZES = Architecture(layers=2, units=24, embedding=16, head=16, drop_input=0, drop_layer=0, drop_head=0)
# Eleven pieces in batches of four: the last has three, one row of a worker's two is padding.
TRAIN = ("--from", "start.keras", "--batch", 4, "--learning-rate", 0.002, "--seed", 3, "--patience", 0, "--threads", 1)
TRAIN += ("--no-mixed-precision",)  # in which each process would round the sums of its rows


class Worker:
    """A `melodygru train` of its own, with its output as it comes."""

    def __init__(self, folder: Path, *arguments: object, addresses: list[str] | None = None, index: int = 0) -> None:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "MELODYGRU_CACHE": str(folder / f"cache-{index}")}
        environment.pop("MELODYGRU_DEBUG", None)
        environment.pop("TF_CPP_MIN_LOG_LEVEL", None)
        if addresses:
            task = {"type": "worker", "index": index}
            environment["TF_CONFIG"] = json.dumps({"cluster": {"worker": addresses}, "task": task})
        command = [sys.executable, "-m", "melodygru", "train", *map(str, arguments)]
        self.process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=lambda: self.lines.extend(self.process.stdout), daemon=True)
        self._reader.start()

    @property
    def said(self) -> str:
        return "".join(self.lines)

    def until_validated(self, path: Path, times: int, seconds: float = 400) -> None:
        """Wait until the run of `path` has been judged so many times."""
        deadline = time.monotonic() + seconds
        while not path.exists() or len(path.read_text().splitlines()) <= times:
            assert self.process.poll() is None and time.monotonic() < deadline, self.said
            time.sleep(0.02)

    def end(self, seconds: float = 400) -> int:
        """Its exit code; it must end by itself."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError(f"it did not end: {self.said}") from None
        self._reader.join()
        assert "Traceback" not in self.said
        return self.process.returncode


def _pair(folder: Path, *arguments: object) -> list[Worker]:
    """Two workers that share a run on the loopback address."""
    with socket.socket() as one, socket.socket() as other:
        for free in (one, other):
            free.bind(("127.0.0.1", 0))
        addresses = [f"127.0.0.1:{free.getsockname()[1]}" for free in (one, other)]
    return [Worker(folder, *arguments, addresses=addresses, index=index) for index in (0, 1)]


@pytest.fixture(scope="module")
def folder(tunes, tmp_path_factory):
    """A folder with a model to start from, which has no dropout: that alone differs by replica."""
    from melodygru import training
    from melodygru.model.keras_model import save

    folder = tmp_path_factory.mktemp("shared")
    corpus = intake(tunes, cache=folder / "cache")
    styles = [piece.style for piece in corpus.pieces]
    vocabulary = fit_vocabulary(zip(corpus, styles, strict=True), corpus.grid)
    save(training.new_model(vocabulary, SIZES, 1, corpus), folder / "start.keras")
    return folder


def _history(path: Path) -> dict[str, np.ndarray]:
    with open(path.with_suffix(".csv"), newline="") as file:
        rows = list(csv.DictReader(file))
    return {name: np.array([float(row[name]) for row in rows]) for name in rows[0] if name != "minutes"}


def _weights(path: Path) -> np.ndarray:
    return np.concatenate([weight.ravel() for weight in checkpoint.read(path).weights.values()])


@pytest.mark.slow
def test_two_processes_learn_what_one_learns(folder, tunes):
    alone = Worker(folder, tunes, *TRAIN, "--epochs", 8, "--output", "alone.keras")
    assert alone.end() == 0, alone.said
    chief, other = _pair(folder, tunes, *TRAIN, "--epochs", 8, "--output", "both.keras")
    assert (chief.end(), other.end()) == (0, 0), chief.said + other.said
    ours, right = (_history(folder / name) for name in ("both.keras", "alone.keras"))
    assert list(ours["step"]) == list(right["step"]) and len(right["step"]) > 3
    for name in ("train_nats_per_note", "validation_nats_per_note", "learning_rate"):
        np.testing.assert_allclose(ours[name], right[name], rtol=1e-4)
    assert right["validation_nats_per_note"][-1] < right["validation_nats_per_note"][0] - 0.1
    # The file holds 11 bits of each weight.
    np.testing.assert_allclose(_weights(folder / "both.keras"), _weights(folder / "alone.keras"), atol=2e-3)
    assert np.abs(_weights(folder / "both.keras") - _weights(folder / "start.keras")).max() > 0.01
    assert "held out    " in chief.said and "step " in chief.said
    assert "worker 1 of 2, 2 devices in all" in other.said
    assert "step " not in other.said and "held out    " not in other.said


@pytest.mark.slow
@pytest.mark.timeout(1500)  # eight processes, each of which loads TensorFlow
def test_a_run_that_is_stopped_and_loses_a_worker_ends_as_if_undisturbed(folder, tunes):
    def start(name, *more):
        return _pair(folder, tunes, *TRAIN, "--epochs", 150, "--output", name, *more)

    chief, other = start("whole.keras")
    assert (chief.end(), other.end()) == (0, 0), chief.said + other.said

    chief, other = start("broken.keras")
    chief.until_validated(folder / "broken.csv", 5)
    other.process.send_signal(signal.SIGTERM)  # one is asked, both stop, at the same step
    assert (chief.end(200), other.end(200)) == (143, 143), chief.said + other.said
    assert "interrupted, and saved in broken.resume" in chief.said
    assert (folder / "broken.resume").exists() and not list(folder.glob(".broken*"))

    chief, other = start("broken.keras", "--resume")
    chief.until_validated(folder / "broken.csv", 10)
    assert "resuming at step" in chief.said
    other.process.kill()
    assert chief.end(200) == 1
    (line,) = [line for line in chief.said.splitlines() if "melodygru:" in line]
    assert "has ended or is out of reach; when all are there again, start each with --resume" in line
    assert chief.said.rstrip().endswith(line)

    chief, other = start("broken.keras", "--resume")
    assert (chief.end(), other.end()) == (0, 0), chief.said + other.said
    ours, right = (_history(folder / name) for name in ("broken.keras", "whole.keras"))
    for name, values in right.items():
        np.testing.assert_array_equal(ours[name], values)
    np.testing.assert_array_equal(_weights(folder / "broken.keras"), _weights(folder / "whole.keras"))
    assert not (folder / "broken.resume").exists()


@pytest.mark.slow
def test_workers_with_other_settings_are_refused(folder, tunes):
    with socket.socket() as one, socket.socket() as other:
        for free in (one, other):
            free.bind(("127.0.0.1", 0))
        addresses = [f"127.0.0.1:{free.getsockname()[1]}" for free in (one, other)]
    workers = [
        Worker(folder, tunes, *TRAIN, "--epochs", 8 + i, "--output", "differ.keras", addresses=addresses, index=i)
        for i in (0, 1)
    ]
    assert [worker.end(200) for worker in workers] == [1, 1]
    for worker in workers:
        assert "melodygru: worker 1 differs from worker 0 in settings: give all of them the same" in worker.said
    assert not (folder / "differ.resume").exists()


MIRRORED = """
import sys
from pathlib import Path
import numpy as np
import tensorflow as tf
import toys
from melodygru import training
from melodygru.model.architecture import Architecture

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
vocabulary = toys.VOCABULARIES["styles"]
sizes = Architecture(layers=2, units=8, embedding=6, head=7, drop_input=0, drop_layer=0, drop_head=0)
pieces = [toys.piece(vocabulary, seed, n) for seed, n in enumerate((10, 11, 14, 18, 22, 25, 9))]
settings = training.Settings(epochs=3, batch=3, window=8, learning_rate=0.01, warmup=4, patience=0, seed=5)


def run(strategy, name, stop_at=None, resume=False):
    with strategy.scope():
        model = training.new_model(vocabulary, sizes, 0)
        trainer = training.Trainer(
            model, (pieces, [None] * 7), pieces[:2], settings, Path(sys.argv[1]) / name, {"corpus": "one"}
        )
    assert trainer.workers.replicas == strategy.num_replicas_in_sync
    nats, step = [], trainer._step

    def watched(*arguments):
        found = step(*arguments)
        nats.append(float(found[0]))
        if len(nats) == stop_at:
            trainer.stop()
        return found

    trainer._step = watched
    if resume:
        trainer.restore()
    assert trainer.run() == (stop_at is None)
    assert step.experimental_get_tracing_count() == 1
    return nats, np.concatenate([v.numpy().ravel() for v in model.trainable_variables])


one, two = tf.distribute.get_strategy(), tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
alone, weights = run(one, "alone.keras")
both, shared = run(two, "both.keras")
assert len(alone) > 10
np.testing.assert_allclose(both, alone, rtol=1e-5)
np.testing.assert_allclose(shared, weights, atol=1e-4)
# What was begun by two goes on with one, in the middle of a batch of three rows, and the other way round.
for first, then, name in ((two, one, "fewer.keras"), (one, two, "more.keras")):
    begun, _ = run(first, name, stop_at=5)
    rest, end = run(then, name, resume=True)
    np.testing.assert_allclose(begun + rest, alone, rtol=1e-5)
    np.testing.assert_allclose(end, weights, atol=1e-4)
print("both learn the same")
"""


@pytest.mark.slow
def test_two_devices_learn_what_one_learns_and_a_run_changes_between_them(tmp_path):
    paths = os.pathsep.join([str(ROOT / "tests"), os.environ["PYTHONPATH"]])
    command = [sys.executable, "-c", textwrap.dedent(MIRRORED), str(tmp_path)]
    found = subprocess.run(command, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True)
    assert found.returncode == 0 and "both learn the same" in found.stdout, found.stderr[-3000:]


# -- TF_CONFIG


def _config(jobs, kind="worker", index=0):
    return json.dumps({"cluster": jobs, "task": {"type": kind, "index": index}})


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (None, None),
        ("", None),
        ("{}", None),
        (_config({"worker": ["a:1"]}), None),  # a cluster of one
        (_config({"worker": ["a:1", "b:2"]}), Cluster({"worker/task:0": "a:1", "worker/task:1": "b:2"}, 0)),
        (_config({"worker": ["a:1", "b:2"]}, index=1), Cluster({"worker/task:0": "a:1", "worker/task:1": "b:2"}, 1)),
        (_config({"worker": ["a:1"], "chief": ["c:3"]}), Cluster({"chief/task:0": "c:3", "worker/task:0": "a:1"}, 1)),
        (
            _config({"worker": ["a:1"], "chief": ["c:3"]}, "chief"),
            Cluster({"chief/task:0": "c:3", "worker/task:0": "a:1"}, 0),
        ),
    ],
)
def test_the_cluster_is_read_from_tf_config(monkeypatch, config, expected):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    if config is not None:
        monkeypatch.setenv("TF_CONFIG", config)
    assert read_cluster() == expected


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("{", "^TF_CONFIG: expected {.*JSONDecodeError"),
        ("[1]", "^TF_CONFIG: expected {.*AttributeError"),
        ('{"cluster": {"worker": ["a:1", "b:2"]}}', "^TF_CONFIG: expected {.*KeyError: 'task'"),
        (_config({"worker": ["a:1", "b:2"]}, index=2), "^TF_CONFIG: the task worker 2 is not in its cluster; expected"),
        (_config({"worker": ["a:1", "b:2"], "ps": ["c:3"]}), "^TF_CONFIG: the job ps has no part in training here"),
    ],
)
def test_a_tf_config_that_cannot_be_used_is_said(monkeypatch, config, message):
    monkeypatch.setenv("TF_CONFIG", config)
    with pytest.raises(SettingError, match=message):
        read_cluster()


def test_train_says_it_in_one_line_before_anything_else(monkeypatch, tmp_path):
    monkeypatch.setenv("TF_CONFIG", "{")
    found = CliRunner().invoke(main, ["train", str(tmp_path)])
    assert found.exit_code == 1 and found.stderr.startswith("melodygru: TF_CONFIG: expected {")
    assert len(found.stderr.splitlines()) == 1


# -- who has which rows


class _Of(Workers):
    """One of several workers, without the others."""

    def __init__(self, n, index, local):
        self.n, self.index, self.local, self.replicas = n, index, local, n * local


@pytest.mark.parametrize(("n", "local", "rows"), [(1, 1, 5), (2, 1, 4), (2, 1, 5), (2, 2, 5), (3, 1, 1), (4, 2, 64)])
def test_rows_are_dealt_out_in_order_and_evenly(n, local, rows):
    parts = [_Of(n, index, local).rows(rows) for index in range(n)]
    assert [row for start, stop in parts for row in range(start, stop)] == list(range(parts[-1][1]))
    assert len({stop - start for start, stop in parts}) == 1
    assert all((stop - start) % local == 0 for start, stop in parts)
    assert 0 <= parts[-1][1] - rows < n * local


def test_alone_nothing_is_asked_of_others():
    workers = Workers()
    assert (workers.n, workers.index, workers.replicas, workers.local, workers.is_chief) == (1, 0, 1, 1, True)
    values = np.arange(3)
    assert workers.total(values) is values
    assert workers.share("läuft") == "läuft"
    workers.require_same({"corpus": 1})


def test_the_rows_of_a_worker_are_those_of_the_batch_and_padding_beyond():
    from melodygru.training import Pieces, Settings

    vocabulary = toys.VOCABULARIES["styles"]
    corpus = [toys.piece(vocabulary, seed, n) for seed, n in enumerate((10, 12, 9))]
    pieces = Pieces(corpus, [None] * 3, vocabulary, Settings(epochs=1, window=8))
    (batch,) = pieces.plan(0)
    whole = list(pieces.batch_windows(0, batch, rows=(0, 3)))
    parts = [list(pieces.batch_windows(0, batch, rows=rows)) for rows in ((0, 2), (2, 4), (4, 6))]
    assert [len(part) for part in parts] == [len(whole)] * 3
    for (window, begins), *dealt in zip(whole, *parts, strict=True):
        together = np.concatenate([part[1] for part in dealt])
        assert np.array_equal(together[:3], begins) and not together[3:].any()
        for name, rows in window.items():
            together = np.concatenate([part[0][name] for part in dealt])
            assert together.dtype == rows.dtype
            np.testing.assert_array_equal(together[:3], rows)
            assert (together[3:] == (-1 if name == "fields" else 0)).all()


@pytest.mark.slow
def test_workers_that_never_come_are_given_up():
    code = (
        "from melodygru.training import start_workers\n"
        "start_workers(lambda: print('waiting', flush=True), wait_s=4)\n"
        "print('joined')"
    )
    with socket.socket() as one, socket.socket() as other:
        for free in (one, other):
            free.bind(("127.0.0.1", 0))
        addresses = [f"127.0.0.1:{free.getsockname()[1]}" for free in (one, other)]
    environment = {**os.environ, "TF_CONFIG": _config({"worker": addresses})}
    command = [sys.executable, "-c", code]
    found = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200)
    assert found.stdout == "waiting\n" and found.returncode == -signal.SIGALRM, found.stderr


def test_without_a_cluster_or_gpus_a_run_is_not_shared(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    assert start_workers().n == 1


def test_only_the_loss_of_another_worker_is_said_as_such():
    import tensorflow as tf

    two = _Of(2, 0, 1)
    two.addresses = {"worker/task:0": "a:1", "worker/task:1": "b:2"}
    lost = tf.errors.UnavailableError(None, None, "remote target /job:worker/replica:0/task:1 while calling")
    with pytest.raises(TrainingError, match="^stopped at step 7: the worker at b:2 has ended or is out of reach; when"):
        with two.watched(lambda: "stopped at step 7"):
            raise lost
    unnamed = tf.errors.AbortedError(None, None, "reset")
    with pytest.raises(TrainingError, match="^here: another worker has ended"):
        with two.watched(lambda: "here"):
            raise unnamed
    with pytest.raises(tf.errors.ResourceExhaustedError):
        with two.watched(lambda: "here"):
            raise tf.errors.ResourceExhaustedError(None, None, "memory")
    with pytest.raises(tf.errors.UnavailableError):
        with _Of(1, 0, 1).watched(lambda: "here"):
            raise lost
