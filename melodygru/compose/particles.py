"""Particles: many versions of one piece, of which those that fit what is given go on (sequential Monte Carlo).

A guide says of each event what may come. Each particle chooses among that, in proportion to the model's probability
p^(1/temperature); its weight is what all that may come has together, so that a choice that is forced weighs what the
model thinks of it. With temperature 1 and nothing filtered the weighted particles follow the model's distribution of
pieces, given that the guide is kept to (Doucet & Johansen, A Tutorial on Particle Filtering and Smoothing, 2009).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np

from melodygru.compose.controls import Controls, below_best
from melodygru.compose.lengths import Plan
from melodygru.compose.sampler import Note
from melodygru.errors import SettingError
from melodygru.events import END, N_VELOCITIES, PROGRAM_HISTORY, TIMES, Context
from melodygru.model.numpy_model import NumpyModel
from melodygru.music.notes import TEMPO, NoteSequence

Row = tuple[int, int, int, int, int]  # shift steps, program class, pitch, duration steps, velocity class
Span = tuple[int, int]  # steps from and to, both included
PARTICLES, MAX_PARTICLES = 64, 4096  # by default, at most
COLDEST = 1e-6  # temperature: below, weights would leave the range of numbers


class Guide(Protocol):
    """What may come, asked in the order of the fields; the rules of `events` hold besides."""

    def shift(self, context: Context) -> Span:
        """Steps until the event's onset."""

    def programs(self, context: Context) -> np.ndarray:
        """Program classes at the onset, shape (size of the field,), bool."""

    def pitches(self, context: Context, program: int) -> np.ndarray:
        """Pitches of a program class, shape (128,), bool."""

    def duration(self, context: Context, program: int, pitch: int) -> Span:
        """Steps that the note lasts."""

    def velocity(self, context: Context, program: int, pitch: int) -> int:
        """Velocity class; -1 is any."""


