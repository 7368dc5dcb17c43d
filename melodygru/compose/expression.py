"""How a model plays a score: its notes in their order, with times and velocities of the model's own.

A **slot** is a note of the score as the model is given it, in canonical order; a **chord** is the slots that begin
together in the score. What the model plays keeps to windows around the score: see `Onsets` and `Lengths`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from melodygru.compose.controls import Controls
from melodygru.compose.original import Original
from melodygru.compose.particles import Particles
from melodygru.compose.places import Spans
from melodygru.compose.rules import Event, Rule
from melodygru.errors import SettingError
from melodygru.events import DURATION, SHIFT, TIMES, VELOCITY, Context, Vocabulary, encode_parts
from melodygru.model.numpy_model import NumpyModel
from melodygru.model.trace import Tracer
from melodygru.music.notes import ONSET_KEYS, NoteSequence, note_keys

FREE_S = 0.03  # that an onset may be off where the tempo stays, and beside the tempo curve where it doesn't
SPREAD_S = 0.04  # from the first note of a chord to its last, at most
RUBATO = 0.2  # share by which a wait from chord to chord may be shorter or longer
LAG_S = 0.5  # that the tempo curve may be ahead of the score or behind it
# Standard deviations of what is expected of an onset: a share of FREE_S, and of the wait; in a chord, of SPREAD_S.
FREE_DEVIATION, TEMPO_DEVIATION, SPREAD_DEVIATION = 0.5, 0.08, 0.2
RETURN = 0.15  # share of the lag that is made up for from chord to chord
SHORTEST = 0.3  # share of its length that a note sounds at least
LONGEST, HELD_S = 1.5, 2.0  # times its length that a note sounds at most, and how long a pedal may hold it beyond that
LEVELS = (48, 64, 80)  # velocities

_MIDDLE = TIMES.low + (TIMES.width.astype(np.float64) - 1) / 2  # of each class of time


@dataclass(frozen=True)
class Score:
    """The slots of a piece; m is their number, n that of the piece's notes.

    Attributes
    ----------
    notes : array, shape (m,), dtype NOTE: the slots as the model is given them, in order
    onset, duration, pitch : arrays, shape (m,), of these, in steps of the model's grid
    part_class : array, shape (m,): the class of each slot's part as it comes in order
    first : array, shape (m,): the first slot of each slot's chord
    again : array, shape (m,): the slot at which the part strikes the pitch again; -1 is none
    of_note : array, shape (n,): the slot of each note of the piece
    """

    notes: np.ndarray
    onset: np.ndarray
    duration: np.ndarray
    pitch: np.ndarray
    part_class: np.ndarray
    first: np.ndarray
    again: np.ndarray
    of_note: np.ndarray

    @classmethod
    def of(cls, original: Original, vocabulary: Vocabulary) -> Score:
        """The score that a piece is."""
        notes, of_note = original.as_given()
        onset, part, pitch = notes["onset"], notes["part"], notes["pitch"].astype(np.int64)
        by_key = np.lexsort((onset, pitch, part))
        same = (part[by_key][1:] == part[by_key][:-1]) & (pitch[by_key][1:] == pitch[by_key][:-1])
        again = np.full(len(onset), -1)
        again[by_key[:-1][same]] = by_key[1:][same]
        begins = np.append(True, onset[1:] != onset[:-1])
        first = np.maximum.accumulate(np.where(begins, np.arange(len(onset)), 0))
        return cls(notes, onset, notes["duration"], pitch, encode_parts(notes, vocabulary), first, again, of_note)

    def __len__(self) -> int:
        return len(self.onset)

    def waits(self, onset: np.ndarray) -> np.ndarray:
        """For each slot the steps until its part strikes the pitch again, played at `onset`; much where it doesn't."""
        return np.where(self.again >= 0, onset[self.again] - onset, TIMES.maximum)


class _Guide(Rule):
    """A score's pitches and parts, in order; a subclass says when they are played."""

    def __init__(self, vocabulary: Vocabulary, score: Score) -> None:
        self._score, self._rate = score, vocabulary.grid.rate
        self._sizes = {field: vocabulary.size(field) for field in ("part", "pitch")}

    def weigh(self, field: str, event: Event) -> np.ndarray | None:
        if field not in self._sizes:
            return None
        wanted = self._score.part_class if field == "part" else self._score.pitch
        at = [len(context.past.notes) for context in event.contexts]
        return np.arange(self._sizes[field]) == wanted[at][:, None]

    def _steps(self, seconds: float) -> int:
        return max(1, round(seconds * self._rate))

    def _sounds(self, length: int, most: int) -> tuple[int, int]:
        """The steps that a note of a length may sound, at most until its pitch is struck again."""
        high = max(1, min(max(math.ceil(length * LONGEST), length + self._steps(HELD_S)), most))
        return min(max(1, math.floor(length * SHORTEST)), high), high + 1


