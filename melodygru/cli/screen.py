"""What a command prints: results on stdout; messages and a line of progress, rewritten as it goes, on stderr.

Names of files, texts of MIDI files and words of checkpoints are anybody's. So all that is printed goes through here,
where whatever a terminal would obey is written out (`util.wording.escaped`); what it is to obey is only ours.
"""

from __future__ import annotations

import contextlib
import json
import logging
import re
import shutil
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from melodygru.util.stderr import undisturbed
from melodygru.util.wording import clock
from melodygru.util.wording import escaped as escaped
from melodygru.util.wording import left as left
from melodygru.util.wording import name as name
from melodygru.util.wording import one_line as one_line

if TYPE_CHECKING:
    from melodygru.corpus import Corpus
    from melodygru.music.notes import NoteSequence
    from melodygru.training.progress import Count, Progress

SHOWN_AFTER_S = 2.0  # what takes less needs no progress
REWRITTEN_EVERY_S = 0.1  # on a terminal
LINE_EVERY_S = 10.0  # in a log file
_COLOUR = re.compile(r"(\x1b\[[0-9;]*m)")  # ECMA-48's SGR
LONG_SILENCE_S = 10.0  # after the music of a file

_open: ProgressLine | None = None  # the line that other talk must not run into


def say(text: str) -> None:
    """A line of talk on stderr; a line break in it is written out, too."""
    if _open is not None:
        _open.clear()
    with undisturbed():
        click.echo(escaped(text), err=True)


def say_lines(text: str) -> None:
    """Lines of talk on stderr, such as a table's."""
    for line in text.split("\n"):
        say(line)


def warn(text: str) -> None:
    """A warning on stderr, in one line."""
    say(f"warning: {one_line(text)}")


def result(text: str) -> None:
    """A line of the command's result on stdout; a line break in it is written out, too."""
    _print(escaped(text))


def result_json(document: dict[str, Any]) -> None:
    """The command's result as one JSON document on stdout, in ASCII."""
    _print(json.dumps(document, indent=2, allow_nan=False).replace("\x7f", "\\u007f"))


def picture(line: str, colour: bool) -> str:
    """A line of a picture in characters, safe to show: of what a terminal obeys it keeps our colours."""
    parts = _COLOUR.split(line)  # text and colour by turns
    return "".join(part if at % 2 and colour else escaped(part) for at, part in enumerate(parts))


def result_picture(line: str, colour: bool) -> None:
    """A line of a picture on stdout."""
    _echo(picture(line, colour), color=colour)


def rewritten(text: str) -> None:
    """A line on stderr in the place of the one before it, on a terminal."""
    with undisturbed():
        click.echo("\r" + escaped(text), err=True, nl=False)


def _print(text: str) -> None:
    if _open is not None:
        _open.clear()
    _echo(text)


def _echo(text: str, color: bool | None = None) -> None:
    """A line on stdout; one that is refused, by a full disk for instance, is said to be of there."""
    try:
        click.echo(text, color=color)
    except OSError as error:
        error.filename = "standard output"
        raise


def trimmed(sequence: NoteSequence) -> NoteSequence:
    """A file's piece without the silence after its music, with a line where that is long."""
    music = sequence.trimmed()
    silent_s = sequence.seconds - music.seconds
    if silent_s >= LONG_SILENCE_S:
        say(f"the file ends {clock(silent_s)} after its last note: that silence is left out")
    return music


class ProgressLine:
    """A line on stderr that says how far a command is, from `after_s` on.

    On a terminal it is rewritten in place and gone at the end; elsewhere a line is added every `LINE_EVERY_S`.
    A context manager.
    """

    def __init__(self, after_s: float = SHOWN_AFTER_S) -> None:
        self._started = time.monotonic()
        self._next = self._started + after_s
        self._width = 0

    def __enter__(self) -> ProgressLine:
        global _open
        _open = self
        return self

    def __exit__(self, *_: object) -> None:
        global _open
        self.clear()
        _open = None

    @property
    def elapsed_s(self) -> float:
        return time.monotonic() - self._started

    def show(self, text: str | Callable[[], str]) -> None:
        """Show the text, or what the function gives, unless it is too early for that."""
        now = time.monotonic()
        if now < self._next:
            return
        shown = escaped(text if isinstance(text, str) else text())
        if sys.stderr is not None and sys.stderr.isatty():
            width = shutil.get_terminal_size().columns - 1
            shown = shown[:width]
            rewritten(shown.ljust(self._width))
            self._width, self._next = len(shown), now + REWRITTEN_EVERY_S
        else:
            with undisturbed():
                click.echo(shown, err=True)
            self._next = now + LINE_EVERY_S

    def count(self, label: str) -> Callable[[int, int], None]:
        """A function of (done, total) that shows them with the time left."""

        def progress(done: int, total: int) -> None:
            eta = self.elapsed_s / done * (total - done) if done else 0.0
            self.show(lambda: f"{label}: {done:,} of {total:,}, {left(eta)}")

        return progress

    def count_notes(self, label: str, corpus: Corpus) -> Callable[..., None]:
        """A function of (index, piece, ...), as `training.evaluate` calls it, that shows how many notes it has done."""
        total = sum(piece.n_notes for piece in corpus.pieces)
        progress = self.count(label)
        done = 0

        def on_piece(_index: int, piece: NoteSequence, *_: object) -> None:
            nonlocal done
            done += len(piece)
            progress(done, total)

        return on_piece

    def clear(self) -> None:
        """Remove the line from a terminal, so that other text can stand there."""
        if self._width:
            rewritten(" " * self._width)
            click.echo("\r", err=True, nl=False)
            self._width = 0


class ProgressLines:
    """A line of progress for each stage of a training run; `show` is what `training.train` calls. A context manager."""

    def __init__(self) -> None:
        self._stage: str | None = None
        self._opened = contextlib.ExitStack()

    def __enter__(self) -> ProgressLines:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def show(self, progress: Progress | Count) -> None:
        """Show how far the run is: from the first moment on while it trains, else of what takes a while."""
        from melodygru.training.progress import Count

        if progress.stage != self._stage:
            self._opened.close()
            self._stage = progress.stage
            self._line = self._opened.enter_context(ProgressLine(SHOWN_AFTER_S if isinstance(progress, Count) else 0.0))
            self._count = self._line.count(progress.stage)
        if not isinstance(progress, Count):
            self._line.show(lambda: str(progress))
        elif progress.total:
            self._count(progress.done, progress.total)


class WarningHandler(logging.Handler):
    """Shows the package's own log, warnings and above, as lines of talk."""

    def emit(self, record: logging.LogRecord) -> None:
        warn(record.getMessage())
