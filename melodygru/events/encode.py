"""Notes <-> events: the vocabulary, the context, and what may follow what.

One event is one note, a row of five classes, in the canonical order of the notes (onset, program, pitch):

    column    class range           meaning
    shift     [0, TIMES.size)       steps since the previous onset; 0 inside a chord; the first counts from step 0
    program   [0, n_programs]       0 is END; then the program (see `Vocabulary.program_class`)
    pitch     [0, 128)              MIDI pitch
    duration  [0, TIMES.size)       steps
    velocity  [0, 32)               velocity // 4

The last event of a piece is END, whose shift reaches the end of the piece; it has no pitch, duration or velocity
(-1). A field with one value in the whole corpus has no column's worth of information: it is `unmodelled`, its
head does not exist, and decoding restores the value. The program column always exists, because END is in it.

Times are exact below `TIMES.exact` steps; above, classes widen by 6% and the place inside a class is uniform, at
the price of ln(width) nats, up to `TIMES.maximum`.

Context
-------
All that the model is told about a piece, as integer ids into one embedding table (0 is "nothing"). It follows from
the events so far alone (and from the piece conditions, style and metre):

    previous[t] the fields of event t-1, or the start of the piece
    before[t]   known before event t: what followed the last time that the preceding 3, 6 or 12 events occurred
                in this piece (recall), and what came next a few fixed lags ago (echo), both seen as a shift; and how
                well the last notes agreed with those a lag before them
    context[t]  known once event t's onset is: conditions, place in the bar, the beat, the phrase and the chord,
                the notes that sound or have just ended (who, since when, until when), the recalled event's program,
                pitch and duration where the shift agrees with it, and the note that stood at this place those lags
                ago, with its pitch, its interval to its program's last, and its duration
    voice[t]    known once event t's program is: that program's last two pitches and how long they lasted, and how far
                below and above the last one its lowest and its highest lie
    heard[t]    known before event t: how often each pitch class stood among the last 24 notes, and in the whole piece

A program's last pitch is a point of view: the pitch head sees what sounds and what was heard as intervals from it
as well, and gives logits to intervals beside pitches, so that a transposed phrase looks alike. The duration head sees
the same from the chosen pitch: dissonance is short. Each recalled note and each echo is a pointer to its pitch: it has
a logit of its own, added to that pitch's, as in See et al. (2017), but before the softmax.

Two forms give the same ids, held together by a property test: `encode`, vectorised over a piece (training), and
`Context`, advanced note by note (sampling).

What may follow
---------------
Canonical order and the rule against overlaps make some events impossible; the model gives them no probability:
a pitch that its program still sounds; inside a chord, a program or pitch not above the last; END while a note
sounds on.
"""

from __future__ import annotations

import copy
import dataclasses
import math
from bisect import bisect_left, bisect_right
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from melodygru.errors import NoteError
from melodygru.music.diversity import least_diversity
from melodygru.music.keys import commonest_share, key_signature
from melodygru.music.notes import (
    DRUMS,
    METRE,
    N_PITCHES,
    N_PROGRAMS,
    NOTE,
    TEMPO,
    Changes,
    Grid,
    NoteSequence,
    canonical,
    steps_per_bar,
)

FIELDS = ("shift", "program", "pitch", "duration", "velocity")
SHIFT, PROGRAM, PITCH, DURATION, VELOCITY = range(5)
END = 0  # the program class that ends a piece

# What the model is given of a window of events, see `Events.window`.
INPUTS = ("fields", "previous", "before", "context", "program_history", "pitch_class_levels", "pitch_mask", "legality")

N_VELOCITIES = 32
VELOCITY_WIDTH = 128 // N_VELOCITIES

N_SIGNATURES = 12
N_POSITIONS = 192  # places in a bar that the context tells apart
N_BARS = 8  # bars are counted modulo a phrase of eight
PHRASE, N_PHRASES = 4, 32  # and in phrases of four bars since the beginning; what is later counts as the last
BLOCK = 4096  # events whose sounding notes are looked up at once
N_CONDITIONS = 2  # columns of the context that hold the piece conditions, style and metre
N_PLACES_IN_TIME = 7  # columns of the context before the sounding notes: conditions, position, ..., place in the chord
N_CHORD_PLACES = 8
N_SPANS = 40  # see `span_class`
NGRAM_ORDERS = (3, 6, 12)  # events that must agree before what followed them is recalled
N_LOOKBACKS = 6  # lags at which the model is told what stood there, at most
LOOKBACK_BEATS = 64  # the longest lag
LOOKBACK_BARS = 16  # the longest lag that is counted in bars
# Share of the notes that a lag must explain beyond the lags before it, and beyond any odd lag; a bar is no odd one.
LOOKBACK_GAIN, LOOKBACK_BAR_GAIN = 0.03, 0.02
LOOKBACK_NOTES = 10_000  # of the corpus that lags are chosen by, about
RUNS = (0, 1, 2, 3, 4, 6, 9, 16, 32)  # notes in a row that agree with those a lag before: the least of each class
LATELY, N_LATELY = 16, 5  # the last notes among which those that agree are counted, and classes of their number
N_INTERVALS = 127  # -63..63 semitones, wider ones count as these
N_RECENT = 24  # notes that the pitch classes heard last are counted over
OFTEN = 3  # times that a pitch class is heard often
ONE_KEY = 0.45  # share of the pieces in one key signature above which a corpus is taken to be in one key
RARE_DIVERSITY = 0.001  # share of the pieces
KEY_SHARES = (24, 8)  # a pitch class with this part of a piece's notes, or more, belongs to its key; is at its centre
N_LENGTHS = 32  # of the pieces of a style that are remembered
MAX_PLACES = 24  # programs with a place of their own in the context
MAX_SLOTS = 16  # sounding notes told to the model; the most recent ones, should there be more


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


class TimeClasses:
    """Classes for a number of steps: exact below `exact`, then wider by `growth`, up to and including `maximum`."""

    exact = 96
    growth = 1.06
    maximum = 65_535

    def __init__(self) -> None:
        low = list(range(self.exact + 1))
        while low[-1] <= self.maximum:
            low.append(max(low[-1] + 1, math.ceil(low[-1] * self.growth)))
        low[-1] = self.maximum + 1
        self.low = np.array(low[:-1], np.int64)
        self.width = np.diff(np.array(low, np.int64))
        self.size = len(self.low)
        self.log_width = np.log(self.width).astype(np.float64)

    def encode(self, steps: np.ndarray) -> np.ndarray:
        """Class of each number of steps in 0..maximum."""
        return self._classes[steps]

    @cached_property
    def _classes(self) -> np.ndarray:
        """Class of each number of steps: looking it up is faster than searching."""
        return np.searchsorted(self.low, np.arange(self.maximum + 1), side="right") - 1

    def decode(self, classes: np.ndarray, places: np.ndarray) -> np.ndarray:
        """Steps of `classes` at `places`, in [0, 1), of their width."""
        return self.low[classes] + np.floor(places * self.width[classes]).astype(np.int64)


