"""The form: what stood at this place of the bar that the present bar returns to, where the plan knows it."""

from __future__ import annotations

from bisect import bisect_left, bisect_right

import numpy as np

from melodygru.events.features.feature import Feature, Region, point
from melodygru.events.features.lookback_runs import N_CLASSES, RECENT, run_class, run_id
from melodygru.events.features.piece import ORDER_KEYS, Past, Piece, found_at, index_of
from melodygru.events.times import N_INTERVALS, N_SPANS, TIMES, motion_class, span_class, span_of, time_of
from melodygru.events.vocabulary import DURATION, Vocabulary
from melodygru.music.notes import N_PITCHES, ONSET_KEYS

# What a bar is in its form: new; the bar after the one that the bar before returned to; another one; none any more.
NEW_BAR, GOES_ON, TURNS, OVER = range(4)
N_KINDS = 4
DISTANCES = (1, 2, 3, 4, 5, 8, 9, 16, 17, 32, 33)  # bars back: the least of each class
N_COLUMNS = 6  # of `context`, with the slot of the part's program


class Form(Feature):
    """A lookback to the bar that the plan has this bar return to.

    Before the event: how long after the last note the next one of the form comes, in its bar or the next, and how well
    the last notes agreed with the form's. At the onset: the form's note that stands there, or is due: pitch, interval
    from its part's last, duration, its part's program; whether this bar and the next are new; and how far back it is.
    """

    @staticmethod
    def blocks(vocabulary: Vocabulary) -> dict[str, int]:
        if not vocabulary.plans:
            return {}
        return {
            "form_shift": N_SPANS,
            "form_run": N_CLASSES,
            "form_pitch": N_PITCHES,
            "form_motion": N_INTERVALS,
            "form_duration": N_SPANS,
            "form_slot": vocabulary.n_source_slots,
            "form_bar": N_KINDS * N_KINDS,
            "form_distance": len(DISTANCES),
        }

    @staticmethod
    def columns(vocabulary: Vocabulary) -> dict[str, int]:
        if not vocabulary.plans:
            return {}
        return {
            "before": 2,
            "context": N_COLUMNS,
            "shift_pointers": 1,
            "pitch_pointers": 1,
            "duration_pointers": 2,
            "velocity_pointers": 2,
        }

    @staticmethod
    def encode(piece: Piece, region: Region, arrays: dict[str, np.ndarray]) -> None:
        returns, in_bar = piece.planned.returns, piece.in_bar
        if returns is None or in_bar is None:
            return
        blocks, columns = region.blocks, region.columns
        before, context, column = arrays["before"], arrays["context"], columns["context"]
        bar = in_bar.bar
        kinds = bar_kinds(returns)
        now, following = (kinds[np.minimum(bar + ahead, len(returns))] for ahead in (0, 1))
        context[:, column + 4] = blocks["form_bar"] + N_KINDS * now + following
        back = np.append(np.where(returns >= 0, np.arange(len(returns)) - returns, 0), 0)[np.minimum(bar, len(returns))]
        distance = np.searchsorted(DISTANCES, back, side="right") - 1
        context[:, column + 5] = np.where(back > 0, blocks["form_distance"] + distance, 0)
        n = len(piece.onset)
        if not n:
            return
        # The form's notes: those of earlier bars, moved to the bars that return to them.
        source, lag, of_bar = _moved(piece, returns)
        keys = piece.order_keys[source] + lag * ORDER_KEYS
        note_keys = piece.note_keys[source] + lag * ONSET_KEYS
        onset, at = piece.onset[source] + lag, piece.at
        next_key = np.append(0, piece.order_keys + 1)
        found = np.searchsorted(keys, next_key[1:])
        has = np.flatnonzero(found < len(keys))
        has = has[of_bar[found[has]] <= bar[has] + 1]  # of events less 1: of the notes before them
        wait = onset[found[has]] - piece.onset[has]
        before[has + 1, columns["before"]] = blocks["form_shift"] + span_class(wait)
        point(arrays, region, "shift", 0, has + 1, TIMES.encode(np.minimum(wait, TIMES.maximum)))
        same = found_at(note_keys, piece.note_keys)
        before[1:, columns["before"] + 1] = blocks["form_run"] + run_class(same >= 0)
        new_key = np.where(piece.shift > 0, at.astype(np.int64) * ORDER_KEYS, next_key)
        found = np.searchsorted(keys, new_key)
        has = np.flatnonzero(found < len(keys))
        has = has[onset[found[has]] == at[has]]
        there = source[found[has]]
        context[has, column] = blocks["form_pitch"] + piece.pitch[there]
        motion = motion_class(piece.pitch[there], piece.last_pitch[there])
        context[has, column + 1] = np.where(motion > 0, blocks["form_motion"] + motion - 1, 0)
        context[has, column + 2] = blocks["form_duration"] + piece.span[there]
        if piece.vocabulary.n_source_slots:
            context[has, column + 3] = blocks["form_slot"] + piece.slot[there]
        counterpart = found_at(keys, piece.order_keys)
        has = np.flatnonzero(counterpart >= 0)
        point(arrays, region, "pitch", 0, has, piece.pitch[source[counterpart[has]]])
        for rank, found in enumerate((same, np.where(same >= 0, -1, counterpart))):
            has = np.flatnonzero(found >= 0)
            there = source[found[has]]
            point(arrays, region, "duration", rank, has, piece.fields[there, DURATION])
            point(arrays, region, "velocity", rank, has, piece.velocity[there])

    def __init__(self, past: Past, region: Region) -> None:
        super().__init__(past, region)
        returns = past.planned.returns if past.in_bar is not None else None
        self._returns = None if returns is None else returns.tolist()
        self._kinds = [] if returns is None else bar_kinds(returns).tolist()
        self._blocks = region.blocks
        self._slots = past.vocabulary.n_source_slots > 0
        self._first: dict[int, int] = {}  # of each bar that has notes its first one
        self._stop: dict[int, int] = {}  # and the one after its last
        self._wait = -1  # steps after the last note to the form's next one, or -1
        self._counterpart = -1
        self._run = self._recent = 0  # as those of `LookbackRuns`

    def before(self, row: list[int]) -> None:
        self._wait = -1
        if self._returns is None or not self.past.notes:
            row += (0, 0)
            return
        past, blocks = self.past, self._blocks
        assert past.in_bar is not None and past.bars is not None
        bar, at = past.in_bar[0], past.onset
        source, lag, stop = self._source(bar)
        keys = past.order_keys
        if lag:
            source = bisect_left(keys, keys[-1] + 1 - lag * ORDER_KEYS, source, stop)
            if source < stop and keys[source] // ORDER_KEYS + lag < past.bars.start_of(bar + 1):
                self._wait = keys[source] // ORDER_KEYS + lag - at
        if self._wait < 0:
            source, lag, stop = self._source(bar + 1)
            if lag and source < stop and keys[source] // ORDER_KEYS + lag < past.bars.start_of(bar + 2):
                self._wait = keys[source] // ORDER_KEYS + lag - at
        row.append(0 if self._wait < 0 else blocks["form_shift"] + span_of(self._wait))
        row.append(blocks["form_run"] + run_id(self._run, self._recent))

    def point_shift(self, row: list[int]) -> None:
        row.append(0 if self._wait < 0 else time_of(min(self._wait, TIMES.maximum)) + 1)

    def context(self, row: list[int]) -> None:
        if self._returns is None:
            row += [0] * N_COLUMNS
            return
        past, blocks = self.past, self._blocks
        assert past.in_bar is not None
        bar, at, keys = past.in_bar[0], past.onset, past.order_keys
        source, lag, stop = self._source(bar)
        ids = (0, 0, 0, 0)
        if lag:
            key = at * ORDER_KEYS if past.shift or not keys else keys[-1] + 1
            source = bisect_left(keys, key - lag * ORDER_KEYS, source, stop)
            if source < stop and keys[source] // ORDER_KEYS + lag == at:
                _, _, note, span, motion = past.notes[source]
                ids = (
                    blocks["form_pitch"] + note % N_PITCHES,
                    blocks["form_motion"] - 1 + motion if motion else 0,
                    blocks["form_duration"] + span,
                    blocks["form_slot"] + note // N_PITCHES if self._slots else 0,
                )
        row += ids
        kinds, last = self._kinds, len(self._returns)
        row.append(blocks["form_bar"] + N_KINDS * kinds[min(bar, last)] + kinds[min(bar + 1, last)])
        back = bar - self._returns[bar] if bar < last and self._returns[bar] >= 0 else 0
        row.append(blocks["form_distance"] + bisect_right(DISTANCES, back) - 1 if back else 0)

    def point_pitch(self, row: list[int], part: int) -> None:
        past = self.past
        self._counterpart = self._found(past.order_keys, past.order_key(part), ORDER_KEYS)
        row.append(past.values[self._counterpart][1] + 1 if self._counterpart >= 0 else 0)

    def point_note(self, durations: list[int], velocities: list[int], part: int, pitch: int) -> None:
        past = self.past
        same = self._found(past.note_keys, past.onset * ONSET_KEYS + part * N_PITCHES + pitch, ONSET_KEYS)
        found = same if same >= 0 else self._counterpart
        _, _, duration, velocity = past.values[found] if found >= 0 else (0, 0, -1, -1)
        durations += (duration + 1, 0) if same >= 0 else (0, duration + 1)
        velocities += (velocity + 1, 0) if same >= 0 else (0, velocity + 1)

    def add(self) -> None:
        if self._returns is None:
            return
        past = self.past
        assert past.in_bar is not None
        bar, n = past.in_bar[0], len(past.notes)
        self._first.setdefault(bar, n - 1)
        self._stop[bar] = n
        agrees = self._found(past.note_keys, past.note_keys[-1], ONSET_KEYS) >= 0
        self._run = self._run + 1 if agrees else 0
        self._recent = (self._recent << 1 | agrees) & ((1 << RECENT) - 1)

    def _found(self, keys: list[int], key: int, keys_of_step: int) -> int:
        """Which note of the bar that this one returns to stands where a key, moved there, does; or -1."""
        if self._returns is None or self.past.in_bar is None:
            return -1
        source, lag, stop = self._source(self.past.in_bar[0])
        found = index_of(keys, key - lag * keys_of_step) if lag else -1
        return found if source <= found < stop else -1

    def _source(self, bar: int) -> tuple[int, int, int]:
        """The first note of the bar that a bar returns to, the lag in steps, and the note after its last; 0 is none."""
        assert self._returns is not None
        returned = self._returns[bar] if bar < len(self._returns) else -1
        if returned not in self._first:
            return 0, 0, 0
        return self._first[returned], self.past.lag_of_bar(bar), self._stop[returned]


