"""When a piece ends, and what else is settled before its first note."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from melodygru.compose.forms import form_from, text_of
from melodygru.compose.primer import Primer
from melodygru.compose.settings import check_setting
from melodygru.errors import SettingError
from melodygru.events import Vocabulary
from melodygru.events.planned import UNPLANNED, Planned, transposed_chords
from melodygru.music.chords import chord_name
from melodygru.music.form import bar_returns
from melodygru.music.metre import signatures, steps_per_bar

if TYPE_CHECKING:
    from melodygru.compose.constraints import Chords

N_DRAWS = 7  # of a plan
UPBEAT_BARS = 4  # bars of a piece whose first one may be an upbeat
DRAWN_BIAS = 1.0  # nats for the chords that are drawn; what is asked for has its own
FORM_BIAS = 1.5  # nats, for a form that is asked for, or drawn of a style in which forms stand out


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
    steps : the length, in steps, where it is asked for or follows from the form; else None
    due : step from which on the piece ends where the model finds an end plausible; None where its length is given
    limit : step at which the piece is cut; None where notes are counted
    signature : key signature that the piece opens in, 0..11 semitones above C; None: the model's choice
    line_up : programs of the parts, ascending, those of a primer among them; None: unknown
    planned : what of tempo, length, form and chords the model is given
    form_bias : by how many nats what its form points to is more probable
    chord_bias : by how many nats the tones of its chords are more probable, where these are drawn
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
    planned: Planned = UNPLANNED
    form_bias: float = 0.0
    chord_bias: float = 0.0
    haste: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """What was settled, as plain JSON values; what was left to the model is null."""
        planned = self.planned
        return {
            "metre": "{}/{}".format(*self.metre) if self.bar is not None else None,
            "qpm": self.qpm if self.bar is not None else None,
            "bars": planned.n_bars,
            "sharps": None if self.signature is None else (7 * self.signature + 5) % 12 - 5,
            "line_up": None if self.line_up is None else list(self.line_up),
            "form": None if planned.returns is None else text_of(planned.returns),
            "chords": None if planned.chords is None else [chord_name(int(code)) for code in planned.chords],
        }

    @property
    def last_bar(self) -> tuple[int, int] | None:
        """The steps at which the last bar begins and ends, where that is settled and it isn't the only one."""
        if self.bar is None or self.steps is None or self.limit is None or self.steps <= self.bar:
            return None
        return self.limit - self.bar, self.limit

    @property
    def opens_within(self) -> int | None:
        """The step before which a piece begins that is too short for an upbeat; None: it may have one.

        Its first bar would be all rests but for that, and its last one holds one chord.
        """
        if self.bar is None or self.steps is None or self.steps >= UPBEAT_BARS * self.bar:
            return None
        return self.start + max(1, self.bar // 2)

    @property
    def earliest_end(self) -> int | None:
        """The step from which on the model may end a piece whose length is settled; None: anywhere.

        The middle of the last bar, where the model knows which one is the last; else it is cut at its limit.
        """
        if self.steps is None or self.limit is None:
            return None
        return self.limit - (self.bar or 0) // 2 if self.planned.n_bars is not None else self.limit + 1

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
        form: str | None = None,
        ending: bool = False,
        chords: Chords | None = None,
        tonal: bool = False,
        draws: Sequence[float] = (0.0, 0.5, 0.0, 0.5, 0.5, 0.5, 0.5),
    ) -> Plan:
        """The plan of these settings, which mean and raise what they do in `compose`.

        Without `chords` they are drawn, as the form is, unless pitches are constrained otherwise: `tonal`. The `draws`,
        in [0, 1), are for `metre_of`, `length_of`, `signature_of`, `line_up_of`, `tempo_of`, `form_of` and `chords_of`
        of the vocabulary's statistics.
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
            qpm = given.qpm if given is not None else v.statistics.tempo_of(style, draws[4])
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
        n_bars = None if steps is None or bar is None else -(-steps // bar)
        returns = None
        if form is not None:
            if not v.plans:
                raise SettingError("form: this model's music has no bars, or it learned no forms; leave form out")
            returns = form_from(form, n_bars)
        elif v.plans and primer is None:
            returns = v.statistics.form_of(style, metre, draws[5], n_bars)
        asked = steps
        if n_bars is None and returns is not None and bar is not None and length == Length():
            n_bars = len(returns)
            steps = n_bars * bar
        at_most = steps
        if steps is None and length.notes is None and v.statistics.longest:
            at_most = -(-v.statistics.longest // (bar or 1)) * (bar or 1)
        settled = steps is not None or length != Length()
        typical = None if settled else v.statistics.length_of(style, metre, draws[1])
        due = None if typical is None else start + typical
        signature = v.statistics.signature_of(style, draws[2]) if primer is None else None
        if line_up is None:
            playing = () if given is None else given.part_programs.tolist()
            line_up = v.statistics.line_up_of(style, draws[3], playing)
        limit = None if at_most is None else start + at_most
        whole = v.statistics.length_of(style, metre, 0.5)
        haste = math.log(max(1.0, whole / max(1, asked))) if asked is not None and whole is not None else 0.0
        planned = UNPLANNED
        if v.plans and bar is not None:
            first_bar = 0 if given is None else int(np.searchsorted(given.bar_starts(), start))
            if given is not None and first_bar and returns is not None:
                returns = np.append(bar_returns(given)[:first_bar], np.where(returns >= 0, returns + first_bar, -1))
            in_all = None if n_bars is None else first_bar + n_bars
            if ending and returns is not None and len(returns) == in_all:
                returns = np.append(returns[:-1], -1)  # to return to the middle of a phrase would be no end
            until = in_all or first_bar + -(-v.statistics.longest // bar)
            codes = None if chords is None else chords.codes(first_bar, until)
            if chords is None and not tonal and given is None and returns is not None and signature is not None:
                codes = v.statistics.chords_of(style, returns, metre, draws[6])
                codes = None if codes is None else transposed_chords(codes, signature)
            planned = Planned(going or qpm, in_all, returns, codes)
        pressed = form is not None or (returns is not None and v.statistics.form_stands_out(style))
        form_bias = FORM_BIAS if pressed else 0.0
        chord_bias = DRAWN_BIAS if chords is None and planned.chords is not None else 0.0
        return cls(
            metre,
            qpm,
            start,
            bar,
            length,
            steps,
            due,
            limit,
            signature,
            line_up,
            planned,
            form_bias,
            chord_bias,
            haste,
        )
