"""The event before: its fields, and the interval that its part went."""

from __future__ import annotations

import numpy as np

from melodygru.events.features.feature import Feature, Region
from melodygru.events.features.piece import Past, Piece
from melodygru.events.times import N_INTERVALS, TIMES, motion_class
from melodygru.events.vocabulary import DURATION, N_VELOCITIES, SHIFT, VELOCITY, Vocabulary
from melodygru.music.notes import N_PITCHES


class PreviousEvent(Feature):
    """Shift, program with pitch, program with duration, velocity and motion of the last note; or the start's id.

    Its duration is a pointer to the shift: a note often begins where the one before ends.
    """

    @staticmethod
    def blocks(vocabulary: Vocabulary) -> dict[str, int]:
        slots = vocabulary.n_program_slots
        return {
            "start": 1,
            "shift": TIMES.size,
            "note": slots * N_PITCHES,
            "duration": slots * TIMES.size,
            "velocity": N_VELOCITIES if vocabulary.models_velocity else 0,
            "motion": slots * N_INTERVALS,
        }

    @staticmethod
    def columns(vocabulary: Vocabulary) -> dict[str, int]:
        return {"previous": 5, "shift_pointers": 1}

    @staticmethod
    def encode(piece: Piece, region: Region, arrays: dict[str, np.ndarray]) -> None:
        blocks, fields, slot, previous = region.blocks, piece.fields[:-1], piece.slot, arrays["previous"]
        previous[0, 0] = blocks["start"]
        arrays["shift_pointers"][1:, region.columns["shift_pointers"]] = fields[:, DURATION] + 1
        previous[1:, 0] = blocks["shift"] + fields[:, SHIFT]
        previous[1:, 1] = blocks["note"] + slot * N_PITCHES + piece.pitch
        previous[1:, 2] = blocks["duration"] + slot * TIMES.size + fields[:, DURATION]
        if piece.vocabulary.models_velocity:
            previous[1:, 3] = blocks["velocity"] + fields[:, VELOCITY]
        motion = motion_class(piece.pitch, piece.last_pitch[:-1])
        previous[1:, 4] = np.where(motion == 0, 0, blocks["motion"] + slot * N_INTERVALS + motion - 1)

    def __init__(self, past: Past, region: Region) -> None:
        super().__init__(past, region)
        self._start = region.blocks["start"]
        self._shift, self._note, self._duration, self._motion = (
            region.blocks[name] for name in ("shift", "note", "duration", "motion")
        )
        self._velocity = region.blocks["velocity"] if past.vocabulary.models_velocity else None

    def point_shift(self, row: list[int]) -> None:
        row.append(self.past.duration_class + 1 if self.past.notes else 0)

    def row(self, velocity: int) -> list[int]:
        """The ids, after a note of that velocity class."""
        past = self.past
        if past.last is None:
            return [self._start, 0, 0, 0, 0]
        slot, motion = past.slot, past.motion
        return [
            self._shift + past.shift_class,
            self._note + slot * N_PITCHES + past.pitch,
            self._duration + slot * TIMES.size + past.duration_class,
            0 if self._velocity is None else self._velocity + velocity,
            self._motion - 1 + slot * N_INTERVALS + motion if motion else 0,
        ]
