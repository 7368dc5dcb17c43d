"""How far music goes: the extremes of a piece that a guard holds composed music against.

`extremes` measures a finished piece at a stroke; `compose.degeneration` follows the same measures note by note.
A loop's extent is its notes over those that are allowed to a loop of its length, see `allowed`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from melodygru.music.diversity import WINDOW, least_diversity
from melodygru.music.notes import DRUMS, N_PITCHES, NoteSequence

LONGEST_LOOP = 48  # notes
PHRASE_NOTES = 16  # a loop of more notes is a whole phrase, which music repeats more often
REPEATS, REPEATED = 4, 16  # how often a loop is repeated, and notes that these repeats are, at least
DRUM_PATIENCE = 4  # drums alone may repeat themselves so many times as often
RARE = 0.001  # share of the pieces, those that go farthest, that are left out
LEAST_DIVERSITY = 12  # of a corpus that is not known; Nottingham has 21, a trill of a MAESTRO performance 16
MARGIN = 1.25  # of what the corpus does, as music that it lacks goes farther
ENOUGH, FEWER, WIDEST = 400, 0.3, 2.0  # pieces; the margin of n, fewer ones, is (ENOUGH / n) ** FEWER as wide, at most


class Extremes(NamedTuple):
    """The farthest that music goes in each respect.

    Attributes
    ----------
    silence, duration : steps of the longest silence and note
    onset, sounding : most notes that begin, and that sound, together
    one, two : most notes in a row on one pitch, and on two; drums left out
    exact, alike : extent of the longest loop, with times and durations, and in part and pitch alone
    line : likewise of the notes of one line, with times and durations
    trigrams : the fewest different ones among `diversity.WINDOW` notes
    """

    silence: float = 0.0
    duration: float = 0.0
    onset: float = 0.0
    sounding: float = 0.0
    one: float = 0.0
    two: float = 0.0
    exact: float = 0.0
    alike: float = 0.0
    line: float = 0.0
    trigrams: float = float(WINDOW)


def line_of(notes: np.ndarray) -> np.ndarray:
    """The line that each note belongs to, shape (n,): its part."""
    return notes["part"].astype(np.int64)


def allowed(lag: int) -> int:
    """Notes that may repeat those `lag` notes before; short loops, and whole phrases, may come more often."""
    return max(REPEATED, min(6 * lag, 24), (REPEATS + (lag > PHRASE_NOTES)) * lag)


def extremes(piece: NoteSequence) -> Extremes:
    """Those of a piece with at least one note."""
    notes = piece.notes
    onset, end = notes["onset"], notes["onset"] + notes["duration"]
    sounds = line_of(notes) * N_PITCHES + notes["pitch"]
    drums = notes["program"] == DRUMS
    latest = np.maximum.accumulate(end)
    first = np.flatnonzero(np.diff(onset, prepend=-1))  # note of each onset
    together = np.diff(first, append=len(notes))
    # What sounds when the last note of an onset has begun.
    sounding = first + together - np.searchsorted(np.sort(end), onset[first], side="right")
    one, two = _on_few(sounds[~drums])
    by_line = np.argsort(line_of(notes), kind="stable")
    trigrams = least_diversity(notes)
    return Extremes(
        silence=float(max(onset[0], *(onset[1:] - latest[:-1]), piece.length - latest[-1], 0)),
        duration=float(notes["duration"].max()),
        onset=float(together.max()),
        sounding=float(sounding.max()),
        one=float(one),
        two=float(two),
        exact=_loop(_timed(notes, sounds), drums),
        alike=_loop(sounds, drums, 48),
        line=_loop(_timed(notes[by_line], sounds[by_line]), drums[by_line]),
        trigrams=float(WINDOW if trigrams is None else trigrams),
    )


def limits(pieces: Sequence[Extremes]) -> Extremes:
    """How far music like these pieces may go: as far as they do, the rarest left out, and a little farther.

    The fewer they are, the farther: of 90 performances the farthest is often passed by the next one.
    """
    values = np.array(pieces)
    margin = MARGIN * min(max(1.0, (ENOUGH / len(pieces)) ** FEWER), WIDEST)
    farthest = np.quantile(values, 1 - RARE, axis=0, method="higher") * margin
    diverse = values[values[:, -1] < WINDOW, -1]  # of the pieces that fill a window
    fewest = np.floor(np.quantile(diverse, RARE, method="lower") / margin) if len(diverse) else LEAST_DIVERSITY
    return Extremes(*(round(float(value), 3) for value in (*farthest[:-1], fewest)))


def _timed(notes: np.ndarray, sounds: np.ndarray) -> np.ndarray:
    """A number for each note's shift, duration and sound."""
    shift = np.clip(np.diff(notes["onset"], prepend=0), 0, (1 << 17) - 1)
    return (shift << 46) | (np.minimum(notes["duration"], (1 << 24) - 1) << 22) | sounds


def _on_few(sounds: np.ndarray) -> tuple[int, int]:
    """Most notes in a row on one sound, and on two."""
    if not len(sounds):
        return 0, 0
    starts = np.flatnonzero(np.diff(sounds, prepend=-1))  # of the runs on one sound
    ends = np.append(starts[1:], len(sounds))
    one = int((ends - starts).max())
    # A run belongs to the same two sounds as the last two runs where it returns to the one before the last.
    other = np.flatnonzero(np.append(sounds[starts][2:] != sounds[starts][:-2], True))
    from_run = np.insert(other[:-1] + 1, 0, 0)
    two = int((ends[np.minimum(other + 1, len(ends) - 1)] - starts[from_run]).max())
    return one, two


def _loop(codes: np.ndarray, drums: np.ndarray, least: int = REPEATED) -> float:
    """The greatest extent of a loop of at most LONGEST_LOOP notes; 0 where none is worth a look."""
    pitched = np.append(0, np.cumsum(~drums))
    extent = 0.0
    for lag in range(1, min(LONGEST_LOOP, len(codes) - 1) + 1):
        other = np.flatnonzero(np.append(codes[lag:] != codes[:-lag], True))
        starts = np.insert(other[:-1] + 1, 0, 0)
        runs = other - starts
        patience = np.where(pitched[other + lag] == pitched[starts], DRUM_PATIENCE, 1)
        extent = max(extent, float((runs / patience).max()) / max(least, allowed(lag)))
    return extent
