"""The form of a piece: to which earlier bar each of its bars returns.

A bar returns to one that is alike: the same notes at the same places, the same lines on other pitches, or the same
rhythm. Notes count for what they tell: a stroke that stands in every bar tells nothing about the form, a turn that
comes twice much. So a piece over one groove shows what changes above it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from melodygru.music.notes import DRUMS, N_PITCHES, NoteSequence

PLACES_PER_BEAT = 8  # in a quarter note: onsets that agree to a 32nd agree
WINDOW = 512  # bars back that are looked at
ALIKE = 0.45  # likeness at which returning is as good as being new
LEAST_ALIKE = 0.3  # below it a bar is new, though those around it return
SAME_LINES, SAME_RHYTHM = 0.95, 0.9  # what lines on other pitches, and rhythms, count for beside the same notes
JUMP = 0.35  # what it costs, in likeness of a bar, to return elsewhere than the bar before leads to
BEGIN = 0.15  # likewise to be new after a bar that returned
NEAR = np.array([0.0, 0.2, 0.12, 0.12])  # what it costs to return to a bar so close before
UNEVEN = 0.02  # likewise to one that isn't a multiple of four bars before
_BLOCK = 128  # bars compared at a time


def bar_returns(sequence: NoteSequence) -> np.ndarray:
    """For each bar the earlier one that it returns to, or -1: it is new. Shape (n_bars,), int64.

    Bars are those of `NoteSequence.bar_starts`; without beats there are none. The returns are those whose likenesses
    are greatest together, where a return that goes on from that of the bar before is free, another costs JUMP, and
    bars close before are a last resort. Of equals the earliest is returned to. No bar returns farther than WINDOW bars.
    """
    if not sequence.grid.is_metrical:
        return np.zeros(0, np.int64)
    starts = sequence.bar_starts()
    n_bars = len(starts) - 1
    contents = [_content(sequence, starts, detail) for detail in range(3)]
    return _best_path(contents, n_bars, min(WINDOW, max(n_bars - 1, 1)))


class _Content(NamedTuple):
    """What stands in the bars, in one detail: the bar and the token of each note, no token twice in a bar."""

    bar: np.ndarray  # ascending
    token: np.ndarray
    weight: np.ndarray  # of each token: what it tells, in nats, and a little


def _content(sequence: NoteSequence, starts: np.ndarray, detail: int) -> _Content:
    """The notes of the bars by place and part; with detail 0 also by pitch, with 1 by pitch above the part's first."""
    notes, n_bars = sequence.notes, len(starts) - 1
    assert sequence.grid.steps_per_beat is not None
    bar = np.searchsorted(starts, notes["onset"], side="right") - 1
    place = np.rint((notes["onset"] - starts[bar]) * (PLACES_PER_BEAT / float(sequence.grid.steps_per_beat)))
    part, pitch = notes["part"].astype(np.int64), notes["pitch"].astype(np.int64)
    if detail:
        drums = notes["program"] == DRUMS
        line = bar * (int(part.max(initial=0)) + 1) + part
        _, first, of_line = np.unique(line, return_index=True, return_inverse=True)
        pitch = np.where(drums, pitch, 2 * N_PITCHES + (pitch - pitch[first][of_line] if detail == 1 else 0))
    token = (place.astype(np.int64) << 32) | (part << 10) | pitch
    _, token = np.unique(token, return_inverse=True)
    n_tokens = int(token.max(initial=-1)) + 1
    pairs = np.unique(bar * max(n_tokens, 1) + token)
    bar, token = np.divmod(pairs, max(n_tokens, 1))
    found_in = np.bincount(token, minlength=n_tokens)
    return _Content(bar, token, np.log((n_bars + 1) / np.maximum(found_in, 1)) + 0.1)


def _shared(content: _Content, first: int, last: int, window: int) -> np.ndarray:
    """The weight of what bars [first, last) share with those from `window` before them; shape (bars, earlier ones)."""
    low = max(0, first - window)
    at, here, stop = np.searchsorted(content.bar, (low, first, last))
    there, of_there = content.bar[at:stop] - low, content.token[at:stop]
    tokens = np.unique(of_there[here - at :])
    column = np.minimum(np.searchsorted(tokens, of_there), max(len(tokens) - 1, 0))
    matrix = np.zeros((last - low, len(tokens)), np.float32)
    held = tokens[column] == of_there if len(tokens) else np.zeros(0, bool)
    matrix[there[held], column[held]] = np.sqrt(content.weight[of_there[held]])
    return matrix[first - low :] @ matrix.T


def _likeness(contents: list[_Content], totals: np.ndarray, first: int, last: int, window: int) -> np.ndarray:
    """The likeness, 0..1, of bars [first, last) to those from `window` before them; two silent bars are ALIKE.

    It is the share of the weight that is shared; a detail that tells less than the notes do counts for less.
    """
    low = max(0, first - window)
    best = np.zeros((last - first, last - low), np.float32)
    whole = totals[0, first:last, None] + totals[0, low:last]
    for content, total, worth in zip(contents, totals, (1.0, SAME_LINES, SAME_RHYTHM), strict=True):
        own = total[first:last, None] + total[low:last]
        shared = _shared(content, first, last, window)
        best = np.maximum(best, worth * 2 * shared / np.sqrt(np.maximum(own * whole, 1e-9)))
    return np.where(whole > 0, best, ALIKE)


def _best_path(contents: list[_Content], n_bars: int, window: int) -> np.ndarray:
    """The returns with the best score together, found by dynamic programming."""
    totals = np.array([np.bincount(of.bar, of.weight[of.token], minlength=n_bars) for of in contents])
    # Column c of bar j is the bar j - window + c; the last column is "new".
    goes_on = np.zeros((n_bars, window + 1), bool)
    jumped_from = np.zeros(n_bars, np.int64)
    alike = np.zeros((n_bars, window), np.float32)
    distance = np.arange(window, 0, -1)
    cost = np.append(NEAR, np.zeros(window))[distance] + UNEVEN * (distance % 4 > 0) + 1e-4 * (1 - distance / window)
    score = np.full(window + 1, -np.inf)
    score[-1] = 0.0
    for first in range(0, n_bars, _BLOCK):
        last = min(first + _BLOCK, n_bars)
        likeness = _likeness(contents, totals, first, last, window)
        low = max(0, first - window)
        for bar in range(first, last):
            earlier = likeness[bar - first, max(0, bar - window) - low : bar - low]
            n = len(earlier)
            gain = np.full(window + 1, -np.inf)
            if n:
                alike[bar, -n:] = earlier
                gain[-n - 1 : -1] = np.maximum(earlier - ALIKE, -0.3) - cost[-n:]
            gain[-1] = 0.0
            best = int(np.argmax(score))
            jump = np.full(window + 1, score[best] - JUMP)
            jump[-1] = score[best] - BEGIN
            goes_on[bar] = score >= jump  # the same column is the next bar, one bar later
            jumped_from[bar] = best
            score = np.maximum(score, jump) + gain
    returns = np.full(n_bars, -1, np.int64)
    column = int(np.argmax(score)) if n_bars else window
    for bar in range(n_bars - 1, -1, -1):
        if column < window and alike[bar, column] >= LEAST_ALIKE and totals[0, bar] > 0:
            returns[bar] = bar - window + column
        if not goes_on[bar, column]:
            column = jumped_from[bar]
    return returns
