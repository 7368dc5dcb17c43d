"""Pictures of what a model does with a piece: surprise, gates, memory, and which units follow what."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from melodygru.music.names import PITCH_CLASSES
from melodygru.music.notes import NoteSequence
from melodygru.music.voices import voices
from melodygru.render.pictures.roll import (
    FAR,
    LEFT,
    RIGHT,
    SYSTEM_GAP,
    cut_into_systems,
    draw_keyboard,
    draw_notes,
    draw_time,
    drum_lanes,
    lane_height,
    note_boxes,
    pitch_range,
    say_if_empty,
    voice_colours,
)
from melodygru.render.pictures.style import COLOURS, INK, MUTED, drawing, plain, plain_log, shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


_FIELD_COLOURS = {
    "shift": "#2a6fbb", "part": "#7b5ea7", "pitch": "#d1495b", "duration": "#3f9b5b", "velocity": "#e08a1e",
}  # fmt: skip
_CALM_TO_SURPRISED = ("#b4c6de", "#e0a030", "#96101f")
_STRIP_WIDTH = 10.0
_STRIP_RIGHT = 0.7  # margin, for numbers beside the rows
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

    systems, _ = cut_into_systems(sequence)
    lanes = drum_lanes(sequence)
    low, high = pitch_range(sequence)
    bottom = low - 0.5 - lane_height(lanes)
    roll_height = float(np.clip(0.042 * (high - bottom), 1.0, 1.9))
    width, head = _STRIP_WIDTH, 0.75
    below = sum(heights) + len(heights) * _STRIP_GAP + _NUMBERS
    height = head + len(systems) * (roll_height + below) + (len(systems) - 1) * SYSTEM_GAP + 0.2
    figure = Figure(figsize=(width, height), facecolor="white")
    span = max(end - start for start, end in systems)
    inner = width - LEFT - _STRIP_RIGHT
    top, found = height - head, []
    for start, end in systems:
        top -= roll_height
        boxes = [(LEFT / width, top / height, inner / width, roll_height / height)]
        top -= _NUMBERS
        for tall in heights:
            top -= _STRIP_GAP + tall
            boxes.append((LEFT / width, top / height, inner / width, tall / height))
        top -= SYSTEM_GAP
        roll, *strips = (figure.add_axes(box) for box in boxes)
        for axes in (roll, *strips):
            axes.set_xlim(start, start + span)
        roll.set_ylim(bottom, high + 0.5)
        draw_keyboard(roll, low, high, lanes, roll_height / (high + 0.5 - bottom), start, end)
        draw_time(roll, sequence, start, end, inner / span)
        found.append((roll, strips, start, end))
    shorten(
        figure.text(
            LEFT / width, (height - 0.3) / height, " ".join(title.split()), fontsize=11, fontweight="bold",
            color=INK, parse_math=False,
        ),
        (width - LEFT - RIGHT) * figure.dpi,
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
    axes.tick_params(labelsize=6.5, colors=MUTED, length=2, pad=1)
    figure.text((x - 0.1) / width, (height - 0.58) / height, label, fontsize=7.5, color=MUTED, ha="right")


def _strip_name(axes: Axes, name: str) -> None:
    """What a strip shows, above it at the left."""
    axes.set_title(name, loc="left", fontsize=7.5, color=MUTED, pad=3)


@drawing()
def surprise_figure(sequence: NoteSequence, nats: np.ndarray, fields: Sequence[str], title: str = "") -> Figure:
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
    lanes, (low, _) = drum_lanes(sequence), pitch_range(sequence)
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
        inches_per_step = (_STRIP_WIDTH - LEFT - _STRIP_RIGHT) / span
        here = (notes["onset"] < end) & (notes["onset"] + notes["duration"] > start)
        boxes = note_boxes(notes[here], start, end, low, lanes, inches_per_step)
        roll.add_collection(
            PolyCollection(list(boxes), facecolors=colours(norm(total[here])), linewidths=0, zorder=3, gid="notes")
        )
        inside = (onsets >= start) & (onsets < end)
        gap = float(np.diff(onsets).min(initial=FAR)) * inches_per_step
        wide = float(np.clip(0.8 * gap, 0.02, 0.08)) / inches_per_step
        base = np.zeros(int(inside.sum()))
        for column, field in enumerate(fields):
            strip.bar(
                onsets[inside], heights[inside, column], wide, base, align="edge", color=_FIELD_COLOURS[field],
                linewidth=0,
            )  # fmt: skip
            base = base + heights[inside, column]
        strip.set_ylim(0, highest)
        plain(strip)
        strip.spines["bottom"].set_bounds(start, end)
        strip.set_xticks([])
        strip.locator_params(axis="y", nbins=4)
        strip.set_ylabel("nats", fontsize=7.5, color=MUTED)
        strip.vlines(roll.get_xticks(), 0, highest, colors="#d5dae1", linewidth=0.5, zorder=0)
    _scale(figure, ScalarMappable(norm, colours), "nats of a note")
    say_if_empty(systems[0][0], sequence)
    width, height = figure.get_size_inches()
    figure.legend(
        [Patch(color=_FIELD_COLOURS[field]) for field in fields], list(fields), loc="lower left",
        bbox_to_anchor=(LEFT / width, (height - 0.66) / height), ncols=len(fields),
        frameon=False, fontsize=7.5, borderpad=0, borderaxespad=0, handlelength=1, columnspacing=1.2, labelcolor=INK,
    )  # fmt: skip
    return figure


@drawing()
def gates_figure(
    sequence: NoteSequence, gates: Sequence[tuple[str, np.ndarray]], rows: Sequence[tuple[str, str]], title: str
) -> Figure:
    """A piece and, beneath it, gates of some units at each note: one row a unit, one column a note.

    A chord's notes share the time to the next onset, in their canonical order.

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
    lanes, (low, _) = drum_lanes(sequence), pitch_range(sequence)
    onset = sequence.notes["onset"]
    voice, names = voices(sequence)
    colours = voice_colours(sequence, len(names))[voice]
    for roll, strips, start, end in systems:
        span = roll.get_xlim()[1] - start
        inches_per_step = (_STRIP_WIDTH - LEFT - _STRIP_RIGHT) / span
        draw_notes(roll, sequence, start, end, low, lanes, colours, inches_per_step)
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
            axes.tick_params(length=0, pad=3, colors=INK)
            for row, (_, right) in zip(at, rows, strict=True):
                axes.text(end + span * 0.005, row, right, fontsize=6, color=MUTED, va="center", clip_on=False)
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
    rank = np.arange(len(onset)) - (np.cumsum(count) - count)[index.reshape(-1)]
    share = ((until - starts) / count)[index.reshape(-1)]
    return np.append(onset + rank * share, end)