def due_parts(past: Past) -> list[int]:
    """The parts of the form's notes that stand at the onset and come after the last note there."""
    if not past.form_lag:
        return []
    keys, at = past.order_keys, past.onset
    key = keys[-1] + 1 if keys and keys[-1] // ORDER_KEYS == at else at * ORDER_KEYS
    first = bisect_left(keys, key - past.form_lag * ORDER_KEYS)
    last = bisect_left(keys, (at - past.form_lag + 1) * ORDER_KEYS)
    return sorted({past.values[note][0] for note in range(first, last)})


def bar_kinds(returns: np.ndarray) -> np.ndarray:
    """What each bar is in its form (NEW_BAR, ...), and after the last one OVER; shape (n_bars + 1,)."""
    goes_on = np.append(False, (returns[1:] > 0) & (returns[1:] == returns[:-1] + 1))[: len(returns)]
    return np.append(np.where(returns < 0, NEW_BAR, np.where(goes_on, GOES_ON, TURNS)), OVER)


def _moved(piece: Piece, returns: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The form's notes: the index of each one's source, how many steps it is moved, and to which bar."""
    assert piece.in_bar is not None and piece.bars is not None
    of_note = piece.in_bar.bar[:-1]
    bars = np.flatnonzero(returns >= 0)
    first, stop = (np.searchsorted(of_note, returns[bars], side=side) for side in ("left", "right"))
    n = stop - first
    of_bar = np.repeat(bars, n)
    source = np.arange(n.sum()) - np.repeat(np.cumsum(n) - n, n) + np.repeat(first, n)
    lag = piece.bars.starts_of(of_bar) - piece.bars.starts_of(returns[of_bar])
    inside = piece.onset[source] + lag < piece.bars.starts_of(of_bar + 1)
    return source[inside], lag[inside], of_bar[inside]
