"""The grid: how large the step is that every onset, duration and length counts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from melodygru.errors import NoteError
from melodygru.util.schema import Text

RATES = (0.001, 1e6)  # of a grid in a file: steps per beat or second, at least and at most
_RATE = re.compile(r"\d{1,12}(/\d{1,12}|\.\d{1,12})?", re.ASCII)


@dataclass(frozen=True)
class Grid:
    """The size of a step: either `steps_per_beat` (a beat is a quarter note) or `steps_per_second`."""

    steps_per_beat: Fraction | None = None
    steps_per_second: Fraction | None = None

    def __post_init__(self) -> None:
        rates = [rate for rate in (self.steps_per_beat, self.steps_per_second) if rate is not None]
        if len(rates) != 1 or rates[0] <= 0:
            raise NoteError(
                f"a grid needs one positive rate, got {self.steps_per_beat} steps per beat and "
                f"{self.steps_per_second} steps per second"
            )

    @classmethod
    def beats(cls, steps_per_beat: int | Fraction) -> Grid:
        """A metrical grid of `steps_per_beat` steps in a quarter note."""
        return cls(steps_per_beat=Fraction(steps_per_beat))

    @classmethod
    def seconds(cls, steps_per_second: int | Fraction) -> Grid:
        """A grid of `steps_per_second` steps in a second, for music without a beat."""
        return cls(steps_per_second=Fraction(steps_per_second))

    @classmethod
    def parse(cls, text: str) -> Grid:
        """Read `4` (steps per beat) or `10ms` (milliseconds per step).

        Raises
        ------
        NoteError
            The text is neither.
        """
        try:
            rate = text.strip().removesuffix("ms")
            if not _RATE.fullmatch(rate):  # Fraction would reckon 1e999999999 out
                raise ValueError("no plain number")
            if text.strip().endswith("ms"):
                return cls.seconds(1000 / Fraction(rate))
            return cls.beats(Fraction(rate))
        except (ValueError, ZeroDivisionError, NoteError) as error:
            raise NoteError(
                f"grid {text!r}: expected a number of steps per beat such as 4, or a step in milliseconds such as 10ms"
            ) from error

    @property
    def is_metrical(self) -> bool:
        """Whether a step is a fraction of a beat."""
        return self.steps_per_beat is not None

    @property
    def rate(self) -> float:
        """Steps in a quarter note on a metrical grid, else in a second."""
        rate = self.steps_per_beat or self.steps_per_second
        assert rate is not None
        return float(rate)

    def __str__(self) -> str:
        if self.steps_per_beat is not None:
            return str(self.steps_per_beat)
        assert self.steps_per_second is not None
        step_ms = 1000 / self.steps_per_second
        return f"{step_ms}ms"

    def describe(self) -> str:
        """In words, for reports: `4 steps per beat`, `10 ms per step`."""
        if self.steps_per_beat is not None:
            return f"{self.steps_per_beat} step{'' if self.steps_per_beat == 1 else 's'} per beat"
        return f"{str(self)[:-2]} ms per step"


def _require_workable(text: str) -> None:
    """ValueError or NoteError if a text is no grid that can be worked with."""
    if not RATES[0] <= Grid.parse(text).rate <= RATES[1]:
        raise ValueError(f"grid {text}: expected {RATES[0]:g}..{RATES[1]:g} steps")


GRID_FORM = Text(40, _require_workable, "a grid")
