"""`melodygru replay`: a file that generate wrote, made again from its stamp."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from melodygru.cli import options, screen
from melodygru.util.wording import counted

if TYPE_CHECKING:
    from melodygru.compose import Note, Plan
    from melodygru.compose.replay import Replay

DIFFERS = 1  # exit code where the file isn't made again byte for byte


def _input(name: str, what: str) -> Any:
    return click.option(f"--{name}", type=click.Path(path_type=Path), metavar="FILE.mid", help=what)


@click.command(
    epilog="The exit code is 0 if the file was made again byte for byte, else 1. Of several pieces made together all "
    "are composed again, for a piece depends on how many there were."
)
@click.argument("file", type=click.Path(path_type=Path))
@_input("primer", "The primer that it was made with, under whatever name.")
@_input("vary", "Likewise, the piece that was varied.")
@_input("accompany", "Likewise, the piece that was accompanied.")
@click.option(
    "--model",
    type=click.Path(path_type=Path),
    metavar="FILE.keras",
    help="The checkpoint.  [default: the one in ./checkpoints with the stamp's hash, or the one with melodygru]",
)
@click.option(
    "-o",
    "--output-dir",
    type=click.Path(path_type=Path),
    default=Path("replayed"),
    show_default=True,
    metavar="DIR",
    help="Where the file goes, under its own name; none that is there is replaced.",
)
@options.as_json
def replay(
    file: Path,
    primer: Path | None,
    vary: Path | None,
    accompany: Path | None,
    model: Path | None,
    output_dir: Path,
    as_json: bool,
) -> None:
    """Make FILE, which generate wrote, again from its stamp, and tell what differs.

    \b
    melodygru replay generated/starter-5-7.mid
    melodygru replay generated/mine-1-1.mid --primer opening.mid -o again
    """  # fmt: skip
    from melodygru.compose.replay import replay as make_again

    with screen.ProgressLine() as line:
        n_notes = 0
        n_pieces = 1

        def start(plans: list[Plan]) -> None:
            nonlocal n_pieces
            n_pieces = len(plans)

        def add(_: Note) -> None:
            nonlocal n_notes
            n_notes += 1
            line.show(lambda: f"composing {counted(n_pieces, 'piece')} again: {counted(n_notes, 'note')}")

        made = make_again(file, model=model, primer=primer, vary=vary, accompany=accompany, on_start=start, on_note=add)
    provenance = made.provenance
    from_model = "" if made.model is None else f"model {screen.name(made.model)}, "
    screen.say(f"{from_model}seed {provenance.seed}, piece {provenance.piece} of {provenance.of}")
    for what in made.mismatches:
        screen.warn(f"not as when it was made: {what}")
    path = _write(made, output_dir, file)
    if as_json:
        screen.result_json(_figures(made, file, path))
    else:
        screen.result(f"{screen.name(path)}  {made.verdict}")
    if not made.identical:
        click.get_current_context().exit(DIFFERS)


def _write(made: Replay, folder: Path, file: Path) -> Path:
    """Write the piece under its own name, or another where that is taken by other bytes."""
    from melodygru.cli.generate import make_folder

    make_folder(folder)
    take = 1
    while True:
        path = folder / (file.name if take == 1 else f"{file.stem}-take{take}{file.suffix}")
        if not path.exists():
            made.save(path)
            return path
        if path.read_bytes() == made.data:
            return path
        take += 1


def _figures(made: Replay, file: Path, path: Path) -> dict[str, Any]:
    """The result as JSON."""
    return {
        "file": str(file),
        "midi": str(path),
        "model": None if made.model is None else str(made.model),
        "stamp": dataclasses.asdict(made.provenance),
        "identical": made.identical,
        "as_composed": made.as_composed,
        "edited": made.edited,
        "difference": None if made.difference is None else dataclasses.asdict(made.difference),
        "unlike": list(made.mismatches),
        "verdict": made.verdict,
    }
