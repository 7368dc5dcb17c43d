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

import numpy as np

from melodygru.compose.controls import Controls, below_best
from melodygru.compose.drawing import DRAWS, Note, Row, Streams, notes_of, share_of_classes
from melodygru.compose.lengths import Plan
from melodygru.compose.rules import NEVER, Event, Rule, Spans
from melodygru.compose.settings import check_setting
from melodygru.events import N_VELOCITIES, SHIFT, TIMES, Context
from melodygru.model.numpy_model import NumpyModel
from melodygru.music.notes import N_PITCHES, TEMPO, NoteSequence

Span = tuple[int, int]  # steps: the first, and the first that is no more among them
COLDEST = 1e-6  # temperature: below, weights would leave the range of numbers


class Guide(Rule):
    """What may come where a piece is given: a rule that answers for one particle at a time.

    Its five methods are asked in the order of the fields, about a context that stands at the event's onset for all but
    the shift.
    """

    def shift(self, context: Context) -> Span:
        """Steps until the event's onset."""
        raise NotImplementedError

    def parts(self, context: Context) -> np.ndarray:
        """Part classes at the onset, shape (size of the field,), bool."""
        raise NotImplementedError

    def pitches(self, context: Context, part_class: int) -> np.ndarray:
        """Pitches of a part, by its class, shape (128,), bool."""
        raise NotImplementedError

    def duration(self, context: Context, part_class: int, pitch: int) -> Span:
        """Steps that the note lasts."""
        raise NotImplementedError

    def velocity(self, context: Context, part_class: int, pitch: int) -> int:
        """Velocity class; -1 is any."""
        raise NotImplementedError

    def weigh(self, field: str, event: Event) -> np.ndarray | None:
        if field == "part":
            return np.array([self.parts(context) for context in event.contexts])
        if field == "pitch":
            of_streams = zip(event.contexts, event.chosen["part"].tolist(), event.live.tolist(), strict=True)
            return np.array([self.pitches(c, part) if live else _ALL_PITCHES for c, part, live in of_streams])
        if field == "velocity":
            classes = np.array([[self.velocity(*of_note) if live else -1] for live, of_note in _notes(event)])
            return (classes < 0) | (classes == np.arange(N_VELOCITIES))
        return None

    def spans(self, field: str, event: Event) -> list[Spans]:
        if field == "shift":
            return [[self.shift(context)] for context in event.contexts]
        return [[self.duration(*of_note) if live else (1, NEVER)] for live, of_note in _notes(event)]


_ALL_PITCHES = np.ones(N_PITCHES, bool)


def _notes(event: Event) -> Iterator[tuple[bool, tuple[Context, int, int]]]:
    """For each stream whether it gets a note, and its context, part class and pitch."""
    parts = event.chosen["part"].tolist()
    return zip(event.live.tolist(), zip(event.contexts, parts, event.pitches, strict=True), strict=True)


