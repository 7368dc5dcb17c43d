"""What a musician would look at in a piece: form, line-up, groove, harmony and ending, each as one number.

Bars count up to the one in which the last note begins. The likeness of two bars is F1 over their notes, each a place
(the nearest 32nd note from the bar line), a program and a pitch; of two empty bars there is none. What a piece doesn't
have is nan: drums without drums, bars without a beat, a bar 32 before in a piece of 20.

bar_similarity_1, _2, _4, _8, _16, _32
    Mean likeness of a bar to the bar so many before, over two pairs of bars or more.
self_similarity
    Mean likeness of all pairs of bars.
bar_returns
    Share of the bars from the ninth on that are alike to a bar four or more before (RETURNS or more), in a piece of 16
    bars or more.
programs, line_up_changes
    How many programs play; share of the bars in which other programs begin notes than in the bar before.
kick, snare, hat
    Mean likeness, over the bars in which either has one, of the places (sixteenths) of strokes in a bar to those in the
    bar before; in pieces with eight strokes on drums or more, of what is struck in four bars or more.
harmony_at_bars
    How much harmony changes at bar lines, over how much it does inside bars: 1 - the cosine of how long each pitch
    class sounds in a quarter note and in the one before, drums left out.
last_note
    Length of the last note that begins (of the longest, where several do): quarter notes, or seconds without a beat.
length
    Bars, or seconds without a beat.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from melodygru.music.notes import DRUMS, N_PITCHES, N_PROGRAMS, NoteSequence

LAGS = (1, 2, 4, 8, 16, 32)  # bars
TRAITS = (
    *(f"bar_similarity_{lag}" for lag in LAGS),
    "self_similarity",
    "bar_returns",
    "programs",
    "line_up_changes",
    "kick",
    "snare",
    "hat",
    "harmony_at_bars",
    "last_note",
    "length",
)
MAX_BARS = 512  # of a piece whose bars are all compared with each other
RETURNS = 0.8  # likeness of a bar that returns
RETURN_BARS, RETURN_FROM, RETURN_LAG = 16, 8, 4  # of the shortest piece; bars that have time to return; bars between
KITS = {"kick": (35, 36), "snare": (37, 38, 39, 40), "hat": (42, 44, 46, 51, 53, 59)}  # General MIDI's drums
FEWEST = 3  # pieces of which there is a range
DRUM_NOTES, STRUCK_BARS = 8, 4  # a piece with fewer has no drums; bars in which a drum must be struck
_SUSTAINED = 16  # quarter notes after which a note that is held counts no longer
_HEARD = 1e-3  # what a note weighs in a quarter note, beside how long it sounds there
_TOGETHER = 0.02  # quarter notes (seconds without a beat) between onsets that are one


def traits(piece: NoteSequence) -> dict[str, float]:
    """Those of a piece, by the names of TRAITS; nan for what it doesn't have."""
    found = dict.fromkeys(TRAITS, float("nan"))
    notes = piece.notes
    if len(notes) == 0:
        return found
    rate = float(piece.grid.rate)
    found["programs"] = float(len(piece.programs))
    pitched = notes["program"] != DRUMS
    last = notes["onset"] >= notes["onset"][-1] - _TOGETHER * rate
    if (last & pitched).any():
        found["last_note"] = float(notes["duration"][last].max() / rate)
    if not piece.grid.is_metrical:
        found["length"] = piece.seconds
        return found
    starts = piece.bar_starts()
    bar = np.searchsorted(starts, notes["onset"], side="right") - 1
    n_bars = int(bar[-1]) + 1
    quarters = (notes["onset"] - starts[bar]) / rate  # from the bar line
    found["length"] = float(n_bars)
    found |= _form(bar, np.rint(8 * quarters).astype(np.int64), notes)
    if n_bars > 1:
        playing = np.zeros((n_bars, N_PROGRAMS), bool)
        playing[bar, notes["program"]] = True
        found["line_up_changes"] = float((playing[1:] != playing[:-1]).any(axis=1).mean())
    if (~pitched).sum() >= DRUM_NOTES:
        place = np.rint(4 * quarters).astype(np.int64)
        for name, drums in KITS.items():
            struck = ~pitched & np.isin(notes["pitch"], drums)
            found[name] = _steadiness(bar[struck], place[struck], n_bars)
    found["harmony_at_bars"] = _harmony_at_bars(notes[pitched], starts[: n_bars + 1] / rate, rate)
    return found


