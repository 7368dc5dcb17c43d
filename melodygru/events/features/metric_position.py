"""Where an event's onset lies in its bar, its beat and its phrase."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from melodygru.events.features.feature import Feature, Region, point
from melodygru.events.features.piece import Past, Piece
from melodygru.events.times import TIMES, time_of
from melodygru.events.vocabulary import Vocabulary

N_POSITIONS = 192  # classes of positions in a bar; longer bars share them
N_BARS = 8  # bars are counted modulo a phrase of eight
BEAT_PARTS = (1, 2, 4)  # of a beat: places that a shift and a duration may point to, beside the next bar line
PHRASE, N_PHRASES = 4, 32  # and in phrases of four bars since the beginning; what is later counts as the last


class MetricPosition(Feature):
    """Position in the bar, phase in the quarter note, bar in eight, and phrase; all 0 without a beat.

    Where the metre isn't known, the phase alone is. The next bar line, beat, half and quarter of a beat are pointers to
    the shift, from the last onset, and to the duration, from the event's.
    """

    @staticmethod
    def blocks(vocabulary: Vocabulary) -> dict[str, int]:
        if not vocabulary.grid.is_metrical:
            return {"position": 0, "phase": 0, "bar": 0, "phrase": 0}
        return {"position": N_POSITIONS, "phase": _phases(vocabulary), "bar": N_BARS, "phrase": N_PHRASES}

    @staticmethod
    def columns(vocabulary: Vocabulary) -> dict[str, int]:
        n = len(_units(vocabulary))
        return {"context": 4, "shift_pointers": n, "duration_pointers": n}

    @staticmethod
    def encode(piece: Piece, region: Region, arrays: dict[str, np.ndarray]) -> None:
        grid, blocks, context, column = (
            piece.vocabulary.grid,
            region.blocks,
            arrays["context"],
            region.columns["context"],
        )
        if not grid.is_metrical:
            return
        context[:, column + 1] = blocks["phase"] + piece.at % _phases(piece.vocabulary)
        if piece.in_bar is not None:
            bar, position, size = piece.in_bar
            position = np.where(size > N_POSITIONS, position * N_POSITIONS // size, position)
            context[:, column] = blocks["position"] + position
            context[:, column + 2] = blocks["bar"] + bar % N_BARS
            context[:, column + 3] = blocks["phrase"] + np.minimum(bar // PHRASE, N_PHRASES - 1)
        events = np.arange(len(piece.at))
        for rank, unit in enumerate(_units(piece.vocabulary)):
            if unit:
                left = unit - piece.at % unit
            elif piece.in_bar is not None:
                left = piece.in_bar.size - piece.in_bar.position
            else:
                continue
            classes = TIMES.encode(np.minimum(left, TIMES.maximum))
            point(arrays, region, "shift", rank, events[1:], classes[:-1])
            point(arrays, region, "duration", rank, events[:-1], classes[:-1])

    def __init__(self, past: Past, region: Region) -> None:
        super().__init__(past, region)
        grid = past.vocabulary.grid
        self._metrical, self._phases = grid.is_metrical, _phases(past.vocabulary)
        self._units = _units(past.vocabulary)
        self._position, self._phase, self._bar, self._phrase = (
            region.blocks[name] for name in ("position", "phase", "bar", "phrase")
        )

    def point_shift(self, row: list[int]) -> None:
        row += self._to_next() if self.past.notes else (0,) * len(self._units)

    def point_note(self, durations: list[int], velocities: list[int], part: int, pitch: int) -> None:
        durations += self._to_next()

    def _to_next(self) -> tuple[int, ...]:
        """Classes, plus 1, of the steps from the onset to the next of each unit."""
        left = 0
        if self.past.in_bar is not None:
            _, position, size = self.past.in_bar
            left = size - position
        return _pointed(self._units, self.past.onset % self._phases, left)

    def context(self, row: list[int]) -> None:
        at = self.past.onset
        phase = self._phase + at % self._phases if self._metrical else 0
        if self.past.in_bar is None:
            row += (0, phase, 0, 0)
            return
        bar, position, size = self.past.in_bar
        if size > N_POSITIONS:
            position = position * N_POSITIONS // size
        phrase = bar // PHRASE
        row += (
            self._position + position,
            phase,
            self._bar + bar % N_BARS,
            self._phrase + (phrase if phrase < N_PHRASES else N_PHRASES - 1),
        )


@lru_cache
def _units(vocabulary: Vocabulary) -> tuple[int, ...]:
    """Steps of what may be pointed to; 0 is a bar, and a single step is nothing to point to."""
    beat = vocabulary.grid.steps_per_beat
    if beat is None:
        return ()
    return (0, *(int(beat / parts) for parts in BEAT_PARTS if beat % parts == 0 and beat > parts))


@lru_cache
def _pointed(units: tuple[int, ...], phase: int, left: int) -> tuple[int, ...]:
    """Classes, plus 1, of the steps to the next of each unit, at a phase of a beat and so many before the bar's end."""
    steps = [unit - phase % unit if unit else min(left, TIMES.maximum) for unit in units]
    return tuple(time_of(each) + 1 if each else 0 for each in steps)


def _phases(vocabulary: Vocabulary) -> int:
    """Classes of a step's position in a quarter note; 1 where a step is longer than one, or there is no beat."""
    return max(1, int(vocabulary.grid.steps_per_beat or 1))
