"""The piece's conditions: style and metre, known before the first event."""

from __future__ import annotations

import numpy as np

from melodygru.events.features.feature import Feature, Region
from melodygru.events.features.piece import Past, Piece
from melodygru.events.vocabulary import Vocabulary

N_CONDITIONS = 2  # columns of `context`


class Conditions(Feature):
    """The style and the first metre of the piece, each 0 where it is unknown or the same in the whole corpus."""

    @staticmethod
    def blocks(vocabulary: Vocabulary) -> dict[str, int]:
        styles, metres = len(vocabulary.styles), len(vocabulary.metres)
        return {"style": styles if styles > 1 else 0, "metre": metres if metres > 1 else 0}

    @staticmethod
    def columns(vocabulary: Vocabulary) -> dict[str, int]:
        return {"context": N_CONDITIONS}

    @staticmethod
    def encode(piece: Piece, region: Region, arrays: dict[str, np.ndarray]) -> None:
        first = region.columns["context"]
        arrays["context"][:, first : first + N_CONDITIONS] = _ids(piece, region)

    def __init__(self, past: Past, region: Region) -> None:
        super().__init__(past, region)
        self.ids = _ids(past, region)

    def context(self, row: list[int]) -> None:
        row += self.ids


def _ids(piece: Piece | Past, region: Region) -> tuple[int, int]:
    """Ids of style and metre."""
    vocabulary, style, metre = piece.vocabulary, piece.style, piece.metre
    style_id = metre_id = 0
    if len(vocabulary.styles) > 1 and style in vocabulary.styles:
        style_id = region.blocks["style"] + vocabulary.styles.index(style)
    if len(vocabulary.metres) > 1 and metre in vocabulary.metres:
        metre_id = region.blocks["metre"] + vocabulary.metres.index(metre)
    return style_id, metre_id
