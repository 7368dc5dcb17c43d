"""`melodygru redo`: a part of a piece composed again, all else as it was; without TensorFlow."""

from __future__ import annotations

import secrets
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from melodygru.cli import options, outputs, screen
from melodygru.cli.originality import in_short
from melodygru.compose.redo_settings import RedoSettings


@click.command(
    epilog="A candidate's file is FILE's own but for what was composed again: notes that are kept, controllers, tempos "
    "and all other messages are those that were there. docs/redo.md shows each kind."
)
@click.argument("file", type=click.Path(path_type=Path))
@options.model
@options.declared(RedoSettings)
@outputs.folder("redone")
@outputs.kinds
@click.option("--show", "show_it", is_flag=True, help="Also show each candidate as a piano roll in the terminal.")
@options.score
@click.option(
    "--soundfont",
    type=click.Path(path_type=Path),
    metavar="FILE.sf2",
    help="Instruments of --wav and --flac.  [default: those that pretty_midi carries]",
)
@options.as_json
def redo(
    file: Path,
    model: Path | None,
    output_dir: Path,
    show_it: bool,
    score_file: Path | None,
    soundfont: Path | None,
    as_json: bool,
    **values: Any,
) -> None:
    """Compose a part of FILE again: bars, parts, or some fields of its notes.

    \b
    melodygru redo song.mid --bars 9:12 --parts bass,drums -n 4
    melodygru redo song.mid --lock drums
    melodygru redo song.mid --parts melody --fields pitch --keep 0.7
    melodygru redo melody.mid --add piano,bass,drums
    melodygru redo song.mid --bars 13: --form-of song.mid
    melodygru redo loop.mid --loop
    melodygru redo song.mid --bars 5:8 --surprising 10
    """  # fmt: skip
    from melodygru.compose.composer import Composer
    from melodygru.model import checkpoint

    kinds = outputs.asked(values, score_file, show_it, as_json)
    settings = RedoSettings(**values)
    path = checkpoint.find(model)
    composer = Composer.load(path)
    if settings.seed is None:
        settings = replace(settings, seed=secrets.randbits(32))
    screen.say(f"model {screen.name(path)}, seed {settings.seed}")
    with screen.ProgressLine() as line:

        def show(share: float) -> None:
            left = screen.left(line.elapsed_s * (1 / share - 1)) if share else ""
            line.show(lambda: f"composing: {share:.0%}, {left}")

        made = composer.redo(file, settings, on_progress=show)
        line.clear()
    outputs.make_folder(output_dir)
    paths = outputs.write_midi(made, output_dir, f"{file.stem}-{settings.seed}")
    described = [outputs.described(piece, written) for piece, written in zip(made, paths, strict=True)]
    for piece, about in zip(made, described, strict=True):
        about |= {**piece.as_dict(), "reason": piece.reason}
        if piece.originality is not None and composer.index is not None:
            baseline = composer.index.baseline
            summary = f"{piece.reason}; {in_short(piece.originality, baseline)}"
            about["originality"] = {**piece.originality.as_dict(), "held_out": baseline, "summary": summary}
        else:
            about["originality"] = {"summary": piece.reason}
    problems = outputs.write_others(
        made,
        paths,
        described,
        kinds=kinds,
        scores=outputs.score_paths(score_file, len(made)),
        soundfont=soundfont,
        show_it=show_it,
        as_json=as_json,
    )
    if as_json:
        result = {"model": str(path), "seed": settings.seed, "file": str(file), "outputs": described}
        screen.result_json({**result, "problems": problems})
    outputs.end(described, kinds, score_file)


__all__ = ["redo"]
