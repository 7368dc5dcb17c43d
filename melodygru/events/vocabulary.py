"""The vocabulary: which fields an event has, their classes, and where the ids of the features lie."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from melodygru.events.statistics import CorpusStatistics
from melodygru.events.times import N_INTERVALS, N_SPANS, TIMES, interval_class, motion_class
from melodygru.music.grid import Grid
from melodygru.music.metre import steps_per_bar
from melodygru.music.notes import N_PITCHES, N_PROGRAMS

FIELDS = ("shift", "program", "pitch", "duration", "velocity")
SHIFT, PROGRAM, PITCH, DURATION, VELOCITY = range(5)
END = 0  # the program class that ends a piece

# What the model is given of a window of events, see `Events.window`.
INPUTS = ("fields", "previous", "before", "context", "program_history", "pitch_class_levels", "pitch_mask", "legality")

N_VELOCITIES = 32
VELOCITY_WIDTH = 128 // N_VELOCITIES

N_POSITIONS = 192  # places in a bar that the context tells apart
N_BARS = 8  # bars are counted modulo a phrase of eight
PHRASE, N_PHRASES = 4, 32  # and in phrases of four bars since the beginning; what is later counts as the last
BLOCK = 4096  # events whose sounding notes are looked up at once
N_CONDITIONS = 2  # columns of the context that hold the piece conditions, style and metre
N_PLACES_IN_TIME = 7  # columns of the context before the sounding notes: conditions, position, ..., place in the chord
N_CHORD_PLACES = 8
NGRAM_ORDERS = (3, 6, 12)  # events that must agree before what followed them is recalled
RUNS = (0, 1, 2, 3, 4, 6, 9, 16, 32)  # notes in a row that agree with those a lag before: the least of each class
LATELY, N_LATELY = 16, 5  # the last notes among which those that agree are counted, and classes of their number
N_RECENT = 24  # notes that the pitch classes heard last are counted over
OFTEN = 3  # times that a pitch class is heard often
KEY_SHARES = (24, 8)  # a pitch class with this part of a piece's notes, or more, belongs to its key; is at its centre
MAX_PROGRAM_SLOTS = 24  # programs with a slot of their own among the features


# What a program played, and how many classes each has: its last two pitches, the spans that these lasted, and how far
# its range reaches; see `Events.voice`.
PROGRAM_HISTORY = {
    "last_pitch_1": N_PITCHES,
    "last_pitch_2": N_PITCHES,
    "last_span_1": N_SPANS,
    "last_span_2": N_SPANS,
    "range_below": N_PITCHES,
    "range_above": N_PITCHES,
}


RANGE, KEY = slice(4, 6), slice(12, 24)  # columns of `Events.voice` and `Events.heard` about the whole piece


@dataclass(frozen=True)
class Vocabulary:
    """What the events of a corpus consist of; everything needed to encode and decode, as plain values.

    Parameters
    ----------
    grid : Grid
    programs : tuple of int
        The programs of the training corpus, the one with the most notes first. One program: the field is unmodelled.
        Several: all 129 have a class; among the features the first MAX_PROGRAM_SLOTS have a slot of their own, while
        the others, and those that the corpus never showed, share one.
    velocities : tuple of int
        One value: the field is unmodelled and decodes to it. Otherwise, 32 values: what each bin decodes to.
    styles : tuple of str
        Sub-folders of the corpus, empty when there are none.
    metres : tuple of (numerator, denominator)
        First time signatures of the training pieces; a condition only when there are several.
    n_sounding : int
        Sounding notes that are features, at most.
    ngram_orders : tuple of int
        Numbers of agreeing events after which what followed them is a feature.
    key : bool
        Whether the key and the range of the whole piece so far are features. In a corpus that stands in one key they
        are no more than each piece's fingerprint, to be learned by heart.
    lookback_steps : tuple of int
        Lags in steps at which what stood there is a feature; those at which the corpus repeats itself most.
    lookback_bars : tuple of int
        Lags in bars of the piece's first metre, features where the metre is known: those that say more than
        `lookback_steps` do, in a corpus of several metres.
    lookback_runs : bool
        Whether it is a feature how well the last notes agreed with those a lag before them.
    pointers : bool
        Whether the notes of n-gram lookup and lookbacks have a logit each, which is added to that of their pitch.
    statistics : CorpusStatistics
        What new pieces are drawn from; its styles, metres and programs are always these.
    """

    grid: Grid
    programs: tuple[int, ...]
    velocities: tuple[int, ...]
    styles: tuple[str, ...] = ()
    metres: tuple[tuple[int, int], ...] = ((4, 4),)
    n_sounding: int = 8
    ngram_orders: tuple[int, ...] = NGRAM_ORDERS
    key: bool = True
    lookback_steps: tuple[int, ...] = ()
    lookback_bars: tuple[int, ...] = ()
    lookback_runs: bool = False
    pointers: bool = False
    statistics: CorpusStatistics = dataclasses.field(default=CorpusStatistics(), hash=False)  # large

    def __post_init__(self) -> None:
        statistics = dataclasses.replace(
            self.statistics, styles=self.styles, metres=self.metres, programs=self.programs
        )
        object.__setattr__(self, "statistics", statistics)

    # -- plain values, for the checkpoint

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values from which `from_dict` makes an equal vocabulary; those of the statistics among them."""
        values = vars(self.statistics) | {name: value for name, value in vars(self).items() if name in _FIELDS}
        values |= {"grid": str(self.grid)}
        return {name: _with(list, value) for name, value in values.items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Vocabulary:
        """The inverse of `as_dict`."""
        read = {name: _with(tuple, value) for name, value in values.items()}
        counted = {name: read.pop(name) for name in _COUNTED if name in read}
        return cls(**{**read, "grid": Grid.parse(values["grid"]), "statistics": CorpusStatistics(**counted)})

    # -- fields

    @property
    def models_program(self) -> bool:
        return len(self.programs) > 1

    @property
    def models_velocity(self) -> bool:
        return len(self.velocities) > 1

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that have a head, in order; program is there for END's sake even when it is unmodelled."""
        return FIELDS if self.models_velocity else FIELDS[:-1]

    @property
    def unmodelled(self) -> list[str]:
        """Fields with one value in the whole corpus."""
        return [
            name
            for name, modelled in (("program", self.models_program), ("velocity", self.models_velocity))
            if not modelled
        ]

    def size(self, field: str) -> int:
        """Number of classes of a field."""
        return {
            "shift": TIMES.size,
            "program": 1 + (N_PROGRAMS if self.models_program else 1),
            "pitch": N_PITCHES,
            "duration": TIMES.size,
            "velocity": N_VELOCITIES,
        }[field]

    def n_outputs(self, field: str) -> int:
        """Outputs of a field's head: one a class; for the pitch also one an interval, -127..127, and one a pointer."""
        return self.size(field) + (2 * N_PITCHES - 1 + self.n_pointers if field == "pitch" else 0)

    def program_class(self, programs: np.ndarray) -> np.ndarray:
        """Class of each program; 1 for every program when the field is unmodelled."""
        programs = np.asarray(programs)
        return programs.astype(np.int64) + 1 if self.models_program else np.ones(programs.shape, np.int64)

    def program_mask(self, programs: Sequence[int]) -> np.ndarray:
        """Which program classes are those of some programs, shape (size of the field,), bool."""
        mask = np.zeros(self.size("program"), bool)
        mask[self.program_class(np.array(programs))] = True
        return mask

    def program_of_class(self, program_class: int) -> int:
        return program_class - 1 if self.models_program else self.programs[0]

    @cached_property
    def program_slots(self) -> np.ndarray:
        """Slot of each program class among the features, shape (n_classes,); END's is meaningless."""
        if not self.models_program:
            return np.zeros(2, np.int64)
        own = np.array(self.programs[:MAX_PROGRAM_SLOTS])
        slots = np.full(1 + N_PROGRAMS, len(own), np.int64)
        slots[own + 1] = np.arange(len(own))
        return slots

    @property
    def n_program_slots(self) -> int:
        return min(len(self.programs), MAX_PROGRAM_SLOTS) + 1 if self.models_program else 1

    # -- context ids: blocks of one table, id 0 is "nothing"

    @property
    def n_phases(self) -> int:
        """Places in a beat that the context tells apart; 1 where a step is longer than a beat, or there is none."""
        return max(1, int(self.grid.steps_per_beat or 1))

    @cached_property
    def blocks(self) -> dict[str, int]:
        """First id of each block of the context table; the table's size is under "end"."""
        sizes = {
            "style": len(self.styles) if len(self.styles) > 1 else 0,
            "metre": len(self.metres) if len(self.metres) > 1 else 0,
            "position": N_POSITIONS if self.grid.is_metrical else 0,
            "phase": self.n_phases if self.grid.is_metrical else 0,
            "bar": N_BARS if self.grid.is_metrical else 0,
            "phrase": N_PHRASES if self.grid.is_metrical else 0,
            "chord": N_CHORD_PLACES,
            "sounding": self.n_program_slots * N_PITCHES * 2,
            "remaining": self.n_program_slots * N_SPANS,
            "age": self.n_program_slots * N_SPANS,
            "ngram_shift": len(self.ngram_orders) * N_SPANS,
            "ngram_note": len(self.ngram_orders) * self.n_program_slots * N_PITCHES,
            "ngram_duration": len(self.ngram_orders) * N_SPANS,
            "start": 1,
            "shift": TIMES.size,
            "note": self.n_program_slots * N_PITCHES,
            "duration": self.n_program_slots * TIMES.size,
            "velocity": N_VELOCITIES if self.models_velocity else 0,
            "motion": self.n_program_slots * N_INTERVALS,
            "lookback_shift": self.n_lookbacks * N_SPANS,
            "lookback_note": self.n_lookbacks * self.n_program_slots * N_PITCHES,
            "lookback_motion": self.n_lookbacks * N_INTERVALS,
            "lookback_duration": self.n_lookbacks * N_SPANS,
            "lookback_run": self.n_runs * len(RUNS) * N_LATELY,
        }
        first, blocks = 1, {}
        for name, size in sizes.items():
            blocks[name] = first
            first += size
        blocks["end"] = first
        return blocks

    @property
    def n_context_ids(self) -> int:
        return self.blocks["end"]

    @property
    def n_context(self) -> int:
        """Ids in one row of `context`."""
        return N_PLACES_IN_TIME + 3 * self.n_sounding + 2 * len(self.ngram_orders) + 3 * self.n_lookbacks

    @property
    def n_before(self) -> int:
        """Ids in one row of `before`."""
        return len(self.ngram_orders) + self.n_lookbacks + self.n_runs

    @property
    def n_lookbacks(self) -> int:
        """Lags at which the model is told what stood there."""
        return len(self.lookback_steps) + len(self.lookback_bars)

    @property
    def n_runs(self) -> int:
        """Lags at which the model is told how well the last notes agreed."""
        return self.n_lookbacks if self.lookback_runs else 0

    @property
    def n_pointers(self) -> int:
        """Recalled notes and echoes that have a logit."""
        return len(self.pointer_columns)

    @cached_property
    def pointer_columns(self) -> list[int]:
        """Columns of `context` that hold the notes pointed to."""
        if not self.pointers:
            return []
        recalled = N_PLACES_IN_TIME + 3 * self.n_sounding
        looked_back = recalled + 2 * len(self.ngram_orders)
        return [*range(recalled, looked_back, 2), *range(looked_back, self.n_context, 3)]

    @cached_property
    def pointer_origins(self) -> np.ndarray:
        """Id of pitch 0 in each pointer's block, shape (n_pointers,), modulo 128: each place in it has 128 ids."""
        recalled = np.full(len(self.ngram_orders), self.blocks["ngram_note"])
        looked_back = np.full(self.n_lookbacks, self.blocks["lookback_note"])
        return np.concatenate([recalled, looked_back])[: self.n_pointers] % N_PITCHES

    def pointed(self, context: np.ndarray) -> np.ndarray:
        """The pitch that each pointer points to, -1 for none: (..., n_pointers), of `context` (..., n_context)."""
        ids = context[..., self.pointer_columns]
        return np.where(ids > 0, (ids - self.pointer_origins) % N_PITCHES, -1)

    def lags(self, metre: tuple[int, int] | None) -> list[int]:
        """The lags of a piece in `metre`, in steps; 0 where the model is told nothing, its metre being unknown."""
        bar = steps_per_bar(self.grid, metre) if metre and self.lookback_bars else 0
        return [*self.lookback_steps, *(bars * bar for bars in self.lookback_bars)]

    def previous_ids(self, fields: np.ndarray, last: np.ndarray | int) -> np.ndarray:
        """Ids of events as the model hears them one step later.

        Parameters
        ----------
        fields : array, shape (..., 5), classes of notes; a row of -1 is the start of the piece
        last : array, shape (...), the pitch plus 1 that the note's program struck before it; 0 is none

        Returns
        -------
        ids : array, shape (..., 5), int32
        """
        blocks = self.blocks
        ids = np.zeros((*fields.shape[:-1], 5), np.int32)
        start = fields[..., PITCH] < 0
        place = self.program_slots[fields[..., PROGRAM]]
        ids[..., 0] = np.where(start, blocks["start"], blocks["shift"] + fields[..., SHIFT])
        ids[..., 1] = np.where(start, 0, blocks["note"] + place * N_PITCHES + fields[..., PITCH])
        ids[..., 2] = np.where(start, 0, blocks["duration"] + place * TIMES.size + fields[..., DURATION])
        if self.models_velocity:
            ids[..., 3] = np.where(start, 0, blocks["velocity"] + fields[..., VELOCITY])
        motion = motion_class(fields[..., PITCH], last)
        ids[..., 4] = np.where(start | (motion == 0), 0, blocks["motion"] + place * N_INTERVALS + motion - 1)
        return ids

    def head_blocks(self, field: str) -> dict[str, int]:
        """First id of each block of the table that a field's head has of what was chosen before it.

        The blocks are the earlier fields' classes; once the program is chosen, what it played last (VOICE, see
        `Events.voice`); for the pitch and for the duration what sounds and what was heard, as seen from the program's
        last pitch and from the chosen one (see `relative_ids`); and for the duration the interval between these two
        (see `motion_class`). The table's size is under "end"; id 0 is "nothing".
        """
        blocks, first = {}, 1
        for earlier in self.fields[: self.fields.index(field)]:
            blocks[earlier] = first
            first += self.size(earlier)
        if "program" in blocks:
            for name, size in PROGRAM_HISTORY.items():
                blocks[name] = first - 1  # what is there is told as its class plus 1
                first += size
        if field in ("pitch", "duration"):
            for name, size in (("interval", 2 * N_INTERVALS), ("scale", 2 * 12), ("key", 3 * 12)):
                blocks[name] = first
                first += size
        if field == "duration":
            blocks["motion"] = first - 1
            first += N_INTERVALS
        return {**blocks, "end": first}

    def relative_ids(
        self, field: str, sounding: np.ndarray, pitch_class_levels: np.ndarray, relative_to: np.ndarray
    ) -> np.ndarray:
        """Ids for a head of what sounds, and of what was heard, as seen from a pitch.

        Parameters
        ----------
        field : "pitch", seen from the program's last pitch, or "duration", seen from the chosen one
        sounding : array, shape (n, slots): ids of the block "sounding" (`sounding_columns` of `context`)
        heard : array, shape (n, 24): see `Events.heard`
        seen_from : array, shape (n,): that pitch plus 1; 0 is none, and then nothing is seen

        Returns
        -------
        ids : array, shape (n, slots + 24)
        """
        blocks, origin = self.head_blocks(field), relative_to[:, None]
        state = sounding - self.blocks["sounding"]
        interval = interval_class(state // 2 % N_PITCHES - (origin - 1))
        intervals = np.where((sounding > 0) & (origin > 0), blocks["interval"] + interval * 2 + state % 2, 0)
        degree = (np.arange(12) - (origin - 1)) % 12
        degrees = np.concatenate([blocks["scale"] + degree * 2, blocks["key"] + degree * 3], 1)
        return np.concatenate(
            [intervals, np.where((pitch_class_levels > 0) & (origin > 0), degrees + pitch_class_levels - 1, 0)], 1
        )

    @property
    def sounding_columns(self) -> slice:
        """Columns of `context` that hold ids of the block "sounding"."""
        return slice(N_PLACES_IN_TIME, N_PLACES_IN_TIME + 3 * self.n_sounding, 3)

    # -- piece conditions

    def condition_ids(self, style: str | None, metre: tuple[int, int] | None) -> tuple[int, int]:
        """Context ids of the conditions; an unknown or unheard one is 0."""
        style_id = metre_id = 0
        if len(self.styles) > 1 and style in self.styles:
            style_id = self.blocks["style"] + self.styles.index(style)
        if len(self.metres) > 1 and metre in self.metres:
            metre_id = self.blocks["metre"] + self.metres.index(metre)
        return style_id, metre_id


_FIELDS = {field.name for field in dataclasses.fields(Vocabulary)} - {"statistics"}
_COUNTED = {field.name for field in dataclasses.fields(CorpusStatistics)} - _FIELDS


def _with(sequence: type, value: Any) -> Any:
    """The value with its lists and tuples, at any depth, as `sequence`."""
    return sequence(_with(sequence, item) for item in value) if isinstance(value, (list, tuple)) else value
