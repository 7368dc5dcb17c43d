"""The note sequence: a structured NumPy array with its grid, tempo, metre and length.

Conventions
-----------
A **step** is the unit of every onset, duration and length of one sequence; its size is the sequence's `Grid`:
a fraction of a beat (a quarter note), or a fraction of a second. A MIDI file in ticks is a sequence whose
grid is the file's own tick (`Grid.beats(480)`), so reading and quantising use one type.

A **part** is one instrument's line in a piece, as its file has it; each has one program, and two may have the same.

A sequence is **canonical**: its parts are numbered from 0 by (first onset, program); its notes are ordered by (onset,
part, pitch); no two notes share all three; no note sounds on when its part strikes the same pitch again. `canonical`
makes any notes so and counts what it changed. Everything below relies on this order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from melodygru.errors import NoteError
from melodygru.music.grid import Grid
from melodygru.music.metre import DEFAULT_METRE, METRE, Bars, signatures

DRUMS = 128  # the program of the percussion channel; 0..127 are General MIDI's
N_PROGRAMS = 129
N_PITCHES = 128
MAX_PARTS = 2**15  # part numbers are below this
ONSET_KEYS = MAX_PARTS * N_PITCHES  # what a step adds to a note's key, see `note_keys`
DEFAULT_TEMPO = 500_000  # microseconds per quarter note: 120 qpm, what MIDI assumes when a file says nothing

NOTE = np.dtype(
    [
        ("onset", np.int64),  # steps from the start of the piece, >= 0
        ("duration", np.int64),  # steps, >= 1
        ("part", np.int16),  # from 0, in the order in which the parts come in
        ("program", np.int16),  # 0..127, or DRUMS
        ("pitch", np.int16),  # 0..127
        ("velocity", np.int16),  # 1..127
    ]
)
TEMPO = np.dtype([("step", np.int64), ("tempo", np.int64)])  # microseconds per quarter note, from step on
MOST_FIFTHS = 7
KEY = np.dtype(  # a key signature, in force from step on
    [
        ("step", np.int64),
        ("fifths", np.int16),  # sharps, or flats below zero: -7..7
        ("minor", np.int16),  # 1 for a minor key, else 0
    ]
)


def default_tempos() -> np.ndarray:
    """MIDI's tempo from step 0 on, where a file says nothing."""
    return np.array([(0, DEFAULT_TEMPO)], TEMPO)


def default_metres() -> np.ndarray:
    """MIDI's metre from step 0 on, where a file says nothing."""
    return np.array([(0, *DEFAULT_METRE)], METRE)


