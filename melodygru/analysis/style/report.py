"""What a comparison of generated with real music says, as rows of a table, remarks, and JSON."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from melodygru.analysis.style.comparison import (
    LEAST_AREA,
    RATIO_OFF,
    Comparison,
    mean_overlapping_area,
    summary,
    usual_share,
)
from melodygru.music.grid import Grid
from melodygru.util.wording import counted, name

HEADINGS = ("", "", "generated", "real", "ratio", "OA", "KL", "spread", "OA", "KL")  # of `Report.rows`
ABSENT = "n/a"
MISSED = "!"  # at the end of a figure that is far from real music's
RATIOS = 1 - RATIO_OFF, 1 + RATIO_OFF
USUAL = "length in real's 80%"


@dataclass(frozen=True)
class Report:
    """Two sets of pieces compared, and real music compared with real music beside it.

    Attributes
    ----------
    found, baseline : dict of feature -> Comparison
        Generated against real music; real music against other real music, the best that can be expected.
    sets : dict
        `generated`, `real` and `reference`: the folder, the pieces and the skipped files of each. A reference of no
        folder is one half of the real pieces `against` the other, drawn with `seed`.
    grid : Grid
    """

    found: dict[str, Comparison]
    baseline: dict[str, Comparison]
    sets: dict[str, dict[str, Any]]
    grid: Grid

    def about(self) -> Iterator[tuple[str, str]]:
        """What was compared: label and text."""
        for which in ("generated", "real"):
            of = self.sets[which]
            yield which, f"{name(of['folder'])}: {_pieces(of)}"
        of = self.sets["reference"]
        if of["folder"] is None:
            halves = f"{of['pieces']:,} of the real pieces against the other {of['against']:,}"
            text = f"{halves} (seed {of['seed']})"
        else:
            text = f"{name(of['folder'])}: {_pieces(of)}, against all real pieces"
        yield "reference", text
        yield "grid", self.grid.describe()

    def rows(self) -> Iterator[tuple[str, ...]]:
        """The table's rows as text, in the columns of HEADINGS; the last two are the reference. See MISSED."""
        for feature_name, comparison in self.found.items():
            feature = comparison.feature
            cells = []
            for which in ("generated", "real"):
                of = summary(comparison, which)
                cells.append(f"{_number(of[0])} ± {_number(of[1])}" if of else ABSENT)
            missed = self.missed(feature_name)
            ratio = ABSENT if comparison.ratio is None else _number(comparison.ratio)
            cells += [
                ratio + MISSED * ("ratio" in missed),
                _share(comparison.overlapping_area) + MISSED * ("overlapping_area" in missed),
                _nats(comparison.kl_divergence),
                _share(comparison.spread),
            ]
            real = self.baseline[feature_name]
            cells += [_share(real.overlapping_area), _nats(real.kl_divergence)]
            yield feature.label, self._unit(comparison), *cells
        usual = self.usual_lengths()
        if usual["ratio"] is not None:
            shares = [_share(usual[key]) for key in ("generated", "real", "ratio")]
            shares[-1] += MISSED * usual["missed"]
            yield USUAL, "share", *shares, *[""] * 5
        means = [_share(mean_overlapping_area(one)) for one in (self.found, self.baseline)]
        yield "mean of all", "", "", "", "", means[0], "", "", means[1], ""

    def missed(self, feature_name: str) -> tuple[str, ...]:
        """Which figures of a feature are far from real music's, see `Comparison.misses`."""
        return self.found[feature_name].misses(self.baseline[feature_name].overlapping_area)

    def usual_lengths(self) -> dict[str, Any]:
        """The shares of the pieces whose length lies within the middle 80% of the real ones, their ratio, `missed`."""
        ours, theirs = (usual_share(self.found["length"], which) for which in ("generated", "real"))
        ratio = ours / theirs if ours is not None and theirs else None
        return {
            "generated": ours,
            "real": theirs,
            "ratio": ratio,
            "missed": ratio is not None and abs(ratio - 1) > RATIO_OFF,
        }

    def remarks(self) -> Iterator[str]:
        """What misses, and why values are absent."""
        low, high = RATIOS
        missed = [one.feature.label for feature_name, one in self.found.items() if self.missed(feature_name)]
        missed += [USUAL] if self.usual_lengths()["missed"] else []
        why = f"a ratio of means outside {low:g}..{high:g}, or an OA below {LEAST_AREA:g} and the reference's"
        named = f" ({', '.join(missed)})" if missed else ""
        yield f"{MISSED} {len(missed)} of {len(self.found) + 1} rows miss: {why}{named}"
        if not self.grid.is_metrical:
            yield f"{ABSENT}: bars can't be compared, for a grid of seconds has none"
        absent = [
            comparison.feature.label
            for comparison in self.found.values()
            if comparison.overlapping_area is None and (self.grid.is_metrical or not comparison.feature.needs_bars)
        ]
        if absent:
            yield f"{ABSENT}: fewer than three generated or real pieces have it ({', '.join(absent)})"
        pairs = [(one, self.baseline[feature_name]) for feature_name, one in self.found.items()]
        if any(one.spread is None and one.overlapping_area is not None for one, _ in pairs):
            yield f"{ABSENT} as spread: the real pieces are all the same in it"
        if any(real.overlapping_area is None and one.overlapping_area is not None for one, real in pairs):
            yield (
                f"{ABSENT} in the reference: each half needs three pieces with the feature; "
                "--reference names other music"
            )

    def as_dict(self) -> dict[str, Any]:
        """All values, ready for JSON."""
        features = {}
        for feature_name, comparison in self.found.items():
            features[feature_name] = {
                "kind": comparison.feature.kind,
                "unit": self._unit(comparison),
                "classes": list(comparison.feature.classes(self.grid)),
                "generated": _summary(comparison, "generated"),
                "real": _summary(comparison, "real"),
                "ratio": comparison.ratio,
                **_measures(comparison),
                "missed": list(self.missed(feature_name)),
                "reference": _measures(self.baseline[feature_name]),
            }
        return {
            **self.sets,
            "grid": str(self.grid),
            "mean_overlapping_area": mean_overlapping_area(self.found),
            "reference_mean_overlapping_area": mean_overlapping_area(self.baseline),
            "limits": {"ratio": list(RATIOS), "overlapping_area": LEAST_AREA},
            "length_in_middle_80%": self.usual_lengths(),
            "features": features,
        }

    def _unit(self, comparison: Comparison) -> str:
        return comparison.feature.unit_on(self.grid) if comparison.feature.kind == "value" else "bits"


def _measures(comparison: Comparison) -> dict[str, float | None]:
    return {key: getattr(comparison, key) for key in ("overlapping_area", "kl_divergence", "spread")}


def _summary(comparison: Comparison, which: str) -> dict[str, Any]:
    """A feature of one set: pieces that have it, mean and deviation of the value or the entropy, mean shares."""
    values = getattr(comparison, which)
    mean, deviation = summary(comparison, which) or (None, None)
    found = {"pieces": len(values), "mean": mean, "deviation": deviation}
    if comparison.feature.kind != "value":
        found["mean_shares"] = values.mean(axis=0).tolist() if len(values) else None
    return found


def _pieces(of: dict[str, Any]) -> str:
    text = counted(of["pieces"], "piece")
    return text + (f", {of['skipped']:,} skipped" if of["skipped"] else "")


def _number(value: float) -> str:
    """Three digits of a value that may be hundreds or hundredths."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _share(value: float | None) -> str:
    return ABSENT if value is None else f"{value:.2f}"


def _nats(value: float | None) -> str:
    return ABSENT if value is None else f"{value:.0f}" if value >= 100 else f"{value:.2f}"
