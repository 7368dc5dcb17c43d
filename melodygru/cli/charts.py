"""Small pictures for a page: SVG in its text, in the page's own colours, light or dark.

Each is a figure with a title, axes with units, and a text in words for who does not see it. It is drawn for the width
of a phone and grows with its column; what a mark stands for is read with the pointer on it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from melodygru.cli.page import text

STYLE = """
:root { --bar: #2a6fbb; --other: #e08a1e } @media (prefers-color-scheme: dark) { :root { --bar: #6ea4e0 } }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(20rem, 100%), 1fr)); gap: 1rem 2rem;
  align-items: start }
.chart { margin: 0 } .chart figcaption { color: var(--ink); font-weight: 600 }
.chart svg { display: block; width: 100%; max-width: 34rem; height: auto }
.chart text { font: 11px system-ui, sans-serif; fill: var(--muted) } .chart .name { fill: var(--ink) }
.chart .bar { fill: var(--bar) } .chart .other { fill: var(--other) } .chart .light { fill: var(--bar); opacity: .35 }
.chart line { stroke: var(--faint) } .chart .axis { stroke: var(--line) }
"""
_WIDTH, _HEIGHT = 360, 215
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 6, 24, 34  # of the axes of columns
_LINE = 12  # what a second line of labels takes
_ROW = 21  # high, of a picture in rows
_LABELS = 128  # wide, of the names at the left of rows
_CHARACTER = 6.3  # wide, about, at 11 px


def columns(
    title: str,
    labels: Sequence[str],
    series: Sequence[tuple[str, Sequence[float]]],
    x_axis: str,
    y_axis: str,
    alt: str,
    *,
    sampled: bool = False,
    reach: float = 0.0,
) -> str:
    """Columns over classes.

    Parameters
    ----------
    title, x_axis, y_axis, alt : str
    labels : sequence of str
        A name for each class; "" for none. All are shown, in two lines where they need it, or as many as have room.
    series : sequence of (name, values)
        One or two, named in the picture if two. Values are 0 or more. A y_axis that begins with % makes them per cents.
    sampled : bool
        Labels are places on a scale, and some of them are enough.
    reach : float
        What the scale of values goes up to at least.
    """
    unit = "%" if y_axis.startswith("%") else ""
    top = max((value for _, values in series for value in values), default=0.0)
    top = max(top, reach)
    ticks = _ticks(top, whole=not unit)
    slot = (_WIDTH - _LEFT - _RIGHT) / max(1, len(labels))
    places = _labelled(labels, slot, sampled)
    total = _HEIGHT + _LINE * max((line for _, line in places), default=0)
    bottom, height = _HEIGHT - _BOTTOM, _HEIGHT - _BOTTOM - _TOP
    parts = [f'<text x="0" y="11">{text(y_axis)}</text>']
    for tick in ticks:
        y = bottom - height * tick / ticks[-1]
        parts.append(f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{_LEFT - 5}" y="{y + 4:.1f}" text-anchor="end">{_short(tick)}{unit}</text>')
    width = slot * (0.86 if slot > 4 else 1.0) / len(series)
    for at, label in enumerate(labels):
        for which, (name, values) in enumerate(series):
            if not values[at]:
                continue
            high = max(0.6, height * values[at] / ticks[-1])  # what is there is seen
            x = _LEFT + slot * (at + 0.5) + width * (which - len(series) / 2)
            said = (
                f"{label}{', ' * bool(name)}{name}: {_exact(values[at], unit)}" if label else _exact(values[at], unit)
            )
            parts.append(
                f'<rect class="{"other" if which else "bar"}" x="{x:.1f}" y="{bottom - high:.1f}" width="{width:.1f}" '
                f'height="{high:.1f}"><title>{text(said)}</title></rect>'
            )
    parts.append(f'<line class="axis" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{bottom}" y2="{bottom}"/>')
    for at, line in places:
        x = _LEFT + slot * (at + 0.5)
        parts.append(
            f'<text x="{x:.1f}" y="{bottom + 13 + _LINE * line}" text-anchor="middle">{text(labels[at])}</text>'
        )
    parts.append(
        f'<text x="{(_WIDTH + _LEFT - _RIGHT) / 2:.0f}" y="{total - 5}" text-anchor="middle">{text(x_axis)}</text>'
    )
    if len(series) > 1:
        x = _WIDTH - _RIGHT
        for which in (1, 0):
            name = series[which][0]
            x -= round(_CHARACTER * len(name)) + 16
            parts.append(f'<rect class="{"other" if which else "bar"}" x="{x}" y="3" width="9" height="9"/>')
            parts.append(f'<text x="{x + 12}" y="11">{text(name)}</text>')
    return _figure(title, parts, total, alt)


def rows(title: str, bars: Sequence[tuple[str, float]], x_axis: str, alt: str) -> str:
    """Bars from left to right, each with its name and its value; `bars` are (name, value)."""
    room = _WIDTH - _LABELS - 60
    top = max((value for _, value in bars), default=0.0) or 1.0
    parts = [f'<text x="{_LABELS}" y="11">{text(x_axis)}</text>']
    for at, (name, value) in enumerate(bars):
        y = 18 + _ROW * at
        wide = max(0.6, room * value / top)
        parts.append(_row_name(name, y))
        parts.append(f'<rect class="bar" x="{_LABELS}" y="{y + 3}" width="{wide:.1f}" height="{_ROW - 6}"/>')
        parts.append(f'<text x="{_LABELS + wide + 5:.1f}" y="{y + 14}">{_exact(value)}</text>')
    return _figure(title, parts, 18 + _ROW * len(bars) + 4, alt)


def spans(
    title: str,
    ranges: Sequence[tuple[str, Sequence[float], str]],
    ends: tuple[float, float],
    ticks: Sequence[tuple[float, str]],
    x_axis: str,
    alt: str,
) -> str:
    """Ranges from left to right: a line from the least to the most, a bar for most of it, a mark at the median.

    Parameters
    ----------
    ranges : sequence of (name, (least, low, median, high, most), what a pointer reads)
    ends : (float, float)
        Of the axis.
    ticks : sequence of (place, label)
        Where the axis has lines.
    """
    low = ends[0] - 1
    scale = (_WIDTH - _LABELS - 8) / (ends[1] + 1 - low)
    bottom = 6 + _ROW * len(ranges)

    def x(place: float) -> float:
        return _LABELS + (place - low) * scale

    parts = []
    free = 0.0
    for place, label in ticks:
        at = x(place)
        if _LABELS <= at <= _WIDTH - 8:
            parts.append(f'<line x1="{at:.1f}" x2="{at:.1f}" y1="2" y2="{bottom}"/>')
            if at - _CHARACTER * len(label) / 2 >= free:
                parts.append(f'<text x="{at:.1f}" y="{bottom + 13}" text-anchor="middle">{text(label)}</text>')
                free = at + _CHARACTER * len(label) / 2 + 4
    for row, (name, places, said) in enumerate(ranges):
        y = 4 + _ROW * row
        least, few, middle, many, most = map(x, places)
        parts.append(_row_name(name, y))
        parts.append(
            f'<g><title>{text(said)}</title><rect class="light" x="{least - scale / 2:.1f}" y="{y + 8}" '
            f'width="{most - least + scale:.1f}" height="5"/><rect class="bar" x="{few - scale / 2:.1f}" y="{y + 5}" '
            f'width="{many - few + scale:.1f}" height="11"/><rect class="other" x="{middle - 1.5:.1f}" y="{y + 3}" '
            f'width="3" height="15"/></g>'
        )
    parts.append(f'<text x="{(_WIDTH + _LABELS) / 2:.0f}" y="{bottom + 28}" text-anchor="middle">{text(x_axis)}</text>')
    return _figure(title, parts, bottom + 33, alt)


def _figure(title: str, parts: Sequence[str], height: float, alt: str) -> str:
    return (
        f'<figure class="chart"><figcaption>{text(title)}</figcaption>'
        f'<svg viewBox="0 0 {_WIDTH} {height:.0f}" role="img" aria-label="{text(alt)}">{"".join(parts)}</svg></figure>'
    )


def _row_name(name: str, y: float) -> str:
    """The name at the left of a row, shortened to what there is room for."""
    most = int((_LABELS - 8) / _CHARACTER)
    shown = name if len(name) <= most else name[: most - 1] + "…"
    return f'<text class="name" x="{_LABELS - 6}" y="{y + 14}" text-anchor="end">{text(shown)}</text>'


def _labelled(labels: Sequence[str], slot: float, sampled: bool) -> list[tuple[int, int]]:
    """Which labels are shown, and in which line: all, every other one a line lower, or some of them in one line."""
    given = [at for at, label in enumerate(labels) if label]
    needed = _CHARACTER * max(map(len, labels), default=0) + 4
    if not sampled and needed <= 2 * slot:
        lines = 2 if needed > slot else 1
        return [(at, at % lines) for at in given]
    apart = min((b - a for a, b in zip(given, given[1:], strict=False)), default=1)
    return [(at, 0) for at in given[:: max(1, math.ceil(needed / (slot * apart)))]]


def _ticks(top: float, whole: bool) -> list[float]:
    """0 and up to four round numbers, the last of them at or above `top`."""
    if top <= 0:
        return [0.0, 1.0]
    power = 10.0 ** math.floor(math.log10(top / 4))
    steps = [size * (max(1.0, power) if whole else power) for size in (1, 2, 2.5, 5, 10)]
    step = next(step for step in steps if 4 * step >= top * (1 - 1e-9) and (step.is_integer() or not whole))
    return [step * at for at in range(math.ceil(top / step - 1e-9) + 1)]


def _short(value: float) -> str:
    """A round number in a few characters: `250`, `20k`, `1.5M`."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if value >= 10 * size or (value >= size and letter == "M"):
            return f"{value / size:g}{letter}"
    return f"{value:g}" if value < 1000 else f"{value:,.0f}"


def _exact(value: float, unit: str = "") -> str:
    return f"{value:,.1f}{unit}" if unit else f"{value:,.0f}"
