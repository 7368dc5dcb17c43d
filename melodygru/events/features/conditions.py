"""The piece's conditions: style, metre and tempo, known before the first event."""

from __future__ import annotations

import math

import numpy as np

from melodygru.events.features.feature import Feature, Region
from melodygru.events.features.piece import Past, Piece
from melodygru.events.vocabulary import Vocabulary

N_CONDITIONS = 3  # columns of `context`
SLOWEST, TEMPOS_AN_OCTAVE, N_TEMPOS = 40.0, 5, 15  # classes of tempos, from 40 to 280 quarter notes per minute


class Conditions(Feature):
    """The style, the first metre and the tempo of the piece, each 0 where it is unknown or the corpus has only one."""

    @staticmethod
    def blocks(vocabulary: Vocabulary) -> dict[str, int]:
        styles, metres = len(vocabulary.styles), len(vocabulary.metres)
        tempos = N_TEMPOS if vocabulary.plans else 0
        return {"style": styles if styles > 1 else 0, "metre": metres if metres > 1 else 0, "tempo": tempos}

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


def tempo_class(qpm: float) -> int:
    """Class in [0, N_TEMPOS) of a tempo in quarter notes per minute."""
    return min(max(round(TEMPOS_AN_OCTAVE * math.log2(qpm / SLOWEST)), 0), N_TEMPOS - 1)


def _ids(piece: Piece | Past, region: Region) -> tuple[int, int, int]:
    """Ids of style, metre and tempo."""
    vocabulary, style, metre = piece.vocabulary, piece.style, piece.metre
    style_id = metre_id = tempo_id = 0
    if len(vocabulary.styles) > 1 and style in vocabulary.styles:
        style_id = region.blocks["style"] + vocabulary.styles.index(style)
    if len(vocabulary.metres) > 1 and metre in vocabulary.metres:
        metre_id = region.blocks["metre"] + vocabulary.metres.index(metre)
    if vocabulary.plans and piece.planned.qpm is not None:
        tempo_id = region.blocks["tempo"] + tempo_class(piece.planned.qpm)
    return style_id, metre_id, tempo_id
