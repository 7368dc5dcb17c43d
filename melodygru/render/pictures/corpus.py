"""Pictures of what a folder holds: columns over classes, bars by name, and ranges of pitch.

They are as wide as a phone, with text for that width, and grow with their column of a page. What a mark stands for is
its gid, `title: ...`, which a page shows to a reader who points at it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from melodygru.render.pictures.style import COLOURS, INK, MUTED, drawing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_BAR, _OTHER, _FAINT, _LINE = COLOURS[0], COLOURS[3], "#e3e6eb", "#a9b1bd"
_WIDTH, _HEIGHT = 360, 215  # units of 1/72 inch, as a page's pixels
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 6, 24, 34  # margins of columns
_TEXT_LINE = 12  # what a second line of labels takes
_ROW = 21  # high, of a picture in rows
_NAMES = 128  # wide, of the names at the left of rows
_CHARACTER = 6.3  # wide, about, at 11 units


@drawing()
def columns_figure(
    labels: Sequence[str],
    series: Sequence[tuple[str, Sequence[float]]],
    x_axis: str,
    y_axis: str,
    *,
    sampled: bool = False,
    reach: float = 0.0,
    titles: Sequence[str] | None = None,
) -> Figure:
    """Columns over classes.

    Parameters
    ----------
    labels : sequence of str
        A name for each class; "" for none. All are shown, in two lines where they need it, or as many as there is
        width for.
    series : sequence of (name, values)
        One or two, named in the picture if two. Values are 0 or more. A y_axis that begins with % makes them per cents.
    x_axis, y_axis : str
    sampled : bool
        Labels are points on a scale, and some of them are enough.
    reach : float
        What the scale of values goes up to at least.
    titles : sequence of str, optional
        What a pointer reads of each class; default: its label.
    """
    from matplotlib.ticker import MaxNLocator

    unit = "%" if y_axis.startswith("%") else ""
    slot = (_WIDTH - _LEFT - _RIGHT) / max(1, len(labels))
    shown = _labelled(labels, slot, sampled)
    height = _HEIGHT + _TEXT_LINE * max((line for _, line in shown), default=0)
    figure, axes = _axes(height, _LEFT, _RIGHT, _TOP, height - _HEIGHT + _BOTTOM)
    top = max((value for _, values in series for value in values), default=0.0)
    ticks = MaxNLocator(4, steps=[1, 2, 2.5, 5, 10], integer=not unit).tick_values(0, max(top, reach) or 1)
    axes.set_xlim(0, max(1, len(labels)))
    axes.set_ylim(0, ticks[-1])
    axes.set_yticks(ticks, [_short(tick) + unit for tick in ticks])
    axes.grid(axis="y", color=_FAINT, linewidth=1)
    axes.spines["bottom"].set_visible(True)
    width = (0.86 if slot > 4 else 1.0) / len(series)
    least = 0.6 * ticks[-1] / (_HEIGHT - _TOP - _BOTTOM)  # nothing that is there disappears
    for which, ((name, values), colour) in enumerate(zip(series, (_BAR, _OTHER), strict=False)):
        at = [i for i, value in enumerate(values) if value]
        lefts = [i + 0.5 + width * (which - len(series) / 2) for i in at]
        heights = [max(least, values[i]) for i in at]
        bars = axes.bar(lefts, heights, width, align="edge", color=colour, linewidth=0, label=name)
        for i, bar in zip(at, bars, strict=True):
            about = ", ".join(filter(None, ((titles or labels)[i], name)))
            _explain(bar, f"{about}: {_exact(values[i], unit)}" if about else _exact(values[i], unit))
    for i, line in shown:
        axes.annotate(
            labels[i], (i + 0.5, 0), (0, -13 - _TEXT_LINE * line), ("data", "axes fraction"), "offset points",
            ha="center", fontsize=11, color=MUTED,
        )  # fmt: skip
    figure.text(0, 1 - 11 / height, y_axis, fontsize=11, color=MUTED)
    figure.text((_WIDTH + _LEFT - _RIGHT) / 2 / _WIDTH, 5 / height, x_axis, fontsize=11, color=MUTED, ha="center")
    if len(series) > 1:
        figure.legend(
            loc="upper right", ncols=2, frameon=False, fontsize=11, labelcolor=MUTED, borderpad=0, borderaxespad=0.1,
            handlelength=0.8, handletextpad=0.3, columnspacing=1,
        )  # fmt: skip
    return figure


@drawing()
def rows_figure(bars: Sequence[tuple[str, float]], x_axis: str) -> Figure:
    """Bars from left to right, each with its name and its value; `bars` are (name, value)."""
    figure, axes = _axes(18 + _ROW * len(bars) + 4, _NAMES, 60, 18, 4)
    axes.set_xlim(0, max((value for _, value in bars), default=0.0) or 1.0)
    _rows(axes, [name for name, _ in bars])
    drawn = axes.barh(range(len(bars)), [value for _, value in bars], (_ROW - 6) / _ROW, color=_BAR, linewidth=0)
    axes.bar_label(drawn, [_exact(value) for _, value in bars], padding=5, fontsize=11, color=MUTED)
    axes.set_title(x_axis, loc="left", fontsize=11, color=MUTED, pad=7)
    return figure


@drawing()
def spans_figure(
    ranges: Sequence[tuple[str, Sequence[float], str]],
    ends: tuple[float, float],
    ticks: Sequence[tuple[float, str]],
    x_axis: str,
) -> Figure:
    """Ranges from left to right: a line from the least to the most, a bar for most of it, a mark at the median.

    Parameters
    ----------
    ranges : sequence of (name, (least, low, median, high, most), what a pointer reads)
    ends : (float, float)
        Of the axis.
    ticks : sequence of (value, label)
        Where the axis has lines.
    x_axis : str
    """
    figure, axes = _axes(6 + _ROW * len(ranges) + 33, _NAMES, 8, 4, 35)
    axes.set_xlim(ends[0] - 1, ends[1] + 1)
    _rows(axes, [name for name, _, _ in ranges])
    inside = [(value, label) for value, label in ticks if ends[0] - 1 <= value <= ends[1] + 1]
    apart = math.ceil((_CHARACTER * 3 + 4) / ((_WIDTH - _NAMES - 8) / max(1, len(inside))))
    axes.set_xticks(
        [value for value, _ in inside], [label if i % apart == 0 else "" for i, (_, label) in enumerate(inside)]
    )
    axes.grid(axis="x", color=_FAINT, linewidth=1)
    for row, (_, (least, low, middle, high, most), text) in enumerate(ranges):
        for left, right, tall, alpha, colour in (
            (least - 0.5, most + 0.5, 5, 0.35, _BAR), (low - 0.5, high + 0.5, 11, 1, _BAR),
            (middle - 0.35, middle + 0.35, 15, 1, _OTHER),
        ):  # fmt: skip
            (bar,) = axes.barh(row, right - left, tall / _ROW, left=left, color=colour, alpha=alpha, linewidth=0)
            _explain(bar, text)
    axes.set_xlabel(x_axis, fontsize=11, color=MUTED, labelpad=1)
    return figure


def _axes(height: float, left: float, right: float, top: float, bottom: float) -> tuple[Figure, Axes]:
    """Axes without lines around them in a picture so high, with these margins."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH / 72, height / 72), facecolor="none")
    box = (left / _WIDTH, bottom / height, (_WIDTH - left - right) / _WIDTH, (height - top - bottom) / height)
    axes = figure.add_axes(box, facecolor="none", axisbelow=True)
    axes.set_xticks([])
    axes.tick_params(length=0, pad=5, labelsize=11, labelcolor=MUTED)
    for spine in axes.spines.values():
        spine.set_visible(False)
        spine.set_color(_LINE)
    return figure, axes


