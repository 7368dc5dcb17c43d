"""A piece as a piano roll: pitch against time, in systems one beneath the other."""

from __future__ import annotations

import colorsys
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from melodygru.music.names import DRUM_NAMES, facts, pitch_name
from melodygru.music.notes import DRUMS, NoteSequence
from melodygru.music.voices import voices
from melodygru.render.pictures.plan import PLAN_HEIGHT, draw_plan, plan_of
from melodygru.render.pictures.style import COLOURS, INK, MUTED, drawing, shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_DRUM_COLOUR = "#4a4e69"
_BLACK_KEYS = (1, 3, 6, 8, 10)  # pitch classes

_MAX_SYSTEMS = 8  # rows of one page; longer pieces are compressed into as many
_SYSTEM_BEATS = 40  # quarter notes in a system, about, where the width allows
_SYSTEM_S = 20.0  # likewise in seconds, on a grid of seconds
_PAGE_WIDTH, _LEAST_WIDTH = 12.0, 6.5
_PAGE_HEIGHT = 16.0  # of the systems together, where they need so much
LEFT, RIGHT = 0.95, 0.3  # margins; labels of pitches and drums stand in the left one
_TITLE, _FACTS, SYSTEM_GAP, _FOOT = 0.33, 0.42, 0.42, 0.45
_LEGEND_COLUMN, _LEGEND_LINE = 2.1, 0.22
_LEAST_GAP = 0.06  # between lines: closer ones would be a grey area
FAR = 1 << 40  # steps: a distance where there is no neighbour


@drawing()
def piano_roll_figure(sequence: NoteSequence, *, title: str | None = None) -> Figure:
    """A piece, pitch against time: one Axes a system, x in steps, y in pitches.

    Bars and beats are lines on a metrical grid, seconds otherwise. A colour is a voice (see `voices`), its strength the
    velocity. A long piece is broken into systems, eight at most; then more of it goes into each. Drums have lanes of
    their own beneath the pitches. Above each system stand the letters of the sections and the chords that are found.
    """
    from matplotlib.figure import Figure

    systems, width = cut_into_systems(sequence)
    lanes = drum_lanes(sequence)
    low, high = pitch_range(sequence)
    bottom = low - 0.5 - lane_height(lanes)
    row_height = float(np.clip(0.058 * (high - bottom), 1.3, max(_PAGE_HEIGHT / len(systems), 2.0)))
    voice, names = voices(sequence)
    columns = max(1, min(len(names), int((width - 0.4) / _LEGEND_COLUMN)))
    legend_height = _LEGEND_LINE * math.ceil(len(names) / columns) + 0.2 if len(names) > 1 else 0.0
    head = _FACTS + (_TITLE if title else 0.0)
    plan = plan_of(sequence)
    above = PLAN_HEIGHT if plan else 0.0
    height = head + len(systems) * (row_height + above) + (len(systems) - 1) * SYSTEM_GAP + _FOOT + legend_height
    figure = Figure(figsize=(width, height), facecolor="white")

    colours = voice_colours(sequence, len(names))
    span = max(end - start for start, end in systems)
    top = height - head
    for start, end in systems:
        top -= row_height + above
        box = (LEFT / width, top / height, (width - LEFT - RIGHT) / width, row_height / height)
        axes = figure.add_axes(box)
        axes.set_xlim(start, start + span)
        axes.set_ylim(bottom, high + 0.5)
        inches_per_step = (width - LEFT - RIGHT) / span
        draw_keyboard(axes, low, high, lanes, row_height / (high + 0.5 - bottom), start, end)
        draw_time(axes, sequence, start, end, inches_per_step)
        draw_notes(axes, sequence, start, end, low, lanes, colours[voice], inches_per_step)
        if plan:
            draw_plan(axes, sequence, plan, start, end, row_height, inches_per_step)
        top -= SYSTEM_GAP
    figure.text(
        (width - RIGHT) / width, (legend_height + 0.08) / height, _time_label(sequence),
        ha="right", va="bottom", fontsize=7.5, color=MUTED,
    )  # fmt: skip
    _draw_heading(figure, sequence, title, width, height)
    if legend_height:
        _draw_legend(figure, names, colours, columns, width, height)
    say_if_empty(figure.axes[0], sequence)
    return figure


