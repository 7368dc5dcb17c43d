"""Pieces that are the same music: other takes, transpositions, other tempos. Found by what their top lines share.

The top line has the highest note of each onset; n-grams of its intervals depend neither on key nor on tempo, and a
wrong note or a chord struck unevenly spoils only those around it. A piece is known by its SKETCH smallest n-grams as
hashed, a sample that is the same for the same music. Two pieces that have SHARED of them in common are relatives.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from melodygru.music.notes import DRUMS, NoteSequence
from melodygru.util.hashes import MIX

N_GRAM = 8  # intervals
SKETCH = 512  # n-grams of a piece, at most
SHARED = 14  # from here on two pieces are one
TOGETHER_S = 0.04  # performed chords are struck within it
PAIRED = 16  # pieces up to which all that share an n-gram are compared; of more, each with the next


def sketch(sequence: NoteSequence) -> np.ndarray:
    """The hashed n-grams by which a piece is known: at most SKETCH, ascending, uint32. Of drums alone, theirs."""
    notes, grid = sequence.notes, sequence.grid
    pitched = notes[notes["program"] != DRUMS]
    notes = pitched if len(pitched) else notes
    if len(notes) <= N_GRAM:
        return np.zeros(0, np.uint32)
    apart = 0 if grid.steps_per_second is None else int(TOGETHER_S * float(grid.steps_per_second))
    starts = np.flatnonzero(np.diff(notes["onset"].astype(np.int64), prepend=-1 - apart) > apart)
    top = np.maximum.reduceat(notes["pitch"].astype(np.int64), starts)
    steps = (np.diff(top) + 128).astype(np.uint64)
    n = max(0, len(steps) - N_GRAM + 1)
    hashed = np.zeros(n, np.uint64)
    for at in range(N_GRAM):
        hashed = (hashed ^ steps[at : at + n]) * np.uint64(MIX)
        hashed ^= hashed >> np.uint64(32)
    return np.unique((hashed >> np.uint64(16)).astype(np.uint32))[:SKETCH]


def families(sketches: Sequence[np.ndarray]) -> np.ndarray:
    """For each piece the first of its relatives, or of theirs, and so on: the same number for a family; int64."""
    n = len(sketches)
    family = np.arange(n)
    if n == 0:
        return family
    sizes = np.array([len(one) for one in sketches])
    grams, pieces = np.concatenate(sketches), np.repeat(family, sizes)
    order = np.argsort(grams, kind="stable")
    grams, pieces = grams[order], pieces[order]
    starts = np.flatnonzero(np.append(True, grams[1:] != grams[:-1])) if len(grams) else np.zeros(0, np.int64)
    held_by = np.repeat(np.diff(np.append(starts, len(grams))), np.diff(np.append(starts, len(grams))))
    found, counts = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for lag in range(1, PAIRED):
        alike = grams[lag:] == grams[:-lag]
        if lag > 1:
            alike &= held_by[lag:] <= PAIRED
        pairs, times = np.unique(pieces[:-lag][alike] * n + pieces[lag:][alike], return_counts=True)
        found.append(pairs)
        counts.append(times)
    pairs, which = np.unique(np.concatenate(found), return_inverse=True)
    shared = np.bincount(which, np.concatenate(counts), len(pairs))
    one, other = np.divmod(pairs, n)
    # A line too short for SHARED n-grams is another's where all are the same.
    whole = (sizes[one] == sizes[other]) & (shared == sizes[one])
    for a, b in zip(*(index[(shared >= SHARED) | whole].tolist() for index in (one, other)), strict=True):
        _join(family, a, b)
    return np.array([_first(family, at) for at in range(n)], np.int64)


def _first(family: np.ndarray, at: int) -> int:
    """The first of a piece's relatives; the way to it is shortened."""
    while family[at] != at:
        family[at] = family[family[at]]
        at = int(family[at])
    return at


def _join(family: np.ndarray, one: int, other: int) -> None:
    first, second = sorted((_first(family, one), _first(family, other)))
    family[second] = first
