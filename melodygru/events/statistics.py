"""What is counted in a training corpus: the lags at which it repeats itself, lengths, keys, velocities."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from melodygru.music.notes import N_PITCHES, N_PROGRAMS, Grid, steps_per_bar

N_SIGNATURES = 12
N_LOOKBACKS = 6  # lags at which the model sees what stood there, at most
LOOKBACK_BEATS = 64  # the longest lag
LOOKBACK_BARS = 16  # the longest lag that is counted in bars
# Share of the notes that a lag must explain beyond the lags before it, and beyond any odd lag; a bar is no odd one.
LOOKBACK_GAIN, LOOKBACK_BAR_GAIN = 0.03, 0.02
LOOKBACK_NOTES = 10_000  # of the corpus that lags are chosen by, about
N_LENGTHS = 32  # of the pieces of a style that are remembered
VELOCITY_WIDTH = 4


class Repeats:
    """At which lags the pieces of a corpus repeat their own notes, by a sample of them."""

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        beat = float(grid.steps_per_beat or 0)  # none: no lags
        unit, longest = max(1, round(beat / 2)), round(beat * LOOKBACK_BEATS)
        self._lags = np.arange(unit, longest + 1, unit)
        self._bars = np.arange(1, LOOKBACK_BARS + 1)
        self._repeated: list[np.ndarray] = []  # of a piece: shape (lags and bars, notes), whether it stood there too
        self._every, self._met = 1, 0
        self._metre: tuple[int, int] | None = None
        self._several = False  # whether there are several metres

    def add(self, notes: np.ndarray, metre: tuple[int, int]) -> None:
        """Look at a piece, or at every second, fourth, ... once there are many."""
        self._met += 1
        self._metre = self._metre or metre
        self._several |= metre != self._metre
        if not len(self._lags) or self._met % self._every:
            return
        notes = notes[:LOOKBACK_NOTES]
        step = (N_PROGRAMS + 1) * N_PITCHES
        key = np.sort(notes["onset"].astype(np.int64) * step + notes["program"] * N_PITCHES + notes["pitch"])
        lags = np.append(self._lags, self._bars * steps_per_bar(self._grid, metre))
        wanted = key - lags[:, None] * step
        self._repeated.append(key[np.minimum(np.searchsorted(key, wanted), len(key) - 1)] == wanted)
        if sum(repeated.shape[1] for repeated in self._repeated) > 2 * LOOKBACK_NOTES:
            self._repeated = self._repeated[1::2]
            self._every *= 2

    def lags(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The lags that explain most notes, each beyond those before it and beyond chance: in steps, and in bars.

        Chance is what one lag in ten reaches. Without several metres bars say nothing that steps don't; with them,
        steps still serve where the metre is unknown.
        """
        if not self._repeated:
            return (), ()
        repeated = np.concatenate(self._repeated, 1)
        n = len(self._lags)
        steps = _most_telling(repeated[:n], repeated[:n], LOOKBACK_GAIN)
        bars = _most_telling(repeated[n:], repeated[:n], LOOKBACK_BAR_GAIN) if self._several else []
        return tuple(self._lags[sorted(steps)].tolist()), tuple(self._bars[sorted(bars)].tolist())


def _most_telling(repeated: np.ndarray, any_lag: np.ndarray, least: float) -> list[int]:
    """At most N_ECHOES rows of `repeated`, shape (lags, notes), each true beyond those before it and beyond chance.

    Chance is what one in ten of `any_lag` reaches; beyond both by `least`, a share of the notes.
    """
    chosen: list[int] = []
    open_notes = np.ones(repeated.shape[1], bool)
    while len(chosen) < N_LOOKBACKS:
        gain = (repeated & open_notes).mean(1) - np.quantile((any_lag & open_notes).mean(1), 0.9)
        best = int(gain.argmax())
        if gain[best] < least:
            break
        chosen.append(best)
        open_notes &= ~repeated[best]
    return chosen


def quantiles(lengths: Sequence[int]) -> tuple[int, ...]:
    """At most N_LENGTHS of the numbers, evenly over their ranks."""
    ranked = sorted(lengths)
    n = min(len(ranked), N_LENGTHS)
    return tuple(ranked[(2 * i + 1) * len(ranked) // (2 * n)] for i in range(n))


def by_frequency(count: Counter[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Time signatures, the most frequent first."""
    return tuple(sorted(count, key=lambda metre: (-count[metre], metre)))


def signature_counts(signatures: Sequence[tuple[str | None, int | None]], style: str | None) -> tuple[int, ...]:
    """Pieces in each key signature, of a style or, for None, of the corpus."""
    found = [signature for of, signature in signatures if signature is not None and style in (of, None)]
    return tuple(np.bincount(found, minlength=N_SIGNATURES).tolist())


def velocity_of_bin(count: np.ndarray) -> tuple[int, ...]:
    """What each velocity bin decodes to: the corpus's most frequent velocity in it, else its middle."""
    values = []
    for low in range(0, 128, VELOCITY_WIDTH):
        inside = count[low : low + VELOCITY_WIDTH]
        values.append(low + (int(inside.argmax()) if inside.any() else VELOCITY_WIDTH // 2))
    return tuple(values)


def active_counts(end: np.ndarray, at: np.ndarray) -> np.ndarray:
    """For each event, how many earlier notes sound or end at its onset; `end` of the notes, `at` of the events."""
    begun = np.minimum(np.arange(len(at)), len(end))
    ended = np.bincount(events_begun(at, end), minlength=len(at) + 1)[: len(at)]
    return begun - np.cumsum(ended)


def events_begun(at: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """How many events, at `at` (ascending), begin at or before each of `steps`, which is 0 or more."""
    latest = int(steps.max(initial=0))
    if latest > 16 * len(at):  # mostly rests
        return np.searchsorted(at, steps, side="right")
    count = np.bincount(at[: np.searchsorted(at, latest, side="right")], minlength=latest + 1)
    return np.cumsum(count)[steps]
