"""The recurrent cells that a model can be made of. A new one is a `Cell` in a file of its own, and a line here."""

from melodygru.model.cells.cell import PARTS, Cell, Weights
from melodygru.model.cells.gru import GRU
from melodygru.model.cells.lstm import LSTM

CELLS: dict[str, Cell] = {"gru": GRU(), "lstm": LSTM()}  # by the names that `--cell` and checkpoints use

__all__ = ["CELLS", "PARTS", "Cell", "Weights"]