TIMES = TimeClasses()


def span_class(steps: np.ndarray) -> np.ndarray:
    """Coarse class in [0, N_SPANS) of a length of time in the context: exact below 16, then four an octave."""
    return _SPANS[np.minimum(steps, len(_SPANS) - 1)]


def _spans() -> np.ndarray:
    """`span_class` of each number of steps, up to the first of the last class."""
    steps = np.arange(16 * 2 ** math.ceil((N_SPANS - 16) / 4))
    coarse = 16 + np.floor(4 * np.log2(np.maximum(steps, 16) / 16)).astype(np.int64)
    return np.where(steps < 16, steps, np.minimum(coarse, N_SPANS - 1))


_SPANS = _spans()


def interval_class(semitones: np.ndarray) -> np.ndarray:
    """Class in [0, N_INTERVALS) of an interval; the widest classes hold all that is wider."""
    widest = N_INTERVALS // 2
    return np.clip(semitones, -widest, widest) + widest


def motion_class(pitch: np.ndarray, last: np.ndarray | int) -> np.ndarray:
    """Class plus 1 of the interval to `pitch` from `last`, a pitch plus 1; 0 where `last` is 0, none."""
    return np.where(np.asarray(last) > 0, interval_class(pitch - (last - 1)) + 1, 0)


_SPAN_TABLE = _SPANS.tolist()


def _span(steps: int) -> int:
    """`span_class` of one number of steps, from a table."""
    return _SPAN_TABLE[steps] if steps < len(_SPAN_TABLE) else N_SPANS - 1


_LOWS = TIMES.low.tolist()


def _time(steps: int) -> int:
    """`TimeClasses.encode` of one number of steps."""
    return bisect_right(_LOWS, steps) - 1


# `motion_class` of each interval, from a table; the negative ones are counted from its end.
_MOTION = motion_class(np.append(np.arange(N_PITCHES), np.arange(-N_PITCHES, 0)), 1).tolist()


# Fields of `Vocabulary` that have another name in a checkpoint.
NAMES_IN_FILES = {
    "ngram_orders": "recall",
    "lookback_steps": "echo",
    "lookback_bars": "echo_bars",
    "lookback_runs": "echo_runs",
    "diversity": "variety",
}


