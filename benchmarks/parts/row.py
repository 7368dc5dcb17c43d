"""What a part of the benchmark is given, and what it gives back: rows, each a ratio against a peer or a limit."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PEERS = Path(__file__).parent.parent / "peers"  # scripts for the peers' own Python


@dataclass(frozen=True)
class Setting:
    """What a measurement may use.

    Attributes
    ----------
    data : folder of corpora, as `data/<corpus>/train` and `data/<corpus>/valid`; None if there is none
    peers : the Python of the peers' environment; None if there is none
    threads : CPU threads for ours and theirs alike; the process of a part starts with the variables that
        TensorFlow, PyTorch and BLAS read (`thread_variables`)
    """

    data: Path | None = None
    peers: Path | None = None
    threads: int = os.cpu_count() or 1

    def run_peer(self, script: str, *arguments: object) -> dict[str, Any]:
        """What a script of `benchmarks/peers`, run by the peers' Python, prints: one JSON object."""
        assert self.peers is not None
        command = [str(self.peers), str(PEERS / script), *map(str, arguments)]
        environment = {**os.environ, **thread_variables(self.threads)}
        environment.pop("PYTHONPATH", None)  # its packages are not ours
        printed = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout
        return json.loads(printed)


@dataclass(frozen=True)
class Row:
    """One figure: ours, theirs, and their ratio with the goal that it should reach.

    Attributes
    ----------
    part : name of the part, as on the command line
    what : what was done, with the sizes that matter
    ours, theirs : both in `unit`
    against : the peer or the limit
    ratio : the figure itself
    goal : what the ratio should be, at least, or with `at_most` at most
    """

    part: str
    what: str
    ours: float
    unit: str
    against: str
    theirs: float
    ratio: float
    goal: float
    at_most: bool = False

    @property
    def reached(self) -> bool:
        """Whether the ratio is as good as its goal; exactly the goal is."""
        return self.ratio <= self.goal if self.at_most else self.ratio >= self.goal


def thread_variables(threads: int) -> dict[str, str]:
    """Environment of a process in which every library computes on `threads` threads."""
    blas = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    return dict.fromkeys((*blas, "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"), str(threads))


def in_turns(timed: dict[str, Callable[[], float]], repeats: int) -> dict[str, float]:
    """Median seconds of each, all run in turns so that a passing load of the machine meets all alike.

    Parameters
    ----------
    timed : name -> function that does the work once and returns the seconds that it took
    """
    seconds: dict[str, list[float]] = {name: [] for name in timed}
    for _ in range(repeats):
        for name, work in timed.items():
            seconds[name].append(work())
    return {name: statistics.median(values) for name, values in seconds.items()}
