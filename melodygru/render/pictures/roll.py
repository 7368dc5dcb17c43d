"""Pictures: a piece as a piano roll, a training run as curves, two sets of pieces compared, what a model hears.

Conventions
-----------
Figures are built with matplotlib's objects alone (no pyplot, no state shared with the caller's own plots), drawn
by Agg or as SVG by the file's suffix. The same input gives the same bytes. Sizes are in inches.
"""

from __future__ import annotations

import colorsys
import contextlib
import io
import math
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from melodygru.analysis.style import Comparison, Densities
from melodygru.errors import SettingError
from melodygru.music.names import DRUM_NAMES, PITCH_CLASSES, facts, pitch_name
from melodygru.music.notes import DRUMS, Grid, NoteSequence
from melodygru.music.voices import voices
from melodygru.util.atomic import atomic_write

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text


_COLOURS = (
    "#2a6fbb #d1495b #3f9b5b #e08a1e #7b5ea7 #1b9aaa #a65628 #d667a8 #6b7a1f "
    "#e4572e #5c80bc #8fb339 #b5838d #9b2226 #005f73"
).split()
_DRUM_COLOUR = "#4a4e69"
_INK, _MUTED = "#22252b", "#6d7380"  # text
_BLACK_KEYS = (1, 3, 6, 8, 10)  # pitch classes


_MAX_SYSTEMS = 8  # rows of one page; longer pieces are compressed into as many
_SYSTEM_BEATS = 40  # quarter notes in a system, about, where there is room
_SYSTEM_S = 20.0  # likewise in seconds, on a grid of seconds
_PAGE_WIDTH, _LEAST_WIDTH = 12.0, 6.5
_PAGE_HEIGHT = 16.0  # of the systems together, where they need so much
_LEFT, _RIGHT = 0.95, 0.3  # margins; labels of pitches and drums stand in the left one
_TITLE, _FACTS, _SYSTEM_GAP, _FOOT = 0.33, 0.42, 0.42, 0.45
_LEGEND_COLUMN, _LEGEND_LINE = 2.1, 0.22
_DPI = 150
_LEAST_GAP = 0.06  # between lines: closer ones would be a grey area
_FAR = 1 << 40  # steps: a distance where there is no neighbour


def piano_roll(sequence: NoteSequence, path: Path, *, title: str | None = None) -> None:
    """Draw a piece, pitch against time.

    Bars and beats are lines on a metrical grid, seconds otherwise. A colour is a voice (see `voices`), its strength the
    velocity. A long piece is broken into systems, eight at most; then more of it goes into each. Drums have lanes of
    their own beneath the pitches.

    Parameters
    ----------
    sequence : NoteSequence
    path : Path
        Ends in .png or .svg; the file appears whole or not at all.
    title : str, optional

    Raises
    ------
    SettingError
        Another suffix, or the file can't be written.
    """
    _save(piano_roll_figure(sequence, title=title), path)


def surprise(
    sequence: NoteSequence, nats: np.ndarray, fields: Sequence[str], path: Path, *, title: str | None = None
) -> None:
    """Draw a piece with the surprise of each note; see `surprise_figure`.

    Raises
    ------
    SettingError
        Another suffix than .png or .svg, or the file can't be written.
    """
    _save(surprise_figure(sequence, nats, fields, title or ""), path)


def training_curves(history: Sequence[dict[str, Any]], path: Path) -> None:
    """Draw nats per note against minutes of training, with the best held-out figure marked.

    Parameters
    ----------
    history : sequence of dict
        Rows with keys `step`, `minutes`, `train_nats_per_note` and, in some rows, `validation_nats_per_note`.
    path : Path
        Ends in .png or .svg; the file appears whole or not at all.

    Raises
    ------
    SettingError
        Another suffix, or the file can't be written.
    """
    _save(training_figure(history), path)


def comparison(models: Sequence[dict[str, Any]], path: Path) -> None:
    """Draw models trained on the same music: nats per note against minutes, and bars of what was measured.

    Parameters
    ----------
    models : sequence of dict
        With keys `label`, `history` (pairs of minutes and held-out nats per note), `nats_per_note`,
        `training_notes_per_second`, `sampling_us_per_note` and `memory_bytes`, which may be None.
    path : Path
        Ends in .png or .svg; the file appears whole or not at all.

    Raises
    ------
    SettingError
        Another suffix, or the file can't be written.
    """
    _save(comparison_figure(models), path)


# ---- piano roll -----------------------------------------------------------------------------------------------


def piano_roll_figure(sequence: NoteSequence, *, title: str | None = None) -> Figure:
    """The matplotlib Figure that `piano_roll` saves: one Axes a system, x in steps, y in pitches."""
    from matplotlib.figure import Figure

    systems, width = _systems(sequence)
    lanes = _drum_lanes(sequence)
    low, high = _pitch_range(sequence)
    bottom = low - 0.5 - _lane_height(lanes)
    row_height = float(np.clip(0.058 * (high - bottom), 1.3, max(_PAGE_HEIGHT / len(systems), 2.0)))
    voice, names = voices(sequence)
    columns = max(1, min(len(names), int((width - 0.4) / _LEGEND_COLUMN)))
    legend_height = _LEGEND_LINE * math.ceil(len(names) / columns) + 0.2 if len(names) > 1 else 0.0
    head = _FACTS + (_TITLE if title else 0.0)
    height = head + len(systems) * row_height + (len(systems) - 1) * _SYSTEM_GAP + _FOOT + legend_height
    figure = Figure(figsize=(width, height), facecolor="white")

    colours = _voice_colours(sequence, len(names))
    span = max(end - start for start, end in systems)
    top = height - head
    for start, end in systems:
        top -= row_height
        box = (_LEFT / width, top / height, (width - _LEFT - _RIGHT) / width, row_height / height)
        axes = figure.add_axes(box)
        axes.set_xlim(start, start + span)
        axes.set_ylim(bottom, high + 0.5)
        inches_per_step = (width - _LEFT - _RIGHT) / span
        _draw_keyboard(axes, low, high, lanes, row_height / (high + 0.5 - bottom), start, end)
        _draw_time(axes, sequence, start, end, inches_per_step)
        _draw_notes(axes, sequence, start, end, low, lanes, colours[voice], inches_per_step)
        top -= _SYSTEM_GAP
    figure.text(
        (width - _RIGHT) / width, (legend_height + 0.08) / height, _time_label(sequence),
        ha="right", va="bottom", fontsize=7.5, color=_MUTED,
    )  # fmt: skip
    _draw_heading(figure, sequence, title, width, height)
    if legend_height:
        _draw_legend(figure, names, colours, columns, width, height)
    _say_if_empty(figure.axes[0], sequence)
    return figure


