"""Sizes of the models that are compared, chosen so that all have the same number of parameters."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

from melodygru.errors import SettingError
from melodygru.events import Vocabulary
from melodygru.model.architecture import Architecture, count_parameters, count_shared_parameters
from melodygru.model.cells import CELLS

NAMES = {**{name: cell.label for name, cell in CELLS.items()}, "transformer": "Transformer"}
SPAN = 512  # events that a layer of the Transformer attends to, the present one among them
HEADS = 4
MORE_LAYERS = 2  # that the Transformer has than the GRU: it is slower to deepen a GRU
EVEN = 8  # widths are multiples of it: processors like them, and each head needs pairs of numbers to rotate


@dataclass(frozen=True)
class TransformerSizes:
    """Sizes of the Transformer and its regularisation; what is not named here is as in `Architecture`.

    Parameters
    ----------
    layers : blocks, each attention and a feed-forward net
    units : width of the blocks, a multiple of twice `heads`
    hidden : width of the feed-forward nets' hidden layers
    heads : attention heads
    span : events that a layer attends to, the present one among them
    drop_layer : dropout on what each half of a block adds
    """

    layers: int
    units: int
    hidden: int
    embedding: int
    head: int
    heads: int = HEADS
    span: int = SPAN
    drop_input: float = 0.1
    drop_layer: float = 0.3
    drop_head: float = 0.3
    deep: bool = True


def count(vocabulary: Vocabulary, sizes: Architecture | TransformerSizes) -> int:
    """Parameters of a model."""
    if isinstance(sizes, Architecture):
        return count_parameters(vocabulary, sizes)
    w, f = sizes.units, sizes.hidden
    block = 4 * w * w + 4 * w + 2 * w * f + f + w  # attention: query, key, value, output; two dense layers
    body = sizes.embedding * w + w + sizes.layers * block
    return body + count_shared_parameters(vocabulary, sizes.embedding, sizes.head, w, sizes.deep)


def equal_sizes(
    vocabulary: Vocabulary, gru: Architecture, names: Iterable[str] = tuple(NAMES)
) -> dict[str, Architecture | TransformerSizes]:
    """Sizes of each model named, with as many parameters as the GRU has, to within 2%.

    Embeddings, heads and dropout are the GRU's; what differs is the body between them.

    Parameters
    ----------
    gru : Architecture with cell "gru"
    names : of NAMES
    """
    made: dict[str, Callable[[], Architecture | TransformerSizes]] = {
        **{cell: partial(_recurrent, vocabulary, gru, cell) for cell in CELLS},
        "transformer": lambda: _transformer(vocabulary, gru),
    }
    unknown = [name for name in names if name not in made]
    if unknown:
        raise SettingError(f"model {unknown[0]!r}: expected some of {', '.join(NAMES)}")
    return {name: made[name]() for name in names}


def _recurrent(vocabulary: Vocabulary, gru: Architecture, cell: str) -> Architecture:
    """A stack of another cell, as deep as the GRU's; an even width if that comes within 1%, else the nearest."""
    if cell == gru.cell:
        return gru
    target = count(vocabulary, gru)

    def distance(units: int) -> int:
        return abs(count(vocabulary, dataclasses.replace(gru, cell=cell, units=units)) - target)

    widest = 2 * gru.units  # enough for a cell with a third of a GRU's blocks
    even = min(range(EVEN, widest + EVEN + 1, EVEN), key=distance)
    units = even if distance(even) <= 0.01 * target else min(range(1, widest + 1), key=distance)
    return dataclasses.replace(gru, cell=cell, units=units)


def _transformer(vocabulary: Vocabulary, gru: Architecture) -> TransformerSizes:
    """The Transformer whose feed-forward nets are about four times as wide as its blocks, as is usual."""
    target = count(vocabulary, gru)

    def of_width(units: int, hidden: int) -> TransformerSizes:
        return TransformerSizes(
            layers=gru.layers + MORE_LAYERS,
            units=units,
            hidden=hidden,
            embedding=gru.embedding,
            head=gru.head,
            drop_input=gru.drop_input,
            drop_layer=gru.drop_layer,
            drop_head=gru.drop_head,
            deep=gru.deep,
        )

    units = min(
        range(EVEN, 2 * gru.units + EVEN + 1, EVEN), key=lambda w: abs(count(vocabulary, of_width(w, 4 * w)) - target)
    )
    sizes = of_width(units, 4 * units)
    missing = target - count(vocabulary, sizes)
    return of_width(units, max(1, 4 * units + round(missing / (sizes.layers * (2 * units + 1)))))
