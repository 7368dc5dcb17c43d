"""What a set of pieces holds, in counts: what a report on a corpus draws.

Conventions
-----------
Pieces are read one at a time and forgotten; what is kept grows by a few numbers a piece. Drums have no key, no range
and no meaningful length: they count by key struck, for velocities, and as notes that sound.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from melodygru.analysis.style.features import LENGTH_BEATS, LENGTH_S, LENGTHS, LENGTHS_S, _nearest
from melodygru.music.keys import DIATONIC, key_signature, pitch_class_weights
from melodygru.music.notes import DRUMS, N_PITCHES, N_PROGRAMS, NoteSequence


@dataclass(frozen=True)
class Survey:
    """Counts of a set of pieces on one grid.

    Attributes
    ----------
    signatures : array, int64, shape (n_pieces,)
        Semitones above C of the major key whose signature each piece has (`keys.key_signature`); -1 for none.
    in_key : array, float64, shape (n_pieces,)
        Share of the time of a piece's pitches that lies in the seven pitch classes of that key; nan for none.
    seconds : array, float64, shape (n_pieces,)
    bars : array, int64, shape (n_pieces,)
        0 on a grid of seconds.
    tempo_changes, metre_changes : int
        Pieces with more than one tempo; with more than one metre.
    pitches : array, int64, shape (129, 128)
        Notes by program (128: drums) and pitch.
    pieces_of : array, int64, shape (129,)
        Pieces in which each program plays.
    polyphony : array, int64, shape (n_levels,)
        Steps in which so many notes sound, from 0 on; the last is above zero. Empty without pieces.
    lengths : array, int64, shape (12,)
        Notes, drums left out, by the class of `length_names` that is nearest in ratio.
    length_names : tuple of str
    velocities : array, int64, shape (128,)
        Notes by velocity.
    """

    signatures: np.ndarray
    in_key: np.ndarray
    seconds: np.ndarray
    bars: np.ndarray
    tempo_changes: int
    metre_changes: int
    pitches: np.ndarray
    pieces_of: np.ndarray
    polyphony: np.ndarray
    lengths: np.ndarray
    length_names: tuple[str, ...]
    velocities: np.ndarray


def survey(pieces: Iterable[NoteSequence]) -> Survey:
    """Count what pieces hold; they are read once, one at a time.

    Parameters
    ----------
    pieces : iterable of NoteSequence
        All on one grid.

    Returns
    -------
    Survey
    """
    signatures, in_key, seconds, bars = [], [], [], []
    tempo_changes = metre_changes = 0
    pitches = np.zeros((N_PROGRAMS, N_PITCHES), np.int64)
    pieces_of = np.zeros(N_PROGRAMS, np.int64)
    sounding = np.zeros(0, np.int64)
    lengths = np.zeros(len(LENGTHS), np.int64)
    velocities = np.zeros(128, np.int64)
    is_metrical = True
    for piece in pieces:
        notes, grid = piece.notes, piece.grid
        is_metrical = grid.is_metrical
        signature, share = _key(piece)
        signatures.append(signature)
        in_key.append(share)
        seconds.append(piece.seconds)
        bars.append(len(piece.bar_starts()) - 1 if is_metrical else 0)
        tempo_changes += len(piece.tempos) > 1
        metre_changes += len(piece.metres) > 1
        struck = notes["program"].astype(np.int64) * N_PITCHES + notes["pitch"]
        pitches += np.bincount(struck, minlength=pitches.size).reshape(pitches.shape)
        pieces_of[piece.programs] += 1
        sounding = _added(sounding, polyphony(piece))
        durations = notes["duration"][notes["program"] != DRUMS]
        rate = grid.rate
        lengths += np.bincount(_nearest(durations / rate, LENGTH_BEATS if is_metrical else LENGTH_S), minlength=12)
        velocities += np.bincount(notes["velocity"], minlength=128)
    return Survey(
        signatures=np.array(signatures, np.int64),
        in_key=np.array(in_key, float),
        seconds=np.array(seconds, float),
        bars=np.array(bars, np.int64),
        tempo_changes=tempo_changes,
        metre_changes=metre_changes,
        pitches=pitches,
        pieces_of=pieces_of,
        polyphony=sounding,
        lengths=lengths,
        length_names=LENGTHS if is_metrical else LENGTHS_S,
        velocities=velocities,
    )


def polyphony(piece: NoteSequence) -> np.ndarray:
    """Steps of a piece in which 0, 1, 2, ... notes sound; shape (n,), int64. A note sounds up to its end."""
    onsets = piece.notes["onset"]
    times = np.concatenate([[0], onsets, onsets + piece.notes["duration"], [piece.length]])
    changes = np.concatenate([[0], np.ones(len(onsets)), -np.ones(len(onsets)), [0]]).astype(np.int64)
    order = np.argsort(times, kind="stable")
    levels = np.cumsum(changes[order])[:-1]
    spans = np.diff(times[order])
    some = spans > 0  # between changes at one moment the count means nothing
    return np.bincount(levels[some], weights=spans[some]).astype(np.int64)


def _key(piece: NoteSequence) -> tuple[int, float]:
    """A piece's key signature, and the share of its time that lies in it; (-1, nan) for none."""
    signature = key_signature(piece)
    if signature is None:
        return -1, float("nan")
    weights = pitch_class_weights(piece)
    return signature, float(weights[(DIATONIC + signature) % 12].sum() / weights.sum())


def _added(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The sum of two arrays of counts, the shorter one filled up with zeros."""
    total = np.zeros(max(len(a), len(b)), np.int64)
    total[: len(a)] += a
    total[: len(b)] += b
    return total
