"""Gaps that training leaves in pieces: bars of some parts, towards which the model is shown the notes that stay."""

from __future__ import annotations

import math

import numpy as np

from melodygru.events.kept import Kept
from melodygru.music.notes import DRUMS, NoteSequence

SHOWN = 1 / 4  # how often a piece has gaps
WHOLE = 0.15  # how often of these times a gap is the whole piece
SCATTERED = 0.15  # how often some of the notes of the parts stay inside it
ALL_PARTS, ONE_PART = 1 / 3, 1 / 3  # how often all parts are open, and how often one is; else any number of them
LONGEST = 16  # bars of a gap, or of what lies between two
UNIT_S = 2.0  # seconds that count as a bar where there are none


def with_gaps(sequence: NoteSequence, rng: np.random.Generator) -> Kept | None:
    """What stays of a piece in which gaps are drawn; None of one without notes.

    Gaps, and what lies between them, last 1 to LONGEST bars, short ones as often as long ones.
    """
    notes, length = sequence.notes, sequence.length
    n_parts = len(sequence.part_programs)
    if not n_parts:
        return None
    if sequence.grid.is_metrical:
        lines = sequence.bar_starts()
    else:
        lines = np.arange(0, length, max(1, round(UNIT_S * sequence.grid.rate)))
    kind = rng.random()
    n = n_parts if kind < ALL_PARTS else 1 if kind < ALL_PARTS + ONE_PART else int(rng.integers(1, n_parts + 1))
    open_parts = rng.permutation(n_parts)[:n]
    whole, scattered = rng.random(2) < (WHOLE, SCATTERED)
    edges = [0, length] if whole else _edges(lines[lines < length], length, rng)
    gaps = tuple(zip(edges[::2], edges[1::2], strict=True))
    goes = np.isin(notes["part"], open_parts)
    if scattered:
        goes &= rng.random(len(notes)) < rng.random()
    goes &= np.searchsorted(edges, notes["onset"], side="right") % 2 == 1
    stay = notes[~goes]
    return Kept(
        stay["onset"].astype(np.int64),
        stay["part"].astype(np.int64),
        stay["pitch"].astype(np.int64),
        stay["program"] != DRUMS,
        gaps,
        frozenset(open_parts.tolist()),
    )


def _edges(lines: np.ndarray, length: int, rng: np.random.Generator) -> list[int]:
    """Where gaps begin and end, by turns."""
    edges: list[int] = []
    at = int(rng.integers(0, min(len(lines), LONGEST)))
    while at < len(lines):
        edges.append(int(lines[at]))
        at += _duration(rng)
        edges.append(int(lines[at]) if at < len(lines) else length)
        at += _duration(rng)
    return edges


def _duration(rng: np.random.Generator) -> int:
    """Bars, each octave of them as often."""
    return round(math.exp(rng.uniform(0, math.log(LONGEST))))
