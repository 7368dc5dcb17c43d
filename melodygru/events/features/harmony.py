"""What the next pitch is measured against: the lowest note that sounds, the lowest of the bar, the chord's root."""

from __future__ import annotations

import numpy as np

from melodygru.events.features.feature import Feature, Region
from melodygru.events.features.piece import Past, Piece
from melodygru.events.features.sounding import active_pairs
from melodygru.events.planned import root_of
from melodygru.events.vocabulary import Vocabulary
from melodygru.music.notes import DRUMS, N_PITCHES

REFERENCES = ("lowest_sounding", "lowest_in_bar", "chord_root")


class Harmony(Feature):
    """At the onset, the pitches of REFERENCES: the lowest that sounds, the lowest struck since the bar line, and the
    pitch class of the plan's chord. Drums don't count, and nothing is struck in a bar that isn't known.

    The pitch head gives logits to the pitch classes above each of them, so that a chord looks alike on any root.
    """

    @staticmethod
    def blocks(vocabulary: Vocabulary) -> dict[str, int]:
        return {"lowest_sounding": N_PITCHES, "lowest_in_bar": N_PITCHES, "chord_root": 12 if vocabulary.plans else 0}

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
        if piece.half_bar is not None:
            roots = _roots(piece, region)
            context[:, column + 2] = roots[np.minimum(piece.half_bar, len(roots) - 1)]
        bar = piece.in_bar.bar
        # Within a bar the lowest so far: bars are put in descending order, each below all that was before.
        struck = np.append(N_PITCHES, np.where(piece.is_pitched, piece.pitch, N_PITCHES))
        of_note = np.append(bar[0], bar[:n])
        in_bar = np.minimum.accumulate(struck - (N_PITCHES + 1) * of_note) + (N_PITCHES + 1) * of_note
        _fill(context, column + 1, region.blocks["lowest_in_bar"], np.where(of_note == bar, in_bar, N_PITCHES))

    def __init__(self, past: Past, region: Region) -> None:
        super().__init__(past, region)
        self._first = tuple(region.blocks[name] for name in REFERENCES)
        self._roots = _roots(past, region).tolist()
        self._bar, self._lowest = -1, N_PITCHES  # the bar of the last pitched note, and the lowest struck in it

    def context(self, row: list[int]) -> None:
        past = self.past
        at, programs = past.onset, past.programs
        sounding = [pitch for part, pitch, _, end, _ in past.active if end > at and programs[part] != DRUMS]
        row.append(self._first[0] + min(sounding) if sounding else 0)
        known = past.in_bar is not None and self._bar == past.in_bar[0]
        row.append(self._first[1] + self._lowest if known else 0)
        half = past.half_bar
        row.append(0 if half is None else self._roots[min(half, len(self._roots) - 1)])

    def add(self) -> None:
        past = self.past
        if past.in_bar is None or past.programs[past.part] == DRUMS:
            return
        bar = past.in_bar[0]
        self._lowest = min(past.pitch, self._lowest) if bar == self._bar else past.pitch
        self._bar = bar


def _roots(piece: Piece | Past, region: Region) -> np.ndarray:
    """The id of the root of the chord of each half bar, and of what lies beyond the last; 0 is none."""
    chords = piece.planned.chords
    if chords is None or not piece.vocabulary.plans:
        return np.zeros(1, np.int64)
    return np.append(np.where(chords > 0, region.blocks["chord_root"] + root_of(chords), 0), 0)


def _fill(context: np.ndarray, column: int, first: int, pitch: np.ndarray) -> None:
    context[:, column] = np.where(pitch < N_PITCHES, first + pitch, 0)
