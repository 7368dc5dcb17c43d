"""What training changes in the pieces of a corpus: where they begin, and mistakes among their notes."""

from __future__ import annotations

import dataclasses

import numpy as np

from melodygru.music.metre import steps_per_bar
from melodygru.music.notes import ONSET_KEYS, NoteSequence, canonical, note_keys

# How often a piece that repeats itself begins later, after a multiple of so many bars, and the notes it keeps at least.
EXCERPTS, EXCERPT_BARS, EXCERPT_NOTES = 0.5, 4, 16
# How many pieces that repeat themselves have mistakes in an epoch, the share of their notes that are, at most; and the
# share of its notes from which on a piece repeats itself, and the bars that it may lie back.
MISTAKEN, MISTAKES = 0.5, 0.3
REPEATED, REPEATED_BARS = 0.6, (1, 2, 4, 8)


def beginnings(sequence: NoteSequence) -> np.ndarray:
    """Steps from which on an excerpt of a piece may begin, the piece's own beginning, 0, among them.

    Of beginnings a corpus has few, one a piece, and all that is composed begins: a band that repeats itself can as
    well begin in its middle. Shape (n,), ascending.
    """
    if len(sequence.metres) > 1 or not repeats_itself(sequence):
        return np.zeros(1, np.int64)
    steps = np.arange(0, sequence.length, EXCERPT_BARS * steps_per_bar(sequence.grid, sequence.metre))
    left = len(sequence) - np.searchsorted(sequence.notes["onset"], steps)
    return steps[(steps == 0) | (left >= EXCERPT_NOTES)]


def excerpt(sequence: NoteSequence, start: int) -> NoteSequence:
    """A piece from a step on, without the notes that sound there already."""
    if not start:
        return sequence
    notes = sequence.notes[np.searchsorted(sequence.notes["onset"], start) :].copy()
    notes["onset"] -= start
    notes, _ = canonical(notes)
    return dataclasses.replace(
        sequence, notes=notes, length=sequence.length - start, tempos=sequence.tempos[:1], names=()
    )


def with_mistakes(sequence: NoteSequence, rng: np.random.Generator) -> tuple[NoteSequence, np.ndarray]:
    """A piece with notes put at another pitch or time, added and left out, and which are odd, shape (n_notes,), bool.

    What is composed strays now and then; a model that has seen only whole pieces then takes a piece that repeats itself
    for one that never does. The notes themselves are not learned, only what follows them. About as many are added
    as are left out: with fewer, what follows would be denser than what came before, and so would what is composed.
    """
    share = rng.uniform(0, MISTAKES)
    notes = sequence.notes.copy()
    odd = np.flatnonzero(rng.random(len(notes)) < share)
    kind = rng.integers(0, 4, len(odd))
    repitched, moved, gone, twice = (odd[kind == k] for k in range(4))
    twice = twice[: len(gone)]  # a piece doesn't grow: its windows are counted before
    same = np.argsort(notes["part"], kind="stable")
    place = np.empty(len(notes), np.int64)
    place[same] = np.arange(len(notes))
    near = same[np.clip(place[repitched] + rng.integers(-16, 17, len(repitched)), 0, len(notes) - 1)]
    other = notes["part"][near] == notes["part"][repitched]
    notes["pitch"][repitched[other]] = notes["pitch"][near[other]]
    added = notes[twice]
    for some, index, origin in ((notes, moved, moved), (added, np.arange(len(added)), twice)):
        near = np.clip(origin + rng.integers(-16, 17, len(origin)), 0, len(notes) - 1)
        some["onset"][index] = np.minimum(sequence.notes["onset"][near], sequence.length - some["duration"][index])
    notes["velocity"][np.concatenate([repitched, moved])] += 128
    added["velocity"] += 128
    notes, _ = canonical(np.concatenate([np.delete(notes, gone), added]))
    marked = notes["velocity"] >= 128
    notes["velocity"][marked] -= 128
    return dataclasses.replace(sequence, notes=notes, names=()), marked


def repeats_itself(sequence: NoteSequence) -> bool:
    """Whether most notes of a piece of several parts stood, in the same part, 1, 2, 4 or 8 bars before."""
    notes = sequence.notes
    if not sequence.grid.is_metrical or not notes["part"].any():
        return False
    bar, key = steps_per_bar(sequence.grid, sequence.metre), note_keys(notes)
    stood = np.isin(key[:, None] - ONSET_KEYS * bar * np.array(REPEATED_BARS), key).any(1)
    return bool(stood.mean() >= REPEATED)