def _rows(axes: Axes, names: Sequence[str]) -> None:
    """Rows from the top down with their names, shortened to what there is width for."""
    most = int((_NAMES - 8) / _CHARACTER)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_yticks(range(len(names)), [name if len(name) <= most else name[: most - 1] + "…" for name in names])
    axes.tick_params(axis="y", labelcolor=INK)


def _explain(mark: Any, text: str) -> None:
    """Let a mark say what it stands for."""
    mark.set_gid(f"title: {text}")
    mark.set_clip_on(False)


def _labelled(labels: Sequence[str], slot: float, sampled: bool) -> list[tuple[int, int]]:
    """Which labels are shown, and in which line: all, every other one a line lower, or some of them in one line."""
    given = [at for at, label in enumerate(labels) if label]
    needed = _CHARACTER * max(map(len, labels), default=0) + 4
    if not sampled and needed <= 2 * slot:
        lines = 2 if needed > slot else 1
        return [(at, at % lines) for at in given]
    apart = min((b - a for a, b in zip(given, given[1:], strict=False)), default=1)
    return [(at, 0) for at in given[:: max(1, math.ceil(needed / (slot * apart)))]]


def _short(value: float) -> str:
    """A round number in a few characters: `250`, `20k`, `1.5M`."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if value >= 10 * size or (value >= size and letter == "M"):
            return f"{value / size:g}{letter}"
    return f"{value:g}" if value < 1000 else f"{value:,.0f}"


def _exact(value: float, unit: str = "") -> str:
    return f"{value:,.1f}{unit}" if unit else f"{value:,.0f}"
