"""What features look at: a whole piece as arrays, or the piece so far as plain lists."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from functools import cached_property, lru_cache

import numpy as np

from melodygru.events.kept import NEVER, Kept
from melodygru.events.planned import UNPLANNED, Planned
from melodygru.events.times import MOTIONS, TIMES, span_class, span_of, time_of
from melodygru.events.vocabulary import (
    DURATION,
    END,
    FIRST_PART,
    MAX_PARTS,
    NEW,
    PART,
    PITCH,
    SHIFT,
    VELOCITY,
    VELOCITY_WIDTH,
    Vocabulary,
)
from melodygru.music.grid import Grid
from melodygru.music.metre import METRE, Bars, InBar, signatures
from melodygru.music.notes import DRUMS, N_PITCHES, ONSET_KEYS, NoteSequence, note_keys

ORDER_KEYS = (MAX_PARTS + 1) * (N_PITCHES + 1)  # order keys at one onset: a part, and a number of notes


class Piece:
    """A whole piece, as `representable` gives it; n is its number of notes, and its n + 1 events end with END.

    Attributes
    ----------
    vocabulary, style : those of `encode`
    metres : array, dtype METRE: those in force
    metre : the first of them, (numerator, denominator); None is unknown
    planned : what the plan knows; without bars, no more than the tempo
    line_up_known : whether the programs of its parts are known from the start
    kept : what of it stays where it is composed again; None is unknown
    onset, duration, end, part, program, slot, pitch, span, velocity : arrays, shape (n,), of the notes: steps; the
        part, its program and that one's slot; MIDI pitch; the duration's `span_class`; the velocity's class, 0 where it
        is unmodelled
    note_keys : array, shape (n,): see `music.notes.note_keys`
    at, shift : arrays, shape (n + 1,): the onset of each event, and the steps to it from the one before
    firsts, part_programs : arrays, shape (n_parts,): of each part its first note and its program
    fields : array, shape (n + 1, 5), int32: classes, see `Events`
    ngram_followers : see the function of this name in `ngram_lookup`, which sets it
    """

    ngram_followers: list[np.ndarray] | None = None

    def __init__(
        self,
        sequence: NoteSequence,
        vocabulary: Vocabulary,
        style: str | None = None,
        metre_known: bool = True,
        line_up_known: bool = False,
        kept: Kept | None = None,
        planned: Planned = UNPLANNED,
    ) -> None:
        self.vocabulary, self.style, self.kept = vocabulary, style, kept
        self.metres, self.metre = metres_in_force(sequence.metres, metre_known, vocabulary)
        self.bars = bars_of(vocabulary, self.metres, self.metre)
        self.planned = planned if self.bars is not None else planned.tempo_alone()
        self.line_up_known = line_up_known and vocabulary.models_part
        notes = sequence.notes
        n = len(notes)
        self.onset, self.duration = notes["onset"], notes["duration"]
        self.end = self.onset + self.duration
        self.note_keys = note_keys(notes)
        self.at = np.append(self.onset, sequence.length)
        self.shift = np.diff(self.at, prepend=0)
        self.part = notes["part"].astype(np.int64)
        self.program = notes["program"].astype(np.int64)
        self.slot = vocabulary.program_slots[self.program]
        self.pitch = notes["pitch"].astype(np.int64)
        self.span = span_class(self.duration)
        self.is_pitched = notes["program"] != DRUMS
        _, self.firsts = np.unique(self.part, return_index=True)
        self.part_programs = self.program[self.firsts]
        self.fields = np.full((n + 1, 5), -1, np.int32)
        self.fields[:, SHIFT] = TIMES.encode(self.shift)
        self.fields[:, PART] = np.append(encode_parts(notes, vocabulary), END)
        self.fields[:-1, PITCH] = self.pitch
        self.fields[:-1, DURATION] = TIMES.encode(self.duration)
        self.velocity = np.zeros(n, np.int64)
        if vocabulary.models_velocity:
            self.velocity = notes["velocity"].astype(np.int64) // VELOCITY_WIDTH
            self.fields[:-1, VELOCITY] = self.velocity

    @cached_property
    def order_keys(self) -> np.ndarray:
        """Each note's onset, part and rank among its part's notes there, as one number that sorts alike."""
        key = self.onset.astype(np.int64) * ORDER_KEYS + self.part * (N_PITCHES + 1)
        index = np.arange(len(key))
        begins = np.append(True, key[1:] != key[:-1])[: len(key)]
        return key + index - np.maximum.accumulate(np.where(begins, index, 0))

    @cached_property
    def in_bar(self) -> InBar | None:
        """Where each event's onset lies in its bar, arrays of shape (n + 1,); None where bars aren't known."""
        return None if self.bars is None else self.bars.at(self.at)

    @cached_property
    def half_bar(self) -> np.ndarray | None:
        """The half bar in which each event's onset lies, shape (n + 1,); None where bars aren't known."""
        if self.in_bar is None:
            return None
        return 2 * self.in_bar.bar + (2 * self.in_bar.position >= self.in_bar.size)

    @cached_property
    def form_lag(self) -> np.ndarray:
        """Steps from the bar that each event's bar returns to; 0 where it is new, or not known. Shape (n + 1,)."""
        returns = self.planned.returns
        if returns is None or self.in_bar is None or self.bars is None or not len(returns):
            return np.zeros(len(self.at), np.int64)
        bar = np.arange(len(returns))
        lag = np.where(returns >= 0, self.bars.starts_of(bar) - self.bars.starts_of(np.maximum(returns, 0)), 0)
        return np.append(lag, 0)[np.minimum(self.in_bar.bar, len(returns))]

    @cached_property
    def notes_of_parts(self) -> list[np.ndarray]:
        """Of each part the indices of its notes."""
        return [np.flatnonzero(self.part == part) for part in range(len(self.firsts))]

    @cached_property
    def by_part(self) -> np.ndarray:
        """The notes in the order of their parts, each part's in the order of the piece."""
        return np.argsort(self.part, kind="stable")

    @cached_property
    def ahead(self) -> Ahead | None:
        """What the events are shown of the notes that stay, if anything."""
        return None if self.kept is None else Ahead(self, self.kept)

    @cached_property
    def last_pitch(self) -> np.ndarray:
        """For each event the pitch plus 1 that its part struck last; 0 is none. Shape (n + 1,)."""
        return self.earlier(self.pitch, 1)

    def earlier(self, values: np.ndarray, lag: int) -> np.ndarray:
        """For each event the value plus 1 of its part's note `lag` notes before; 0 is none. Shape (n + 1,)."""
        order = self.by_part
        part = self.part[order]
        same = part[lag:] == part[:-lag]
        found = np.zeros(len(self.at), np.int32)
        found[order[lag:][same]] = values[order[:-lag][same]] + 1
        return found

    def counterparts(self, lag: int) -> np.ndarray:
        """For each note the one of its part and of its rank there that stood `lag` steps before, or -1. Shape (n,)."""
        return found_at(self.order_keys, self.order_keys - lag * ORDER_KEYS)