def say_if_empty(axes: Axes, sequence: NoteSequence) -> None:
    """Write `no notes` where a piece has none, so that an empty picture doesn't look like a failure."""
    if len(sequence) == 0:
        axes.text(0.5, 0.5, "no notes", transform=axes.transAxes, ha="center", va="center", fontsize=14, color=MUTED)


def page_units(sequence: NoteSequence) -> np.ndarray:
    """Steps at which each bar, or each second without a beat, begins, and the end of the last; one unit or more."""
    if sequence.grid.steps_per_beat is not None:
        bars = sequence.bar_starts()
        # An empty piece still has a bar to show.
        return bars if len(bars) > 1 else np.array([0, max(1, round(float(sequence.grid.steps_per_beat) * 4))])
    assert sequence.grid.steps_per_second is not None
    seconds = np.arange(max(1, math.ceil(sequence.seconds)) + 1)
    return np.unique(np.ceil(seconds * float(sequence.grid.steps_per_second)).astype(np.int64))


def cut_into_systems(sequence: NoteSequence) -> tuple[list[tuple[int, int]], float]:
    """The systems as (first step, end step), and the page's width in inches.

    A system holds whole bars on a metrical grid, whole seconds otherwise, and all hold about as many.
    """
    marks = page_units(sequence)
    if sequence.grid.steps_per_beat is not None:
        size = (marks[-1] - marks[0]) / float(sequence.grid.steps_per_beat) / _SYSTEM_BEATS
    else:
        size = max(1, math.ceil(sequence.seconds)) / _SYSTEM_S
    n_units = len(marks) - 1
    n_systems = min(_MAX_SYSTEMS, n_units, max(1, math.ceil(size - 0.25)))  # a little more than one page stays one
    per_system = math.ceil(n_units / n_systems)
    cuts = [*range(0, n_units, per_system), n_units]
    systems = [(int(marks[a]), int(marks[b])) for a, b in zip(cuts[:-1], cuts[1:], strict=True)]
    width = float(np.clip(_PAGE_WIDTH * size * 2, _LEAST_WIDTH, _PAGE_WIDTH))
    return systems, width


def pitch_range(sequence: NoteSequence) -> tuple[int, int]:
    """Lowest and highest pitch shown, drums apart: those that play and two beyond each way, at least 18 semitones."""
    pitches = sequence.notes["pitch"][sequence.notes["program"] != DRUMS].astype(int)
    if len(pitches) == 0:
        return (60, 60) if len(sequence) else (53, 79)
    low, high = int(pitches.min()) - 2, int(pitches.max()) + 2
    missing = max(0, 18 - (high - low))
    low, high = low - missing // 2, high + (missing + 1) // 2
    shift = max(0, -low) - max(0, high - 127)
    return max(0, low + shift), min(127, high + shift)


def drum_lanes(sequence: NoteSequence) -> list[int]:
    """The drum keys that play, lowest first, each a lane."""
    return np.unique(sequence.notes["pitch"][sequence.notes["program"] == DRUMS]).tolist()


_LANE = 2.0  # semitones high


def lane_height(lanes: list[int]) -> float:
    """What the lanes take beneath the pitches, in semitones, with a gap of one."""
    return len(lanes) * _LANE + 1 if lanes else 0.0


def _lane_bottom(lane: Any, n_lanes: int, low: int) -> Any:
    """The lower edge of a lane (an int, or an array of them) on the pitch axis."""
    return low - 1.5 - (n_lanes - lane) * _LANE


def _colours(programs: list[int]) -> list[str]:
    """A colour for each part: from the palette, or around the wheel where that is too short; drums are slate."""
    n_melodic = sum(program != DRUMS for program in programs)
    palette: Sequence[str] = COLOURS
    if n_melodic > len(palette):
        wheel = [colorsys.hls_to_rgb(at / n_melodic, 0.40 if at % 2 else 0.60, 0.62) for at in range(n_melodic)]
        palette = [f"#{round(r * 255):02x}{round(g * 255):02x}{round(b * 255):02x}" for r, g, b in wheel]
    rest = iter(palette)
    return [_DRUM_COLOUR if program == DRUMS else next(rest) for program in programs]


