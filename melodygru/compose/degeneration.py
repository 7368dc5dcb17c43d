"""Degeneration of a piece while it is composed: what no music does that was measured, found note by note.

Each kind is one `Detector` in the list `DETECTORS`; a `Monitor` keeps one of each over a piece:

silence     longer than any rest
long note   one sounds on and on
cluster     more notes begin together, or sound together, than the corpus ever has
few pitches one pitch, or two of them, and no other
loop        the same notes over and over: shift, part, pitch and duration alike, or part and pitch alone
line's loop likewise of the notes of one line, where the corpus says how far its lines go
circles     fewer different trigrams than the corpus ever has, though no two rounds need be alike
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

from melodygru.events import Vocabulary
from melodygru.music.diversity import WINDOW, Diversity
from melodygru.music.extremes import DRUM_PATIENCE, LEAST_DIVERSITY, LONGEST_LOOP, REPEATED, Extremes, allowed
from melodygru.music.notes import DRUMS, NoteSequence
from melodygru.util.wording import counted

ORDER = 6  # notes in a row by which a loop is found
NEAR = 1.2  # times the least diversity: music that comes so near to it may turn out degenerate


@dataclass(frozen=True)
class Thresholds:
    """Beyond what music counts as degenerate.

    Parameters
    ----------
    alike : notes that repeat a loop in program and pitch alone, at least
    one, two : notes in a row on one pitch, and on two
    silence : steps in which nothing sounds
    onset : notes that begin together
    sounding : notes that sound together
    duration : steps of a note
    diversity : different trigrams among WINDOW notes, at least, see `melodygru.music.diversity`
    exact, looking_alike : times what a loop may have (`music.extremes.allowed`), with its times and without
    line : likewise of one line's notes, with their times; None: lines are not looked at
    """

    alike: int = 48
    one: int = 24
    two: int = 48
    silence: int = 1 << 62
    onset: int = 16
    sounding: int = 32
    duration: int = 1 << 62
    diversity: int = LEAST_DIVERSITY
    exact: float = 1.0
    looking_alike: float = 1.0
    line: float | None = None

    @classmethod
    def from_vocabulary(cls, vocabulary: Vocabulary, style: str | None = None) -> Thresholds:
        """Those of a vocabulary's music, of a style where it is known: never below what its pieces do."""
        usual, reached = cls._usual(vocabulary), vocabulary.statistics.extremes_of(style)
        return usual if reached is None else usual._beyond(reached)

    def _beyond(self, reached: Extremes) -> Thresholds:
        """The thresholds, farther where the corpus goes farther."""
        return replace(
            self,
            one=max(self.one, int(reached.one) + 1),
            two=max(self.two, int(reached.two) + 1),
            silence=max(self.silence, int(reached.silence)),
            onset=max(self.onset, int(reached.onset)),
            sounding=max(self.sounding, int(reached.sounding)),
            duration=max(self.duration, int(reached.duration)),
            diversity=int(reached.trigrams),
            exact=max(1.0, reached.exact),
            looking_alike=max(1.0, reached.alike),
            line=max(1.0, reached.line),
        )

    @classmethod
    def _usual(cls, vocabulary: Vocabulary) -> Thresholds:
        """By the grid, how many notes sound together, how long pieces are."""
        rate = vocabulary.grid.steps_per_beat
        sounding, onset = max(16, 5 * vocabulary.n_sounding), max(16, 2 * vocabulary.n_sounding)
        if rate is not None:
            longest = max(round(32 * rate), vocabulary.statistics.longest // 3)
            return cls(48, 24, 48, round(16 * rate), onset, sounding, longest)
        rate = vocabulary.grid.steps_per_second
        assert rate is not None
        # A player never repeats to the hundredth of a second, and trills.
        return cls(128, 64, 128, round(24 * rate), onset, sounding, round(90 * rate))


class Degeneration(NamedTuple):
    """A degeneration that was found.

    Attributes
    ----------
    why : in words
    first : the first note that is to be taken back, counted from 0
    span : notes of the loop, or 1
    """

    why: str
    first: int
    span: int = 1


class _Loop:
    """How many notes in a row are those that stood `lag` notes before, for the shortest lag where it is so."""

    def __init__(self) -> None:
        self.lag = self.run = 0
        self._codes: list[int] = []
        self._latest: dict[tuple[int, ...], int] = {}  # the last note of each ORDER of notes in a row
        self._older: dict[tuple[int, ...], int] = {}  # likewise, of earlier notes; still older ones are forgotten

    def add(self, code: int) -> None:
        """A note more."""
        codes, at = self._codes, len(self._codes)
        codes.append(code)
        if self.lag and codes[at - self.lag] == code:
            self.run += 1
        else:
            self.lag = self.run = 0
        recent = tuple(codes[-ORDER:])
        before = self._latest.get(recent)
        if before is None:
            before = self._older.get(recent)
        if len(self._latest) >= 2 * LONGEST_LOOP:
            self._latest, self._older = {}, self._latest
        self._latest[recent] = at
        if before is None or at < ORDER:
            return
        lag = at - before
        if lag <= LONGEST_LOOP and (not self.lag or lag < self.lag):
            run = ORDER
            while run <= at - lag and codes[at - run] == codes[at - run - lag]:
                run += 1
            self.lag, self.run = lag, run


@dataclass
class LastNote:
    """A piece's last note, and what the detectors need of those before it.

    Attributes
    ----------
    n : notes so far, this one included
    onset, duration : steps
    program, pitch, part : the note's
    shift : steps since the last onset
    end : the step at which the last of the notes before it ends
    last_pitched : index of the last note that is no drum, or -1
    """

    n: int = 0
    onset: int = 0
    duration: int = 0
    program: int = 0
    pitch: int = 0
    shift: int = 0
    end: int = 0
    last_pitched: int = -1
    part: int = 0

    @property
    def stroke(self) -> int:
        """Part and pitch as one number."""
        return self.part * 128 + self.pitch

    @property
    def line(self) -> int:
        """The line that it belongs to, as `music.extremes.line_of` has it."""
        return self.part


class Detector:
    """Finds one kind of degeneration; the base of all.

    Attributes
    ----------
    suspected : int
        How many of the last notes may turn out to be part of it.
    """

    suspected = 0

    def __init__(self, thresholds: Thresholds) -> None:
        self.thresholds = thresholds

    def add(self, note: LastNote) -> Degeneration | None:
        """The piece's next note: what it degenerates into with it, if it does."""
        raise NotImplementedError

    def finish(self, last: LastNote, step: int) -> Degeneration | None:
        """The piece ends at a step after its last note."""
        return None


class _Silence(Detector):
    def add(self, note: LastNote) -> Degeneration | None:
        return Degeneration("a silence", note.n - 1) if note.onset - note.end > self.thresholds.silence else None

    def finish(self, last: LastNote, step: int) -> Degeneration | None:
        end = max(last.end, last.onset + last.duration)
        return Degeneration("a silence", last.n) if last.n and step - end > self.thresholds.silence else None


class _LongNote(Detector):
    def add(self, note: LastNote) -> Degeneration | None:
        return Degeneration("a note without end", note.n - 1) if note.duration > self.thresholds.duration else None


class _Chord(Detector):
    """More notes at one onset than music has."""

    def __init__(self, thresholds: Thresholds) -> None:
        super().__init__(thresholds)
        self._together = 0

    def add(self, note: LastNote) -> Degeneration | None:
        self._together = 1 if note.shift else self._together + 1
        if self._together > self.thresholds.onset:
            return Degeneration(f"{self._together} notes at once", note.n - self._together)
        return None


class _Cluster(Detector):
    """More notes that sound together than music has."""

    def __init__(self, thresholds: Thresholds) -> None:
        super().__init__(thresholds)
        self._ends: list[int] = []  # of the notes that sound

    def add(self, note: LastNote) -> Degeneration | None:
        if note.shift:
            self._ends = [end for end in self._ends if end > note.onset]
        self._ends.append(note.onset + note.duration)
        if len(self._ends) > self.thresholds.sounding:
            first = max(0, note.n - self.thresholds.sounding // 2)
            return Degeneration(f"{len(self._ends)} notes sounding together", first)
        return None


class _FewPitches(Detector):
    """One pitch in a row, or two; drums do not count."""

    def __init__(self, thresholds: Thresholds) -> None:
        super().__init__(thresholds)
        # The last stroke, the other one of the last two, notes in a row on these, and on the last alone.
        self._last, self._other, self._on_two, self._on_one = -1, -1, 0, 0

    def add(self, note: LastNote) -> Degeneration | None:
        if note.program != DRUMS:
            self._count(note.stroke)
        self.suspected = self._on_two if self._on_two >= ORDER else 0
        if self._on_one >= self.thresholds.one:
            return Degeneration("one pitch over and over", note.n - self._on_one + 2)
        if self._on_two >= self.thresholds.two:
            return Degeneration("two pitches over and over", note.n - self._on_two + 2)
        return None

    def _count(self, stroke: int) -> None:
        """Count the notes in a row on one pitch of a part and on two."""
        if stroke == self._last:
            self._on_one += 1
            self._on_two += 1
            return
        self._on_two = self._on_two + 1 if stroke == self._other else self._on_one + 1
        self._last, self._other, self._on_one = stroke, self._last, 1


def _timed(shift: int, note: LastNote) -> int:
    """A shift, and a note's duration, part and pitch, as one number."""
    return (((shift << 40) | note.duration) << 22) | note.stroke


class _Loops(Detector):
    """The same notes over and over, with their times or without; drums may do it four times as long."""

    def __init__(self, thresholds: Thresholds) -> None:
        super().__init__(thresholds)
        self._exact, self._alike = _Loop(), _Loop()

    def add(self, note: LastNote) -> Degeneration | None:
        self._exact.add(_timed(note.shift, note))
        self._alike.add(note.stroke)
        of = self.thresholds
        loops = ((self._exact, REPEATED, of.exact), (self._alike, of.alike, of.looking_alike))
        self.suspected = max(loop.run if loop.run >= 2 * loop.lag else 0 for loop, *_ in loops)
        for loop, least, extent in loops:
            patience = DRUM_PATIENCE if note.last_pitched < note.n - loop.run - loop.lag else 1
            if loop.lag and loop.run >= max(least, allowed(loop.lag)) * patience * extent:
                return Degeneration(f"a loop of {counted(loop.lag, 'note')}", note.n - loop.run, loop.lag)
        return None


class _LineLoops(Detector):
    """One line's notes over and over, with their times; drums may do it four times as long."""

    def __init__(self, thresholds: Thresholds) -> None:
        super().__init__(thresholds)
        self._lines: dict[int, tuple[_Loop, list[int]]] = {}  # its loop, and its notes' numbers in the piece
        self._onsets: dict[int, int] = {}

    def add(self, note: LastNote) -> Degeneration | None:
        if self.thresholds.line is None:
            return None
        loop, numbers = self._lines.setdefault(note.line, (_Loop(), []))
        shift = note.onset - self._onsets.get(note.line, 0)
        self._onsets[note.line] = note.onset
        numbers.append(note.n - 1)
        loop.add(_timed(shift, note))
        patience = DRUM_PATIENCE if note.program == DRUMS else 1
        most = allowed(loop.lag) * patience * self.thresholds.line
        if not loop.lag or loop.run < most:
            self.suspected = 0
            return None
        # What is taken back is no more than a round or two: the line's first round is long given out.
        first = numbers[-min(loop.run, 2 * loop.lag)]
        self.suspected = note.n - first
        return Degeneration(f"a line's loop of {counted(loop.lag, 'note')}", first, self.suspected)


class _Circles(Detector):
    """Fewer different trigrams than the corpus has."""

    def __init__(self, thresholds: Thresholds) -> None:
        super().__init__(thresholds)
        self._diversity = Diversity()

    def add(self, note: LastNote) -> Degeneration | None:
        self._diversity.add(note.stroke)
        self.suspected = 0
        if not self._diversity.full:
            return None
        if self._diversity.trigrams < NEAR * self.thresholds.diversity:
            self.suspected = WINDOW // 2
        if self._diversity.trigrams < self.thresholds.diversity:
            return Degeneration("the same few trigrams", note.n - WINDOW // 2, WINDOW // 8)
        return None


# In the order of precedence, where several find something at one note.
DETECTORS: tuple[type[Detector], ...] = (
    _Silence,
    _LongNote,
    _Chord,
    _Cluster,
    _FewPitches,
    _Loops,
    _LineLoops,
    _Circles,
)


class Monitor:
    """Finds degeneration in one piece, note by note.

    Parameters
    ----------
    thresholds : Thresholds

    Attributes
    ----------
    n : notes so far
    suspect : index of the first note of what may turn out a degeneration, or `n`
    end : the step at which the last note ends
    """

    def __init__(self, thresholds: Thresholds) -> None:
        self._detectors = [detector(thresholds) for detector in DETECTORS]
        self._last = LastNote()
        self.n = self.suspect = self.end = 0

    def add(self, onset: int, duration: int, program: int, pitch: int, part: int = 0) -> Degeneration | None:
        """Add the next note, in steps; what the piece degenerates into with it, if it does."""
        last_pitched = self._last.last_pitched if program == DRUMS else self.n
        self.n += 1
        shift = onset - self._last.onset
        note = self._last = LastNote(self.n, onset, duration, program, pitch, shift, self.end, last_pitched, part)
        found = [detector.add(note) for detector in self._detectors]
        self.end = max(self.end, onset + duration)
        self.suspect = self.n - max(detector.suspected for detector in self._detectors)
        return next(filter(None, found), None)

    def finish(self, step: int) -> Degeneration | None:
        """The piece ends at a step: what it degenerated into by then."""
        return next(filter(None, (detector.finish(self._last, step) for detector in self._detectors)), None)


def find_degeneration(piece: NoteSequence, thresholds: Thresholds) -> Degeneration | None:
    """The first degeneration of a finished piece, or None."""
    monitor = Monitor(thresholds)
    for onset, duration, part, program, pitch, _ in piece.notes.tolist():
        found = monitor.add(onset, duration, program, pitch, part)
        if found is not None:
            return found
    return monitor.finish(piece.length)
