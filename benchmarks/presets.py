"""Parameters of each preset, for the vocabulary of a corpus.

python benchmarks/presets.py data/starter
"""

from __future__ import annotations

from pathlib import Path

import click


@click.command(help=__doc__)
@click.argument("midi_dir", type=click.Path(exists=True, file_okay=False, path_type=Path))
def main(midi_dir: Path) -> None:
    from melodygru.corpus import intake
    from melodygru.model.architecture import PRESETS
    from melodygru.training import fit, new_model

    vocabulary, _ = fit(intake(midi_dir))
    for name, sizes in PRESETS.items():
        parameters = new_model(vocabulary, sizes, seed=0).count_params()
        click.echo(f"{name:6} {sizes.layers} x {sizes.units} units  {parameters:,} parameters")


if __name__ == "__main__":
    main()
