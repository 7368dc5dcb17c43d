"""Settings declared once: ranges, docstrings, and the command line's options."""

from dataclasses import dataclass
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from melodygru.cli import options
from melodygru.errors import SettingError
from melodygru.util.settings import check, declared_by, described, optional, setting


@dataclass(frozen=True)
class Inner:
    semitones: int = setting(5, "Move by so many.", low=0, high=24, unit="semitones")


def parity(text):
    if text not in ("odd", "even"):
        raise SettingError(f"parity {text!r}: expected odd or even")
    return text == "odd"


@described
@dataclass(frozen=True)
class Example:
    """An example.

    Of two paragraphs.
    """

    minutes: float | None = setting(None, "How long.", above=0, default_words="as suits")
    share: float = setting(0.5, "How much.", low=0, below=1)
    size: str = setting("small", "How large.", choices=("small", "large"))
    loud: bool = setting(False, "Be loud.")
    guard: bool = setting(True, "Be careful.")
    semitones: int | None = optional(Inner, "semitones")
    where: Path | None = setting(None, "A file.", metavar="FILE", flags=("--at", "-a"))
    odd: bool | None = setting(None, "Which.", parse=parity)
    inner: int = 7

    def __post_init__(self) -> None:
        check(self)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"minutes": 0}, "^minutes 0: expected more than 0$"),
        ({"minutes": float("nan")}, "^minutes nan: expected more than 0$"),
        ({"share": 1}, "^share 1: expected 0 or more, less than 1$"),
        ({"share": -0.1}, r"^share -0\.1: expected 0 or more, less than 1$"),
        ({"size": "huge"}, "^size huge: expected one of small, large$"),
        ({"semitones": 25}, r"^semitones 25: expected 0\.\.24 semitones$"),
        ({"share": "0.5"}, r"^share '0\.5': expected a number$"),
        ({"semitones": -1}, r"^semitones -1: expected 0\.\.24 semitones$"),
    ],
)
def test_what_is_out_of_range_is_refused(values, message):
    with pytest.raises(SettingError, match=message):
        Example(**values)


def test_edges_are_allowed():
    assert Example(minutes=0.001, share=0, size="large", semitones=24).semitones == 24
    assert Example(share=0.999, semitones=0).semitones == 0


def test_the_docstring_lists_the_settings():
    assert Example.__doc__.startswith("An example.\n\nOf two paragraphs.\n\nParameters\n----------\n")
    assert "minutes : How long. (more than 0; default: as suits)\n" in Example.__doc__
    assert "semitones : Move by so many. (0..24 semitones; default: 5)\n" in Example.__doc__
    assert "inner" not in Example.__doc__


def test_types_are_those_of_the_fields():
    found = declared_by(Example)
    assert list(found) == ["minutes", "share", "size", "loud", "guard", "semitones", "where", "odd"]
    assert [one.type for one in found.values()] == [float, float, str, bool, bool, int, Path, bool]
    assert found["minutes"].optional and not found["share"].optional


@click.command()
@options.declared(Example)
def command(**values):
    click.echo(repr(Example(**values)))


def test_options_give_the_settings():
    assert CliRunner().invoke(command, []).stdout == repr(Example()) + "\n"
    line = "--minutes 2 --share 0.25 --size large --loud --no-guard --semitones 0 -a x.mid --odd odd"
    expected = Example(2.0, 0.25, "large", True, False, 0, Path("x.mid"), True)
    assert CliRunner().invoke(command, line.split()).stdout == repr(expected) + "\n"


@pytest.mark.parametrize("line", ["--minutes 0", "--share 1", "--size huge", "--semitones 25", "--odd 3"])
def test_options_out_of_range_are_refused(line):
    found = CliRunner().invoke(command, line.split())
    assert found.exit_code == 2 and "Error: Invalid value" in found.stderr


def test_the_help_says_ranges_and_defaults():
    text = CliRunner().invoke(command, ["--help"]).stdout
    for part in ("[default: as suits]", "[default: 0.5; 0<=x<1]", "(small|large|", "[default: 5]  [0<=x<=24]"):
        assert part.replace("(small|large|", "[small|large]") in text
    assert "--guard / --no-guard" in text and "-a, --at FILE" in text
