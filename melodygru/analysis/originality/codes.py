"""What a note of a line is compared by: one number for its interval, its time since the note before, its duration.

A key is ``(step * 256 + time) * 256 + duration``:

step
    Of a pitched note 127 + the semitones from the pitched note before it in the line (-127..127), or 255 where none
    went before. Of a drum note 256 + its pitch, which transposition leaves alone.
time
    Class of the steps from the onset of the note before, 0 inside a chord.
duration
    Class of the steps that the note lasts.

The first note of a line follows nothing: its key is START and equals no other.

Classes of time (0..255): on a grid of beats each number of steps up to 127 is a class, longer ones share classes that
widen by 7%. On a grid of seconds, where no two performances agree to the step, they are half octaves: below 30 ms,
below 42 ms, below 60 ms, below 85 ms, and so on.
"""

from __future__ import annotations

import functools

import numpy as np

from melodygru.music.grid import Grid
from melodygru.music.notes import DRUMS

N_GRAM = 8  # notes of the shortest match that counts
START = np.uint32(0xFFFFFFFF)
N_KEYS = 384 << 16
EXACT_STEPS = 128  # on a grid of beats; 0..127 steps
LONGEST_STEPS = 1 << 20  # from here on, one class
TOGETHER_S = 0.03  # on a grid of seconds: chords are struck within it
LONGEST_S = 120.0
_NO_PITCH_BEFORE = 255
_DRUM = 256


@functools.cache
def time_edges(grid: Grid) -> np.ndarray:
    """Steps at which classes 1, 2, ... of a grid begin; ascending int64, at most 255."""
    if grid.steps_per_second is not None:
        octaves = np.arange(0, np.log2(LONGEST_S / TOGETHER_S), 0.5)
        edges = np.unique(np.ceil(TOGETHER_S * 2**octaves * float(grid.steps_per_second) - 1e-9))
    else:
        wide = np.geomspace(EXACT_STEPS, LONGEST_STEPS, 256 - EXACT_STEPS)
        edges = np.unique(np.concatenate([np.arange(1, EXACT_STEPS), np.round(wide)]))
    edges = edges[edges >= 1].astype(np.int64)
    edges.flags.writeable = False  # every caller shares it
    return edges


def keys(notes: np.ndarray, grid: Grid) -> np.ndarray:
    """The key of every note of a line.

    Parameters
    ----------
    notes : array, shape (n,), dtype NOTE, in canonical order
    grid : Grid
        Theirs.

    Returns
    -------
    array, shape (n,), dtype uint32
        Below N_KEYS; the first is START.
    """
    if len(notes) == 0:
        return np.zeros(0, np.uint32)
    edges = time_edges(grid)
    pitches = notes["pitch"].astype(np.int64)
    pitched = np.flatnonzero(notes["program"] != DRUMS)
    steps = _DRUM + pitches
    steps[pitched[1:]] = 127 + np.diff(pitches[pitched])
    steps[pitched[:1]] = _NO_PITCH_BEFORE
    times = np.searchsorted(edges, np.diff(notes["onset"], prepend=notes["onset"][:1]), "right")
    durations = np.searchsorted(edges, notes["duration"], "right")
    found = ((steps << 16) | (times << 8) | durations).astype(np.uint32)
    found[0] = START
    return found


def lines(notes: np.ndarray) -> dict[int, np.ndarray]:
    """Program -> its notes; of a piece of one program nothing, for there the line of all voices says it."""
    programs = np.unique(notes["program"])
    if len(programs) < 2:
        return {}
    return {int(program): notes[notes["program"] == program] for program in programs}
