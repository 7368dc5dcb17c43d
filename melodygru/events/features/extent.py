"""How much of the piece is left, where its length in bars is known before the first note."""

from __future__ import annotations

import numpy as np

from melodygru.events.features.feature import Feature, Region
from melodygru.events.features.piece import Past, Piece
from melodygru.events.vocabulary import Vocabulary

LEFT = (*range(17), 20, 24, 32, 48, 64, 96)  # bars left, this one among them: the least of each class; 0: it is over
N_SHARES = 8  # classes of the share of its bars that is behind


class Extent(Feature):
    """Bars left, and the share of the piece that is behind."""

    @staticmethod
    def blocks(vocabulary: Vocabulary) -> dict[str, int]:
        return {"bars_left": len(LEFT), "share_behind": N_SHARES} if vocabulary.plans else {}

    @staticmethod
    def columns(vocabulary: Vocabulary) -> dict[str, int]:
        return {"context": 2 if vocabulary.plans else 0}

    @staticmethod
    def encode(piece: Piece, region: Region, arrays: dict[str, np.ndarray]) -> None:
        if piece.in_bar is None or piece.planned.n_bars is None:
            return
        first = region.columns["context"]
        ids = _ids(piece.planned.n_bars, region)
        arrays["context"][:, first : first + 2] = ids[np.minimum(piece.in_bar.bar, len(ids) - 1)]

    def __init__(self, past: Past, region: Region) -> None:
        super().__init__(past, region)
        n_bars = past.planned.n_bars
        self._ids = None if n_bars is None else _ids(n_bars, region).tolist()

    def context(self, row: list[int]) -> None:
        if self._ids is None or self.past.in_bar is None:
            row += (0, 0)
        else:
            row += self._ids[min(self.past.in_bar[0], len(self._ids) - 1)]


def _ids(n_bars: int, region: Region) -> np.ndarray:
    """The ids in each bar, and beyond the last; shape (n_bars + 1, 2)."""
    bar = np.arange(n_bars + 1)
    left = np.searchsorted(LEFT, n_bars - bar, side="right") - 1
    share = np.minimum(N_SHARES * bar // max(n_bars, 1), N_SHARES - 1)
    return np.stack([region.blocks["bars_left"] + left, region.blocks["share_behind"] + share], 1)
