"""`melodygru evaluate`: the exact likelihood of given pieces under a model."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from melodygru.cli import options, screen
from melodygru.cli.reading import read
from melodygru.errors import SettingError
from melodygru.util.atomic import atomic_write

if TYPE_CHECKING:
    from melodygru.corpus import Corpus

COLUMNS = (
    "file", "note", "onset_step", "part", "program", "pitch", "duration_steps", "velocity",
    "nats_shift", "nats_part", "nats_pitch", "nats_duration", "nats_velocity", "nats",
)  # fmt: skip


@click.command(
    epilog="nats are -ln p of every note and every piece's end, from tick 0 to end_of_track, with the whole context, "
    "style and metre unknown. Every readable file with a note counts, duplicates too; the others count as skipped. "
    "Lossy notes are those that reading or the model's grid dropped, merged, cut, clipped or gave another part "
    "or program; rounding to the grid and to velocity bins is none."
)
@options.midi_dir
@options.model
@click.option(
    "--per-note",
    type=options.Written(".csv", ""),
    metavar="FILE.csv",
    help="Write the nats of every field of every note, shorter pieces first.",
)
@options.scheduler
@options.as_json
def evaluate(midi_dir: Path, model: Path | None, per_note: Path | None, scheduler: str | None, as_json: bool) -> None:
    """Measure how well a model predicts the pieces of a folder.

    \b
    melodygru evaluate other_dir/ --model checkpoints/mine.keras
    melodygru evaluate other_dir/ --model checkpoints/mine.keras --json --per-note notes.csv
    """  # fmt: skip
    from melodygru import training
    from melodygru.model import checkpoint

    path = checkpoint.find(model)
    screen.say(f"model {screen.name(path)}")
    grid = checkpoint.read_vocabulary(path).grid
    corpus = read(midi_dir, grid, scheduler=scheduler)
    training.start_tensorflow(on_message=screen.say)
    from melodygru.model.keras_model import load_model

    loaded = load_model(path)
    with screen.ProgressLine() as line, _rows(per_note) as write:
        found = training.evaluate(loaded, corpus, on_piece=_on_piece(corpus, loaded.vocabulary, line, write))
    report = corpus.report
    results = {
        "pieces": found.pieces,
        "skipped": len(report.skipped),
        "notes": found.notes,
        "events": found.events,
        "nats": found.nats,
        "nats_per_note": found.nats_per_note,
        "steps": found.steps,
        "nats_per_step": found.nats_per_step,
        "beats": report.beats,
        "seconds": report.seconds,
        "lossy_notes": report.lost + found.lossy_notes,
        "unmodelled": found.unmodelled,
    }
    if found.performance_events is not None:
        results["performance_events"] = found.performance_events
        results["nats_per_performance_event"] = found.nats_per_performance_event
    if as_json:
        screen.result_json(results)
        return
    width = max(16, max(len(name) for name in results) + 2)
    for label, value in _table(results):
        screen.result(f"{label:<{width}}{value}")
    if per_note is not None:
        screen.result(f"{'per note':<{width}}{screen.name(per_note)}")


def _table(results: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Label and value of each result for the screen."""
    for name, value in results.items():
        if isinstance(value, list):
            text = ", ".join(value) or "nothing"
        elif name.startswith("nats_per"):
            text = f"{value:.4f}"
        elif isinstance(value, float):
            text = f"{value:,.1f}"
        else:
            text = f"{value:,}"
        yield name.replace("_", " "), text


def _on_piece(
    corpus: Corpus, vocabulary: Any, line: screen.ProgressLine, write: Callable[[list[Any]], None] | None
) -> Callable[..., None]:
    """What is done with each piece as it is measured: progress by notes, and its rows."""
    from melodygru.events import representable

    progress = line.count_notes("measuring notes", corpus)

    def on_piece(index: int, sequence: Any, events: Any, log_p: Any) -> None:
        progress(index, sequence)
        if write is None:
            return
        held, _ = representable(sequence, vocabulary)
        name = screen.name(corpus.pieces[index].path)
        notes = [list(note) for note in held.notes[["onset", "part", "program", "pitch", "duration", "velocity"]]]
        for at, (note, nats) in enumerate(zip([*notes, [held.length, "end", *[""] * 4]], -log_p, strict=True)):
            # adding 0.0 makes the -0.0 of a field that costs nothing a plain 0.0
            write([name, at, *note, *(f"{value + 0.0:.7g}" for value in nats), f"{nats.sum(dtype=float) + 0.0:.7g}"])

    return on_piece


@contextmanager
def _rows(path: Path | None) -> Iterator[Callable[[list[Any]], None] | None]:
    """A function that adds a row to the CSV file, which appears whole or not at all."""
    if path is None:
        yield None
        return
    with atomic_write(path, SettingError) as aside, open(aside, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        yield writer.writerow
