"""`melodygru explain`: what a model's recurrent layers do with a piece, as a page and pictures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np

from melodygru.cli import options, screen
from melodygru.cli.reading import read
from melodygru.util.wording import counted

if TYPE_CHECKING:
    from melodygru.analysis.explain import Trace
    from melodygru.analysis.explain.report import Report
    from melodygru.model.checkpoint import Checkpoint
    from melodygru.music.notes import NoteSequence

MAX_NOTES = 20_000  # later pieces are left out


@click.command(
    epilog="Style and metre are unknown to the model, as in evaluate. A unit's name is its layer and its number in it, "
    "both from 0. A unit is said to follow something that explains 0.05 of its variance or more, and more than 95% of "
    "shuffles reach with their best unit; a folder shows more of that than one piece. How to read the page: "
    "docs/explain.md."
)
@click.argument("files", type=click.Path(path_type=Path), nargs=-1, required=True, metavar="FILE...")
@options.model
@click.option(
    "-o",
    "--output-dir",
    type=options.Target(),
    default=Path("explained"),
    show_default=True,
    metavar="DIR",
    help="Where the page and its pictures go; those of an earlier run there are replaced, no other file is.",
)
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="The shuffled control follows from it."
)
@options.as_json
def explain(files: tuple[Path, ...], model: Path | None, output_dir: Path, seed: int, as_json: bool) -> None:
    """Show what a model does with FILE: its gates, its memory, what its units follow, what surprises it.

    FILE is a MIDI file or a folder. Statistics are of all pieces given, notes and gates are drawn of the first.

    \b
    melodygru explain song.mid -o explained
    melodygru explain song.mid midi_dir/ --model checkpoints/mine.keras -o explained
    """
    from melodygru.model import checkpoint
    from melodygru.render.pages.explain import PAGE, claim, write

    path = checkpoint.find(model)
    screen.say(f"model {screen.name(path)}")
    claim(output_dir)
    found = _find_out(checkpoint.read(path), screen.name(path), files, seed)
    with screen.ProgressLine() as line:
        written = write(output_dir, found, line.count("drawing"))
    if as_json:
        screen.result_json({**found.as_dict(), "written": [str(path) for path in written]})
        return
    for label, text in _lines(found):
        screen.result(f"{label:<15}{text}")
    screen.result(f"{'page':<15}{screen.name(output_dir / PAGE)}")


def _find_out(contents: Checkpoint, model: str, files: tuple[Path, ...], seed: int) -> Report:
    """Trace the pieces and find out about the model."""
    from melodygru.analysis.explain import Tracer
    from melodygru.analysis.explain.report import report
    from melodygru.model.numpy_model import NumpyModel

    tracer = Tracer(NumpyModel(contents))
    pieces: dict[Path, tuple[Path, NoteSequence]] = {}  # a file that is given twice counts once
    for file in files:
        corpus = read(file, contents.vocabulary.grid)
        for at, piece in enumerate(corpus.pieces):
            path = file / piece.path if file.is_dir() else file
            pieces.setdefault(path.resolve(), (path, corpus[at]))
    names: list[str] = []
    traces: list[Trace] = []
    notes = 0
    total = sum(len(sequence.notes) for _, sequence in pieces.values())
    with screen.ProgressLine() as line:
        progress = line.count("tracing notes")
        for name, sequence in pieces.values():
            if traces and notes + len(sequence) > MAX_NOTES:
                continue
            traces.append(tracer.trace(sequence))
            names.append(screen.name(name))
            notes += len(sequence)
            progress(notes, min(total, MAX_NOTES))
        line.show("trying units")
        left_out = len(pieces) - len(traces)
        found = report(tracer, model, names, traces, left_out, seed)
    if left_out:
        screen.warn(f"{len(traces):,} of the {len(pieces):,} pieces used: {MAX_NOTES:,} notes are enough")
    return found


def _lines(found: Report) -> Iterator[tuple[str, str]]:
    """The result for the screen."""
    from melodygru.analysis.explain.report import NAMED_UNITS, three_digits

    account = found.account
    yield "music", f"{counted(len(found.traces), 'piece')}, {counted(account.notes, 'note')}; drawn: {found.names[0]}"
    yield "nats per note", f"{sum(nats for _, nats in found.nats_by_field()):.4f}"
    for layer, row in enumerate(account.half_life):
        low, middle, high = map(three_digits, np.percentile(row, (5, 50, 95)))
        yield "half-life", f"layer {layer}: {middle} {found.time} in the median (5% to 95%: {low} to {high})"
    forgetting = account.forgetting
    yield (
        "memory",
        f"of the last note alone: {forgetting[0]:+.3f} nats per note; {len(forgetting)}: {forgetting[-1]:+.3f}",
    )
    yield "matter most", ", ".join(f"{unit.name} ({unit.nats_per_note:+.3f})" for unit in account.units[:NAMED_UNITS])
    for aspect, (one, best) in found.followers().items():
        text = f"{int(one.beyond.sum()):,} of {one.scores.size:,} units (score above {one.needed:.3f})"
        if best:
            text += "; best " + ", ".join(f"{name} ({score:.2f})" for name, score in best[:3])
        yield aspect, text
