"""Pictures of training: nats per note against minutes, for one run or for several models side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from melodygru.render.pictures.style import COLOURS, INK, MUTED, drawing, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@drawing()
def training_figure(history: Sequence[dict[str, Any]]) -> Figure:
    """Nats per note against minutes of training, with the best held-out value marked.

    Parameters
    ----------
    history : sequence of dict
        Rows with keys `step`, `minutes`, `train_nats_per_note` and, in some rows, `validation_nats_per_note`.
    """
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
        axes.text(0.5, 0.5, "nothing trained yet", transform=axes.transAxes, ha="center", color=MUTED, fontsize=14)
    if len(validation):
        minutes, best, step = validation[int(validation[:, 1].argmin())]
        axes.axhline(best, color="#d1495b", linewidth=0.7, linestyle=(0, (4, 4)), zorder=1)
        axes.plot(
            [minutes], [best], "o", color="#d1495b", markersize=7, zorder=5, gid="best",
            label=f"best: {best:.3f} at {minutes:.1f} min (step {step:,.0f})",
        )  # fmt: skip
    _curves_heading(axes)
    axes.set_xlabel("minutes of training", color=INK)
    axes.set_ylabel("nats per note", color=INK)
    axes.grid(axis="y", color="#e3e6eb", linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return figure


def _curves_heading(axes: Axes) -> None:
    """What the curves are, above them, where none of them runs: a title and a row of labels."""
    axes.set_title("Likelihood while training (lower is better)", loc="left", fontsize=11, color=INK, pad=24)
    if axes.lines:
        axes.legend(
            loc="lower left", bbox_to_anchor=(0, 1), ncols=3, frameon=False, fontsize=9, borderpad=0.2,
            borderaxespad=0.3, handlelength=1.6, columnspacing=1.6, labelcolor=INK,
        )  # fmt: skip


def _curve(history: Sequence[dict[str, Any]], key: str) -> np.ndarray:
    """Rows (minutes, value, step) of the history that have a finite value, shape (n, 3)."""
    rows = [(row["minutes"], row[key], row["step"]) for row in history if row.get(key) is not None]
    return np.array([row for row in rows if math.isfinite(row[1])], float).reshape(-1, 3)


def _nats_range(*found: np.ndarray) -> tuple[float, float]:
    """Limits of the axis of nats: all values after the first tenth of the run; the steep fall before may be cut off."""
    curves = [curve for curve in found if len(curve)]
    start = 0.1 * max(curve[-1, 0] for curve in curves)
    late = np.concatenate([curve[curve[:, 0] >= start, 1] for curve in curves])
    low, high = float(late.min()), float(late.max())
    margin = max(0.08 * (high - low), 0.02 * abs(high), 1e-3)
    return low - margin, high + 2 * margin


@drawing()
def rivals_figure(models: Sequence[dict[str, Any]]) -> Figure:
    """Models trained on the same music: nats per note against minutes, and bars of what was measured.

    Parameters
    ----------
    models : sequence of dict
        With keys `label`, `history` (pairs of minutes and held-out nats per note), `nats_per_note`,
        `training_notes_per_second`, `sampling_us_per_note` and `memory_bytes`, which may be None.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.5), facecolor="white")
    axes = figure.add_axes((0.07, 0.13, 0.5, 0.73))
    curves = []
    for model, colour in zip(models, COLOURS, strict=False):
        curve = np.array(model["history"], float).reshape(-1, 2)
        if len(curve):
            axes.plot(curve[:, 0], curve[:, 1], label=model["label"], color=colour, marker="o", markersize=3)
            curves.append(curve)
    if curves:
        axes.set_ylim(*_nats_range(*curves))
        axes.set_xlim(left=0)
    _curves_heading(axes)
    axes.set_xlabel("minutes of training", color=INK)
    axes.set_ylabel("nats per note, held out", color=INK)
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
    bars = axes.barh(range(len(models)), values, color=COLOURS[: len(models)], height=0.7)
    labels = [format(v, form) if model[key] else "unknown" for v, model in zip(values, models, strict=True)]
    axes.bar_label(bars, labels, padding=3, fontsize=7.5, color=INK)
    axes.set_yticks(range(len(models)), [model["label"] for model in models])
    axes.invert_yaxis()
    axes.set_xticks([])
    axes.set_xlim(0, 1.25 * max(values) or 1)
    axes.set_title(title, loc="left", fontsize=8, color=MUTED)
    plain(axes)
    axes.spines["bottom"].set_visible(False)
