"""Options that several commands share, so that one thing has one name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import click

from melodygru.errors import MidiError, SettingError
from melodygru.util.atomic import refused
from melodygru.util.settings import Setting, declared_by, in_help_order
from melodygru.util.wording import name

Command = TypeVar("Command", bound=Callable[..., Any])


class Target(click.Path):
    """A file or folder that a command writes, under this name or beside it."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)


class Written(Target):
    """A file that a command writes: a wrong suffix or folder is said before anything that takes time.

    Parameters
    ----------
    suffixes : those that the name of such a file ends in; "" for none, as pipes have (`/dev/stdout`)
    in_new_folder : whether its folder may be one that the command will make
    """

    def __init__(self, *suffixes: str, in_new_folder: bool = False) -> None:
        super().__init__()
        self.suffixes, self._in_new_folder = suffixes, in_new_folder

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        if not str(value):
            self.fail("expected the name of a file, not an empty one", param, ctx)
        path = Path(str(super().convert(value, param, ctx)))
        option = param.opts[0]
        if path.suffix.lower() not in self.suffixes:
            *others, last = (suffix for suffix in self.suffixes if suffix not in ALIASES)
            expected = f"{', '.join(others)} or {last}" if others else last
            raise SettingError(f"{option} {name(path)}: expected a name that ends in {expected}")
        why = None if self._in_new_folder else refused(path)
        if why is not None:
            raise SettingError(f"{option}: cannot write {name(path)}: {why}; choose another place")
        return path


ALIASES = ("", ".htm", ".xml")  # suffixes that are understood, but not named to a user
SCORES = (".svg", ".musicxml", ".xml")
PAGE = Written(".html", ".htm")


def option_of(ctx: click.Context, error: BaseException) -> str | None:
    """The option that names what was refused to be written, or its folder; None where none does.

    A training's other files lie beside its --output, and have its stem; without it, they lie where it says by default.
    """
    cause = error if isinstance(error, OSError) else error.__cause__
    says = isinstance(error, OSError) or str(error).startswith("cannot write")
    if not (says and isinstance(cause, OSError) and isinstance(cause.filename, str)):
        return None
    path = Path(cause.filename).absolute()
    for param in ctx.command.params:
        given = ctx.params.get(param.name or "")
        if isinstance(given, Path) and isinstance(param.type, Target):
            named = given.absolute()
            if named == path or named in path.parents or named.with_suffix("") == path.with_suffix(""):
                return max(param.opts, key=len)
    by_default = not isinstance(error, OSError) and "output" in ctx.params and ctx.params["output"] is None
    return "--output" if by_default else None


def check_targets(ctx: click.Context) -> None:
    """Raise SettingError where a file that the command is to write is one that it is given to read."""
    paths = [param for param in ctx.command.params if isinstance(ctx.params.get(param.name or ""), Path)]
    for target in paths:
        for given in paths:
            path = ctx.params[target.name or ""]
            if isinstance(target.type, Written) and given is not target:
                with suppress(OSError):  # one of the two isn't there
                    if path.samefile(ctx.params[given.name or ""]):
                        what = given.human_readable_name if isinstance(given, click.Argument) else given.opts[0]
                        raise SettingError(
                            f"{target.opts[0]} {name(path)}: that file is {what} of this command; choose another name"
                        )


as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")

model = click.option(
    "--model",
    type=click.Path(path_type=Path),
    metavar="FILE.keras",
    help="Checkpoint.  [default: the newest in ./checkpoints, else the one that comes with melodygru]",
)

scheduler = click.option(
    "--scheduler",
    metavar="tcp://HOST:PORT",
    help="Read files with the workers of this dask scheduler (pip install 'melodygru[dask]').  [default: all cores]",
)

score = click.option(
    "--score",
    "score_file",
    type=Written(*SCORES, in_new_folder=True),
    metavar="FILE.svg",
    help="Also write sheet music: .svg (needs the extra melodygru[score]) or .musicxml; FILE-1.svg ... of many pieces.",
)

midi_dir = click.argument("midi_dir", type=click.Path(path_type=Path))


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Within, what is wrong with a MIDI file is said with its name."""
    try:
        yield
    except MidiError as error:
        raise MidiError(f"{path}: {error}") from error


class Parsed(click.ParamType):
    """A value that a setting's own `parse` makes of the text."""

    def __init__(self, declared: Setting) -> None:
        self.name, self._parse = declared.name, declared.about.parse

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        if not isinstance(value, str) or self._parse is None:
            return value
        try:
            return self._parse(value)
        except SettingError as error:
            self.fail(str(error), param, ctx)


def declared(owner: type, *names: str) -> Callable[[Command], Command]:
    """The options of a settings class (`util.settings`): all, or those named; each value under its field's name.

    The range, the default and the help are those that the class declares. They stand section after section; a setting
    of a type that no text stands for has no option.
    """
    settings = declared_by(owner)
    chosen = [settings[name] for name in names] if names else in_help_order(owner)
    made = [_option(one) for one in chosen if has_option(one)]

    def decorate(command: Command) -> Command:
        for option in reversed(made):
            command = option(command)
        return command

    return decorate


def alike(owner: type, name: str, help: str, **about: Any) -> Callable[[Command], Command]:
    """The option of one setting in another command: of its range, without a default, and with that command's help."""
    known = declared_by(owner)[name]
    changed = replace(known.about, help=help, fallback=None, default_words=None, **about)
    return _option(replace(known, default=None, about=changed))


def has_option(declared: Setting) -> bool:
    """Whether a setting can be given on the command line."""
    return declared.about.parse is not None or issubclass(declared.type, (bool, int, float, str, Path))


def _option(declared: Setting) -> Callable[[Command], Command]:
    """The click option of one setting."""
    about = declared.about
    flags = about.flags or (f"--{declared.name.replace('_', '-')}",)
    given: dict[str, Any] = {"help": about.help, "default": declared.default, "metavar": about.metavar}
    if declared.default_words and declared.default is None:
        given["help"] += f"  [default: {declared.default_words}]"
    elif declared.default is not None:
        given["show_default"] = True
    if about.parse is not None:
        given["type"] = Parsed(declared)
    elif about.choices:
        given["type"] = click.Choice(about.choices)
    elif declared.type is bool:
        if declared.default is False:
            given |= {"is_flag": True, "show_default": False}
        else:
            flags = (f"{flags[0]}/--no-{flags[0].removeprefix('--')}", *flags[1:])
    elif declared.type in (int, float):
        low: Any = about.low if about.low is not None else about.above
        high: Any = next((one for one in (about.high, about.below, about.typed_high) if one is not None), None)
        within = click.IntRange if declared.type is int else click.FloatRange
        given["type"] = within(low, high, min_open=about.above is not None, max_open=about.below is not None)
    elif issubclass(declared.type, Path):
        given["type"] = Target() if "written" in about.marks else click.Path(path_type=Path)
    return click.option(*flags, declared.name, **given)
