"""What features look at: a whole piece as arrays, or the piece so far as plain lists."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from melodygru.events.times import MOTIONS, TIMES, span_class, span_of, time_of
from melodygru.events.vocabulary import DURATION, END, PITCH, PROGRAM, SHIFT, VELOCITY, VELOCITY_WIDTH, Vocabulary
from melodygru.music.metre import METRE, signatures
from melodygru.music.notes import DRUMS, N_PITCHES, N_PROGRAMS, NoteSequence

ORDER_KEYS = (N_PROGRAMS + 1) * (N_PITCHES + 1)  # order keys at one onset: a program class, and a number of notes


class Piece:
    """A whole piece, as `representable` gives it; n is its number of notes, and its n + 1 events end with END.

    Attributes
    ----------
    vocabulary, style : those of `encode`
    metres : array, dtype METRE: those in force
    metre : the first of them, (numerator, denominator); None is unknown
    onset, duration, end, program, slot, pitch, span : arrays, shape (n,), of the notes: steps; the program's class and
        its slot; MIDI pitch; the duration's `span_class`
    at, shift : arrays, shape (n + 1,): the onset of each event, and the steps to it from the one before
    fields : array, shape (n + 1, 5), int32: classes, see `Events`
    """

    def __init__(
        self, sequence: NoteSequence, vocabulary: Vocabulary, style: str | None = None, metre_known: bool = True
    ) -> None:
        self.vocabulary, self.style = vocabulary, style
        self.metres, self.metre = metres_in_force(sequence.metres, metre_known, vocabulary)
        notes = sequence.notes
        n = len(notes)
        self.onset, self.duration = notes["onset"], notes["duration"]
        self.end = self.onset + self.duration
        self.at = np.append(self.onset, sequence.length)
        self.shift = np.diff(self.at, prepend=0)
        self.program = vocabulary.program_class(notes["program"])
        self.slot = vocabulary.program_slots[self.program]
        self.pitch = notes["pitch"].astype(np.int64)
        self.span = span_class(self.duration)
        self.is_pitched = notes["program"] != DRUMS
        self.fields = np.full((n + 1, 5), -1, np.int32)
        self.fields[:, SHIFT] = TIMES.encode(self.shift)
        self.fields[:, PROGRAM] = np.append(self.program, END)
        self.fields[:-1, PITCH] = self.pitch
        self.fields[:-1, DURATION] = TIMES.encode(self.duration)
        if vocabulary.models_velocity:
            self.fields[:-1, VELOCITY] = notes["velocity"] // VELOCITY_WIDTH

    @cached_property
    def order_keys(self) -> np.ndarray:
        """Each note's onset, program class and rank among its program's notes there, as one number that sorts alike."""
        key = self.onset.astype(np.int64) * ORDER_KEYS + self.program * (N_PITCHES + 1)
        index = np.arange(len(key))
        begins = np.append(True, key[1:] != key[:-1])[: len(key)]
        return key + index - np.maximum.accumulate(np.where(begins, index, 0))

    @cached_property
    def by_program(self) -> np.ndarray:
        """The notes in the order of their programs, each program's in the order of the piece."""
        return np.argsort(self.program, kind="stable")

    @cached_property
    def last_pitch(self) -> np.ndarray:
        """For each event the pitch plus 1 that its program struck last; 0 is none. Shape (n + 1,)."""
        return self.earlier(self.pitch, 1)

    def earlier(self, values: np.ndarray, lag: int) -> np.ndarray:
        """For each event the value plus 1 of its program's note `lag` notes before; 0 is none. Shape (n + 1,)."""
        order = self.by_program
        program = self.program[order]
        same = program[lag:] == program[:-lag]
        found = np.zeros(len(self.at), np.int32)
        found[order[lag:][same]] = values[order[:-lag][same]] + 1
        return found


class Past:
    """A piece that is being written, so far.

    Attributes
    ----------
    vocabulary, style, metres, metre : as of `Piece`
    onset, shift : of the event being made, in steps
    in_chord : how many notes stand at the onset already
    last : program class, pitch and onset of the last note, if there is one
    program_class, slot, pitch, duration, shift_class, duration_class, last_pitch, motion : of the last note; its
        program's last pitch before it, plus 1, and the `motion_class` from there
    notes : for each note its shift, that one's span class, slot * 128 + pitch, the duration's span class, and motion
    order_keys : of the notes, see `Piece`
    active : program class, pitch, onset, end and slot of the notes that sound or end at the onset, oldest first
    """

    program_class = slot = pitch = duration = shift_class = duration_class = last_pitch = motion = 0

    def __init__(self, vocabulary: Vocabulary, style: str | None, metres: np.ndarray, metre_known: bool) -> None:
        self.vocabulary, self.style = vocabulary, style
        self.metres, self.metre = metres_in_force(metres, metre_known, vocabulary)
        self.onset = self.shift = self.in_chord = 0
        self.last: tuple[int, int, int] | None = None
        self.notes: list[tuple[int, int, int, int, int]] = []
        self.order_keys: list[int] = []
        self.active: list[tuple[int, int, int, int, int]] = []
        self._slots = tuple(vocabulary.program_slots.tolist())
        self._last_pitches: dict[int, int] = {}

    def move(self, shift: int) -> None:
        """Go `shift` steps on, to the onset of the event."""
        self.shift = shift
        if shift:
            self.onset = at = self.onset + shift
            self.in_chord = 0
            self.active = [note for note in self.active if note[3] >= at]
        else:
            self.in_chord = 0 if self.last is None else self.in_chord + 1

    def add(self, program_class: int, pitch: int, duration: int) -> None:
        """Add a note at the onset."""
        at, shift, last, keys = self.onset, self.shift, self.last, self.order_keys
        self.program_class, self.pitch, self.duration = program_class, pitch, duration
        self.slot = slot = self._slots[program_class]
        self.shift_class, self.duration_class = time_of(shift), time_of(duration)
        self.last_pitch = struck = self._last_pitches.get(program_class, 0)
        self._last_pitches[program_class] = pitch + 1
        self.motion = motion = MOTIONS[pitch - struck + 1] if struck else 0
        if last is not None and last[0] == program_class and last[2] == at:
            keys.append(keys[-1] + 1)
        else:
            keys.append(at * ORDER_KEYS + program_class * (N_PITCHES + 1))
        self.notes.append((shift, span_of(shift), slot * N_PITCHES + pitch, span_of(duration), motion))
        self.active.append((program_class, pitch, at, at + duration, slot))
        self.last = (program_class, pitch, at)


def metres_in_force(
    metres: np.ndarray, known: bool, vocabulary: Vocabulary
) -> tuple[np.ndarray, tuple[int, int] | None]:
    """The piece's metres, or the vocabulary's only one; and the first of them, None where it isn't known."""
    if len(vocabulary.metres) == 1:
        metres, known = np.array([(0, *vocabulary.metres[0])], METRE), True
    return metres, signatures(metres)[0] if known else None
