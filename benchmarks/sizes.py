"""Do the defaults fit small folders and large ones? They are tried beside hand-picked settings on parts of a corpus.

    python benchmarks/sizes.py TRAIN_DIR VALIDATION_DIR

For 20 and for 100 pieces, drawn by a fixed seed, and for all of them. The table goes to stdout; the last line is JSON.
"""

from __future__ import annotations

import json
import random
import shutil
import tempfile
from pathlib import Path
from typing import Any

import click
from ablate import FOLDER, ablate
from parts.files import midi_files

SIZES = (20, 100, None)  # None: all
DRAWN_BY = 0  # seed of the parts
# What one might pick by hand instead: name -> the arguments of `ablate`.
PICKED: dict[str, dict[str, Any]] = {
    "defaults": {},
    "preset tiny": {"preset": "tiny"},
    "half as long": {"times": 0.5},
    "twice as long": {"times": 2.0},
    "dropout 0.3": {"architecture": {"drop_input": 0.12, "drop_layer": 0.3, "drop_head": 0.3}},
    "dropout 0.5": {"architecture": {"drop_input": 0.2, "drop_layer": 0.5, "drop_head": 0.5}},
}


def part(folder: Path, n: int | None, into: Path) -> Path:
    """A folder with `n` of the pieces of a folder."""
    files = midi_files(folder)
    if n is None or n >= len(files):
        return folder
    random.Random(DRAWN_BY).shuffle(files)
    into = into / str(n)
    into.mkdir()
    for path in files[:n]:
        shutil.copy(path, into)
    return into


@click.command(help=__doc__)
@click.argument("train_dir", type=FOLDER)
@click.argument("validation_dir", type=FOLDER)
@click.option("--pieces", type=int, multiple=True, help="Only parts of so many pieces; repeatable.")
@click.option("--only", type=click.Choice(list(PICKED)), multiple=True, help="Only these settings; repeatable.")
def main(train_dir: Path, validation_dir: Path, pieces: tuple[int, ...], only: tuple[str, ...]) -> None:
    from melodygru.corpus import intake
    from melodygru.training import default_epochs

    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for n in pieces or SIZES:
            train = intake(part(train_dir, n, Path(folder)), workers=1)
            validation = intake(validation_dir, grid=train.grid, workers=1, deduplicate=False)
            for name in only or PICKED:
                picked = dict(PICKED[name])
                epochs = default_epochs(train) * picked.pop("times", 1.0)
                found = ablate(train, validation, settings={"epochs": epochs}, **picked)
                rows.append({"pieces": len(train), "settings": name, **found})
                click.echo(f"| {len(train)} | {name} | {epochs:g} | {found['nats_per_note']:.4f} |")
    click.echo(json.dumps(rows))


if __name__ == "__main__":
    main()
