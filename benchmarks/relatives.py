"""Near relatives inside a corpus's splits: held-out pieces whose tune was learned, in another key or harmony.

    python benchmarks/relatives.py DATA/jsb16 DATA/nottingham --list
    python benchmarks/relatives.py DATA/jsb16 --model checkpoints/jsb16.keras

Of each piece the top line, the highest note of each onset, is looked up in the originality index of the training
pieces' top lines: intervals and rhythm, so that neither key nor harmony counts, in matches of 8 notes and more. A
held-out piece half or more of whose top line stands there is a relative. Families are those of `corpus.relatives`
(other takes, transpositions, other tempos), within training, within what is held out, and across both. With a model
the figure stands beside that of the pieces that are no relatives; nats a note, style and metre unknown, ends included.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

if TYPE_CHECKING:
    from melodygru.music.notes import NoteSequence

HALF = 0.5  # of the top line
FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


def pieces_of(folder: Path, grid: Any = None) -> tuple[list[str], list[NoteSequence], Any]:
    """The names and pieces of a folder, duplicates too, and their grid."""
    from melodygru.corpus import intake

    corpus = intake(folder, grid=grid, deduplicate=False)
    names = [piece.path for piece in corpus.pieces]
    return names, [corpus[at] for at in range(len(corpus))], corpus.grid


def top_line(piece: NoteSequence) -> NoteSequence:
    """The highest note of each onset, drums aside, as a piece of one part; each lasts until the next at most."""
    from melodygru.music.notes import DRUMS, canonical

    notes = piece.notes[piece.notes["program"] != DRUMS].copy()
    order = np.lexsort((-notes["pitch"], notes["onset"]))
    notes = notes[order][np.append(True, np.diff(notes["onset"][order]) > 0)[: len(notes)]]
    notes["part"] = notes["program"] = 0
    notes["duration"][:-1] = np.minimum(notes["duration"][:-1], np.diff(notes["onset"]))
    return replace(piece, notes=canonical(notes)[0], names=())


def families_of(sketches: list[np.ndarray]) -> np.ndarray:
    """The family of each piece."""
    from melodygru.corpus.relatives import families

    return families(sketches)


def in_families(family: np.ndarray) -> int:
    """How many pieces have a relative."""
    _, inverse, counts = np.unique(family, return_inverse=True, return_counts=True)
    return int(np.sum(counts[inverse] > 1))


def figures(model: Path, pieces: list[NoteSequence]) -> Iterator[tuple[float, int]]:
    """Nats and notes of each piece."""
    from melodygru.compose.composer import Composer
    from melodygru.model.trace import Tracer

    tracer = Tracer(Composer.load(model).model)
    for piece in pieces:
        yield float(tracer.trace(piece).nats.sum()), len(piece)


@click.command(help=__doc__)
@click.argument("corpora", nargs=-1, required=True, type=FOLDER)
@click.option("--model", type=click.Path(exists=True, path_type=Path), help="Checkpoint, of one corpus alone.")
@click.option("--list", "list_them", is_flag=True, help="Also list the relatives, with what they share.")
def main(corpora: tuple[Path, ...], model: Path | None, list_them: bool) -> None:
    from melodygru.analysis.originality import Index
    from melodygru.corpus.relatives import sketch
    from melodygru.model.checkpoint import read_vocabulary

    if model is not None and len(corpora) > 1:
        raise click.UsageError("--model: expected one corpus with it")
    click.echo(
        "| corpus | learned | held out | relatives among these | with relatives: in training | held out | across both "
        "| nats a note | without relatives |\n|---|---|---|---|---|---|---|---|---|"
    )
    for folder in corpora:
        grid = None if model is None else read_vocabulary(model).grid
        names, learned, grid = pieces_of(folder / "train", grid)
        others, held_out, _ = pieces_of(folder / "valid", grid)
        index = Index.build(list(zip(names, map(top_line, learned), strict=True)))
        found = [index.examine(top_line(piece)) for piece in held_out]
        relative = np.array([one.share >= HALF for one in found])
        sketches = [[sketch(piece) for piece in of] for of in (learned, held_out)]
        together = families_of([*sketches[0], *sketches[1]])
        across = np.isin(together[len(learned) :], together[: len(learned)])
        nats, without = "", ""
        if model is not None:
            each = np.array(list(figures(model, held_out)))
            nats = f"{each[:, 0].sum() / each[:, 1].sum():.4f}"
            rest = each[~relative]
            without = f"{rest[:, 0].sum() / rest[:, 1].sum():.4f}"
        click.echo(
            f"| {folder.name} | {len(learned)} | {len(held_out)} | {relative.sum()} "
            f"| {in_families(families_of(sketches[0]))} | {in_families(families_of(sketches[1]))} | {across.sum()} "
            f"| {nats} | {without} |"
        )
        if list_them:
            for name, one, is_relative in zip(others, found, relative.tolist(), strict=True):
                if is_relative and one.longest is not None:
                    click.echo(f"{name}: {one.share:.0%}; {one.longest.notes} notes in a row of {one.longest.file}")


if __name__ == "__main__":
    main()
