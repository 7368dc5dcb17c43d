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
import functools
import inspect
import math
import numbers
import re
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from melodygru.errors import SettingError

Class = TypeVar("Class", bound=type)
Function = TypeVar("Function", bound=Callable[..., Any])
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
    fallback : the value that None stands for
    in_words : what an error says was expected; default: range and unit
    typed_high : the greatest number that the command line takes, where Python takes greater ones
    section : what it belongs to; the help and the docs list section after section, in the order of the class's SECTIONS
    marks : what else the class wants to know of it
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
    fallback: Any = None
    in_words: str = ""
    typed_high: float | None = None
    section: str = ""
    marks: tuple[str, ...] = ()

    @property
    def expected(self) -> str:
        """The values allowed, in words: `0..24 semitones`, `more than 0`; empty if all are."""
        if self.in_words:
            return self.in_words
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
        # So that nan, which compares with nothing, is outside, and so is what has no end.
        return (
            (self.low is None or value >= self.low)
            and (self.high is None or value <= self.high)
            and (self.above is None or value > self.above)
            and (self.below is None or value < self.below)
            and (not isinstance(value, float) or value < math.inf)
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
        if self.about.fallback is not None:
            return f"{self.about.fallback:g}" if isinstance(self.about.fallback, float) else str(self.about.fallback)
        return "" if self.default in (None, dataclasses.MISSING) else str(self.default)


def setting(default: Any, help: str, **about: Any) -> Any:
    """A dataclass field that is a setting; `about` as in `About`."""
    return dataclasses.field(default=default, metadata={_KEY: About(help, **about)})


def optional(owner: type, name: str) -> Any:
    """A field for a setting of another class, where None stands for that class's default."""
    declared = declared_by(owner)[name]
    about = dataclasses.replace(declared.about, default_words=declared.default_words or None)
    return dataclasses.field(default=None, metadata={_KEY: about})


def same(declared: Setting) -> Any:
    """A field for a setting that another class has declared, with its default."""
    return dataclasses.field(default=declared.default, metadata={_KEY: declared.about})


@functools.cache
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


def in_help_order(owner: type) -> list[Setting]:
    """The settings of a dataclass section after section, in the order of its SECTIONS; without them, of its fields."""
    sections = list(getattr(owner, "SECTIONS", ()))
    settings = declared_by(owner).values()
    return sorted(settings, key=lambda one: sections.index(one.about.section)) if sections else list(settings)


def check(values: Any, *, as_options: bool = False) -> None:
    """Raise SettingError at the first setting of a dataclass's instance that is out of its range.

    `transpose 25: expected 0..24 semitones`. With `as_options` a setting's name is written as that of its option.
    """
    for declared in declared_by(values.__class__).values():
        check_value(declared, getattr(values, declared.name), as_option=as_options)


def check_value(declared: Setting, value: Any, *, as_option: bool = False) -> None:
    """Raise the SettingError of a setting's value that is out of its range; None is in it."""
    if value is None:
        return
    name = declared.name.replace("_", "-") if as_option else declared.name
    if declared.type in (int, float) and not isinstance(value, numbers.Real):
        raise SettingError(f"{name} {value!r}: expected a number")
    if not declared.about.allows(value):
        raise SettingError(f"{name} {value}: expected {declared.about.expected}")
    if declared.type is int and value != int(value):
        raise SettingError(f"{name} {value}: expected a whole number")


def parameters(owner: type) -> str:
    """The settings as the entries of a docstring's Parameters, each with its help, range and default."""
    rows = []
    for declared in in_help_order(owner):
        beside = [declared.about.expected, declared.default_words and f"default: {declared.default_words}"]
        words = "; ".join(filter(None, beside))
        rows.append(f"{declared.name} : {declared.about.help}" + (f" ({words})" if words else ""))
    # Where the command line says `--top-k`, Python says `top_k`.
    return re.sub(r"--([a-z][a-z-]*)", lambda option: option[1].replace("-", "_"), "\n".join(rows))


def described(owner: Class) -> Class:
    """A class decorator: the docstring lists the settings."""
    owner.__doc__ = inspect.cleandoc(owner.__doc__ or "") + "\n\nParameters\n----------\n" + parameters(owner)
    return owner


def takes_settings(owner: type) -> Callable[[Function], Function]:
    """A decorator of a function with `**settings`: it shows those of a class in its signature and its docstring.

    They stand in the docstring where it says SETTINGS.
    """

    def decorate(function: Function) -> Function:
        own = inspect.signature(function)
        hints = owner.__annotations__
        shown = [
            inspect.Parameter(one.name, inspect.Parameter.KEYWORD_ONLY, default=one.default, annotation=hints[one.name])
            for one in declared_by(owner).values()
        ]
        kept = [one for one in own.parameters.values() if one.kind is not inspect.Parameter.VAR_KEYWORD]
        first = [one for one in kept if one.kind is not inspect.Parameter.KEYWORD_ONLY]
        function.__signature__ = own.replace(parameters=[*first, *shown, *kept[len(first) :]])  # type: ignore[attr-defined]
        function.__doc__ = inspect.cleandoc(function.__doc__ or "").replace("SETTINGS", parameters(owner))
        return function

    return decorate
