"""Style of pieces, measured from their notes: features of a piece, and sets of pieces compared by them.

real, generated = measure(corpus), measure(pieces)
print(compare(generated, real)["groove_consistency"].overlapping_area)
"""

from melodygru.analysis.style.comparison import (
    MAX_PAIRS,
    Comparison,
    Densities,
    compare,
    distances_between,
    distances_within,
    mean_overlapping_area,
    summary,
)
from melodygru.analysis.style.features import FEATURES, Feature, entropy_bits, measure, piece_features
from melodygru.analysis.style.surveys import Survey, survey

__all__ = [
    "FEATURES",
    "MAX_PAIRS",
    "Comparison",
    "Densities",
    "Feature",
    "Survey",
    "compare",
    "distances_between",
    "distances_within",
    "entropy_bits",
    "mean_overlapping_area",
    "measure",
    "piece_features",
    "summary",
    "survey",
]
