"""What knowing the plan is worth: nats a note with nothing known, and with each entry of a piece's own plan.

    python benchmarks/known.py --model MODEL.keras DATA/bands/valid

Likelihoods are published with nothing known. Metre, and the bars with it, are known in all rows but the first.
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np

ROWS = {
    "nothing": None,
    "metre": (),
    "tempo": ("qpm",),
    "length": ("n_bars",),
    "form": ("returns",),
    "chords": ("chords",),
    "all": ("qpm", "n_bars", "returns", "chords"),
}


def measure(model: Path, folder: Path, pieces: int, most: int) -> tuple[dict[str, float], int]:
    """Nats a note by row, and notes, of a folder's first `pieces` files of at most so many notes."""
    from melodygru.compose.primer import Source
    from melodygru.errors import MelodyGruError
    from melodygru.events.planned import ENTRIES, UNPLANNED, Planned
    from melodygru.midi.files import find_files
    from melodygru.model import checkpoint
    from melodygru.model.numpy_model import NumpyModel
    from melodygru.model.trace import Tracer

    tracer = Tracer(NumpyModel(checkpoint.read(model)))
    vocabulary = tracer.vocabulary
    if not vocabulary.plans:
        raise click.ClickException(f"{model}: its music has no bars, and so no plan; expected a model of bars")
    nats, notes, read = dict.fromkeys(ROWS, 0.0), 0, 0
    for path in find_files(folder).values():
        try:
            piece = Source.from_given(path).primer(vocabulary).sequence
        except MelodyGruError as error:
            click.echo(f"{path}: {error}", err=True)
            continue
        if not 0 < len(piece) <= most:
            continue
        planned = Planned.of(piece)
        for row, entries in ROWS.items():
            known = UNPLANNED if entries is None else planned.knowing(tuple(name in entries for name in ENTRIES))
            nats[row] += float(
                tracer.trace(piece, metre_known=entries is not None, planned=known).nats.sum(dtype=np.float64)
            )
        notes, read = notes + len(piece), read + 1
        if read == pieces:
            break
    if not read:
        raise click.ClickException(f"{folder}: no piece of at most {most:,} notes; expected MIDI files")
    return {row: total / notes for row, total in nats.items()}, notes


@click.command(help=__doc__.split("\n\n")[0])
@click.option("--model", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--pieces", default=20, show_default=True, type=click.IntRange(1), help="Files that are read.")
@click.option("--notes", default=3000, show_default=True, type=click.IntRange(1), help="Longer pieces are left out.")
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
def main(model: Path, folder: Path, pieces: int, notes: int) -> None:
    found, n = measure(model, folder, pieces, notes)
    click.echo(f"{n:,} notes of {folder.name}\n\n| known | nats a note | against the metre alone |\n|---|---:|---:|")
    for row, value in found.items():
        click.echo(f"| {row} | {value:.3f} | {value / found['metre'] - 1:+.1%} |")


if __name__ == "__main__":
    main()
