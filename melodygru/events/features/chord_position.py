"""How many notes of the event's chord stand already."""

from __future__ import annotations

import numpy as np

from melodygru.events.features.feature import Feature, Region
from melodygru.events.features.piece import Past, Piece
from melodygru.events.vocabulary import Vocabulary

N_CHORD_POSITIONS = 8  # what is higher counts as the last


class ChordPosition(Feature):
    """Notes that stand at the event's onset already."""

    @staticmethod
    def blocks(vocabulary: Vocabulary) -> dict[str, int]:
        return {"chord": N_CHORD_POSITIONS}

    @staticmethod
    def columns(vocabulary: Vocabulary) -> dict[str, int]:
        return {"context": 1}

    @staticmethod
    def encode(piece: Piece, region: Region, arrays: dict[str, np.ndarray]) -> None:
        index = np.arange(len(piece.at))
        begins = np.append(True, piece.shift[1:] > 0)
        position = index - np.maximum.accumulate(np.where(begins, index, 0))
        column = region.columns["context"]
        arrays["context"][:, column] = region.blocks["chord"] + np.minimum(position, N_CHORD_POSITIONS - 1)

    def __init__(self, past: Past, region: Region) -> None:
        super().__init__(past, region)
        self._first = region.blocks["chord"]

    def context(self, row: list[int]) -> None:
        position = self.past.in_chord
        row.append(self._first + (position if position < N_CHORD_POSITIONS else N_CHORD_POSITIONS - 1))