@drawing()
def memory_figure(
    half_life: np.ndarray, unit: str, marks: Sequence[tuple[float, str]], forgetting: np.ndarray
) -> Figure:
    """How long units remember, layer by layer, and what a shorter memory costs.

    Parameters
    ----------
    half_life : array, shape (layers, units)
        In `unit`; infinite ones count at the right edge.
    unit : "beats" or "seconds"
    marks : (time, name) of upright lines
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
        axes.hist(np.clip(values, low, high), edges.tolist(), color=COLOURS[layer % len(COLOURS)], linewidth=0)
        middle = float(np.median(values))
        if low < middle < high:
            axes.axvline(middle, color=INK, linewidth=1.2)
        axes.set_xscale("log")
        axes.set_xlim(low, high)
        for at, _ in shown:
            axes.axvline(at, color="#a9b1bd", linewidth=0.8, linestyle=(0, (3, 2)), zorder=0)
        plain(axes)
        axes.locator_params(axis="y", nbins=3)
        axes.set_ylabel(f"layer {layer}", fontsize=7.5, color=MUTED)
        axes.text(
            0.99, 0.8, f"median {middle:.2f}", transform=axes.transAxes, ha="right", fontsize=7.5, color=INK,
            bbox={"facecolor": "white", "linewidth": 0, "pad": 1.5},
        )  # fmt: skip
        if layer == 0:
            for at, name in shown:
                axes.text(at, 1.02, name, transform=axes.get_xaxis_transform(), ha="center", fontsize=6.5, color=MUTED)
        if layer < layers - 1:
            axes.tick_params(axis="x", which="both", labelbottom=False, length=0)
        else:
            plain_log(axes)
            axes.set_xlabel(f"half-life of a unit, {unit}", fontsize=7.5, color=MUTED)
    figure.text(0.15 / width, (height - 0.17) / height, "Units", fontsize=9, fontweight="bold", color=INK)
    figure.text(5.2 / width, (height - 0.17) / height, "The whole", fontsize=9, fontweight="bold", color=INK)
    axes = figure.add_axes((5.65 / width, 0.55 / height, 2.75 / width, (height - 0.95) / height))
    axes.plot(np.arange(1, len(forgetting) + 1), forgetting, color=COLOURS[0], linewidth=1.6)
    axes.axhline(0, color="#a9b1bd", linewidth=0.8)
    axes.set_xlim(1, max(2, len(forgetting)))
    plain(axes)
    axes.set_xlabel("notes in the memory", fontsize=7.5, color=MUTED)
    axes.set_ylabel("nats per note more", fontsize=7.5, color=MUTED, labelpad=2)
    return figure


@drawing()
def following_figure(half_life: np.ndarray, unit: str, following: dict[str, tuple[np.ndarray, float]]) -> Figure:
    """Which units follow what: the score of each against its half-life, and the score needed to count as following.

    Parameters
    ----------
    half_life : array, shape (layers, units)
        In `unit`.
    unit : "beats" or "seconds"
    following : aspect -> (scores of shape (layers, units), the score needed to count as following)

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
                np.clip(half_life[layer], low, high), scores[layer], "o", color=COLOURS[layer % len(COLOURS)],
                markersize=2.6, markeredgewidth=0, alpha=0.75, label=f"layer {layer}",
            )  # fmt: skip
        axes.axhline(needed, color=INK, linewidth=0.9, linestyle=(0, (4, 2)), label="needed")
        axes.set_xscale("log")
        axes.set_xlim(low, high)
        axes.set_ylim(0, 1.1 * max(needed, float(scores.max())))
        plain(axes)
        plain_log(axes)
        axes.locator_params(axis="y", nbins=5)
        n = int((scores > needed).sum())
        text = f"{aspect}: {n:,} of {scores.size:,} units"
        axes.set_title(text, loc="left", fontsize=9, fontweight="bold", color=INK, pad=5)
        axes.set_ylabel("score", fontsize=7.5, color=MUTED, labelpad=2)
        axes.set_xlabel(f"half-life, {unit}", fontsize=7.5, color=MUTED, labelpad=1)
        if at == 0:
            handles, labels = axes.get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="upper right", bbox_to_anchor=(1 - 0.2 / width, 1 - 0.02 / height), ncols=len(labels),
        frameon=False, fontsize=7.5, handlelength=1.6, columnspacing=1.2, borderpad=0.2, labelcolor=INK,
    )  # fmt: skip
    return figure


