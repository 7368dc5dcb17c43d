"""Settings are declared once: dataclass fields that carry their range, unit and help.

    @described
    @dataclass(frozen=True)
    class Settings:
        bars: int | None = setting(None, "Length in bars.", low=1, high=100_000)

        def __post_init__(self) -> None:
            check(self)

The command line's options (`cli.options.declared`), the class's docstring and the tables of the docs follow from these.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from melodygru.errors import SettingError

Class = TypeVar("Class", bound=type)
_KEY = "setting"


@dataclass(frozen=True)
class About:
    """What is declared of a setting beside its name, type and default.

    Attributes
    ----------
    help : a sentence or two, for the command line and the docs
    low, high : range of a number, both included
    above, below : likewise, excluded
    unit : of a number, in the plural
    choices : what a text may be
    default_words : what is meant where the default is None
    metavar : stands for the value in the command line's help
    flags : the command line's names; without any: `--` and the field's name
    parse : what the command line makes of the text; raises SettingError
    """

    help: str
    low: float | None = None
    high: float | None = None
    above: float | None = None
    below: float | None = None
    unit: str = ""
    choices: tuple[str, ...] = ()
    default_words: str | None = None
    metavar: str | None = None
    flags: tuple[str, ...] = ()
    parse: Callable[[str], Any] | None = None

    @property
    def expected(self) -> str:
        """The values allowed, in words: `0..24 semitones`, `more than 0`; empty if all are."""
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        if self.low is not None and self.high is not None:
            words = f"{self.low:,}..{self.high:,}"
        else:
            bounds = {
                "{:,} or more": self.low,
                "more than {:,}": self.above,
                "at most {:,}": self.high,
                "less than {:,}": self.below,
            }
            words = ", ".join(text.format(bound) for text, bound in bounds.items() if bound is not None)
        return f"{words} {self.unit}".strip() if words else ""

    def allows(self, value: Any) -> bool:
        """Whether a value other than None lies within the range, or is one of the choices."""
        if self.choices:
            return value in self.choices
        # So that nan, which compares with nothing, is outside.
        return (
            (self.low is None or value >= self.low)
            and (self.high is None or value <= self.high)
            and (self.above is None or value > self.above)
            and (self.below is None or value < self.below)
        )


@dataclass(frozen=True)
class Setting:
    """A setting as it was declared.

    Attributes
    ----------
    name : the field's
    type : a class; of `int | None` it is `int`
    optional : whether None is a value too
    default : the field's; `dataclasses.MISSING` without one
    about : its range, unit, help
    """

    name: str
    type: type
    optional: bool
    default: Any
    about: About

    @property
    def default_words(self) -> str:
        """The default for people; empty without one worth saying."""
        if self.about.default_words is not None:
            return self.about.default_words
        return "" if self.default in (None, dataclasses.MISSING) else str(self.default)


def setting(default: Any, help: str, **about: Any) -> Any:
    """A dataclass field that is a setting; `about` as in `About`."""
    return dataclasses.field(default=default, metadata={_KEY: About(help, **about)})


def optional(owner: type, name: str) -> Any:
    """A field for a setting of another class, where None stands for that class's default."""
    declared = declared_by(owner)[name]
    about = dataclasses.replace(declared.about, default_words=declared.default_words or None)
    return dataclasses.field(default=None, metadata={_KEY: about})


def declared_by(owner: type) -> dict[str, Setting]:
    """The settings of a dataclass by name, in the order of its fields; fields that are no settings are left out."""
    types_ = typing.get_type_hints(owner)
    found = {}
    for field in dataclasses.fields(owner):
        if _KEY in field.metadata:
            kinds = [types_[field.name]]
            if typing.get_origin(kinds[0]) in (typing.Union, types.UnionType):
                kinds = list(typing.get_args(kinds[0]))
            kind = next(kind for kind in kinds if kind is not type(None))
            kind = typing.get_origin(kind) or kind
            found[field.name] = Setting(field.name, kind, type(None) in kinds, field.default, field.metadata[_KEY])
    return found


def check(values: Any) -> None:
    """Raise SettingError at the first setting of a dataclass's instance that is out of its range.

    `transpose 25: expected 0..24 semitones`.
    """
    for field in dataclasses.fields(values):
        about, value = field.metadata.get(_KEY), getattr(values, field.name)
        if about is not None and value is not None and not about.allows(value):
            raise SettingError(f"{field.name} {value}: expected {about.expected}")


def described(owner: Class) -> Class:
    """A class decorator: the docstring lists the settings, each with its help, range and default."""
    rows = ["", "", "Parameters", "----------"]
    for declared in declared_by(owner).values():
        beside = [declared.about.expected, declared.default_words and f"default: {declared.default_words}"]
        words = "; ".join(filter(None, beside))
        rows.append(f"{declared.name} : {declared.about.help}" + (f" ({words})" if words else ""))
    owner.__doc__ = (owner.__doc__ or "").rstrip() + "\n".join(rows)
    return owner