def voice_colours(sequence: NoteSequence, n_voices: int) -> np.ndarray:
    """The colour of each voice, shape (n_voices, 3), 0..1."""
    from matplotlib.colors import to_rgb

    programs = sequence.part_programs.tolist()
    chosen = _colours(programs) if len(programs) == n_voices else COLOURS[:n_voices]
    return np.array([to_rgb(colour) for colour in chosen]).reshape(-1, 3)


def draw_keyboard(
    axes: Axes, low: int, high: int, lanes: list[int], inches_per_semitone: float, start: int, end: int
) -> None:
    """Bands for black keys, lines and names for the Cs (and more names where they fit), lanes and names for drums."""
    from matplotlib.collections import PolyCollection

    melodic = high > low
    shaded = [p for p in range(low, high + 1) if p % 12 in _BLACK_KEYS] if melodic else []
    bands = [(p - 0.5, p + 0.5) for p in shaded]
    bands += [(_lane_bottom(i, len(lanes), low), _lane_bottom(i + 1, len(lanes), low)) for i in range(0, len(lanes), 2)]
    boxes = [_rectangle(start, end, *band) for band in bands]
    axes.add_collection(PolyCollection(boxes, facecolors="#f1f3f6", linewidths=0, zorder=0, gid="keys"))
    for pitch in range(low, high + 1) if melodic else ():
        if pitch % 12 == 0:
            axes.plot([start, end], [pitch - 0.5] * 2, color="#b9c0cb", linewidth=0.7, zorder=1)
    named = {0: 0.0, 7: 0.024, 4: 0.034}  # pitch class: the least height of a semitone with its name
    ticks = [p for p in range(low, high + 1) if inches_per_semitone >= named.get(p % 12, np.inf)] if melodic else []
    labels = [pitch_name(p) for p in ticks]
    stride = max(1, math.ceil(0.1 / (inches_per_semitone * _LANE)))  # every how many lanes a name fits
    for i in range(0, len(lanes), stride):
        ticks.append(_lane_bottom(i, len(lanes), low) + _LANE / 2)  # type: ignore[arg-type]
        labels.append(DRUM_NAMES.get(lanes[i], f"key {lanes[i]}"))
    axes.set_yticks(ticks, labels, fontsize=7, color=INK)
    axes.tick_params(axis="y", length=0, pad=3)
    for side in ("top", "right", "left", "bottom"):
        axes.spines[side].set_visible(False)


def draw_time(axes: Axes, sequence: NoteSequence, start: int, end: int, inches_per_step: float) -> None:
    """Lines for bars and beats, or for seconds; numbers where they fit."""
    if sequence.grid.steps_per_beat is not None:
        bars = sequence.bar_starts()
        if len(bars) < 2:
            bars = np.array([start, end])
        strong = bars[(bars >= start) & (bars <= end)]
        numbers = np.flatnonzero((bars >= start) & (bars < end)) + 1
        labels = [str(number) for number in numbers]
        at = bars[numbers - 1]
        weak = sequence.bars.beat_lines(bars)
    else:
        assert sequence.grid.steps_per_second is not None
        rate = float(sequence.grid.steps_per_second)
        inches_per_second = rate * inches_per_step
        major = next(n for n in (1, 5, 10, 30, 60, 300, 600, 3600, FAR) if n * inches_per_second >= 0.45)
        minor = {5: 1, 10: 5, 30: 10, 60: 10, 300: 60, 600: 60, 3600: 600}.get(major, major)
        numbers = np.arange(math.ceil(start / rate), math.floor(end / rate) + 1)
        weak = numbers[numbers % minor == 0] * rate
        numbers = numbers[numbers % major == 0]
        strong = at = numbers * rate
        labels = [f"{second // 60}:{second % 60:02}" for second in numbers]
    weak = weak[(weak >= start) & (weak <= end)]
    keep = list(range(len(labels)))
    if sequence.grid.is_metrical:
        gap = np.diff(at).min(initial=FAR) * inches_per_step
        stride = next(n for n in (1, 2, 4, 8, 16, 32, 64, 128, 256, FAR) if n * gap >= 0.3)
        keep = [i for i, number in enumerate(numbers) if (number - 1) % stride == 0]
        if gap < _LEAST_GAP:
            strong = at[keep]
    for lines, colour, linewidth in ((weak, "#e3e6eb", 0.5), (strong, "#a9b1bd", 0.7)):
        gap = np.diff(lines).min(initial=FAR) * inches_per_step
        if gap >= _LEAST_GAP:
            axes.vlines(lines, *axes.get_ylim(), colors=colour, linewidth=linewidth, zorder=1)
    axes.set_xticks([at[i] for i in keep], [labels[i] for i in keep], fontsize=7, color=MUTED)
    axes.tick_params(axis="x", length=0, pad=6)


