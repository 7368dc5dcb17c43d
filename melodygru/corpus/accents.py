"""Where a listener would hear bars begin: accents of a piece, and how well a metre and its bar lines explain them.

The question is Temperley's (*The Cognition of Basic Musical Structures*, 2001, chapter 2: prefer strong beats at the
onsets of many notes, of long notes, of bass notes and of new harmonies, and parallel passages at like places of the
bar), the answer a conditional logit (McFadden 1974): each pair of a metre and a place of its bar line has a score, a
weighted sum of what stands on the downbeats, on other beats and between them, and the scores' softmax is how sure the
choice is. The weights were fitted by `benchmarks/beats.py fit` to pieces whose bar lines are known: the starter corpus
and the pieces of Freedoom.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from melodygru.music.metre import beat_quarters
from melodygru.music.notes import DRUMS

METRES = ((4, 4), (3, 4), (6, 8))  # what is looked for; 2/4 and 2/2 have the bar lines of 4/4, or twice as many
LONGEST = 4  # beats; a longer note or rest is no stronger an accent
LEVELS = ("downbeat", "middle", "beat", "eighth", "other")
_KICKS, _SNARES = (35, 36), (38, 39, 40)

# How much an accent of each kind speaks for a bar line when it stands on a downbeat, the middle of the bar, another
# beat, an eighth between beats, anywhere else.
WEIGHTS: dict[str, tuple[float, ...]] = {
    "notes": (0.76, -2.58, 1.49, -0.51, -0.40),
    "long": (1.22, 0.39, -0.03, -1.53, -0.50),
    "bass": (0.96, -0.41, 0.60, -1.33, -0.50),
    "bass_change": (0.26, -0.22, -1.79, 1.28, -0.42),
    "harmony_beat": (1.75, 0.64, -1.54, 0.04, -0.03),
    "harmony_bar": (1.05, 1.25, -0.81, -0.16, -0.02),
    "kick": (0.58, 0.88, -0.25, 0.26, 0.00),
    "snare": (-0.60, -0.96, 0.70, 0.50, -0.01),
    "rest": (0.47, 1.84, -0.43, -1.51, -0.42),
    "melody_long": (1.01, 0.86, 0.26, -1.99, -0.42),
}
EDGES: dict[str, tuple[float, ...]] = {
    "first": (1.28, -2.60, 0.88, 1.06, -0.55),
    "last": (-1.16, 1.89, -0.49, -0.31, -0.58),
}
REPEATS: dict[str, float] = {
    "melody_bar": 2.42,
    "melody_part": -0.44,
    "rhythm_bar": 2.12,
    "bass_bar": 1.70,
}
BIASES: dict[tuple[int, int], float] = {(4, 4): -0.30, (3, 4): -0.36, (6, 8): 0.67}
KINDS, RECURRENCES = tuple(WEIGHTS), tuple(REPEATS)
_WEIGHTS, _EDGES = np.array(list(WEIGHTS.values())), np.array(list(EDGES.values()))
_REPEATS = np.array(list(REPEATS.values()))
ODD_BAR = 40.0  # of a sum of scores over bars; chosen by the bar lines of POP909
CAUTION = 0.5  # scores are that much too sure of themselves: bars that repeat are no independent witnesses


@dataclass(frozen=True)
class Accents:
    """Accents of a piece on a grid of `rate` ticks per beat, tick 0 on one of its steps.

    `signals` has shape (n_kinds, n_ticks), in the order of `WEIGHTS`, each of mean 1 or all 0; `first` and `last` are
    the ticks of the first and the last onset.
    """

    rate: int
    signals: np.ndarray
    first: int
    last: int

    @property
    def n_ticks(self) -> int:
        return self.signals.shape[1]


def accents(notes: np.ndarray, onsets: np.ndarray, ends: np.ndarray, rate: int) -> Accents:
    """The accents of a piece.

    Parameters
    ----------
    notes : array, shape (n,), dtype NOTE, at least one
    onsets, ends : array, shape (n,)
        Of the notes, in beats from a place on the grid, none negative.
    rate : int
        Ticks per beat.
    """
    on = np.floor(onsets * rate + 0.5).astype(np.int64)
    off = np.clip(np.floor(ends * rate + 0.5).astype(np.int64), on + 1, on + LONGEST * rate)
    size = int(off.max()) + LONGEST * rate
    pitched = notes["program"] != DRUMS
    drum, drum_on = notes["pitch"][~pitched], on[~pitched]
    pitch, on, off = notes["pitch"][pitched].astype(np.int64), on[pitched], off[pitched]
    length = (off - on) / rate
    lowest, highest = _outer_voices(pitch, on, off, size)
    signals = dict.fromkeys(KINDS, np.zeros(size))
    signals["notes"] = np.sqrt(np.bincount(on, minlength=size))
    signals["long"] = _peaks(on, length, size)
    bass = lowest[on] == pitch
    signals["bass"] = _peaks(on[bass], length[bass], size)
    changes = np.append(True, np.diff(pitch[bass] % 12) != 0)[: bass.sum()]  # notes are in the order of their onsets
    signals["bass_change"] = _peaks(on[bass][changes], 1.0, size)
    chroma = _chroma(pitch, on, off, size)
    signals["harmony_beat"] = _novelty(chroma, 2 * rate)
    signals["harmony_bar"] = _novelty(chroma, 4 * rate)
    signals["kick"] = _peaks(drum_on[np.isin(drum, _KICKS)], 1.0, size)
    signals["snare"] = _peaks(drum_on[np.isin(drum, _SNARES)], 1.0, size)
    signals["rest"] = _until_next(np.unique(on), size, rate)
    signals["melody_long"] = _until_next(np.unique(on[highest[on] == pitch]), size, rate)
    values = np.stack([signals[kind] for kind in KINDS])
    mean = values.mean(axis=1, keepdims=True)
    values = np.divide(values, mean, out=np.zeros_like(values), where=mean > 0)
    struck = np.concatenate([on, drum_on])
    return Accents(rate, values, int(struck.min()), int(struck.max()))


def _peaks(ticks: np.ndarray, heights: np.ndarray | float, size: int) -> np.ndarray:
    """The greatest height at each tick, 0 where there is none."""
    peaks = np.zeros(size)
    np.maximum.at(peaks, ticks, heights)
    return peaks


def _until_next(ticks: np.ndarray, size: int, rate: int) -> np.ndarray:
    """At each of these ticks, ascending, the beats until the next one, at most `LONGEST`; 0 at the last."""
    return _peaks(ticks[:-1], np.minimum(np.diff(ticks) / rate, LONGEST), size)


def _outer_voices(pitch: np.ndarray, on: np.ndarray, off: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The lowest and the highest pitch that sounds at each tick; 128 and -1 in silence."""
    lengths = off - on
    starts = np.cumsum(lengths) - lengths
    ticks = np.repeat(on - starts, lengths) + np.arange(lengths.sum())
    low, high = np.full(size, 128), np.full(size, -1)
    np.minimum.at(low, ticks, np.repeat(pitch, lengths))
    np.maximum.at(high, ticks, np.repeat(pitch, lengths))
    return low, high


