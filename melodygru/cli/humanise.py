"""`melodygru humanise`: a score played as a model of performances plays; without TensorFlow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from melodygru.cli import options, outputs
from melodygru.cli.remaking import remake
from melodygru.compose.humanise_settings import HumaniseSettings


@click.command(
    epilog="Pitches and their order stay, and so does all else in FILE but its notes' times and velocities, its tempos "
    "(without --keep-tempo) and its sustain pedal. A model on a grid of milliseconds, of music that people played, "
    "gives all of these; one on a grid of beats gives velocities alone."
)
@click.argument("file", type=click.Path(path_type=Path))
@options.model
@options.declared(HumaniseSettings)
@outputs.folder("humanised")
@outputs.kinds
@click.option("--show", "show_it", is_flag=True, help="Also show each performance as a piano roll in the terminal.")
@click.option(
    "--soundfont",
    type=click.Path(path_type=Path),
    metavar="FILE.sf2",
    help="Instruments of --wav and --flac.  [default: those that pretty_midi carries]",
)
@options.as_json
def humanise(
    file: Path,
    model: Path | None,
    output_dir: Path,
    show_it: bool,
    soundfont: Path | None,
    as_json: bool,
    **values: Any,
) -> None:
    """Play FILE with the expression of a model: timing, tempo, loudness, articulation and pedal.

    \b
    melodygru humanise score.mid --model checkpoints/piano.keras
    melodygru humanise score.mid --model checkpoints/piano.keras -n 3 --strength 0.5
    melodygru humanise score.mid --model checkpoints/piano.keras --keep-tempo --wav
    """  # fmt: skip
    kinds = outputs.asked(values, None, show_it, as_json)
    remake(
        lambda composer, settings, show: composer.humanise(file, settings, on_progress=show),
        file,
        model,
        HumaniseSettings(**values),
        doing="playing",
        about=lambda composer, piece: {},
        kinds=kinds,
        output_dir=output_dir,
        score_file=None,
        soundfont=soundfont,
        show_it=show_it,
        as_json=as_json,
    )


__all__ = ["humanise"]
