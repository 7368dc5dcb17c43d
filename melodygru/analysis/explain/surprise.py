"""Which notes surprised a model most, and what it expected instead."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from melodygru.events import FIELDS
from melodygru.model.trace import Trace

ALTERNATIVES = 3


@dataclass(frozen=True)
class Surprise:
    """A note, or the piece's end, that cost many nats.

    Attributes
    ----------
    note : its number in the piece, from 0; the end's is the number of notes
    nats : what it cost
    field : which field cost most of it
    field_nats : and how much
    came : the class of that field in the piece
    probability : of `came`, before the charge for a wide time class
    alternatives : list of (class, probability), the most probable of the others first
    """

    note: int
    nats: float
    field: str
    field_nats: float
    came: int
    probability: float
    alternatives: list[tuple[int, float]]


def most_surprising(trace: Trace, n: int) -> list[Surprise]:
    """The `n` events of a piece that cost most nats, the costliest first."""
    total = trace.nats.sum(1)
    found = []
    for note in np.argsort(-total, kind="stable")[:n].tolist():
        column = int(trace.nats[note].argmax())
        field = FIELDS[column]
        probabilities = np.exp(trace.log_p[field][note].astype(np.float64))
        came = int(trace.events.fields[note, column])
        order = [int(c) for c in np.argsort(-probabilities, kind="stable") if c != came and probabilities[c] > 0]
        found.append(
            Surprise(
                note,
                float(total[note]),
                field,
                float(trace.nats[note, column]),
                came,
                float(probabilities[came]),
                [(c, float(probabilities[c])) for c in order[:ALTERNATIVES]],
            )
        )
    return found
