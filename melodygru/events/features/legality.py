"""Which shift, parts and end may follow: canonical order, and no end while a note sounds on."""

from __future__ import annotations

import numpy as np

from melodygru.events.features.feature import Feature, Region
from melodygru.events.features.piece import Past, Piece
from melodygru.events.features.sounding import active_counts
from melodygru.events.vocabulary import END, FIRST_PART, MAX_PARTS, NEW, Vocabulary
from melodygru.music.notes import N_PITCHES, N_PROGRAMS

N_COLUMNS = 5
_NUMBERS = np.arange(max(N_PROGRAMS, MAX_PARTS))


class Legality(Feature):
    """What may follow, as five numbers.

    Whether shift 0 is possible; at the onset, whether END is; the lowest possible part and one past the highest, of
    those that have played; and the lowest program that a new part may have, N_PROGRAMS where none may come in.

    Inside a chord parts ascend, and so do a part's pitches: once none is left above its last, only a higher part may
    follow. New parts are numbered by (onset, program), so that those which come in at one onset have programs that
    never fall.
    """

    @staticmethod
    def columns(vocabulary: Vocabulary) -> dict[str, int]:
        return {"legality": N_COLUMNS}

    @staticmethod
    def encode(piece: Piece, region: Region, arrays: dict[str, np.ndarray]) -> None:
        legality, at, part, vocabulary = arrays["legality"], piece.at, piece.part, piece.vocabulary
        most = max(1, vocabulary.parts)
        full = _nothing_above(piece)
        n_parts = np.cumsum(np.isin(np.arange(len(at)), piece.firsts + 1))  # that have played before each event
        legality[0, :2] = 1
        legality[1:, 0] = ~(full & (part == most - 1))
        legality[1:, 1] = at[1:] >= np.maximum.accumulate(piece.end)
        in_chord = piece.shift[1:] == 0
        legality[1:, 2] = np.where(in_chord, part + full, 0)
        if not vocabulary.models_part:
            legality[:, 3], legality[:, 4] = 1, N_PROGRAMS
            return
        legality[:, 3] = n_parts
        newest = n_parts[1:] - 1
        came_in = in_chord & (at[piece.firsts[newest]] == at[1:])
        legality[1:, 4] = np.where(came_in, piece.part_programs[newest], 0)
        legality[n_parts == most, 4] = N_PROGRAMS

    def __init__(self, past: Past, region: Region) -> None:
        super().__init__(past, region)
        self._most = max(1, past.vocabulary.parts)
        self._latest_end = 0

    def is_full(self) -> bool:
        """Whether the last note's part has no pitch left above it."""
        past = self.past
        if past.last is None:
            return False
        part, pitch, onset = past.last
        if N_PITCHES - 1 - pitch > len(past.active):
            return False
        above = sum(1 for a in past.active if a[0] == part and a[3] > onset and a[1] > pitch)
        return above == N_PITCHES - 1 - pitch

    def may_join_chord(self) -> bool:
        """Whether another note may stand at the last onset."""
        last = self.past.last
        return last is None or last[0] < self._most - 1 or not self.is_full()

    def may_come_in(self, program: int) -> bool:
        """Whether a new part of a program may stand at the last onset."""
        past = self.past
        if len(past.programs) == self._most:
            return False
        return past.last is None or past.newest != past.last[2] or program >= past.programs[-1]

    def row(self) -> tuple[int, int, int]:
        """At the onset: the lowest part, one past the highest, and the lowest program of a new one."""
        past = self.past
        last, n_parts = past.last, len(past.programs)
        in_chord = last is not None and not past.shift
        floor = last[0] + self.is_full() if last is not None and in_chord else 0
        if not past.vocabulary.models_part:
            return floor, 1, N_PROGRAMS
        program = past.programs[-1] if in_chord and past.newest == past.onset else 0
        return floor, n_parts, program if n_parts < self._most else N_PROGRAMS

    def may_end(self) -> bool:
        """Whether the piece may end at the onset: nothing sounds on."""
        return self._latest_end <= self.past.onset

    def add(self) -> None:
        end = self.past.onset + self.past.duration
        if end > self._latest_end:
            self._latest_end = end


def possible_parts(vocabulary: Vocabulary, legality: np.ndarray) -> np.ndarray:
    """Which part classes may follow, shape (n, classes), bool, of rows of `Events.legality`, shape (n, 5)."""
    possible = np.empty((len(legality), vocabulary.size("part")), bool)
    may_end, floor, top, program = (legality[:, column, None] for column in range(1, N_COLUMNS))
    if not vocabulary.models_part:
        possible[:] = floor == 0
    else:
        part = _NUMBERS[: vocabulary.parts]
        possible[:, NEW:FIRST_PART] = _NUMBERS[:N_PROGRAMS] >= program
        possible[:, FIRST_PART:] = (part >= floor) & (part < top)
    possible[:, END] = legality[:, 1] > 0
    return possible


def _nothing_above(piece: Piece) -> np.ndarray:
    """Whether no pitch above each note is left to its part at its onset, shape (n,)."""
    onset, end, part, pitch = piece.onset, piece.end, piece.part, piece.pitch
    full = np.zeros(len(onset), bool)
    counts = active_counts(end, piece.at)[:-1]
    for j in np.flatnonzero(N_PITCHES - 1 - pitch <= counts):  # rare: the very top of the keyboard
        above = (part[:j] == part[j]) & (end[:j] > onset[j]) & (pitch[:j] > pitch[j])
        full[j] = above.sum() == N_PITCHES - 1 - pitch[j]
    return full
