"""`melodygru replay`: a file that generate, redo or humanise wrote, composed anew from its provenance."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from melodygru.cli import options, screen
from melodygru.cli.outputs import make_folder, write_new
from melodygru.compose.redo_settings import RedoSettings
from melodygru.compose.settings import GenerateSettings
from melodygru.util.wording import counted

if TYPE_CHECKING:
    from melodygru.compose.drawing import Note
    from melodygru.compose.lengths import Plan
    from melodygru.compose.replay import Replay

DIFFERS = 1  # exit code where the file doesn't come out byte for byte


@click.command(
    epilog="The exit code is 0 if the file came out byte for byte, else 1. Of several pieces made together all "
    "are composed anew, for a piece depends on how many there were."
)
@click.argument("file", type=click.Path(path_type=Path))
@options.alike(GenerateSettings, "primer", "The primer that it was made with, under whatever name.")
@click.option(
    "--piece",
    type=click.Path(path_type=Path),
    metavar="FILE.mid",
    help="Likewise, the piece that was redone or humanised.",
)
@options.alike(RedoSettings, "form_of", "Likewise, the piece whose form was taken.")
@click.option(
    "--model",
    type=click.Path(path_type=Path),
    metavar="FILE.keras",
    help="The checkpoint.  [default: the one in ./checkpoints with the file's hash, or the one with melodygru]",
)
@click.option(
    "-o",
    "--output-dir",
    type=options.Target(),
    default=Path("replayed"),
    show_default=True,
    metavar="DIR",
    help="Where the file goes, under its own name; none that is there is replaced.",
)
@options.as_json
def replay(file: Path, model: Path | None, output_dir: Path, as_json: bool, **inputs: Path | None) -> None:
    """Compose FILE, which generate, redo or humanise wrote, anew from its provenance, and say what differs.

    \b
    melodygru replay generated/starter-5-7.mid
    melodygru replay generated/mine-1-1.mid --primer opening.mid -o out
    melodygru replay redone/song-7-1.mid --piece song.mid
    """  # fmt: skip
    from melodygru.compose.replay import replay as make

    with screen.ProgressLine() as line:
        n_notes = 0
        n_pieces = 1

        def start(plans: list[Plan]) -> None:
            nonlocal n_pieces
            n_pieces = len(plans)

        def add(_: Note) -> None:
            nonlocal n_notes
            n_notes += 1
            line.show(lambda: f"replaying {counted(n_pieces, 'piece')}: {counted(n_notes, 'note')}")

        made = make(file, model=model, on_start=start, on_note=add, **inputs)
    provenance = made.provenance
    from_model = "" if made.model is None else f"model {screen.name(made.model)}, "
    screen.say(f"{from_model}seed {provenance.seed}, piece {provenance.piece} of {provenance.of}")
    for what in made.mismatches:
        screen.warn(f"not as when it was made: {what}")
    path = _write(made, output_dir, file)
    if as_json:
        screen.result_json(_as_json(made, file, path))
    else:
        screen.result(f"{screen.name(path)}  {made.verdict}")
    if not made.identical:
        click.get_current_context().exit(DIFFERS)


def _write(made: Replay, folder: Path, file: Path) -> Path:
    """Write the piece under its own name, or another where that is taken by other bytes."""
    make_folder(folder)
    return write_new([made.data], lambda take: [folder / f"{file.stem}{take}{file.suffix}"])[0]


def _as_json(made: Replay, file: Path, path: Path) -> dict[str, Any]:
    """The result as JSON."""
    return {
        "file": str(file),
        "midi": str(path),
        "model": None if made.model is None else str(made.model),
        "provenance": dataclasses.asdict(made.provenance),
        "identical": made.identical,
        "as_composed": made.as_composed,
        "edited": made.edited,
        "difference": None if made.difference is None else dataclasses.asdict(made.difference),
        "mismatches": list(made.mismatches),
        "verdict": made.verdict,
    }