@drawing()
def profiles_figure(profiles: Sequence[tuple[str, str, np.ndarray, np.ndarray, np.ndarray]]) -> Figure:
    """What units do at each position of what they follow: means, and the standard deviation as a lighter band.

    Parameters
    ----------
    profiles : sequence of (aspect, title, positions, means, deviations)
        No positions: nothing to show, and the panel says so.

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
        axes.set_title(title, loc="left", fontsize=9, fontweight="bold", color=INK, pad=5)
        plain(axes)
        if len(at) == 0:
            axes.set_xticks([])
            axes.set_yticks([])
            axes.text(
                0.5, 0.5, "no unit follows", transform=axes.transAxes, ha="center", fontsize=8.5,
                color=MUTED,
            )  # fmt: skip
            continue
        gap = float(np.diff(at).min(initial=1.0))
        axes.bar(at, 2 * deviation, 0.8 * gap, mean - deviation, color="#dbe4f0", linewidth=0, zorder=1)
        if aspect == "key":
            axes.bar(at, mean, 0.6 * gap, color=COLOURS[0], linewidth=0, zorder=2)
            axes.set_xticks(at, PITCH_CLASSES)
        else:
            axes.hlines(mean, at - 0.4 * gap, at + 0.4 * gap, colors=COLOURS[0], linewidth=2, zorder=2)
            apart = len(at) <= 9 and gap > 0.1 * np.ptp(at)  # each label fits
            ticks = at if apart else np.arange(0, at.max() + 0.01, 1 if at.max() >= 2 else 0.5)
            axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.use_sticky_edges = False
        axes.margins(x=0.02, y=0.08)
        axes.axhline(0, color="#a9b1bd", linewidth=0.6, zorder=0)
        axes.set_xlabel(_ASPECT_AXES[aspect], fontsize=7.5, color=MUTED, labelpad=2)
        axes.set_ylabel("correlation" if aspect == "key" else "output", fontsize=7.5, color=MUTED, labelpad=2)
        axes.locator_params(axis="y", nbins=4)
    return figure