def _rectangle(left: float, right: float, bottom: float, top: float) -> list[tuple[float, float]]:
    return [(left, bottom), (left, top), (right, top), (right, bottom)]


def draw_notes(
    axes: Axes,
    sequence: NoteSequence,
    start: int,
    end: int,
    low: int,
    lanes: list[int],
    colours: np.ndarray,
    inches_per_step: float,
) -> None:
    """One collection of rectangles (gid `notes`) for what sounds in steps [start, end), in canonical order.

    `colours`: of each note, shape (n_notes, 3).
    """
    from matplotlib.collections import PolyCollection

    notes = sequence.notes
    here = (notes["onset"] < end) & (notes["onset"] + notes["duration"] > start)
    notes = notes[here]
    if len(notes) == 0:
        return
    corners = note_boxes(notes, start, end, low, lanes, inches_per_step)
    rgba = np.column_stack([colours[here], 0.4 + 0.6 * notes["velocity"] / 127])
    axes.add_collection(PolyCollection(list(corners), facecolors=rgba, linewidths=0, zorder=3, gid="notes"))


def note_boxes(
    notes: np.ndarray, start: int, end: int, low: int, lanes: list[int], inches_per_step: float
) -> np.ndarray:
    """Corners of the rectangles of what sounds in steps [start, end), shape (n, 4, 2)."""
    left = np.maximum(notes["onset"], start).astype(float)
    right = np.minimum(notes["onset"] + notes["duration"], end).astype(float)
    right -= np.minimum(0.014 / inches_per_step, 0.2 * (right - left))  # sets a repeated note off from the one before
    right = np.maximum(right, left + 0.012 / inches_per_step)
    drum = notes["program"] == DRUMS
    lane = np.searchsorted(lanes, notes["pitch"])
    bottom = np.where(drum, _lane_bottom(lane, len(lanes), low) + 0.25, notes["pitch"] - 0.44)
    top = np.where(drum, bottom + _LANE - 0.5, notes["pitch"] + 0.44)
    return np.stack([np.array([left, left, right, right]).T, np.array([bottom, top, top, bottom]).T], axis=2)


def _time_label(sequence: NoteSequence) -> str:
    return "bars" if sequence.grid.is_metrical else "minutes : seconds"


def _draw_heading(figure: Figure, sequence: NoteSequence, title: str | None, width: float, height: float) -> None:
    """The title, and beneath it what the piece is."""
    x = LEFT / width
    y = (height - 0.25 - (_TITLE if title else 0.0)) / height
    if title:
        title = " ".join(title.split())
        text = figure.text(
            x, (height - 0.33) / height, title, fontsize=12, fontweight="bold", color=INK, parse_math=False,
            va="baseline",
        )  # fmt: skip
        shorten(text, (width - LEFT - RIGHT) * figure.dpi)
    figure.text(x, y, "  ·  ".join(facts(sequence)), fontsize=8, color=MUTED, va="baseline")


def _draw_legend(
    figure: Figure, names: Sequence[str], colours: np.ndarray, columns: int, width: float, height: float
) -> None:
    """A square and a name for each voice, in rows at the foot of the page."""
    from matplotlib.patches import Rectangle

    rows = math.ceil(len(names) / columns)
    column = (width - LEFT - RIGHT) / columns if columns > 1 else width
    column = min(column, _LEGEND_COLUMN + 0.6)
    for at, (name, colour) in enumerate(zip(names, colours, strict=True)):
        x = LEFT + (at % columns) * column
        y = 0.12 + (rows - 1 - at // columns) * _LEGEND_LINE
        figure.add_artist(
            Rectangle((x / width, y / height), 0.13 / width, 0.11 / height, facecolor=colour, linewidth=0,
                      transform=figure.transFigure)
        )  # fmt: skip
        figure.text((x + 0.19) / width, y / height, name, fontsize=8, color=INK, va="baseline", gid="legend")


# ---- models compared -------------------------------------------------------------------------------------------
