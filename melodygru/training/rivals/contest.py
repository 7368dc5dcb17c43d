"""The parent's side: a process for each model, one after the other."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from melodygru.music.notes import NoteSequence
from melodygru.training.rivals.job import Job, Result

OnReport = Callable[[str, dict[str, Any]], None]


@dataclass(frozen=True)
class Failed:
    """A model that could not be measured, and why."""

    name: str
    error: str

    def as_dict(self) -> dict[str, Any]:
        return {"name": self.name, "error": self.error}


def compare(
    job: Job,
    train: Iterable[NoteSequence],
    held_out: Iterable[NoteSequence],
    *,
    threads: int | None = None,
    on_report: OnReport | None = None,
) -> Iterator[Result | Failed]:
    """Train and measure the models of a job, one after the other, each in a process of its own.

    An exception in the caller's code between two results, Ctrl-C among them, ends the process that runs.

    Parameters
    ----------
    train, held_out : the pieces, on the vocabulary's grid
    threads : CPU threads of each process; default: all cores
    on_report : called with a model's name and what its process reports, see `contestant.run`
    """
    with tempfile.TemporaryDirectory(prefix="melodygru-") as folder:
        job.write(Path(folder), train, held_out)
        for name in job.sizes:
            yield _measure(Path(folder), name, threads, on_report)


def _measure(folder: Path, name: str, threads: int | None, on_report: OnReport | None) -> Result | Failed:
    """Start a model's process and read its reports until it is over."""
    command = [sys.executable, "-m", "melodygru.training.rivals", str(folder), name]
    answer: dict[str, Any] = {}
    with open(folder / f"{name}.stderr", "w+b") as stderr:
        # A session of its own: Ctrl-C reaches this process alone, which then ends the other.
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=stderr, stdin=subprocess.DEVNULL,
            env=_environment(threads), text=True, encoding="utf-8", start_new_session=True,
        )  # fmt: skip
        assert process.stdout is not None
        try:
            for line in process.stdout:
                answer = json.loads(line)
                if on_report is not None:
                    on_report(name, answer)
            process.wait()
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
        if "result" in answer and process.returncode == 0:
            return Result(**answer["result"])
        if "error" in answer:
            return Failed(name, answer["error"])
        stderr.seek(0)
        last = (stderr.read().decode("utf-8", "replace").strip().splitlines() or ["it said nothing"])[-1]
        return Failed(name, _ended(process.returncode, last))


def _ended(code: int, last: str) -> str:
    """Why a process may have ended without an answer."""
    if code < 0:
        return f"its process was ended by signal {-code}; the memory may not suffice, try a smaller --preset"
    return f"its process ended with code {code}: {last}"


def _environment(threads: int | None) -> dict[str, str]:
    """This process's environment, TensorFlow quiet, and this melodygru the one that is found."""
    home = str(Path(__file__).parents[3])
    before = os.environ.get("PYTHONPATH")
    environment = {
        "TF_CPP_MIN_LOG_LEVEL": "2",
        **os.environ,
        "KERAS_BACKEND": "tensorflow",
        "PYTHONPATH": home + (os.pathsep + before if before else ""),
    }
    if threads is not None:
        environment |= {"TF_NUM_INTRAOP_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}
    return environment
