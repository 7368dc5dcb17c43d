"""The sizes of a model: presets, and the name, shape and number of its weights. Needs no TensorFlow."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import numpy as np

from melodygru.errors import SettingError
from melodygru.events import Vocabulary, layout_of
from melodygru.model.cells import CELLS
from melodygru.util.schema import Choice, Flag, Integer, Number, entry

DEEP = ("pitch", "duration")  # fields whose heads have a second hidden layer, in a deep architecture
DEEP_FROM = 40_000  # notes of a corpus from which on a second layer helps; in a smaller one it learns by heart


@dataclass(frozen=True)
class Architecture:
    """Sizes of the model and its regularisation, all that is not the vocabulary.

    Parameters
    ----------
    layers, units : the recurrent stack
    embedding : width of the embeddings, the recurrent stack's input
    head : width of each head's hidden layer
    drop_input, drop_layer, drop_head : variational dropout (one mask for all steps) on the recurrent stack's input and
        on each layer's output; dropout on the heads' hidden layers
    cell : one of `cells.CELLS`
    deep : whether the heads of DEEP have a second hidden layer
    """

    layers: int = entry(Integer(1, 32))
    units: int = entry(Integer(1, 16_384))
    embedding: int = entry(Integer(1, 16_384))
    head: int = entry(Integer(1, 16_384))
    drop_input: float = entry(Number(0, 0.99), default=0.1)
    drop_layer: float = entry(Number(0, 0.99), default=0.3)
    drop_head: float = entry(Number(0, 0.99), default=0.3)
    cell: str = entry(Choice(CELLS), default="gru")
    deep: bool = entry(Flag(), default=True)

    def __post_init__(self) -> None:
        if self.cell not in CELLS:
            raise SettingError(f"cell {self.cell!r}: expected one of {', '.join(CELLS)}")

    @classmethod
    def preset(cls, name: str) -> Architecture:
        """One of PRESETS; SettingError names them all."""
        try:
            return PRESETS[name]
        except KeyError:
            raise SettingError(f"preset {name!r}: expected one of {', '.join(PRESETS)}") from None

    def for_corpus(self, n_notes: int) -> Architecture:
        """The same sizes with the dropout, and the depth of the heads, that suit a corpus of so many notes.

        Dropout is 0.6 up to 5,000 notes, 0.4 at 50,000, both of which are trained on many times over, and 0.1 from a
        million on; between these it falls with their logarithm.
        """
        drop = float(np.interp(np.log(max(1, n_notes)), np.log([5e3, 5e4, 1e6]), [0.6, 0.4, 0.1]))
        deep = n_notes >= DEEP_FROM
        return dataclasses.replace(self, drop_input=0.4 * drop, drop_layer=drop, drop_head=drop, deep=deep)


PRESETS = {
    "tiny": Architecture(layers=1, units=128, embedding=64, head=64),
    "small": Architecture(layers=2, units=256, embedding=128, head=128),
    "base": Architecture(layers=2, units=512, embedding=256, head=256),
    "large": Architecture(layers=3, units=768, embedding=384, head=384),
}


@dataclass(frozen=True)
class Weight:
    """A weight of the model: its path in Keras's weight file, and its shape."""

    path: str
    shape: tuple[int, ...]


def weights_of(vocabulary: Vocabulary, architecture: Architecture) -> dict[str, Weight]:
    """Every weight of a model by its name: `bag`, `gru/0/kernel` (or `lstm/0/...`), `head/shift/output/bias`, ..."""
    a = architecture
    weights = _shared_weights(vocabulary, a.embedding, a.head, a.units, a.deep)
    cell = CELLS[a.cell]
    for layer in range(a.layers):
        shapes = cell.shapes(a.units if layer else a.embedding, a.units)
        for index, (part, shape) in enumerate(shapes.items()):
            weights[f"{a.cell}/{layer}/{part}"] = Weight(f"{cell.attribute(layer)}/cell/vars/{index}", shape)
    return weights


def count_parameters(vocabulary: Vocabulary, architecture: Architecture) -> int:
    """Parameters of a model, without making it."""
    return sum(math.prod(weight.shape) for weight in weights_of(vocabulary, architecture).values())


def count_shared_parameters(vocabulary: Vocabulary, embedding: int, head: int, width: int, deep: bool) -> int:
    """Parameters of the embeddings, and of the heads of a body that gives them `width` features."""
    weights = _shared_weights(vocabulary, embedding, head, width, deep)
    return sum(math.prod(weight.shape) for weight in weights.values())


def _shared_weights(vocabulary: Vocabulary, embedding: int, head: int, width: int, deep: bool) -> dict[str, Weight]:
    """The weights of the embeddings and the heads."""
    v, layout = vocabulary, layout_of(vocabulary)
    weights = {"bag": Weight("bag/vars/0", (layout.n_ids, embedding))}
    for field in v.fields:
        for part, group, inputs, outputs in (
            ("hidden", "hidden", width + embedding, head),
            ("output", "output_layer", head, layout.n_outputs(field)),
            *([("second", "second", head, head)] if deep and field in DEEP else []),
        ):
            weights[f"head/{field}/{part}/kernel"] = Weight(f"head_{field}/{group}/vars/0", (inputs, outputs))
            weights[f"head/{field}/{part}/bias"] = Weight(f"head_{field}/{group}/vars/1", (outputs,))
        if field != "shift":
            weights[f"head/{field}/bag"] = Weight(f"head_{field}/bag/vars/0", (layout.head_blocks(field)["end"], head))
    return weights
