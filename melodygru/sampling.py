"""Sampling: temperature, filters, lengths, and the generation loop, an iterator of notes.

Randomness of each stream comes from its own generator, seven numbers an event whatever the event is, so that a
stream's draws do not depend on the others'.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from melodygru.errors import SettingError
from melodygru.events import (
    DURATION,
    END,
    PITCH,
    PROGRAM,
    SHIFT,
    TIMES,
    VELOCITY,
    VELOCITY_WIDTH,
    VOICE,
    Context,
    Vocabulary,
    decode,
    representable,
)
from melodygru.network import Network, Step
from melodygru.notes import NoteSequence, steps_per_bar

MAX_NOTES = 20_000  # composed for a piece whose end is left to the model
NEVER = 1 << 62  # steps
PLAUSIBLE = 0.1  # probability at which an end that is due is taken
HASTE = 20  # times that this halves until a piece is twice as long as it was due
RHYTHM = ("shift", "duration")

Filter = Callable[[np.ndarray], np.ndarray]  # (streams, classes) weights, in proportion to probability -> weights


@dataclass(frozen=True)
class Controls:
    """How probabilities become choices.

    Parameters
    ----------
    temperature : divides the logits; 0 takes the most probable class
    rhythm_temperature, pitch_temperature : the same for shift and duration, and for pitch; default: `temperature`
    top_k : only the k most probable classes; 0 is all
    top_p : only the most probable classes that together reach p, in (0, 1]
    min_p : only classes at least min_p times as probable as the most probable one, in [0, 1)
    """

    temperature: float = 1.0
    rhythm_temperature: float | None = None
    pitch_temperature: float | None = None
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0

    def __post_init__(self) -> None:
        for name in ("temperature", "rhythm_temperature", "pitch_temperature"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 10:
                raise SettingError(f"{name.replace('_', '-')} {value}: expected 0..10")
        if self.top_k < 0:
            raise SettingError(f"top-k {self.top_k}: expected 0 (all classes) or more")
        if not 0 < self.top_p <= 1:
            raise SettingError(f"top-p {self.top_p}: expected more than 0, at most 1")
        if not 0 <= self.min_p < 1:
            raise SettingError(f"min-p {self.min_p}: expected at least 0, less than 1")

    def temperature_of(self, field: str) -> float:
        """The temperature of a field."""
        temperature = None
        if field in RHYTHM:
            temperature = self.rhythm_temperature
        elif field == "pitch":
            temperature = self.pitch_temperature
        return self.temperature if temperature is None else temperature

    def filters(self, field: str) -> list[Filter]:
        """What is done to the weights of a field after the temperature, in order."""
        if self.temperature_of(field) == 0:
            return [lambda weights: keep_top_k(weights, 1)]
        chain: list[Filter] = []
        if self.top_k:
            chain.append(lambda weights: keep_top_k(weights, self.top_k))
        if self.top_p < 1:
            chain.append(lambda weights: keep_top_p(weights, self.top_p))
        if self.min_p > 0:
            chain.append(lambda weights: keep_min_p(weights, self.min_p))
        return chain


def weigh(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Weights, float64, in proportion to probability: 1 for the most probable class of each row; 0 acts like 1."""
    below = below_best(logits)
    if temperature not in (0, 1):
        with np.errstate(over="ignore"):  # to -inf: no probability
            below /= temperature
    return np.exp(below, below)


def below_best(logits: np.ndarray) -> np.ndarray:
    """Logits minus the greatest of each row, float64."""
    return np.subtract(logits, np.maximum.reduce(logits, 1, keepdims=True), dtype=np.float64)


def keep_top_k(weights: np.ndarray, k: int) -> np.ndarray:
    """Weights with all but the k greatest of each row at 0; the lower class wins a tie."""
    if k >= weights.shape[1]:
        return weights
    best = np.argsort(-weights, axis=1, kind="stable")[:, :k]
    kept = np.zeros_like(weights)
    np.put_along_axis(kept, best, np.take_along_axis(weights, best, 1), 1)
    return kept


