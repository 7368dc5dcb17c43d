"""What is found out about a model from one piece or several: memory, units that matter, units that follow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from melodygru.analysis.explain.following import Following, follow
from melodygru.analysis.explain.memory import half_lives
from melodygru.errors import CorpusError
from melodygru.model.trace import Reader, Trace
from melodygru.util.wording import counted

LEAST_NOTES = 16
CANDIDATES = 16  # units of each layer that are silenced, one after the other
TRIED_ON = 512  # events on which each is
SINCE = 32  # notes that a memory holds which begins later, at most


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
    """What was found.

    Attributes
    ----------
    notes : of all pieces
    half_life_notes, half_life : arrays, shape (layers, units)
        In notes; in beats, or seconds on a grid without beats.
    units : list of Unit
        The CANDIDATES of each layer, that which matters most first.
    tried_on : notes that these were silenced on
    following : dict of aspect -> Following
    forgetting : array, shape (n,), n at most SINCE
        What an event costs more, in nats, when the memory holds the last 1, 2, ... n notes alone: the mean over the
        first TRIED_ON events of the pieces.
    """

    notes: int
    half_life_notes: np.ndarray
    half_life: np.ndarray
    units: list[Unit]
    tried_on: int
    following: dict[str, Following]
    forgetting: np.ndarray


def explain(reader: Reader, pieces: Sequence[Trace], seed: int = 0) -> Account:
    """Find out about a model from pieces that it heard.

    The candidates are the units of each layer whose outputs vary most, weighted by the norm of the weights by which
    they are heard. What one matters is what the music costs more when it is silent: held at its mean, in the
    recurrence, the layers above and the heads alike, on the first TRIED_ON events of the pieces.

    Parameters
    ----------
    pieces : sequence of Heard, by `reader`
    seed : of the control's shuffles

    Raises
    ------
    CorpusError
        There are fewer than LEAST_NOTES notes, or all stand at one onset.
    """
    notes = sum(len(heard) - 1 for heard in pieces)
    if notes < LEAST_NOTES or all(np.ptp(heard.sequence.notes["onset"]) == 0 for heard in pieces if len(heard) > 1):
        raise CorpusError(
            f"{counted(notes, 'note')}: expected {LEAST_NOTES} or more, at several onsets; give more music"
        )
    pieces = [heard for heard in pieces if len(heard) > 1]
    in_notes, in_time = half_lives(pieces, reader.gates[0])
    units, tried_on = _units_that_matter(reader, pieces)
    following = follow(pieces, np.random.default_rng(seed))
    return Account(notes, in_notes, in_time, units, tried_on, following, _forgetting(reader, pieces))


def _units_that_matter(reader: Reader, pieces: Sequence[Trace]) -> tuple[list[Unit], int]:
    """The candidates of all layers by what their silence costs, and on how many notes that was tried."""
    outputs = np.concatenate([heard.outputs[1:] for heard in pieces])
    mean, deviation = outputs.mean(0), outputs.std(0)
    found = []
    tried_on = 0
    for layer in range(outputs.shape[1]):
        candidates = np.argsort(-deviation[layer] * reader.influence(layer), kind="stable")[:CANDIDATES]
        lost, left, tried_on = np.zeros(len(candidates)), TRIED_ON, 0
        for heard in pieces:
            stop = min(left, len(heard))
            if stop == 0:
                break
            nats = reader.nats_without(heard, layer, candidates, mean[layer, candidates], stop)
            lost += nats - heard.nats[:stop].sum()
            left -= stop
            tried_on += min(stop, len(heard) - 1)
        found += [Unit(layer, int(unit), float(cost) / tried_on) for unit, cost in zip(candidates, lost, strict=True)]
    return sorted(found, key=lambda unit: -unit.nats_per_note), tried_on


def _forgetting(reader: Reader, pieces: Sequence[Trace]) -> np.ndarray:
    """See `Account.forgetting`; pieces of fewer events than are compared are left out."""
    span = min(SINCE, max(len(heard) for heard in pieces) // 2)
    more, events, left = np.zeros(span), 0, TRIED_ON
    for heard in pieces:
        starts = np.arange(1, min(left, len(heard)) - span + 1)  # step 0 is where the memory begins anyway
        if len(starts) == 0:
            continue
        steps = starts + np.arange(span)[:, None]
        more += (reader.nats_since(heard, steps) - heard.nats.sum(1)[steps]).sum(1)
        events += len(starts)
        left -= len(heard)
    return more / max(1, events)
