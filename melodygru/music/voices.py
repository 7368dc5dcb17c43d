"""Separating the melodic lines of a piece: parts where several play, lines within the one that does."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from melodygru.music.names import part_labels
from melodygru.music.notes import DRUMS, NoteSequence

_MAX_VOICES = 6  # of a part: where more sound at once there are no lines to tell apart
_LEGATO = 1 / 16  # quarter notes by which a note may sound into the next one of its voice


def voices(sequence: NoteSequence) -> tuple[np.ndarray, list[str]]:
    """Which voice each note belongs to.

    Where several parts play, a voice is a part. Where one plays up to six notes at once on a metrical grid, its
    voices are followed from the highest to the lowest: a chord's notes go, in order, to the voices that are free and
    whose last notes were nearest.

    Parameters
    ----------
    sequence : NoteSequence

    Returns
    -------
    voice : array of int, shape (n_notes,)
        Numbers into `names`.
    names : list of str
        What the parts are called (`names.part_labels`), or `voice 1` (the highest), `voice 2`, ...; none without notes.
    """
    notes, programs = sequence.notes, sequence.part_programs.tolist()
    if len(programs) == 1 and programs != [DRUMS] and sequence.grid.steps_per_beat is not None:
        legato = int(_LEGATO * sequence.grid.steps_per_beat)
        end = notes["onset"] + np.maximum(1, notes["duration"] - legato)
        chords = _chords(notes["onset"], end)
        n_voices = max(len(held) + last - first for held, first, last in chords)
        if 1 < n_voices <= _MAX_VOICES:
            return _followed(notes["pitch"].astype(int), chords, n_voices), [f"voice {1 + v}" for v in range(n_voices)]
    return notes["part"].astype(int), part_labels(sequence)


def _chords(onset: np.ndarray, end: np.ndarray) -> list[tuple[list[int], int, int]]:
    """For each onset the notes that sound on, and the first and the one past the last of those that begin."""
    starts = np.flatnonzero(np.append(True, onset[1:] != onset[:-1])).tolist()
    found: list[tuple[list[int], int, int]] = []
    held: list[int] = []
    for first, last in zip(starts, [*starts[1:], len(onset)], strict=True):
        held = [note for note in held if end[note] > onset[first]]
        found.append((held, first, last))
        held = [*held, *range(first, last)]
    return found


def _followed(pitch: np.ndarray, chords: list[tuple[list[int], int, int]], n_voices: int) -> np.ndarray:
    """The voice of each note, 0 the highest, of `_chords` of at most `n_voices` notes."""
    full = [[*held, *range(first, last)] for held, first, last in chords if len(held) + last - first == n_voices]
    at = np.mean([sorted(pitch[chord], reverse=True) for chord in full], axis=0).tolist()  # where each voice was last
    voice = np.zeros(len(pitch), int)
    for held, first, last in chords:
        sounding = {int(voice[note]): int(pitch[note]) for note in held}
        free = [v for v in range(n_voices) if v not in sounding]
        struck = sorted(range(first, last), key=lambda note: -pitch[note])
        choices = itertools.combinations(free, len(struck))
        best = min(choices, key=lambda choice: _cost(choice, pitch[struck].tolist(), at, sounding))
        for note, v in zip(struck, best, strict=True):
            voice[note], at[v] = v, int(pitch[note])
    return voice


def _cost(choice: Sequence[int], struck: list[int], at: list[float], sounding: dict[int, int]) -> float:
    """Semitones that the voices move which take the pitches struck, and an octave for each sounding one crossed."""
    taken = list(zip(choice, struck, strict=True))
    crossed = sum((other - pitch) * (v - beside) < 0 for v, pitch in taken for beside, other in sounding.items())
    return sum(abs(pitch - at[v]) for v, pitch in taken) + 12 * crossed
