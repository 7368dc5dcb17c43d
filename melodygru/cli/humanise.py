"""`melodygru humanise`: a score played as a model of performances plays; without TensorFlow."""

from __future__ import annotations

import secrets
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from melodygru.cli import options, outputs, screen
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
    from melodygru.compose.composer import Composer
    from melodygru.model import checkpoint

    kinds = outputs.asked(values, None, show_it, as_json)
    settings = HumaniseSettings(**values)
    path = checkpoint.find(model)
    composer = Composer.load(path)
    if settings.seed is None:
        settings = replace(settings, seed=secrets.randbits(32))
    screen.say(f"model {screen.name(path)}, seed {settings.seed}")
    with screen.ProgressLine() as line:

        def show(share: float) -> None:
            left = screen.left(line.elapsed_s * (1 / share - 1)) if share else ""
            line.show(lambda: f"playing: {share:.0%}, {left}")

        made = composer.humanise(file, settings, on_progress=show)
        line.clear()
    outputs.make_folder(output_dir)
    paths = outputs.write_midi(made, output_dir, f"{file.stem}-{settings.seed}")
    described = [outputs.described(piece, written) for piece, written in zip(made, paths, strict=True)]
    for piece, about in zip(made, described, strict=True):
        about |= {**piece.as_dict(), "reason": piece.reason}
    problems = outputs.write_others(
        made,
        paths,
        described,
        kinds=kinds,
        scores=outputs.score_paths(None, len(made)),
        soundfont=soundfont,
        show_it=show_it,
        as_json=as_json,
    )
    if as_json:
        result = {"model": str(path), "seed": settings.seed, "file": str(file), "outputs": described}
        screen.result_json({**result, "problems": problems})
    outputs.end(described, kinds, None)


__all__ = ["humanise"]
