"""The chords of a piece, estimated for each half bar, as codes; and their names.

A code is 0 where there is no chord, or none is clear; else 1 + root * N_QUALITIES + quality, the root being 0..11
semitones above C and the quality an index into QUALITIES.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from melodygru.music.harmony import Chord
from melodygru.music.keys import KeySignature, estimate_key, fifths_name
from melodygru.music.notes import DRUMS, NoteSequence

QUALITIES = ("", "m", "7", "maj7", "m7", "dim", "m7b5", "sus4")  # as they are written after the root
N_QUALITIES = len(QUALITIES)
N_CHORDS = 1 + 12 * N_QUALITIES  # codes, with that of none

_TONES = ((0, 4, 7), (0, 3, 7), (0, 4, 7, 10), (0, 4, 7, 11), (0, 3, 7, 10), (0, 3, 6), (0, 3, 6, 10), (0, 5, 7))
_PRIOR = np.array([0.0, -0.1, -0.7, -1.0, -0.7, -2.0, -2.0, -1.7])  # of the qualities, in nats
_ROOT, _OTHER, _SEVENTH = 0.42, 0.25, 0.13  # shares of a chord's tones in what sounds, of all but the strangers
_STRANGERS = 0.16  # share of all that isn't in the chord
_IN_KEY = 4.0  # how much likelier a stranger is in the key than beside it
_EVIDENCE = 5.0  # independent looks that a half bar is worth
_BASS = np.log(np.array([0.62, 0.1, 0.12, 0.06]))  # the bass is the root, the third, the fifth; another tone
_BASS_STRANGER = np.log(0.02)
_BASS_EVIDENCE = 0.5
_STRUCK, _ON_THE_BEAT = 0.35, 0.65  # what a note's beginning adds, in quarter notes; likewise on a beat
_CHANGE_IN_BAR, _CHANGE_AT_BAR = 1.7, 1.0  # what a change of chord costs, in nats
_LONGEST = 64  # half bars that a note counts for
_CLEAR = 0.5  # share of what sounds that is in the chord, at least


def half_bar_chords(sequence: NoteSequence) -> np.ndarray:
    """The chord of each half bar, estimated from all notes but drums. Shape (2 * n_bars,), int8, codes.

    Half bars are those of `half_bar_edges`; without beats there are none. There is no chord where
    nothing sounds or none is clear for longer than a half bar.

    Notes
    -----
    The likeliest path of a hidden Markov model (Viterbi): a chord has shares of the pitch classes that sound, weighted
    by duration and accent, and of the bass; a change costs more inside a bar than at a bar line.
    """
    if not sequence.grid.is_metrical:
        return np.zeros(0, np.int8)
    edges = half_bar_edges(sequence)
    codes = np.zeros(len(edges) - 1, np.int8)
    notes = sequence.notes[sequence.notes["program"] != DRUMS]
    if not len(notes):
        return codes
    n = int(np.searchsorted(edges, (notes["onset"] + notes["duration"]).max()))
    n += n % 2  # half bars of the bars with music
    edges = edges[: n + 1]
    weights, bass = _sounding(sequence, notes, edges)
    path = _likeliest(_evidence(weights, bass, _profiles(notes)))
    held = np.take_along_axis(weights @ (_MEMBERS.T > 0), path[:, None], 1)[:, 0]
    total = weights.sum(axis=1)
    none = np.append((total <= 0) | (held < _CLEAR * total), False)
    alone = 1 + np.flatnonzero(none[1:-1] & ~none[:-2] & ~none[2:])
    none[alone] = False
    codes[:n] = np.where(none[:-1], 0, 1 + path)
    return codes


def half_bar_edges(sequence: NoteSequence) -> np.ndarray:
    """The steps at which half bars begin, and the end of the last: shape (2 * n_bars + 1,). Only on a metrical grid.

    Bars are those of `NoteSequence.bar_starts`; the second half of one begins at its middle, rounded up, and is empty
    where a change of metre ends the bar before.
    """
    starts = sequence.bar_starts()
    halves = np.repeat(starts[:-1], 2)
    size = sequence.bars.at(starts[:-1]).size
    halves[1::2] = np.minimum(starts[:-1] + (size + 1) // 2, starts[1:])
    return np.append(halves, starts[-1])


def _members() -> np.ndarray:
    """Which place among its tones each pitch class has in each chord, from 1; 0 for a stranger. Shape (chords, 12)."""
    members = np.zeros((12 * N_QUALITIES, 12), np.int64)
    for root in range(12):
        for quality, tones in enumerate(_TONES):
            for place, tone in enumerate(tones, 1):
                members[root * N_QUALITIES + quality, (root + tone) % 12] = place
    return members


_MEMBERS = _members()


def _profiles(notes: np.ndarray) -> np.ndarray:
    """The share that each pitch class has of what sounds in each chord, in the key of the notes; logarithms."""
    fifths = estimate_key(notes).fifths
    in_key = np.isin(np.arange(12), (7 * np.arange(fifths - 1, fifths + 6)) % 12)
    stranger = np.where(in_key, _IN_KEY, 1.0) * (_MEMBERS == 0)
    tones = np.array([0.0, _ROOT, _OTHER, _OTHER, _SEVENTH])[_MEMBERS]
    shares = (1 - _STRANGERS) * tones / tones.sum(axis=1, keepdims=True)
    return np.log(shares + _STRANGERS * stranger / stranger.sum(axis=1, keepdims=True))


def _sounding(sequence: NoteSequence, notes: np.ndarray, edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What sounds in each half bar: weights of the pitch classes, in quarter notes, and those of the bass; (n, 12)."""
    n = len(edges) - 1
    rate = sequence.grid.rate
    onset, end = notes["onset"], notes["onset"] + notes["duration"]
    first = np.clip(np.searchsorted(edges, onset, side="right") - 1, 0, n - 1)
    last = np.clip(np.searchsorted(edges, end, side="left") - 1, first, np.minimum(first + _LONGEST, n) - 1)
    number = last - first + 1
    note = np.repeat(np.arange(len(notes)), number)
    half = np.arange(len(note)) - np.repeat(np.cumsum(number) - number, number) + first[note]
    sounds = (np.minimum(end[note], edges[half + 1]) - np.maximum(onset[note], edges[half])) / rate
    struck = half == first[note]
    on_beat = sequence.bars.beats_at(onset).position == 0
    weight = np.maximum(sounds, 0) + struck * (_STRUCK + _ON_THE_BEAT * on_beat[note]) * np.minimum(
        1, notes["duration"][note] / rate
    )
    pitch_class = notes["pitch"][note] % 12
    weights = np.bincount(half * 12 + pitch_class, weights=weight, minlength=12 * n).reshape(n, 12)
    # Of the bass: what lies within a third of the lowest that sounds in the half bar.
    lowest = np.full(n, 128)
    np.minimum.at(lowest, half, notes["pitch"][note])
    low = notes["pitch"][note] <= lowest[half] + 4
    bass = np.bincount((half * 12 + pitch_class)[low], weights=weight[low], minlength=12 * n).reshape(n, 12)
    return weights, bass


