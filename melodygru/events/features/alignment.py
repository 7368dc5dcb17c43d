"""Which earlier passages the last notes go along with, at any pitch, in music of one part."""

from __future__ import annotations

import numpy as np

from melodygru.events.features.feature import Feature, Region, point
from melodygru.events.features.piece import Past, Piece
from melodygru.events.times import N_SPANS, TIMES, span_class, span_of, time_of
from melodygru.events.vocabulary import DURATION, Vocabulary
from melodygru.music.notes import N_PITCHES
from melodygru.music.passages import N_AGREED, N_EXPECTED, Bags, Follower, awaited, followed

DUE_WITHIN = 3  # steps, or DUE_SHARE of the shift if that is more, by which a note may come early or late
DUE_SHARE = 4
N_DUE = 3  # an expected note was due before the onset, is due there, or later


class Alignment(Feature):
    """The next notes of the earlier passages that the last notes go along with, as pointers, and how well they do.

    Of each order a passage is found where as many last notes stood before, moved by any interval and in any order: in a
    performance the notes of a chord never come in the same order twice. It is followed as a score is followed by a
    page-turner: any of the N_EXPECTED notes that come next may be struck, others may come between, and after too many
    of these another passage is looked for. Unlike an n-gram's, its shifts need not agree.

    Before the event: how many notes were expected lately, and the steps until the next two expected ones. At the onset:
    whether each expected note is due. Pointers: the step to the next one, the pitches of all, and, once it is struck,
    the duration and the velocity that it had.
    """

    @staticmethod
    def blocks(vocabulary: Vocabulary) -> dict[str, int]:
        n = len(vocabulary.alignment_orders)
        return {
            "aligned": n * N_AGREED,
            "aligned_next": n * TIMES.size,
            "aligned_second": n * N_SPANS,
            "aligned_due": n * N_EXPECTED * N_DUE,
        }

    @staticmethod
    def columns(vocabulary: Vocabulary) -> dict[str, int]:
        n = len(vocabulary.alignment_orders)
        return {
            "before": 3 * n,
            "context": N_EXPECTED * n,
            "shift_pointers": n,
            "pitch_pointers": N_EXPECTED * n,
            "duration_pointers": n,
            "velocity_pointers": n * vocabulary.models_velocity,
        }

    @staticmethod
    def encode(piece: Piece, region: Region, arrays: dict[str, np.ndarray]) -> None:
        pitch, onset = piece.pitch, np.append(piece.onset, 0)  # the last one stands where nothing is expected
        last = np.append(0, piece.onset)  # the onset of the note before each event
        slack = np.maximum(DUE_WITHIN, piece.shift // DUE_SHARE)[:, None]
        for level, order in enumerate(piece.vocabulary.alignment_orders):
            agreed_id, next_id, second_id, due_id = _ids(region, level)
            expected, (moved, agreed, source, own) = followed(pitch, order)
            has = expected >= 0
            # Steps to each expected note from the last one that was struck, less those that have gone by.
            wait = onset[expected] - (onset[source] + last - onset[own])[:, None]
            there, second = (np.flatnonzero(has[:, rank]) for rank in range(2))
            before, column = arrays["before"], region.columns["before"] + 3 * level
            before[there, column] = agreed_id + agreed[there]
            following = TIMES.encode(np.clip(wait[there, 0], 0, TIMES.maximum))
            before[there, column + 1] = next_id + following
            point(arrays, region, "shift", level, there, following)
            before[second, column + 2] = second_id + span_class(np.maximum(wait[second, 1], 0))
            column = region.columns["context"] + N_EXPECTED * level
            due = 1 + (wait > piece.shift[:, None] + slack) - (wait < piece.shift[:, None] - slack)
            due += due_id + np.arange(N_EXPECTED) * N_DUE
            arrays["context"][:, column : column + N_EXPECTED] = np.where(has, due, 0)
            would = awaited(pitch, expected, moved)[:-1]
            column = region.columns["pitch_pointers"] + N_EXPECTED * level
            possible = (would >= 0) & (would < N_PITCHES)
            arrays["pitch_pointers"][:-1, column : column + N_EXPECTED] = np.where(possible, would + 1, 0)
            struck = would == pitch[:, None]
            events = np.flatnonzero(struck.any(1))
            found = expected[events, struck[events].argmax(1)]
            point(arrays, region, "duration", level, events, piece.fields[found, DURATION])
            if piece.vocabulary.models_velocity:
                point(arrays, region, "velocity", level, events, piece.velocity[found])

    def __init__(self, past: Past, region: Region) -> None:
        super().__init__(past, region)
        orders = past.vocabulary.alignment_orders
        self._ids = tuple(_ids(region, level) for level in range(len(orders)))
        self._pitches: list[int] = []
        self._onsets: list[int] = []
        self._bags = [Bags(order) for order in orders]
        self._followers = [Follower() for _ in orders]
        self._waits: list[list[int]] = [[] for _ in orders]  # steps to each expected note

    def before(self, row: list[int]) -> None:
        onsets = self._onsets
        self._waits = []
        for follower, (agreed, following, second, _) in zip(self._followers, self._ids, strict=True):
            if not follower.expected:
                self._waits.append([])
                row += (0, 0, 0)
                continue
            reached = onsets[follower.source] + onsets[-1] - onsets[follower.own]
            waits = [onsets[note] - reached for note in follower.expected]
            self._waits.append(waits)
            row += (
                agreed + follower.agreed,
                following + time_of(min(max(waits[0], 0), TIMES.maximum)),
                second + span_of(max(waits[1], 0)) if len(waits) > 1 else 0,
            )

    def context(self, row: list[int]) -> None:
        shift = self.past.shift
        slack = max(DUE_WITHIN, shift // DUE_SHARE)
        for waits, (_, _, _, due) in zip(self._waits, self._ids, strict=True):
            for rank, wait in enumerate(waits):
                row.append(due + rank * N_DUE + 1 + (wait > shift + slack) - (wait < shift - slack))
            row += [0] * (N_EXPECTED - len(waits))

    def point_shift(self, row: list[int]) -> None:
        row += [time_of(min(max(waits[0], 0), TIMES.maximum)) + 1 if waits else 0 for waits in self._waits]

    def point_pitch(self, row: list[int], part: int) -> None:
        pitches = self._pitches
        for follower in self._followers:
            would = [pitches[note] + follower.moved for note in follower.expected]
            row += [pitch + 1 if 0 <= pitch < N_PITCHES else 0 for pitch in would]
            row += [0] * (N_EXPECTED - len(would))

    def point_note(self, durations: list[int], velocities: list[int], part: int, pitch: int) -> None:
        pitches, values = self._pitches, self.past.values
        for follower in self._followers:
            source = pitch - follower.moved
            found = next((note for note in follower.expected if pitches[note] == source), -1)
            durations.append(values[found][2] + 1 if found >= 0 else 0)
            if self.past.vocabulary.models_velocity:
                velocities.append(values[found][3] + 1 if found >= 0 else 0)

    def add(self) -> None:
        pitches = self._pitches
        pitches.append(self.past.pitch)
        self._onsets.append(self.past.onset)
        for bags, follower in zip(self._bags, self._followers, strict=True):
            follower.add(pitches, len(pitches) - 1, *bags.add(pitches))

    def copy(self, past: Past) -> Feature:
        other = super().copy(past)
        assert isinstance(other, Alignment)
        other._bags = [bags.copy() for bags in self._bags]
        other._followers = [follower.copy() for follower in self._followers]
        return other


def _ids(region: Region, level: int) -> tuple[int, int, int, int]:
    """The first ids of what agrees, of the steps to the next and to the second expected note, and of which are due."""
    sizes = {
        "aligned": N_AGREED,
        "aligned_next": TIMES.size,
        "aligned_second": N_SPANS,
        "aligned_due": N_EXPECTED * N_DUE,
    }
    agreed, following, second, due = (region.blocks[name] + size * level for name, size in sizes.items())
    return agreed, following, second, due
