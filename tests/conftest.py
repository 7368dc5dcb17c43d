"""What every test shares: quiet libraries, reproducible randomness."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

# Before TensorFlow or matplotlib is imported: no start-up chatter, no window.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("MPLBACKEND", "Agg")

import hypothesis
import numpy as np
import pytest
from click.testing import CliRunner, Result

from melodygru import midi
from melodygru.music.grid import Grid
from melodygru.music.notes import NOTE, NoteSequence

# The processes that tests start find the package from any working folder.
os.environ["PYTHONPATH"] = os.pathsep.join(
    path for path in (str(Path(__file__).parent.parent), os.environ.get("PYTHONPATH")) if path
)

# A shell that starts the tests in the background has them, and every process they start, ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The same examples in every run; and no deadline, for a busy machine is not a defect.
hypothesis.settings.register_profile("melodygru", derandomize=True, deadline=None)
hypothesis.settings.load_profile("melodygru")


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cache of this run alone, and an empty working folder for fixtures that several tests share."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("working_folder"))
        patch.setenv("MELODYGRU_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.delenv("MELODYGRU_DEBUG", raising=False)
        yield


@pytest.fixture(autouse=True)
def _empty_working_folder(_own_cache: None, tmp_path: Path) -> Iterator[None]:
    """Every test works in an empty folder: what lies in ./checkpoints or generated/ changes no result."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        yield


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator that starts the same in every test."""
    return np.random.default_rng(0)


def rows_of(notes: np.ndarray) -> list[tuple[int, int, int, int, int]]:
    """(onset, duration, program, pitch, velocity) of notes, which say nothing of their parts."""
    return notes[["onset", "duration", "program", "pitch", "velocity"]].tolist()


def tune(key: int, bars: int = 4) -> NoteSequence:
    """A tune in eighths on two steps per beat, its scale beginning at pitch `key`; 8 notes a bar, velocity 80."""
    scale = [0, 2, 4, 5, 7, 5, 4, 2]
    notes = np.zeros(8 * bars, NOTE)
    notes["onset"] = np.arange(8 * bars)
    notes["duration"] = 1
    notes["pitch"] = [key + scale[(at + at // 8) % 8] for at in range(8 * bars)]
    notes["velocity"] = 80
    return NoteSequence(notes, Grid.beats(2), 8 * bars)


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Run `melodygru` with arguments in an empty folder, in this process; it ends with exit code `code`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MELODYGRU_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MELODYGRU_DEBUG", raising=False)

    def run(*arguments: object, code: int = 0) -> Result:
        from melodygru.cli import main

        result = CliRunner().invoke(main, [*map(str, arguments)], prog_name="melodygru")
        assert result.exit_code == code, result.output
        assert "Traceback" not in result.output
        return result

    return run


@pytest.fixture(scope="session")
def tunes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of twelve tunes of 32 notes and 32 steps, six in each of the styles `high` and `low`."""
    folder = tmp_path_factory.mktemp("tunes")
    for key in range(12):
        style = folder / ("high" if key >= 6 else "low")
        style.mkdir(exist_ok=True)
        midi.write(tune(48 + key), style / f"{key:02}.mid")
    return folder


@pytest.fixture(scope="session")
def melodygru(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., subprocess.Popen]:
    """Start the command line as a process: melodygru("generate", "--bars", 2, cwd=folder)."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(__file__).parent.parent),
        "MELODYGRU_CACHE": str(tmp_path_factory.mktemp("cache")),
    }
    environment.pop("MELODYGRU_DEBUG", None)

    def start(*arguments: object, cwd: Path) -> subprocess.Popen:
        command = [sys.executable, "-m", "melodygru", *map(str, arguments)]
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(command, cwd=cwd, env=environment, text=True, **pipes)

    return start


TRAIN = ("--preset", "tiny", "--epochs", "16", "--seed", "3", "--threads", "1")


@dataclasses.dataclass(frozen=True)
class Trained:
    """What a finished `melodygru train` left."""

    path: Path
    report: dict  # of --json
    stderr: str


@pytest.fixture(scope="session")
def trained(
    melodygru: Callable[..., subprocess.Popen], tunes: Path, tmp_path_factory: pytest.TempPathFactory
) -> Trained:
    """A tiny model of `tunes`, trained by the command line with the options TRAIN."""
    folder = tmp_path_factory.mktemp("trained")
    process = melodygru("train", tunes, "--output", "tunes.keras", *TRAIN, "--json", cwd=folder)
    stdout, stderr = process.communicate(timeout=240)
    assert process.returncode == 0, stderr
    return Trained(folder / "tunes.keras", json.loads(stdout), stderr)