def keep_top_p(weights: np.ndarray, p: float) -> np.ndarray:
    """Weights with all but the most probable classes that together reach `p` at 0; at least one is kept.

    The lower class wins a tie.
    """
    ranked = np.sort(weights, 1)  # many times faster than to sort the classes themselves
    up_to = np.cumsum(ranked, 1)
    beyond = (1 - p) * up_to[:, -1:]
    up_to[:, -1] = np.inf  # the most probable one is kept, however small `p`
    first = (up_to > beyond).argmax(1)  # kept from here on
    kept = weights >= ranked[np.arange(len(first)), first][:, None]
    if np.count_nonzero(kept) == weights.size - first.sum():
        return weights * kept
    order = np.argsort(-weights, axis=1, kind="stable")
    places = np.argsort(order, axis=1)
    return np.where(places < weights.shape[1] - first[:, None], weights, 0.0)


def keep_min_p(weights: np.ndarray, p: float) -> np.ndarray:
    """Weights of classes less probable than `p` times the most probable one at 0."""
    return weights * (weights >= p * weights.max(1, keepdims=True))


@dataclass(frozen=True)
class Length:
    """When a piece ends: at most one of the three, or, with none, where the model ends it.

    The model may end it at any moment. Each piece also draws the length of a training piece of its style and metre:
    from there on it ends where the model gives an end PLAUSIBLE probability, then ever less of it, and is cut at the
    latest at the length of the longest training piece.

    Parameters
    ----------
    bars : bars of the piece's metre; needs a metrical grid
    seconds : at the piece's tempo; on a metrical grid to the nearest bar line
    notes : this many notes; on a metrical grid the last bar is filled
    """

    bars: int | None = None
    seconds: float | None = None
    notes: int | None = None

    def __post_init__(self) -> None:
        given = [name for name in ("bars", "seconds", "notes") if getattr(self, name) is not None]
        if len(given) > 1:
            raise SettingError(f"{' and '.join(given)} given: expected at most one of bars, seconds and notes")
        for name in given:
            value = getattr(self, name)
            if not 0 < value < math.inf:
                raise SettingError(f"{name} {value}: expected more than 0")
            if name != "seconds" and not isinstance(value, (int, np.integer)):
                raise SettingError(f"{name} {value}: expected a whole number")

    def steps(self, vocabulary: Vocabulary, bar: int | None, qpm: float) -> int | None:
        """The piece's length in steps, if it is known beforehand; `bar` is a bar's steps on a metrical grid."""
        grid = vocabulary.grid
        if self.bars is not None:
            if bar is None:
                raise SettingError("bars: this model's music has no bars; give seconds or notes")
            return self.bars * bar
        if self.seconds is None:
            return None
        if bar is None:
            return max(1, round(self.seconds * float(grid.steps_per_second or 1)))
        return max(1, round(self.seconds * qpm / 60 * float(grid.steps_per_beat or 1) / bar)) * bar


