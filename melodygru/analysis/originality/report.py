"""What is reported of an output: matches, shares, and the spread of both over many pieces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from melodygru.util.schema import Integer, Number, Record


@dataclass(frozen=True)
class Match:
    """A run of notes that stands in the corpus.

    Attributes
    ----------
    notes : int
        How many, N_GRAM at least.
    file : str
        The corpus's file.
    start : int
        Where it begins there: the bar, counted from 1, or on a grid of seconds the second, from 0.
    output_start : int
        Where it begins in the output, counted alike.
    program : int or None
        The output's line; None is that of all voices.
    unit : "bar" or "second"
    """

    notes: int
    file: str
    start: int
    output_start: int
    program: int | None
    unit: str

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "notes": self.notes,
            "file": self.file,
            self.unit: self.start,
            f"{self.unit}_of_output": self.output_start,
            "program": self.program,
        }


@dataclass(frozen=True)
class Part:
    """What was found in one way of reading the output: its program lines, or all voices.

    Attributes
    ----------
    longest : Match or None
        None where no match has N_GRAM notes.
    covered : int
        Notes that lie in a match of N_GRAM notes or more.
    """

    longest: Match | None
    covered: int


@dataclass(frozen=True)
class Originality:
    """How much of an output stands in the corpus. Of its two parts the greater value counts.

    Attributes
    ----------
    notes : int
        Of the output.
    voices, lines : Part
        All voices together; each program by itself.
    """

    notes: int
    voices: Part
    lines: Part

    @property
    def longest(self) -> Match | None:
        """The longer of the parts' longest matches, that of all voices where they are equally long."""
        found = [part.longest for part in (self.voices, self.lines) if part.longest is not None]
        return max(found, key=lambda match: match.notes, default=None)

    @property
    def longest_notes(self) -> int:
        """Notes of the longest match, 0 without one."""
        return 0 if self.longest is None else self.longest.notes

    @property
    def share(self) -> float:
        """Of the output's notes, those that lie in matches: 0..1."""
        return max(self.voices.covered, self.lines.covered) / max(1, self.notes)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""

        def part(one: Part) -> dict[str, Any]:
            return {
                "longest": None if one.longest is None else one.longest.as_dict(),
                "share": one.covered / max(1, self.notes),
            }

        return {
            "notes": self.notes,
            "longest": None if self.longest is None else self.longest.as_dict(),
            "share": self.share,
            "all_voices": part(self.voices),
            "program_lines": part(self.lines),
        }


_SUMMARY = Record(dict.fromkeys(("lower_quartile", "median", "upper_quartile", "max"), Number(0, 1e12)))
SPREAD_FORM = Record({"pieces": Integer(1), "longest": _SUMMARY, "share": _SUMMARY})  # what `spread` gives


def spread(found: Sequence[Originality]) -> dict[str, Any]:
    """How the longest match (notes, 0 for none) and the share are distributed over one or more pieces.

    Returns
    -------
    dict
        `pieces`; `longest` and `share`, each with `lower_quartile`, `median`, `upper_quartile` and `max`.
    """

    def summary(values: list[float]) -> dict[str, float]:
        quartiles = np.quantile(values, [0.25, 0.5, 0.75, 1.0]).tolist()
        return dict(zip(("lower_quartile", "median", "upper_quartile", "max"), quartiles, strict=True))

    return {
        "pieces": len(found),
        "longest": summary([one.longest_notes for one in found]),
        "share": summary([one.share for one in found]),
    }