def _say_if_empty(axes: Axes, sequence: NoteSequence) -> None:
    """A piece without notes is no picture that failed."""
    if len(sequence) == 0:
        axes.text(0.5, 0.5, "no notes", transform=axes.transAxes, ha="center", va="center", fontsize=14, color=_MUTED)


def page_units(sequence: NoteSequence) -> np.ndarray:
    """Steps at which what a system holds whole begins, bars or seconds, and the end of the last; one at least."""
    if sequence.grid.steps_per_beat is not None:
        bars = sequence.bar_starts()
        # An empty piece still has a bar to show.
        return bars if len(bars) > 1 else np.array([0, max(1, round(float(sequence.grid.steps_per_beat) * 4))])
    assert sequence.grid.steps_per_second is not None
    seconds = np.arange(max(1, math.ceil(sequence.seconds)) + 1)
    return np.unique(np.ceil(seconds * float(sequence.grid.steps_per_second)).astype(np.int64))


def _systems(sequence: NoteSequence) -> tuple[list[tuple[int, int]], float]:
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


def _pitch_range(sequence: NoteSequence) -> tuple[int, int]:
    """Lowest and highest pitch shown, drums apart: those that play and two beyond, an octave and a half at least."""
    pitches = sequence.notes["pitch"][sequence.notes["program"] != DRUMS].astype(int)
    if len(pitches) == 0:
        return (60, 60) if len(sequence) else (53, 79)
    low, high = int(pitches.min()) - 2, int(pitches.max()) + 2
    missing = max(0, 18 - (high - low))
    low, high = low - missing // 2, high + (missing + 1) // 2
    shift = max(0, -low) - max(0, high - 127)
    return max(0, low + shift), min(127, high + shift)


def _drum_lanes(sequence: NoteSequence) -> list[int]:
    """The drum keys that play, lowest first, each a lane."""
    return np.unique(sequence.notes["pitch"][sequence.notes["program"] == DRUMS]).tolist()


_LANE = 2.0  # semitones high


def _lane_height(lanes: list[int]) -> float:
    """What the lanes take beneath the pitches, in semitones, with a gap of one."""
    return len(lanes) * _LANE + 1 if lanes else 0.0


def _lane_bottom(lane: Any, n_lanes: int, low: int) -> Any:
    """The lower edge of a lane (an int, or an array of them) on the pitch axis."""
    return low - 1.5 - (n_lanes - lane) * _LANE


def _colours(programs: list[int]) -> dict[int, str]:
    """A colour for each program: from the palette, or around the wheel where that is too short; drums are slate."""
    melodic = [program for program in programs if program != DRUMS]
    palette: Sequence[str] = _COLOURS
    if len(melodic) > len(palette):
        wheel = [colorsys.hls_to_rgb(at / len(melodic), 0.40 if at % 2 else 0.60, 0.62) for at in range(len(melodic))]
        palette = [f"#{round(r * 255):02x}{round(g * 255):02x}{round(b * 255):02x}" for r, g, b in wheel]
    return {**dict(zip(melodic, palette, strict=False)), **({DRUMS: _DRUM_COLOUR} if DRUMS in programs else {})}


def _voice_colours(sequence: NoteSequence, n_voices: int) -> np.ndarray:
    """The colour of each voice, shape (n_voices, 3), 0..1."""
    from matplotlib.colors import to_rgb

    programs = sequence.programs
    chosen = _colours(programs).values() if len(programs) == n_voices else _COLOURS[:n_voices]
    return np.array([to_rgb(colour) for colour in chosen]).reshape(-1, 3)


