"""The program `melodygru`: its commands, and what becomes of every error."""

from __future__ import annotations

import contextlib
import errno
import functools
import logging
import os
import sys
import time
from collections.abc import Iterator
from typing import Any

import click

from melodygru.cli import screen
from melodygru.cli.compare import compare
from melodygru.cli.evaluate import evaluate
from melodygru.cli.explain import explain
from melodygru.cli.generate import generate
from melodygru.cli.humanise import humanise
from melodygru.cli.inspect import inspect
from melodygru.cli.judge import judge
from melodygru.cli.options import check_targets, option_of
from melodygru.cli.originality import originality
from melodygru.cli.play import play
from melodygru.cli.redo import redo
from melodygru.cli.replay import replay
from melodygru.cli.show import show
from melodygru.cli.studio import studio
from melodygru.cli.train import train
from melodygru.errors import MelodyGruError
from melodygru.util import stderr
from melodygru.util.atomic import is_refused_write, remedy
from melodygru.version import __version__

ARGUMENTS = "melodygru.arguments"  # in the context: what was typed, for commands that name themselves
STARTED = "melodygru.started"  # likewise, when
INTERRUPTED = 130  # exit code of Ctrl-C


class Failure(click.ClickException):
    """An error as its user sees it: one line, and an exit code."""

    def __init__(self, message: object, exit_code: int = 1) -> None:
        super().__init__(screen.one_line(message))
        self.exit_code = exit_code  # type: ignore[misc]  # click's is the class's

    def show(self, file: Any = None) -> None:
        screen.say(f"melodygru: {self.message}")


class Program(click.Group):
    """A group of commands whose errors become one line each, and with --json an object on stdout beside it."""

    loading_s = 0.0  # what was imported before anything could be parsed

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta[ARGUMENTS] = list(args)
        ctx.meta[STARTED] = time.perf_counter() - self.loading_s
        return super().parse_args(ctx, args)

    def add_command(self, cmd: click.Command, name: str | None = None) -> None:
        """Add a command, which writes over nothing that it reads, and says which option names what can't be written."""
        run = cmd.callback
        assert run is not None

        @functools.wraps(run)
        def checked(*args: Any, **values: Any) -> Any:
            ctx = click.get_current_context()
            check_targets(ctx)
            try:
                return run(*args, **values)
            except (MelodyGruError, OSError) as error:
                option = option_of(ctx, error)
                if option is None:
                    raise
                what = _os_error(error) if isinstance(error, OSError) else error
                raise Failure(f"{option}: {what}", getattr(error, "exit_code", 1)) from error

        cmd.callback = checked
        super().add_command(cmd, name)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return self._invoke(ctx)
        except click.ClickException as error:
            if "--json" in ctx.meta[ARGUMENTS]:
                with contextlib.suppress(OSError):  # of a reader who has gone
                    message = screen.one_line(error.format_message())
                    screen.result_json({"error": {"message": message, "exit_code": error.exit_code}})
            raise

    def _invoke(self, ctx: click.Context) -> Any:
        """Run the command; what is raised and no concern of click's becomes a Failure."""
        try:
            with stderr.owned(), _environment(), _streams():
                return super().invoke(ctx)
        except click.ClickException as error:
            error.message = screen.escaped(error.message)  # type: ignore[misc]  # holds what was typed
            raise
        except (click.exceptions.Exit, click.Abort):
            raise
        except MelodyGruError as error:
            raise Failure(error, error.exit_code) from error
        except KeyboardInterrupt:
            raise Failure("interrupted", INTERRUPTED) from None
        except OSError as error:
            if error.errno == errno.EPIPE:
                raise  # click ends quietly: the reader of our output has gone
            raise Failure(_os_error(error)) from error
        except Exception as error:  # nobody is to see a traceback who did not ask for it
            if os.environ.get("MELODYGRU_DEBUG"):
                raise
            raise Failure(
                f"unexpected error ({type(error).__name__}: {error}); this is a defect of melodygru, please report it "
                "with what MELODYGRU_DEBUG=1 melodygru ... prints"
            ) from error


def _os_error(error: OSError) -> str:
    """What the system refused, of which file, and what to do."""
    what = error.strerror or str(error)
    if is_refused_write(error):
        where = "a file" if error.filename is None else screen.name(error.filename)
        return f"cannot write {where}: {what}; {remedy(error)}"
    if error.errno in (errno.EACCES, errno.EPERM):
        what += "; allow it, or choose another"
    return f"{screen.name(error.filename)}: {what}" if error.filename is not None else what


@contextlib.contextmanager
def _environment() -> Iterator[None]:
    """Within, libraries find what a command needs, whatever the user has set for other programs; then all is as before.

    Our Keras model is written for TensorFlow, and pictures are drawn without a window.
    """
    before = dict(os.environ)
    os.environ.update(KERAS_BACKEND="tensorflow", MPLBACKEND="Agg")
    try:
        yield
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)


@contextlib.contextmanager
def _streams() -> Iterator[None]:
    """Within, names that the terminal can't show are no error, and warnings of the package are lines of talk."""
    with contextlib.ExitStack() as stack:
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):
                stack.callback(_set_errors, stream, getattr(stream, "errors", "strict"))
                stream.reconfigure(errors="replace")
        logger = logging.getLogger("melodygru")
        handler = screen.WarningHandler()
        stack.callback(setattr, logger, "propagate", logger.propagate)
        stack.callback(logger.removeHandler, handler)
        logger.addHandler(handler)
        logger.propagate = False
        yield


def _set_errors(stream: Any, errors: Any) -> None:
    """What a stream does with characters that it lacks; it may be closed by now."""
    with contextlib.suppress(ValueError, OSError):
        stream.reconfigure(errors=errors)


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="melodygru", message="%(prog)s %(version)s", help="Show the version.")
def main() -> None:
    """A GRU learns the style of a folder of MIDI files and composes in it.

    \b
    melodygru generate --play              compose a piece and play it
    melodygru train midi_dir/              learn the style of your own folder
    melodygru COMMAND --help               everything about a command
    """


_COMMANDS = (
    *(train, generate, redo, humanise, replay, studio),
    *(evaluate, judge, originality, play, show, inspect, explain, compare),
)
for _command in _COMMANDS:
    main.add_command(_command)
