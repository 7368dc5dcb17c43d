"""Options that several commands share, so that one thing has one name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from melodygru.errors import MidiError

as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")

model = click.option(
    "--model",
    type=click.Path(path_type=Path),
    metavar="FILE.keras",
    help="Checkpoint.  [default: the newest in ./checkpoints, else the one that comes with melodygru]",
)

scheduler = click.option(
    "--scheduler",
    metavar="tcp://HOST:PORT",
    help="Read files with the workers of this dask scheduler (pip install 'melodygru[dask]').  [default: all cores]",
)

score = click.option(
    "--score",
    "score_file",
    type=click.Path(path_type=Path),
    metavar="FILE.svg",
    help="Also write sheet music: .svg (needs the extra melodygru[score]) or .musicxml; FILE-1.svg ... of many pieces.",
)

midi_dir = click.argument("midi_dir", type=click.Path(path_type=Path))


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Within, what is wrong with a MIDI file is said with its name."""
    try:
        yield
    except MidiError as error:
        raise MidiError(f"{path}: {error}") from error


def parse_grid(text: str) -> Any:
    """None for `auto`, else the grid that the text names."""
    from melodygru.music.notes import Grid

    return None if text == "auto" else Grid.parse(text)
