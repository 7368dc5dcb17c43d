"""A batch of pieces, sampled an event at a time.

Randomness of each stream comes from its own generator, seven numbers an event whatever the event is, so that a
stream's draws do not depend on the others'.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from melodygru.compose.constraints import Steering
from melodygru.compose.controls import Controls, below_best, to_weights
from melodygru.errors import SettingError
from melodygru.events import (
    DURATION,
    END,
    PITCH,
    PROGRAM,
    PROGRAM_HISTORY,
    SHIFT,
    TIMES,
    VELOCITY,
    VELOCITY_WIDTH,
    Context,
    representable,
)
from melodygru.model.numpy_model import NumpyModel, Step
from melodygru.music.keys import DIATONIC
from melodygru.music.notes import DRUMS, N_PITCHES, NoteSequence

NEVER = 1 << 62  # steps
OPENING = 16  # notes of a piece that keep to its key signature: then the model goes on in it by itself
PLAUSIBLE = 0.1  # probability at which an end that is due is taken
END_DECAY = 20  # times that this halves until a piece is twice as long as it was due
PAST_BYTES = 1 << 26  # of states that `Sampler.rewind` finds at hand
PAST_LEAST, PAST_MOST = 16, 1024  # events of them, whatever their size
LANDMARK = 256  # one state of so many is kept for the whole piece


@dataclass(frozen=True)
class Note:
    """A sampled note of a stream."""

    stream: int
    onset: int  # steps
    duration: int  # steps
    program: int
    pitch: int
    velocity: int


class Sampler:
    """Pieces being composed, all streams one batch.

    Parameters
    ----------
    network : Network
    rngs : one generator for each stream
    controls : Controls
    style : piece condition; None is unknown
    metres : for each stream its time signature; default: unknown
    signatures : for each stream the key signature that its first OPENING notes keep to, or None
    primer : NoteSequence on the vocabulary's grid, optional; heard before anything is composed
    seam : step from which on is composed; default: the primer's end
    steering : constraints on what is chosen, put together for these streams
    due : for each stream the step from which on it ends as soon as the model gives an end PLAUSIBLE probability, or
        None for the model's choice alone, the default

    Attributes
    ----------
    rows : for each stream its events so far, the primer's included: (shift steps, program class, pitch, duration
        steps, velocity class)
    log_p : array, shape (streams,): log-probability, in nats, of what was sampled, under the model itself
        (temperature 1, nothing filtered)
    n_heard : notes of the primer, the first of each stream's rows
    done : list of bool: whether a stream is over
    ends : list: the step at which a stream was ended, by the model or by `end`, or None
    """

    def __init__(
        self,
        network: NumpyModel,
        rngs: Sequence[np.random.Generator],
        controls: Controls | None = None,
        *,
        style: str | None = None,
        metres: Sequence[tuple[int, int]] | None = None,
        signatures: Sequence[int | None] | None = None,
        primer: NoteSequence | None = None,
        splice: int | None = None,
        steering: Steering | None = None,
        due: Sequence[int | None] | None = None,
    ) -> None:
        self.network, self.vocabulary, self.steering = network, network.vocabulary, steering
        n = len(rngs)
        self.set_controls(controls or Controls())
        self.rngs = rngs
        self.log_p = np.zeros(n)
        self._due = np.array([NEVER if step is None else step for step in due or [None] * n])
        self._temperature_boost = np.zeros(n)
        self.done = [False] * n
        self.ends: list[int | None] = [None] * n
        self.rows: list[list[tuple[int, int, int, int, int]]] = [[] for _ in range(n)]
        given = primer.metres if primer is not None else None
        of_streams: Sequence[tuple[int, int] | None] = metres or [None] * n
        self._conditions = [(style, metre, given) for metre in of_streams]
        self.contexts = [Context(self.vocabulary, *conditions) for conditions in self._conditions]
        # Only programs that the model has heard, in pieces of the style or in the primer, are chosen.
        self._programs = self.vocabulary.program_mask(self.vocabulary.statistics.programs_of(style))
        self._openings = {
            stream: np.isin(np.arange(N_PITCHES) % 12, (DIATONIC + signature) % 12)
            for stream, signature in enumerate(signatures or [])
            if signature is not None
        }
        if primer is not None:
            self._programs[self.vocabulary.program_class(primer.notes["program"])] = True
        self._top = int(np.flatnonzero(self._programs)[-1])
        self.n_heard = 0
        self._earliest = 0  # step at which the composed part may begin
        self._draws: Iterator[np.ndarray] = iter(())  # the numbers of each event to come, (streams, 7)
        self._previous = [context.previous() for context in self.contexts]
        self._context = np.array([context.start() for context in self.contexts], np.int32)
        self._last: Step | None = None  # that of the last event, if it was told `_context`
        self._streams = np.arange(n)
        self._choices: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []  # of an event, see `_choose`
        self._classes = np.arange(self.vocabulary.size("program"))
        self._state = network.initial_state(n)
        self._avoided: dict[int, Sequence[int]] = {}  # pitches that a stream's next note isn't, see `rewind`
        self._now = 0  # calls of `step` so far
        self._begun: list[list[int]] = [[] for _ in range(n)]  # the call in which each stream sampled each event
        # The state and `log_p` at the beginning of calls: references, for `rewind`.
        self._past_state: dict[int, list[np.ndarray]] = {}
        self._past_log_p: list[np.ndarray] = []
        size = max(1, sum(array.nbytes for array in self._state))
        self._n_past = min(max(PAST_BYTES // size, PAST_LEAST), PAST_MOST)
        if primer is not None:
            self._hear(primer)
        if splice is not None:
            self._earliest = splice

    def set_controls(self, controls: Controls) -> None:
        """Choose by other temperatures and filters from the next event on."""
        self._temperatures = {field: controls.temperature_of(field) for field in self.vocabulary.fields}
        self._filters = {field: controls.filters(field) for field in self.vocabulary.fields}

    def raise_temperature(self, stream: int, share: float) -> None:
        """Raise a stream's temperatures below 1 towards 1, from the next event on until it is said otherwise.

        Parameters
        ----------
        share : of the way to 1, in 0..1; 0 is none
        """
        self._temperature_boost[stream] = share

    def end(self, stream: int, step: int | None = None) -> None:
        """End a stream, at a step if that is the piece's end; `rewind` takes it up again."""
        self.done[stream] = True
        if step is not None:
            self.ends[stream] = step

    def _hear(self, primer: NoteSequence) -> None:
        """Let every stream hear the primer."""
        piece, _ = representable(primer, self.vocabulary)
        self.n_heard, self._earliest = len(piece), piece.length
        shifts = np.diff(piece.notes["onset"], prepend=0).tolist()
        bins = piece.notes["velocity"] // VELOCITY_WIDTH if self.vocabulary.models_velocity else None
        programs = self.vocabulary.program_class(piece.notes["program"]).tolist()
        for t, note in enumerate(piece.notes.tolist()):
            _, duration, _, pitch, _ = note
            self._state = self._step().state
            row = (shifts[t], programs[t], pitch, duration, -1 if bins is None else int(bins[t]))
            for context in self.contexts:
                context.move(shifts[t])
            self._context = np.array([context.row() for context in self.contexts], np.int32)
            for stream in range(len(self.rngs)):
                self._keep(stream, row)

    def _step(self) -> Step:
        """What the model expects next."""
        before = np.array([context.before() for context in self.contexts], np.int32).reshape(len(self.rngs), -1)
        return self.network.step(np.array(self._previous, np.int32), before, self._context, self._state, self._last)

    def _keep(self, stream: int, row: tuple[int, int, int, int, int]) -> None:
        """Add an event to a stream."""
        self.contexts[stream].add(row[PROGRAM], row[PITCH], row[DURATION])
        self.rows[stream].append(row)
        self._previous[stream] = self.contexts[stream].previous(row[VELOCITY])

    def _uniform(self) -> np.ndarray:
        """The seven numbers of each stream's next event, shape (streams, 7)."""
        numbers = next(self._draws, None)
        if numbers is None:
            self._draws = iter(np.stack([rng.random((64, 7)) for rng in self.rngs], 1))
            numbers = next(self._draws)
        return numbers

    def _choose(
        self,
        field: str,
        logits: np.ndarray,
        u: np.ndarray,
        live: np.ndarray,
        wanted: np.ndarray | None = None,
        added: np.ndarray | None = None,
    ) -> np.ndarray:
        """Choose a class for each stream and count its log-probability where `live`.

        `logits` are -inf where a class cannot follow; `wanted` (streams, classes) narrows the choice further, like the
        filters, without changing the log-probability that is counted; `added` are log-weights of the constraints, which
        don't either.
        """
        temperature = self._temperature(field)
        below = below_best(logits)
        weights = np.exp(below)
        total = np.add.reduce(weights, 1)
        if added is not None:
            wished = logits + added if wanted is None else np.where(wanted, logits + added, -np.inf)
            nothing = np.maximum.reduce(wished, 1) == -np.inf
            if np.any(nothing & live):
                raise SettingError(
                    f"{self.steering}: no {field} is left; a constraint must leave one where nothing sounds"
                )
            wished[nothing] = 0.0  # of streams that are over
            weights = to_weights(wished, temperature)
        elif wanted is not None:
            weights = to_weights(np.where(wanted, logits, -np.inf), temperature)
        elif temperature is not None:
            weights = to_weights(logits, temperature)
        unfiltered = weights
        for change in self._filters[field]:
            weights = change(weights)
        if self._temperatures[field] == 0 and self._temperature_boost.any():
            weights = np.where(self._temperature_boost[:, None] > 0, unfiltered, weights)
        cumulative = np.add.accumulate(weights, 1)
        chosen = (cumulative > (u * cumulative[:, -1])[:, None]).argmax(1)
        self._choices.append((below[self._streams, chosen], total, live))
        return chosen

    def _temperature(self, field: str) -> float | np.ndarray | None:
        """That of a field, for all streams or, shape (streams, 1), for each; None: the model's own distribution."""
        temperature = self._temperatures[field]
        if temperature >= 1 or not self._temperature_boost.any():
            return None if temperature in (0, 1) else temperature
        raised = temperature + (1 - temperature) * self._temperature_boost
        return np.where(raised > 0, raised, 1.0)[:, None]

    def _count(self, *log_widths: np.ndarray) -> None:
        """Count the log-probability of an event's choices, less `log_widths` of the first and the fourth."""
        log_p, totals, live = (np.array(values) for values in zip(*self._choices, strict=True))
        self._choices.clear()
        log_p -= np.log(totals)
        for field, log_width in zip((SHIFT, DURATION), log_widths, strict=True):
            log_p[field] -= log_width
        self.log_p = self.log_p + np.add.reduce(np.where(live, log_p, 0.0), 0)  # the old one may be gone back to

    def _remember(self) -> None:
        """Keep what `rewind` needs of this moment, and let go of what lies too far back."""
        now = self._now
        self._past_state[now] = self._state
        self._past_log_p.append(self.log_p)
        if (now - self._n_past) % LANDMARK:
            self._past_state.pop(now - self._n_past, None)
        for begun, done in zip(self._begun, self.done, strict=True):
            if not done:
                begun.append(now)
        self._now = now + 1

    def _wanted(self, logits: np.ndarray, programs: Sequence[int]) -> np.ndarray | None:
        """Pitches that are not avoided and, in an opening, in its key, (streams, 128); None for all.

        All of a stream's, where no other is possible.
        """
        openings = [
            stream
            for stream in self._openings
            if len(self.rows[stream]) - self.n_heard < OPENING
            and self.vocabulary.program_of_class(programs[stream]) != DRUMS
        ]
        if not self._avoided and not openings:
            return None
        wanted = np.ones(logits.shape, bool)
        for stream in openings:
            wanted[stream] = self._openings[stream]
        for stream, pitches in self._avoided.items():
            wanted[stream, list(pitches)] = False
        wanted[~np.any(wanted & (logits > -np.inf), 1)] = True
        self._avoided.clear()
        return wanted

    def rewind(self, stream: int, n: int, avoid: Sequence[int] = ()) -> None:
        """Take a stream back to its first `n` notes; it goes on from there with fresh numbers of its own generator.

        It is as if the notes after them had never been: the network's state, the context, `log_p`, `done` and `ends`.
        No other stream is touched.

        Parameters
        ----------
        stream : its place in the batch
        n : at least the primer's notes, at most those of the stream
        avoid : pitches that the next note must not have, unless it can have no other

        Raises
        ------
        SettingError
            `n` is out of range.
        """
        rows, begun = self.rows[stream], self._begun[stream]
        if not self.n_heard <= n <= len(rows):
            raise SettingError(f"rewind to {n} notes: expected {self.n_heard}..{len(rows)}, those of stream {stream}")
        known = n  # the last moment whose state is kept: from there on it is heard again
        while (step := self._step_of(stream, known)) != self._now and step not in self._past_state:
            if known == self.n_heard:
                step = 0
                break
            known -= 1
        states = self._state if step == self._now else self._past_state[step]
        state = [array[stream : stream + 1] for array in states]
        step = self._step_of(stream, n)
        log_p = self.log_p if step == self._now else self._past_log_p[step]

        context = Context(self.vocabulary, *self._conditions[stream])
        previous, ids = context.previous(), context.start()
        for t, row in enumerate(rows[:n]):
            if t >= known:
                known_before = np.array([context.before()], np.int32)
                pitch_class_levels, at_onset = np.array([previous], np.int32), np.array([ids], np.int32)
                state = self.network.step(pitch_class_levels, known_before, at_onset, state).state
            if t >= known - 1:
                context.before()  # finds where the echoes of the row are
            context.move(row[SHIFT])
            if t >= known - 1:
                ids = context.row()
            context.add(row[PROGRAM], row[PITCH], row[DURATION])
            previous = context.previous(row[VELOCITY])

        self.contexts[stream], self._previous[stream] = context, previous
        del rows[n:], begun[n - self.n_heard :]
        self._context = _with_row(self._context, stream, np.array(ids, np.int32))
        if self._last is not None and self._last.context is not None:
            self._last.context = _with_row(
                self._last.context, stream, self.network.bag(self._context[stream : stream + 1])[0]
            )
        self._state = [_with_row(array, stream, row[0]) for array, row in zip(self._state, state, strict=True)]
        self.log_p = _with_row(self.log_p, stream, log_p[stream])
        self.done[stream], self.ends[stream] = False, None
        self._avoided.pop(stream, None)
        if avoid:
            self._avoided[stream] = avoid

    def _step_of(self, stream: int, n: int) -> int:
        """The call of `step` at whose beginning a stream had `n` notes."""
        begun, at = self._begun[stream], n - self.n_heard
        if at < len(begun):
            return begun[at]
        return begun[-1] + 1 if begun else self._now

    def step(self, may_end: bool = True) -> list[Note | None]:
        """Sample one event of every stream that goes on.

        Parameters
        ----------
        may_end : whether the model may end a piece

        Returns
        -------
        notes : for each stream its new note, or None where it is over
        """
        v, n = self.vocabulary, len(self.rngs)
        live = ~np.array(self.done)
        self._remember()
        u = self._uniform()
        step = self._step()
        self._state, self._last = step.state, step

        contexts = self.contexts
        logits, wanted = step.logits("shift"), None
        least = [max(0, self._earliest - context.onset) for context in contexts]
        may_join_chord = [context.may_join_chord(self._top) for context in contexts]
        if not all(may_join_chord):
            for stream, context in enumerate(contexts):
                if not context.may_join_chord():
                    logits[stream, 0] = -np.inf
        if any(least) or not all(may_join_chord):
            wanted = TIMES.low + TIMES.width > np.array(least)[:, None]
            wanted[:, 0] &= may_join_chord
        steering, added = self.steering, None
        if steering is not None:
            counts = [len(rows) - self.n_heard for rows in self.rows]
            added = steering.shift(contexts, counts, live, least)
        shift = self._choose("shift", logits, u[:, 0], live, wanted, added)
        shift_steps = [max(steps, low) for steps, low in zip(_steps(shift, u[:, 1]), least, strict=True)]
        if steering is not None:
            shift_steps = [steering.steps(i, *at) for i, at in enumerate(zip(shift.tolist(), u[:, 1], strict=True))]
        for stream, context in enumerate(contexts):
            if not self.done[stream]:
                context.move(shift_steps[stream])
        self._context = np.array([context.row() for context in contexts], np.int32)
        step.arrive(self._context, np.array([context.pitch_class_levels() for context in contexts]))
        chosen = {"shift": shift}

        possible = self._classes >= np.array([[context.program_floor()] for context in contexts])
        possible[:, END] = [context.may_end() for context in contexts]
        logits = step.logits("program", chosen)
        np.copyto(logits, -np.inf, where=~possible)
        wanted = possible & self._programs
        if may_end:
            wanted[:, END] = possible[:, END]
        added = None if steering is None else steering.program(contexts, counts, live)
        nothing = ~wanted.any(1)
        if nothing.any():
            wanted[nothing] = possible[nothing]
        at = np.array([context.onset for context in contexts])
        if may_end and (at >= self._due).any():
            weights = to_weights(logits)
            p_end = weights[:, END] / weights.sum(1)
            ends = (at >= self._due) & (p_end >= PLAUSIBLE * 0.5 ** (END_DECAY * (at / np.maximum(1, self._due) - 1)))
            if added is not None:
                ends &= added[:, END] > -np.inf
            wanted[ends] = self._classes == END
        program = self._choose("program", logits, u[:, 2], live, wanted, added)
        chosen["program"] = program
        goes_on = live & (program != END)

        of_program = list(zip(contexts, program.tolist(), strict=True))
        chosen |= dict(zip(PROGRAM_HISTORY, np.array([c.program_history(p) for c, p in of_program]).T, strict=True))
        logits = step.logits("pitch", chosen)
        np.copyto(logits, -np.inf, where=np.array([c.pitch_mask(p) for c, p in of_program]))
        added = None
        if steering is not None:
            of = (contexts, counts, program.tolist())
            added = steering.field("pitch", *of)
        wanted = self._wanted(logits if added is None else logits + added, program.tolist())
        pitch = chosen["pitch"] = self._choose("pitch", logits, u[:, 3], goes_on, wanted, added)
        logits = step.logits("duration", chosen)
        logits[:, 0] = -np.inf  # a step or more
        added = None if steering is None else steering.field("duration", *of, pitch.tolist())
        duration = chosen["duration"] = self._choose("duration", logits, u[:, 4], goes_on, None, added)
        duration_steps = _steps(duration, u[:, 5])
        velocity = np.full(n, -1)
        if v.models_velocity:
            added = None if steering is None else steering.field("velocity", *of, pitch.tolist())
            logits = step.logits("velocity", chosen)
            velocity = self._choose("velocity", logits, u[:, 6], goes_on, None, added)
        self._count(TIMES.log_width[shift], TIMES.log_width[duration])

        notes: list[Note | None] = [None] * n
        choices = zip(shift_steps, program.tolist(), pitch.tolist(), duration_steps, velocity.tolist(), strict=True)
        for stream, row in enumerate(choices):
            if self.done[stream]:
                continue
            onset = contexts[stream].onset
            if row[PROGRAM] == END:
                self.end(stream, onset)
                continue
            self._keep(stream, row)
            played = v.velocities[row[VELOCITY]] if v.models_velocity else v.velocities[0]
            notes[stream] = Note(stream, onset, row[DURATION], v.program_of_class(row[PROGRAM]), row[PITCH], played)
        return notes


def _with_row(array: np.ndarray, at: int, row: np.ndarray) -> np.ndarray:
    """A copy of an array with another row."""
    changed = array.copy()
    changed[at] = row
    return changed


_LOW, _WIDTH = TIMES.low.tolist(), TIMES.width.tolist()


def _steps(classes: np.ndarray, places: np.ndarray) -> list[int]:
    """`TimeClasses.decode` of a few."""
    return [_LOW[c] + int(place * _WIDTH[c]) for c, place in zip(classes.tolist(), places.tolist(), strict=True)]
