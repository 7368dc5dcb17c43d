"""`melodygru compare`: GRU, LSTM and a Transformer of equal size, on the user's own music."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from melodygru.cli import options, screen
from melodygru.errors import SettingError, TrainingError
from melodygru.model.architecture import PRESETS
from melodygru.training.progress import Progress
from melodygru.training.rivals.sizes import NAMES
from melodygru.training.settings import PRESET, TrainSettings
from melodygru.util.wording import counted

if TYPE_CHECKING:
    from melodygru.corpus import Corpus
    from melodygru.training.rivals.contest import Failed
    from melodygru.training.rivals.job import Result

TERMINATED = 143  # exit code of SIGTERM
MIB = 1 << 20
COLUMNS = ("model", "layers", "parameters", "nats/note", "notes/s", "us/note", "MiB")


@click.command(
    epilog="nats/note: -ln p of the held-out notes and ends, under each model's best weights. notes/s: in training. "
    "us/note: microseconds to compose a note of one piece, without TensorFlow. MiB: main memory of the model's process "
    "at its highest in training, TensorFlow's own included. All have the same number of parameters to within 2%, the "
    "same embeddings, heads, batches and dropout; a wide Transformer has a lower learning rate. Run it on an "
    "otherwise idle machine. It leaves no model behind."
)
@options.midi_dir
@options.declared(TrainSettings, "validation")
@click.option(
    "--minutes",
    type=click.FloatRange(0, 100_000, min_open=True),
    default=3.0,
    show_default=True,
    help="Minutes of training, each model.",
)
@click.option(
    "--preset",
    type=click.Choice(list(PRESETS)),
    default=PRESET,
    show_default=True,
    help="Size of the GRU, and with it of the others.",
)
@click.option(
    "--only",
    type=click.Choice(list(NAMES)),
    multiple=True,
    help="Only this model; may be given more than once.  [default: all three]",
)
@options.declared(TrainSettings, "seed", "grid")
@click.option("--threads", type=click.IntRange(1, 1024), show_default="all cores", help="CPU threads.")
@click.option(
    "--png", type=options.Written(".png", ".svg"), metavar="FILE", help="Draw the results into this file, .png or .svg."
)
@options.as_json
@click.pass_context
def compare(
    ctx: click.Context,
    midi_dir: Path,
    validation: Path | None,
    minutes: float,
    preset: str,
    only: tuple[str, ...],
    seed: int,
    grid: str,
    threads: int | None,
    png: Path | None,
    as_json: bool,
) -> None:
    """Measure GRU, LSTM and Transformer on your own music.

    Three models of equal size learn MIDI_DIR for the same time, one after the other.

    \b
    melodygru compare midi_dir/
    melodygru compare midi_dir/ --validation other_dir/ --minutes 10 --png compare.png
    """  # fmt: skip
    from melodygru.corpus.grid import parse_grid
    from melodygru.training import fit, read_corpora, rivals

    with screen.ProgressLines() as lines:
        corpora = read_corpora(
            midi_dir, validation, parse_grid(grid), seed, on_progress=lines.show, on_message=screen.say_lines
        )
    train, held_out, held_out_from = corpora.train, corpora.held_out, corpora.held_out_from
    styles = [piece.style for piece in train.pieces]
    vocabulary, gru = fit(train, preset)
    names = [name for name in NAMES if name in only or not only]
    job = rivals.Job(vocabulary, rivals.equal_sizes(vocabulary, gru, names), styles, minutes, seed)
    notes = sum(piece.n_notes for piece in held_out.pieces)
    screen.say(
        f"{counted(len(train), 'piece')} to learn, {len(held_out):,} held out ({held_out_from}); "
        f"{counted(len(names), 'model')} of {rivals.count(vocabulary, gru):,} parameters, "
        f"{minutes:g} minutes each"
    )
    results = _measure(job, train, held_out, threads)
    done = [result for result in results if isinstance(result, rivals.Result)]
    failed = [result for result in results if isinstance(result, rivals.Failed)]
    for failure in failed:
        screen.warn(f"{NAMES[failure.name]}: {failure.error}")
    if not done:
        raise TrainingError(f"no model could be measured; {failed[0].name}: {failed[0].error}")
    picture = png if png is not None and _draw(done, png) else None
    if as_json:
        screen.result_json(
            {
                "preset": preset,
                "minutes": minutes,
                "seed": seed,
                "grid": str(train.grid),
                "pieces": len(train),
                "held_out": {"from": held_out_from, "pieces": len(held_out), "notes": notes},
                "models": [result.as_dict() for result in results],
                "picture": str(picture) if picture else None,
            }
        )
    else:
        for text in _table(done):
            screen.result(text)
        screen.result(f"held out: {counted(len(held_out), 'piece')}, {counted(notes, 'note')} ({held_out_from})")
        if picture is not None:
            screen.result(f"picture: {screen.name(picture)}")
    if failed or picture != png:
        ctx.exit(1)


def _draw(done: list[Result], png: Path) -> bool:
    """Draw what was measured; where that fails it is said, and the rest of the results goes on."""
    from melodygru.render import pictures

    try:
        figure = pictures.rivals_figure([{**result.as_dict(), "label": NAMES[result.name]} for result in done])
        pictures.save(figure, png)
    except SettingError as error:
        screen.warn(str(error))
        return False
    return True


def _measure(job: Any, train: Corpus, held_out: Corpus, threads: int | None) -> list[Result | Failed]:
    """Train and measure each model, with a line that says how it goes."""
    from melodygru.training.rivals import Result
    from melodygru.training.rivals import compare as measured

    results: list[Result | Failed] = []
    screen.say("loading TensorFlow, anew for each model")
    with _terminated_as_interrupted(), screen.ProgressLine(after_s=0) as line:

        def on_report(name: str, values: dict[str, Any]) -> None:
            if "device" in values and not results:
                screen.say(values["device"])
            if "progress" in values:
                progress = Progress(**values["progress"])
                line.show(lambda: f"{NAMES[name]} ({len(results) + 1} of {len(job.sizes)}): {progress}")

        for result in measured(job, train, held_out, threads=threads, on_report=on_report):
            results.append(result)
            if isinstance(result, Result):
                steps = counted(result.steps, "step")
                screen.say(f"{NAMES[result.name]}: {result.nats_per_note:.4f} nats per note after {steps}")
    return results


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """Within, SIGTERM unwinds as Ctrl-C does, so that no process and no file is left behind."""

    def unwind(*_: object) -> None:
        screen.say("melodygru: terminated")
        sys.exit(TERMINATED)

    before = signal.signal(signal.SIGTERM, unwind)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _table(results: list[Result]) -> Iterator[str]:
    """The results for the screen, and what must be known to read them."""
    rows = [COLUMNS]
    for r in results:
        memory = f"{r.memory_bytes / MIB:,.0f}" if r.memory_bytes else "?"
        rows.append(
            (
                NAMES[r.name],
                f"{r.sizes['layers']} x {r.sizes['units']}",
                f"{r.parameters:,}",
                f"{r.nats_per_note:.4f}",
                f"{r.training_notes_per_second:,.0f}",
                f"{r.sampling_us_per_note:,.0f}",
                memory,
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    for row in rows:
        cells = zip(row, widths, strict=True)
        yield "  ".join(cell.ljust(w) if column < 2 else cell.rjust(w) for column, (cell, w) in enumerate(cells))
    before = [r.memory_before_bytes for r in results if r.memory_before_bytes]
    if before:
        yield f"memory: {max(before) / MIB:,.0f} MiB of it with TensorFlow loaded, before there was a model"
    for r in results:
        if r.name == "transformer":
            yield (
                f"Transformer: each layer attends to the last {r.sizes['span']:,} notes, {r.sizes['heads']} heads; "
                f"learning rate {r.learning_rate:g}"
                + "".join(f", the {NAMES[o.name]}'s {o.learning_rate:g}" for o in results if o.name != "transformer")
            )
