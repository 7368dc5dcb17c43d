"""For each of several parts, which earlier passage of its own its last notes go along with, at any pitch."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from melodygru.events.features.feature import Feature, Region
from melodygru.events.features.piece import Past, Piece
from melodygru.events.vocabulary import DURATION, Vocabulary
from melodygru.music.notes import DRUMS, N_PITCHES
from melodygru.music.passages import N_EXPECTED, N_RUNS, Bags, Follower, followed

SURE = 4 * N_RUNS  # `Follower.agreed` from which on a passage is sure: 8 of the part's last 16 notes were expected
N_SURE = 2  # a passage is sure or not


class PartAlignment(Feature):
    """The notes of earlier passages that are due at the event's onset, as pointers.

    As `Alignment`, but each part follows a passage of its own: what accompanies it may be another. What the passage has
    at other places is no pointer: music with a beat repeats itself in time, and grooves fall apart without that. A
    pointer is one of two, that of a passage that is sure or that of another. Drums are not moved to other pitches.
    """

    @staticmethod
    def columns(vocabulary: Vocabulary) -> dict[str, int]:
        n = len(vocabulary.alignment_orders) if vocabulary.models_part else 0
        return {
            "pitch_pointers": N_SURE * N_EXPECTED * n,
            "duration_pointers": N_SURE * n,
            "velocity_pointers": N_SURE * n * vocabulary.models_velocity,
        }

    @staticmethod
    def encode(piece: Piece, region: Region, arrays: dict[str, np.ndarray]) -> None:
        for level, order in enumerate(piece.vocabulary.alignment_orders):
            first = {array: column + level * _WIDTHS[array] for array, column in region.columns.items()}
            for part, program in enumerate(piece.part_programs.tolist()):
                _encode_part(piece, piece.notes_of_parts[part], program == DRUMS, order, first, arrays)

    def __init__(self, past: Past, region: Region) -> None:
        super().__init__(past, region)
        self._orders = past.vocabulary.alignment_orders
        self._lines: dict[int, list[_Line]] = {}  # of each part and order

    def point_pitch(self, row: list[int], part: int) -> None:
        for line in self._lines.get(part) or (None,) * len(self._orders):
            found = [0] * (N_SURE * N_EXPECTED)
            if line is not None:
                first = N_EXPECTED * line.sure
                for rank, note in line.due(self.past.onset):
                    pitch = line.pitches[note] + line.follower.moved
                    if 0 <= pitch < N_PITCHES:
                        found[first + rank] = pitch + 1
            row += found

    def point_note(self, durations: list[int], velocities: list[int], part: int, pitch: int) -> None:
        for line in self._lines.get(part) or (None,) * len(self._orders):
            duration, velocity = [0] * N_SURE, [0] * N_SURE
            if line is not None:
                source, sure = pitch - line.follower.moved, line.sure
                for _, note in line.due(self.past.onset):
                    if line.pitches[note] == source:
                        duration[sure], velocity[sure] = (value + 1 for value in line.values[note])
                        break
            durations += duration
            if self.past.vocabulary.models_velocity:
                velocities += velocity

    def add(self) -> None:
        past = self.past
        lines = self._lines.get(past.part)
        if lines is None:
            fixed = past.programs[past.part] == DRUMS
            lines = self._lines[past.part] = [_Line.new(order, fixed) for order in self._orders]
        for line in lines:
            line.pitches.append(past.pitch)
            line.onsets.append(past.onset)
            line.values.append((past.duration_class, past.velocity))
            line.follower.add(line.pitches, len(line.pitches) - 1, *line.bags.add(line.pitches))

    def copy(self, past: Past) -> Feature:
        other = super().copy(past)
        assert isinstance(other, PartAlignment)
        other._lines = {part: [line.copy() for line in lines] for part, lines in self._lines.items()}
        return other


class _Line(NamedTuple):
    """The notes of a part so far, and the passage that it follows."""

    bags: Bags
    follower: Follower
    pitches: list[int]
    onsets: list[int]
    values: list[tuple[int, int]]  # classes of duration and velocity

    @classmethod
    def new(cls, order: int, fixed: bool) -> _Line:
        return cls(Bags(order, fixed), Follower(), [], [], [])

    @property
    def sure(self) -> bool:
        """Whether the passage is."""
        return self.follower.agreed >= SURE

    def due(self, step: int) -> list[tuple[int, int]]:
        """Which of the notes that the follower expects are due at a step: their ranks and the notes."""
        follower, onsets = self.follower, self.onsets
        if not follower.expected:
            return []
        at = onsets[follower.source] + step - onsets[follower.own]
        return [(rank, note) for rank, note in enumerate(follower.expected) if onsets[note] == at]

    def copy(self) -> _Line:
        bags, follower, pitches, onsets, values = self
        return _Line(bags.copy(), follower.copy(), pitches.copy(), onsets.copy(), values.copy())


_WIDTHS = {"pitch_pointers": N_SURE * N_EXPECTED, "duration_pointers": N_SURE, "velocity_pointers": N_SURE}


def _encode_part(
    piece: Piece, notes: np.ndarray, fixed: bool, order: int, first: dict[str, int], arrays: dict[str, np.ndarray]
) -> None:
    """Fill the columns, which begin at `first`, of a part's events."""
    pitch, onset = piece.pitch[notes], piece.onset[notes]
    expected, states = followed(pitch, order, fixed)
    expected, (moved, agreed, source, own) = expected[:-1], states[:, :-1]
    awaited, sure = np.maximum(expected, 0), (agreed >= SURE).astype(np.int64)
    would = pitch[awaited] + moved[:, None]
    due = (expected >= 0) & (onset[awaited] - onset[source][:, None] == (onset - onset[own])[:, None])
    event, rank = np.nonzero(due & (would >= 0) & (would < N_PITCHES))
    column = first["pitch_pointers"] + N_EXPECTED * sure[event] + rank
    arrays["pitch_pointers"][notes[event], column] = would[event, rank] + 1
    struck = due & (would == pitch[:, None])
    event = np.flatnonzero(struck.any(1))
    found = notes[awaited[event, struck[event].argmax(1)]]
    arrays["duration_pointers"][notes[event], first["duration_pointers"] + sure[event]] = (
        piece.fields[found, DURATION] + 1
    )
    if piece.vocabulary.models_velocity:
        arrays["velocity_pointers"][notes[event], first["velocity_pointers"] + sure[event]] = piece.velocity[found] + 1