def _evidence(weights: np.ndarray, bass: np.ndarray, profiles: np.ndarray) -> np.ndarray:
    """The logarithm of how likely each half bar is under each chord, with the prior; shape (n, chords)."""
    total = weights.sum(axis=1, keepdims=True)
    shares = np.sqrt(weights / np.maximum(total, 1e-9))
    shares /= np.maximum(shares.sum(axis=1, keepdims=True), 1e-9)
    bass = bass / np.maximum(bass.sum(axis=1, keepdims=True), 1e-9)
    of_bass = np.append(_BASS_STRANGER, _BASS)[_MEMBERS]
    prior = np.tile(_PRIOR, 12) * (total > 0)
    found: np.ndarray = _EVIDENCE * shares @ profiles.T + _BASS_EVIDENCE * bass @ of_bass.T + prior
    return found


def _likeliest(evidence: np.ndarray) -> np.ndarray:
    """The best path through the half bars, shape (n,): indices of chords."""
    n = len(evidence)
    stays = np.zeros(evidence.shape, bool)
    came_from = np.zeros(n, np.int64)
    score = evidence[0]
    for half in range(1, n):
        best = int(np.argmax(score))
        jump = score[best] - (_CHANGE_IN_BAR if half % 2 else _CHANGE_AT_BAR)
        stays[half] = score >= jump
        came_from[half] = best
        score = np.maximum(score, jump) + evidence[half]
    path = np.zeros(n, np.int64)
    path[-1] = np.argmax(score)
    for half in range(n - 1, 0, -1):
        path[half - 1] = path[half] if stays[half, path[half]] else came_from[half]
    return path


# -- names


def chord_name(code: int, fifths: int = 0) -> str:
    """The name of a chord's code, such as `Am7`; `N.C.` for none.

    Parameters
    ----------
    fifths : sharps of the key signature, or flats below zero; roots beside the key are spelled by it
    """
    if code == 0:
        return "N.C."
    root, quality = divmod(code - 1, N_QUALITIES)
    # The root nearest on the line of fifths to the middle of the key's own, F to B in C major.
    middle = fifths + 2
    return fifths_name((7 * root - middle + 6) % 12 - 6 + middle) + QUALITIES[quality]


def chord_tones(code: int) -> list[int]:
    """The pitch classes of a chord's code, 0..11 from C on, the root first; of none there are none."""
    if code == 0:
        return []
    root, quality = divmod(code - 1, N_QUALITIES)
    return [(root + tone) % 12 for tone in _TONES[quality]]


def tonic_chord(key: KeySignature) -> int:
    """The code of the triad on a key's tonic."""
    root = 7 * (key.fifths + 3 * key.minor) % 12
    return 1 + root * N_QUALITIES + QUALITIES.index("m" if key.minor else "")


def chord_code(chord: Chord) -> int:
    """The code that is nearest to a chord: what goes beyond a seventh is left out, a fifth alone taken for major."""
    if chord.root is None:
        return 0
    steps = {(tone - chord.root) % 12 for tone in chord.tones}
    if 3 in steps and 4 not in steps:
        if 6 in steps and 7 not in steps:
            quality = "m7b5" if 10 in steps else "dim"
        else:
            quality = "m7" if 10 in steps else "m"
    elif 4 not in steps and steps & {2, 5}:
        quality = "sus4"
    else:
        quality = "7" if 10 in steps else "maj7" if 11 in steps else ""
    return 1 + chord.root * N_QUALITIES + QUALITIES.index(quality)


def chord_codes(bars: Sequence[Sequence[Chord]], n_bars: int) -> np.ndarray:
    """The codes of half bars, shape (2 * n_bars,), int8, of bars of chords that come over and over.

    The chords of a bar share it evenly; a half bar has the one that stands at its middle.
    """
    halves = [(bars[bar % len(bars)], half) for bar in range(n_bars) for half in (1, 3)]
    return np.array([chord_code(chords[(half * len(chords) - 1) // 4]) for chords, half in halves], np.int8)
