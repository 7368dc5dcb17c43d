"""Guards over pieces while they are composed: a piece that collapses, or copies, is taken back and goes on anew.

A piece has **collapsed** where it does what no music does that was measured (see `Limits`):

loop      the same notes come again and again: shift, program, pitch and duration alike, or program and pitch alone
one pitch, or two of them, and no other
circles   fewer different figures of notes than the corpus ever has, though no two rounds need be alike
silence   longer than any rest
cluster   more notes begin together or sound together than the corpus ever has, or one sounds on and on

A `Watch` finds it note by note. A `Guard` holds a watch over every stream of a sampler, takes a stream back to where
the collapse began, and gives notes out only when they stay: `Guard.hear` returns what is certain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from melodygru.errors import SettingError
from melodygru.events import DRUMS, DURATION, PITCH, PROGRAM, SHIFT, Vocabulary
from melodygru.music.diversity import WINDOW, Diversity
from melodygru.music.notes import NoteSequence
from melodygru.util.wording import clock, counted

if TYPE_CHECKING:
    from melodygru.analysis.originality import Index
    from melodygru.compose.drawing import Note
    from melodygru.compose.sampler import Sampler

LONGEST_LOOP = 48  # notes of a figure
PHRASE = 16  # notes of a figure, the longer ones being phrases
ORDER = 6  # notes that recall where they stood before
LOOKAHEAD = 32  # notes of a stream that are not given out yet
SHORTEST = 16  # notes of a piece that is ended
LET_BE = 64  # notes without a collapse, after which one that was let be is over
TRIES = 6  # times that a stream is taken back from one place
COPY_TRIES = 8  # other notes that are tried at one place, before more than one note is taken back
COPY_TRIES_IN_ALL = 200  # at one place
NEAR = 1.2  # times the least variety: what comes so near to it may turn out a collapse
LEAST_DIVERSITY = 12  # of a corpus that is not known; Nottingham has 21, a trill of a MAESTRO performance 16
STEP_BACK = 4  # notes more, at least, that the second try takes back; the third twice as many more, and so on


@dataclass(frozen=True)
class Limits:
    """From where on music counts as collapsed.

    Of 3,506 pieces (chorales, folk tunes with and without chords, piano performances) three go beyond one of them: a
    tune that begins after 32 beats, a recording with a silence of 33 s, and the reel of the fewest figures.

    Parameters
    ----------
    repeats : times that a figure comes again, for short ones see `repeated_by`; in drums four times as many
    repeated : notes that they are, at least
    alike : likewise, where program and pitch alone agree; and notes in a row on two pitches, twice as many as on one
    silence : steps in which nothing sounds
    onset : notes that begin together
    sounding : notes that sound together
    duration : steps of a note
    diversity : different trigrams among WINDOW notes, at least, see `melodygru.music.diversity`
    """

    repeats: int = 4
    repeated: int = 16
    alike: int = 48
    silence: int = 1 << 62
    onset: int = 16
    sounding: int = 32
    duration: int = 1 << 62
    diversity: int = LEAST_DIVERSITY

    @classmethod
    def from_vocabulary(cls, vocabulary: Vocabulary) -> Limits:
        """Those of a vocabulary's music: its grid, how many notes sound together, how long its pieces are."""
        rate, diversity = vocabulary.grid.steps_per_beat, vocabulary.statistics.diversity or LEAST_DIVERSITY
        sounding, onset = max(16, 5 * vocabulary.n_sounding), max(16, 2 * vocabulary.n_sounding)
        if rate is not None:
            longest = max(round(32 * rate), vocabulary.statistics.longest // 3)
            return cls(4, 16, 48, round(16 * rate), onset, sounding, longest, diversity)
        rate = vocabulary.grid.steps_per_second
        assert rate is not None
        # A player never repeats to the hundredth of a second, and trills.
        return cls(4, 16, 128, round(24 * rate), onset, sounding, round(90 * rate), diversity)

    def repeated_by(self, lag: int) -> int:
        """Notes that a figure of `lag` notes comes again with; short figures, and whole phrases, come more often."""
        return max(self.repeated, min(6 * lag, 24), (self.repeats + (lag > PHRASE)) * lag)


class Degeneration(NamedTuple):
    """A collapse that was found.

    Attributes
    ----------
    why : in words
    first : the first note that is to be taken back, counted from 0
    span : notes of its figure, or 1
    """

    why: str
    first: int
    span: int = 1


class _Loop:
    """How many notes in a row are those that stood `lag` notes before, for the shortest lag where it is so."""

    def __init__(self) -> None:
        self.lag = self.run = 0
        self._codes: list[int] = []
        self._places: dict[tuple[int, ...], int] = {}  # where the last notes stood, by ORDER of them
        self._older: dict[tuple[int, ...], int] = {}  # likewise, of notes before; what is older still is no matter

    def add(self, code: int) -> None:
        """A note more."""
        codes, at = self._codes, len(self._codes)
        codes.append(code)
        if self.lag and codes[at - self.lag] == code:
            self.run += 1
        else:
            self.lag = self.run = 0
        recent = tuple(codes[-ORDER:])
        place = self._places.get(recent)
        if place is None:
            place = self._older.get(recent)
        if len(self._places) >= 2 * LONGEST_LOOP:
            self._places, self._older = {}, self._places
        self._places[recent] = at
        if place is None or at < ORDER:
            return
        lag = at - place
        if lag <= LONGEST_LOOP and (not self.lag or lag < self.lag):
            run = ORDER
            while run <= at - lag and codes[at - run] == codes[at - run - lag]:
                run += 1
            self.lag, self.run = lag, run


class Watch:
    """Finds collapse in one piece, note by note.

    Parameters
    ----------
    limits : Limits

    Attributes
    ----------
    n : notes heard
    suspect : the first note of what may turn out a collapse, or `n`
    end : the step at which the last note ends
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.n = self.suspect = self.end = 0
        self._exact, self._alike, self._diversity = _Loop(), _Loop(), Diversity()
        self._onset = 0
        self._together = 0  # notes at the onset
        self._ends: list[int] = []  # of the notes that sound, and of some that no longer do
        self._pitched = -1  # the last note that is no drum
        # The last pitch, the other one of the last two, notes in a row on these, and on the last alone.
        self._last, self._other, self._on_two, self._on_one = -1, -1, 0, 0

    def hear(self, onset: int, duration: int, program: int, pitch: int) -> Degeneration | None:
        """The next note, in steps; what it has the piece collapse into, if it does."""
        at, limits = self.n, self.limits
        voice = program * 128 + pitch
        self._exact.add((((onset - self._onset) << 40 | duration) << 15) | voice)
        self._alike.add(voice)
        self._diversity.add(voice)
        if program != DRUMS:
            self._pitched = at
            self._count_pitches(voice)
        silence = onset - self.end
        if onset != self._onset:
            self._onset, self._together = onset, 0
            self._ends = [end for end in self._ends if end > onset]
        self._together += 1
        self._ends.append(onset + duration)
        self.end = max(self.end, onset + duration)
        self.n = at + 1
        self.suspect = self._suspected()

        if silence > limits.silence:
            return Degeneration("a silence", at)
        if duration > limits.duration:
            return Degeneration("a note without end", at)
        if self._together > limits.onset:
            return Degeneration(f"{self._together} notes at once", self.n - self._together)
        if len(self._ends) > limits.sounding:
            return Degeneration(f"{len(self._ends)} notes sounding together", max(0, self.n - limits.sounding // 2))
        if self._on_two >= limits.alike or self._on_one >= limits.alike // 2:
            alone = self._on_one >= limits.alike // 2
            first = self.n - (self._on_one if alone else self._on_two)
            return Degeneration("one pitch over and over" if alone else "two pitches over and over", first + 2)
        for loop, least in ((self._exact, limits.repeated), (self._alike, limits.alike)):
            if loop.lag and loop.run >= max(least, limits.repeated_by(loop.lag)) * self._drums(loop):
                return Degeneration(f"a loop of {counted(loop.lag, 'note')}", self.n - loop.run, loop.lag)
        if self._diversity.full and self._diversity.trigrams < limits.diversity:
            return Degeneration("the same few figures", self.n - WINDOW // 2, WINDOW // 8)
        return None

    def finish(self, end: int) -> Degeneration | None:
        """The piece ends at a step; a collapse if nothing sounds long before."""
        return Degeneration("a silence", self.n) if self.n and end - self.end > self.limits.silence else None

    def _drums(self, loop: _Loop) -> int:
        """How many times more often a loop may come than others: 1, or 4 if drums alone play it."""
        return 4 if self._pitched < self.n - loop.run - loop.lag else 1

    def _count_pitches(self, voice: int) -> None:
        """Count the notes in a row on one pitch and on two."""
        if voice == self._last:
            self._on_one += 1
            self._on_two += 1
            return
        self._on_two = self._on_two + 1 if voice == self._other else self._on_one + 1
        self._last, self._other, self._on_one = voice, self._last, 1

    def _suspected(self) -> int:
        """The first note of what repeats itself so far, or `n`."""
        run = max(self._on_two if self._on_two >= ORDER else 0, 0)
        for loop in (self._exact, self._alike):
            if loop.run >= 2 * loop.lag:
                run = max(run, loop.run)
        if self._diversity.full and self._diversity.trigrams < NEAR * self.limits.diversity:
            run = max(run, WINDOW // 2)
        return self.n - run


def collapse(piece: NoteSequence, limits: Limits) -> Degeneration | None:
    """The first collapse of a finished piece, or None."""
    watch = Watch(limits)
    for onset, duration, program, pitch, _ in piece.notes.tolist():
        found = watch.hear(onset, duration, program, pitch)
        if found is not None:
            return found
    return watch.finish(piece.length)


@dataclass(frozen=True)
class Action:
    """What a guard did.

    Parameters
    ----------
    stream : of which piece of the batch, from 0
    taken : notes taken back; 0 if none
    onset : step of the first of them
    where : "bar 7", or on a grid of seconds "0:14"
    why : in words
    outcome : "resampled", "ended" (the piece ends there) or "let be"
    """

    stream: int
    taken: int
    onset: int
    where: str
    why: str
    outcome: str = "resampled"

    @property
    def of_copy(self) -> bool:
        """Whether it was to keep a match with the corpus short."""
        return self.why.startswith("a match")

    def __str__(self) -> str:
        piece = f"piece {self.stream + 1}"
        if self.outcome == "ended":
            return f"ended {piece} at {self.where} ({self.why}, again and again)"
        if self.outcome == "let be":
            return f"let {piece} be at {self.where} ({self.why}, again and again)"
        return f"took back {counted(self.taken, 'note')} of {piece} at {self.where} ({self.why})"

    def as_dict(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        return asdict(self)


def in_short(actions: Iterable[Action], most: int = 12) -> list[str]:
    """Actions as lines for people: each collapse, the copies of a piece together; at most `most` and a line more."""
    lines: list[str] = []
    copies: dict[int, tuple[int, int]] = {}  # of each stream: times, and notes taken back
    for action in actions:
        if action.of_copy and action.outcome == "resampled":
            times, taken = copies.get(action.stream, (0, 0))
            copies[action.stream] = times + 1, taken + action.taken
        else:
            lines.append(f"{'max-copy' if action.of_copy else 'guard'}: {action}")
    for stream, (times, taken) in sorted(copies.items()):
        lines.append(f"max-copy: took back {counted(taken, 'note')} of piece {stream + 1}, {counted(times, 'time')}")
    if len(lines) > most:
        lines[most:] = [f"guard: and {len(lines) - most:,} more"]
    return lines


class _Piece:
    """What a guard knows of one stream."""

    def __init__(self, limits: Limits, index: Index | None) -> None:
        self._limits, self._index = limits, index
        self.notes: list[tuple[int, int, int, int]] = []  # all that were heard and stay so far
        self.waiting: list[Note] = []  # the last of them, which nobody was given yet
        self.let_be = 0  # before this note collapse is let be: it goes on, and could not be helped
        self.tries, self.trouble = 0, -1  # times in a row that the stream was taken back, and the farthest note of it
        self.avoided: set[int] = set()  # pitches tried at the note `copied`
        self.copied, self.copy_tries = -1, 0
        self._listen([])

    def _listen(self, notes: list[tuple[int, int, int, int]]) -> None:
        """Hear the notes from the beginning."""
        self.watch = Watch(self._limits)
        for note in notes:
            self.watch.hear(*note)

    def start(self, primer: Iterable[tuple[int, int, int, int]]) -> None:
        """Hear the primer."""
        self.copy: Any = None
        if self._index is not None:
            from melodygru.analysis.originality import Matcher

            self.copy = Matcher(self._index)
            self._states = [self.copy.state]
        for note in primer:
            self.hear(note)

    def hear(self, note: tuple[int, int, int, int]) -> tuple[Degeneration | None, int]:
        """Hear a note: the collapse that it ends in, if any, and the notes of the longest match that it ends."""
        self.notes.append(note)
        matched = 0
        if self.copy is not None:
            matched = self.copy.extend(*note)
            self._states.append(self.copy.state)
        return self.watch.hear(*note), matched

    def go_back(self, n: int) -> None:
        """Forget all but the first `n` notes."""
        taken = len(self.notes) - n
        if taken:
            del self.notes[n:], self.waiting[max(0, len(self.waiting) - taken) :]
            self._listen(self.notes)
            if self.copy is not None:
                del self._states[n + 1 :]
                self.copy.state = self._states[n]

    def release(self, floor: int) -> list[Note]:
        """The waiting notes before the note `floor`, which wait no longer."""
        n = max(0, floor - (len(self.notes) - len(self.waiting)))
        given, self.waiting = self.waiting[:n], self.waiting[n:]
        return given


class Guard:
    """Watches over the streams of a sampler; one for each batch.

    Parameters
    ----------
    sampler : Sampler
    bars : for each stream the steps of a bar, or None; they say where something happened
    watch : whether collapse is taken back
    index, max_copy : what is looked up, and the notes of the longest match that stays
    may_shorten : whether a piece whose collapse comes again and again is ended; else it is let be
    lookahead : the last notes of a stream that are not given out yet, at least
    on_action : called with each action

    Attributes
    ----------
    actions : list of Action
    """

    def __init__(
        self,
        sampler: Sampler,
        bars: Sequence[int | None],
        *,
        watch: bool = True,
        index: Index | None = None,
        max_copy: int | None = None,
        may_shorten: bool = False,
        lookahead: int = LOOKAHEAD,
        on_action: Callable[[Action], None] | None = None,
    ) -> None:
        self._sampler, self._bars, self._watches, self._max_copy = sampler, bars, watch, max_copy
        self._may_shorten, self._lookahead, self._on_action = may_shorten, lookahead, on_action
        self.actions: list[Action] = []
        limits = Limits.from_vocabulary(sampler.vocabulary)
        self._pieces = [_Piece(limits, index if max_copy is not None else None) for _ in sampler.rows]
        for piece, rows in zip(self._pieces, sampler.rows, strict=True):
            piece.start(_played(rows, sampler.vocabulary))

    def hear(self, stream: int, note: Note | None, end: int | None = None) -> list[Note]:
        """What a stream did in a step of the sampler: the notes that are certain now, in order.

        Parameters
        ----------
        stream : int
        note : the stream's new note, or None where it came to its end
        end : the step at which it ends, if it is known
        """
        sampler, piece = self._sampler, self._pieces[stream]
        found, matched = None, 0
        if note is not None:
            found, matched = piece.hear((note.onset, note.duration, note.program, note.pitch))
            piece.waiting.append(note)
        elif end is not None:
            found = piece.watch.finish(end)
        if self._watches:
            if found is None:
                if len(piece.notes) > piece.trouble:
                    sampler.raise_temperature(stream, 0.0)
            elif len(piece.notes) < piece.let_be:
                piece.let_be = len(piece.notes) + LET_BE
            elif self._take_back(stream, found):
                return piece.release(len(piece.notes)) if sampler.done[stream] else []
        if self._max_copy is not None and matched > self._max_copy and self._take_copy_back(stream, matched):
            return []
        if sampler.done[stream]:
            return piece.release(len(piece.notes))
        # Before what may turn out a loop some room is left, to take back more than the loop.
        suspect = piece.watch.suspect - self._lookahead // 2
        return piece.release(min(len(piece.notes) - self._lookahead, suspect))

    def _floor(self, piece: _Piece) -> int:
        """The first note that nobody was given yet."""
        return len(piece.notes) - len(piece.waiting)

    def _take_back(self, stream: int, found: Degeneration) -> bool:
        """Take a stream back to before a collapse, or end it there; False if it is let be."""
        piece = self._pieces[stream]
        again = found.first <= piece.trouble
        piece.tries = piece.tries + 1 if again else 1
        piece.trouble = max(piece.trouble, len(piece.notes)) if again else len(piece.notes)
        if piece.tries > TRIES:
            piece.tries, piece.trouble = 0, -1
            if not self._may_shorten or found.first < self._sampler.n_primer + SHORTEST:
                piece.let_be = len(piece.notes) + LET_BE
                self._sampler.raise_temperature(stream, 0.0)
                self._say(stream, found.first, 0, found.why, "let be")
                return False
        back = max(STEP_BACK, found.span) * ((1 << max(0, piece.tries - 1)) - 1)
        n = min(max(found.first - back, self._floor(piece)), len(piece.notes))
        avoid = [piece.notes[n][3]] if n < len(piece.notes) else []
        self._say(stream, n, len(piece.notes) - n, found.why, "resampled" if piece.tries else "ended")
        self._go_back(stream, n, avoid)
        # What comes again at this temperature may not at a higher one.
        self._sampler.raise_temperature(stream, max(0, piece.tries - 1) / (TRIES - 1))
        if not piece.tries:
            self._sampler.end(stream, piece.watch.end)
        return True

    def _take_copy_back(self, stream: int, matched: int) -> bool:
        """Take back the note that makes a match too long, or more; False if nothing helps."""
        piece = self._pieces[stream]
        at = len(piece.notes) - 1
        if at > piece.copied:
            piece.copied, piece.copy_tries, piece.avoided = at, 0, set()
        piece.copy_tries += 1
        rounds = piece.copy_tries // COPY_TRIES
        if piece.copy_tries > COPY_TRIES_IN_ALL:
            self._say(stream, at, 0, f"a match of {counted(matched, 'note')}", "let be")
            return False
        n = at
        if at == piece.copied and rounds and piece.copy_tries % COPY_TRIES == 0:
            n = max(at - STEP_BACK * (1 << min(rounds - 1, 3)), self._floor(piece))
        if n == at:
            # Notes before `copied` come again after more than one was taken back; they have no list of their own.
            if at == piece.copied:
                piece.avoided.add(piece.notes[at][3])
            avoid = sorted(piece.avoided) if at == piece.copied else [piece.notes[at][3]]
        else:
            avoid, piece.avoided = [piece.notes[n][3]], set()
        self._say(stream, n, len(piece.notes) - n, f"a match of {counted(matched, 'note')}")
        self._go_back(stream, n, avoid)
        return True

    def _go_back(self, stream: int, n: int, avoid: Sequence[int]) -> None:
        self._sampler.rewind(stream, n, avoid)
        self._pieces[stream].go_back(n)

    def _say(self, stream: int, at: int, taken: int, why: str, outcome: str = "resampled") -> None:
        piece, bar = self._pieces[stream], self._bars[stream]
        onset = piece.notes[at][0] if at < len(piece.notes) else piece.watch.end
        rate = self._sampler.vocabulary.grid.steps_per_second
        where = f"bar {onset // (bar or 1) + 1}" if rate is None else clock(onset / float(rate))
        action = Action(stream, taken, onset, where, why, outcome)
        self.actions.append(action)
        if self._on_action is not None:
            self._on_action(action)


def guarded(
    sampler: Sampler,
    bars: Sequence[int | None],
    *,
    watch: bool = True,
    index: Index | None = None,
    max_copy: int | None = None,
    may_shorten: bool = False,
    on_action: Callable[[Action], None] | None = None,
) -> Guard | None:
    """The `Guard` of these settings, or None where nothing is to be watched.

    Raises
    ------
    SettingError
        `max_copy` is out of range, or nothing is indexed.
    """
    if max_copy is not None:
        from melodygru.analysis.originality import N_GRAM

        if max_copy < N_GRAM - 1:
            raise SettingError(f"max-copy {max_copy}: expected {N_GRAM - 1} notes or more; shorter runs are no match")
        if index is None:
            raise SettingError(
                "max-copy: this model has no index of the music that it was trained on; train it again to have one"
            )
    elif not watch:
        return None
    return Guard(
        sampler, bars, watch=watch, index=index, max_copy=max_copy, may_shorten=may_shorten, on_action=on_action
    )


def _played(rows: Iterable[tuple[int, int, int, int, int]], vocabulary: Vocabulary) -> list[tuple[int, int, int, int]]:
    """Onset, duration, program and pitch of events."""
    onset, played = 0, []
    for row in rows:
        onset += row[SHIFT]
        played.append((onset, row[DURATION], vocabulary.program_of_class(row[PROGRAM]), row[PITCH]))
    return played