class Particles:
    """Versions of a piece in one batch, with their weights.

    Parameters
    ----------
    network : Network
    n : number of particles
    rng : all their randomness
    controls : Controls
    style : piece condition; None is unknown
    piece : NoteSequence on the vocabulary's grid whose metres the versions have

    Attributes
    ----------
    rows : for each particle its events so far
    log_p : array, shape (n,): log-probability, in nats, of each under the model itself (temperature 1, nothing
        filtered), ends included
    log_weights : array, shape (n,): since the last resampling
    log_z : the estimate of the log-probability, in nats, that what the model composes keeps to the guide, up to the
        last resampling (see `evidence`)
    """

    def __init__(
        self,
        network: NumpyModel,
        n: int,
        rng: np.random.Generator,
        controls: Controls | None = None,
        *,
        style: str | None = None,
        piece: NoteSequence,
    ) -> None:
        if not 1 <= n <= MAX_PARTICLES:
            raise SettingError(f"particles {n}: expected 1..{MAX_PARTICLES}")
        controls = controls or Controls()
        self.network, self.vocabulary, self.rng = network, network.vocabulary, rng
        self.temperatures = {field: controls.temperature_of(field) for field in self.vocabulary.fields}
        self.filters = {field: controls.filters(field) for field in self.vocabulary.fields}
        self.contexts = [Context(self.vocabulary, style, piece.metre, piece.metres) for _ in range(n)]
        self.rows: list[list[Row]] = [[] for _ in range(n)]
        self.log_p, self.log_weights, self.log_z = np.zeros(n), np.zeros(n), 0.0
        self._previous = [context.previous() for context in self.contexts]
        self._context = np.array([context.start() for context in self.contexts], np.int32)
        self._state = network.initial_state(n)
        self._classes = np.arange(self.vocabulary.size("program"))
        self._settled = 0

    def __len__(self) -> int:
        return len(self.rows)

    def extend(self, guide: Guide, which: np.ndarray | None = None) -> np.ndarray:
        """Give each of the particles `which` (default: all) an event that the guide allows.

        Returns
        -------
        programs : array, shape (particles,): the program classes chosen; END is the end of the piece
        """
        at = np.arange(len(self)) if which is None else which
        u = self.rng.random((len(at), 7))
        contexts = [self.contexts[i] for i in at]
        before = np.array([context.before() for context in contexts], np.int32).reshape(len(at), -1)
        state = [part[at] for part in self._state]
        previous = np.array([self._previous[i] for i in at], np.int32)
        step = self.network.step(previous, before, self._context[at], state)
        self._state = [_replaced(part, at, new) for part, new in zip(self._state, step.state, strict=True)]

        logits = step.logits("shift")
        for i, context in enumerate(contexts):
            if not context.may_join_chord():
                logits[i, 0] = -np.inf
        shift, shift_steps = self._time("shift", at, logits, [guide.shift(c) for c in contexts], u[:, :2])
        for context, steps in zip(contexts, shift_steps, strict=True):
            context.move(steps)
        self._context[at] = [context.row() for context in contexts]
        step.arrive(self._context[at], np.array([context.pitch_class_levels() for context in contexts]))
        chosen = {"shift": shift}

        logits = step.logits("program", chosen)
        possible = self._classes >= np.array([[context.program_floor()] for context in contexts])
        possible[:, END] = [context.may_end() for context in contexts]
        np.copyto(logits, -np.inf, where=~possible)
        wanted = np.array([guide.programs(context) for context in contexts])
        program = chosen["program"] = self._choose("program", at, logits, wanted, u[:, 2])
        goes_on = np.flatnonzero(program != END)
        if not len(goes_on):
            return program

        # An end has no fields after its program: what the heads say of it is left unasked.
        of_program = list(zip(contexts, program.tolist(), strict=True))
        chosen |= dict(zip(PROGRAM_HISTORY, np.array([c.program_history(p) for c, p in of_program]).T, strict=True))
        live, of_program, u = at[goes_on], [of_program[i] for i in goes_on], u[goes_on]
        logits = step.logits("pitch", chosen)[goes_on]
        np.copyto(logits, -np.inf, where=np.array([c.pitch_mask(p) for c, p in of_program]))
        wanted = np.array([guide.pitches(c, p) for c, p in of_program])
        pitch = self._choose("pitch", live, logits, wanted, u[:, 3])
        chosen["pitch"] = _replaced(np.zeros(len(at), np.int64), goes_on, pitch)
        notes = [(c, p, int(note)) for (c, p), note in zip(of_program, pitch, strict=True)]
        logits = step.logits("duration", chosen)[goes_on]
        logits[:, 0] = -np.inf  # a step or more
        spans = [guide.duration(*note) for note in notes]
        duration, duration_steps = self._time("duration", live, logits, spans, u[:, 4:6])
        chosen["duration"] = _replaced(np.ones(len(at), np.int64), goes_on, duration)
        velocity = np.full(len(live), -1)
        if self.vocabulary.models_velocity:
            of_guide = np.array([[guide.velocity(*note)] for note in notes])
            wanted = (of_guide < 0) | (of_guide == np.arange(N_VELOCITIES))
            velocity = self._choose("velocity", live, step.logits("velocity", chosen)[goes_on], wanted, u[:, 6])
        rows = zip(goes_on.tolist(), notes, duration_steps, velocity.tolist(), strict=True)
        for i, (context, of_note, note_pitch), steps, loudness in rows:
            context.add(of_note, note_pitch, steps)
            self._previous[at[i]] = context.previous(loudness)
            self.rows[at[i]].append((shift_steps[i], of_note, note_pitch, steps, loudness))
        return program

    def _choose(self, field: str, at: np.ndarray, logits: np.ndarray, share: np.ndarray, u: np.ndarray) -> np.ndarray:
        """Choose a class for each of the particles `at`; `share`, (particles, classes), is how much of each may come.

        `logits` are -inf where a class cannot follow.
        """
        log_p = below_best(logits)
        log_p -= np.log(np.exp(log_p).sum(1, keepdims=True))
        temperature = self.temperatures[field]
        sharp = log_p if temperature in (0, 1) else log_p / max(temperature, COLDEST)
        scaled = np.where(share > 0, sharp, -np.inf)
        best = scaled.max(1, keepdims=True)
        assert np.isfinite(best).all(), f"{field}: the guide allows what cannot follow"
        weights = np.exp(scaled - best) * share
        for change in self.filters[field]:
            weights = change(weights)
        cumulative = np.cumsum(weights, 1)
        mass = cumulative[:, -1]
        chosen = (cumulative > (u * mass)[:, None]).argmax(1)
        self.log_weights[at] += best[:, 0] + np.log(mass)
        self.log_p[at] += log_p[np.arange(len(at)), chosen]
        return chosen

    def _time(
        self, field: str, at: np.ndarray, logits: np.ndarray, spans: Sequence[Span], u: np.ndarray
    ) -> tuple[np.ndarray, list[int]]:
        """Choose steps within a span for each of the particles `at`: the classes, and the steps."""
        low, high = np.array(spans).T[:, :, None]
        first = np.maximum(TIMES.low, low)
        n_steps = np.maximum(0, np.minimum(TIMES.low + TIMES.width - 1, high) - first + 1)
        chosen = self._choose(field, at, logits, n_steps / TIMES.width, u[:, 0])
        self.log_p[at] -= TIMES.log_width[chosen]
        of_chosen = np.arange(len(at)), chosen
        return chosen, (first[of_chosen] + np.floor(u[:, 1] * n_steps[of_chosen]).astype(np.int64)).tolist()

    @property
    def evidence(self) -> float:
        """The estimate of the log-probability, in nats, that what the model composes keeps to the guide."""
        return self.log_z + _log_mean(self.log_weights)

    def effective(self) -> float:
        """The effective sample size, in 1..n: how many particles of equal weight would serve as well."""
        weights = np.exp(self.log_weights - self.log_weights.max())
        return float(weights.sum() ** 2 / (weights**2).sum())

    def resample(self) -> None:
        """Let each particle go on as often as its weight says (systematic resampling); then all weigh the same."""
        n = len(self)
        weights = np.exp(self.log_weights - self.log_weights.max())
        edges = np.cumsum(weights)
        places = (np.arange(n) + self.rng.random()) / n * edges[-1]
        parents = np.minimum(np.searchsorted(edges, places, side="right"), n - 1)
        self.log_z += _log_mean(self.log_weights)
        self.log_weights[:] = 0.0
        self.log_p, self._context = self.log_p[parents], self._context[parents]
        self._state = [part[parents] for part in self._state]
        self._previous = [self._previous[parent] for parent in parents]
        first = np.append(True, parents[1:] != parents[:-1]).tolist()
        contexts, rows = self.contexts, self.rows
        self.contexts = [contexts[p] if new else contexts[p].copy() for p, new in zip(parents, first, strict=True)]
        self.rows = [rows[p] if new else rows[p].copy() for p, new in zip(parents, first, strict=True)]

    def settled(self, of: int | None = None) -> list[Row]:
        """Events that all particles have in common, or that particle `of` has, and that were not given out yet."""
        first, start = self.rows[of or 0], self._settled
        stop = len(first)
        if of is None:
            stop, shortest = start, min(len(rows) for rows in self.rows)
            while stop < shortest and all(rows[stop] is first[stop] for rows in self.rows):
                stop += 1
        self._settled = stop
        return first[start:stop]


