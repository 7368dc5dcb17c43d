"""Writes docs/cli.md, the reference of the command line, from the commands and the settings themselves.

python docs/make_cli.py           (or `make docs`)
python docs/make_cli.py --check   exit with 1 if the file is not what would be written
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from melodygru.cli import main, options
from melodygru.compose.humanise_settings import HumaniseSettings
from melodygru.compose.redo_settings import RedoSettings
from melodygru.compose.settings import GenerateSettings
from melodygru.util.settings import in_help_order

FILE = Path(__file__).with_name("cli.md")
HEAD = """\
# The command line

Written by `make docs` from the commands themselves; `melodygru COMMAND --help` shows the same.
"""


def page() -> str:
    """The whole file."""
    names = list(main.commands)
    lines = [HEAD, " · ".join(f"[{name}](#melodygru-{name})" for name in names)]
    for name in names:
        lines += ["", *_command(name, main.commands[name])]
    return "\n".join([*lines, "", *_settings()]) + "\n"


def _command(name: str, command: click.Command) -> Iterator[str]:
    """A command: what it does, examples, its options."""
    context = click.Context(command, info_name=name)
    about, _, examples = inspect.cleandoc(command.help or "").partition("\b\n")
    yield f"## melodygru {name}"
    yield ""
    yield _text(about)
    yield ""
    yield "```"
    yield from examples.strip().splitlines()
    yield "```"
    yield ""
    usage = " ".join(command.collect_usage_pieces(context))
    yield f"Usage: `melodygru {name} {usage}`"
    yield ""
    yield "| option | |"
    yield "|---|---|"
    for option in command.params:
        record = option.get_help_record(context)
        if record is not None:
            yield f"| `{_cell(record[0])}` | {_cell(record[1])} |"
    if command.epilog:
        yield ""
        yield _text(command.epilog)


def _settings() -> Iterator[str]:
    """The tables of `GenerateSettings`, `RedoSettings` and `HumaniseSettings`."""
    yield "## Settings of generate"
    yield ""
    yield "In Python they are arguments of `melodygru.generate`, and fields of `melodygru.GenerateSettings`."
    yield from _table(GenerateSettings)
    yield ""
    yield "## Settings of redo"
    yield ""
    yield "In Python they are fields of `melodygru.RedoSettings`, which `melodygru.Composer.redo` takes."
    yield from _table(RedoSettings)
    yield ""
    yield "## Settings of humanise"
    yield ""
    yield "In Python they are fields of `melodygru.HumaniseSettings`, which `melodygru.Composer.humanise` takes."
    yield from _table(HumaniseSettings)


def _table(owner: type) -> Iterator[str]:
    """The table of a class of settings."""
    yield ""
    yield "| in Python | option | range | default | |"
    yield "|---|---|---|---|---|"
    for one in in_help_order(owner):
        option = "" if not options.has_option(one) else f"`--{one.name.replace('_', '-')}`"
        default = _cell(one.default_words)
        yield f"| `{one.name}` | {option} | {_cell(one.about.expected)} | {default} | {_cell(one.about.help)} |"


def _text(text: str) -> str:
    """A paragraph in one line."""
    return " ".join(text.split())


def _cell(text: str) -> str:
    """Text as a table's cell."""
    return _text(text).replace("|", "\\|")


if __name__ == "__main__":
    if "--check" in sys.argv[1:]:
        sys.exit(0 if FILE.exists() and FILE.read_text("utf-8") == page() else f"{FILE} is stale: run make docs")
    FILE.write_text(page(), "utf-8")
