"""Pitch classes, keys and key signatures."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from melodygru.music.notes import DRUMS, NoteSequence

DIATONIC = np.array([0, 2, 4, 5, 7, 9, 11])  # pitch classes of C major, which A minor shares


class KeySignature(NamedTuple):
    """A key signature as it is written.

    Attributes
    ----------
    fifths : sharps, or flats below zero
    minor : whether its key is a minor one
    """

    fifths: int
    minor: bool = False


def fifths_name(place: int) -> str:
    """The name of a pitch class by its place on the line of fifths: `C` at 0, `G` at 1, `Bb` at -2, `F#` at 6."""
    octave, letter = divmod(place + 1, 7)
    return "FCGDAEB"[letter] + ("#" * octave if octave > 0 else "b" * -octave)


def key_name(key: KeySignature) -> str:
    """The name of a key: `Bb major`, `F# minor`."""
    return f"{fifths_name(key.fifths + 3 * key.minor)} {'minor' if key.minor else 'major'}"


def pitch_class_weights(sequence: NoteSequence) -> np.ndarray:
    """Total duration of each pitch class, in steps, drums left out. Shape (12,), C first."""
    notes = sequence.notes[sequence.notes["program"] != DRUMS]
    return np.bincount(notes["pitch"] % 12, weights=notes["duration"], minlength=12)


def key_signature(sequence: NoteSequence) -> int | None:
    """The key signature of a piece by its notes, see `estimate_key`: semitones from C to its major key's tonic, 0..11.

    A piece in a major key and one in its relative minor share a signature. None for a piece without pitches.
    """
    notes = sequence.notes[sequence.notes["program"] != DRUMS]
    return int(np.argmax(_scores(notes))) if len(notes) else None


def estimate_key(notes: np.ndarray) -> KeySignature:
    """The key signature in which a musician would write notes, by the notes alone.

    Parameters
    ----------
    notes : array, shape (n,), dtype NOTE

    Returns
    -------
    key : KeySignature
        Five flats to six sharps, or six flats where the key is minor (E flat minor rather than D sharp minor); C major
        for no notes. It is called minor where the last bass note, or else most of the time, says so.

    Notes
    -----
    A logistic regression over the twelve signatures, on the square roots of each pitch class's share of the time and of
    the notes, and on the first and the last bass note; fitted by `benchmarks/keys.py --fit` on pieces whose signature
    is known. What it knows of harmonic minor is the weight of G sharp in a piece without signature.
    """
    notes = notes[notes["program"] != DRUMS]
    if not len(notes):
        return KeySignature(0)
    tonic = int(np.argmax(_scores(notes)))
    time, _, last, _ = np.roll(_pitch_classes(notes), -tonic, axis=1)
    minor = bool(last[9] or not last[0] and time[9] + time[4] + time[8] > time[0] + time[7] + time[10])
    fifths = (7 * tonic + 5) % 12 - 5
    return KeySignature(-6 if fifths == 6 and minor else fifths, minor)


# For the signature of C, by pitch class from C on: of the time, of the notes, of the last bass note, of the first.
_WEIGHTS = np.array(
    [
        (4.7, -2.6, 0.1, -4.0, 4.1, 2.8, -4.6, 2.0, 0.4, 1.5, -5.1, 2.9),
        (3.9, -2.7, 0.7, -4.7, 3.8, 3.5, -4.8, 3.6, 0.6, 0.7, -5.1, 4.0),
        (0.6, -0.2, -0.3, 0.0, -0.1, -0.1, -0.1, -0.7, 0.0, 1.1, 0.0, -0.1),
        (0.6, 0.2, -0.4, -1.5, 0.8, -0.9, -0.2, 0.9, 1.1, -0.2, -0.3, -0.2),
    ]
)


def _pitch_classes(notes: np.ndarray) -> np.ndarray:
    """What `estimate_key` looks at, shape (4, 12): of notes that aren't drums, one at least."""
    pitch_class, ends = notes["pitch"] % 12, notes["onset"] + notes["duration"]
    time = np.bincount(pitch_class, weights=notes["duration"], minlength=12)
    number = np.bincount(pitch_class, minlength=12)
    last = notes["pitch"][ends > notes["onset"].max()].min() % 12
    first = notes["pitch"][notes["onset"] == notes["onset"].min()].min() % 12
    bass = [np.arange(12) == pitch for pitch in (last, first)]
    return np.stack([np.sqrt(time / time.sum()), np.sqrt(number / len(notes)), *bass])


def _scores(notes: np.ndarray) -> np.ndarray:
    """How well each signature, 0..11 semitones above C, fits notes that aren't drums; shape (12,)."""
    found = _pitch_classes(notes)
    return np.array([np.sum(_WEIGHTS * np.roll(found, -tonic, axis=1)) for tonic in range(12)])


def commonest_share(signatures: Iterable[int | None]) -> float:
    """Share of the key signatures that are the commonest one, None left out; 0 for none."""
    found = [key for key in signatures if key is not None]
    return max(np.bincount(found)) / len(found) if found else 0.0
