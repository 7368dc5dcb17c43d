"""What stood a fixed number of steps, or of bars, earlier."""

from __future__ import annotations

from bisect import bisect_left
from functools import lru_cache

import numpy as np

from melodygru.events.features.feature import Feature, Region, point
from melodygru.events.features.piece import ORDER_KEYS, Past, Piece, found_at, index_of
from melodygru.events.times import N_INTERVALS, N_SPANS, TIMES, motion_class, span_class, span_of, time_of
from melodygru.events.vocabulary import DURATION, Vocabulary
from melodygru.music.metre import steps_per_bar
from melodygru.music.notes import N_PITCHES, ONSET_KEYS


class Lookback(Feature):
    """For each lag, the note that stood so many steps before.

    Before the event: how long after the last note's counterpart, a lag earlier, the next note came. At the onset: the
    note that stands there, a lag earlier, where the next counterpart is due: its part's program and its pitch, its
    interval from its part's last pitch, and its duration.
    """

    @staticmethod
    def blocks(vocabulary: Vocabulary) -> dict[str, int]:
        n = vocabulary.n_lookbacks
        return {
            "lookback_shift": n * N_SPANS,
            "lookback_pitch": n * N_PITCHES,
            "lookback_motion": n * N_INTERVALS,
            "lookback_duration": n * N_SPANS,
            "lookback_slot": n * vocabulary.n_source_slots,
        }

    @staticmethod
    def columns(vocabulary: Vocabulary) -> dict[str, int]:
        n = vocabulary.n_lookbacks
        return {
            "before": n,
            "context": _width(vocabulary) * n,
            "shift_pointers": n,
            "pitch_pointers": n,
            "duration_pointers": 2 * n,
            "velocity_pointers": 2 * n,
        }

    @staticmethod
    def encode(piece: Piece, region: Region, arrays: dict[str, np.ndarray]) -> None:
        before, context = arrays["before"], arrays["context"]
        onset, at, keys = piece.onset, piece.at, piece.order_keys
        next_key = np.append(0, keys + 1)  # after the note before
        new_key = np.where(piece.shift > 0, at.astype(np.int64) * ORDER_KEYS, next_key)
        width = _width(piece.vocabulary)
        for level, lag in enumerate(lags(piece.vocabulary, piece.metre)):
            if not lag:
                continue
            shift, first_pitch, first_motion, duration, first_slot = _firsts(piece.vocabulary, region, level)
            has = 1 + np.flatnonzero(onset >= lag)
            source = np.searchsorted(keys, next_key[has] - lag * ORDER_KEYS)
            column = region.columns["before"] + level
            wait = onset[source] - onset[has - 1] + lag
            before[has, column] = shift + span_class(wait)
            point(arrays, region, "shift", level, has, TIMES.encode(np.minimum(wait, TIMES.maximum)))
            has = 1 + np.flatnonzero(at[1:] >= lag)
            source = np.searchsorted(keys, new_key[has] - lag * ORDER_KEYS)
            there = onset[np.minimum(source, len(onset) - 1)] == at[has] - lag
            has, source = has[there], source[there]
            column = region.columns["context"] + width * level
            context[has, column] = first_pitch + piece.pitch[source]
            motion = motion_class(piece.pitch[source], piece.last_pitch[source])
            context[has, column + 1] = np.where(motion > 0, first_motion + motion - 1, 0)
            context[has, column + 2] = duration + piece.span[source]
            if width == 4:
                context[has, column + 3] = first_slot + piece.slot[source]
            counterpart = piece.counterparts(lag)
            has = np.flatnonzero(counterpart >= 0)
            point(arrays, region, "pitch", level, has, piece.pitch[counterpart[has]])
            same = found_at(piece.note_keys, piece.note_keys - lag * ONSET_KEYS)
            for rank, found in ((2 * level, same), (2 * level + 1, np.where(same >= 0, -1, counterpart))):
                has = np.flatnonzero(found >= 0)
                point(arrays, region, "duration", rank, has, piece.fields[found[has], DURATION])
                point(arrays, region, "velocity", rank, has, piece.velocity[found[has]])

    def __init__(self, past: Past, region: Region) -> None:
        super().__init__(past, region)
        vocabulary = past.vocabulary
        self._width = _width(vocabulary)
        self._lags = tuple(
            (lag, *_firsts(vocabulary, region, level)) for level, lag in enumerate(lags(vocabulary, past.metre))
        )
        self._orders_back = tuple(lag * ORDER_KEYS for lag, *_ in self._lags)
        self._notes_back = tuple(lag * ONSET_KEYS for lag, *_ in self._lags)
        self._sources = [0] * len(self._lags)  # the first event that the one being made may have as its counterpart
        self._waits: list[int] = []  # after the last note's counterpart, for each lag, or -1
        self._counterparts: list[int] = []  # of the event's part, for each lag, or -1

    def before(self, row: list[int]) -> None:
        keys, sources = self.past.order_keys, self._sources
        at = keys[-1] // ORDER_KEYS if keys else 0  # also where the piece is over, whose end may be later
        self._waits = waits = []
        for level, (lag, shift, *_) in enumerate(self._lags):
            if lag and keys and at >= lag:
                # What is searched for only grows from event to event.
                source = bisect_left(keys, keys[-1] + 1 - lag * ORDER_KEYS, sources[level])
                sources[level] = source
                wait = keys[source] // ORDER_KEYS - at + lag
                waits.append(wait)
                row.append(shift + span_of(wait))
            else:
                waits.append(-1)
                row.append(0)

    def point_shift(self, row: list[int]) -> None:
        longest = TIMES.maximum
        row += [0 if wait < 0 else time_of(wait if wait < longest else longest) + 1 for wait in self._waits]

    def point_pitch(self, row: list[int], part: int) -> None:
        past = self.past
        key, keys, values = past.order_key(part), past.order_keys, past.values
        self._counterparts = counterparts = [
            index_of(keys, key - back) if 0 < back <= key else -1 for back in self._orders_back
        ]
        row += [values[found][1] + 1 if found >= 0 else 0 for found in counterparts]

    def point_note(self, durations: list[int], velocities: list[int], part: int, pitch: int) -> None:
        past = self.past
        key, keys, values = past.onset * ONSET_KEYS + part * N_PITCHES + pitch, past.note_keys, past.values
        for back, counterpart in zip(self._notes_back, self._counterparts, strict=True):
            same = index_of(keys, key - back) if 0 < back <= key else -1
            if same >= 0:
                _, _, duration, velocity = values[same]
                durations += (duration + 1, 0)
                velocities += (velocity + 1, 0)
            elif counterpart >= 0:
                _, _, duration, velocity = values[counterpart]
                durations += (0, duration + 1)
                velocities += (0, velocity + 1)
            else:
                durations += (0, 0)
                velocities += (0, 0)

    def context(self, row: list[int]) -> None:
        past = self.past
        at, keys, notes, new_onset = past.onset, past.order_keys, past.notes, past.shift > 0
        n = len(keys)
        width = self._width
        for (lag, _, first_pitch, first_motion, duration, first_slot), source in zip(
            self._lags, self._sources, strict=True
        ):
            if lag and n and at >= lag:
                if new_onset:
                    source = bisect_left(keys, (at - lag) * ORDER_KEYS, source)
                if source < n and keys[source] // ORDER_KEYS == at - lag:
                    _, _, note, span, motion = notes[source]
                    motion_id = first_motion - 1 + motion if motion else 0
                    ids = first_pitch + note % N_PITCHES, motion_id, duration + span, first_slot + note // N_PITCHES
                    row += ids[:width]
                    continue
            row += (0, 0, 0, 0)[:width]


@lru_cache
def lags(vocabulary: Vocabulary, metre: tuple[int, int] | None) -> tuple[int, ...]:
    """The lags of a piece in steps: the vocabulary's, then those in bars, which are 0 where the metre is unknown."""
    bar = steps_per_bar(vocabulary.grid, metre) if metre and vocabulary.lookback_bars else 0
    return (*vocabulary.lookback_steps, *(bars * bar for bars in vocabulary.lookback_bars))


def _width(vocabulary: Vocabulary) -> int:
    """Columns of `context` of one lag."""
    return 4 if vocabulary.n_source_slots else 3


def _firsts(vocabulary: Vocabulary, region: Region, level: int) -> tuple[int, int, int, int, int]:
    """First ids of a lag's shifts, pitches, motions, durations and slots."""
    blocks = region.blocks
    return (
        blocks["lookback_shift"] + level * N_SPANS,
        blocks["lookback_pitch"] + level * N_PITCHES,
        blocks["lookback_motion"] + level * N_INTERVALS,
        blocks["lookback_duration"] + level * N_SPANS,
        blocks["lookback_slot"] + level * vocabulary.n_source_slots,
    )