@dataclass(frozen=True)
class Vocabulary:
    """What the events of a corpus consist of; everything needed to encode and decode, as plain values.

    Parameters
    ----------
    grid : Grid
    programs : tuple of int
        The programs of the training corpus, the one with the most notes first. One program: the field is unmodelled.
        Several: all 129 have a class, and in the context the first MAX_PLACES have a place of their own; the others,
        and those that the corpus never showed, share one.
    velocities : tuple of int
        One value: the field is unmodelled and decodes to it. Otherwise, 32 values: what each bin decodes to.
    styles : tuple of str
        Sub-folders of the corpus, empty when there are none.
    metres : tuple of (numerator, denominator)
        First time signatures of the training pieces; a condition only when there are several.
    qpm : float
        Tempo that a new piece is written with.
    metre_pieces : tuple of int
        How many pieces begin in each of the metres; empty: equally many.
    style_qpm, style_metres, style_programs : tuples, one for each style
        Its median tempo; how many of its pieces begin in each of the metres; its programs.
    lengths : tuple of int, for each of the metres, for each style and then for the whole corpus
        Steps of its pieces, N_LENGTHS quantiles of them, in rising order; empty without such a piece.
    longest : int
        Steps of the longest piece of the corpus; 0 is unknown. What is composed without a length ends there at the
        latest.
    slots : int
        Sounding notes told to the model, at most.
    recall : tuple of int
        Numbers of agreeing events after which the model is told what followed them.
    key : bool
        Whether the model is told of the key and the range of the whole piece so far. In a corpus that stands in one key
        they are no more than each piece's fingerprint, to be learned by heart.
    echo : tuple of int
        Lags in steps at which the model is told what stood there; those at which the corpus repeats itself most.
    echo_bars : tuple of int
        Lags in bars of the piece's first metre, told where the metre is known: those that say more than `echo` does, in
        a corpus of several metres.
    echo_runs : bool
        Whether the model is told how well the last notes agreed with those a lag before them.
    pointers : bool
        Whether recalled notes and echoes have a logit each, which is added to that of their pitch.
    signatures : tuple of int, for each style and then for the whole corpus
        How many of its pieces stand in each of the twelve key signatures (`keys.key_signature`); empty: unknown.
    variety : int
        The fewest different figures that the corpus' pieces keep to, RARE_VARIETY of them left out, see `variety`; 0 is
        unknown.
    """

    grid: Grid
    programs: tuple[int, ...]
    velocities: tuple[int, ...]
    styles: tuple[str, ...] = ()
    metres: tuple[tuple[int, int], ...] = ((4, 4),)
    qpm: float = 120.0
    style_qpm: tuple[float, ...] = ()
    metre_pieces: tuple[int, ...] = ()
    style_metres: tuple[tuple[int, ...], ...] = ()
    style_programs: tuple[tuple[int, ...], ...] = ()
    lengths: tuple[tuple[tuple[int, ...], ...], ...] = ()
    longest: int = 0
    slots: int = 8
    ngram_orders: tuple[int, ...] = NGRAM_ORDERS
    key: bool = True
    lookback_steps: tuple[int, ...] = ()
    lookback_bars: tuple[int, ...] = ()
    lookback_runs: bool = False
    pointers: bool = False
    signatures: tuple[tuple[int, ...], ...] = ()
    diversity: int = 0

    # -- plain values, for the checkpoint

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values from which `from_dict` makes an equal vocabulary."""
        values = {NAMES_IN_FILES.get(f.name, f.name): getattr(self, f.name) for f in dataclasses.fields(self)}
        for name in ("metres", "style_metres", "style_programs", "signatures"):
            values[name] = [list(row) for row in values[name]]
        return {**values, "grid": str(self.grid)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Vocabulary:
        """The inverse of `as_dict`."""
        names = {in_file: name for name, in_file in NAMES_IN_FILES.items()}
        values = {names.get(name, name): value for name, value in values.items()}
        for name in (
            "programs",
            "velocities",
            "styles",
            "metre_pieces",
            "style_qpm",
            "ngram_orders",
            "lookback_steps",
            "lookback_bars",
        ):
            values[name] = tuple(values.get(name, ()))
        for name in ("metres", "style_metres", "style_programs", "signatures"):
            values[name] = tuple(tuple(int(value) for value in row) for row in values.get(name, ()))
        values["lengths"] = tuple(tuple(tuple(row) for row in metres) for metres in values.get("lengths", ()))
        return cls(
            **{
                **values,
                "grid": Grid.parse(values["grid"]),
            }
        )

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

    def program_of_class(self, program_class: int) -> int:
        return program_class - 1 if self.models_program else self.programs[0]

    @cached_property
    def place_of_class(self) -> np.ndarray:
        """Place in the context's tables of each program class, shape (n_classes,); END's is meaningless."""
        if not self.models_program:
            return np.zeros(2, np.int64)
        own = np.array(self.programs[:MAX_PLACES])
        place = np.full(1 + N_PROGRAMS, len(own), np.int64)
        place[own + 1] = np.arange(len(own))
        return place

    @property
    def n_places(self) -> int:
        return min(len(self.programs), MAX_PLACES) + 1 if self.models_program else 1

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
            "sounding": self.n_places * N_PITCHES * 2,
            "remaining": self.n_places * N_SPANS,
            "age": self.n_places * N_SPANS,
            "ngram_shift": len(self.ngram_orders) * N_SPANS,
            "ngram_note": len(self.ngram_orders) * self.n_places * N_PITCHES,
            "ngram_duration": len(self.ngram_orders) * N_SPANS,
            "start": 1,
            "shift": TIMES.size,
            "note": self.n_places * N_PITCHES,
            "duration": self.n_places * TIMES.size,
            "velocity": N_VELOCITIES if self.models_velocity else 0,
            "motion": self.n_places * N_INTERVALS,
            "lookback_shift": self.n_lookbacks * N_SPANS,
            "lookback_note": self.n_lookbacks * self.n_places * N_PITCHES,
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
        return N_PLACES_IN_TIME + 3 * self.slots + 2 * len(self.ngram_orders) + 3 * self.n_lookbacks

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
        recalled = N_PLACES_IN_TIME + 3 * self.slots
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
        place = self.place_of_class[fields[..., PROGRAM]]
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
        return slice(N_PLACES_IN_TIME, N_PLACES_IN_TIME + 3 * self.slots, 3)

    # -- piece conditions

    def condition_ids(self, style: str | None, metre: tuple[int, int] | None) -> tuple[int, int]:
        """Context ids of the conditions; an unknown or unheard one is 0."""
        style_id = metre_id = 0
        if len(self.styles) > 1 and style in self.styles:
            style_id = self.blocks["style"] + self.styles.index(style)
        if len(self.metres) > 1 and metre in self.metres:
            metre_id = self.blocks["metre"] + self.metres.index(metre)
        return style_id, metre_id

    def metre_of(self, style: str | None, draw: float = 0.0) -> tuple[int, int]:
        """A time signature of a style's pieces: the commonest, or as frequent as among them over draws in [0, 1)."""
        pieces = np.array(self._of_style(self.style_metres, style) or self.metre_pieces or [1] * len(self.metres))
        order = np.argsort(-pieces, kind="stable")
        return self.metres[order[np.searchsorted(np.cumsum(pieces[order]), draw * pieces.sum(), side="right")]]

    def signature_of(self, style: str | None, draw: float) -> int | None:
        """A key signature, as frequent as among a style's pieces over draws in [0, 1); None: unknown."""
        if not self.signatures:
            return None
        pieces = np.cumsum(self.signatures[self.styles.index(style) if style in self.styles else -1])
        return int(np.searchsorted(pieces, draw * pieces[-1], side="right")) if pieces[-1] else None

    def length_of(self, style: str | None, metre: tuple[int, int], draw: float) -> int | None:
        """Steps of a piece of `style` in `metre`, as frequent as among them over draws in [0, 1); None: unknown."""
        if not self.lengths or metre not in self.metres:
            return None
        of_style = self.lengths[self.styles.index(style) if style in self.styles else -1]
        lengths = of_style[self.metres.index(metre)]
        return lengths[int(draw * len(lengths))] if lengths else None

    def _of_style(self, values: tuple[tuple[int, ...], ...], style: str | None) -> tuple[int, ...]:
        """What is known of a style; empty where it, or its pieces, are unknown."""
        return values[self.styles.index(style)] if style in self.styles and values else ()

    def programs_of(self, style: str | None) -> np.ndarray:
        """Which program classes the pieces of `style` have, shape (size of the field,), bool; None: the corpus."""
        programs = self._of_style(self.style_programs, style) or self.programs
        present = np.zeros(self.size("program"), bool)
        present[self.program_class(np.array(programs))] = True
        return present

    def tempo_of(self, style: str | None) -> float:
        """Quarter notes per minute that a new piece of `style` is written with."""
        if style in self.styles and self.style_qpm:
            return self.style_qpm[self.styles.index(style)]
        return self.qpm

    @classmethod
    def fit(cls, pieces: Iterable[tuple[NoteSequence, str | None]], grid: Grid) -> Vocabulary:
        """The vocabulary of a corpus of (sequence on `grid`, style) pairs, read once.

        Raises
        ------
        NoteError
            There is no note in it.
        """
        program_count = np.zeros(N_PROGRAMS, np.int64)
        velocity_count = np.zeros(128, np.int64)
        metre_count: Counter[tuple[int, int]] = Counter()
        style_metres: dict[str, Counter[tuple[int, int]]] = {}
        style_programs: dict[str, set[int]] = {}
        style_tempos: dict[str, list[float]] = {}
        tempos: list[float] = []
        slots = 4.0
        lengths: dict[tuple[str | None, tuple[int, int]], list[int]] = {}
        signatures: list[tuple[str | None, int | None]] = []
        diversities: list[int] = []
        repeats = _Repeats(grid)
        for sequence, style in pieces:
            notes = sequence.notes
            if len(notes) == 0:
                continue
            program_count += np.bincount(notes["program"], minlength=N_PROGRAMS)
            velocity_count += np.bincount(notes["velocity"], minlength=128)
            metre_count[sequence.metre] += 1
            tempos.append(sequence.qpm)
            for key in {(style, sequence.metre), (None, sequence.metre)}:
                lengths.setdefault(key, []).append(sequence.length)
            if style is not None:
                style_tempos.setdefault(style, []).append(sequence.qpm)
                style_metres.setdefault(style, Counter())[sequence.metre] += 1
                style_programs.setdefault(style, set()).update(np.unique(notes["program"]).tolist())
            counts = _active_counts(notes["onset"] + notes["duration"], notes["onset"])
            slots = max(slots, float(np.quantile(counts, 0.98)))
            signatures.append((style, key_signature(sequence)))
            if (diversity := least_diversity(notes)) is not None:
                diversities.append(diversity)
            repeats.add(notes, sequence.metre)
        if not program_count.any():
            raise NoteError("no note in the corpus: nothing to make a vocabulary of")
        lookback_steps, lookback_bars = repeats.lags()
        styles = tuple(sorted(style_tempos))
        present = np.flatnonzero(velocity_count)
        metres = _by_frequency(metre_count)
        return cls(
            grid=grid,
            programs=tuple(np.argsort(-program_count, kind="stable")[: np.count_nonzero(program_count)].tolist()),
            velocities=(int(present[0]),) if len(present) == 1 else _velocity_of_bin(velocity_count),
            styles=styles,
            metres=metres,
            metre_pieces=tuple(metre_count[metre] for metre in metres),
            qpm=float(np.median(tempos)),
            style_qpm=tuple(float(np.median(style_tempos[style])) for style in styles),
            style_metres=tuple(tuple(style_metres[style][metre] for metre in metres) for style in styles),
            style_programs=tuple(tuple(sorted(style_programs[style])) for style in styles),
            lengths=tuple(
                tuple(_quantiles(lengths.get((style, metre), [])) for metre in metres) for style in (*styles, None)
            ),
            longest=max(max(of_metre) for of_metre in lengths.values()),
            slots=min(MAX_SLOTS, int(math.ceil(slots))),
            key=bool(commonest_share(signature for _, signature in signatures) <= ONE_KEY),
            lookback_steps=lookback_steps,
            lookback_bars=lookback_bars,
            lookback_runs=bool(lookback_bars),
            pointers=True,
            signatures=tuple(_signature_counts(signatures, style) for style in (*styles, None)),
            diversity=int(np.quantile(diversities, RARE_DIVERSITY, method="lower")) if diversities else 0,
        )