class Onsets(_Guide):
    """When the notes are played: what a performance of a score may be, as long as nothing of it is known.

    A chord begins later than the one before, and its notes come within SPREAD_S. Its first note comes within FREE_S of
    its place, or, where the tempo may change, of a wait that is up to RUBATO shorter or longer than in the score, while
    the curve as a whole stays within LAG_S of the score. What is nearer to the score and the tempo so far is likelier.
    """

    def __init__(self, vocabulary: Vocabulary, score: Score, keep_tempo: bool) -> None:
        super().__init__(vocabulary, score)
        self._keep_tempo, self._due = keep_tempo, score.onset.tolist()
        self._first, self._lengths = score.first.tolist(), score.duration.tolist()
        self._waits = score.waits(score.onset).tolist()
        self._free, self._spread, self._lag = (self._steps(seconds) for seconds in (FREE_S, SPREAD_S, LAG_S))

    def weigh(self, field: str, event: Event) -> np.ndarray | None:
        if field != "shift":
            return super().weigh(field, event)
        expected = np.array([self._expected(context) for context in event.contexts])
        return -(((_MIDDLE - expected[:, :1]) / expected[:, 1:]) ** 2) / 2

    def spans(self, field: str, event: Event) -> Sequence[Spans] | None:
        of_field = self._shift if field == "shift" else self._duration
        return [[of_field(context)] for context in event.contexts]

    def _before(self, context: Context, at: int) -> tuple[int, int]:
        """When the chord before a slot was begun, and the score's steps from there to the slot."""
        before = self._first[at - 1]
        return context.past.note_keys[before] // ONSET_KEYS, self._due[at] - self._due[before]

    def _expected(self, context: Context) -> tuple[float, float]:
        """The steps to the next slot that are expected, and their standard deviation."""
        at, now = len(context.past.notes), context.onset
        if at != self._first[at]:
            return context.past.note_keys[self._first[at]] // ONSET_KEYS - now, SPREAD_DEVIATION * self._spread
        if self._keep_tempo or not at:
            return self._due[at] - now, FREE_DEVIATION * self._free
        begun, wait = self._before(context, at)
        lag = begun + wait - self._due[at]
        return begun + wait - RETURN * lag - now, FREE_DEVIATION * self._free + TEMPO_DEVIATION * wait

    def _shift(self, context: Context) -> tuple[int, int]:
        at, now = len(context.past.notes), context.onset
        due, begins = self._due[at], at == self._first[at]
        if not begins:
            low, high = now, context.past.note_keys[self._first[at]] // ONSET_KEYS + self._spread
        elif self._keep_tempo or not at:
            low, high = due - self._free, due + self._free
        else:
            begun, wait = self._before(context, at)
            low = max(begun + math.floor(wait * (1 - RUBATO)) - self._free, due - self._lag)
            high = min(begun + math.ceil(wait * (1 + RUBATO)) + self._free, due + self._lag)
        later = bool(at) and (begins or not context.may_join_chord())
        part, pitch = context.part_of(int(self._score.part_class[at])), int(self._score.pitch[at])
        ends = [end for of, other, end in context.sounding(now) if of == part and other == pitch]
        low = max(low, now + later, *ends)
        return low - now, max(high, low) - now + 1

    def _duration(self, context: Context) -> tuple[int, int]:
        at = len(context.past.notes)
        wait = self._waits[at]  # the next one may come early
        return self._sounds(self._lengths[at], math.floor(wait * (1 - RUBATO)) - self._free)


class Lengths(_Guide):
    """How long and how loud the notes are, once it is known when they are played.

    A note that sounds, in the score, until its pitch is struck again does so here.

    Parameters
    ----------
    onsets : for each performance the onset of each slot, in steps
    fixed : whether durations stay those of the score
    """

    def __init__(self, vocabulary: Vocabulary, score: Score, onsets: Sequence[np.ndarray], fixed: bool = False) -> None:
        super().__init__(vocabulary, score)
        self._onsets = [onset.tolist() for onset in onsets]
        tied, lengths = score.duration == score.waits(score.onset), score.duration.tolist()
        self._lengths: list[list[tuple[int, int]]] = []
        for onset in onsets:
            of_slots = zip(lengths, score.waits(onset).tolist(), tied.tolist(), strict=True)
            self._lengths.append(
                [
                    (length, length + 1) if fixed else (wait, wait + 1) if is_tied else self._sounds(length, wait)
                    for length, wait, is_tied in of_slots
                ]
            )

    def spans(self, field: str, event: Event) -> Sequence[Spans] | None:
        assert event.at is not None
        each = len(event.at) // len(self._onsets)
        found: list[Spans] = []
        for context, stream in zip(event.contexts, event.at.tolist(), strict=True):
            at, piece = len(context.past.notes), stream // each
            shift = self._onsets[piece][at] - context.onset
            found.append([(shift, shift + 1) if field == "shift" else self._lengths[piece][at]])
        return found


@dataclass(frozen=True)
class Played:
    """A performance of a score; m is the number of slots.

    Attributes
    ----------
    onset, duration : arrays, shape (m,), steps
    velocity : array, shape (m,): 1..127; 0 where the model knows none
    nats : -ln p of the performance under the model, its end included
    """

    onset: np.ndarray
    duration: np.ndarray
    velocity: np.ndarray
    nats: float = math.nan


