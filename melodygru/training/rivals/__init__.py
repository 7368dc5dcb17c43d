"""GRU, LSTM and a small Transformer of equal size, trained for the same time on the same music and measured.

Each model has a process of its own, so that its memory can be measured and its failure stays its own. The Transformer
lives here alone: nothing else makes one, and no checkpoint holds one.
"""

from melodygru.training.rivals.contest import Failed, compare
from melodygru.training.rivals.job import Job, Result
from melodygru.training.rivals.sizes import NAMES, SPAN, TransformerSizes, count, equal_sizes

__all__ = ["NAMES", "SPAN", "Failed", "Job", "Result", "TransformerSizes", "compare", "count", "equal_sizes"]
