"""Two sets of pieces compared, feature by feature, by the distances between pieces.

The protocol is Yang and Lerch's ("On the evaluation of generative models in music", Neural Computing and Applications
32, 2020). For each feature: the Euclidean distances between the pieces of the real set (within), and those between real
and generated pieces (between); the density of each, by Gaussian kernels; and how alike the two densities are. If the
generated pieces were drawn from the same source as the real ones, both would be the same.

Their published code (mgeval) evaluates the two densities of the KL divergence at different points; here both stand on
one grid, which is what the formula says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from melodygru.analysis.style.features import FEATURES, Feature, entropy_bits

MAX_PAIRS = 50_000  # of pieces: more than these are sampled, which costs about 0.01 of overlapping area
_MARGIN = 6.0  # bandwidths of the grid beyond the outermost distance: what lies outside is below 1e-8
_POINTS_PER_BANDWIDTH = 8
_LEAST_POINTS, _MOST_POINTS = 512, 16384
_REACH = 39.0  # bandwidths after which a kernel is 0 in double precision
_FLOOR = float(np.finfo(float).tiny)
RATIO_OFF = 0.4  # of 1, by which a ratio of means misses
LEAST_AREA = 0.7  # an overlapping area below this one misses
MIDDLE = 0.1, 0.9  # quantiles of what is usual


def distances_within(values: np.ndarray, rng: np.random.Generator, max_pairs: int = MAX_PAIRS) -> np.ndarray:
    """Euclidean distances between the pieces of a set, each pair once.

    Parameters
    ----------
    values : array, shape (n_pieces, width)
    rng : numpy.random.Generator
        Draws `max_pairs` pairs without replacement where there are more.
    max_pairs : int

    Returns
    -------
    distances : array, shape (min(n (n - 1) / 2, max_pairs),)
    """
    pair = _draw(len(values) * (len(values) - 1) // 2, rng, max_pairs)
    # pairs (0, 1), (0, 2), (1, 2), (0, 3), ...: those before (0, second) are second (second - 1) / 2
    second = ((1 + np.sqrt(1 + 8 * pair.astype(float))) // 2).astype(np.int64)
    first = pair - second * (second - 1) // 2
    return _distances(values[first], values[second])


def distances_between(
    first: np.ndarray, second: np.ndarray, rng: np.random.Generator, max_pairs: int = MAX_PAIRS
) -> np.ndarray:
    """Euclidean distances from each piece of one set to each of another, shapes (n, width) and (m, width).

    Where there are more than `max_pairs` pairs, so many are drawn without replacement.
    """
    pair = _draw(len(first) * len(second), rng, max_pairs)
    return _distances(first[pair // max(1, len(second))], second[pair % max(1, len(second))])


def _draw(n: int, rng: np.random.Generator, at_most: int) -> np.ndarray:
    return np.arange(n) if n <= at_most else np.sort(rng.choice(n, at_most, replace=False))


def _distances(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    # by differences, not by products of matrices: equal pieces are to be at exactly 0
    return np.sqrt(((first - second) ** 2).sum(axis=1))


@dataclass(frozen=True, eq=False)
class Densities:
    """Two densities on one grid.

    Attributes
    ----------
    grid : array, shape (n_points,)
        Equally spaced; or the values that occur, where `step` is 0.
    first, second : array, shape (n_points,)
        Density at each point; or the share of each value, where `step` is 0.
    step : float
        Distance of the points. 0: one of the two sets has no spread, so that it has no density, and the shares of the
        values themselves are compared.
    """

    grid: np.ndarray
    first: np.ndarray
    second: np.ndarray
    step: float

    @classmethod
    def from_samples(cls, first: np.ndarray, second: np.ndarray) -> Densities:
        """The densities of two samples: Gaussian kernels, each sample with its own bandwidth by Scott's rule.

        The bandwidth is the standard deviation times n^(-1/5) (Scott, "Multivariate Density Estimation", 1992).
        Samples are divided between the two nearest points of the grid, which has eight points or more to the smaller
        bandwidth, up to 16,384 points.

        Parameters
        ----------
        first, second : array, shape (n,) and (m,)
            At least one value each.
        """
        if _is_constant(first) or _is_constant(second):
            values, which = np.unique(np.round(np.concatenate([first, second]), 9), return_inverse=True)
            which = which.reshape(-1)
            shares = [
                np.bincount(part, minlength=len(values)) / len(part)
                for part in (which[: len(first)], which[len(first) :])
            ]
            return cls(values, shares[0], shares[1], 0.0)
        widths = [float(sample.std(ddof=1)) * len(sample) ** -0.2 for sample in (first, second)]
        low = min(sample.min() - _MARGIN * width for sample, width in zip((first, second), widths, strict=True))
        high = max(sample.max() + _MARGIN * width for sample, width in zip((first, second), widths, strict=True))
        points = int(np.clip((high - low) / min(widths) * _POINTS_PER_BANDWIDTH, _LEAST_POINTS, _MOST_POINTS))
        grid, step = np.linspace(low, high, points, retstep=True)
        curves = [_density(sample, width, grid, step) for sample, width in zip((first, second), widths, strict=True)]
        return cls(grid, curves[0], curves[1], float(step))

    @cached_property
    def overlapping_area(self) -> float:
        """Area below both densities: 1 for the same, 0 for none in common."""
        return float(np.minimum(self.first, self.second).sum() * (self.step or 1.0))

    @cached_property
    def kl_divergence(self) -> float:
        """Kullback-Leibler divergence of the second from the first, sum of p ln(p / q), in nats.

        Where q is smaller than double precision can hold, it counts as the smallest number that can be: 708 nats is as
        much as this can say.
        """
        p = np.where(self.first > 0, self.first, 1.0)
        ratio = np.log(p) - np.log(np.maximum(self.second, _FLOOR))
        return max(0.0, float((self.first * ratio).sum() * (self.step or 1.0)))


def _is_constant(sample: np.ndarray) -> bool:
    return bool(np.ptp(sample) <= 1e-9 * max(1.0, float(np.abs(sample).max())))


def _density(sample: np.ndarray, width: float, grid: np.ndarray, step: float) -> np.ndarray:
    """Density of the sample on the grid; it sums to 1."""
    at = (sample - grid[0]) / step
    left = np.minimum(at.astype(np.int64), len(grid) - 2)
    part = at - left
    weights = np.bincount(left, 1 - part, len(grid)) + np.bincount(left + 1, part, len(grid))
    reach = min(len(grid) - 1, int(np.ceil(_REACH * width / step)))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) * step / width) ** 2)
    # a sum of positive terms, not a product of transforms: tails keep their precision, and the logarithm sees them
    density = np.convolve(weights, kernel)[reach : reach + len(grid)]
    return density / (density.sum() * step)


@dataclass(frozen=True, eq=False)
class Comparison:
    """A feature of a generated set beside that of a real one.

    Attributes
    ----------
    feature : Feature
    generated, real : array, shape (n, width) and (m, width)
        Of the pieces that have it.
    within_generated, within_real, between : array
        Distances between pieces.
    densities : Densities or None
        Of the distances within the real set, and of those between the sets. None where one of the sets has fewer than
        three pieces with the feature: two have one distance, which has no density.
    """

    feature: Feature
    generated: np.ndarray
    real: np.ndarray
    within_generated: np.ndarray
    within_real: np.ndarray
    between: np.ndarray
    densities: Densities | None

    @property
    def overlapping_area(self) -> float | None:
        return self.densities.overlapping_area if self.densities else None

    @property
    def kl_divergence(self) -> float | None:
        """Of the distances between the sets from those within the real one."""
        return self.densities.kl_divergence if self.densities else None

    @property
    def spread(self) -> float | None:
        """Mean distance between generated pieces over that between real ones; None where the real ones have none."""
        if not len(self.within_generated) or not len(self.within_real) or not self.within_real.any():
            return None
        return float(self.within_generated.mean() / self.within_real.mean())

    @property
    def ratio(self) -> float | None:
        """The generated pieces' mean over that of the real ones, see `summary`; None where there is none."""
        ours, theirs = summary(self, "generated"), summary(self, "real")
        return ours[0] / theirs[0] if ours and theirs and theirs[0] else None

    def misses(self, baseline: float | None = None) -> tuple[str, ...]:
        """Which of `ratio` and `overlapping_area` is far from real music's.

        A ratio misses when it is RATIO_OFF from 1; an area below LEAST_AREA, where that of real music with other real
        music, the `baseline`, is no smaller.
        """
        found = []
        ours, theirs = summary(self, "generated"), summary(self, "real")
        if ours and theirs and abs(ours[0] - theirs[0]) > RATIO_OFF * abs(theirs[0]):
            found.append("ratio")
        area = self.overlapping_area
        if area is not None and area < LEAST_AREA and (baseline is None or area < baseline):
            found.append("overlapping_area")
        return tuple(found)


