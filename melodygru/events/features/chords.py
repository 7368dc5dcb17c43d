"""The plan's chords, and how much of the piece is left, where they are known."""

from __future__ import annotations

import numpy as np

from melodygru.events.features.feature import Feature, Region
from melodygru.events.features.piece import Past, Piece
from melodygru.events.planned import N_CHORDS
from melodygru.events.vocabulary import Vocabulary

N_AHEAD = 16  # classes of half bars until the chord changes; more count as the last


class Chords(Feature):
    """The chord of the half bar in which the onset lies, the next other one, and in how many half bars it comes."""

    @staticmethod
    def blocks(vocabulary: Vocabulary) -> dict[str, int]:
        return {"planned_chord": N_CHORDS, "next_chord": N_CHORDS, "chord_ahead": N_AHEAD} if vocabulary.plans else {}

    @staticmethod
    def columns(vocabulary: Vocabulary) -> dict[str, int]:
        return {"context": 3 if vocabulary.plans else 0}

    @staticmethod
    def encode(piece: Piece, region: Region, arrays: dict[str, np.ndarray]) -> None:
        if piece.half_bar is None:
            return
        ids = _ids(piece, region)
        first = region.columns["context"]
        arrays["context"][:, first : first + 3] = ids[np.minimum(piece.half_bar, len(ids) - 1)]

    def __init__(self, past: Past, region: Region) -> None:
        super().__init__(past, region)
        self._ids = _ids(past, region).tolist()

    def context(self, row: list[int]) -> None:
        half = self.past.half_bar
        row += (0, 0, 0) if half is None else self._ids[min(half, len(self._ids) - 1)]


def _ids(piece: Piece | Past, region: Region) -> np.ndarray:
    """The ids of each half bar, and of what lies beyond the last; shape (half bars + 1, 3)."""
    chords = piece.planned.chords
    if chords is None:
        return np.zeros((1, 3), np.int64)
    n, blocks = len(chords), region.blocks
    change = np.append(np.flatnonzero(chords[1:] != chords[:-1]) + 1, n)  # where another one begins, or the end
    following = change[np.searchsorted(change, np.arange(n), side="right")] if n else change[:0]
    next_chord = np.append(chords, 0)[following]
    ids = np.zeros((n + 1, 3), np.int64)
    ids[:n, 0] = blocks["planned_chord"] + chords
    ids[:n, 1] = np.where(following < n, blocks["next_chord"] + next_chord, 0)
    ids[:n, 2] = blocks["chord_ahead"] + np.minimum(following - np.arange(n), N_AHEAD) - 1
    return ids