class Ahead:
    """Of each event of a piece the notes that stay and have still to come.

    Attributes
    ----------
    kept : Kept
    before : the events that are shown them before their shift: none stands before the gap, which isn't over
    within : the events that are shown them at their onset, which lies in the gap
    onset, pitch : arrays, shape (n + 1, lines): of each of `Kept.lines` the next note; NEVER is none
    """

    def __init__(self, piece: Piece, kept: Kept) -> None:
        self.kept, n = kept, len(piece.at)
        self._first, self._end = (np.array([gap[k] for gap in kept.gaps], np.int64) for k in range(2))
        now = piece.at - piece.shift
        self.before = self._inside(now, piece.at)
        self.within = self._inside(piece.at, piece.at)
        keys = kept.onset.astype(np.int64) * ONSET_KEYS + kept.line * N_PITCHES + kept.pitch
        stays = np.isin(piece.note_keys, keys)
        shape = n, len(kept.lines)
        self.onset, self.pitch = np.full(shape, NEVER), np.zeros(shape, np.int64)
        for column, line in enumerate(kept.lines):
            own = np.flatnonzero(stays & (piece.part == line))
            following = np.searchsorted(own, np.arange(n))
            has = following < len(own)
            self.onset[has, column] = piece.onset[own[following[has]]]
            self.pitch[has, column] = piece.pitch[own[following[has]]]

    def end(self, step: np.ndarray) -> np.ndarray:
        """Where the gap that isn't over at a step is."""
        return self._end[np.searchsorted(self._end, step, side="right")]

    def _inside(self, now: np.ndarray, following: np.ndarray) -> np.ndarray:
        gap = np.searchsorted(self._end, now, side="right")
        return np.flatnonzero(np.append(self._first, NEVER)[gap] <= following)


def encode_parts(notes: np.ndarray, vocabulary: Vocabulary) -> np.ndarray:
    """The part class of each note of a piece, shape (n,)."""
    if not vocabulary.models_part:
        return np.full(len(notes), NEW)
    classes = FIRST_PART + notes["part"].astype(np.int64)
    _, firsts = np.unique(notes["part"], return_index=True)
    classes[firsts] = NEW + notes["program"][firsts]
    return classes