def compare(
    generated: Mapping[str, np.ndarray], real: Mapping[str, np.ndarray], seed: int = 0, max_pairs: int = MAX_PAIRS
) -> dict[str, Comparison]:
    """Compare two sets of pieces.

    Parameters
    ----------
    generated, real : dict of array, shape (n_pieces, width)
        As `measure` gives them, on one grid.
    seed : int
        Of the sample of pairs, where there are more than `max_pairs` of them.

    Returns
    -------
    comparisons : dict of Comparison
        By the names of FEATURES.
    """
    found = {}
    for at, (name, feature) in enumerate(FEATURES.items()):
        ours, theirs = (values[name][~np.isnan(values[name]).any(axis=1)] for values in (generated, real))
        rng = np.random.default_rng([seed, at])
        within_ours = distances_within(ours, rng, max_pairs)
        within = distances_within(theirs, rng, max_pairs)
        between = distances_between(ours, theirs, rng, max_pairs)
        densities = Densities.from_samples(within, between) if len(ours) > 2 and len(theirs) > 2 else None
        found[name] = Comparison(feature, ours, theirs, within_ours, within, between, densities)
    return found


def mean_overlapping_area(comparisons: Mapping[str, Comparison]) -> float | None:
    """Mean of the overlapping areas of all features that have one."""
    areas = [c.overlapping_area for c in comparisons.values() if c.overlapping_area is not None]
    return float(np.mean(areas)) if areas else None


def usual_share(lengths: Comparison, which: str) -> float | None:
    """Share of a set's pieces whose length lies within the middle 80% of the real ones; None without any."""
    values: np.ndarray = getattr(lengths, which)[:, 0]
    if not len(values) or not len(lengths.real):
        return None
    low, high = np.quantile(lengths.real[:, 0], MIDDLE)
    return float(((values >= low) & (values <= high)).mean())


def summary(comparison: Comparison, which: str) -> tuple[float, float] | None:
    """Mean and standard deviation over the pieces of a set: of a value itself, of a histogram or matrix its entropy.

    Parameters
    ----------
    which : `generated` or `real`

    Returns
    -------
    mean, deviation : the deviation is 0 for one piece; None when no piece has the feature
    """
    values: np.ndarray = getattr(comparison, which)
    if len(values) == 0:
        return None
    numbers = values[:, 0] if comparison.feature.kind == "value" else entropy_bits(values)
    return float(numbers.mean()), float(numbers.std(ddof=1)) if len(numbers) > 1 else 0.0
