"""A cold `melodygru generate --seconds 60`, from its start to the finished file, against TensorFlow's import alone.

The model is generate's own choice.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time

from parts.row import Row, Setting, in_turns

REPEATS = 5


def measure(setting: Setting) -> list[Row]:
    """One row; ours and theirs inherit the part's threads."""
    with tempfile.TemporaryDirectory() as folder:
        generate = ["-m", "melodygru", "generate", "--seconds", "60", "--seed", "1", "-o", folder]
        seconds = in_turns(
            {"ours": lambda: cold(generate), "theirs": lambda: cold(["-c", "import tensorflow"])}, REPEATS
        )
    what = "melodygru generate --seconds 60, a cold process"
    ours, theirs = seconds["ours"], seconds["theirs"]
    return [
        Row("start", what, ours, "s", "import tensorflow, a cold process", theirs, ours / theirs, 0.3, at_most=True)
    ]


def cold(arguments: list[str]) -> float:
    """Seconds that a new Python takes."""
    started = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
    return time.perf_counter() - started
