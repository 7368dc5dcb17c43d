"""The features of a piece that is being written, advanced note by note."""

from __future__ import annotations

import copy
from bisect import bisect_left, bisect_right
from collections import deque

import numpy as np

from melodygru.events.encoding import _MASK, _MIX, _PLACES_AT_ONSET, _lately_class, _metres_in_force
from melodygru.events.times import MOTIONS, N_INTERVALS, N_SPANS, TIMES, span_of, time_of
from melodygru.events.vocabulary import (
    KEY_SHARES,
    LATELY,
    N_BARS,
    N_CHORD_PLACES,
    N_CONDITIONS,
    N_LATELY,
    N_PHRASES,
    N_POSITIONS,
    N_RECENT,
    OFTEN,
    PHRASE,
    PROGRAM_HISTORY,
    RUNS,
    Vocabulary,
)
from melodygru.music.metre import METRE, Bars, signatures
from melodygru.music.notes import DRUMS, N_PITCHES


class Context:
    """The context of a piece that is being written, advanced note by note; equal to `encode` at every step.

    Parameters
    ----------
    vocabulary : Vocabulary
    style, metre : as for `encode`; None is "unknown"
    metres : array, dtype METRE, optional
        All metres of a piece that is given; default: `metre` (or 4/4) throughout.

    The order of calls for one event is: `before`, `stacks`, then `move`, then `row`, `program_floor`, `may_end`, then
    `taken` and `voice` for the chosen program, then `add`.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        style: str | None = None,
        metre: tuple[int, int] | None = None,
        metres: np.ndarray | None = None,
    ) -> None:
        self.vocabulary = vocabulary
        if metres is None:
            metres = np.array([(0, *(metre or (4, 4)))], METRE)
        self._metre_known = metre is not None or len(vocabulary.metres) == 1
        self._metres = _metres_in_force(metres, vocabulary)
        first = signatures(self._metres)[0]
        self._conditions = vocabulary.condition_ids(style, first if self._metre_known else None)
        self._metrical, self._phases = vocabulary.grid.is_metrical, vocabulary.n_phases
        self._bars = Bars(vocabulary.grid, self._metres) if self._metrical else None
        self._place = vocabulary.program_slots.tolist()
        self._highest = vocabulary.size("program") - 1
        self._drums = next((c for c in range(1, self._highest + 1) if vocabulary.program_of_class(c) == DRUMS), -1)
        blocks, notes = vocabulary.blocks, vocabulary.n_program_slots * N_PITCHES
        # First ids of each level's shifts, notes and durations; of an echo also its lag and the first of its motions.
        self._ngram = [
            (blocks["ngram_shift"] + level * N_SPANS, blocks["ngram_note"] + level * notes,
             blocks["ngram_duration"] + level * N_SPANS)
            for level in range(len(vocabulary.ngram_orders))
        ]  # fmt: skip
        self._lookbacks = [
            (lag, blocks["lookback_shift"] + level * N_SPANS, blocks["lookback_note"] + level * notes,
             blocks["lookback_motion"] - 1 + level * N_INTERVALS, blocks["lookback_duration"] + level * N_SPANS)
            for level, lag in enumerate(vocabulary.lags(first if self._metre_known else None))
        ]  # fmt: skip
        self._runs = [
            [0, 0] for _ in self._lookbacks
        ]  # notes in a row that agreed; bits of the last notes, 1 is agreed
        self._sources = [0] * len(self._lookbacks)  # the first event that an echo of the event being made may be of
        self.onset = 0  # of the event being made
        self._shift = 0
        self._chord = 0
        # Program class, pitch, onset, end and first ids for the three columns of `row`, oldest first.
        self._active: list[tuple[int, int, int, int, int, int, int]] = []
        self._until = 0  # the latest end
        self._voices: dict[int, tuple[int, ...]] = {}
        self._ranges: dict[int, tuple[int, int]] = {}
        self._class_counts = [0] * 12  # in all notes
        self._lately = [0] * 14  # in the last notes; 12 is drums, 13 no note yet
        self._classes = deque([13] * N_RECENT)  # of the last notes
        self._last: tuple[int, int, int] | None = None  # program class, pitch, onset of the last note
        # Shift, its span class, place and pitch as one, the duration's span class, motion class.
        self._events: list[tuple[int, int, int, int, int]] = []
        self._previous = [0] * 5
        self._place_keys: list[int] = []
        self._codes = [0] * max(vocabulary.ngram_orders, default=0)  # of the events, after zeros
        self._hashes = [0] * len(vocabulary.ngram_orders)  # of each order's last codes
        self._powers = [pow(_MIX, order, 1 << 64) for order in vocabulary.ngram_orders]
        self._seen: list[dict[int, int]] = [{} for _ in vocabulary.ngram_orders]
        self._ngram_sources = [-1] * len(vocabulary.ngram_orders)

    def copy(self) -> Context:
        """Another context with the same past."""
        other = copy.copy(self)
        for name, value in vars(self).items():
            if isinstance(value, (list, dict, deque)):
                setattr(other, name, value.copy())
        other._seen = [places.copy() for places in self._seen]
        return other

    def start(self) -> list[int]:
        """Context ids before the first event: the conditions, and nothing else."""
        return [*self._conditions, *[0] * (self.vocabulary.n_context - N_CONDITIONS)]

    def before(self) -> list[int]:
        """Ids known before the event's shift."""
        events, keys, at = self._events, self._place_keys, self.onset
        ids = [
            ngram_shift + events[source][1] if source >= 0 else 0
            for source, (ngram_shift, _, _) in zip(self._ngram_sources, self._ngram, strict=True)
        ]
        for level, (lag, lookback_shift, _, _, _) in enumerate(self._lookbacks):
            source = 0
            if lag and keys and at >= lag:
                source = bisect_left(keys, keys[-1] + 1 - lag * _PLACES_AT_ONSET)
                ids.append(lookback_shift + span_of(keys[source] // _PLACES_AT_ONSET - at + lag))
            else:
                ids.append(0)
            self._sources[level] = source
        if self.vocabulary.lookback_runs:
            first, n = self.vocabulary.blocks["lookback_run"], len(RUNS) * N_LATELY
            for level, (run, lately) in enumerate(self._runs):
                if keys and self._lookbacks[level][0]:
                    run_class = (bisect_right(RUNS, run) - 1) * N_LATELY + _lately_class(lately.bit_count())
                    ids.append(first + level * n + run_class)
                else:
                    ids.append(0)
        return ids

    def _full(self) -> bool:
        """Whether the last note's program has no pitch left above it."""
        if self._last is None:
            return False
        program, pitch, onset = self._last
        if N_PITCHES - 1 - pitch > len(self._active):
            return False
        above = sum(1 for a in self._active if a[0] == program and a[3] > onset and a[1] > pitch)
        return above == N_PITCHES - 1 - pitch

    def may_join_chord(self, top: int | None = None) -> bool:
        """Whether another note, of program class `top` (default: any) or below, may stand at the last onset."""
        if self._last is None:
            return True
        top = self._highest if top is None else top
        return self._last[0] < top or (self._last[0] == top and not self._full())

    def move(self, shift: int) -> None:
        """Go `shift` steps on, to the onset of the event."""
        self._shift = shift
        self.onset += shift
        if shift or self._last is None:
            self._chord = 0
        else:
            self._chord += 1
        if shift:
            self._active = [a for a in self._active if a[3] >= self.onset]

    def row(self) -> list[int]:
        """Context ids at the onset, `vocabulary.n_context` of them."""
        vocabulary, blocks, at, events = self.vocabulary, self.vocabulary.blocks, self.onset, self._events
        row = [*self._conditions, 0, 0, 0, 0, blocks["chord"] + min(self._chord, N_CHORD_PLACES - 1)]
        if self._metrical:
            row[3] = blocks["phase"] + at % self._phases
            if self._metre_known:
                position, bar = self._position(at)
                row[2] = blocks["position"] + position
                row[4] = blocks["bar"] + bar % N_BARS
                row[5] = blocks["phrase"] + min(bar // PHRASE, N_PHRASES - 1)
        active = self._active[: -vocabulary.n_sounding - 1 : -1]
        for _, _, onset, end, sounding, remaining, age in active:
            row += (sounding + (end > at), remaining + span_of(end - at), age + span_of(at - onset))
        row += [0] * (3 * (vocabulary.n_sounding - len(active)))
        for source, (_, ngram_note, ngram_duration) in zip(self._ngram_sources, self._ngram, strict=True):
            if source >= 0 and events[source][0] == self._shift:
                _, _, note, span, _ = events[source]
                row += (ngram_note + note, ngram_duration + span)
            else:
                row += (0, 0)
        for (lag, _, lookback_note, lookback_motion, lookback_duration), source in zip(
            self._lookbacks, self._sources, strict=True
        ):
            source = self._looked_back(lag, source)
            if source >= 0:
                _, _, note, span, motion = events[source]
                row += (lookback_note + note, lookback_motion + motion if motion else 0, lookback_duration + span)
            else:
                row += (0, 0, 0)
        return row

    def _looked_back(self, lag: int, earliest: int) -> int:
        """The event that stood `lag` steps before this one's place, `earliest` or a later one; -1 is none."""
        keys, at = self._place_keys, self.onset
        if not lag or not keys or at < lag:
            return -1
        source = bisect_left(keys, (at - lag) * _PLACES_AT_ONSET, earliest) if self._shift else earliest
        return source if source < len(keys) and keys[source] // _PLACES_AT_ONSET == at - lag else -1

    def _position(self, at: int) -> tuple[int, int]:
        """Position class in the bar and number of the bar."""
        assert self._bars is not None
        bar, position, size = self._bars.at_step(at)
        return (position * N_POSITIONS // size if size > N_POSITIONS else position), bar

    def in_chord(self) -> bool:
        """Whether the event stands at the last note's onset."""
        return self._last is not None and self._shift == 0

    def program_floor(self) -> int:
        """The lowest program class possible."""
        if self._last is None or self._shift:
            return 1
        return self._last[0] + self._full()

    def may_end(self) -> bool:
        """Whether the piece may end at the onset: nothing sounds on."""
        return self._until <= self.onset

    def pitch_mask(self, program_class: int) -> np.ndarray:
        """Pitches that a program cannot strike, shape (128,), bool."""
        pitch_mask = np.zeros(N_PITCHES, bool)
        for program, pitch, _, end, _, _, _ in self._active:
            if program == program_class and end > self.onset:
                pitch_mask[pitch] = True
        if self.in_chord() and self._last is not None and self._last[0] == program_class:
            pitch_mask[: self._last[1] + 1] = True
        return pitch_mask

    @property
    def last(self) -> tuple[int, int, int] | None:
        """Program class, pitch and onset of the last note, if there is one."""
        return self._last

    def sounding(self, step: int) -> list[tuple[int, int, int]]:
        """Program class, pitch and end of the notes that sound on at a step, the onset or later."""
        return [(active[0], active[1], active[3]) for active in self._active if active[3] > step]

    def program_history(self, program_class: int) -> tuple[int, ...]:
        """What a program played (see `Events.voice`)."""
        return self._voices.get(program_class, (0,) * len(PROGRAM_HISTORY))

    def pitch_class_levels(self) -> list[int]:
        """How the twelve pitch classes stand among the notes so far (see `Events.heard`)."""
        often = [(count > 0) + (count >= OFTEN) for count in self._lately[:12]]
        if not self.vocabulary.key:
            return often + [0] * 12
        # Whole counts are compared with shares rounded up: the same, and no product for each.
        in_key, central = (-(-sum(self._class_counts) // share) for share in KEY_SHARES)
        return often + [1 + (count >= in_key) + (count >= central) if count else 0 for count in self._class_counts]

    def previous(self, velocity: int) -> list[int]:
        """Ids of the last note, of a velocity class, as the model hears it (see `Vocabulary.previous_ids`)."""
        ids = self._previous.copy()
        if self.vocabulary.models_velocity:
            ids[3] = self.vocabulary.blocks["velocity"] + velocity
        return ids

    def add(self, program_class: int, pitch: int, duration: int) -> None:
        """Add a note at the onset."""
        at, shift, place, blocks = self.onset, self._shift, self._place[program_class], self.vocabulary.blocks
        note, span = place * N_PITCHES + pitch, span_of(duration)
        drums = program_class == self._drums
        pitch_class_levels, forgotten = 12 if drums else pitch % 12, self._classes.popleft()
        self._classes.append(pitch_class_levels)
        self._lately[pitch_class_levels] += 1
        self._lately[forgotten] -= 1
        self._class_counts[pitch % 12] += not drums
        self._active.append((
            program_class, pitch, at, at + duration, blocks["sounding"] + 2 * note,
            blocks["remaining"] + place * N_SPANS, blocks["age"] + place * N_SPANS,
        ))  # fmt: skip
        self._until = max(self._until, at + duration)
        last = self.program_history(program_class)
        low, high = self._ranges.get(program_class, (pitch, pitch))
        low, high = self._ranges[program_class] = min(low, pitch), max(high, pitch)
        self._voices[program_class] = (
            pitch + 1, last[0], span + 1, last[2],
            *((pitch - low + 1, high - pitch + 1) if self.vocabulary.key else (0, 0)),
        )  # fmt: skip
        key = at * _PLACES_AT_ONSET + program_class * (N_PITCHES + 1)
        stands = self._last is not None and self._last[0] == program_class and self._last[2] == at
        key = self._place_keys[-1] + 1 if stands else key
        self._place_keys.append(key)
        if self.vocabulary.lookback_runs:
            self._follow(key, note)
        self._last = (program_class, pitch, at)
        motion = MOTIONS[pitch - (last[0] - 1)] if last[0] else 0
        self._events.append((shift, span_of(shift), note, span, motion))
        shift_class, duration_class = time_of(shift), time_of(duration)
        self._previous = [
            blocks["shift"] + shift_class, blocks["note"] + note,
            blocks["duration"] + place * TIMES.size + duration_class, 0,
            blocks["motion"] - 1 + place * N_INTERVALS + motion if motion else 0,
        ]  # fmt: skip
        code = program_class * N_PITCHES + pitch
        if self._metrical:
            code = (code * TIMES.size + shift_class) * TIMES.size + duration_class
        code = ((code + 1) * _MIX) & _MASK
        self._remember(code ^ (code >> 29))

    def _follow(self, key: int, note: int) -> None:
        """Count for each lag whether the note at a place agrees with the one that stood there."""
        keys = self._place_keys
        for level, (lag, *_) in enumerate(self._lookbacks):
            wanted = key - lag * _PLACES_AT_ONSET
            source = bisect_left(keys, wanted, self._sources[level]) if lag else len(keys)
            # Of the note being added, `_events` has no row yet: it lies at the end of the keys.
            agrees = source < len(self._events) and keys[source] == wanted and self._events[source][2] == note
            run, lately = self._runs[level]
            self._runs[level] = [run + 1 if agrees else 0, (lately << 1 | agrees) & ((1 << LATELY) - 1)]

    def _remember(self, code: int) -> None:
        """Find what the last events recall, the newest of them being `code`, and remember their place."""
        codes, n = self._codes, len(self._events)
        codes.append(code)
        for level, order in enumerate(self.vocabulary.ngram_orders):
            # The hash is a polynomial of the last `order` codes: one comes in, one leaves it.
            key = (self._hashes[level] * _MIX + code - codes[-1 - order] * self._powers[level]) & _MASK
            self._hashes[level] = key
            if n >= order:
                self._ngram_sources[level] = self._seen[level].get(key, -1)
                self._seen[level][key] = n
