"""Settings as the page has them: declared once by their classes, given back as JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from melodygru.compose.settings import LONGEST_TEXT
from melodygru.studio.refusals import Refused
from melodygru.util.settings import Setting, declared_by, in_help_order

NOT_FOR_THE_PAGE = ("num_outputs", "primer_bars", "no_primer")
_NAMES = {int: "int", float: "float", str: "str", bool: "bool"}


def for_page(owner: type, choices: dict[str, Sequence[str]], only: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """The settings of a class that a page can give, as plain JSON values.

    Parameters
    ----------
    choices : of settings whose values follow from the model
    only : names of the settings; default: all
    """
    found = []
    for one in in_help_order(owner):
        about = one.about
        if one.name in NOT_FOR_THE_PAGE or not _can_be_given(one) or (only is not None and one.name not in only):
            continue
        found.append(
            {
                "name": one.name,
                "type": _NAMES.get(one.type, "str"),
                "section": about.section,
                "help": about.help.replace("--", ""),
                "low": about.low if about.low is not None else about.above,
                "low_open": about.above is not None,
                "high": next((high for high in (about.high, about.below, about.typed_high) if high is not None), None),
                "high_open": about.below is not None,
                "unit": about.unit,
                "default": None if one.default is dataclasses.MISSING else one.default,
                "default_words": one.default_words.replace("--", ""),
                "choices": list(choices.get(one.name, about.choices)),
            }
        )
    return found


def from_page(owner: type, values: Any, **beside: Any) -> Any:
    """Settings of what a page gave; null is a setting's default.

    Raises
    ------
    Refused
        It is none of the page's settings, or of another type.
    SettingError
        A value is out of range, or goes only with another one.
    """
    if not isinstance(values, dict):
        raise Refused("The settings came in no form that the studio reads: reload the page.")
    declared = declared_by(owner)
    given: dict[str, Any] = {}
    for name, value in values.items():
        one = declared.get(name)
        if one is None or name in ("primer_bars", "no_primer") or not _can_be_given(one):
            raise Refused(f"{str(name)[:40]!r} is no setting that the page can give: reload the page.")
        if value is not None:
            given[name] = _value(one, value)
    return owner(**{**given, **beside})


def _can_be_given(one: Setting) -> bool:
    return one.about.parse is not None or one.type in _NAMES and not issubclass(one.type, Path)


def _value(one: Setting, value: Any) -> Any:
    """A JSON value as a setting has it."""
    words = one.name.replace("_", " ")
    if one.about.parse is not None or one.type is str:
        if not isinstance(value, str) or len(value) > LONGEST_TEXT:
            raise Refused(f"{words}: expected a text of at most {LONGEST_TEXT:,} characters.")
        if one.name == "form" and "." in value:  # it may name a file, which a page can't
            raise Refused("form: expected sections such as AABA or A8 B8 A8.")
        return one.about.parse(value) if one.about.parse is not None else value
    if one.type is bool:
        if not isinstance(value, bool):
            raise Refused(f"{words}: expected yes or no.")
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float)) or abs(value) > 1e15:
        raise Refused(f"{words}: expected a number.")
    high = one.about.typed_high
    if high is not None and value > high:
        raise Refused(f"{words}: expected at most {high:,}.")
    return int(value) if one.type is int and value == int(value) else value


__all__ = ["for_page", "from_page"]