class Player:
    """A model that plays a piece.

    Parameters
    ----------
    network : NumpyModel
    original : the piece

    Raises
    ------
    SettingError
        The model knows no expression.
    """

    def __init__(self, network: NumpyModel, original: Original) -> None:
        v = network.vocabulary
        if v.grid.is_metrical and not v.models_velocity:
            raise SettingError(
                "this model knows no expression, its times are steps of a beat and its velocities all one; expected "
                "a model of performances, trained on files that people played"
            )
        self._network, self._original, self.vocabulary = network, original, v
        self._tracer, self.score = Tracer(network), Score.of(original, v)

    def play(
        self,
        rngs: Sequence[np.random.Generator],
        *,
        keep_tempo: bool,
        temperature: float,
        particles: int,
        style: str | None = None,
        on_progress: Callable[[float], None] | None = None,
    ) -> list[Played]:
        """Performances of the piece, one for each generator.

        At first onsets are drawn, with lengths and velocities that go with them; then, the onsets given, lengths anew,
        for a pedal may hold a note just until its pitch is struck again. Velocities are at last a mean of what the
        model expects, which is nearer to what players do than any that it draws.
        """
        v, score, original = self.vocabulary, self.score, self._original
        metre = int(original.metres["numerator"][0]), int(original.metres["denominator"][0])
        line_up = tuple(sorted(original.programs)) if v.models_part else None
        context = Context(v, style, metre, original.metres, line_up)
        timed = not v.grid.is_metrical

        def drawn(guide: Rule, done: float, share: float) -> list[Played]:
            controls = Controls(temperature=temperature, rhythm_temperature=temperature)
            cloud = Particles(self._network, context.copy(), rngs, controls, particles)
            for at in range(len(score)):
                cloud.extend(guide)
                cloud.resample(below=particles / 2)
                if on_progress is not None and at % 16 == 0:
                    on_progress(done + share * at / len(score))
            return [_drawn(cloud, piece, v) for piece in range(len(rngs))]

        onsets = [score.onset] * len(rngs)
        if timed:
            onsets = [one.onset for one in drawn(Onsets(v, score, keep_tempo), 0.0, 0.5)]
        share = 0.5 if timed else 1.0
        found = drawn(Lengths(v, score, onsets, fixed=not timed), 1 - share, share)
        return [self._expected(one) for one in found]

    def _expected(self, played: Played) -> Played:
        """A performance with the velocities that are expected, and its nats.

        They are the mean of what is expected after what was drawn, and after every note being as loud, at several
        levels; and as uneven as what was drawn, for a mean is too even.
        """
        v = self.vocabulary
        if v.models_velocity:
            drawn = played.velocity
            starts = [drawn, *(np.full(len(drawn), level) for level in LEVELS)]
            mean = np.mean([self._mean_velocity(replace(played, velocity=one)) for one in starts], 0)
            wider = drawn.std() / max(mean.std(), 1.0)
            stretched = mean.mean() + (mean - mean.mean()) * max(1.0, wider)
            played = replace(played, velocity=np.clip(np.rint(stretched), 1, 127).astype(np.int64))
        return replace(played, nats=float(self._tracer.trace(self._notes(played)[0]).nats.sum()))

    def _mean_velocity(self, played: Played) -> np.ndarray:
        """The velocity that is expected of each slot after those before it, shape (m,)."""
        notes, at = self._notes(played)
        log_p = self._tracer.trace(notes).log_p["velocity"][:-1]
        mean: np.ndarray = np.exp(log_p) @ np.array(self.vocabulary.velocities)
        return mean[at]

    def nats_as_it_was(self) -> float:
        """-ln p of the piece as it was, its end included."""
        score, old = self.score, self._original.editor.reading.sequence.notes["velocity"]
        velocity = np.zeros(len(score), np.int64)
        velocity[score.of_note[::-1]] = old[::-1]
        return float(self._tracer.trace(self._notes(Played(score.onset, score.duration, velocity))[0]).nats.sum())

    def _notes(self, played: Played) -> tuple[NoteSequence, np.ndarray]:
        """A performance as the model is given it, and the place of each slot's note there."""
        v, original, rows = self.vocabulary, self._original, self.score.notes.copy()
        rows["onset"], rows["duration"] = played.onset, played.duration
        rows["velocity"] = np.maximum(1, played.velocity)
        order = np.argsort(note_keys(rows), kind="stable")
        end = max(int((rows["onset"] + rows["duration"]).max()), original.length if v.grid.is_metrical else 0)
        place = np.argsort(order)
        return NoteSequence(rows[order], v.grid, end, metres=original.metres), place


def _drawn(cloud: Particles, piece: int, vocabulary: Vocabulary) -> Played:
    """A particle of a piece, drawn by its weight."""
    rows = np.array(cloud.rows[cloud.drawn(piece)[0]], np.int64).reshape(-1, 5)
    velocity = np.zeros(len(rows), np.int64)
    if vocabulary.models_velocity:
        velocity = np.array(vocabulary.velocities)[rows[:, VELOCITY]]
    return Played(np.cumsum(rows[:, SHIFT]), rows[:, DURATION], velocity)


__all__ = ["Played", "Player", "Score"]