class Particles(Streams):
    """Versions of a piece in one batch, with their weights.

    Parameters
    ----------
    network : NumpyModel
    n : number of particles
    rng : all their randomness
    controls : Controls
    style : piece condition; None is unknown
    piece : NoteSequence on the vocabulary's grid whose metres the versions have
    line_up : programs of the parts that they are to have; None is unknown

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
        line_up: Sequence[int] | None = None,
    ) -> None:
        check_setting("particles", n)
        conditions = style, piece.metre, piece.metres, line_up
        super().__init__(network, [Context(network.vocabulary, *conditions) for _ in range(n)])
        controls, self.rng = controls or Controls(), rng
        self._temperatures = {field: controls.temperature_of(field) for field in self.vocabulary.fields}
        self._filters = {field: controls.filters(field) for field in self.vocabulary.fields}
        self.log_p, self.log_weights, self.log_z = np.zeros(n), np.zeros(n), 0.0
        self._settled = 0

    def __len__(self) -> int:
        return len(self.rows)

    def extend(self, guide: Rule, which: np.ndarray | None = None) -> list[Row | None]:
        """Give each of the particles `which` (default: all) an event that the guide allows.

        Returns
        -------
        rows : for each of these particles its event; None is the end of the piece
        """
        at = np.arange(len(self)) if which is None else which
        n = len(at)
        u = self.rng.random((n, DRAWS))
        contexts = [self.contexts[i] for i in at]
        return self.draw(u, [guide], Event(contexts, [0] * n, np.ones(n, bool), [0] * n, at=at))

    def _choose(self, field: str, event: Event, u: np.ndarray) -> np.ndarray:
        """Choose a class for each particle; what all that may come weighs together is the particle's weight."""
        log_p = below_best(event.logits)
        log_p -= np.log(np.exp(log_p).sum(1, keepdims=True))
        temperature = self._temperatures[field]
        scaled = log_p if temperature in (0, 1) else log_p / max(temperature, COLDEST)
        if event.log_weights is not None:
            scaled = scaled + event.log_weights
        if event.mask is not None:
            scaled = np.where(event.mask, scaled, -np.inf)
        share = None if event.spans is None else share_of_classes(event.spans)
        if share is not None:
            scaled = np.where(share > 0, scaled, -np.inf)
        best = scaled.max(1, keepdims=True)
        assert np.isfinite(best).all(), f"{field}: the guide allows what cannot follow"
        weights = np.exp(scaled - best)
        if share is not None:
            weights *= share
        for change in self._filters[field]:
            weights = change(weights)
        cumulative = np.cumsum(weights, 1)
        mass = cumulative[:, -1]
        chosen = (cumulative > (u * mass)[:, None]).argmax(1)
        assert event.at is not None
        of_live = np.flatnonzero(event.live)
        live, of_chosen = event.at[of_live], chosen[of_live]
        self.log_weights[live] += (best[:, 0] + np.log(mass))[of_live]
        self.log_p[live] += log_p[of_live, of_chosen]
        if field in ("shift", "duration"):
            self.log_p[live] -= TIMES.log_width[of_chosen]
        return chosen

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
        marks = (np.arange(n) + self.rng.random()) / n * edges[-1]
        parents = np.minimum(np.searchsorted(edges, marks, side="right"), n - 1)
        self.log_z += _log_mean(self.log_weights)
        self.log_weights[:] = 0.0
        self.log_p = self.log_p[parents]
        self.pick(parents)

    def settled(self, of: int | None = None) -> tuple[list[Row], int]:
        """Events that all particles have in common, or that particle `of` has, and how many of them were given out."""
        first, start = self.rows[of or 0], self._settled
        stop = len(first)
        if of is None:
            stop, shortest = start, min(len(rows) for rows in self.rows)
            while stop < shortest and all(rows[stop] is first[stop] for rows in self.rows):
                stop += 1
        self._settled = stop
        return first[:stop], start


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
    written: Callable[[list[Row], dict[int, int]], NoteSequence],
    *,
    line_up: Callable[[float], tuple[int, ...] | None],
    own_programs: Sequence[int] = (),
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
    rounds : extends the particles, and yields when all have reached the same of what is given: then they are weighed
        against each other, and resampled when their effective number is below half
    written : the piece that a particle's events are, given the numbers there of given parts (see `Past.given`); the
        most probable particle is written
    line_up : the programs of the parts of a piece, by a draw in [0, 1)
    own_programs : of the given parts: what their notes are given out with
    qpm : tempo to write; default: the given piece's tempos
    on_start : called once with each piece's plan, when nothing is composed
    on_note : called with each note as soon as all particles have it in common
    """
    v = network.vocabulary
    check_setting("num_outputs", n)
    plan = Plan.from_settings(v, style=style, metre=given.metre, qpm=given.qpm if qpm is None else qpm)
    plan = replace(plan, steps=given.length, due=None, limit=given.length)
    rngs = [np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(n)]
    plans = [replace(plan, line_up=line_up(rng.random())) for rng in rngs]
    clouds = [
        Particles(network, particles, rng, controls, style=style, piece=given, line_up=plan.line_up)
        for rng, plan in zip(rngs, plans, strict=True)
    ]
    if on_start is not None:
        on_start(plans)
    pieces = []
    for stream, cloud in enumerate(clouds):
        onset = 0

        def give_out(numbers: dict[int, int], rows: Sequence[Row], first: int, stream: int = stream) -> None:
            nonlocal onset
            if on_note is not None:
                own = {number: own_programs[part] for part, number in numbers.items()}
                for note in notes_of(rows, v, stream, onset, first):
                    on_note(replace(note, program=own.get(note.part, note.program)))
            onset += sum(row[SHIFT] for row in rows[first:])

        for _ in rounds(cloud):
            if cloud.effective() < particles / 2:
                cloud.resample()
                give_out(cloud.contexts[0].past.given, *cloud.settled())
        best = int(np.argmax(cloud.log_p))
        numbers = cloud.contexts[best].past.given
        give_out(numbers, *cloud.settled(best))
        piece = written(cloud.rows[best], numbers)
        if v.grid.is_metrical:
            tempos = given.tempos if qpm is None else np.array([(0, round(60e6 / qpm))], TEMPO)
            piece = replace(piece, tempos=tempos, metres=given.metres)
        pieces.append(piece)
    return pieces