def _chroma(pitch: np.ndarray, on: np.ndarray, off: np.ndarray, size: int) -> np.ndarray:
    """Sounding time of each pitch class up to each tick, shape (size + 1, 12); at most three notes count at a time."""
    change = np.zeros((size + 1, 12))
    np.add.at(change, (on, pitch % 12), 1.0)
    np.add.at(change, (off, pitch % 12), -1.0)
    sounding = np.minimum(np.cumsum(change[:size], axis=0), 3.0)
    return np.concatenate([np.zeros((1, 12)), np.cumsum(sounding, axis=0)])


def _novelty(chroma: np.ndarray, width: int) -> np.ndarray:
    """How much the pitch classes of `width` ticks after each tick differ from those before, 0 .. 1; in silence 0."""
    size = len(chroma) - 1
    ticks = np.arange(size)
    after = chroma[np.minimum(ticks + width, size)] - chroma[ticks]
    before = chroma[ticks] - chroma[np.maximum(ticks - width, 0)]
    scale = np.linalg.norm(after, axis=1) * np.linalg.norm(before, axis=1)
    dot = (after * before).sum(axis=1)
    return np.where(scale > 0, 1 - dot / np.where(scale > 0, scale, 1.0), 0.0)


def levels(metre: tuple[int, int], rate: int) -> np.ndarray:
    """The level in `LEVELS` of each tick of a bar, shape (ticks per bar,); the beats are those of `music.metre`."""
    n_ticks = bar_ticks(metre, rate)
    place = np.arange(n_ticks) / rate  # quarter notes
    found = np.full(n_ticks, LEVELS.index("other"))
    found[np.isclose(place % 0.5, 0)] = LEVELS.index("eighth")
    found[np.isclose(place % float(beat_quarters(metre)), 0)] = LEVELS.index("beat")
    if _is_even(metre):
        found[n_ticks // 2] = LEVELS.index("middle")
    found[0] = LEVELS.index("downbeat")
    return found


def _is_even(metre: tuple[int, int]) -> bool:
    """Whether a bar's middle is one of its beats."""
    return (Fraction(2 * metre[0], metre[1]) / beat_quarters(metre)).denominator == 1


def bar_ticks(metre: tuple[int, int], rate: int) -> int:
    """Ticks of a bar, at `rate` of them a quarter note; 0 when they are no whole number."""
    numerator, denominator = metre
    ticks, rest = divmod(4 * rate * numerator, denominator)
    return 0 if rest else ticks


def evidence(found: Accents, metre: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What speaks for a metre with a bar line at each tick of a bar.

    Returns
    -------
    folded : array, shape (ticks per bar, n_kinds, n_levels)
        Mean of each kind of accent on each level, less 1 (its mean anywhere), 0 for a level the metre lacks.
    edges : array, shape (ticks per bar, 2, n_levels)
        1 for the level of the first and of the last onset.
    repeats : array, shape (n_recurrences,)
        Autocorrelation of melody, of its parts of a bar, of rhythm and of the changes of bass.
    """
    level = levels(metre, found.rate)
    n_ticks = len(level)
    member = np.eye(len(LEVELS))[level]  # (ticks per bar, n_levels)
    share = member / np.maximum(member.sum(axis=0), 1)
    padded = np.pad(found.signals, ((0, 0), (0, -found.n_ticks % n_ticks)))
    profile = padded.reshape(len(KINDS), -1, n_ticks).sum(axis=1) / (found.n_ticks / n_ticks)
    profile = np.where(found.signals.any(axis=1, keepdims=True), profile - 1, 0.0)
    places = (np.arange(n_ticks)[:, None] + np.arange(n_ticks)) % n_ticks  # [bar line, tick after it]
    folded = np.einsum("kbt,tl->bkl", profile[:, places], share)
    edges = np.stack([member[(at - np.arange(n_ticks)) % n_ticks] for at in (found.first, found.last)], axis=1)
    inside = found.signals[:, found.first : found.last + 1]
    melody, bass, rhythm = (inside[KINDS.index(kind)] for kind in ("melody_long", "bass_change", "rest"))
    part = n_ticks // 2 if _is_even(metre) else round(beat_quarters(metre) * found.rate)
    repeats = (
        (_recurs(melody, n_ticks) + _recurs(melody, 2 * n_ticks)) / 2,
        _recurs(melody, part),
        (_recurs(rhythm, n_ticks) + _recurs(rhythm, 2 * n_ticks)) / 2,
        _recurs(bass, n_ticks),
    )
    return folded, edges, np.array(repeats)


def _recurs(signal: np.ndarray, lag: int) -> float:
    """Autocorrelation of a signal at a lag, 0 for one that is constant or too short."""
    signal = signal - signal.mean()
    power = float(signal @ signal)
    overlap = len(signal) - lag
    return float(signal[:-lag] @ signal[lag:]) / power * len(signal) / overlap if overlap > 0 and power > 0 else 0.0


def scores(found: Accents, metres: Sequence[tuple[int, int]]) -> dict[tuple[int, int], np.ndarray]:
    """Log-odds, up to a constant, of each metre with a bar line at each tick of a bar, shape (ticks per bar,).

    A metre whose bar is no whole number of ticks is left out.
    """
    table = {}
    for metre in metres:
        if bar_ticks(metre, found.rate):
            folded, edges, repeats = evidence(found, metre)
            table[metre] = CAUTION * (
                np.einsum("bkl,kl->b", folded, _WEIGHTS)
                + np.einsum("bel,el->b", edges, _EDGES)
                + float(repeats @ _REPEATS)
                + BIASES.get(metre, 0.0)
            )
    return table


def bars_from(found: Accents, metre: tuple[int, int], at: int, odd_bars: bool) -> np.ndarray:
    """Bar lines of a piece in its metre, in ticks, ascending: the first is the last at or before the first onset.

    It may be below 0: with an upbeat, the first bar begins before the piece. With `odd_bars`, bars of 4/4 may be half
    as long or half as long again: of all rows of bars that begin at half bars, the one with the greatest sum of
    scores, less `ODD_BAR` for each bar of another length (found by Viterbi's algorithm).

    Parameters
    ----------
    at : int
        Tick of a bar line, modulo the ticks of a bar, that holds for the piece as a whole.
    """
    size = bar_ticks(metre, found.rate)
    start = found.first - (found.first - at) % size
    lines = np.arange(start, found.n_ticks, size)
    if not odd_bars or metre != (4, 4) or len(lines) < 2:
        return lines
    half = size // 2
    places = np.arange(start - size, found.n_ticks, half)
    here = _local_scores(found, metre)[np.maximum(places, 0)] * (places >= 0)
    # a mean of the whole piece, in a sum over its bars
    first, last = len(lines) * _EDGES[:, levels(metre, found.rate)]
    best, before = np.full(len(places), -np.inf), np.full(len(places), -1)
    for at_half, place in enumerate(places):
        if place <= found.first < place + size:
            best[at_half] = first[found.first - place]
        for halves, cost in ((2, 0.0), (1, ODD_BAR), (3, ODD_BAR)):
            if at_half >= halves and best[at_half - halves] - cost > best[at_half]:
                best[at_half], before[at_half] = best[at_half - halves] - cost, at_half - halves
        best[at_half] += here[at_half]
    ends = np.flatnonzero((places <= found.last) & (found.last < places + size))
    at_half = int(ends[np.argmax(best[ends] + last[found.last - places[ends]])])
    row = list(range(places[at_half] + size, found.n_ticks, size))[::-1]
    while at_half >= 0:
        row.append(int(places[at_half]))
        at_half = before[at_half]
    return np.array(row[::-1])


def _local_scores(found: Accents, metre: tuple[int, int]) -> np.ndarray:
    """Score of a bar of the metre that begins at each tick, by its accents alone, shape (n_ticks,)."""
    level = levels(metre, found.rate)
    kernel = _WEIGHTS[:, level] / np.bincount(level, minlength=len(LEVELS))[level]
    present = found.signals.any(axis=1)
    signals = np.pad(found.signals[present], ((0, 0), (0, len(level) - 1)), constant_values=1.0) - 1
    bars = np.lib.stride_tricks.sliding_window_view(signals, len(level), axis=1)
    return np.einsum("ktb,kb->t", bars, kernel[present])
