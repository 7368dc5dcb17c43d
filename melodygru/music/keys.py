"""Pitch classes and keys."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from melodygru.music.notes import DRUMS, NoteSequence

DIATONIC = np.array([0, 2, 4, 5, 7, 9, 11])  # pitch classes of C major, which A minor shares


def pitch_class_weights(sequence: NoteSequence) -> np.ndarray:
    """Total duration of each pitch class, in steps, drums left out. Shape (12,), C first."""
    notes = sequence.notes[sequence.notes["program"] != DRUMS]
    return np.bincount(notes["pitch"] % 12, weights=notes["duration"], minlength=12)


def key_signature(sequence: NoteSequence) -> int | None:
    """Which transposition of the white keys holds most of a piece's time: 0..11 semitones above C, None for no notes.

    A piece in a major key and one in its relative minor share a signature; the lower number wins a tie.
    """
    weights = pitch_class_weights(sequence)
    if not weights.any():
        return None
    inside = [weights[(DIATONIC + tonic) % 12].sum() for tonic in range(12)]
    return int(np.argmax(inside))


def commonest_share(signatures: Iterable[int | None]) -> float:
    """Share of the key signatures that are the commonest one, None left out; 0 for none."""
    found = [key for key in signatures if key is not None]
    return max(np.bincount(found)) / len(found) if found else 0.0
