"""What the next pitch is measured against: the lowest note that sounds, and the lowest struck since the bar line."""

from __future__ import annotations

import numpy as np

from melodygru.events.features.feature import Feature, Region
from melodygru.events.features.piece import Past, Piece
from melodygru.events.features.sounding import active_pairs
from melodygru.events.vocabulary import Vocabulary
from melodygru.music.notes import DRUMS, N_PITCHES

REFERENCES = ("lowest_sounding", "lowest_in_bar")


class Harmony(Feature):
    """At the onset, the pitches of REFERENCES; drums don't count, and nothing is struck in a bar that isn't known.

    The pitch head gives logits to the pitch classes above each of them, so that a chord looks alike on any root.
    """

    @staticmethod
    def blocks(vocabulary: Vocabulary) -> dict[str, int]:
        return dict.fromkeys(REFERENCES, N_PITCHES)

    @staticmethod
    def columns(vocabulary: Vocabulary) -> dict[str, int]:
        return {"context": len(REFERENCES)}

    @staticmethod
    def encode(piece: Piece, region: Region, arrays: dict[str, np.ndarray]) -> None:
        context, column = arrays["context"], region.columns["context"]
        n = len(piece.pitch)
        lowest = np.full(n + 1, N_PITCHES)
        for event, _, note in active_pairs(piece.end, piece.at):
            sounds = np.flatnonzero((piece.end[note] > piece.at[event]) & piece.is_pitched[note])
            np.minimum.at(lowest, event[sounds], piece.pitch[note[sounds]])
        _fill(context, column, region.blocks["lowest_sounding"], lowest)
        if piece.in_bar is None:
            return
        bar = piece.in_bar.bar
        # Within a bar the lowest so far: bars are put in descending order, each below all that was before.
        struck = np.append(N_PITCHES, np.where(piece.is_pitched, piece.pitch, N_PITCHES))
        of_note = np.append(bar[0], bar[:n])
        in_bar = np.minimum.accumulate(struck - (N_PITCHES + 1) * of_note) + (N_PITCHES + 1) * of_note
        _fill(context, column + 1, region.blocks["lowest_in_bar"], np.where(of_note == bar, in_bar, N_PITCHES))

    def __init__(self, past: Past, region: Region) -> None:
        super().__init__(past, region)
        self._first = tuple(region.blocks[name] for name in REFERENCES)
        self._bar, self._lowest = -1, N_PITCHES  # the bar of the last pitched note, and the lowest struck in it

    def context(self, row: list[int]) -> None:
        past = self.past
        at, programs = past.onset, past.programs
        sounding = [pitch for part, pitch, _, end, _ in past.active if end > at and programs[part] != DRUMS]
        row.append(self._first[0] + min(sounding) if sounding else 0)
        known = past.in_bar is not None and self._bar == past.in_bar[0]
        row.append(self._first[1] + self._lowest if known else 0)

    def add(self) -> None:
        past = self.past
        if past.in_bar is None or past.programs[past.part] == DRUMS:
            return
        bar = past.in_bar[0]
        self._lowest = min(past.pitch, self._lowest) if bar == self._bar else past.pitch
        self._bar = bar


def _fill(context: np.ndarray, column: int, first: int, pitch: np.ndarray) -> None:
    context[:, column] = np.where(pitch < N_PITCHES, first + pitch, 0)
