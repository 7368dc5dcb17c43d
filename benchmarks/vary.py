"""Variations: nats of varied pieces, what is new being whole bars or single notes, for several numbers of versions.

    python benchmarks/vary.py --model benchmarks/models/jsb16.keras --data DATA/jsb16/valid
    python benchmarks/vary.py --model checkpoints/starter.keras --data data/starter --pieces 12

Nats per note of the whole piece, under the model at temperature 1 with nothing filtered, and the share of all notes
that have the pitch they had. Variations are drawn with top-p 0.95, as `melodygru generate` draws by default.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

if TYPE_CHECKING:
    from melodygru.music.notes import NoteSequence

PARTICLES = (1, 16, 64)
KEEP = (0.7, 0.3)


@click.command(help=__doc__)
@click.option("--model", required=True, type=click.Path(exists=True, path_type=Path), help="Checkpoint.")
@click.option(
    "--data", required=True, type=click.Path(exists=True, file_okay=False, path_type=Path), help="MIDI files."
)
@click.option("--pieces", default=8, show_default=True, help="How many of them, drawn at random.")
@click.option("--seed", default=1, show_default=True, help="Of the variations.")
def main(model: Path, data: Path, pieces: int, seed: int) -> None:
    from parts.files import midi_files

    from melodygru import midi
    from melodygru.analysis.explain import Tracer
    from melodygru.compose import Controls, Particles
    from melodygru.compose.varying import SameRhythm, fill_in, kept
    from melodygru.events import PITCH, representable
    from melodygru.model import checkpoint
    from melodygru.model.numpy_model import NumpyModel
    from melodygru.music.quantize import quantize

    loaded = checkpoint.read(model)
    network = NumpyModel(loaded)
    tracer = Tracer(network)
    v = network.vocabulary
    files = midi_files(data)
    drawn = [files[i] for i in np.random.default_rng(0).permutation(len(files))[:pieces]]
    rows: dict[tuple[float, str, int], list[tuple[float, int, int]]] = {}
    for number, path in enumerate(drawn):
        own, _ = representable(quantize(midi.read(path).sequence, v.grid)[0], v)
        rows.setdefault((1.0, "as it was", 0), []).append((tracer.trace(own).nats.sum(), len(own), len(own)))
        for keep in KEEP:
            for what, choose in (("bars", kept), ("single notes", kept_singly)):
                for n in PARTICLES:
                    particles = Particles(network, n, np.random.default_rng(seed), Controls(top_p=0.95), piece=own)
                    for _ in fill_in(particles, SameRhythm(v, own, choose(own, keep, particles.rng))):
                        if particles.effective() < n / 2:
                            particles.resample()
                    notes = own.notes.copy()
                    notes["pitch"] = [row[PITCH] for row in particles.rows[int(np.argmax(particles.log_p))]]
                    same = int(np.sum(notes["pitch"] == own.notes["pitch"]))
                    nats = tracer.trace(replace(own, notes=notes)).nats.sum()
                    rows.setdefault((keep, what, n), []).append((nats, len(own), same))
        click.echo(f"{number + 1} of {len(drawn)}", err=True)
    click.echo("| keep | what is new | versions | nats a note | pitches as they were |\n|---|---|---|---|---|")
    for (keep, what, n), measured in rows.items():
        nats, notes, same = np.array(measured).sum(0)
        click.echo(f"| {keep} | {what} | {n or ''} | {nats / notes:.3f} | {same / notes:.2f} |")


def kept_singly(piece: NoteSequence, keep: float, rng: np.random.Generator) -> np.ndarray:
    """Which notes stay, as `compose.varying.kept`, with notes drawn one by one; chords of a program stay whole."""
    _, chord = np.unique(piece.notes[["onset", "program"]], return_inverse=True)
    order = rng.permutation(int(chord.max()) + 1)
    n_new = len(piece) - round(keep * len(piece))
    return ~np.isin(chord, order[np.cumsum(np.bincount(chord)[order]) <= n_new])


if __name__ == "__main__":
    main()