def found_at(keys: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Where in ascending `keys` each of `wanted` stands, or -1."""
    if not len(keys):
        return np.full(len(wanted), -1)
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[at] == wanted, at, -1)


class Past:
    """A piece that is being written, so far.

    Attributes
    ----------
    vocabulary, style, metres, metre : as of `Piece`
    planned : what the plan knows, as of `Piece`
    bars : where bars are; None where they aren't known
    line_up : how many parts of each program are still to come in; None is unknown
    onset, shift : of the event being made, in steps
    in_chord : how many notes stand at the onset already
    in_bar : of the onset, the bar, the position in it and the bar's steps; None where bars aren't known
    form_lag : of the onset, steps from the bar that its bar returns to; 0 where it is new, or not known
    programs : of each part that has played
    ends : of each of them, when the last of its notes ends
    newest : the onset at which the newest part came in
    last : part, pitch and onset of the last note, if there is one
    part, slot, pitch, duration, velocity, shift_class, duration_class, last_pitch, motion : of the last note; its
        part's last pitch before it, plus 1, and the `motion_class` from there
    notes : for each note its shift, that one's span class, slot * 128 + pitch, the duration's span class, and motion
    values : for each note its part, pitch, duration class and velocity class
    order_keys, note_keys : of the notes, see `Piece`
    given : of a piece that parts are added to, the number here of each part of it that has played, by its number there
    active : part, pitch, onset, end and slot of the notes that sound or end at the onset, oldest first
    kept : of a piece of which bars are composed again, what stays of it; None is unknown
    kept_next : onset and pitch of each line's next note that stays, which `KeptNotes` keeps
    ngram_followers : for each order of the n-gram lookup, which keeps it if there is one, the note that followed then,
        or -1
    """

    ngram_followers: Sequence[int] = ()

    part = slot = pitch = duration = velocity = shift_class = duration_class = last_pitch = motion = 0
    newest = -1

    def __init__(
        self,
        vocabulary: Vocabulary,
        style: str | None,
        metres: np.ndarray,
        metre_known: bool,
        line_up: Sequence[int] | None = None,
        kept: Kept | None = None,
        planned: Planned = UNPLANNED,
    ) -> None:
        self.vocabulary, self.style, self.kept = vocabulary, style, kept
        self.kept_next: dict[int, tuple[int, int]] = {}
        self.metres, self.metre = metres_in_force(metres, metre_known, vocabulary)
        self.line_up = Counter(line_up) if line_up is not None and vocabulary.models_part else None
        self.onset = self.shift = self.in_chord = 0
        self.last: tuple[int, int, int] | None = None
        self.bars = bars_of(vocabulary, self.metres, self.metre)
        self.planned = planned if self.bars is not None else planned.tempo_alone()
        self.in_bar = None if self.bars is None else self.bars.at_step(0)
        self.form_lag = 0
        self.programs: list[int] = []
        self.ends: list[int] = []
        self.given: dict[int, int] = {}
        self.notes: list[tuple[int, int, int, int, int]] = []
        self.values: list[tuple[int, int, int, int]] = []
        self.order_keys: list[int] = []
        self.note_keys: list[int] = []
        self.active: list[tuple[int, int, int, int, int]] = []
        self._slots = tuple(vocabulary.program_slots.tolist())
        self._last_pitches: dict[int, int] = {}

    def move(self, shift: int) -> None:
        """Go `shift` steps on, to the onset of the event."""
        self.shift = shift
        if shift:
            self.onset = at = self.onset + shift
            self.in_chord = 0
            if self.bars is not None:
                before, self.in_bar = self.in_bar, self.bars.at_step(at)
                if before is None or before[0] != self.in_bar[0]:
                    self.form_lag = self.lag_of_bar(self.in_bar[0])
            self.active = [note for note in self.active if note[3] >= at]
        else:
            self.in_chord = 0 if self.last is None else self.in_chord + 1

    @property
    def half_bar(self) -> int | None:
        """The half bar in which the onset lies; None where bars aren't known."""
        if self.in_bar is None:
            return None
        bar, position, size = self.in_bar
        return 2 * bar + (2 * position >= size)

    @property
    def begins_half_bar(self) -> bool:
        """Whether the onset is where a half bar begins; nowhere, where bars aren't known."""
        return self.in_bar is not None and self.in_bar[1] in (0, (self.in_bar[2] + 1) // 2)

    def lag_of_bar(self, bar: int) -> int:
        """Steps from the bar that a bar returns to; 0 where it is new, or not known."""
        returns = self.planned.returns
        if returns is None or self.bars is None or bar >= len(returns) or returns[bar] < 0:
            return 0
        return self.bars.start_of(bar) - self.bars.start_of(int(returns[bar]))

    def part_of(self, part_class: int) -> int:
        """The part that a class means at the onset; one more than there are, or later, is a new one."""
        if not self.vocabulary.models_part:
            return 0
        return part_class - FIRST_PART if part_class >= FIRST_PART else len(self.programs)

    def program_of(self, part_class: int) -> int:
        """The program of the part that a class means at the onset."""
        part = self.part_of(part_class)
        return self.programs[part] if part < len(self.programs) else self.vocabulary.program_of_new(part_class)

    def last_pitch_of(self, part: int) -> int | None:
        """The pitch that a part struck last, if it has."""
        return self._last_pitches[part] - 1 if part in self._last_pitches else None

    def line_of(self, part: int) -> int:
        """The line of the piece that parts are added to that a part is, or -1."""
        return next((line for line, number in self.given.items() if number == part), -1)

    def gap(self) -> tuple[int, int] | None:
        """The gap that the onset lies in, if it does."""
        gap = None if self.kept is None else self.kept.gap_after(self.onset)
        return gap if gap is not None and gap[0] <= self.onset else None

    def find_kept(self) -> dict[int, tuple[int, int]]:
        """Onset and pitch of each line's next note that stays, of the lines that have one."""
        found = {}
        assert self.kept is not None
        last = self.last if self.last is not None and self.last[2] == self.onset else None
        for line in self.kept.lines:
            number, least = self.given.get(line), self.onset * N_PITCHES
            if last is not None and number is not None and number <= last[0]:
                least += last[1] + 1 if number == last[0] else N_PITCHES
            following = self.kept.next_of(line, least)
            if following is not None:
                found[line] = following
        return found

    def order_key(self, part: int) -> int:
        """The order key that a part's next note at the onset would have."""
        last = self.last
        if last is not None and last[0] == part and last[2] == self.onset:
            return self.order_keys[-1] + 1
        return self.onset * ORDER_KEYS + part * (N_PITCHES + 1)

    def add(self, part_class: int, pitch: int, duration: int, velocity: int = 0) -> None:
        """Add a note at the onset; `velocity` is a class."""
        at, shift = self.onset, self.shift
        part = self.part_of(part_class)
        key = self.order_key(part)
        if part == len(self.programs):
            program = self.vocabulary.program_of_new(part_class)
            self.programs.append(program)
            self.ends.append(at)
            self.newest = at
            if self.line_up is not None and self.line_up[program]:
                self.line_up[program] -= 1
        self.ends[part] = max(self.ends[part], at + duration)
        self.part, self.pitch, self.duration, self.velocity = part, pitch, duration, max(velocity, 0)
        self.slot = slot = self._slots[self.programs[part]]
        self.shift_class, self.duration_class = time_of(shift), time_of(duration)
        self.last_pitch = struck = self._last_pitches.get(part, 0)
        self._last_pitches[part] = pitch + 1
        self.motion = motion = MOTIONS[pitch - struck + 1] if struck else 0
        self.order_keys.append(key)
        self.note_keys.append(at * ONSET_KEYS + part * N_PITCHES + pitch)
        self.notes.append((shift, span_of(shift), slot * N_PITCHES + pitch, span_of(duration), motion))
        self.values.append((part, pitch, self.duration_class, self.velocity))
        self.active.append((part, pitch, at, at + duration, slot))
        self.last = (part, pitch, at)


def index_of(keys: list[int], key: int) -> int:
    """Where a key stands among ascending ones, or -1."""
    at = bisect_left(keys, key)
    return at if at < len(keys) and keys[at] == key else -1


def metres_in_force(
    metres: np.ndarray, known: bool, vocabulary: Vocabulary
) -> tuple[np.ndarray, tuple[int, int] | None]:
    """The piece's metres, or the vocabulary's only one; and the first of them, None where it isn't known."""
    if len(vocabulary.metres) == 1:
        metres, known = np.array([(0, *vocabulary.metres[0])], METRE), True
    return metres, signatures(metres)[0] if known else None


def bars_of(vocabulary: Vocabulary, metres: np.ndarray, metre: tuple[int, int] | None) -> Bars | None:
    """The bars of a piece in these metres; None where there is no beat, or the metre isn't known."""
    if metre is None or not vocabulary.grid.is_metrical:
        return None
    return Bars(vocabulary.grid, metres) if len(metres) > 1 else _bars_in(vocabulary.grid, metre)


@lru_cache
def _bars_in(grid: Grid, metre: tuple[int, int]) -> Bars:
    """The bars of a piece in one metre."""
    return Bars(grid, np.array([(0, *metre)], METRE))