class _Repeats:
    """At which lags the pieces of a corpus repeat their own notes, by a sample of them."""

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        beat = float(grid.steps_per_beat or 0)  # none: no lags
        unit, longest = max(1, round(beat / 2)), round(beat * LOOKBACK_BEATS)
        self._lags = np.arange(unit, longest + 1, unit)
        self._bars = np.arange(1, LOOKBACK_BARS + 1)
        self._repeated: list[np.ndarray] = []  # of a piece: shape (lags and bars, notes), whether it stood there too
        self._every, self._met = 1, 0
        self._metre: tuple[int, int] | None = None
        self._several = False  # whether there are several metres

    def add(self, notes: np.ndarray, metre: tuple[int, int]) -> None:
        """Look at a piece, or at every second, fourth, ... once there are many."""
        self._met += 1
        self._metre = self._metre or metre
        self._several |= metre != self._metre
        if not len(self._lags) or self._met % self._every:
            return
        notes = notes[:LOOKBACK_NOTES]
        step = (N_PROGRAMS + 1) * N_PITCHES
        key = np.sort(notes["onset"].astype(np.int64) * step + notes["program"] * N_PITCHES + notes["pitch"])
        lags = np.append(self._lags, self._bars * steps_per_bar(self._grid, metre))
        wanted = key - lags[:, None] * step
        self._repeated.append(key[np.minimum(np.searchsorted(key, wanted), len(key) - 1)] == wanted)
        if sum(repeated.shape[1] for repeated in self._repeated) > 2 * LOOKBACK_NOTES:
            self._repeated = self._repeated[1::2]
            self._every *= 2

    def lags(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The lags that explain most notes, each beyond those before it and beyond chance: in steps, and in bars.

        Chance is what one lag in ten reaches. Without several metres bars say nothing that steps don't; with them,
        steps still serve where the metre is unknown.
        """
        if not self._repeated:
            return (), ()
        repeated = np.concatenate(self._repeated, 1)
        n = len(self._lags)
        steps = _most_telling(repeated[:n], repeated[:n], LOOKBACK_GAIN)
        bars = _most_telling(repeated[n:], repeated[:n], LOOKBACK_BAR_GAIN) if self._several else []
        return tuple(self._lags[sorted(steps)].tolist()), tuple(self._bars[sorted(bars)].tolist())


def _most_telling(repeated: np.ndarray, any_lag: np.ndarray, least: float) -> list[int]:
    """At most N_ECHOES rows of `repeated`, shape (lags, notes), each true beyond those before it and beyond chance.

    Chance is what one in ten of `any_lag` reaches; beyond both by `least`, a share of the notes.
    """
    chosen: list[int] = []
    open_notes = np.ones(repeated.shape[1], bool)
    while len(chosen) < N_LOOKBACKS:
        gain = (repeated & open_notes).mean(1) - np.quantile((any_lag & open_notes).mean(1), 0.9)
        best = int(gain.argmax())
        if gain[best] < least:
            break
        chosen.append(best)
        open_notes &= ~repeated[best]
    return chosen


def _quantiles(lengths: Sequence[int]) -> tuple[int, ...]:
    """At most N_LENGTHS of the numbers, evenly over their ranks."""
    ranked = sorted(lengths)
    n = min(len(ranked), N_LENGTHS)
    return tuple(ranked[(2 * i + 1) * len(ranked) // (2 * n)] for i in range(n))


def _by_frequency(count: Counter[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Time signatures, the most frequent first."""
    return tuple(sorted(count, key=lambda metre: (-count[metre], metre)))


def _signature_counts(signatures: Sequence[tuple[str | None, int | None]], style: str | None) -> tuple[int, ...]:
    """Pieces in each key signature, of a style or, for None, of the corpus."""
    found = [signature for of, signature in signatures if signature is not None and style in (of, None)]
    return tuple(np.bincount(found, minlength=N_SIGNATURES).tolist())


def _velocity_of_bin(count: np.ndarray) -> tuple[int, ...]:
    """What each velocity bin decodes to: the corpus's most frequent velocity in it, else its middle."""
    values = []
    for low in range(0, 128, VELOCITY_WIDTH):
        inside = count[low : low + VELOCITY_WIDTH]
        values.append(low + (int(inside.argmax()) if inside.any() else VELOCITY_WIDTH // 2))
    return tuple(values)


# -- a piece, encoded


@dataclass(frozen=True)
class Events:
    """A piece as rows for the model; T is its number of events, END included.

    Attributes
    ----------
    fields : array, shape (T, 5), int32
        Classes as in the module's table; -1 where END has none, and for an unmodelled velocity.
    charge : array, shape (T, 5), float32
        ln(width) of the classes of shift and duration: nats for the place inside the class. 0 elsewhere.
    previous : array, shape (T, 5), int32
    before : array, shape (T, vocabulary.n_before), int32
    context : array, shape (T, vocabulary.n_context), int32
    voice : array, shape (T, 6), int32
        Of the event's program: its last pitch and the one before it, the `span_class` that each lasted, and the
        semitones from the last down to the lowest pitch so far and up to the highest, all plus 1; 0 is none.
    heard : array, shape (T, 24), uint8
        Pitch classes among the last N_HEARD notes: 0 not heard, 1 heard, 2 heard often. Then among all notes: 0 not
        heard, 1 heard, 2 in the key, 3 at its centre (see KEY_SHARES).
    taken : array, shape (T, 16), uint8
        Pitches that the event's program cannot strike, bit `pitch % 8` of byte `pitch // 8`.
    limits : array, shape (T, 3), int32
        Whether shift 0 is possible; the lowest possible program class; whether END is possible.
    changes : Changes
        What the vocabulary could not hold.
    """

    fields: np.ndarray
    log_bin_width: np.ndarray
    previous: np.ndarray
    before: np.ndarray
    context: np.ndarray
    program_history: np.ndarray
    pitch_class_levels: np.ndarray
    pitch_mask: np.ndarray
    legality: np.ndarray
    changes: Changes

    def __len__(self) -> int:
        return len(self.fields)

    def window(self, start: int, stop: int) -> dict[str, np.ndarray]:
        """What the model is given of events [start, stop), padded at the end where the piece is over.

        Returns
        -------
        inputs : dict of arrays, one for each of INPUTS, first axis stop - start
            `context` has one row more: its first is that of event start - 1, and before the first event it holds the
            conditions alone. Padding is -1 in `fields`, else 0.
        """
        inputs = {}
        for name in INPUTS:
            values = getattr(self, name)
            first = start - 1 if name == "context" else start
            rows = values[max(first, 0) : stop]
            before = int(first < 0)
            after = stop - first - before - len(rows)
            if before or after:
                fill = -1 if name == "fields" else 0
                rows = np.pad(rows, [(before, after), (0, 0)], constant_values=fill)
            if before:
                rows[0, :N_CONDITIONS] = self.context[0, :N_CONDITIONS]
            inputs[name] = rows
        return inputs


def representable(sequence: NoteSequence, vocabulary: Vocabulary) -> tuple[NoteSequence, Changes]:
    """The piece as the vocabulary can hold it: its one program, if it has but one, and times within `TIMES`.

    Raises
    ------
    NoteError
        The sequence is on another grid.
    """
    if sequence.grid != vocabulary.grid:
        raise NoteError(
            f"a piece on a grid of {sequence.grid.describe()}: this vocabulary needs {vocabulary.grid.describe()}; "
            "use notes.quantize"
        )
    notes, changes = sequence.notes, Changes()
    if not vocabulary.models_program and np.any(notes["program"] != vocabulary.programs[0]):
        notes = notes.copy()
        other = int(np.sum(notes["program"] != vocabulary.programs[0]))
        notes["program"] = vocabulary.programs[0]
        notes, changes = canonical(notes)
        changes += Changes(reprogrammed=other)
    shifts = np.diff(notes["onset"], prepend=0, append=sequence.length)
    too_long = notes["duration"] > TIMES.maximum
    too_far = shifts > TIMES.maximum
    if too_long.any() or too_far.any():
        notes = notes.copy()
        notes["duration"] = np.minimum(notes["duration"], TIMES.maximum)
        onsets = np.cumsum(np.minimum(shifts, TIMES.maximum))
        notes["onset"] = onsets[:-1]
        changes += Changes(clipped=int(np.sum(too_long | too_far[:-1]) + too_far[-1]))
        notes, more = canonical(notes)
        changes += more
        end = int((notes["onset"] + notes["duration"]).max()) if len(notes) else 0
        length = max(int(onsets[-1]), end)
        metres = sequence.metres[sequence.metres["step"] <= length]
        return NoteSequence(notes, sequence.grid, length, sequence.tempos[:1], metres), changes
    if notes is sequence.notes:
        return sequence, changes
    return dataclasses.replace(sequence, notes=notes), changes


def encode(
    sequence: NoteSequence, vocabulary: Vocabulary, style: str | None = None, *, metre_known: bool = True
) -> Events:
    """Encode a piece for the model, without a Python step per note.

    Parameters
    ----------
    sequence : NoteSequence on the vocabulary's grid
    style : str or None
        None is "unknown", as is a style that the vocabulary does not have.
    metre_known : bool
        False hides the metre, and with it the position in the bar, where the vocabulary has several metres.
    """
    sequence, changes = representable(sequence, vocabulary)
    notes = sequence.notes
    n = len(notes)
    onset, end = notes["onset"], notes["onset"] + notes["duration"]
    at = np.append(onset, sequence.length)  # onset of every event
    program = vocabulary.program_class(notes["program"])
    place = vocabulary.place_of_class[program]
    pitch = notes["pitch"].astype(np.int64)

    fields = np.full((n + 1, 5), -1, np.int32)
    shift = np.diff(at, prepend=0)
    fields[:, SHIFT] = TIMES.encode(shift)
    fields[:, PROGRAM] = np.append(program, END)
    fields[:-1, PITCH] = pitch
    fields[:-1, DURATION] = TIMES.encode(notes["duration"])
    if vocabulary.models_velocity:
        fields[:-1, VELOCITY] = notes["velocity"] // VELOCITY_WIDTH
    log_bin_width = np.zeros((n + 1, 5), np.float32)
    log_bin_width[:, SHIFT] = TIMES.log_width[fields[:, SHIFT]]
    log_bin_width[:-1, DURATION] = TIMES.log_width[fields[:-1, DURATION]]

    # Place of each event in its chord: how many notes stand at its onset already.
    index = np.arange(n + 1)
    begins = np.append(True, shift[1:] > 0)
    chord = index - np.maximum.accumulate(np.where(begins, index, 0))

    blocks = vocabulary.blocks
    context = np.zeros((n + 1, vocabulary.n_context), np.int32)
    metre_known = metre_known or len(vocabulary.metres) == 1
    metres = _metres_in_force(sequence.metres, vocabulary)
    first_metre = (int(metres["numerator"][0]), int(metres["denominator"][0])) if metre_known else None
    context[:, 0], context[:, 1] = vocabulary.condition_ids(style, first_metre)
    if vocabulary.grid.is_metrical:
        context[:, 3] = blocks["phase"] + at % vocabulary.n_phases
        if metre_known:
            position, bar = _bar_positions(at, metres, vocabulary.grid)
            context[:, 2] = blocks["position"] + position
            context[:, 4] = blocks["bar"] + bar % N_BARS
            context[:, 5] = blocks["phrase"] + np.minimum(bar // PHRASE, N_PHRASES - 1)
    context[:, 6] = blocks["chord"] + np.minimum(chord, N_CHORD_PLACES - 1)

    # Sounding notes: the most recent `slots` in front, and what their programs can't strike again.
    all_program = np.append(program, END)
    pitch_mask = np.zeros((n + 1, N_PITCHES), bool)
    sounding = (blocks["sounding"] + (place * N_PITCHES + pitch) * 2).astype(np.int32)
    remaining, age = (blocks[name] + place * N_SPANS for name in ("remaining", "age"))
    for event, rank, note in _active_pairs(end, at):
        now = at[event]
        left = end[note] - now
        same = np.flatnonzero((left > 0) & (all_program[event] == program[note]))
        pitch_mask.reshape(-1)[event[same] * N_PITCHES + pitch[note[same]]] = True
        keep = np.flatnonzero(rank < vocabulary.slots)
        e, j, left = event[keep], note[keep], left[keep]
        flat = context.reshape(-1)  # a view
        cell = e * vocabulary.n_context + N_PLACES_IN_TIME + 3 * rank[keep]
        flat[cell] = sounding[j] + (left > 0)
        flat[cell + 1] = remaining[j] + span_class(left)
        flat[cell + 2] = age[j] + span_class(now[keep] - onset[j])

    # Recall.
    before = np.zeros((n + 1, vocabulary.n_before), np.int32)
    codes = _event_codes(fields, vocabulary)
    for level, order in enumerate(vocabulary.ngram_orders):
        recalled = _last_occurrence(codes, order)  # (n + 1,): the event that followed then, or -1
        has = np.flatnonzero(recalled >= 0)
        source = recalled[has]
        before[has, level] = blocks["ngram_shift"] + level * N_SPANS + span_class(shift[source])
        agree = shift[source] == shift[has]
        has, source = has[agree], source[agree]
        column = N_PLACES_IN_TIME + 3 * vocabulary.slots + 2 * level
        context[has, column] = (
            blocks["ngram_note"] + (level * vocabulary.n_places + place[source]) * N_PITCHES + pitch[source]
        )
        context[has, column + 1] = blocks["ngram_duration"] + level * N_SPANS + span_class(notes["duration"][source])

    # Echo: the note that stood a lag before this one's place, and how long after the last note's place it came.
    program_history = _voice(program, pitch, span_class(notes["duration"]))
    pitch_class_levels = _heard(pitch, notes["program"] != DRUMS)
    if not vocabulary.key:
        program_history[:, RANGE] = 0
        pitch_class_levels[:, KEY] = 0
    place_key = _place_keys(onset, program)
    next_place = np.append(0, place_key + 1)  # after the note before
    new_place = np.where(shift > 0, at.astype(np.int64) * _PLACES_AT_ONSET, next_place)
    for level, lag in enumerate(vocabulary.lags(first_metre)):
        if not lag:
            continue
        has = 1 + np.flatnonzero(onset >= lag)
        source = np.searchsorted(place_key, next_place[has] - lag * _PLACES_AT_ONSET)
        before[has, len(vocabulary.ngram_orders) + level] = (
            blocks["lookback_shift"] + level * N_SPANS + span_class(onset[source] - onset[has - 1] + lag)
        )
        has = 1 + np.flatnonzero(at[1:] >= lag)
        source = np.searchsorted(place_key, new_place[has] - lag * _PLACES_AT_ONSET)
        there = onset[np.minimum(source, n - 1)] == at[has] - lag
        has, source = has[there], source[there]
        column = N_PLACES_IN_TIME + 3 * vocabulary.slots + 2 * len(vocabulary.ngram_orders) + 3 * level
        context[has, column] = (
            blocks["lookback_note"] + (level * vocabulary.n_places + place[source]) * N_PITCHES + pitch[source]
        )
        motion = motion_class(pitch[source], program_history[source, 0])
        context[has, column + 1] = np.where(motion > 0, blocks["lookback_motion"] + level * N_INTERVALS + motion - 1, 0)
        context[has, column + 2] = blocks["lookback_duration"] + level * N_SPANS + span_class(notes["duration"][source])
        if vocabulary.lookback_runs:
            wanted = place_key - lag * _PLACES_AT_ONSET
            source = np.minimum(np.searchsorted(place_key, wanted), n - 1)
            run = _run_class((place_key[source] == wanted) & (pitch[source] == pitch))
            first = blocks["lookback_run"] + level * len(RUNS) * N_LATELY
            before[1:, len(vocabulary.ngram_orders) + vocabulary.n_lookbacks + level] = first + run

    # What may follow.
    in_chord = np.append(False, shift[1:] == 0)
    below = in_chord[:-1] & np.append(False, program[1:] == program[:-1]) if n else np.zeros(0, bool)
    rows = np.flatnonzero(below)
    pitch_mask[rows] |= np.arange(N_PITCHES) <= pitch[rows - 1, None]
    legality = np.zeros((n + 1, 3), np.int32)
    top = vocabulary.size("program") - 1
    # The last note's program has a pitch left above it unless those are all taken: then only a higher program may
    # follow inside the chord.
    full = _nothing_above(onset, end, program, pitch, _active_counts(end, at))
    legality[0, 0] = 1
    legality[1:, 0] = ~(full & (program == top))
    legality[:, 1] = 1
    legality[1:, 1] = np.where(in_chord[1:], program + full, 1)
    latest_end = np.append(0, np.maximum.accumulate(end)) if n else np.zeros(1, np.int64)
    legality[:, 2] = at >= latest_end

    return Events(
        fields=fields,
        log_bin_width=log_bin_width,
        previous=vocabulary.previous_ids(
            np.concatenate([np.full((1, 5), -1, np.int32), fields[:-1]]), np.append(0, program_history[:-1, 0])
        ),
        before=before,
        context=context,
        program_history=program_history,
        pitch_class_levels=pitch_class_levels,
        pitch_mask=np.packbits(pitch_mask, axis=1, bitorder="little"),
        legality=legality,
        changes=changes,
    )


def _metres_in_force(metres: np.ndarray, vocabulary: Vocabulary) -> np.ndarray:
    """The piece's metres, or the vocabulary's only one."""
    if len(vocabulary.metres) == 1:
        return np.array([(0, *vocabulary.metres[0])], METRE)
    return metres


def _bar_positions(steps: np.ndarray, metres: np.ndarray, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Position in the bar (class below N_POSITIONS) and number of the bar of each step."""
    bar_steps = np.array([steps_per_bar(grid, (int(m["numerator"]), int(m["denominator"]))) for m in metres])
    spans = np.diff(metres["step"])
    bars_before = np.concatenate([[0], np.cumsum(-(-spans // bar_steps[:-1]))]).astype(np.int64)
    mark = np.searchsorted(metres["step"], steps, side="right") - 1
    inside = steps - metres["step"][mark]
    size = bar_steps[mark]
    position = inside % size
    position = np.where(size > N_POSITIONS, position * N_POSITIONS // size, position)
    return position, bars_before[mark] + inside // size


def _active_counts(end: np.ndarray, at: np.ndarray) -> np.ndarray:
    """For each event, how many earlier notes sound or end at its onset; `end` of the notes, `at` of the events."""
    begun = np.minimum(np.arange(len(at)), len(end))
    ended = np.bincount(_begun(at, end), minlength=len(at) + 1)[: len(at)]
    return begun - np.cumsum(ended)


def _begun(at: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """How many events, at `at` (ascending), begin at or before each of `steps`, which is 0 or more."""
    latest = int(steps.max(initial=0))
    if latest > 16 * len(at):  # mostly rests
        return np.searchsorted(at, steps, side="right")
    count = np.bincount(at[: np.searchsorted(at, latest, side="right")], minlength=latest + 1)
    return np.cumsum(count)[steps]


def _active_pairs(end: np.ndarray, at: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Pairs of an event and an earlier note that sounds or ends at the event's onset.

    They come in blocks of events, so that a file full of hanging notes takes time but not memory.

    Yields
    ------
    event, rank, note : arrays, shape (n_pairs,)
        `rank` counts an event's notes from 0, the most recent one.
    """
    first = np.arange(1, len(end) + 1)
    last = _begun(at, end)  # one past the last event at which a note is active
    for start in range(0, len(at), BLOCK):
        stop = start + BLOCK
        active = np.flatnonzero((first < stop) & (last > start))[::-1]  # the most recent one first
        begin = np.maximum(first[active], start)
        spans = np.minimum(last[active], stop) - begin
        note = np.repeat(active, spans)
        event = np.arange(len(note)) + np.repeat(begin - np.cumsum(spans) + spans, spans)
        order = np.argsort((event - start).astype(np.uint16), kind="stable")  # 16 bits: by radix
        event, note = event[order], note[order]
        counts = np.bincount(event - start, minlength=1)
        yield event, np.arange(len(event)) - np.repeat(np.cumsum(counts) - counts, counts), note


def _nothing_above(
    onset: np.ndarray, end: np.ndarray, program: np.ndarray, pitch: np.ndarray, counts: np.ndarray
) -> np.ndarray:
    """Whether no pitch above each note is left to its program at its onset; `counts` as from `_active_counts`."""
    full = np.zeros(len(onset), bool)
    for j in np.flatnonzero(N_PITCHES - 1 - pitch <= counts[:-1]):  # rare: the very top of the keyboard
        above = (program[:j] == program[j]) & (end[:j] > onset[j]) & (pitch[:j] > pitch[j])
        full[j] = above.sum() == N_PITCHES - 1 - pitch[j]
    return full


_MIX = 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1


def _event_codes(fields: np.ndarray, vocabulary: Vocabulary) -> np.ndarray:
    """A 64-bit code of each note for recall; without a beat, times never repeat and only who plays what counts."""
    values = fields[:-1].astype(np.uint64)
    code = values[:, PROGRAM] * np.uint64(N_PITCHES) + values[:, PITCH]
    if vocabulary.grid.is_metrical:
        code = (code * np.uint64(TIMES.size) + values[:, SHIFT]) * np.uint64(TIMES.size) + values[:, DURATION]
    with np.errstate(over="ignore"):
        code = (code + np.uint64(1)) * np.uint64(_MIX)
        return code ^ (code >> np.uint64(29))


def _last_occurrence(codes: np.ndarray, order: int) -> np.ndarray:
    """For each t in 0..n, the latest earlier t' with the same `order` codes before it, or -1.

    Shape (n + 1,). Sequences are compared by a 64-bit polynomial hash.
    """
    n = len(codes)
    found = np.full(n + 1, -1, np.int64)
    if n <= order:
        return found
    with np.errstate(over="ignore"):
        hashes = np.zeros(n - order + 1, np.uint64)
        for i in range(order):
            hashes = hashes * np.uint64(_MIX) + codes[i : n - order + 1 + i]
    ranked = _ranked(hashes)
    ordered = hashes[ranked]
    same = ordered[1:] == ordered[:-1]
    found[ranked[1:][same] + order] = ranked[:-1][same] + order
    return found


def _ranked(hashes: np.ndarray) -> np.ndarray:
    """An order that puts equal hashes together, each group in the order of its places."""
    # Sorting numbers is several times faster than a stable order of them: their low bits give way to the place.
    places = np.uint64((1 << len(hashes).bit_length()) - 1)
    sorted_hashes = np.sort((hashes & ~places) | np.arange(len(hashes), dtype=np.uint64))
    ranked = (sorted_hashes & places).astype(np.int64)
    ordered, high = hashes[ranked], sorted_hashes & ~places
    if np.any((high[1:] == high[:-1]) & (ordered[1:] != ordered[:-1])):  # rare: they differ in those bits alone
        return np.argsort(hashes, kind="stable")
    return ranked


_PLACES_AT_ONSET = (N_PROGRAMS + 1) * (N_PITCHES + 1)  # a program class, and a number of notes


def _place_keys(onset: np.ndarray, program: np.ndarray) -> np.ndarray:
    """Each note's onset, program class and rank among its program's notes there, as one number that sorts alike."""
    key = onset.astype(np.int64) * _PLACES_AT_ONSET + program * (N_PITCHES + 1)
    index = np.arange(len(key))
    begins = np.append(True, key[1:] != key[:-1])[: len(key)]
    return key + index - np.maximum.accumulate(np.where(begins, index, 0))


def _run_class(agrees: np.ndarray) -> np.ndarray:
    """After each note, how many in a row agreed, and how many of the last LATELY, as one class; shape (n,)."""
    index = np.arange(1, len(agrees) + 1)
    run = index - np.maximum.accumulate(np.where(agrees, 0, index))
    total = np.append(0, np.cumsum(agrees))
    lately = total[1:] - total[np.maximum(index - LATELY, 0)]
    return (np.searchsorted(RUNS, run, side="right") - 1) * N_LATELY + _lately_class(lately)


def _lately_class(count: Any) -> Any:
    """Class of how many of the last LATELY notes agree."""
    return (count * (N_LATELY - 1) + LATELY - 1) // LATELY


def _voice(program: np.ndarray, pitch: np.ndarray, span: np.ndarray) -> np.ndarray:
    """For each event what its program played (see `Events.voice`); zeros for END. Shape (n + 1, 6)."""
    n = len(program)
    program_history = np.zeros((n + 1, len(PROGRAM_HISTORY)), np.int32)
    order = np.argsort(program, kind="stable")
    for lag in (1, 2):
        same = program[order][lag:] == program[order][:-lag]
        program_history[order[lag:][same], lag - 1] = pitch[order[:-lag][same]] + 1
        program_history[order[lag:][same], lag + 1] = span[order[:-lag][same]] + 1
    for chosen in np.unique(program):
        own = np.flatnonzero(program == chosen)
        last = pitch[own][:-1]
        program_history[own[1:], 4] = last - np.minimum.accumulate(last) + 1
        program_history[own[1:], 5] = np.maximum.accumulate(last) - last + 1
    return program_history


def _heard(pitch: np.ndarray, pitched: np.ndarray) -> np.ndarray:
    """For each event how the pitch classes stand among the notes before it (see `Events.heard`). Shape (n + 1, 24)."""
    n = len(pitch)
    count = np.zeros((12, n + 1), np.int32)  # a row for each class: these are summed along
    np.cumsum(np.where(pitched, pitch % 12, 12) == np.arange(12)[:, None], axis=1, out=count[:, 1:])
    lately = count.copy()
    lately[:, N_RECENT:] -= count[:, : max(0, n + 1 - N_RECENT)]
    return np.concatenate([_often(lately), _in_key(count)]).T.copy()


def _often(count: np.ndarray) -> np.ndarray:
    """0 for what was not heard, 1 for what was, 2 for what was heard often."""
    return (count > 0).astype(np.uint8) + (count >= OFTEN)


def _in_key(count: np.ndarray) -> np.ndarray:
    """0 for what was not heard, then 1 more for each of KEY_SHARES that it reaches; `count` of shape (12, ...)."""
    total = count.sum(0)
    # count * share >= total, for what was heard
    least = [np.maximum(1, -(-total // share)) for share in KEY_SHARES]
    return sum(((count >= floor).view(np.uint8) for floor in least), (count > 0).view(np.uint8))


# -- the same, note by note


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
        first = (int(self._metres["numerator"][0]), int(self._metres["denominator"][0]))
        self._conditions = vocabulary.condition_ids(style, first if self._metre_known else None)
        self._metrical, self._phases = vocabulary.grid.is_metrical, vocabulary.n_phases
        self._bar = steps_per_bar(vocabulary.grid, first) if self._metrical else 0
        self._place = vocabulary.place_of_class.tolist()
        self._highest = vocabulary.size("program") - 1
        self._drums = next((c for c in range(1, self._highest + 1) if vocabulary.program_of_class(c) == DRUMS), -1)
        blocks, notes = vocabulary.blocks, vocabulary.n_places * N_PITCHES
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
                ids.append(lookback_shift + _span(keys[source] // _PLACES_AT_ONSET - at + lag))
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
        active = self._active[: -vocabulary.slots - 1 : -1]
        for _, _, onset, end, sounding, remaining, age in active:
            row += (sounding + (end > at), remaining + _span(end - at), age + _span(at - onset))
        row += [0] * (3 * (vocabulary.slots - len(active)))
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
        if len(self._metres) > 1:
            positions, bars = _bar_positions(np.array([at]), self._metres, self.vocabulary.grid)
            return int(positions[0]), int(bars[0])
        bar, position = divmod(at, self._bar)
        return (position * N_POSITIONS // self._bar if self._bar > N_POSITIONS else position), bar

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
        note, span = place * N_PITCHES + pitch, _span(duration)
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
        motion = _MOTION[pitch - (last[0] - 1)] if last[0] else 0
        self._events.append((shift, _span(shift), note, span, motion))
        shift_class, duration_class = _time(shift), _time(duration)
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


def decode(
    rows: Sequence[tuple[int, int, int, int, int]],
    vocabulary: Vocabulary,
    *,
    length: int | None = None,
    qpm: float | None = None,
    metre: tuple[int, int] | None = None,
    style: str | None = None,
) -> NoteSequence:
    """A note sequence from events in steps.

    Parameters
    ----------
    rows : (shift steps, program class, pitch, duration steps, velocity class) of each note, END left out
    length : int, optional
        Steps to the end of the piece; default: the end of the last note.
    qpm, metre : tempo and time signature to write; default: the vocabulary's for the style, and 4/4
    """
    notes = np.zeros(len(rows), NOTE)
    if len(rows):
        values = np.array(rows, np.int64)
        notes["onset"] = np.cumsum(values[:, SHIFT])
        notes["program"] = values[:, PROGRAM] - 1 if vocabulary.models_program else vocabulary.programs[0]
        notes["pitch"] = values[:, PITCH]
        notes["duration"] = values[:, DURATION]
        notes["velocity"] = (
            np.array(vocabulary.velocities)[values[:, VELOCITY]]
            if vocabulary.models_velocity
            else vocabulary.velocities[0]
        )
    end = int((notes["onset"] + notes["duration"]).max()) if len(notes) else 0
    tempos = np.array([(0, round(60e6 / (qpm or vocabulary.tempo_of(style))))], TEMPO)
    if not vocabulary.grid.is_metrical:
        return NoteSequence(notes, vocabulary.grid, max(end, length or 0))
    metres = np.array([(0, *(metre or vocabulary.metres[0]))], METRE)
    return NoteSequence(notes, vocabulary.grid, max(end, length or 0), tempos, metres)


__all__ = [
    "DRUMS",
    "DURATION",
    "END",
    "FIELDS",
    "INPUTS",
    "PITCH",
    "PROGRAM",
    "SHIFT",
    "TIMES",
    "VELOCITY",
    "Context",
    "Events",
    "TimeClasses",
    "Vocabulary",
    "decode",
    "encode",
    "representable",
]
