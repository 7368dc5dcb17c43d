"""The vocabulary: which fields an event has, their classes, and which features a corpus gives reason for."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from melodygru.events.statistics import (
    MAX_METRES,
    MAX_STEP,
    MAX_STYLES,
    METRE_FORM,
    PROGRAM_FORM,
    CorpusStatistics,
)
from melodygru.events.times import TIMES
from melodygru.music.grid import GRID_FORM, Grid
from melodygru.music.notes import N_PITCHES, N_PROGRAMS
from melodygru.util.schema import Flag, Integer, Record, Rows, Text, entry, record

FIELDS = ("shift", "part", "pitch", "duration", "velocity")
SHIFT, PART, PITCH, DURATION, VELOCITY = range(5)
END = 0  # the part class that ends a piece
NEW = 1  # the part class of a part that comes in with program 0; those of the other programs follow it
FIRST_PART = NEW + N_PROGRAMS  # the part class of the first part that has played; the others follow it

N_VELOCITIES = 32
VELOCITY_WIDTH = 128 // N_VELOCITIES

NGRAM_ORDERS = (3, 6, 12)
ALIGNMENT_ORDERS = (5, 12)  # where there are any
MAX_PROGRAM_SLOTS = 16  # programs with a slot of their own among the features
MAX_PARTS = 48  # parts of a piece that are modelled


@dataclass(frozen=True)
class Vocabulary:
    """What the events of a corpus consist of; everything needed to encode and decode, as plain values.

    Parameters
    ----------
    grid : Grid
    programs : tuple of int
        The programs of the training corpus, the one with the most notes first. All 129 have a class; among the
        features the first MAX_PROGRAM_SLOTS have a slot of their own, while the others, and those that the corpus
        never showed, share one.
    parts : int
        Parts of a piece that can be told apart, at most: more than any training piece has. 0: every piece has one part,
        of one and the same program, and the field is unmodelled.
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
        are no more than each piece's fingerprint, which the model would memorise.
    lookback_steps : tuple of int
        Lags in steps at which what stood there is a feature; those at which the corpus repeats itself most.
    lookback_bars : tuple of int
        Lags in bars of the piece's first metre, features where the metre is known: those that say more than
        `lookback_steps` do, in a corpus of several metres.
    lookback_runs : bool
        Whether it is a feature how well the last notes agreed with those a lag before them.
    kept : bool
        Whether it is a feature what stays of a piece of which bars are composed again.
    plans : bool
        Whether tempo, length, form and chords are features where the plan knows them; only on a metrical grid.
    exact_ends : bool
        Whether a long note can end to the step where most sounding notes do, see `features.common_end`; only without
        a beat.
    alignment_orders : tuple of int
        Numbers of last notes by which an earlier passage is found that is then followed, see `features.alignment`; only
        where parts are unmodelled.
    statistics : CorpusStatistics
        What new pieces are drawn from; its styles, metres and programs are always these.
    """

    grid: Grid = entry(GRID_FORM)
    programs: tuple[int, ...] = entry(Rows(PROGRAM_FORM, 1, N_PROGRAMS))
    parts: int = entry(Integer(0, MAX_PARTS))
    velocities: tuple[int, ...] = entry(Rows(Integer(1, 127), 1, N_VELOCITIES))
    styles: tuple[str, ...] = entry(Rows(Text(1000), 0, MAX_STYLES), default=())
    metres: tuple[tuple[int, int], ...] = entry(Rows(METRE_FORM, 1, MAX_METRES), default=((4, 4),))
    n_sounding: int = entry(Integer(1, 64), default=8)
    ngram_orders: tuple[int, ...] = entry(Rows(Integer(1, 64), 0, 8), default=NGRAM_ORDERS)
    key: bool = entry(Flag(), default=True)
    lookback_steps: tuple[int, ...] = entry(Rows(Integer(1, MAX_STEP), 0, 16), default=())
    lookback_bars: tuple[int, ...] = entry(Rows(Integer(1, 1024), 0, 16), default=())
    lookback_runs: bool = entry(Flag(), default=False)
    kept: bool = entry(Flag(), default=False)
    plans: bool = entry(Flag(), default=False)
    exact_ends: bool = entry(Flag(), default=False)
    alignment_orders: tuple[int, ...] = entry(Rows(Integer(1, 64), 0, 8), default=())
    statistics: CorpusStatistics = dataclasses.field(default=CorpusStatistics(), hash=False)  # large

    def __post_init__(self) -> None:
        statistics = dataclasses.replace(
            self.statistics, styles=self.styles, metres=self.metres, programs=self.programs
        )
        object.__setattr__(self, "statistics", statistics)
        if self.plans and not self.grid.is_metrical:
            raise ValueError("plans without a beat: expected a metrical grid")
        if self.exact_ends and self.grid.is_metrical:
            raise ValueError("exact ends with a beat: expected a grid of milliseconds")
        if self.alignment_orders and self.models_part:
            raise ValueError("alignment of several parts: expected 0 parts, or no alignment_orders")

    # -- plain values, for the checkpoint

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values from which `from_dict` makes an equal vocabulary; those of the statistics among them."""
        values = vars(self.statistics) | {name: value for name, value in vars(self).items() if name in _FIELDS}
        values |= {"grid": str(self.grid)}
        return {name: _with(list, value) for name, value in values.items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Vocabulary:
        """The inverse of `as_dict`; ValueError or NoteError where a value is not as its entry declares it."""
        read = _FORM.read(values, "vocabulary")
        counted = {name: read.pop(name) for name in _COUNTED if name in read}
        vocabulary = cls(**{**read, "grid": Grid.parse(read["grid"]), "statistics": CorpusStatistics(**counted)})
        if len(vocabulary.velocities) not in (1, N_VELOCITIES):
            raise ValueError(f"{len(vocabulary.velocities)} velocities: expected 1 or {N_VELOCITIES}")
        vocabulary.statistics.check()
        return vocabulary

    # -- fields

    @property
    def models_part(self) -> bool:
        return self.parts > 0

    @property
    def models_velocity(self) -> bool:
        return len(self.velocities) > 1

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that have a head, in order; part is there for END's sake even when it is unmodelled."""
        return FIELDS if self.models_velocity else FIELDS[:-1]

    @property
    def unmodelled(self) -> list[str]:
        """Fields with one value in the whole corpus."""
        return [
            name for name, modelled in (("part", self.models_part), ("velocity", self.models_velocity)) if not modelled
        ]

    def size(self, field: str) -> int:
        """Number of classes of a field; also of "program", of which constraints speak (see `program_class`)."""
        return {
            "shift": TIMES.size,
            "part": FIRST_PART + self.parts if self.models_part else 2,
            "program": NEW + N_PROGRAMS,
            "pitch": N_PITCHES,
            "duration": TIMES.size,
            "velocity": N_VELOCITIES,
        }[field]

    @staticmethod
    def program_class(programs: np.ndarray) -> np.ndarray:
        """Class of each program, whatever part plays it; END is the end."""
        return np.asarray(programs).astype(np.int64) + NEW

    def program_of_new(self, part_class: int) -> int:
        """Program of a part that comes in with that class."""
        return part_class - NEW if self.models_part else self.programs[0]

    @cached_property
    def program_slots(self) -> np.ndarray:
        """Slot of each program among the features, shape (129,)."""
        if len(self.programs) == 1:
            return np.zeros(N_PROGRAMS, np.int64)
        own = np.array(self.programs[:MAX_PROGRAM_SLOTS])
        slots = np.full(N_PROGRAMS, len(own), np.int64)
        slots[own] = np.arange(len(own))
        return slots

    @property
    def n_program_slots(self) -> int:
        return min(len(self.programs), MAX_PROGRAM_SLOTS) + 1 if len(self.programs) > 1 else 1

    @property
    def n_source_slots(self) -> int:
        """Slots that a looked-up note's program may have; 0 where there is only one, which says nothing."""
        return self.n_program_slots if self.n_program_slots > 1 else 0

    @property
    def n_lookbacks(self) -> int:
        """Lags at which what stood there is a feature."""
        return len(self.lookback_steps) + len(self.lookback_bars)


_FIELDS = {field.name for field in dataclasses.fields(Vocabulary)} - {"statistics"}
_COUNTED = {field.name for field in dataclasses.fields(CorpusStatistics)} - _FIELDS
_FORM = Record(
    record(Vocabulary).forms | {name: record(CorpusStatistics).forms[name] for name in _COUNTED},
    record(Vocabulary).required,
)


def _with(sequence: type, value: Any) -> Any:
    """The value with its lists and tuples, at any depth, as `sequence`."""
    return sequence(_with(sequence, item) for item in value) if isinstance(value, (list, tuple)) else value
