"""What each program played last, and how far its range reaches."""

from __future__ import annotations

import numpy as np

from melodygru.events.features.feature import Feature, Region
from melodygru.events.features.piece import Past, Piece
from melodygru.events.times import N_SPANS
from melodygru.events.vocabulary import Vocabulary
from melodygru.music.notes import N_PITCHES

# The columns, and how many classes each has.
PROGRAM_HISTORY = {
    "last_pitch_1": N_PITCHES,
    "last_pitch_2": N_PITCHES,
    "last_span_1": N_SPANS,
    "last_span_2": N_SPANS,
    "range_below": N_PITCHES,
    "range_above": N_PITCHES,
}
_NONE = (0,) * len(PROGRAM_HISTORY)


class ProgramHistory(Feature):
    """Of the event's program: its last two pitches, their `span_class`, and its range, relative to the last pitch.

    The range is the semitones down to the lowest pitch so far and up to the highest; it is 0 without `Vocabulary.key`.
    Each is plus 1; 0 is none.
    """

    @staticmethod
    def columns(vocabulary: Vocabulary) -> dict[str, int]:
        return {"program_history": len(PROGRAM_HISTORY)}

    @staticmethod
    def encode(piece: Piece, region: Region, arrays: dict[str, np.ndarray]) -> None:
        history = arrays["program_history"]
        history[:, 0] = piece.last_pitch
        history[:, 1] = piece.earlier(piece.pitch, 2)
        history[:, 2] = piece.earlier(piece.span, 1)
        history[:, 3] = piece.earlier(piece.span, 2)
        if not piece.vocabulary.key:
            return
        for program in np.unique(piece.program):
            own = np.flatnonzero(piece.program == program)
            last = piece.pitch[own][:-1]
            history[own[1:], 4] = last - np.minimum.accumulate(last) + 1
            history[own[1:], 5] = np.maximum.accumulate(last) - last + 1

    def __init__(self, past: Past, region: Region) -> None:
        super().__init__(past, region)
        self._key = past.vocabulary.key
        self._histories: dict[int, tuple[int, ...]] = {}
        self._ranges: dict[int, tuple[int, int]] = {}

    def row(self, program_class: int) -> tuple[int, ...]:
        """The columns for an event of that program."""
        return self._histories.get(program_class, _NONE)

    def add(self) -> None:
        past = self.past
        program_class, pitch = past.program_class, past.pitch
        below = above = 0
        if self._key:
            low, high = self._ranges.get(program_class, (pitch, pitch))
            low, high = self._ranges[program_class] = min(low, pitch), max(high, pitch)
            below, above = pitch - low + 1, high - pitch + 1
        last = self._histories.get(program_class, _NONE)
        self._histories[program_class] = (pitch + 1, last[0], past.notes[-1][3] + 1, last[2], below, above)
