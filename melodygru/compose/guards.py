"""Guards over pieces while they are composed: a piece that degenerates, or copies, is taken back and goes on anew.

A `Guard` holds a `degeneration.Monitor` over every stream of a sampler. Where one finds something, the stream is taken
back to where that began and its temperature is raised, in vain at most TRIES times; where the notes match the training
corpus for too long, the next note avoids the pitches that went on. Notes are given out only when they stay:
`Guard.add` returns what is certain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from melodygru.compose.actions import Action
from melodygru.compose.degeneration import Degeneration, Monitor, Thresholds
from melodygru.compose.drawing import Note, notes_of
from melodygru.errors import SettingError
from melodygru.util.wording import clock, counted

if TYPE_CHECKING:
    from melodygru.analysis.originality import Index
    from melodygru.compose.sampler import Sampler

LOOKAHEAD = 32  # notes of a stream that are not given out yet
SHORTEST = 16  # notes of a piece that is ended
LET_BE = 64  # notes for which a degeneration that could not be helped is let be, from the last time it was found on
TRIES = 6  # how often a stream is taken back from one note
COPY_TRIES = 8  # other notes that are tried instead of one, before more than one note is taken back
COPY_TRIES_IN_ALL = 200  # instead of one
STEP_BACK = 4  # notes more, at least, that the second try takes back; the third twice as many more, and so on

Played = tuple[int, int, int, int, int]  # a note's onset, duration, program, pitch and part


class _Piece:
    """What a guard knows of one stream."""

    def __init__(self, thresholds: Thresholds, index: Index | None) -> None:
        self._thresholds, self._index = thresholds, index
        self.notes: list[Played] = []  # all that stay so far
        self.waiting: list[Note] = []  # the last of them, which nobody was given yet
        self.let_be = 0  # up to this note degeneration is let be, as it could not be helped
        self.tries, self.trouble = 0, -1  # how often in a row the stream was taken back, and the farthest note of that
        self.avoided: set[int] = set()  # pitches tried at the note `copied`
        self.copied, self.copy_tries = -1, 0
        self._restart([])

    def _restart(self, notes: list[Played]) -> None:
        """Begin a monitor anew, with these notes."""
        self.monitor = Monitor(self._thresholds)
        for note in notes:
            self.monitor.add(*note)

    def start(self, primer: Iterable[Played]) -> None:
        """Begin with the primer's notes."""
        self.copy: Any = None
        if self._index is not None:
            from melodygru.analysis.originality import Matcher

            self.copy = Matcher(self._index)
            self._states = [self.copy.state]
        for note in primer:
            self.add(note)

    def add(self, note: Played) -> tuple[Degeneration | None, int]:
        """Add a note: the degeneration that it completes, if any, and the notes of the longest match that it ends."""
        self.notes.append(note)
        matched = 0
        if self.copy is not None:
            matched = self.copy.extend(*note[:4])
            self._states.append(self.copy.state)
        return self.monitor.add(*note), matched

    def go_back(self, n: int) -> None:
        """Forget all but the first `n` notes."""
        n_forgotten = len(self.notes) - n
        if n_forgotten:
            del self.notes[n:], self.waiting[max(0, len(self.waiting) - n_forgotten) :]
            self._restart(self.notes)
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
    watch : whether degeneration is taken back
    index, max_copy : what is looked up, and the notes of the longest match that stays
    may_shorten : whether a piece that keeps degenerating is ended; else it is let be
    style : of the music, whose extremes are the limits; None: of the whole corpus
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
        style: str | None = None,
        lookahead: int = LOOKAHEAD,
        on_action: Callable[[Action], None] | None = None,
    ) -> None:
        self._sampler, self._bars, self._watches, self._max_copy = sampler, bars, watch, max_copy
        self._may_shorten, self._lookahead, self._on_action = may_shorten, lookahead, on_action
        self.actions: list[Action] = []
        thresholds = Thresholds.from_vocabulary(sampler.vocabulary, style)
        self._pieces = [_Piece(thresholds, index if max_copy is not None else None) for _ in sampler.rows]
        for piece, rows in zip(self._pieces, sampler.rows, strict=True):
            piece.start(_played(note) for note in notes_of(rows, sampler.vocabulary))

    def add(self, stream: int, note: Note | None, end: int | None = None) -> list[Note]:
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
            found, matched = piece.add(_played(note))
            piece.waiting.append(note)
        elif end is not None:
            found = piece.monitor.finish(end)
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
        # Some notes before what may turn out a loop are kept, too, so that more than the loop can be taken back.
        suspect = piece.monitor.suspect - self._lookahead // 2
        return piece.release(min(len(piece.notes) - self._lookahead, suspect))

    def _floor(self, piece: _Piece) -> int:
        """The first note that nobody was given yet."""
        return len(piece.notes) - len(piece.waiting)

    def _take_back(self, stream: int, found: Degeneration) -> bool:
        """Take a stream back to before a degeneration, or end it there; False if it is let be."""
        piece = self._pieces[stream]
        repeated = found.first <= piece.trouble
        piece.tries = piece.tries + 1 if repeated else 1
        piece.trouble = max(piece.trouble, len(piece.notes)) if repeated else len(piece.notes)
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
        # What keeps coming back at this temperature may not at a higher one.
        self._sampler.raise_temperature(stream, max(0, piece.tries - 1) / (TRIES - 1))
        if not piece.tries:
            self._sampler.end(stream, piece.monitor.end)
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
            # Notes before `copied`, composed anew after several were taken back, have no list of their own.
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

    def _say(self, stream: int, at: int, n_taken_back: int, why: str, outcome: str = "resampled") -> None:
        piece, bar = self._pieces[stream], self._bars[stream]
        onset = piece.notes[at][0] if at < len(piece.notes) else piece.monitor.end
        rate = self._sampler.vocabulary.grid.steps_per_second
        where = f"bar {onset // (bar or 1) + 1}" if rate is None else clock(onset / float(rate))
        action = Action(stream, n_taken_back, onset, where, why, outcome)
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
    style: str | None = None,
    lookahead: int = LOOKAHEAD,
    on_action: Callable[[Action], None] | None = None,
) -> Guard | None:
    """The `Guard` of these settings, or None where nothing is to be watched.

    Raises
    ------
    SettingError
        `max_copy` is out of range, or nothing is indexed.
    """
    check_copy(max_copy, index)
    if max_copy is None and not watch:
        return None
    return Guard(
        sampler,
        bars,
        watch=watch,
        index=index,
        max_copy=max_copy,
        may_shorten=may_shorten,
        style=style,
        lookahead=lookahead,
        on_action=on_action,
    )


def check_copy(max_copy: int | None, index: Index | None) -> None:
    """Raise SettingError for a `max_copy` that is out of range, or without anything to look up."""
    if max_copy is not None:
        from melodygru.analysis.originality import N_GRAM

        if max_copy < N_GRAM - 1:
            raise SettingError(f"max-copy {max_copy}: expected {N_GRAM - 1} notes or more; shorter runs are no match")
        if index is None:
            raise SettingError(
                "max-copy: this model has no index of the music that it was trained on; train it again to have one"
            )


def _played(note: Note) -> Played:
    return note.onset, note.duration, note.program, note.pitch, note.part