def no_keys() -> np.ndarray:
    """No key signature at all, where a file says nothing."""
    return np.zeros(0, KEY)


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
    names : tuple of str
        Of each part, as its file has it; "" is none, as are those that are left out at the end.
    keys : array, shape (n,), dtype KEY
        Key signature from each step on, as its file has it or who composed it chose; before the first, none is known.

    Raises
    ------
    NoteError
        A value is out of range, or the notes are not canonical.
    """

    notes: np.ndarray
    grid: Grid
    length: int
    tempos: np.ndarray = field(default_factory=default_tempos)
    metres: np.ndarray = field(default_factory=default_metres)
    names: tuple[str, ...] = ()
    keys: np.ndarray = field(default_factory=no_keys)

    def __post_init__(self) -> None:
        validate(self.notes, self.length)
        for name, marks in (("tempos", self.tempos), ("metres", self.metres)):
            if len(marks) == 0 or marks["step"][0] != 0 or np.any(np.diff(marks["step"]) <= 0):
                raise NoteError(f"{name} at steps {marks['step'].tolist()}: expected 0 first, then increasing")
        if np.any(np.diff(self.keys["step"], prepend=-1) <= 0):
            raise NoteError(f"keys at steps {self.keys['step'].tolist()}: expected 0 or more, increasing")
        if np.any(np.abs(self.keys["fifths"]) > MOST_FIFTHS):
            raise NoteError(f"keys of {self.keys['fifths'].tolist()} sharps: expected -7 (seven flats) to 7")

    def __len__(self) -> int:
        return len(self.notes)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, NoteSequence):
            return NotImplemented
        return (
            self.grid == other.grid
            and self.length == other.length
            and self.part_names == other.part_names
            and all(np.array_equal(getattr(self, name), getattr(other, name)) for name in ("notes", *_MARKS))
        )

    __hash__ = None  # type: ignore[assignment]

    @property
    def metre(self) -> tuple[int, int]:
        """The first time signature: (numerator, denominator)."""
        return signatures(self.metres[:1])[0]

    @property
    def qpm(self) -> float:
        """The first tempo, in quarter notes per minute."""
        return 60e6 / float(self.tempos["tempo"][0])

    @property
    def programs(self) -> list[int]:
        """The programs that play, ascending."""
        return np.flatnonzero(np.bincount(self.notes["program"])).tolist()

    @property
    def part_programs(self) -> np.ndarray:
        """The program of each part, shape (n_parts,), int16."""
        return part_programs(self.notes)

    @property
    def part_names(self) -> tuple[str, ...]:
        """The name of each part, "" where it has none."""
        n = len(self.part_programs)
        return (*self.names, *[""] * n)[:n]

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

    @property
    def bars(self) -> Bars:
        """The bars and beats of a piece on a metrical grid."""
        return Bars(self.grid, self.metres)

    def bar_starts(self) -> np.ndarray:
        """Steps at which bars begin, ascending, up to and including the first at or after the end.

        Only on a metrical grid. A change of metre begins a new bar; a bar shorter than a step counts as one step.
        """
        return self.bars.starts(self.length)

    def transpose(self, semitones: int) -> NoteSequence:
        """The same piece `semitones` higher (drums stay), in key signatures of at most six sharps or five flats.

        Raises
        ------
        NoteError
            A pitch would leave 0..127.
        """
        keys = self.keys.copy()
        if semitones % 12:
            keys["fifths"] = (keys["fifths"] + 7 * semitones + 5) % 12 - 5
        return replace(self, notes=transpose(self.notes, semitones), keys=keys)

    def crop(self, start: int, end: int) -> NoteSequence:
        """The notes that begin in steps [start, end), moved to begin at 0 and cut at `end`; marks go with them."""
        if not 0 <= start < end:
            raise NoteError(f"crop to steps {start}..{end}: expected 0 <= start < end")
        inside = self.notes[(self.notes["onset"] >= start) & (self.notes["onset"] < end)].copy()
        inside["duration"] = np.minimum(inside["duration"], end - inside["onset"])
        inside["onset"] -= start
        names = renamed(self.part_names, inside)
        return replace(
            self,
            notes=canonical(inside)[0],
            names=names,
            length=end - start,
            tempos=_crop_marks(self.tempos, start, end),
            metres=_crop_marks(self.metres, start, end),
            keys=_crop_marks(self.keys, start, end),
        )

    @property
    def music_end(self) -> int:
        """The step at which the last note ends, 0 where there is none; `length` may be long after it."""
        return int((self.notes["onset"] + self.notes["duration"]).max(initial=0))

    def trimmed(self) -> NoteSequence:
        """The same piece without the silence after its music: up to the next bar line, or without bars, up to its end.

        The same object where there is none.
        """
        end = self.music_end
        if self.grid.is_metrical and end:
            end = int(self.bars.starts(end)[-1])
        if end >= self.length:
            return self
        marks = (self.tempos, self.metres, self.keys)
        tempos, metres, keys = (of[(of["step"] < end) | (of["step"] == 0)] for of in marks)
        return replace(self, length=end, tempos=tempos, metres=metres, keys=keys)

    def join(self, other: NoteSequence) -> NoteSequence:
        """This piece and then the other, which begins at this one's `length`. Both need the same grid.

        A part of the other goes on the part of this one that has its program and name; of several, in their order.
        """
        if self.grid != other.grid:
            raise NoteError(f"join: grids differ ({self.grid.describe()}, {other.grid.describe()}); quantize one first")
        later = other.notes.copy()
        later["onset"] += self.length
        names = list(self.part_names)
        lines = list(zip(self.part_programs.tolist(), names, strict=True))
        free, of_other = list(range(len(lines))), []
        for line in zip(other.part_programs.tolist(), other.part_names, strict=True):
            part = next((part for part in free if lines[part] == line), None)
            if part is None:
                part = len(names)
                names.append(line[1])
            else:
                free.remove(part)
            of_other.append(part)
        later["part"] = np.array(of_other, np.int16)[later["part"]]
        notes = np.concatenate([self.notes, later])
        return replace(
            self,
            notes=canonical(notes)[0],
            names=renamed(names, notes),
            length=self.length + other.length,
            tempos=_join_marks(self.tempos, other.tempos, self.length) if self.grid.is_metrical else self.tempos,
            metres=_join_marks(self.metres, other.metres, self.length),
            keys=_join_marks(self.keys, other.keys, self.length),
        )


_MARKS = ("tempos", "metres", "keys")  # those of a sequence


def unchecked(
    notes: np.ndarray,
    grid: Grid,
    length: int,
    tempos: np.ndarray,
    metres: np.ndarray,
    names: tuple[str, ...] = (),
    keys: np.ndarray | None = None,
) -> NoteSequence:
    """A `NoteSequence` without its checks: of notes from `canonical`, or that were checked before they were stored."""
    sequence = object.__new__(NoteSequence)
    values = {"notes": notes, "grid": grid, "length": length, "tempos": tempos, "metres": metres, "names": names}
    values["keys"] = no_keys() if keys is None else keys
    for name, value in values.items():
        object.__setattr__(sequence, name, value)
    return sequence


def validate(notes: np.ndarray, length: int) -> None:
    """Check ranges, order and the rule against overlaps; `NoteError` names the first note that breaks one."""
    if notes.dtype != NOTE or notes.ndim != 1:
        raise NoteError(f"notes of dtype {notes.dtype} and shape {notes.shape}: expected one axis of NOTE")
    for name, low, high in (
        ("onset", 0, None),
        ("duration", 1, None),
        ("part", 0, None),
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
    keys = note_keys(notes)
    if np.any(keys[1:] < keys[:-1]):
        at = int(np.argmax(keys[1:] < keys[:-1])) + 1
        raise NoteError(f"note {at} is out of order: expected (onset, part, pitch) ascending; use notes.canonical")
    order = part_order(notes)
    programs = part_programs(notes)
    if order != list(range(int(notes["part"].max()) + 1)) or np.any(programs[notes["part"]] != notes["program"]):
        raise NoteError(
            "parts are not numbered from 0 by (first onset, program), or one has several programs; use notes.canonical"
        )
    clash, _ = _overlaps(notes)
    if len(clash):
        at = int(clash.min())
        raise NoteError(
            f"note {at} (pitch {notes['pitch'][at]}) still sounds when its part strikes the pitch again; "
            "use notes.canonical"
        )


def note_array(rows: Iterable[tuple[int, int, int, int, int]], parts: Sequence[int] | None = None) -> np.ndarray:
    """Notes, dtype NOTE, from (onset, duration, program, pitch, velocity).

    Parameters
    ----------
    parts : the number of each note's part; default: a part for each program, in the order in which `canonical` has them
    """
    rows = list(rows)
    notes = np.zeros(len(rows), NOTE)
    names = ("onset", "duration", "program", "pitch", "velocity")
    for name, values in zip(names, zip(*rows, strict=True), strict=False):
        notes[name] = values
    if parts is None:
        notes["part"] = notes["program"]
        order = np.array(part_order(notes), np.int64)
        notes["part"] = np.argsort(order)[np.searchsorted(np.sort(order), notes["part"])]
    else:
        notes["part"] = parts
    return notes


def part_programs(notes: np.ndarray) -> np.ndarray:
    """The program of each part of canonical notes, shape (n_parts,), int16."""
    programs = np.zeros(int(notes["part"].max()) + 1 if len(notes) else 0, np.int16)
    programs[notes["part"]] = notes["program"]
    return programs


def part_order(notes: np.ndarray) -> list[int]:
    """The numbers that the parts of notes in any order have, in the order that `canonical` numbers them anew.

    By first onset, then program, then the number that they have.
    """
    if not len(notes):
        return []
    part = notes["part"]
    if not part.any():
        return [0]
    first = np.full(int(part.max()) + 1, np.iinfo(np.int64).max)
    np.minimum.at(first, part, notes["onset"])
    present = np.flatnonzero(first < np.iinfo(np.int64).max)
    programs = part_programs(notes)[present]
    return present[np.lexsort((present, programs, first[present]))].tolist()


def renamed(names: Sequence[str], notes: np.ndarray) -> tuple[str, ...]:
    """The names of parts in the order that `canonical` gives those of `notes`; `names` are by the numbers there."""
    return tuple(names[part] if part < len(names) else "" for part in part_order(notes))


def _numbered(notes: np.ndarray) -> np.ndarray:
    """Notes in any order with their parts numbered as `canonical` has them; the same array where they are."""
    order = part_order(notes)
    if order == list(range(len(order))):
        return notes
    numbers = np.zeros(max(order) + 1, np.int16)
    numbers[order] = np.arange(len(order))
    notes = notes.copy()
    notes["part"] = numbers[notes["part"]]
    return notes


def note_keys(notes: np.ndarray) -> np.ndarray:
    """A number for each note that sorts as (onset, part, pitch) does, shape (n,), int64."""
    return notes["onset"] * ONSET_KEYS + notes["part"].astype(np.int64) * N_PITCHES + notes["pitch"]


def _overlaps(notes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Notes (ordered by onset) that sound on when their part strikes their pitch again, and the steps until then."""
    few = not len(notes) or notes["part"].max() < 2**15 // N_PITCHES  # NumPy sorts 16 bits by radix
    key = notes["part"].astype(np.int16 if few else np.int64) * N_PITCHES + notes["pitch"]
    order = np.argsort(key, kind="stable")
    key, onset, duration = key[order], notes["onset"][order], notes["duration"][order]
    gap = onset[1:] - onset[:-1]
    at = np.flatnonzero((key[1:] == key[:-1]) & (duration[:-1] > gap))
    return order[at], gap[at]


