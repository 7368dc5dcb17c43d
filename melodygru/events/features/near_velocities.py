"""How loud the last notes near an event's pitch were, in music without a beat: a hand plays its line evenly."""

from __future__ import annotations

import numpy as np

from melodygru.events.features.feature import Feature, Region
from melodygru.events.features.piece import Piece
from melodygru.events.vocabulary import Vocabulary

# Intervals from the event's pitch, in semitones, both ends included.
BANDS = ((-2, 2), (3, 7), (-7, -3), (8, 127), (-127, -8))
N_LATEST = 32  # notes that are looked through


class NearVelocities(Feature):
    """For each of BANDS, the last note there among the last few is a pointer to the velocity."""

    @staticmethod
    def columns(vocabulary: Vocabulary) -> dict[str, int]:
        there = vocabulary.models_velocity and not vocabulary.grid.is_metrical
        return {"velocity_pointers": len(BANDS) if there else 0}

    @staticmethod
    def encode(piece: Piece, region: Region, arrays: dict[str, np.ndarray]) -> None:
        pointers, column = arrays["velocity_pointers"], region.columns["velocity_pointers"]
        pitch, velocity = piece.pitch, piece.velocity
        for lag in range(min(N_LATEST, len(pitch) - 1), 0, -1):  # the nearest one is written last, and stays
            band = _BANDS[pitch[:-lag] - pitch[lag:]]
            pointers[np.arange(lag, len(pitch)), column + band] = velocity[:-lag] + 1

    def point_note(self, durations: list[int], velocities: list[int], part: int, pitch: int) -> None:
        found = [0] * len(BANDS)
        left = len(BANDS)
        for _, other, _, velocity in reversed(self.past.values[-N_LATEST:]):
            band = _BAND_OF[other - pitch]
            if not found[band]:
                found[band] = velocity + 1
                left -= 1
                if not left:
                    break
        velocities += found


# The band of each interval; the negative ones are counted from its end.
_INTERVALS = [*range(128), *range(-127, 0)]
_BAND_OF = [next(at for at, (low, high) in enumerate(BANDS) if low <= interval <= high) for interval in _INTERVALS]
_BANDS = np.array(_BAND_OF)