def _draw_keyboard(
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
    named = {0: 0.0, 7: 0.024, 4: 0.034}  # pitch class: the height of a semitone from which there is room for it
    ticks = [p for p in range(low, high + 1) if inches_per_semitone >= named.get(p % 12, np.inf)] if melodic else []
    labels = [pitch_name(p) for p in ticks]
    stride = max(1, math.ceil(0.1 / (inches_per_semitone * _LANE)))  # every how many lanes a name fits
    for i in range(0, len(lanes), stride):
        ticks.append(_lane_bottom(i, len(lanes), low) + _LANE / 2)  # type: ignore[arg-type]
        labels.append(DRUM_NAMES.get(lanes[i], f"key {lanes[i]}"))
    axes.set_yticks(ticks, labels, fontsize=7, color=_INK)
    axes.tick_params(axis="y", length=0, pad=3)
    for side in ("top", "right", "left", "bottom"):
        axes.spines[side].set_visible(False)


def _draw_time(axes: Axes, sequence: NoteSequence, start: int, end: int, inches_per_step: float) -> None:
    """Lines for bars and beats, or for seconds; numbers where they fit."""
    if sequence.grid.steps_per_beat is not None:
        bars = sequence.bar_starts()
        if len(bars) < 2:
            bars = np.array([start, end])
        strong = bars[(bars >= start) & (bars <= end)]
        numbers = np.flatnonzero((bars >= start) & (bars < end)) + 1
        labels = [str(number) for number in numbers]
        at = bars[numbers - 1]
        weak = _beats(sequence, bars)
    else:
        assert sequence.grid.steps_per_second is not None
        rate = float(sequence.grid.steps_per_second)
        inches_per_second = rate * inches_per_step
        major = next(n for n in (1, 5, 10, 30, 60, 300, 600, 3600, _FAR) if n * inches_per_second >= 0.45)
        minor = {5: 1, 10: 5, 30: 10, 60: 10, 300: 60, 600: 60, 3600: 600}.get(major, major)
        numbers = np.arange(math.ceil(start / rate), math.floor(end / rate) + 1)
        weak = numbers[numbers % minor == 0] * rate
        numbers = numbers[numbers % major == 0]
        strong = at = numbers * rate
        labels = [f"{second // 60}:{second % 60:02}" for second in numbers]
    weak = weak[(weak >= start) & (weak <= end)]
    keep = list(range(len(labels)))
    if sequence.grid.is_metrical:
        gap = np.diff(at).min(initial=_FAR) * inches_per_step
        stride = next(n for n in (1, 2, 4, 8, 16, 32, 64, 128, 256, _FAR) if n * gap >= 0.3)
        keep = [i for i, number in enumerate(numbers) if (number - 1) % stride == 0]
        if gap < _LEAST_GAP:
            strong = at[keep]
    for lines, colour, linewidth in ((weak, "#e3e6eb", 0.5), (strong, "#a9b1bd", 0.7)):
        gap = np.diff(lines).min(initial=_FAR) * inches_per_step
        if gap >= _LEAST_GAP:
            axes.vlines(lines, *axes.get_ylim(), colors=colour, linewidth=linewidth, zorder=1)
    axes.set_xticks([at[i] for i in keep], [labels[i] for i in keep], fontsize=7, color=_MUTED)
    axes.tick_params(axis="x", length=0, pad=6)


def _beats(sequence: NoteSequence, bars: np.ndarray) -> np.ndarray:
    """Steps of the beats of every bar; a beat is the metre's denominator, or three of it where they go in threes."""
    assert sequence.grid.steps_per_beat is not None
    beats = [bars]
    for at, mark in enumerate(sequence.metres):
        until = sequence.metres["step"][at + 1] if at + 1 < len(sequence.metres) else np.inf
        here = bars[(bars >= mark["step"]) & (bars < until)]
        numerator, denominator = int(mark["numerator"]), int(mark["denominator"])
        compound = denominator >= 8 and numerator % 3 == 0 and numerator > 3
        unit = float(sequence.grid.steps_per_beat) * 4 / denominator * (3 if compound else 1)
        inside = np.arange(1, numerator // 3 if compound else numerator) * unit
        beats.append((here[:, None] + inside[None, :]).reshape(-1))
    return np.unique(np.concatenate(beats))


def _rectangle(left: float, right: float, bottom: float, top: float) -> list[tuple[float, float]]:
    return [(left, bottom), (left, top), (right, top), (right, bottom)]


def _draw_notes(
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
    corners = _note_boxes(notes, start, end, low, lanes, inches_per_step)
    rgba = np.column_stack([colours[here], 0.4 + 0.6 * notes["velocity"] / 127])
    axes.add_collection(PolyCollection(list(corners), facecolors=rgba, linewidths=0, zorder=3, gid="notes"))


def _note_boxes(
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
    x = _LEFT / width
    y = (height - 0.25 - (_TITLE if title else 0.0)) / height
    if title:
        title = " ".join(title.split())
        text = figure.text(
            x, (height - 0.33) / height, title, fontsize=12, fontweight="bold", color=_INK, parse_math=False,
            va="baseline",
        )  # fmt: skip
        _shorten(text, (width - _LEFT - _RIGHT) * figure.dpi)
    figure.text(x, y, "  ·  ".join(facts(sequence)), fontsize=8, color=_MUTED, va="baseline")


def _shorten(text: Text, room: float) -> None:
    """Cut a text at its end until it is `room` pixels wide."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure = text.get_figure()
    assert figure is not None
    renderer = FigureCanvasAgg(figure).get_renderer()
    whole = text.get_text()
    kept = len(whole)
    with _missing_glyphs_allowed():
        while kept and (wide := text.get_window_extent(renderer).width) > room:
            kept = min(kept - 1, int(kept * room / wide))
            text.set_text(whole[:kept].rstrip() + "…")


@contextlib.contextmanager
def _missing_glyphs_allowed() -> Iterator[None]:
    """No warning about a title in a script that the font lacks."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        yield


def _draw_legend(
    figure: Figure, names: Sequence[str], colours: np.ndarray, columns: int, width: float, height: float
) -> None:
    """A square and a name for each voice, in rows at the foot of the page."""
    from matplotlib.patches import Rectangle

    rows = math.ceil(len(names) / columns)
    column = (width - _LEFT - _RIGHT) / columns if columns > 1 else width
    column = min(column, _LEGEND_COLUMN + 0.6)
    for at, (name, colour) in enumerate(zip(names, colours, strict=True)):
        x = _LEFT + (at % columns) * column
        y = 0.12 + (rows - 1 - at // columns) * _LEGEND_LINE
        figure.add_artist(
            Rectangle((x / width, y / height), 0.13 / width, 0.11 / height, facecolor=colour, linewidth=0,
                      transform=figure.transFigure)
        )  # fmt: skip
        figure.text((x + 0.19) / width, y / height, name, fontsize=8, color=_INK, va="baseline", gid="legend")


# ---- training curves ------------------------------------------------------------------------------------------


def training_figure(history: Sequence[dict[str, Any]]) -> Figure:
    """The matplotlib Figure that `training_curves` saves."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), facecolor="white")
    axes = figure.add_axes((0.1, 0.13, 0.87, 0.73))
    train = _curve(history, "train_nats_per_note")
    validation = _curve(history, "validation_nats_per_note")
    for curve, label, colour, style in (
        (train, "training", "#9db4d0", {"linewidth": 1.2}),
        (validation, "held out", "#2a6fbb", {"linewidth": 2.0, "marker": "o", "markersize": 3}),
    ):
        if len(curve):
            axes.plot(curve[:, 0], curve[:, 1], label=label, color=colour, **style)
    if len(train) or len(validation):
        axes.set_ylim(*_nats_range(train, validation))
        axes.set_xlim(left=0)
    else:
        axes.text(0.5, 0.5, "nothing trained yet", transform=axes.transAxes, ha="center", color=_MUTED, fontsize=14)
    if len(validation):
        minutes, best, step = validation[int(validation[:, 1].argmin())]
        axes.axhline(best, color="#d1495b", linewidth=0.7, linestyle=(0, (4, 4)), zorder=1)
        axes.plot(
            [minutes], [best], "o", color="#d1495b", markersize=7, zorder=5, gid="best",
            label=f"best: {best:.3f} at {minutes:.1f} min (step {step:,.0f})",
        )  # fmt: skip
    _curves_heading(axes)
    axes.set_xlabel("minutes of training", color=_INK)
    axes.set_ylabel("nats per note", color=_INK)
    axes.grid(axis="y", color="#e3e6eb", linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return figure


def _curves_heading(axes: Axes) -> None:
    """What the curves are, above them, where none of them runs: a title and a row of labels."""
    axes.set_title("Likelihood while training (lower is better)", loc="left", fontsize=11, color=_INK, pad=24)
    if axes.lines:
        axes.legend(
            loc="lower left", bbox_to_anchor=(0, 1), ncols=3, frameon=False, fontsize=9, borderpad=0.2,
            borderaxespad=0.3, handlelength=1.6, columnspacing=1.6, labelcolor=_INK,
        )  # fmt: skip


def _curve(history: Sequence[dict[str, Any]], key: str) -> np.ndarray:
    """Rows (minutes, value, step) of the history that have a finite value, shape (n, 3)."""
    rows = [(row["minutes"], row[key], row["step"]) for row in history if row.get(key) is not None]
    return np.array([row for row in rows if math.isfinite(row[1])], float).reshape(-1, 3)


def _nats_range(*found: np.ndarray) -> tuple[float, float]:
    """Limits that show the later part of the run well: the plunge of the first tenth may leave at the top."""
    curves = [curve for curve in found if len(curve)]
    start = 0.1 * max(curve[-1, 0] for curve in curves)
    late = np.concatenate([curve[curve[:, 0] >= start, 1] for curve in curves])
    low, high = float(late.min()), float(late.max())
    margin = max(0.08 * (high - low), 0.02 * abs(high), 1e-3)
    return low - margin, high + 2 * margin


# ---- models compared -------------------------------------------------------------------------------------------


def comparison_figure(models: Sequence[dict[str, Any]]) -> Figure:
    """The matplotlib Figure that `comparison` saves."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.5), facecolor="white")
    axes = figure.add_axes((0.07, 0.13, 0.5, 0.73))
    curves = []
    for model, colour in zip(models, _COLOURS, strict=False):
        curve = np.array(model["history"], float).reshape(-1, 2)
        if len(curve):
            axes.plot(curve[:, 0], curve[:, 1], label=model["label"], color=colour, marker="o", markersize=3)
            curves.append(curve)
    if curves:
        axes.set_ylim(*_nats_range(*curves))
        axes.set_xlim(left=0)
    _curves_heading(axes)
    axes.set_xlabel("minutes of training", color=_INK)
    axes.set_ylabel("nats per note, held out", color=_INK)
    axes.grid(axis="y", color="#e3e6eb", linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for row, (key, scale, form, title) in enumerate(_MEASURED):
        _draw_bars(figure.add_axes((0.7, 0.75 - 0.225 * row, 0.22, 0.14)), models, key, scale, form, title)
    return figure


# What is drawn as bars: the key, what its unit is divided by, how the number is written, the heading.
_MEASURED = (
    ("nats_per_note", 1, ".3f", "nats per note, held out (lower is better)"),
    ("training_notes_per_second", 1, ",.0f", "notes a second in training (higher is better)"),
    ("sampling_us_per_note", 1, ",.0f", "microseconds to compose a note (lower is better)"),
    ("memory_bytes", 1 << 20, ",.0f", "MiB of memory in training (lower is better)"),
)


def _draw_bars(axes: Axes, models: Sequence[dict[str, Any]], key: str, scale: float, form: str, title: str) -> None:
    """A bar for each model, its number beside it."""
    values = [(model[key] or 0) / scale for model in models]
    bars = axes.barh(range(len(models)), values, color=_COLOURS[: len(models)], height=0.7)
    labels = [format(v, form) if model[key] else "unknown" for v, model in zip(values, models, strict=True)]
    axes.bar_label(bars, labels, padding=3, fontsize=7.5, color=_INK)
    axes.set_yticks(range(len(models)), [model["label"] for model in models])
    axes.invert_yaxis()
    axes.set_xticks([])
    axes.set_xlim(0, 1.25 * max(values) or 1)
    axes.set_title(title, loc="left", fontsize=8, color=_MUTED)
    _plain(axes)
    axes.spines["bottom"].set_visible(False)


# ---- two sets of pieces ----------------------------------------------------------------------------------------

# Told apart without colour too: by dashes, and by hatching.
_REAL, _GENERATED, _BETWEEN = "#0072b2", "#d55e00", "#3b3f46"
_SPREAD = (
    ("within_real", "real", _REAL, "solid"),
    ("within_generated", "generated", _GENERATED, (0, (5, 2))),
    ("between", "real to generated", _BETWEEN, (0, (1, 1.4))),
)


def style_figure(comparison: Comparison, grid: Grid) -> Figure:
    """A feature of two sets of pieces: on the left how far pieces are apart, on the right what the sets are like.

    Left, the densities of the distances within each set and between them, by Gaussian kernels; a set whose distances
    are all the same is an upright line. Right, the values of a single figure, or the mean histogram or transition
    matrices.

    Parameters
    ----------
    comparison : Comparison
        At least two pieces in each set have the feature.
    grid : Grid
        Names the units.

    Returns
    -------
    matplotlib Figure
        8.6 inches wide; `picture` turns it into bytes.
    """
    from matplotlib.figure import Figure

    feature = comparison.feature
    matrices = feature.kind == "transitions"
    width, height = 8.6, 3.1
    figure = Figure(figsize=(width, height), facecolor="white")

    def place(left: float, bottom: float, wide: float, high: float) -> Axes:
        return figure.add_axes((left / width, bottom / height, wide / width, high / height))

    figure.text(0.15 / width, (height - 0.3) / height, feature.label, fontsize=11, fontweight="bold", color=_INK)
    _draw_distances(place(0.2, 0.5, 3.0, 2.0), comparison, feature.unit_on(grid))
    names = feature.classes(grid)
    if matrices:
        shared = max(float(values.mean(axis=0).max()) for values in (comparison.real, comparison.generated))
        axes = [place(3.85, 0.5, 1.9, 1.9), place(6.1, 0.5, 1.9, 1.9)]
        for panel, values, title in zip(
            axes, (comparison.real, comparison.generated), ("real", "generated"), strict=True
        ):
            image = _draw_matrix(panel, values.mean(axis=0), names, shared)
            panel.set_title(title, fontsize=8, color=_INK, pad=4)
        axes[0].set_ylabel("from", fontsize=7.5, color=_MUTED, labelpad=1)
        axes[1].set_yticks([])
        ticks = np.linspace(0, 1, 5) ** 2 * shared  # equally far apart on a scale of roots
        bar = figure.colorbar(image, cax=place(8.07, 0.5, 0.1, 1.9))
        bar.set_ticks(ticks.tolist(), labels=[f"{tick:.2g}" for tick in ticks])
        bar.ax.tick_params(labelsize=6, colors=_MUTED, length=2, pad=1)
        bar.outline.set_visible(False)
    else:
        panel = place(3.95, 0.5, 4.45, 2.0)
        if feature.kind == "histogram":
            _draw_histograms(panel, comparison, names)
        else:
            _draw_values(panel, comparison, feature.unit_on(grid))
    return figure


def _plain(axes: Axes) -> None:
    """Axes with a line below alone."""
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color("#a9b1bd")
    axes.tick_params(labelsize=7, colors=_MUTED, length=2)


def _draw_distances(axes: Axes, comparison: Comparison, unit: str) -> None:
    """Densities of the three kinds of distances, a legend above them."""
    samples = [(getattr(comparison, name), *look) for name, *look in _SPREAD]
    for sample, label, colour, dashes in samples:
        alone = Densities.of(sample, sample)
        if alone.step:
            shown = alone.grid >= 0
            axes.plot(alone.grid[shown], alone.first[shown], color=colour, linestyle=dashes, linewidth=1.6, label=label)
        else:
            axes.axvline(alone.grid[0], color=colour, linestyle=dashes, linewidth=1.6, label=label)
    # a few pieces far away from all others would press the rest against the edge
    far = max(float(np.quantile(sample, 0.995)) for sample, *_ in samples)
    axes.set_xlim(-0.03 * (far or 1.0), 1.1 * (far or 1.0))
    axes.set_ylim(bottom=0)
    axes.set_yticks([])
    _plain(axes)
    axes.locator_params(axis="x", nbins=6)
    axes.set_xlabel("distance between two pieces" + (f", {unit}" if unit else ""), fontsize=7.5, color=_MUTED)
    axes.legend(
        loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=3, frameon=False, fontsize=7.5, handlelength=2.2,
        columnspacing=1.2, borderaxespad=0.1, labelcolor=_INK,
    )  # fmt: skip


def _draw_histograms(axes: Axes, comparison: Comparison, names: Sequence[str]) -> None:
    """The mean histograms side by side, class by class."""
    at = np.arange(len(names))
    axes.bar(at - 0.2, comparison.real.mean(axis=0), 0.4, color=_REAL, label="real")
    axes.bar(
        at + 0.2, comparison.generated.mean(axis=0), 0.4, facecolor="white", edgecolor=_GENERATED, hatch="/////",
        linewidth=0.8, label="generated",
    )  # fmt: skip
    every = 1 if len(names) <= 13 else 3
    first = len(names) // 2 % every
    axes.set_xticks(at[first::every], list(names)[first::every])
    _plain(axes)
    axes.tick_params(axis="x", length=0, labelsize=6 if max(map(len, names)) > 5 else 7)
    axes.set_ylabel("mean share", fontsize=7.5, color=_MUTED, labelpad=2)
    _legend_above(axes)


def _draw_values(axes: Axes, comparison: Comparison, unit: str) -> None:
    """How many of the pieces of each set have which value."""
    values = [comparison.real[:, 0], comparison.generated[:, 0]]
    low, high = min(map(np.min, values)), max(map(np.max, values))
    if high - low < 1e-9:
        low, high = low - 0.5, high + 0.5
    edges = np.linspace(low, high, 21)
    real, generated = (np.histogram(v, edges)[0] / len(v) for v in values)
    axes.bar(edges[:-1], real, np.diff(edges), align="edge", color=_REAL, alpha=0.55, linewidth=0, label="real")
    axes.stairs(generated, edges, color=_GENERATED, linewidth=1.6, linestyle=(0, (5, 2)), label="generated")
    axes.set_xlim(low - 0.02 * (high - low), high + 0.02 * (high - low))
    axes.set_ylim(bottom=0)
    _plain(axes)
    axes.locator_params(axis="x", nbins=6)
    axes.set_xlabel(unit, fontsize=7.5, color=_MUTED)
    axes.set_ylabel("share of the pieces", fontsize=7.5, color=_MUTED, labelpad=2)
    _legend_above(axes)


def _legend_above(axes: Axes) -> None:
    """The legend, right above the axes, real before generated."""
    handles, labels = axes.get_legend_handles_labels()
    shown = sorted(zip(labels, handles, strict=True), key=lambda entry: entry[0], reverse=True)
    axes.legend(
        [handle for _, handle in shown], [label for label, _ in shown],
        loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, frameon=False, fontsize=7.5, borderaxespad=0.1,
        labelcolor=_INK,
    )  # fmt: skip


def _draw_matrix(axes: Axes, shares: np.ndarray, names: Sequence[str], highest: float) -> Any:
    """A transition matrix as squares, darker for more; the root of the share, so that rare ones show."""
    from matplotlib.colors import PowerNorm

    n = len(names)
    norm = PowerNorm(0.5, vmin=0, vmax=highest)
    image = axes.imshow(shares.reshape(n, n), cmap="Blues", norm=norm, aspect="auto", interpolation="nearest")
    axes.set_xticks(range(n), list(names), fontsize=5.5, rotation=90)
    axes.set_yticks(range(n), list(names), fontsize=5.5)
    axes.tick_params(length=0, pad=2, colors=_MUTED)
    for side in axes.spines.values():
        side.set_color("#a9b1bd")
    axes.set_xlabel("to", fontsize=7.5, color=_MUTED, labelpad=1)
    return image


# ---- what a model hears ---------------------------------------------------------------------------------------

_FIELD_COLOURS = {
    "shift": "#2a6fbb", "program": "#7b5ea7", "pitch": "#d1495b", "duration": "#3f9b5b", "velocity": "#e08a1e",
}  # fmt: skip
_CALM_TO_SURPRISED = ("#b4c6de", "#e0a030", "#96101f")
_STRIP_WIDTH = 10.0
_STRIP_RIGHT = 0.7  # margin, for figures beside the rows
_STRIP_GAP = 0.27  # above a strip, for its name
_NUMBERS = 0.16  # more above the first one, for the numbers of the bars
_UNIT_ROW = 0.115
_ASPECT_AXES = {
    "beat": "quarter notes from the start of the beat",
    "bar": "quarter notes from the start of the bar",
    "phrase": "bar of the phrase",
    "key": "pitch class",
}


def _strip_page(
    sequence: NoteSequence, heights: Sequence[float], title: str
) -> tuple[Figure, list[tuple[Axes, list[Axes], int, int]]]:
    """A page of systems, each a piano roll without notes and, beneath it, empty strips of these heights in inches.

    Returns the figure and, for each system, the roll, the strips, and its first and end step.
    """
    from matplotlib.figure import Figure

    systems, _ = _systems(sequence)
    lanes = _drum_lanes(sequence)
    low, high = _pitch_range(sequence)
    bottom = low - 0.5 - _lane_height(lanes)
    roll_height = float(np.clip(0.042 * (high - bottom), 1.0, 1.9))
    width, head = _STRIP_WIDTH, 0.75
    below = sum(heights) + len(heights) * _STRIP_GAP + _NUMBERS
    height = head + len(systems) * (roll_height + below) + (len(systems) - 1) * _SYSTEM_GAP + 0.2
    figure = Figure(figsize=(width, height), facecolor="white")
    span = max(end - start for start, end in systems)
    inner = width - _LEFT - _STRIP_RIGHT
    top, found = height - head, []
    for start, end in systems:
        top -= roll_height
        boxes = [(_LEFT / width, top / height, inner / width, roll_height / height)]
        top -= _NUMBERS
        for tall in heights:
            top -= _STRIP_GAP + tall
            boxes.append((_LEFT / width, top / height, inner / width, tall / height))
        top -= _SYSTEM_GAP
        roll, *strips = (figure.add_axes(box) for box in boxes)
        for axes in (roll, *strips):
            axes.set_xlim(start, start + span)
        roll.set_ylim(bottom, high + 0.5)
        _draw_keyboard(roll, low, high, lanes, roll_height / (high + 0.5 - bottom), start, end)
        _draw_time(roll, sequence, start, end, inner / span)
        found.append((roll, strips, start, end))
    _shorten(
        figure.text(
            _LEFT / width, (height - 0.3) / height, " ".join(title.split()), fontsize=11, fontweight="bold",
            color=_INK, parse_math=False,
        ),
        (width - _LEFT - _RIGHT) * figure.dpi,
    )  # fmt: skip
    return figure, found


def _scale(figure: Figure, mappable: Any, label: str) -> None:
    """A scale of colours at the head of a strip page, right, its label to its left."""
    width, height = figure.get_size_inches()
    x = width - _STRIP_RIGHT - 1.6
    axes = figure.add_axes((x / width, (height - 0.58) / height, 1.6 / width, 0.1 / height))
    bar = figure.colorbar(mappable, cax=axes, orientation="horizontal")
    bar.outline.set_visible(False)  # type: ignore[operator]
    axes.locator_params(axis="x", nbins=5)
    axes.tick_params(labelsize=6.5, colors=_MUTED, length=2, pad=1)
    figure.text((x - 0.1) / width, (height - 0.58) / height, label, fontsize=7.5, color=_MUTED, ha="right")


def _strip_name(axes: Axes, name: str) -> None:
    """What a strip shows, above it at the left."""
    axes.set_title(name, loc="left", fontsize=7.5, color=_MUTED, pad=3)


def surprise_figure(sequence: NoteSequence, nats: np.ndarray, fields: Sequence[str], title: str) -> Figure:
    """A piece with the surprise of each note: notes coloured by it, and beneath them bars of it, field by field.

    Parameters
    ----------
    sequence : NoteSequence
    nats : array, shape (n_notes, n_fields)
        Not negative. A chord's notes add up in the bars.
    fields : names, as in `events.FIELDS`, one for each column
    title : str

    Returns
    -------
    matplotlib Figure
        10 inches wide; `picture` turns it into bytes.
    """
    from matplotlib.cm import ScalarMappable
    from matplotlib.collections import PolyCollection
    from matplotlib.colors import LinearSegmentedColormap, Normalize
    from matplotlib.patches import Patch

    figure, systems = _strip_page(sequence, [0.9], title)
    lanes, (low, _) = _drum_lanes(sequence), _pitch_range(sequence)
    notes = sequence.notes
    onsets, chord = np.unique(notes["onset"], return_inverse=True)
    heights = np.zeros((len(onsets), len(fields)))
    np.add.at(heights, chord.reshape(-1), nats)
    total = nats.sum(1)
    norm = Normalize(0, max(2.0, float(np.quantile(total, 0.98)) if len(total) else 0.0))
    colours = LinearSegmentedColormap.from_list("surprise", _CALM_TO_SURPRISED)
    highest = max(1.0, 1.05 * float(heights.sum(1).max(initial=0.0)))
    for roll, (strip,), start, end in systems:
        span = roll.get_xlim()[1] - start
        inches_per_step = (_STRIP_WIDTH - _LEFT - _STRIP_RIGHT) / span
        here = (notes["onset"] < end) & (notes["onset"] + notes["duration"] > start)
        boxes = _note_boxes(notes[here], start, end, low, lanes, inches_per_step)
        roll.add_collection(
            PolyCollection(list(boxes), facecolors=colours(norm(total[here])), linewidths=0, zorder=3, gid="notes")
        )
        inside = (onsets >= start) & (onsets < end)
        gap = float(np.diff(onsets).min(initial=_FAR)) * inches_per_step
        wide = float(np.clip(0.8 * gap, 0.02, 0.08)) / inches_per_step
        base = np.zeros(int(inside.sum()))
        for column, field in enumerate(fields):
            strip.bar(
                onsets[inside], heights[inside, column], wide, base, align="edge", color=_FIELD_COLOURS[field],
                linewidth=0,
            )  # fmt: skip
            base = base + heights[inside, column]
        strip.set_ylim(0, highest)
        _plain(strip)
        strip.spines["bottom"].set_bounds(start, end)
        strip.set_xticks([])
        strip.locator_params(axis="y", nbins=4)
        strip.set_ylabel("nats", fontsize=7.5, color=_MUTED)
        strip.vlines(roll.get_xticks(), 0, highest, colors="#d5dae1", linewidth=0.5, zorder=0)
    _scale(figure, ScalarMappable(norm, colours), "nats of a note")
    _say_if_empty(systems[0][0], sequence)
    width, height = figure.get_size_inches()
    figure.legend(
        [Patch(color=_FIELD_COLOURS[field]) for field in fields], list(fields), loc="lower left",
        bbox_to_anchor=(_LEFT / width, (height - 0.66) / height), ncols=len(fields),
        frameon=False, fontsize=7.5, borderpad=0, borderaxespad=0, handlelength=1, columnspacing=1.2, labelcolor=_INK,
    )  # fmt: skip
    return figure


def gates_figure(
    sequence: NoteSequence, gates: Sequence[tuple[str, np.ndarray]], rows: Sequence[tuple[str, str]], title: str
) -> Figure:
    """A piece and, beneath it, gates of some units as each note is heard: one row a unit, one column a note.

    A chord's notes share the time to the next onset, in the order in which they are heard.

    Parameters
    ----------
    sequence : NoteSequence
    gates : sequence of (what it is, array of shape (n_notes, n_rows), 0..1)
    rows : for each row what stands to its left, and to its right
    title : str

    Returns
    -------
    matplotlib Figure
        10 inches wide.
    """
    from matplotlib.cm import ScalarMappable

    tall = max(_UNIT_ROW * len(rows), 0.3)
    figure, systems = _strip_page(sequence, [tall] * len(gates), title)
    lanes, (low, _) = _drum_lanes(sequence), _pitch_range(sequence)
    onset = sequence.notes["onset"]
    voice, names = voices(sequence)
    colours = _voice_colours(sequence, len(names))[voice]
    for roll, strips, start, end in systems:
        span = roll.get_xlim()[1] - start
        inches_per_step = (_STRIP_WIDTH - _LEFT - _STRIP_RIGHT) / span
        _draw_notes(roll, sequence, start, end, low, lanes, colours, inches_per_step)
        first, last = np.searchsorted(onset, [start, end])
        columns = _columns(onset[first:last].astype(float), float(end))
        for axes, (name, values) in zip(strips, gates, strict=True):
            if last > first:
                axes.pcolormesh(
                    columns, np.arange(len(rows) + 1), values[first:last].T, vmin=0, vmax=1, cmap="viridis",
                    rasterized=True,
                )  # fmt: skip
            axes.set_ylim(len(rows), 0)
            at = np.arange(len(rows)) + 0.5
            axes.set_yticks(at, [left for left, _ in rows], fontsize=6)
            axes.set_xticks([])
            axes.tick_params(length=0, pad=3, colors=_INK)
            for row, (_, right) in zip(at, rows, strict=True):
                axes.text(end + span * 0.005, row, right, fontsize=6, color=_MUTED, va="center", clip_on=False)
            for side in axes.spines.values():
                side.set_visible(False)
            axes.vlines(roll.get_xticks(), 0, len(rows), colors="white", linewidth=0.6)
            _strip_name(axes, name)
    _scale(figure, ScalarMappable(cmap="viridis"), "gate: 0 shut, 1 open")
    return figure


def _columns(onset: np.ndarray, end: float) -> np.ndarray:
    """Edges of a column for each note, shape (n + 1,): the notes of an onset share the time to the next one evenly."""
    if len(onset) == 0:
        return np.array([end])
    starts, index, count = np.unique(onset, return_inverse=True, return_counts=True)
    until = np.append(starts[1:], end)
    place = np.arange(len(onset)) - (np.cumsum(count) - count)[index.reshape(-1)]
    share = ((until - starts) / count)[index.reshape(-1)]
    return np.append(onset + place * share, end)


def memory_figure(
    half_life: np.ndarray, unit: str, marks: Sequence[tuple[float, str]], forgetting: np.ndarray
) -> Figure:
    """How long units remember, layer by layer, and what a memory costs that begins later.

    Parameters
    ----------
    half_life : array, shape (layers, units)
        In `unit`; infinite ones count at the right edge.
    unit : "beats" or "seconds"
    marks : (place, name) of upright lines
    forgetting : array, shape (n,): nats per note more with a memory of the last 1, 2, ... n notes

    Returns
    -------
    matplotlib Figure
        8.6 inches wide.
    """
    from matplotlib.figure import Figure

    layers = len(half_life)
    width, height = 8.6, max(2.3, 0.75 + 1.1 * layers)
    figure = Figure(figsize=(width, height), facecolor="white")
    finite = half_life[np.isfinite(half_life) & (half_life > 0)]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.1, 1.0)
    low, high = low / 1.2, high * 1.2
    shown = [(at, name) for at, name in marks if low < at < high]
    edges = np.geomspace(low, high, 41)
    each = (height - 0.95) / layers
    for layer, values in enumerate(half_life):
        bottom = height - 0.4 - each * (layer + 1) + 0.12
        axes = figure.add_axes((0.75 / width, bottom / height, 4.1 / width, (each - 0.22) / height))
        axes.hist(np.clip(values, low, high), edges.tolist(), color=_COLOURS[layer % len(_COLOURS)], linewidth=0)
        middle = float(np.median(values))
        if low < middle < high:
            axes.axvline(middle, color=_INK, linewidth=1.2)
        axes.set_xscale("log")
        axes.set_xlim(low, high)
        for at, _ in shown:
            axes.axvline(at, color="#a9b1bd", linewidth=0.8, linestyle=(0, (3, 2)), zorder=0)
        _plain(axes)
        axes.locator_params(axis="y", nbins=3)
        axes.set_ylabel(f"layer {layer}", fontsize=7.5, color=_MUTED)
        axes.text(
            0.99, 0.8, f"median {middle:.2f}", transform=axes.transAxes, ha="right", fontsize=7.5, color=_INK,
            bbox={"facecolor": "white", "linewidth": 0, "pad": 1.5},
        )  # fmt: skip
        if layer == 0:
            for at, name in shown:
                axes.text(at, 1.02, name, transform=axes.get_xaxis_transform(), ha="center", fontsize=6.5, color=_MUTED)
        if layer < layers - 1:
            axes.tick_params(axis="x", which="both", labelbottom=False, length=0)
        else:
            _plain_log(axes)
            axes.set_xlabel(f"half-life of a unit, {unit}", fontsize=7.5, color=_MUTED)
    figure.text(0.15 / width, (height - 0.17) / height, "Units", fontsize=9, fontweight="bold", color=_INK)
    figure.text(5.2 / width, (height - 0.17) / height, "The whole", fontsize=9, fontweight="bold", color=_INK)
    axes = figure.add_axes((5.65 / width, 0.55 / height, 2.75 / width, (height - 0.95) / height))
    axes.plot(np.arange(1, len(forgetting) + 1), forgetting, color=_COLOURS[0], linewidth=1.6)
    axes.axhline(0, color="#a9b1bd", linewidth=0.8)
    axes.set_xlim(1, max(2, len(forgetting)))
    _plain(axes)
    axes.set_xlabel("notes in the memory", fontsize=7.5, color=_MUTED)
    axes.set_ylabel("nats per note more", fontsize=7.5, color=_MUTED, labelpad=2)
    return figure


def _plain_log(axes: Axes) -> None:
    """Ticks of a logarithmic axis as plain numbers: 0.1, 0.2, 0.5, 1."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axes.xaxis.set_major_locator(LogLocator(10, (1, 2, 5)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def following_figure(half_life: np.ndarray, unit: str, following: dict[str, tuple[np.ndarray, float]]) -> Figure:
    """Which units follow what: the score of each against its half-life, and what is needed.

    Parameters
    ----------
    half_life : array, shape (layers, units)
        In `unit`.
    unit : "beats" or "seconds"
    following : aspect -> (scores of shape (layers, units), the score that is needed to be said to follow)

    Returns
    -------
    matplotlib Figure
        8.6 inches wide.
    """
    from matplotlib.figure import Figure

    columns, rows = min(2, len(following)), math.ceil(len(following) / 2)
    width, height = 8.6, 2.45 * rows + 0.25
    wide = 3.55 if columns > 1 else 7.8
    figure = Figure(figsize=(width, height), facecolor="white")
    finite = half_life[np.isfinite(half_life) & (half_life > 0)]
    low, high = (float(finite.min()) / 1.2, float(finite.max()) * 1.2) if len(finite) else (0.1, 1.0)
    for at, (aspect, (scores, needed)) in enumerate(following.items()):
        left, bottom = 0.6 + 4.25 * (at % columns), height - 2.45 * (at // columns + 1) + 0.25
        axes = figure.add_axes((left / width, bottom / height, wide / width, 1.7 / height))
        for layer in range(len(scores)):
            axes.plot(
                np.clip(half_life[layer], low, high), scores[layer], "o", color=_COLOURS[layer % len(_COLOURS)],
                markersize=2.6, markeredgewidth=0, alpha=0.75, label=f"layer {layer}",
            )  # fmt: skip
        axes.axhline(needed, color=_INK, linewidth=0.9, linestyle=(0, (4, 2)), label="needed")
        axes.set_xscale("log")
        axes.set_xlim(low, high)
        axes.set_ylim(0, 1.1 * max(needed, float(scores.max())))
        _plain(axes)
        _plain_log(axes)
        axes.locator_params(axis="y", nbins=5)
        n = int((scores > needed).sum())
        text = f"{aspect}: {n:,} of {scores.size:,} units"
        axes.set_title(text, loc="left", fontsize=9, fontweight="bold", color=_INK, pad=5)
        axes.set_ylabel("score", fontsize=7.5, color=_MUTED, labelpad=2)
        axes.set_xlabel(f"half-life, {unit}", fontsize=7.5, color=_MUTED, labelpad=1)
        if at == 0:
            handles, labels = axes.get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="upper right", bbox_to_anchor=(1 - 0.2 / width, 1 - 0.02 / height), ncols=len(labels),
        frameon=False, fontsize=7.5, handlelength=1.6, columnspacing=1.2, borderpad=0.2, labelcolor=_INK,
    )  # fmt: skip
    return figure


def profiles_figure(profiles: Sequence[tuple[str, str, np.ndarray, np.ndarray, np.ndarray]]) -> Figure:
    """What units do at each place of what they follow: means, and the standard deviation as a lighter band.

    Parameters
    ----------
    profiles : sequence of (aspect, title, places, means, deviations)
        No places: nothing to show, and the panel says so.

    Returns
    -------
    matplotlib Figure
        8.6 inches wide.
    """
    from matplotlib.figure import Figure

    columns, rows = min(2, len(profiles)), math.ceil(len(profiles) / 2)
    width, height = 8.6, 2.3 * rows + 0.05
    wide = 3.55 if columns > 1 else 7.8
    figure = Figure(figsize=(width, height), facecolor="white")
    for index, (aspect, title, at, mean, deviation) in enumerate(profiles):
        left, bottom = 0.6 + 4.25 * (index % columns), height - 2.3 * (index // columns + 1) + 0.45
        axes = figure.add_axes((left / width, bottom / height, wide / width, 1.5 / height))
        axes.set_title(title, loc="left", fontsize=9, fontweight="bold", color=_INK, pad=5)
        _plain(axes)
        if len(at) == 0:
            axes.set_xticks([])
            axes.set_yticks([])
            axes.text(
                0.5, 0.5, "no unit follows", transform=axes.transAxes, ha="center", fontsize=8.5,
                color=_MUTED,
            )  # fmt: skip
            continue
        gap = float(np.diff(at).min(initial=1.0))
        axes.bar(at, 2 * deviation, 0.8 * gap, mean - deviation, color="#dbe4f0", linewidth=0, zorder=1)
        if aspect == "key":
            axes.bar(at, mean, 0.6 * gap, color=_COLOURS[0], linewidth=0, zorder=2)
            axes.set_xticks(at, PITCH_CLASSES)
        else:
            axes.hlines(mean, at - 0.4 * gap, at + 0.4 * gap, colors=_COLOURS[0], linewidth=2, zorder=2)
            apart = len(at) <= 9 and gap > 0.1 * np.ptp(at)  # room for each label
            ticks = at if apart else np.arange(0, at.max() + 0.01, 1 if at.max() >= 2 else 0.5)
            axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.use_sticky_edges = False
        axes.margins(x=0.02, y=0.08)
        axes.axhline(0, color="#a9b1bd", linewidth=0.6, zorder=0)
        axes.set_xlabel(_ASPECT_AXES[aspect], fontsize=7.5, color=_MUTED, labelpad=2)
        axes.set_ylabel("correlation" if aspect == "key" else "output", fontsize=7.5, color=_MUTED, labelpad=2)
        axes.locator_params(axis="y", nbins=4)
    return figure


# ---- files ----------------------------------------------------------------------------------------------------


def picture(figure: Figure, suffix: str) -> bytes:
    """A figure as the bytes of a `.png` or `.svg` file: the same bytes for the same figure."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    # Without these, files carry the date or the library's version, and SVG's ids are random.
    metadata = {"Date": None, "Creator": None} if suffix == ".svg" else {"Software": None}
    FigureCanvasAgg(figure)
    stream = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "melodygru"}), _missing_glyphs_allowed():
        figure.savefig(stream, format=suffix[1:], dpi=_DPI, metadata=metadata)
    return stream.getvalue()


def _save(figure: Figure, path: Path) -> None:
    """Draw a figure into a file, written aside and renamed."""
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in (".png", ".svg"):
        raise SettingError(f"picture {path.name}: expected a name that ends in .png or .svg")
    drawn = picture(figure, suffix)
    with atomic_write(path, SettingError) as aside:
        aside.write_bytes(drawn)
