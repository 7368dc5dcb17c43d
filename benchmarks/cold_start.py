"""Wall time of a cold `melodygru generate --seconds 60`, from start to finished file, against TensorFlow's import.

    python benchmarks/cold_start.py [--model FILE] [--repeats 5]

Both are timed in turns in the same run; the figure is the ratio of their medians.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click


@click.command(help=__doc__)
@click.option(
    "--model", type=click.Path(exists=True, path_type=Path), help="Checkpoint; default: generate's own choice."
)
@click.option("--repeats", default=5, show_default=True, help="Times that each is run.")
def main(model: Path | None, repeats: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        generate = [sys.executable, "-m", "melodygru", "generate", "--seconds", "60", "--seed", "1", "-o", folder]
        if model is not None:
            generate += ["--model", str(model)]
        commands = {"generate": generate, "import tensorflow": [sys.executable, "-c", "import tensorflow"]}
        seconds: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(repeats):
            for name, command in commands.items():
                started = time.perf_counter()
                subprocess.run(command, check=True, capture_output=True)
                seconds[name].append(time.perf_counter() - started)
    median = {name: statistics.median(values) for name, values in seconds.items()}
    ratio = median["generate"] / median["import tensorflow"]
    click.echo(json.dumps({"seconds": seconds, "median_s": median, "ratio": ratio}, indent=2))


if __name__ == "__main__":
    main()
