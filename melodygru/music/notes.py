"""The note sequence: a structured NumPy array with its grid, tempo, metre and length.

Conventions
-----------
A **step** is the unit of every onset, duration and length of one sequence; its size is the sequence's `Grid`:
a fraction of a beat (a quarter note), or a fraction of a second. A MIDI file in ticks is a sequence whose
grid is the file's own tick (`Grid.beats(480)`), so reading and quantising use one type.

A sequence is **canonical**: its notes are ordered by (onset, program, pitch); no two notes share all three;
no note sounds on when its program strikes the same pitch again. `canonical` makes any notes so and counts
what it changed. Every room below relies on this order.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fractions import Fraction

import numpy as np

from melodygru.errors import NoteError

DRUMS = 128  # the program of the percussion channel; 0..127 are General MIDI's
N_PROGRAMS = 129
N_PITCHES = 128
DEFAULT_TEMPO = 500_000  # microseconds per quarter note: 120 qpm, what MIDI assumes when a file says nothing
DEFAULT_METRE = (4, 4)  # likewise

NOTE = np.dtype(
    [
        ("onset", np.int64),  # steps from the start of the piece, >= 0
        ("duration", np.int64),  # steps, >= 1
        ("program", np.int16),  # 0..127, or DRUMS
        ("pitch", np.int16),  # 0..127
        ("velocity", np.int16),  # 1..127
    ]
)
TEMPO = np.dtype([("step", np.int64), ("tempo", np.int64)])  # microseconds per quarter note, from step on
METRE = np.dtype([("step", np.int64), ("numerator", np.int16), ("denominator", np.int16)])


@dataclass(frozen=True)
class Grid:
    """The size of a step: either `steps_per_beat` (a beat is a quarter note) or `steps_per_second`."""

    steps_per_beat: Fraction | None = None
    steps_per_second: Fraction | None = None

    def __post_init__(self) -> None:
        rates = [rate for rate in (self.steps_per_beat, self.steps_per_second) if rate is not None]
        if len(rates) != 1 or rates[0] <= 0:
            raise NoteError(
                f"a grid needs one positive rate, got {self.steps_per_beat} steps per beat and "
                f"{self.steps_per_second} steps per second"
            )

    @classmethod
    def beats(cls, steps_per_beat: int | Fraction) -> Grid:
        """A metrical grid of `steps_per_beat` steps in a quarter note."""
        return cls(steps_per_beat=Fraction(steps_per_beat))

    @classmethod
    def seconds(cls, steps_per_second: int | Fraction) -> Grid:
        """A grid of `steps_per_second` steps in a second, for music without a beat."""
        return cls(steps_per_second=Fraction(steps_per_second))

    @classmethod
    def parse(cls, text: str) -> Grid:
        """Read `4` (steps per beat) or `10ms` (milliseconds per step).

        Raises
        ------
        NoteError
            The text is neither.
        """
        try:
            if text.endswith("ms"):
                return cls.seconds(1000 / Fraction(text[:-2]))
            return cls.beats(Fraction(text))
        except (ValueError, ZeroDivisionError, NoteError) as error:
            raise NoteError(
                f"grid {text!r}: expected a number of steps per beat such as 4, or a step in milliseconds such as 10ms"
            ) from error

    @property
    def is_metrical(self) -> bool:
        return self.steps_per_beat is not None

    def __str__(self) -> str:
        if self.steps_per_beat is not None:
            return str(self.steps_per_beat)
        assert self.steps_per_second is not None
        step_ms = 1000 / self.steps_per_second
        return f"{step_ms}ms"

    def describe(self) -> str:
        """In words, for reports: `4 steps per beat`, `10 ms per step`."""
        if self.steps_per_beat is not None:
            return f"{self.steps_per_beat} step{'' if self.steps_per_beat == 1 else 's'} per beat"
        return f"{str(self)[:-2]} ms per step"


def _default_tempos() -> np.ndarray:
    return np.array([(0, DEFAULT_TEMPO)], TEMPO)


def _default_metres() -> np.ndarray:
    return np.array([(0, *DEFAULT_METRE)], METRE)


@dataclass(frozen=True, eq=False)
class NoteSequence:
    """One piece of music.

    Parameters
    ----------
    notes : array, shape (n_notes,), dtype NOTE
        In canonical order (see `canonical`).
    grid : Grid
        The size of a step.
    length : int
        Steps from the start to the end of the piece (MIDI's end_of_track), at least the end of every note.
    tempos : array, shape (n,), dtype TEMPO
        Tempo from each step on; the first at step 0. Two or more only on a metrical grid.
    metres : array, shape (n,), dtype METRE
        Time signature from each step on; the first at step 0.

    Raises
    ------
    NoteError
        A value is out of range, or the notes are not canonical.
    """

    notes: np.ndarray
    grid: Grid
    length: int
    tempos: np.ndarray = field(default_factory=_default_tempos)
    metres: np.ndarray = field(default_factory=_default_metres)

    def __post_init__(self) -> None:
        validate(self.notes, self.length)
        for name, marks in (("tempos", self.tempos), ("metres", self.metres)):
            if len(marks) == 0 or marks["step"][0] != 0 or np.any(np.diff(marks["step"]) <= 0):
                raise NoteError(f"{name} at steps {marks['step'].tolist()}: expected 0 first, then increasing")

    def __len__(self) -> int:
        return len(self.notes)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, NoteSequence):
            return NotImplemented
        return (
            self.grid == other.grid
            and self.length == other.length
            and all(np.array_equal(getattr(self, name), getattr(other, name)) for name in ("notes", "tempos", "metres"))
        )

    __hash__ = None  # type: ignore[assignment]

    @property
    def metre(self) -> tuple[int, int]:
        """The first time signature: (numerator, denominator)."""
        return int(self.metres["numerator"][0]), int(self.metres["denominator"][0])

    @property
    def qpm(self) -> float:
        """The first tempo, in quarter notes per minute."""
        return 60e6 / float(self.tempos["tempo"][0])

    @property
    def programs(self) -> list[int]:
        """The programs that play, ascending."""
        return np.flatnonzero(np.bincount(self.notes["program"])).tolist()

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return float(self.step2second(self.length))

    @property
    def beats(self) -> float:
        """Length in quarter notes; on a grid of seconds, those of the first tempo."""
        if self.grid.steps_per_beat is not None:
            return float(self.length / self.grid.steps_per_beat)
        return self.seconds * self.qpm / 60

    def step2second(self, steps: np.ndarray | int) -> np.ndarray:
        """Seconds from the start at `steps` (any shape), through every change of tempo."""
        steps = np.asarray(steps, np.float64)
        if self.grid.steps_per_second is not None:
            return steps / float(self.grid.steps_per_second)
        assert self.grid.steps_per_beat is not None
        second_per_step = self.tempos["tempo"] / 1e6 / float(self.grid.steps_per_beat)
        if len(second_per_step) == 1:
            return steps * second_per_step[0]
        starts = self.tempos["step"]
        start_s = np.concatenate([[0.0], np.cumsum(np.diff(starts) * second_per_step[:-1])])
        segment = np.clip(np.searchsorted(starts, steps, side="right") - 1, 0, None)
        return start_s[segment] + (steps - starts[segment]) * second_per_step[segment]

    def bar_starts(self) -> np.ndarray:
        """Steps at which bars begin, ascending, up to and including the first at or after the end.

        Only on a metrical grid. A change of metre begins a new bar; a bar shorter than a step counts as one step.
        """
        assert self.grid.steps_per_beat is not None
        starts: list[np.ndarray] = []
        ends = np.append(self.metres["step"][1:], max(self.length, int(self.metres["step"][-1])))
        for mark, end in zip(self.metres, ends, strict=True):
            bar = steps_per_bar(self.grid, (int(mark["numerator"]), int(mark["denominator"])))
            starts.append(np.arange(mark["step"], end, bar))
        last = int(starts[-1][-1]) + bar if len(starts[-1]) else int(self.metres["step"][-1])
        bars = np.concatenate([*starts, [last]])
        return bars[: np.searchsorted(bars, self.length) + 1]

    def transpose(self, semitones: int) -> NoteSequence:
        """The same piece `semitones` higher (drums stay).

        Raises
        ------
        NoteError
            A pitch would leave 0..127.
        """
        return replace(self, notes=transpose(self.notes, semitones))

    def crop(self, start: int, end: int) -> NoteSequence:
        """The notes that begin in steps [start, end), moved to begin at 0 and cut at `end`; marks go with them."""
        if not 0 <= start < end:
            raise NoteError(f"crop to steps {start}..{end}: expected 0 <= start < end")
        inside = self.notes[(self.notes["onset"] >= start) & (self.notes["onset"] < end)].copy()
        inside["duration"] = np.minimum(inside["duration"], end - inside["onset"])
        inside["onset"] -= start
        return replace(
            self,
            notes=inside,
            length=end - start,
            tempos=_crop_marks(self.tempos, start, end),
            metres=_crop_marks(self.metres, start, end),
        )

    def join(self, other: NoteSequence) -> NoteSequence:
        """This piece and then the other, which begins at this one's `length`. Both need the same grid."""
        if self.grid != other.grid:
            raise NoteError(f"join: grids differ ({self.grid.describe()}, {other.grid.describe()}); quantize one first")
        later = other.notes.copy()
        later["onset"] += self.length
        return replace(
            self,
            notes=np.concatenate([self.notes, later]),
            length=self.length + other.length,
            tempos=_join_marks(self.tempos, other.tempos, self.length) if self.grid.is_metrical else self.tempos,
            metres=_join_marks(self.metres, other.metres, self.length),
        )


def trusted(notes: np.ndarray, grid: Grid, length: int, tempos: np.ndarray, metres: np.ndarray) -> NoteSequence:
    """A `NoteSequence` without its checks: of notes from `canonical`, or that were checked before they were stored."""
    sequence = object.__new__(NoteSequence)
    for name, value in (("notes", notes), ("grid", grid), ("length", length), ("tempos", tempos), ("metres", metres)):
        object.__setattr__(sequence, name, value)
    return sequence


def steps_per_bar(grid: Grid, metre: tuple[int, int]) -> int:
    """Steps in a bar of `metre` on a metrical grid, rounded, at least 1."""
    assert grid.steps_per_beat is not None
    numerator, denominator = metre
    return max(1, round(grid.steps_per_beat * 4 * numerator / denominator))


def validate(notes: np.ndarray, length: int) -> None:
    """Check ranges, order and the rule against overlaps; `NoteError` names the first note that breaks one."""
    if notes.dtype != NOTE or notes.ndim != 1:
        raise NoteError(f"notes of dtype {notes.dtype} and shape {notes.shape}: expected one axis of NOTE")
    for name, low, high in (
        ("onset", 0, None),
        ("duration", 1, None),
        ("program", 0, DRUMS),
        ("pitch", 0, N_PITCHES - 1),
        ("velocity", 1, 127),
    ):
        values = notes[name]
        if len(values) and (values.min() < low or (high is not None and values.max() > high)):
            bad = values < low if high is None else (values < low) | (values > high)
            at = int(np.argmax(bad))
            bound = f"at least {low}" if high is None else f"{low}..{high}"
            raise NoteError(f"{name} {values[at]} at note {at}: expected {bound}")
    if len(notes) == 0:
        return
    ends = notes["onset"] + notes["duration"]
    if ends.max() > length:
        raise NoteError(f"note {int(ends.argmax())} ends at step {ends.max()}, after the piece's end at {length}")
    places = _place(notes)
    if np.any(places[1:] < places[:-1]):
        at = int(np.argmax(places[1:] < places[:-1])) + 1
        raise NoteError(f"note {at} is out of order: expected (onset, program, pitch) ascending; use notes.canonical")
    clash, _ = _overlaps(notes)
    if len(clash):
        at = int(clash.min())
        raise NoteError(
            f"note {at} (pitch {notes['pitch'][at]}) still sounds when its program strikes the pitch again; "
            "use notes.canonical"
        )


def _place(notes: np.ndarray) -> np.ndarray:
    """A number for each note that sorts as (onset, program, pitch) does."""
    return (notes["onset"] * N_PROGRAMS + notes["program"]) * N_PITCHES + notes["pitch"]


def _overlaps(notes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Notes (ordered by onset) that sound on when their program strikes their pitch again, and the steps until then."""
    key = notes["program"] * np.int16(N_PITCHES) + notes["pitch"]  # at most 16,511; NumPy sorts 16 bits by radix
    order = np.argsort(key, kind="stable")
    key, onset, duration = key[order], notes["onset"][order], notes["duration"][order]
    gap = onset[1:] - onset[:-1]
    at = np.flatnonzero((key[1:] == key[:-1]) & (duration[:-1] > gap))
    return order[at], gap[at]


@dataclass(frozen=True)
class Changes:
    """How many notes `canonical` or `quantize` changed."""

    merged: int = 0  # dropped, because the same program struck the same pitch at the same step (the longer stays)
    cut: int = 0  # shortened, because the program struck the pitch again while it sounded
    clipped: int = 0  # shortened or moved, because a time was beyond what can be represented
    reprogrammed: int = 0  # given another program, because the vocabulary has only one

    def __add__(self, other: Changes) -> Changes:
        return Changes(
            self.merged + other.merged,
            self.cut + other.cut,
            self.clipped + other.clipped,
            self.reprogrammed + other.reprogrammed,
        )

    @property
    def total(self) -> int:
        return self.merged + self.cut + self.clipped + self.reprogrammed


def canonical(notes: np.ndarray) -> tuple[np.ndarray, Changes]:
    """Order notes and make each program's pitch sound once at a time.

    Parameters
    ----------
    notes : array, shape (n,), dtype NOTE, in any order

    Returns
    -------
    notes : array, shape (m <= n,), dtype NOTE
        Ordered by (onset, program, pitch). Of notes that agree in all three the longest stays, with the greatest
        velocity among the longest. A note that still sounds when its program strikes the pitch again ends there.
    changes : Changes
    """
    if len(notes) == 0:
        return notes.copy(), Changes()
    places = _place(notes)
    merged = 0
    if np.all(places[1:] > places[:-1]):
        notes = notes.copy()
    else:
        order = np.argsort(places, kind="stable")
        ordered = places[order]
        repeated = np.append(False, ordered[1:] == ordered[:-1])
        merged = int(np.count_nonzero(repeated))
        if merged:
            order = np.lexsort((-notes["velocity"], -notes["duration"], places))[~repeated]
        notes = notes.take(order)
    cut, gap = _overlaps(notes)
    notes["duration"][cut] = gap
    return notes, Changes(merged=merged, cut=len(cut))


def transpose(notes: np.ndarray, semitones: int) -> np.ndarray:
    """Notes `semitones` higher, drums as they are. Raises NoteError when a pitch would leave 0..127."""
    moved = notes.copy()
    moved["pitch"] += np.where(notes["program"] == DRUMS, 0, semitones).astype(np.int16)
    bad = (moved["pitch"] < 0) | (moved["pitch"] >= N_PITCHES)
    if bad.any():
        at = int(np.argmax(bad))
        raise NoteError(f"transposing by {semitones} takes pitch {notes['pitch'][at]} (note {at}) outside 0..127")
    return moved


def _rescale(steps: np.ndarray, ratio: Fraction) -> np.ndarray:
    """steps * ratio to the nearest integer, halves up, without a float's error."""
    largest = 2 * max(1, int(steps.max(initial=0))) * ratio.numerator + 2 * ratio.denominator
    exact = steps if largest < 2**63 else steps.astype(object)  # Python's integers where 64 bits would overflow
    rescaled = (2 * exact * ratio.numerator + ratio.denominator) // (2 * ratio.denominator)
    return np.asarray(rescaled).astype(np.int64)


def _elapsed(tempos: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Time at steps of a metrical grid, exactly: in microseconds times the grid's steps per beat."""
    starts, tempo = tempos["step"], tempos["tempo"]
    if len(tempos) == 1:
        return steps * tempo[0]
    at_start = np.concatenate([[0], np.cumsum(np.diff(starts) * tempo[:-1])])
    segment = np.searchsorted(starts, steps, side="right") - 1
    return at_start[segment] + (steps - starts[segment]) * tempo[segment]


def quantize(sequence: NoteSequence, grid: Grid) -> tuple[NoteSequence, Changes, np.ndarray]:
    """Put a piece on another grid.

    Onsets and ends go to the nearest step (halves up); a note lasts at least one step. On a grid of seconds the
    tempo is spent in the process, so tempo and metre become MIDI's defaults.

    Parameters
    ----------
    sequence : NoteSequence
    grid : Grid
        A grid of seconds can't become a metrical one, except through its first tempo.

    Returns
    -------
    sequence : NoteSequence
    changes : Changes
        What the coarser grid made coincide.
    error_s : array, shape (n_notes,)
        How far each onset of the input moved, in seconds.
    """
    old = sequence.notes
    ends = old["onset"] + old["duration"]

    if grid.steps_per_second is not None:
        beat = sequence.grid.steps_per_beat
        ratio = grid.steps_per_second / (sequence.grid.steps_per_second or 1_000_000 * (beat or 1))

        def convert(steps: np.ndarray) -> np.ndarray:
            return _rescale(np.asarray(steps) if beat is None else _elapsed(sequence.tempos, steps), ratio)

        tempos, metres = _default_tempos(), _default_metres()
    else:
        assert grid.steps_per_beat is not None
        if sequence.grid.steps_per_beat is not None:
            ratio = grid.steps_per_beat / sequence.grid.steps_per_beat
        else:
            assert sequence.grid.steps_per_second is not None
            second_per_beat = Fraction(int(sequence.tempos["tempo"][0]), 1_000_000)
            ratio = grid.steps_per_beat / second_per_beat / sequence.grid.steps_per_second

        def convert(steps: np.ndarray) -> np.ndarray:
            return _rescale(np.asarray(steps, np.int64), ratio)

        tempos, metres = _move_marks(sequence.tempos, convert), _move_marks(sequence.metres, convert)

    notes = old.copy()
    notes["onset"] = convert(old["onset"])
    notes["duration"] = np.maximum(1, convert(ends) - notes["onset"])
    moved = notes["onset"]
    notes, changes = canonical(notes)
    end = int((notes["onset"] + notes["duration"]).max()) if len(notes) else 0
    length = max(end, int(convert(np.asarray(sequence.length))))
    result = trusted(notes, grid, length, tempos, metres)
    if grid.is_metrical:
        # On the old grid, since marks of tempo move as well: they are no error of the notes.
        error_s = np.abs(sequence.step2second(moved / float(ratio)) - sequence.step2second(old["onset"]))
    else:
        error_s = np.abs(moved / float(grid.steps_per_second or 1) - sequence.step2second(old["onset"]))
    return result, changes, error_s


def _move_marks(marks: np.ndarray, convert) -> np.ndarray:
    """Marks at new steps; of several that fall on one step the last holds; repetitions of a value go."""
    moved = marks.copy()
    moved["step"] = convert(marks["step"])
    return tidy_marks(moved)


def tidy_marks(marks: np.ndarray) -> np.ndarray:
    """Of several marks on one step keep the last, and drop marks that repeat the value before them."""
    last = np.append(marks["step"][1:] != marks["step"][:-1], True)
    marks = marks[last]
    values = marks[[name for name in marks.dtype.names or () if name != "step"]]
    new = np.append(True, values[1:] != values[:-1])
    return marks[new]


def _crop_marks(marks: np.ndarray, start: int, end: int) -> np.ndarray:
    """The marks in force in [start, end), the first moved to 0."""
    first = int(np.searchsorted(marks["step"], start, side="right")) - 1
    inside = marks[first : int(np.searchsorted(marks["step"], end))].copy()
    inside["step"] = np.maximum(0, inside["step"] - start)
    return inside


def _join_marks(first: np.ndarray, second: np.ndarray, at: int) -> np.ndarray:
    later = second.copy()
    later["step"] += at
    return tidy_marks(np.concatenate([first[first["step"] < max(at, 1)], later]))
