"""How many parts may still join the chord: what says whether another note comes at this onset."""

from __future__ import annotations

import numpy as np

from melodygru.events.features.feature import Feature, Region
from melodygru.events.features.piece import Past, Piece
from melodygru.events.vocabulary import Vocabulary

N_OPEN = 8  # classes of their number; more count as the last


class OpenParts(Feature):
    """Before the event, how many of the parts that have played, of those after the last note's, do not sound."""

    @staticmethod
    def blocks(vocabulary: Vocabulary) -> dict[str, int]:
        return {"open_parts": N_OPEN if vocabulary.models_part else 0}

    @staticmethod
    def columns(vocabulary: Vocabulary) -> dict[str, int]:
        return {"before": 1 if vocabulary.models_part else 0}

    @staticmethod
    def encode(piece: Piece, region: Region, arrays: dict[str, np.ndarray]) -> None:
        n_open = np.zeros(len(piece.part), np.int64)  # after each note
        for part, (first, own) in enumerate(zip(piece.firsts, piece.notes_of_parts, strict=True)):
            notes = np.flatnonzero((piece.part < part) & (np.arange(len(piece.part)) > first))
            # A later part at a note's onset hasn't struck it yet: the last of its notes is an earlier one's.
            end = np.maximum.accumulate(piece.end[own])[np.searchsorted(own, notes) - 1]
            n_open[notes] += end <= piece.onset[notes]
        arrays["before"][1:, region.columns["before"]] = region.blocks["open_parts"] + np.minimum(n_open, N_OPEN - 1)

    def __init__(self, past: Past, region: Region) -> None:
        super().__init__(past, region)
        self._first = region.blocks["open_parts"]

    def before(self, row: list[int]) -> None:
        past = self.past
        if past.last is None:
            row.append(0)
            return
        part, _, onset = past.last
        n_open = sum(end <= onset for end in past.ends[part + 1 :])
        row.append(self._first + (n_open if n_open < N_OPEN else N_OPEN - 1))