@dataclass(frozen=True)
class Plan:
    """What is settled about a piece before its first note.

    Parameters
    ----------
    metre : time signature of what is composed, (numerator, denominator)
    qpm : tempo, quarter notes per minute
    start : step from which `length` counts: 0, or where the primer's last bar ends
    bar : steps of a bar; None without a metrical grid
    length : Length
    steps : the length asked for, in steps; None where it was given in notes or is left to the model
    due : step from which on the piece ends where the model finds an end plausible; None where its length is given
    limit : step at which the piece is cut; None where notes are counted
    """

    metre: tuple[int, int]
    qpm: float
    start: int
    bar: int | None
    length: Length
    steps: int | None
    due: int | None
    limit: int | None

    @classmethod
    def of(
        cls,
        vocabulary: Vocabulary,
        length: Length | None = None,
        *,
        style: str | None = None,
        metre: tuple[int, int] | None = None,
        primer: NoteSequence | None = None,
        qpm: float | None = None,
        draws: tuple[float, float] = (0.0, 0.5),
    ) -> Plan:
        """The plan of these settings, which mean and raise what they do in `compose`.

        The `draws`, in [0, 1), are for `Vocabulary.metre_of` and `Vocabulary.length_of`.
        """
        v, length = vocabulary, length or Length()
        if style is not None and style not in v.styles:
            known = ", ".join(v.styles) if v.styles else "none"
            raise SettingError(f"style {style!r}: this model knows {known}")
        if metre is None:
            metre = primer.metre if primer is not None else v.metre_of(style, draws[0])
        if min(metre) < 1:
            raise SettingError("metre {}/{}: expected two numbers above 0".format(*metre))
        if primer is not None and v.grid.is_metrical and metre != primer.metre:
            raise SettingError("metre {}/{}: the primer's {}/{} goes on, leave metre out".format(*metre, *primer.metre))
        if qpm is None:
            qpm = primer.qpm if primer is not None else v.tempo_of(style)
        if not 5 <= qpm <= 1000:
            raise SettingError(f"qpm {qpm}: expected 5..1000 quarter notes per minute")
        bar = steps_per_bar(v.grid, metre) if v.grid.is_metrical else None
        start = 0
        if primer is not None:
            primer, _ = representable(primer, v)
            start = primer.length
            if bar is not None:
                last = primer.metres[-1]
                bar = steps_per_bar(v.grid, (int(last["numerator"]), int(last["denominator"])))
                start = int(primer.bar_starts()[-1])
        steps = length.steps(v, bar, qpm)
        at_most = steps
        if steps is None and length.notes is None and v.longest:
            at_most = -(-v.longest // (bar or 1)) * (bar or 1)
        typical = v.length_of(style, metre, draws[1]) if length == Length() else None
        due = None if typical is None else start + typical
        return cls(metre, qpm, start, bar, length, steps, due, None if at_most is None else start + at_most)


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
    primer : NoteSequence on the vocabulary's grid, optional; heard before anything is composed, which begins at its
        end or later

    Attributes
    ----------
    rows : for each stream its events so far, the primer's included: (shift steps, program class, pitch, duration
        steps, velocity class)
    log_p : array, shape (streams,): log-probability, in nats, of what was sampled, under the model itself
        (temperature 1, nothing filtered)
    n_heard : notes of the primer, the first of each stream's rows
    due : array, shape (streams,): the step from which on a stream ends as soon as the model gives an end PLAUSIBLE
        probability; default: NEVER, the model's choice alone
    done : list of bool: whether a stream is over
    ends : list: the step at which the model ended a stream, or None
    """

    def __init__(
        self,
        network: Network,
        rngs: Sequence[np.random.Generator],
        controls: Controls | None = None,
        *,
        style: str | None = None,
        metres: Sequence[tuple[int, int]] | None = None,
        primer: NoteSequence | None = None,
    ) -> None:
        self.network, self.vocabulary = network, network.vocabulary
        controls = controls or Controls()
        self.temperatures = {field: controls.temperature_of(field) for field in self.vocabulary.fields}
        self.filters = {field: controls.filters(field) for field in self.vocabulary.fields}
        n = len(rngs)
        self.rngs = rngs
        self.log_p = np.zeros(n)
        self.due = np.full(n, NEVER)
        self.done = [False] * n
        self.ends: list[int | None] = [None] * n
        self.rows: list[list[tuple[int, int, int, int, int]]] = [[] for _ in range(n)]
        given = primer.metres if primer is not None else None
        of_streams: Sequence[tuple[int, int] | None] = metres or [None] * n
        self.contexts = [Context(self.vocabulary, style, metre, given) for metre in of_streams]
        # Only programs that the model has heard, in pieces of the style or in the primer, are chosen.
        self._programs = self.vocabulary.programs_of(style)
        if primer is not None:
            self._programs[self.vocabulary.program_class(primer.notes["program"])] = True
        self._top = int(np.flatnonzero(self._programs)[-1])
        self.n_heard = 0
        self._earliest = 0  # step at which the composed part may begin
        self._draws: Iterator[np.ndarray] = iter(())  # the numbers of each event to come, (streams, 7)
        start = self.vocabulary.previous_ids(np.full((1, 5), -1, np.int32), np.zeros(1, np.int64))
        self._previous = start.tolist() * n
        self._context = np.array([context.start() for context in self.contexts], np.int32)
        self._last: Step | None = None  # that of the last event, if it was told `_context`
        self._streams = np.arange(n)
        self._choices: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []  # of an event, see `_choose`
        self._classes = np.arange(self.vocabulary.size("program"))
        self._state = network.initial_state(n)
        if primer is not None:
            self._hear(primer)

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
        self, field: str, logits: np.ndarray, u: np.ndarray, live: np.ndarray, wanted: np.ndarray | None = None
    ) -> np.ndarray:
        """Choose a class for each stream and count its log-probability where `live`.

        `logits` are -inf where a class cannot follow; `wanted` (streams, classes) narrows the choice further, like the
        filters, without changing the log-probability that is counted.
        """
        below = below_best(logits)
        weights = np.exp(below)
        total = np.add.reduce(weights, 1)
        if wanted is not None:
            weights = weigh(np.where(wanted, logits, -np.inf), self.temperatures[field])
        elif self.temperatures[field] not in (0, 1):
            weights = weigh(logits, self.temperatures[field])
        for change in self.filters[field]:
            weights = change(weights)
        cumulative = np.cumsum(weights, 1)
        chosen = (cumulative > (u * cumulative[:, -1])[:, None]).argmax(1)
        self._choices.append((below[self._streams, chosen], total, live))
        return chosen

    def _count(self, *log_widths: np.ndarray) -> None:
        """Count the log-probability of an event's choices, less `log_widths` of the first and the fourth."""
        log_p, totals, live = (np.array(values) for values in zip(*self._choices, strict=True))
        self._choices.clear()
        log_p -= np.log(totals)
        for field, log_width in zip((SHIFT, DURATION), log_widths, strict=True):
            log_p[field] -= log_width
        self.log_p += np.add.reduce(np.where(live, log_p, 0.0), 0)

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
        u = self._uniform()
        step = self._step()
        self._state, self._last = step.state, step

        contexts = self.contexts
        logits, wanted = step.logits("shift"), None
        least = [max(0, self._earliest - context.onset) for context in contexts]
        stacks = [context.stacks(self._top) for context in contexts]
        if not all(stacks):
            for stream, context in enumerate(contexts):
                if not context.stacks():
                    logits[stream, 0] = -np.inf
        if any(least) or not all(stacks):
            wanted = TIMES.low + TIMES.width > np.array(least)[:, None]
            wanted[:, 0] &= stacks
        shift = self._choose("shift", logits, u[:, 0], live, wanted)
        shift_steps = [max(steps, low) for steps, low in zip(_steps(shift, u[:, 1]), least, strict=True)]
        for stream, context in enumerate(contexts):
            if not self.done[stream]:
                context.move(shift_steps[stream])
        self._context = np.array([context.row() for context in contexts], np.int32)
        step.arrive(self._context, np.array([context.heard() for context in contexts]))
        chosen = {"shift": shift}

        possible = self._classes >= np.array([[context.program_floor()] for context in contexts])
        possible[:, END] = [context.may_end() for context in contexts]
        logits = step.logits("program", chosen)
        np.copyto(logits, -np.inf, where=~possible)
        wanted = possible & self._programs
        if may_end:
            wanted[:, END] = possible[:, END]
        nothing = ~wanted.any(1)
        if nothing.any():
            wanted[nothing] = possible[nothing]
        at = np.array([context.onset for context in contexts])
        if may_end and (at >= self.due).any():
            weights = weigh(logits)
            p_end = weights[:, END] / weights.sum(1)
            ends = (at >= self.due) & (p_end >= PLAUSIBLE * 0.5 ** (HASTE * (at / np.maximum(1, self.due) - 1)))
            wanted[ends] = self._classes == END
        program = self._choose("program", logits, u[:, 2], live, wanted)
        chosen["program"] = program
        goes_on = live & (program != END)

        of_program = list(zip(contexts, program.tolist(), strict=True))
        chosen |= dict(zip(VOICE, np.array([c.voice(p) for c, p in of_program]).T, strict=True))
        logits = step.logits("pitch", chosen)
        np.copyto(logits, -np.inf, where=np.array([c.taken(p) for c, p in of_program]))
        pitch = chosen["pitch"] = self._choose("pitch", logits, u[:, 3], goes_on)
        logits = step.logits("duration", chosen)
        logits[:, 0] = -np.inf  # a step or more
        duration = chosen["duration"] = self._choose("duration", logits, u[:, 4], goes_on)
        duration_steps = _steps(duration, u[:, 5])
        velocity = np.full(n, -1)
        if v.models_velocity:
            velocity = self._choose("velocity", step.logits("velocity", chosen), u[:, 6], goes_on)
        self._count(TIMES.log_width[shift], TIMES.log_width[duration])

        notes: list[Note | None] = [None] * n
        choices = zip(shift_steps, program.tolist(), pitch.tolist(), duration_steps, velocity.tolist(), strict=True)
        for stream, row in enumerate(choices):
            if self.done[stream]:
                continue
            onset = contexts[stream].onset
            if row[PROGRAM] == END:
                self.done[stream], self.ends[stream] = True, onset
                continue
            self._keep(stream, row)
            played = v.velocities[row[VELOCITY]] if v.models_velocity else v.velocities[0]
            notes[stream] = Note(stream, onset, row[DURATION], v.program_of_class(row[PROGRAM]), row[PITCH], played)
        return notes


