"""Chorales from their sopranos: nats of what is added around the highest line, beside the composer's own and greedy.

    python benchmarks/accompany.py --model benchmarks/models/jsb16.keras --data DATA/jsb16/valid

Of each piece the program that plays highest is given, and the model adds the rest. Nats are the whole piece's under the
model, its end included, at temperature 1 with nothing filtered. Greedy is one particle at temperature 0, plain sampling
one particle with the other settings alike. Time is the processor's, of one thread where OMP_NUM_THREADS is 1.
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

if TYPE_CHECKING:
    from melodygru.music.notes import NoteSequence


@click.command(help=__doc__)
@click.option("--model", required=True, type=click.Path(exists=True, path_type=Path), help="Checkpoint.")
@click.option(
    "--data", required=True, type=click.Path(exists=True, file_okay=False, path_type=Path), help="MIDI files."
)
@click.option("--pieces", default=20, show_default=True, help="How many of them, the first by name.")
@click.option("--particles", default=64, show_default=True, help="Of the particle filter.")
@click.option("--seed", default=0, show_default=True, help="Of the added voices.")
def main(model: Path, data: Path, pieces: int, particles: int, seed: int) -> None:
    from parts.files import midi_files

    from melodygru import midi
    from melodygru.analysis.explain import Tracer
    from melodygru.compose import Controls, accompany
    from melodygru.model import checkpoint
    from melodygru.model.numpy_model import NumpyModel
    from melodygru.music.quantize import quantize

    loaded = checkpoint.read(model)
    network = NumpyModel(loaded)
    tracer = Tracer(network)
    ways = {
        "greedy: one particle, temperature 0": (1, Controls(0)),
        "one particle, temperature 1": (1, Controls()),
        "one particle, top-p 0.95": (1, Controls(top_p=0.95)),
        "one particle, temperature 0.7": (1, Controls(0.7)),
        f"{particles} particles, temperature 1": (particles, Controls()),
        f"{particles} particles, top-p 0.95, as by default": (particles, Controls(top_p=0.95)),
        f"{particles} particles, temperature 0.7": (particles, Controls(0.7)),
        f"{particles} particles, temperature 0.5": (particles, Controls(0.5)),
    }
    rows: dict[str, list[tuple[float, ...]]] = {"as it was composed": []} | {way: [] for way in ways}
    files = midi_files(data)[:pieces]
    for number, path in enumerate(files):
        own, _, _ = quantize(midi.read(path).sequence, network.vocabulary.grid)
        given = highest(own)
        rows["as it was composed"].append((tracer.trace(own).nats.sum(), len(own), voices(own), 0, 0.0))
        for way, (n, controls) in ways.items():
            started = time.process_time()
            (made,) = accompany(network, given, 1, seed + number, particles=n, controls=controls)
            taken_s = time.process_time() - started
            kept = made.notes[np.isin(made.notes["program"], given.programs)]
            assert kept.tolist() == given.notes.tolist(), f"{path}: a given note is lost"
            rows[way].append((tracer.trace(made).nats.sum(), len(made), voices(made), len(made) - len(given), taken_s))
        click.echo(f"{number + 1} of {len(files)}", err=True)
    columns = ("", "nats a piece", "nats a note", "notes a piece", "sounding at once", "added notes a second")
    click.echo(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for way, measured in rows.items():
        nats, notes, sounding, added, taken_s = np.array(measured).T
        speed = f"{added.sum() / taken_s.sum():.0f}" if taken_s.any() else ""
        cells = (
            f"{nats.mean():.1f}",
            f"{nats.sum() / notes.sum():.3f}",
            f"{notes.mean():.1f}",
            f"{sounding.mean():.2f}",
        )
        click.echo(f"| {' | '.join((way, *cells, speed))} |")


def highest(piece: NoteSequence) -> NoteSequence:
    """The program whose notes are highest on average, alone."""
    notes = piece.notes
    mean = {program: notes["pitch"][notes["program"] == program].mean() for program in piece.programs}
    return replace(piece, notes=notes[notes["program"] == max(mean, key=mean.__getitem__)])


def voices(piece: NoteSequence) -> float:
    """How many notes sound at once, on average over the piece."""
    return float(piece.notes["duration"].sum() / piece.length)


if __name__ == "__main__":
    main()
