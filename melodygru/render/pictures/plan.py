"""The plan of a piece above its piano roll: the letters of its sections, and its chords."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from melodygru.music.chords import chord_name, half_bar_chords, half_bar_edges
from melodygru.music.form import Section, bar_returns, sections
from melodygru.music.keys import estimate_key
from melodygru.music.notes import NoteSequence
from melodygru.render.pictures.style import COLOURS, INK, MUTED

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LEAST_BARS = 4  # of a piece whose plan is drawn
PLAN_HEIGHT = 0.36  # inches above a system
_CHORDS_AT, _FORM_AT, _FORM_HEIGHT = 0.06, 0.2, 0.14  # inches above the roll
_LETTER_WIDTH = 0.062  # inches of a character of a chord's name
_BEYOND = 0.25  # inches that the last one may stand beyond the end
_MOST_LEFT_OUT = 0.25  # share of a system's chords that have no place, beyond which none is named


class DrawnPlan(NamedTuple):
    """What is drawn of a plan.

    Attributes
    ----------
    sections : those of the form; none where it has only one
    changes : steps at which the chord changes, ascending
    names : of the chord from each of them on
    """

    sections: list[Section]
    changes: np.ndarray
    names: list[str]


def plan_of(sequence: NoteSequence) -> DrawnPlan | None:
    """The plan that is found in a piece; None where it has no bars, too few of them, or nothing is found."""
    if not sequence.grid.is_metrical or not len(sequence):
        return None
    starts = sequence.bar_starts()
    if len(starts) <= LEAST_BARS:
        return None
    codes = half_bar_chords(sequence).astype(np.int64)
    changes = np.flatnonzero(np.diff(codes, prepend=0))
    fifths = estimate_key(sequence.notes).fifths
    names = [chord_name(code, fifths) if code else "" for code in codes[changes].tolist()]
    parts = sections(bar_returns(sequence))
    if len(parts) < 2:
        parts = []
    return DrawnPlan(parts, half_bar_edges(sequence)[changes], names) if parts or any(names) else None


def draw_plan(
    axes: Axes, sequence: NoteSequence, plan: DrawnPlan, start: int, end: int, row_height: float, inches_per_step: float
) -> None:
    """The sections and chords of steps [start, end) above a system that is `row_height` inches high."""
    _draw_sections(axes, sequence, plan.sections, start, end, row_height, inches_per_step)
    first = max(0, int(np.searchsorted(plan.changes, start, side="right")) - 1)
    last = int(np.searchsorted(plan.changes, end))
    placed: list[tuple[float, str]] = []
    free, left_out = float(start), 0
    for at, name in zip(plan.changes[first:last].tolist(), plan.names[first:last], strict=True):
        at = max(at, start)
        goes_to = at + (len(name) * _LETTER_WIDTH + 0.04) / inches_per_step
        if name and (at < free or goes_to > end + _BEYOND / inches_per_step):
            left_out += 1
        elif name:
            placed.append((at, name))
            free = goes_to
    if left_out > _MOST_LEFT_OUT * (left_out + len(placed)):
        return
    for at, name in placed:
        axes.text(
            at, 1 + _CHORDS_AT / row_height, name, transform=axes.get_xaxis_transform(), fontsize=6.5, color=INK,
            va="baseline", clip_on=False, gid="chord",
        )  # fmt: skip


def _draw_sections(
    axes: Axes,
    sequence: NoteSequence,
    parts: list[Section],
    start: int,
    end: int,
    row_height: float,
    inches_per_step: float,
) -> None:
    """A box for each section, in its letter's colour, with the letter where it fits."""
    from matplotlib.patches import Rectangle

    bars = sequence.bar_starts()
    letters = list(dict.fromkeys(part.letter for part in parts))
    low, height = 1 + _FORM_AT / row_height, _FORM_HEIGHT / row_height
    for part in parts:
        left, right = (int(bars[bar]) for bar in (part.start, part.start + part.n_bars))
        begins, left, right = left >= start, max(left, start), min(right, end)
        if left >= right:
            continue
        colour = COLOURS[letters.index(part.letter) % len(COLOURS)]
        gap = 0.02 / inches_per_step
        box = Rectangle(
            (left, low), max(right - left - gap, gap), height, transform=axes.get_xaxis_transform(), clip_on=False,
            facecolor=colour, alpha=0.25, linewidth=0, gid="section",
        )  # fmt: skip
        axes.add_patch(box)
        if (right - left) * inches_per_step >= 0.14:
            axes.text(
                left + 0.035 / inches_per_step, low + 0.24 * height, part.letter, transform=axes.get_xaxis_transform(),
                fontsize=7, fontweight="bold" if begins else "normal", color=INK if begins else MUTED, va="baseline",
                clip_on=False, gid="letter",
            )  # fmt: skip
