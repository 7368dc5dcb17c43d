"""What plain values read from a file must look like: a type and a range for each, declared once.

    @dataclass(frozen=True)
    class Architecture:
        layers: int = entry(Integer(1, 16))
        cell: str = entry(Choice(CELLS), default="gru")

    Architecture(**record(Architecture).read(values, "architecture"))

A declared form reads a value as JSON has it, gives it back with tuples for lists, or raises ValueError with the place,
what stands there and what was expected: `architecture.layers 0: expected a whole number, 1..16`.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

_KEY = "form"
_SHOWN = 40  # characters of a value in a message
ANY_COUNT = 1 << 53  # whole numbers up to this are exact in every language's JSON


class Form(ABC):
    """What a value must look like."""

    expected: str  # in words

    @abstractmethod
    def read(self, value: Any, where: str) -> Any:
        """The value, tuples for lists; ValueError if it is none of this form."""

    def refuse(self, value: Any, where: str) -> ValueError:
        """The error of a value of another form."""
        shown = repr(value) if not isinstance(value, (list, tuple, dict)) else f"a {type(value).__name__}"
        shown = shown if len(shown) <= _SHOWN else shown[:_SHOWN] + "..."
        return ValueError(f"{where} {shown}: expected {self.expected}")


@dataclass(frozen=True)
class Integer(Form):
    """A whole number, both ends included."""

    low: int = 0
    high: int = ANY_COUNT

    @property
    def expected(self) -> str:  # type: ignore[override]
        return f"a whole number, {self.low:,}..{self.high:,}"

    def read(self, value: Any, where: str) -> int:
        if type(value) is not int or not self.low <= value <= self.high:
            raise self.refuse(value, where)
        return value


@dataclass(frozen=True)
class Number(Form):
    """A number, both ends included, neither infinite nor nan; `infinite` lets the infinities through."""

    low: float = -1e300
    high: float = 1e300
    infinite: bool = False

    @property
    def expected(self) -> str:  # type: ignore[override]
        return f"a number, {self.low:g}..{self.high:g}" if self.low > -1e300 or self.high < 1e300 else "a finite number"

    def read(self, value: Any, where: str) -> float:
        if type(value) not in (int, float) or not (
            self.low <= value <= self.high or (self.infinite and math.isinf(value))
        ):
            raise self.refuse(value, where)
        return value


@dataclass(frozen=True)
class Flag(Form):
    """True or false."""

    expected = "true or false"

    def read(self, value: Any, where: str) -> bool:
        if type(value) is not bool:
            raise self.refuse(value, where)
        return value


@dataclass(frozen=True)
class Text(Form):
    """A text up to so many characters; with `of`, one that this function takes without a ValueError."""

    longest: int = 1000
    of: Callable[[str], object] | None = None
    what: str = "a text"

    @property
    def expected(self) -> str:  # type: ignore[override]
        return f"{self.what} of up to {self.longest:,} characters"

    def read(self, value: Any, where: str) -> str:
        if not isinstance(value, str) or len(value) > self.longest:
            raise self.refuse(value, where)
        if self.of is not None:
            self.of(value)
        return value


@dataclass(frozen=True)
class Choice(Form):
    """One of some texts, which may be the keys of a registry."""

    choices: Collection[str]

    @property
    def expected(self) -> str:  # type: ignore[override]
        return f"one of {', '.join(self.choices)}"

    def read(self, value: Any, where: str) -> str:
        if not isinstance(value, str) or value not in self.choices:
            raise self.refuse(value, where)
        return value


@dataclass(frozen=True)
class Optional(Form):
    """A form, or null."""

    form: Form

    @property
    def expected(self) -> str:  # type: ignore[override]
        return f"{self.form.expected}, or null"

    def read(self, value: Any, where: str) -> Any:
        return None if value is None else self.form.read(value, where)


@dataclass(frozen=True)
class Rows(Form):
    """A list of values of one form."""

    form: Form
    fewest: int = 0
    most: int = 1_000_000

    @property
    def expected(self) -> str:  # type: ignore[override]
        return f"a list of {self.fewest:,}..{self.most:,}"

    def read(self, value: Any, where: str) -> tuple[Any, ...]:
        if not isinstance(value, (list, tuple)) or not self.fewest <= len(value) <= self.most:
            raise self.refuse(value, where)
        return tuple(self.form.read(item, f"{where}[{at}]") for at, item in enumerate(value))


class Row(Form):
    """A list with a form for each place."""

    def __init__(self, *forms: Form) -> None:
        self.forms, self.expected = forms, f"a list of {len(forms)}"

    def read(self, value: Any, where: str) -> tuple[Any, ...]:
        if not isinstance(value, (list, tuple)) or len(value) != len(self.forms):
            raise self.refuse(value, where)
        places = enumerate(zip(self.forms, value, strict=True))
        return tuple(form.read(item, f"{where}[{at}]") for at, (form, item) in places)


@dataclass(frozen=True)
class Table(Form):
    """An object with keys of the file's own choice, and values of one form."""

    form: Form
    most: int = 1000

    @property
    def expected(self) -> str:  # type: ignore[override]
        return f"an object of up to {self.most:,} entries"

    def read(self, value: Any, where: str) -> dict[str, Any]:
        if not isinstance(value, dict) or len(value) > self.most:
            raise self.refuse(value, where)
        return {_KEYS.read(key, where): self.form.read(item, f"{where}.{key[:_SHOWN]}") for key, item in value.items()}


