"""Lengths of pieces that the model ends itself, in bars, beside those of the corpus, for each style.

python benchmarks/lengths.py data/starter --model checkpoints/starter.keras --number 50
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np


@click.command(help=__doc__)
@click.argument("midi_dir", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--model", required=True, type=click.Path(exists=True, path_type=Path), help="Checkpoint.")
@click.option("--number", default=50, show_default=True, help="Pieces to compose in each style.")
@click.option("--seed", default=0, show_default=True, help="Of the composed pieces.")
def main(midi_dir: Path, model: Path, number: int, seed: int) -> None:
    from melodygru.compose import compose
    from melodygru.corpus import intake
    from melodygru.model.checkpoint import read
    from melodygru.model.numpy_model import NumpyModel

    network = NumpyModel(read(model))
    corpus = intake(midi_dir, grid=network.vocabulary.grid)
    click.echo("| style | corpus, bars: lower quartile, median, upper quartile | composed |\n|---|---|---|")
    for style in network.vocabulary.styles:
        real = [len(corpus[i].bar_starts()) - 1 for i, piece in enumerate(corpus.pieces) if piece.style == style]
        made = [len(piece.bar_starts()) - 1 for piece in compose(network, number, seed, style=style)]
        cells = [", ".join(f"{value:.0f}" for value in np.quantile(bars, [0.25, 0.5, 0.75])) for bars in (real, made)]
        click.echo(f"| {style} | {cells[0]} | {cells[1]} |")


if __name__ == "__main__":
    main()
