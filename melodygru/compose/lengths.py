"""When a piece ends, and what else is settled before its first note."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from melodygru.compose.primer import Primer
from melodygru.compose.settings import check_setting
from melodygru.errors import SettingError
from melodygru.events import Vocabulary
from melodygru.music.metre import signatures, steps_per_bar


@dataclass(frozen=True)
class Length:
    """When a piece ends: at most one of the three, or, with none, where the model ends it.

    The model may end it at any moment. Each piece also draws the length of a training piece of its style and metre:
    from there on it ends where the model gives an end PLAUSIBLE probability, then ever less of it, and is cut at the
    latest at the length of the longest training piece.

    Parameters
    ----------
    bars : bars of the piece's metre; needs a metrical grid
    seconds : at the piece's tempo; on a metrical grid to the nearest bar line
    notes : this many notes; on a metrical grid the last bar is filled
    """

    bars: int | None = None
    seconds: float | None = None
    notes: int | None = None

    def __post_init__(self) -> None:
        given = [name for name in ("bars", "seconds", "notes") if getattr(self, name) is not None]
        if len(given) > 1:
            raise SettingError(f"{' and '.join(given)} given: expected at most one of bars, seconds and notes")
        for name in given:
            value = getattr(self, name)
            check_setting(name, value)
            if name != "seconds" and not isinstance(value, (int, np.integer)):
                raise SettingError(f"{name} {value}: expected a whole number")

    def steps(self, vocabulary: Vocabulary, bar: int | None, qpm: float) -> int | None:
        """The piece's length in steps, if it is known beforehand; `bar` is a bar's steps on a metrical grid."""
        grid = vocabulary.grid
        if self.bars is not None:
            if bar is None:
                raise SettingError("bars: this model's music has no bars; give seconds or notes")
            return self.bars * bar
        if self.seconds is None:
            return None
        if bar is None:
            return max(1, round(self.seconds * grid.rate))
        return max(1, round(self.seconds * qpm / 60 * grid.rate / bar)) * bar


@dataclass(frozen=True)
class Plan:
    """What is settled about a piece before its first note.

    Parameters
    ----------
    metre : time signature of what is composed, (numerator, denominator)
    qpm : tempo, quarter notes per minute
    start : step from which `length` counts: 0, or the first bar line at the primer's splice or after it
    bar : steps of a bar; None without a metrical grid
    length : Length
    steps : the length asked for, in steps; None where it was given in notes or is left to the model
    due : step from which on the piece ends where the model finds an end plausible; None where its length is given
    limit : step at which the piece is cut; None where notes are counted
    signature : key signature that the piece opens in, 0..11 semitones above C; None: the model's choice
    line_up : programs of the parts, ascending, those of a primer among them; None: unknown
    haste : how much sooner its parts come in than in a whole piece, in nats: ln of the style's median length over the
        steps asked for, where these are fewer
    """

    metre: tuple[int, int]
    qpm: float
    start: int
    bar: int | None
    length: Length
    steps: int | None
    due: int | None
    limit: int | None
    signature: int | None = None
    line_up: tuple[int, ...] | None = None
    haste: float = 0.0

    @classmethod
    def from_settings(
        cls,
        vocabulary: Vocabulary,
        length: Length | None = None,
        *,
        style: str | None = None,
        metre: tuple[int, int] | None = None,
        primer: Primer | None = None,
        qpm: float | None = None,
        line_up: tuple[int, ...] | None = None,
        draws: tuple[float, float, float, float] = (0.0, 0.5, 0.0, 0.5),
    ) -> Plan:
        """The plan of these settings, which mean and raise what they do in `compose`.

        The `draws`, in [0, 1), are for `metre_of`, `length_of`, `signature_of` and `line_up_of` of the vocabulary.
        """
        v, length = vocabulary, length or Length()
        if style is not None and style not in v.styles:
            known = ", ".join(v.styles) if v.styles else "none"
            raise SettingError(f"style {style!r}: this model knows {known}")
        given = None if primer is None else primer.sequence
        if metre is None:
            metre = given.metre if given is not None else v.statistics.metre_of(style, draws[0])
        if min(metre) < 1:
            raise SettingError("metre {}/{}: expected two numbers above 0".format(*metre))
        if given is not None and v.grid.is_metrical and metre != given.metre:
            raise SettingError("metre {}/{}: the primer's {}/{} goes on, leave metre out".format(*metre, *given.metre))
        going: float | None = qpm  # the tempo of what is composed
        if qpm is None:
            qpm = given.qpm if given is not None else v.statistics.tempo_of(style)
        check_setting("qpm", qpm)
        bar = steps_per_bar(v.grid, metre) if v.grid.is_metrical else None
        start = 0
        if primer is not None and given is not None:
            start = primer.splice
            if bar is not None:
                bars = given.bar_starts()
                bar = steps_per_bar(v.grid, signatures(given.metres)[-1])
                start = int(bars[np.searchsorted(bars, start)])
            if going is None:
                going = 60e6 / float(given.tempos["tempo"][-1])
        steps = length.steps(v, bar, going or qpm)
        at_most = steps
        if steps is None and length.notes is None and v.statistics.longest:
            at_most = -(-v.statistics.longest // (bar or 1)) * (bar or 1)
        typical = v.statistics.length_of(style, metre, draws[1]) if length == Length() else None
        due = None if typical is None else start + typical
        signature = v.statistics.signature_of(style, draws[2]) if primer is None else None
        if line_up is None:
            playing = () if given is None else given.part_programs.tolist()
            line_up = v.statistics.line_up_of(style, draws[3], playing)
        limit = None if at_most is None else start + at_most
        whole = v.statistics.length_of(style, metre, 0.5)
        haste = math.log(max(1.0, whole / max(1, steps))) if steps is not None and whole is not None else 0.0
        return cls(metre, qpm, start, bar, length, steps, due, limit, signature, line_up, haste)
