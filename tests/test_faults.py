"""A full disk and a kill at every write: the old file or the new one is whole, and what is missing is said."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import tune
from toys import model

from melodygru import midi
from melodygru.model import checkpoint
from melodygru.model.keras_model import save

COMPILER = shutil.which("cc") or shutil.which("gcc")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(7200),
    pytest.mark.skipif(sys.platform != "linux" or COMPILER is None, reason="needs Linux and a C compiler"),
]
KILLS = int(os.environ.get("MELODYGRU_KILLS", 6))  # of `train`, and full disks; of the other commands there are all
TRAIN = (
    "train",
    "songs",
    "--preset",
    "tiny",
    "--epochs",
    "3",
    "--seed",
    "1",
    "--threads",
    "1",
    "--output",
    "out/a.keras",
)
# One short bar: longer sound only has more writes of the same kind.
PIECE = ("--bars", "1", "--qpm", "400", "--seed", "1", "--range", "C3:C6")
GENERATE = ("generate", "--model", "toy.keras", *PIECE, "-o", "out")
FILES = ("--wav", "--flac", "--png", "--svg", "--score", "out/sheet.musicxml")


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """The C code, compiled."""
    path = tmp_path_factory.mktemp("library") / "faults.so"
    source = Path(__file__).with_name("faults.c")
    subprocess.run([COMPILER, "-shared", "-fPIC", "-O1", "-o", path, source, "-ldl"], check=True)
    return path


class Bench:
    """A folder in which a command runs anew for each fault."""

    def __init__(self, library, root, forks):
        self.library, self.root, self.forks = library, root, forks

    def start(self, number, *arguments, at=0, kill=False, fresh=True):
        """Run a command in a folder of its own; the folder, and the finished process."""
        folder = self.root / f"run{number}"
        if fresh:
            shutil.copytree(self.root / "template", folder)
        environment = {
            "FAULT_UNDER": str(folder),
            "FAULT_AT": str(at),
            "FAULT_COUNT": str(self.root / "count"),
            "MELODYGRU_CACHE": str(folder / "cache"),
            "TMPDIR": str(folder / "tmp"),
        }
        if kill:
            environment["FAULT_KILL"] = "1"
        if arguments[0] != "train":  # TensorFlow's threads are in no fork
            return folder, self.fork(arguments, folder, environment)
        environment = {**os.environ, "LD_PRELOAD": str(self.library), **environment}
        command = [sys.executable, "-m", "melodygru", *arguments]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, errors="replace")
        return folder, done

    def fork(self, arguments, folder, environment):
        """Run a command in a fork of a process that is there already."""
        outputs = [self.root / "stdout", self.root / "stderr"]
        about = {"arguments": arguments, "folder": folder, "environment": environment, "outputs": outputs}
        self.forks.stdin.write(json.dumps(about, default=str) + "\n")
        self.forks.stdin.flush()
        code = int(self.forks.stdout.readline())
        return subprocess.CompletedProcess(arguments, code, *(path.read_text(errors="replace") for path in outputs))

    def writes(self, *arguments):
        """How many writes a command does, and the folder that it leaves."""
        folder, done = self.start("whole", *arguments)
        assert done.returncode == 0, done.stderr
        return int((self.root / "count").read_text()), folder


@pytest.fixture(scope="module")
def forks(library):
    """What runs the commands that need no TensorFlow, see `forks.py`."""
    command = [sys.executable, Path(__file__).with_name("forks.py")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env={**os.environ, "LD_PRELOAD": str(library)}, **pipes) as process:
        yield process
        process.stdin.close()


@pytest.fixture
def bench(library, forks, tmp_path):
    template = tmp_path / "template"
    (template / "songs").mkdir(parents=True)
    (template / "tmp").mkdir()
    (template / "out").mkdir()
    for at in range(6):
        midi.write(tune(50 + at), template / "songs" / f"{at}.mid")
    save(model("many", 1, -1.0), template / "toy.keras")
    return Bench(library, tmp_path.resolve(), forks)


def outputs(folder):
    """The files that a command left for its user, hidden ones left out: name -> bytes."""
    return {path.name: path.read_bytes() for path in (folder / "out").iterdir() if not path.name.startswith(".")}


def said(done, *remedies):
    """What a command said in its last line; no traceback anywhere."""
    assert "Traceback" not in done.stderr and "unexpected error" not in done.stderr, done.stderr
    assert "Exception ignored" not in done.stderr, done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("melodygru: ") and any(remedy in last for remedy in remedies), done.stderr
    return last


REMEDIES = ("free some space", "choose another place", "set TMPDIR")


def without_scores_date(files):
    """The same with what differs from run to run in a score left out."""
    return {name: re.sub(rb"<encoding-date>.*?</encoding-date>", b"", data) for name, data in files.items()}


def test_generate_with_a_full_disk(bench):
    n, whole = bench.writes(*GENERATE, *FILES)
    expected = without_scores_date(outputs(whole))
    assert n > 8 and len(expected) == 6
    for at in range(1, n + 1):
        folder, done = bench.start(f"full{at}", *GENERATE, *FILES, at=at)
        found = without_scores_date(outputs(folder))
        assert found.items() <= expected.items(), at
        assert done.returncode == (found.keys() != expected.keys()), (at, done.stderr)
        if found.keys() != expected.keys():
            said(done, *REMEDIES)
            assert not [path for path in (folder / "out").iterdir() if path.name.startswith(".")]


def test_generate_killed_at_every_write(bench):
    n, whole = bench.writes(*GENERATE, *FILES)
    expected = without_scores_date(outputs(whole))
    for at in range(1, n + 1):
        folder, done = bench.start(f"kill{at}", *GENERATE, *FILES, at=at, kill=True)
        assert done.returncode == -9
        assert without_scores_date(outputs(folder)).items() <= expected.items(), at
        folder, done = bench.start(f"kill{at}", *GENERATE, *FILES, fresh=False)
        assert done.returncode == 0 and without_scores_date(outputs(folder)) == expected, (at, done.stderr)


@pytest.mark.parametrize("kill", [False, True], ids=["full", "kill"])
def test_intake_at_every_write(bench, kill):
    """The cache is only a help: what is read is the same, and after a kill it is read again."""
    n, whole = bench.writes("inspect", "songs", "--json")
    _, done = bench.start("whole", "inspect", "songs", "--json", fresh=False)
    expected = done.stdout
    assert n > 10
    for at in range(1, n + 1):
        folder, done = bench.start(f"{kill}{at}", "inspect", "songs", "--json", at=at, kill=kill)
        assert done.returncode in ((-9,) if kill else (0, 1)), (at, done.stderr)
        if done.returncode == 1:
            said(done, *REMEDIES)
        _, done = bench.start(f"{kill}{at}", "inspect", "songs", "--json", fresh=False)
        assert (done.returncode, done.stdout) == (0, expected), (at, done.stderr)


def weights(path):
    return {name: array.tobytes() for name, array in checkpoint.read(path).weights.items()}


def test_train_with_a_full_disk_keeps_the_old_checkpoint_or_writes_the_new_one(bench):
    n, whole = bench.writes(*TRAIN)
    shutil.copy(bench.root / "template" / "toy.keras", bench.root / "template" / "out" / "a.keras")
    old, new = (weights(path) for path in (bench.root / "template" / "toy.keras", whole / "out" / "a.keras"))
    for at in sorted({1, n, *np.linspace(1, n, KILLS).astype(int).tolist()}):
        folder, done = bench.start(f"full{at}", *TRAIN, "--force", at=at)
        if done.returncode == 0:  # what was not written is the picture alone, if anything
            lost = f"a.png could not be drawn (cannot write {Path('out', 'a.png')}: No space left"
            assert (folder / "out" / "a.png").exists() != (lost in done.stderr), (at, done.stderr)
        else:
            assert done.returncode == 1, (at, done.stderr)
            said(done, *REMEDIES)
        found = checkpoint.read(folder / "out" / "a.keras")  # whole, whichever it is
        if found.sha256 == checkpoint.read(bench.root / "template" / "toy.keras").sha256:
            assert weights(folder / "out" / "a.keras") == old
        resume = (folder / "out" / "a.resume").exists()
        _, done = bench.start(f"full{at}", *TRAIN, "--resume" if resume else "--force", fresh=False)
        assert done.returncode == 0 and weights(folder / "out" / "a.keras") == new, (at, done.stderr)


def test_train_killed_again_and_again_ends_in_the_same_weights(bench):
    n, whole = bench.writes(*TRAIN)
    expected = weights(whole / "out" / "a.keras")
    rng = np.random.default_rng(0)
    kills = 0
    while kills < KILLS:
        name, fresh = f"kill{kills}", True
        while True:
            resume = not fresh and (bench.root / f"run{name}" / "out" / "a.resume").exists()
            finished = not fresh and not resume and (bench.root / f"run{name}" / "out" / "a.keras").exists()
            if finished:
                break
            at = int(rng.integers(1, n + 1)) if kills < KILLS else 0
            folder, done = bench.start(name, *TRAIN, *(["--resume"] if resume else []), at=at, kill=True, fresh=fresh)
            fresh = False
            assert done.returncode in (0, -9), done.stderr
            if done.returncode == 0:
                break
            kills += 1
        assert weights(bench.root / f"run{name}" / "out" / "a.keras") == expected
