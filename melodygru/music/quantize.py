"""Putting a piece on another grid."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np

from melodygru.music.grid import Grid
from melodygru.music.notes import (
    Changes,
    NoteSequence,
    canonical,
    default_metres,
    default_tempos,
    renamed,
    tidy_marks,
    unchecked,
)


def _rescale(steps: np.ndarray, ratio: Fraction) -> np.ndarray:
    """steps * ratio to the nearest integer, halves up, without a float's error."""
    largest = 2 * max(1, int(steps.max(initial=0))) * ratio.numerator + 2 * ratio.denominator
    exact = steps if largest < 2**63 else steps.astype(object)  # Python's integers where 64 bits would overflow
    rescaled = (2 * exact * ratio.numerator + ratio.denominator) // (2 * ratio.denominator)
    return np.asarray(rescaled).astype(np.int64)


def _elapsed(tempos: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Time at steps of a metrical grid, exactly: in microseconds times the grid's steps per beat."""
    starts, tempo = tempos["step"], tempos["tempo"]
    if len(tempos) == 1:
        return steps * tempo[0]
    at_start = np.concatenate([[0], np.cumsum(np.diff(starts) * tempo[:-1])])
    segment = np.searchsorted(starts, steps, side="right") - 1
    return at_start[segment] + (steps - starts[segment]) * tempo[segment]


def converter(sequence: NoteSequence, grid: Grid) -> tuple[Callable[[np.ndarray], np.ndarray], Fraction]:
    """What turns steps of a piece, an array of any shape, into another grid's; and how many of these a step has.

    The second value means nothing where the piece's time is in beats and the grid's in seconds: tempos decide.
    """
    beat = sequence.grid.steps_per_beat
    if grid.steps_per_second is not None:
        ratio = grid.steps_per_second / (sequence.grid.steps_per_second or 1_000_000 * (beat or 1))
        if beat is not None:
            return lambda steps: _rescale(_elapsed(sequence.tempos, steps), ratio), ratio
    else:
        assert grid.steps_per_beat is not None
        ratio = grid.steps_per_beat / (beat or 1)
        if beat is None:
            assert sequence.grid.steps_per_second is not None
            second_per_beat = Fraction(int(sequence.tempos["tempo"][0]), 1_000_000)
            ratio = grid.steps_per_beat / second_per_beat / sequence.grid.steps_per_second
    return lambda steps: _rescale(np.asarray(steps, np.int64), ratio), ratio


def quantize(sequence: NoteSequence, grid: Grid) -> tuple[NoteSequence, Changes, np.ndarray]:
    """Put a piece on another grid.

    Onsets and ends go to the nearest step (halves up); a note lasts at least one step. On a grid of seconds the
    tempo is spent in the process, so tempo and metre become MIDI's defaults.

    Parameters
    ----------
    sequence : NoteSequence
    grid : Grid
        A grid of seconds can't become a metrical one, except through its first tempo.

    Returns
    -------
    sequence : NoteSequence
    changes : Changes
        What the coarser grid made coincide.
    error_s : array, shape (n_notes,)
        How far each onset of the input moved, in seconds.
    """
    old = sequence.notes
    ends = old["onset"] + old["duration"]

    convert, ratio = converter(sequence, grid)
    if grid.steps_per_second is not None:
        tempos, metres = default_tempos(), default_metres()
    else:
        tempos, metres = _move_marks(sequence.tempos, convert), _move_marks(sequence.metres, convert)

    keys = _move_marks(sequence.keys, convert)
    notes = old.copy()
    notes["onset"] = convert(old["onset"])
    notes["duration"] = np.maximum(1, convert(ends) - notes["onset"])
    moved, names = notes["onset"], renamed(sequence.names, notes)
    notes, changes = canonical(notes)
    end = int((notes["onset"] + notes["duration"]).max()) if len(notes) else 0
    length = max(end, int(convert(np.asarray(sequence.length))))
    result = unchecked(notes, grid, length, tempos, metres, names, keys)
    if grid.is_metrical:
        # On the old grid, since marks of tempo move as well: they are no error of the notes.
        error_s = np.abs(sequence.step2second(moved / float(ratio)) - sequence.step2second(old["onset"]))
    else:
        error_s = np.abs(moved / grid.rate - sequence.step2second(old["onset"]))
    return result, changes, error_s


def _move_marks(marks: np.ndarray, convert) -> np.ndarray:
    """Marks at new steps; of several that fall on one step the last holds; repetitions of a value go."""
    moved = marks.copy()
    moved["step"] = convert(marks["step"])
    return tidy_marks(moved)
