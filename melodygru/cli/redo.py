"""`melodygru redo`: a part of a piece composed again, all else as it was; without TensorFlow."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from melodygru.cli import options, outputs
from melodygru.cli.originality import in_short
from melodygru.cli.remaking import remake
from melodygru.compose.redo_settings import RedoSettings

if TYPE_CHECKING:
    from melodygru.compose.candidates import Candidate
    from melodygru.compose.composer import Composer


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
    kinds = outputs.asked(values, score_file, show_it, as_json)
    remake(
        lambda composer, settings, show: composer.redo(file, settings, on_progress=show),
        file,
        model,
        RedoSettings(**values),
        doing="composing",
        about=_originality,
        kinds=kinds,
        output_dir=output_dir,
        score_file=score_file,
        soundfont=soundfont,
        show_it=show_it,
        as_json=as_json,
    )


def _originality(composer: Composer, piece: Candidate) -> dict[str, Any]:
    """What of a candidate stands in the training music, and its place among the others in words."""
    if piece.originality is None or composer.index is None:
        return {"originality": {"summary": piece.reason}}
    baseline = composer.index.baseline
    summary = f"{piece.reason}; {in_short(piece.originality, baseline)}"
    return {"originality": {**piece.originality.as_dict(), "held_out": baseline, "summary": summary}}


__all__ = ["redo"]
