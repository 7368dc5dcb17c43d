"""How long units remember."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from melodygru.model.trace import Trace

PERCENTILES = (5, 25, 50, 75, 95)


def half_lives(pieces: Sequence[Trace], keeping: str) -> tuple[np.ndarray, np.ndarray]:
    """Half-lives of units: after how long half of what a unit holds is left, by its own gate alone.

    At each note a GRU's h' = z h + (1 - z) candidate keeps the share z of what was there, an LSTM's memory the share f.
    Over many notes the geometric mean counts: half is left after ln 0.5 / mean(ln z) notes. What a unit passes on to
    others and gets back from them is not counted.

    Parameters
    ----------
    pieces : sequence of Trace
    keeping : name of the gate: "update" or "forget"

    Returns
    -------
    notes, time : arrays, shape (layers, units)
        In notes, and in beats (quarter notes), or in seconds on a grid without beats; infinite where nothing is
        forgotten. Time is that from the first onset to the last, shared among the notes.
    """
    n_notes, elapsed = 0, 0.0
    forgotten: np.ndarray | float = 0.0
    for trace in pieces:
        gate = trace.gates[keeping][1:]  # row 0 is the start of the piece, no note
        forgotten = forgotten + np.log(gate.astype(np.float64)).sum(0)
        n_notes += len(gate)
        onset = trace.sequence.notes["onset"]
        grid = trace.sequence.grid
        rate = grid.rate
        if len(onset) > 1:  # the last note's time ends with the piece's notes: as long as the mean of the others
            elapsed += float(onset[-1] - onset[0]) / rate * len(onset) / (len(onset) - 1)
    with np.errstate(divide="ignore"):
        notes = np.log(0.5) * n_notes / -np.abs(forgotten)  # never +0.0, whose quotient is negative
    return notes, notes * (elapsed / max(1, n_notes))