@dataclass(frozen=True)
class Changes:
    """How many notes `canonical` or `quantize` changed."""

    merged: int = 0  # dropped, because the same part struck the same pitch at the same step (the longer stays)
    cut: int = 0  # shortened, because the part struck the pitch again while it sounded
    clipped: int = 0  # shortened or moved, because a time was beyond what can be represented
    reprogrammed: int = 0  # put on another part, because the vocabulary has fewer, or one of one program

    def __add__(self, other: Changes) -> Changes:
        return Changes(
            self.merged + other.merged,
            self.cut + other.cut,
            self.clipped + other.clipped,
            self.reprogrammed + other.reprogrammed,
        )

    @property
    def total(self) -> int:
        """Number of all changes."""
        return self.merged + self.cut + self.clipped + self.reprogrammed


def canonical(notes: np.ndarray) -> tuple[np.ndarray, Changes]:
    """Order notes, number the parts and make each part's pitch sound once at a time.

    Parameters
    ----------
    notes : array, shape (n,), dtype NOTE, in any order

    Returns
    -------
    notes : array, shape (m <= n,), dtype NOTE
        Ordered by (onset, part, pitch). Of notes that agree in all three the longest stays, with the greatest
        velocity among the longest. A note that still sounds when its part strikes the pitch again ends there.
    changes : Changes
    """
    if len(notes) == 0:
        return notes.copy(), Changes()
    notes = _numbered(notes)
    keys = note_keys(notes)
    merged = 0
    if np.all(keys[1:] > keys[:-1]):
        notes = notes.copy()
    else:
        order = np.argsort(keys, kind="stable")
        ordered = keys[order]
        repeated = np.append(False, ordered[1:] == ordered[:-1])
        merged = int(np.count_nonzero(repeated))
        if merged:
            order = np.lexsort((-notes["velocity"], -notes["duration"], keys))[~repeated]
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


def tidy_marks(marks: np.ndarray) -> np.ndarray:
    """Of several marks on one step keep the last, and drop marks that repeat the value before them."""
    if not len(marks):
        return marks
    last = np.append(marks["step"][1:] != marks["step"][:-1], True)
    marks = marks[last]
    values = marks[[name for name in marks.dtype.names or () if name != "step"]]
    new = np.append(True, values[1:] != values[:-1])
    return marks[new]


def _crop_marks(marks: np.ndarray, start: int, end: int) -> np.ndarray:
    """The marks in force in [start, end), the first moved to 0 if it is in force there."""
    first = max(0, int(np.searchsorted(marks["step"], start, side="right")) - 1)
    inside = marks[first : int(np.searchsorted(marks["step"], end))].copy()
    inside["step"] = np.maximum(0, inside["step"] - start)
    return inside


def _join_marks(first: np.ndarray, second: np.ndarray, at: int) -> np.ndarray:
    later = second.copy()
    later["step"] += at
    return tidy_marks(np.concatenate([first[first["step"] < max(at, 1)], later]))