class Record(Form):
    """An object with a form for each key.

    Parameters
    ----------
    forms : by key
    required : keys that must be there; None: all
    others : the form of further keys; without it there may be none
    """

    expected = "an object"

    def __init__(
        self, forms: Mapping[str, Form], required: frozenset[str] | None = None, others: Form | None = None
    ) -> None:
        self.forms, self.others = dict(forms), others
        self.required = frozenset(forms) if required is None else required

    def read(self, value: Any, where: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise self.refuse(value, where)
        if missing := sorted(self.required - value.keys()):
            raise ValueError(f"{where}: {missing[0]} is missing")
        read = {}
        for key, item in value.items():
            form = self.forms.get(key, self.others)
            if form is None:
                raise ValueError(f"{where}: {_KEYS.read(key, where)[:_SHOWN]!r} is unknown")
            read[key] = form.read(item, f"{where}.{key[:_SHOWN]}")
        return read


class Plain(Form):
    """Any JSON value of bounded depth and size: what is shown or kept, and never reckoned with."""

    expected = "plain values, 6 deep at most"

    def __init__(self, depth: int = 6) -> None:
        self.depth = depth

    def read(self, value: Any, where: str) -> Any:
        return self._read(value, where, self.depth)

    def _read(self, value: Any, where: str, depth: int) -> Any:
        if depth < 0:
            raise self.refuse(value, where)
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, (int, float)):
            return (_ANY_INTEGER if isinstance(value, int) else _ANY_NUMBER).read(value, where)
        if isinstance(value, str):
            return _ANY_TEXT.read(value, where)
        if isinstance(value, (list, tuple)):
            return [self._read(item, where, depth - 1) for item in value]
        if isinstance(value, dict):
            return {_KEYS.read(key, where): self._read(item, where, depth - 1) for key, item in value.items()}
        raise self.refuse(value, where)


_KEYS = Text(200, what="a key")
_ANY_INTEGER = Integer(-ANY_COUNT, ANY_COUNT)
_ANY_NUMBER = Number()
_ANY_TEXT = Text(100_000)


def entry(form: Form, **field: Any) -> Any:
    """A dataclass field with its form; `field` as `dataclasses.field` takes it."""
    return dataclasses.field(metadata={_KEY: form}, **field)


@functools.cache
def record(owner: type) -> Record:
    """What an object with the values of a dataclass's entries must look like; those with a default may be missing."""
    fields = [one for one in dataclasses.fields(owner) if _KEY in one.metadata]
    missing = dataclasses.MISSING
    required = [one.name for one in fields if one.default is missing and one.default_factory is missing]
    return Record({one.name: one.metadata[_KEY] for one in fields}, frozenset(required))
