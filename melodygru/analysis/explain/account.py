"""What is found out about a model from one piece or several: memory, units that matter, units that follow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from melodygru.analysis.explain.following import Following, follow
from melodygru.analysis.explain.memory import half_lives
from melodygru.errors import CorpusError
from melodygru.model.trace import Trace, Tracer
from melodygru.util.wording import counted

LEAST_NOTES = 16
CANDIDATES = 16  # units of each layer that are silenced, one at a time
TRIED_ON = 512  # events on which each is
SINCE = 32  # notes in a memory that begins later, at most


@dataclass(frozen=True)
class Unit:
    """A unit that was silenced.

    Attributes
    ----------
    layer, unit : from 0
    nats_per_note : what its silence costs; below 0, the model does better without it
    """

    layer: int
    unit: int
    nats_per_note: float

    @property
    def name(self) -> str:
        return f"{self.layer}/{self.unit}"


@dataclass(frozen=True)
class Account:
    """What was found out about a model.

    Attributes
    ----------
    notes : of all pieces
    half_life_notes, half_life : arrays, shape (layers, units)
        In notes; in beats, or seconds on a grid without beats.
    units : list of Unit
        The CANDIDATES of each layer, the one that matters most first.
    tried_on : notes on which they were silenced
    following : dict of aspect -> Following
    forgetting : array, shape (n,), n at most SINCE
        How many nats more an event costs when the memory holds only the last 1, 2, ... n notes: the mean over the
        first TRIED_ON events of the pieces.
    """

    notes: int
    half_life_notes: np.ndarray
    half_life: np.ndarray
    units: list[Unit]
    tried_on: int
    following: dict[str, Following]
    forgetting: np.ndarray


def explain(tracer: Tracer, pieces: Sequence[Trace], seed: int = 0) -> Account:
    """Find out about a model from pieces that were traced through it.

    The candidates are the units of each layer whose outputs vary most, weighted by the norm of the weights that lead
    from them. How much a unit matters is how much more the music costs when the unit is silenced: held at its mean, for
    the recurrence, the layers above and the heads alike, on the first TRIED_ON events of the pieces.

    Parameters
    ----------
    pieces : sequence of Trace, by `tracer`
    seed : of the control's shuffles

    Raises
    ------
    CorpusError
        There are fewer than LEAST_NOTES notes, or all stand at one onset.
    """
    notes = sum(len(trace) - 1 for trace in pieces)
    if notes < LEAST_NOTES or all(np.ptp(trace.sequence.notes["onset"]) == 0 for trace in pieces if len(trace) > 1):
        raise CorpusError(
            f"{counted(notes, 'note')}: expected {LEAST_NOTES} or more, at several onsets; give more music"
        )
    pieces = [trace for trace in pieces if len(trace) > 1]
    in_notes, in_time = half_lives(pieces, tracer.gates[0])
    units, tried_on = _units_that_matter(tracer, pieces)
    following = follow(pieces, np.random.default_rng(seed))
    return Account(notes, in_notes, in_time, units, tried_on, following, _forgetting(tracer, pieces))


def _units_that_matter(tracer: Tracer, pieces: Sequence[Trace]) -> tuple[list[Unit], int]:
    """The candidates of all layers, the one whose silence costs most first, and on how many notes that was tried."""
    outputs = np.concatenate([trace.outputs[1:] for trace in pieces])
    mean, deviation = outputs.mean(0), outputs.std(0)
    found = []
    tried_on = 0
    for layer in range(outputs.shape[1]):
        candidates = np.argsort(-deviation[layer] * tracer.influence(layer), kind="stable")[:CANDIDATES]
        lost, left, tried_on = np.zeros(len(candidates)), TRIED_ON, 0
        for trace in pieces:
            stop = min(left, len(trace))
            if stop == 0:
                break
            nats = tracer.nats_without(trace, layer, candidates, mean[layer, candidates], stop)
            lost += nats - trace.nats[:stop].sum()
            left -= stop
            tried_on += min(stop, len(trace) - 1)
        found += [Unit(layer, int(unit), float(cost) / tried_on) for unit, cost in zip(candidates, lost, strict=True)]
    return sorted(found, key=lambda unit: -unit.nats_per_note), tried_on


def _forgetting(tracer: Tracer, pieces: Sequence[Trace]) -> np.ndarray:
    """See `Account.forgetting`; pieces of fewer events than are compared are left out."""
    span = min(SINCE, max(len(trace) for trace in pieces) // 2)
    more, events, left = np.zeros(span), 0, TRIED_ON
    for trace in pieces:
        starts = np.arange(1, min(left, len(trace)) - span + 1)  # step 0 is where the memory begins anyway
        if len(starts) == 0:
            continue
        steps = starts + np.arange(span)[:, None]
        more += (tracer.nats_since(trace, steps) - trace.nats.sum(1)[steps]).sum(1)
        events += len(starts)
        left -= len(trace)
    return more / max(1, events)