def ranges(pieces: Sequence[dict[str, float]]) -> tuple[tuple[float, float] | None, ...]:
    """The `usual` of each of TRAITS over pieces."""
    return tuple(usual([piece[name] for piece in pieces]) for name in TRAITS)


def usual(values: Sequence[float]) -> tuple[float, float] | None:
    """Mean and spread (standard deviation) of the values that are there; None for fewer than FEWEST.

    Those beyond the first and the ninth tenth count as these: a piece that is like no other says little.
    """
    there = np.array([value for value in values if not np.isnan(value)])
    if len(there) < FEWEST:
        return None
    inner = np.clip(there, *np.quantile(there, (0.1, 0.9)))
    return round(float(inner.mean()), 5), round(float(inner.std()), 5)


def _form(bar: np.ndarray, place: np.ndarray, notes: np.ndarray) -> dict[str, float]:
    """The traits of likeness between bars, from the bar and the place of each note."""
    shown = bar < MAX_BARS
    kind = (place * N_PROGRAMS + notes["program"]) * N_PITCHES + notes["pitch"]
    kinds, column = np.unique(kind[shown], return_inverse=True)
    n_bars = min(int(bar[-1]) + 1, MAX_BARS)
    content = np.zeros((n_bars, len(kinds)), np.float32)
    content[bar[shown], column.reshape(-1)] = 1
    n_notes = content.sum(axis=1)
    total = n_notes[:, None] + n_notes
    likeness = np.where(total > 0, 2 * (content @ content.T) / np.maximum(total, 1), np.nan)
    found = {}
    for lag in LAGS:
        if n_bars > lag + 1:
            found[f"bar_similarity_{lag}"] = _mean(np.diagonal(likeness, -lag))
    found["self_similarity"] = _mean(likeness[np.tril_indices(n_bars, -1)])
    if n_bars >= RETURN_BARS:
        returns = np.tril(likeness >= RETURNS, -RETURN_LAG)  # false where there is no likeness
        found["bar_returns"] = float(returns[RETURN_FROM:].any(axis=1).mean())
    return found


def _steadiness(bar: np.ndarray, place: np.ndarray, n_bars: int) -> float:
    """Mean likeness of the places of strokes in a bar to those in the bar before."""
    span = int(place.max(initial=0)) + 1
    strokes = np.unique(bar * span + place)
    struck = np.bincount(strokes // span, minlength=n_bars)
    if (struck > 0).sum() < STRUCK_BARS:
        return float("nan")
    kept = strokes[np.isin(strokes - span, strokes)]  # those of the bar before, too
    total = struck[1:] + struck[:-1]
    return float((2 * np.bincount(kept // span, minlength=n_bars)[1:][total > 0] / total[total > 0]).mean())


def _harmony_at_bars(pitched: np.ndarray, bars: np.ndarray, rate: float) -> float:
    """Change of harmony at the bar lines over that inside bars; `bars` are quarter notes, the last bar's end too."""
    n = int(bars[-1])
    onset, end = pitched["onset"] / rate, (pitched["onset"] + pitched["duration"]) / rate
    first = onset.astype(np.int64)
    after = np.maximum(np.minimum(np.ceil(np.minimum(end, onset + _SUSTAINED)), n).astype(np.int64), first + 1)
    note = np.repeat(np.arange(len(pitched)), after - first)
    quarter = np.arange(len(note)) - np.repeat(np.cumsum(after - first) - after, after - first)
    sounds = np.maximum(np.minimum(end[note], quarter + 1) - np.maximum(onset[note], quarter), 0) + _HEARD
    chroma = np.bincount(quarter * 12 + pitched["pitch"][note] % 12, sounds, (n + 1) * 12)[: n * 12].reshape(n, 12)
    norm = np.linalg.norm(chroma, axis=1)
    both = norm[1:] * norm[:-1]
    change = np.where(both > 0, 1 - (chroma[1:] * chroma[:-1]).sum(axis=1) / np.where(both > 0, both, 1), np.nan)
    at_bar = np.isin(np.arange(1, n), np.rint(bars[:-1]))
    inside = _mean(change[~at_bar])
    return _mean(change[at_bar]) / inside if inside > 1e-6 else float("nan")


def _mean(values: np.ndarray) -> float:
    """Mean of the values that are there; nan without any."""
    there = values[~np.isnan(values)]
    return float(there.mean()) if len(there) else float("nan")
