"""Pictures of two sets of pieces compared: how far pieces are apart, and what the sets are like."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from melodygru.analysis.style import Comparison, Densities
from melodygru.music.grid import Grid
from melodygru.render.pictures.style import INK, MUTED, drawing, legend_above, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# They differ without colour too: by dashes, and by hatching.
_REAL, _GENERATED, _BETWEEN = "#0072b2", "#d55e00", INK
_SPREAD = (
    ("within_real", "real", _REAL, "solid"),
    ("within_generated", "generated", _GENERATED, (0, (5, 2))),
    ("between", "real to generated", _BETWEEN, (0, (1, 1.4))),
)


@drawing()
def style_figure(comparison: Comparison, grid: Grid, missed: Collection[str] = ()) -> Figure:
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
    missed : what of it is far from real music's, see `Comparison.misses`; it stands beside the title

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

    def axes_at(left: float, bottom: float, wide: float, high: float) -> Axes:
        return figure.add_axes((left / width, bottom / height, wide / width, high / height))

    figure.text(0.15 / width, (height - 0.3) / height, feature.label, fontsize=11, fontweight="bold", color=INK)
    if missed:
        ratio = "mean" if comparison.ratio is None else f"mean {comparison.ratio:.2f} times real"
        said = {"ratio": ratio, "overlapping_area": f"OA {comparison.overlapping_area or 0:.2f}"}
        text = "misses: " + ", ".join(said[one] for one in missed)
        figure.text(8.4 / width, (height - 0.3) / height, text, fontsize=8, color=_GENERATED, ha="right")
    _draw_distances(axes_at(0.2, 0.5, 3.0, 2.0), comparison, feature.unit_on(grid))
    names = feature.classes(grid)
    if matrices:
        shared = max(float(values.mean(axis=0).max()) for values in (comparison.real, comparison.generated))
        axes = [axes_at(3.85, 0.5, 1.9, 1.9), axes_at(6.1, 0.5, 1.9, 1.9)]
        for panel, values, title in zip(
            axes, (comparison.real, comparison.generated), ("real", "generated"), strict=True
        ):
            image = _draw_matrix(panel, values.mean(axis=0), names, shared)
            panel.set_title(title, fontsize=8, color=INK, pad=4)
        axes[0].set_ylabel("from", fontsize=7.5, color=MUTED, labelpad=1)
        axes[1].set_yticks([])
        ticks = np.linspace(0, 1, 5) ** 2 * shared  # equally far apart on a scale of roots
        bar = figure.colorbar(image, cax=axes_at(8.07, 0.5, 0.1, 1.9))
        bar.set_ticks(ticks.tolist(), labels=[f"{tick:.2g}" for tick in ticks])
        bar.ax.tick_params(labelsize=6, colors=MUTED, length=2, pad=1)
        bar.outline.set_visible(False)
    else:
        panel = axes_at(3.95, 0.5, 4.45, 2.0)
        if feature.kind == "histogram":
            _draw_histograms(panel, comparison, names)
        else:
            _draw_values(panel, comparison, feature.unit_on(grid))
    return figure


def _draw_distances(axes: Axes, comparison: Comparison, unit: str) -> None:
    """Densities of the three kinds of distances, a legend above them."""
    samples = [(getattr(comparison, name), *look) for name, *look in _SPREAD]
    for sample, label, colour, dashes in samples:
        alone = Densities.from_samples(sample, sample)
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
    plain(axes)
    axes.locator_params(axis="x", nbins=6)
    axes.set_xlabel("distance between two pieces" + (f", {unit}" if unit else ""), fontsize=7.5, color=MUTED)
    axes.legend(
        loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=3, frameon=False, fontsize=7.5, handlelength=2.2,
        columnspacing=1.2, borderaxespad=0.1, labelcolor=INK,
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
    plain(axes)
    axes.tick_params(axis="x", length=0, labelsize=6 if max(map(len, names)) > 5 else 7)
    axes.set_ylabel("mean share", fontsize=7.5, color=MUTED, labelpad=2)
    legend_above(axes)


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
    plain(axes)
    axes.locator_params(axis="x", nbins=6)
    axes.set_xlabel(unit, fontsize=7.5, color=MUTED)
    axes.set_ylabel("share of the pieces", fontsize=7.5, color=MUTED, labelpad=2)
    legend_above(axes)


def _draw_matrix(axes: Axes, shares: np.ndarray, names: Sequence[str], highest: float) -> Any:
    """A transition matrix as squares, darker for more; the root of the share, so that rare ones show."""
    from matplotlib.colors import PowerNorm

    n = len(names)
    norm = PowerNorm(0.5, vmin=0, vmax=highest)
    image = axes.imshow(shares.reshape(n, n), cmap="Blues", norm=norm, aspect="auto", interpolation="nearest")
    axes.set_xticks(range(n), list(names), fontsize=5.5, rotation=90)
    axes.set_yticks(range(n), list(names), fontsize=5.5)
    axes.tick_params(length=0, pad=2, colors=MUTED)
    for side in axes.spines.values():
        side.set_color("#a9b1bd")
    axes.set_xlabel("to", fontsize=7.5, color=MUTED, labelpad=1)
    return image
