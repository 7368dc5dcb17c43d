"""`melodygru show`: a MIDI file as a piano roll, in the terminal or as a picture."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from melodygru.cli import options, screen

if TYPE_CHECKING:
    import numpy as np

    from melodygru.analysis.explain import Trace
    from melodygru.music.notes import NoteSequence


@click.command(
    epilog="Colours are voices: parts, or the lines of a single part. NO_COLOR=1 shows none, and a file or pipe "
    "gets none. A surprise is -ln p of a note by the model, all before it known; 0 nats is certain, 0.7 a half."
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--png", type=options.Written(".png"), metavar="OUT.png", help="Draw a picture instead of characters.")
@click.option("--svg", type=options.Written(".svg"), metavar="OUT.svg", help="Likewise, one that can be enlarged.")
@click.option("--surprise", is_flag=True, help="Show how many nats each note cost a model.")
@options.model
def show(file: Path, png: Path | None, svg: Path | None, surprise: bool, model: Path | None) -> None:
    """Show a MIDI file as a piano roll.

    \b
    melodygru show song.mid
    melodygru show song.mid --png song.png
    melodygru show song.mid --surprise --model checkpoints/mine.keras --svg song.svg
    """  # fmt: skip
    from melodygru import midi
    from melodygru.corpus import choose_grid
    from melodygru.music.quantize import quantize
    from melodygru.render import pictures

    wanted = [path for path in (png, svg) if path is not None]
    if model is not None and not surprise:
        raise click.UsageError("--model is for --surprise.")
    with options.naming(file):
        piece = screen.trimmed(midi.read(file).sequence)
    grid, _ = choose_grid([piece])
    if not grid.is_metrical:  # a performance, whose bars are none
        piece = quantize(piece, grid)[0]
    title = screen.name(file.stem)
    trace, fields = _traced(piece, model) if surprise else (None, ())
    if trace is not None:
        piece = trace.sequence
        if len(piece):
            title = f"{trace.nats.sum() / len(piece):.2f} nats per note: {title}"  # what is too long is cut at its end
    for path in wanted:
        if trace is None:
            figure = pictures.piano_roll_figure(piece, title=title)
        else:
            figure = pictures.surprise_figure(piece, _by_field(trace, fields), fields, title)
        pictures.save(figure, path)
        screen.result(screen.name(path))
    if not wanted:
        terminal(piece, title, None if trace is None else trace.nats[:-1].sum(1), pager=True)


def _traced(piece: NoteSequence, model: Path | None) -> tuple[Trace, tuple[str, ...]]:
    """A piece traced through a model, and the fields that the model has."""
    from melodygru.analysis.explain import Tracer
    from melodygru.model import checkpoint
    from melodygru.model.numpy_model import NumpyModel
    from melodygru.music.quantize import quantize

    path = checkpoint.find(model)
    screen.say(f"model {screen.name(path)}")
    tracer = Tracer(NumpyModel(checkpoint.read(path)))
    grid = tracer.vocabulary.grid
    if piece.grid.is_metrical != grid.is_metrical:
        kinds = "without a beat", "with a beat"
        screen.warn(
            f"the model knows music {kinds[grid.is_metrical]}, and this is music {kinds[piece.grid.is_metrical]}: "
            f"its notes are moved to {grid.describe()}"
        )
    return tracer.trace(quantize(piece, grid)[0]), tracer.vocabulary.fields


def _by_field(trace: Trace, fields: tuple[str, ...]) -> np.ndarray:
    """Nats of each note (the end left out) in each of the fields, shape (n_notes, n_fields)."""
    from melodygru.events import FIELDS

    return trace.nats[:-1, [FIELDS.index(field) for field in fields]]


def terminal(piece: NoteSequence, title: str, nats: np.ndarray | None = None, *, pager: bool = False) -> None:
    """Print a piano roll that fits the terminal; with `pager`, page by page where it is longer than the window."""
    from melodygru.render import terminal

    size = shutil.get_terminal_size()
    colour, blocks = has_colour(sys.stdout), has_blocks(sys.stdout)
    # A line as wide as the window would be followed by an empty one in some terminals.
    lines = terminal.lines(
        piece, size.columns - 1, title=screen.escaped(title), colour=colour, blocks=blocks, nats=nats
    )
    if not (pager and _is_terminal(sys.stdin) and _is_terminal(sys.stdout)):
        _print(lines, colour)
        return
    first = []
    for line in lines:
        first.append(line)
        if len(first) >= size.lines:
            break
    if len(first) < size.lines:
        _print(iter(first), colour)
        return

    def rest() -> Iterator[str]:
        yield from (f"{screen.picture(line, colour)}\n" for line in (*first, *lines))

    with _less_shows_colours() if colour else contextlib.nullcontext():
        click.echo_via_pager(rest(), color=colour)


@contextlib.contextmanager
def _less_shows_colours() -> Iterator[None]:
    """Within, `less` passes colours on, which it otherwise writes as `ESC[36m`; its user's other options stay."""
    before = os.environ.get("LESS")
    os.environ["LESS"] = f"{before or ''} -R".strip()
    try:
        yield
    finally:
        if before is None:
            del os.environ["LESS"]
        else:
            os.environ["LESS"] = before


def _print(lines: Iterator[str], colour: bool) -> None:
    for line in lines:
        screen.result_picture(line, colour)


def _is_terminal(stream: IO[Any] | None) -> bool:
    return stream is not None and not stream.closed and stream.isatty()


def has_colour(stream: IO[Any] | None) -> bool:
    """Whether colours can be shown and are wanted (https://no-color.org)."""
    # Escape sequences on a console of Windows are click's business.
    return _is_terminal(stream) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def has_blocks(stream: IO[Any] | None) -> bool:
    """Whether the stream's encoding has half blocks."""
    from melodygru.render.terminal import CHARACTERS

    try:
        CHARACTERS.encode(getattr(stream, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