_LOW, _WIDTH = TIMES.low.tolist(), TIMES.width.tolist()


def _steps(classes: np.ndarray, places: np.ndarray) -> list[int]:
    """`TimeClasses.decode` of a few."""
    return [_LOW[c] + int(place * _WIDTH[c]) for c, place in zip(classes.tolist(), places.tolist(), strict=True)]


def notes(sampler: Sampler, lengths: Sequence[int | None], *, may_end: bool = True) -> Iterator[Note]:
    """The notes of all streams as they are composed, until every stream is over.

    Parameters
    ----------
    lengths : for each stream its steps, or None
        A note that begins there or later is not given out, and one that reaches beyond is cut. A stream without a
        length is over after `MAX_NOTES`, if the model has not ended it.
    may_end : whether the model may end a stream
    """
    while not all(sampler.done):
        for note in sampler.step(may_end):
            if note is None:
                continue
            length = lengths[note.stream]
            if length is not None and note.onset >= length:
                sampler.done[note.stream] = True
                continue
            if length is None and len(sampler.rows[note.stream]) - sampler.n_heard >= MAX_NOTES:
                sampler.done[note.stream] = True
            if length is not None and note.onset + note.duration > length:
                note = replace(note, duration=length - note.onset)
            yield note


def compose(
    network: Network,
    n: int = 1,
    seed: int = 0,
    *,
    controls: Controls | None = None,
    length: Length | None = None,
    style: str | None = None,
    metre: tuple[int, int] | None = None,
    primer: NoteSequence | None = None,
    qpm: float | None = None,
    on_start: Callable[[list[Plan]], None] | None = None,
    on_note: Callable[[Note], None] | None = None,
) -> list[NoteSequence]:
    """Compose `n` pieces as one batch; the i-th piece's randomness is the i-th child of `seed`.

    Parameters
    ----------
    style : one of the vocabulary's styles, or None for unknown
    metre : time signature; default: the primer's, which it can't replace, else drawn for each piece, as frequent as
        among the training pieces of the style
    primer : what the pieces begin with, on the vocabulary's grid; its metres hold on. `length` counts from the first
        bar line at its end or after it
    qpm : tempo to write; default: the primer's, else the vocabulary's
    on_start : called once with each piece's plan, when all is settled and nothing is composed
    on_note : called with each note as it is composed

    Returns
    -------
    pieces : list of NoteSequence
        Primer and continuation. Nothing hangs: every note ends within the piece, which ends at a bar line where
        there are bars, unless the model itself ended it.

    Raises
    ------
    SettingError
        A style that the model was not trained on; bars without a metrical grid; another metre than the primer's; a
        value out of range.
    """
    v = network.vocabulary
    if n < 1:
        raise SettingError(f"num-outputs {n}: expected 1 or more")
    rngs = [np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(n)]
    plans = [
        Plan.of(v, length, style=style, metre=metre, primer=primer, qpm=qpm, draws=tuple(rng.random(2))) for rng in rngs
    ]
    length = plans[0].length
    if primer is not None:
        primer, _ = representable(primer, v)
    if on_start is not None:
        on_start(plans)

    sampler = Sampler(network, rngs, controls, style=style, metres=[plan.metre for plan in plans], primer=primer)
    sampler.due = np.array([NEVER if plan.due is None else plan.due for plan in plans])
    limits = [NEVER if length.notes is not None else plan.limit for plan in plans]
    for note in notes(sampler, limits, may_end=length == Length()):
        if length.notes is not None and len(sampler.rows[note.stream]) - sampler.n_heard >= length.notes:
            sampler.done[note.stream] = True
        if on_note is not None:
            on_note(note)

    pieces = []
    for plan, rows, end in zip(plans, sampler.rows, sampler.ends, strict=True):
        limit = plan.limit
        piece = decode(rows, v, length=end, qpm=plan.qpm, metre=plan.metre)
        if primer is not None:
            piece.notes[: len(primer)] = primer.notes  # with the velocities that it came with
        if limit is not None and end is None:
            piece = piece.crop(0, limit) if piece.length >= limit else replace(piece, length=limit)
        elif end is None and plan.bar is not None:
            piece = replace(piece, length=plan.start - (plan.start - piece.length) // plan.bar * plan.bar)
        if primer is not None and v.grid.is_metrical:
            tempos = piece.tempos if plan.qpm != primer.qpm else primer.tempos
            piece = replace(piece, metres=primer.metres, tempos=tempos)
        pieces.append(piece)
    return pieces
