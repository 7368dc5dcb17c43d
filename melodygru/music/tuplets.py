"""How the beats of a piece are divided, where its notes are written exactly: in 5, 7, 9 and 10 parts, too."""

from __future__ import annotations

import numpy as np

from melodygru.music.grid import Grid
from melodygru.music.notes import NoteSequence, canonical, renamed
from melodygru.music.quantize import quantize

COMMON = (1, 2, 3, 4, 6, 8, 12, 16, 24)  # notes in a beat that a grid of the model has
TUPLETS = (5, 7, 9, 10)
FINE = Grid.beats(5040)  # holds all of them
TOLERANCE = 1.0  # ticks: what rounding to ticks costs, half a tick, or cutting fractions off
EXACT_SHARE = 0.9  # of a piece's onsets, from which on it is written and not played
LEAST_TICKS = 96  # per beat; with fewer everything lies on some division


def divisions(onsets: np.ndarray, ticks_per_beat: int) -> tuple[np.ndarray, np.ndarray]:
    """The smallest division that holds all onsets of a beat.

    Parameters
    ----------
    onsets : array of int, ticks, ascending
    ticks_per_beat : int

    Returns
    -------
    beats : array of int, shape (n,)
        The beats in which something begins, ascending, counted in quarter notes from tick 0.
    division : array of int, shape (n,)
        Of each, one of COMMON or TUPLETS; 0 where none holds them.
    """
    if not len(onsets):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    beat, phase = np.divmod(onsets, ticks_per_beat)
    beats, at = np.unique(beat, return_inverse=True)
    found = np.zeros(len(beats), np.int64)
    for division in sorted((*COMMON, *TUPLETS)):
        step = ticks_per_beat / division
        misses = np.bincount(at, np.abs(phase - np.round(phase / step) * step) > TOLERANCE, len(beats))
        found = np.where((found == 0) & (misses == 0), division, found)
    return beats, found


def in_tuplets(sequence: NoteSequence) -> np.ndarray:
    """Which notes begin in a beat that is divided in 5, 7, 9 or 10, shape (n,), bool.

    None in a piece that isn't written exactly, or whose ticks are too coarse or no part of a beat.
    """
    of, exact = _of_notes(sequence)
    return np.isin(of, TUPLETS) & exact


def _of_notes(sequence: NoteSequence) -> tuple[np.ndarray, bool]:
    """The division of the beat in which each note begins, and whether the piece is written exactly."""
    rate, onsets = sequence.grid.steps_per_beat, sequence.notes["onset"]
    if rate is None or rate.denominator != 1 or rate < LEAST_TICKS or not len(onsets):
        return np.zeros(len(onsets), np.int64), False
    beats, division = divisions(onsets, int(rate))
    of = division[np.searchsorted(beats, onsets // int(rate))]
    return of, float(np.mean(of > 0)) >= EXACT_SHARE


def for_score(sequence: NoteSequence, grid: Grid) -> tuple[NoteSequence, list[int]]:
    """A piece on the grid that its score is written on, and the bars, counted from 1, whose onsets had to be rounded.

    Parameters
    ----------
    sequence : NoteSequence
        In file ticks.
    grid : Grid
        The metrical grid that suits most of the piece.

    Returns
    -------
    sequence : NoteSequence
        On `grid`; or on FINE, with every beat in its own division, where there are tuplets of 5, 7, 9 or 10. Ends are
        rounded like the onsets of their beat.
    rounded : list of int
        Bars with an onset that moved by more than a tick, and by more than a hundredth of a beat.
    """
    rate = sequence.grid.steps_per_beat
    if not in_tuplets(sequence).any():
        result = quantize(sequence, grid)[0]
        onsets = sequence.notes["onset"]
        moved = (
            _rounded(onsets, float(rate / grid.steps_per_beat)) - onsets if rate and grid.steps_per_beat else 0 * onsets
        )
        return result, _bars(sequence, moved)
    assert rate is not None and grid.steps_per_beat is not None and FINE.steps_per_beat is not None
    ticks_per_beat, notes = int(rate), sequence.notes
    beats, found = divisions(notes["onset"], ticks_per_beat)
    usual = int(grid.steps_per_beat) if grid.steps_per_beat.denominator == 1 else 1
    found = np.where(np.isin(found, TUPLETS), found, usual)

    def division(ticks: np.ndarray) -> np.ndarray:
        at = np.minimum(np.searchsorted(beats, ticks // ticks_per_beat), len(beats) - 1)
        return np.where(beats[at] == ticks // ticks_per_beat, found[at], usual)

    def fine(ticks: np.ndarray) -> np.ndarray:
        """Ticks on FINE, each at the nearest place of its beat's division."""
        beat, phase = np.divmod(ticks, ticks_per_beat)
        parts = division(ticks)
        return (
            beat * int(FINE.rate)
            + np.floor(phase * parts / ticks_per_beat + 0.5).astype(np.int64) * int(FINE.rate) // parts
        )

    placed = notes.copy()
    placed["onset"] = fine(notes["onset"])
    ends = fine(notes["onset"] + notes["duration"])
    placed["duration"] = np.maximum(ends - placed["onset"], int(FINE.rate) // division(notes["onset"]))
    moved = placed["onset"] * (ticks_per_beat / FINE.rate) - notes["onset"]
    names = renamed(sequence.names, placed)
    result = quantize(
        NoteSequence(notes[:0], sequence.grid, sequence.length, sequence.tempos, sequence.metres, (), sequence.keys),
        FINE,
    )[0]
    placed, _ = canonical(placed)
    end = int((placed["onset"] + placed["duration"]).max())
    return (
        NoteSequence(placed, FINE, max(end, result.length), result.tempos, result.metres, names, result.keys),
        _bars(sequence, moved),
    )


def _rounded(ticks: np.ndarray, step: float) -> np.ndarray:
    """Ticks at the nearest multiple of a step."""
    return np.floor(ticks / step + 0.5) * step


def _bars(sequence: NoteSequence, moved: np.ndarray) -> list[int]:
    """The bars, from 1, in which a note of the piece, by ticks `moved`, is elsewhere than it was."""
    far = np.abs(moved) > max(TOLERANCE, 0.01 * sequence.grid.rate)
    return (np.unique(sequence.bars.at(sequence.notes["onset"][far]).bar) + 1).tolist()
