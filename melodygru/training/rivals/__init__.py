"""GRU, LSTM and a small Transformer of equal size, trained for the same time on the same music and measured.

Each model has a process of its own, so that its memory can be measured and its failure stays its own. The Transformer
lives here alone: nothing else makes one, and no checkpoint holds one.
"""

from melodygru.util.lazy import offered

_OFFERED = {
    "contest": ("Failed", "compare"),
    "job": ("Job", "Result"),
    "sizes": ("NAMES", "SPAN", "TransformerSizes", "count", "equal_sizes"),
}

__all__ = [name for names in _OFFERED.values() for name in names]

__getattr__, __dir__ = offered(__name__, _OFFERED)
