"""What each part played last, and how far its range reaches."""

from __future__ import annotations

import numpy as np

from melodygru.events.features.feature import Feature, Region
from melodygru.events.features.piece import Past, Piece
from melodygru.events.times import N_SPANS
from melodygru.events.vocabulary import DURATION, Vocabulary
from melodygru.music.notes import N_PITCHES, N_PROGRAMS

# The columns, and how many classes each has.
PART_HISTORY = {
    "program": N_PROGRAMS,
    "last_pitch_1": N_PITCHES,
    "last_pitch_2": N_PITCHES,
    "last_span_1": N_SPANS,
    "last_span_2": N_SPANS,
    "range_below": N_PITCHES,
    "range_above": N_PITCHES,
}
_NONE = (0,) * (len(PART_HISTORY) - 1)  # all but the program


class PartHistory(Feature):
    """Of the event's part: its program, its last two pitches, their `span_class`, and its range from the last pitch.

    The range is the semitones down to the lowest pitch so far and up to the highest; it is 0 without `Vocabulary.key`.
    Each is plus 1; 0 is none. Its last note, and its last note of the event's pitch, are pointers to the duration and
    the velocity.
    """

    @staticmethod
    def columns(vocabulary: Vocabulary) -> dict[str, int]:
        return {"part_history": len(PART_HISTORY), "duration_pointers": 2, "velocity_pointers": 2}

    @staticmethod
    def encode(piece: Piece, region: Region, arrays: dict[str, np.ndarray]) -> None:
        history = arrays["part_history"]
        n = len(piece.program)
        history[:n, 0] = piece.program + 1
        history[:, 1] = piece.last_pitch
        history[:, 2] = piece.earlier(piece.pitch, 2)
        history[:, 3] = piece.earlier(piece.span, 1)
        history[:, 4] = piece.earlier(piece.span, 2)
        key = piece.part * N_PITCHES + piece.pitch
        order = np.argsort(key, kind="stable")
        same = key[order[1:]] == key[order[:-1]]
        for name, values in (("duration_pointers", piece.fields[:-1, DURATION]), ("velocity_pointers", piece.velocity)):
            column = region.columns[name]
            arrays[name][:, column] = piece.earlier(values, 1)
            arrays[name][order[1:][same], column + 1] = values[order[:-1][same]] + 1
        if not piece.vocabulary.key:
            return
        for own in piece.notes_of_parts:
            last = piece.pitch[own][:-1]
            history[own[1:], 5] = last - np.minimum.accumulate(last) + 1
            history[own[1:], 6] = np.maximum.accumulate(last) - last + 1

    def __init__(self, past: Past, region: Region) -> None:
        super().__init__(past, region)
        self._key = past.vocabulary.key
        self._histories: dict[int, tuple[int, ...]] = {}
        self._ranges: dict[int, tuple[int, int]] = {}
        # Duration and velocity class, each plus 1, of the last note of each part, and of each part and pitch.
        self._last: dict[int, tuple[int, int]] = {}
        self._same: dict[tuple[int, int], tuple[int, int]] = {}

    def row(self, part: int, program: int) -> tuple[int, ...]:
        """The columns for an event of that part, of that program."""
        return (program + 1, *self._histories.get(part, _NONE))

    def point_note(self, durations: list[int], velocities: list[int], part: int, pitch: int) -> None:
        for duration, velocity in (self._last.get(part, (0, 0)), self._same.get((part, pitch), (0, 0))):
            durations.append(duration)
            velocities.append(velocity)

    def add(self) -> None:
        past = self.past
        part, pitch = past.part, past.pitch
        below = above = 0
        if self._key:
            low, high = self._ranges.get(part, (pitch, pitch))
            low, high = self._ranges[part] = min(low, pitch), max(high, pitch)
            below, above = pitch - low + 1, high - pitch + 1
        last = self._histories.get(part, _NONE)
        self._last[part] = self._same[part, pitch] = (past.duration_class + 1, past.velocity + 1)
        self._histories[part] = (pitch + 1, last[0], past.notes[-1][3] + 1, last[2], below, above)
