"""Which shift, programs and end may follow: canonical order, and no end while a note sounds on."""

from __future__ import annotations

import numpy as np

from melodygru.events.features.feature import Feature, Region
from melodygru.events.features.piece import Past, Piece
from melodygru.events.features.sounding import active_counts
from melodygru.events.vocabulary import Vocabulary
from melodygru.music.notes import N_PITCHES


class Legality(Feature):
    """Whether shift 0 is possible; the lowest possible program class; whether END is possible.

    Inside a chord programs ascend, and so do a program's pitches: once none is left above its last, only a higher
    program may follow.
    """

    @staticmethod
    def columns(vocabulary: Vocabulary) -> dict[str, int]:
        return {"legality": 3}

    @staticmethod
    def encode(piece: Piece, region: Region, arrays: dict[str, np.ndarray]) -> None:
        legality, at, program = arrays["legality"], piece.at, piece.program
        full = _nothing_above(piece)
        legality[0] = 1
        legality[1:, 0] = ~(full & (program == piece.vocabulary.size("program") - 1))
        legality[1:, 1] = np.where(piece.shift[1:] == 0, program + full, 1)
        legality[1:, 2] = at[1:] >= np.maximum.accumulate(piece.end)

    def __init__(self, past: Past, region: Region) -> None:
        super().__init__(past, region)
        self._highest = past.vocabulary.size("program") - 1
        self._latest_end = 0

    def _full(self) -> bool:
        """Whether the last note's program has no pitch left above it."""
        past = self.past
        if past.last is None:
            return False
        program, pitch, onset = past.last
        if N_PITCHES - 1 - pitch > len(past.active):
            return False
        above = sum(1 for a in past.active if a[0] == program and a[3] > onset and a[1] > pitch)
        return above == N_PITCHES - 1 - pitch

    def may_join_chord(self, top: int | None = None) -> bool:
        """Whether another note, of program class `top` (default: any) or below, may stand at the last onset."""
        last = self.past.last
        if last is None:
            return True
        top = self._highest if top is None else top
        return last[0] < top or (last[0] == top and not self._full())

    def program_floor(self) -> int:
        """The lowest program class possible."""
        last = self.past.last
        return 1 if last is None or self.past.shift else last[0] + self._full()

    def may_end(self) -> bool:
        """Whether the piece may end at the onset: nothing sounds on."""
        return self._latest_end <= self.past.onset

    def add(self) -> None:
        end = self.past.onset + self.past.duration
        if end > self._latest_end:
            self._latest_end = end


def _nothing_above(piece: Piece) -> np.ndarray:
    """Whether no pitch above each note is left to its program at its onset, shape (n,)."""
    onset, end, program, pitch = piece.onset, piece.end, piece.program, piece.pitch
    full = np.zeros(len(onset), bool)
    counts = active_counts(end, piece.at)[:-1]
    for j in np.flatnonzero(N_PITCHES - 1 - pitch <= counts):  # rare: the very top of the keyboard
        above = (program[:j] == program[j]) & (end[:j] > onset[j]) & (pitch[:j] > pitch[j])
        full[j] = above.sum() == N_PITCHES - 1 - pitch[j]
    return full