def _replaced(values: np.ndarray, at: np.ndarray, new: np.ndarray) -> np.ndarray:
    """`values` with those at `at` replaced."""
    if len(at) == len(values):
        return new
    values = values.copy()
    values[at] = new
    return values


def _log_mean(values: np.ndarray) -> float:
    """Logarithm of the mean of what has these logarithms."""
    greatest = float(values.max())
    return greatest + math.log(float(np.exp(values - greatest).mean()))


def compose_given(
    network: NumpyModel,
    given: NoteSequence,
    n: int,
    seed: int,
    rounds: Callable[[Particles], Iterator[None]],
    written: Callable[[list[Row]], NoteSequence],
    *,
    particles: int,
    controls: Controls | None = None,
    style: str | None = None,
    qpm: float | None = None,
    on_start: Callable[[list[Plan]], None] | None = None,
    on_note: Callable[[Note], None] | None = None,
) -> list[NoteSequence]:
    """Compose `n` pieces of the given one's length, metres and tempo, each from particles of its own.

    Parameters
    ----------
    seed : the i-th piece's randomness is its i-th child
    rounds : extends the particles, and yields when all have heard the same of what is given: then they are weighed
        against each other, and resampled when their effective number is below half
    written : the piece that a particle's events are; the most probable particle is written
    qpm : tempo to write; default: the given piece's tempos
    on_start : called once with each piece's plan, when nothing is composed
    on_note : called with each note as soon as all particles have it in common
    """
    v = network.vocabulary
    if n < 1:
        raise SettingError(f"num-outputs {n}: expected 1 or more")
    plan = Plan.from_settings(v, style=style, metre=given.metre, qpm=given.qpm if qpm is None else qpm)
    plan = replace(plan, steps=given.length, due=None, limit=given.length)
    clouds = [
        Particles(network, particles, np.random.default_rng(child), controls, style=style, piece=given)
        for child in np.random.SeedSequence(seed).spawn(n)
    ]
    if on_start is not None:
        on_start([plan] * n)
    pieces = []
    for stream, cloud in enumerate(clouds):
        onset = 0

        def tell(rows: Sequence[Row], stream: int = stream) -> None:
            nonlocal onset
            for shift, program, pitch, duration, loudness in rows:
                onset += shift
                velocity = v.velocities[loudness] if v.models_velocity else v.velocities[0]
                if on_note is not None:
                    on_note(Note(stream, onset, duration, v.program_of_class(program), pitch, velocity))

        for _ in rounds(cloud):
            if cloud.effective() < particles / 2:
                cloud.resample()
                tell(cloud.settled())
        best = int(np.argmax(cloud.log_p))
        tell(cloud.settled(best))
        piece = written(cloud.rows[best])
        if v.grid.is_metrical:
            tempos = given.tempos if qpm is None else np.array([(0, round(60e6 / qpm))], TEMPO)
            piece = replace(piece, tempos=tempos, metres=given.metres)
        pieces.append(piece)
    return pieces
