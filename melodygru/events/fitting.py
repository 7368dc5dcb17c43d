"""A corpus' vocabulary and statistics, fitted to its pieces."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Generic, TypeVar

import numpy as np

from melodygru.errors import NoteError
from melodygru.events.features.sounding import active_counts
from melodygru.events.planned import transposed_chords
from melodygru.events.statistics import MAX_RUNS, CorpusStatistics
from melodygru.events.vocabulary import ALIGNMENT_ORDERS, MAX_PARTS, VELOCITY_WIDTH, Vocabulary
from melodygru.music.chords import half_bar_chords
from melodygru.music.extremes import Extremes, extremes, limits
from melodygru.music.form import Runs, as_runs, bar_returns, runs_of
from melodygru.music.grid import Grid
from melodygru.music.keys import commonest_share, key_signature
from melodygru.music.metre import steps_per_bar
from melodygru.music.notes import N_PROGRAMS, ONSET_KEYS, NoteSequence, note_keys
from melodygru.music.traits import TRAITS, ranges, traits

N_SIGNATURES = 12
ONE_KEY = 0.45  # share of the pieces in one key signature above which a corpus is taken to be in one key
N_LINE_UPS = 64  # that are kept of a style's pieces
N_MEASURED = 256  # of a style's pieces whose traits and forms are found, at least, where there are so many
N_FORMS = 64  # that are kept of them
N_PROGRESSIONS = 128  # of all styles together whose chords are kept: they take the most room
LEAST_PROGRESSIONS = 4  # of a style, however many there are
BY_BARS = 2.0  # how much oftener a style's harmony changes at bar lines, at least, where chords are drawn for it
CLEAR_CHORDS = 0.9  # share of a piece's half bars with a chord, at least, where others are to have its chords
N_LENGTHS = 32  # quantiles that are kept of the lengths of a style's pieces
MAX_SOUNDING = 16  # sounding notes that are features, at most; the most recent ones, should there be more
N_LOOKBACKS = 6  # lags, at most
LOOKBACK_BEATS = 64  # the longest lag
LOOKBACK_BARS = 16  # the longest lag that is counted in bars
# Share of the notes that a lag must explain beyond the lags before it, and beyond any odd lag; a bar is no odd one.
LOOKBACK_GAIN, LOOKBACK_BAR_GAIN = 0.03, 0.02
OFTEN_BARS, OFTEN = (1, 2, 4, 8), 0.2  # lags that count where they repeat this share of the notes
LOOKBACK_NOTES = 10_000  # of the corpus that lags are chosen by, about

Item = TypeVar("Item")
Value = TypeVar("Value")
Length = TypeVar("Length", int, float)
Form = tuple[tuple[int, int], Runs, Runs]  # metre, bars in runs, chords in runs


def fit_vocabulary(pieces: Iterable[tuple[NoteSequence, str | None]], grid: Grid) -> Vocabulary:
    """The vocabulary of a corpus of (sequence on `grid`, style) pairs, read once.

    Raises
    ------
    NoteError
        There is no note in it.
    """
    program_count = np.zeros(N_PROGRAMS, np.int64)
    velocity_count = np.zeros(128, np.int64)
    most_parts = 0
    metre_count: Counter[tuple[int, int]] = Counter()
    style_metres: dict[str, Counter[tuple[int, int]]] = {}
    style_programs: dict[str, set[int]] = {}
    style_tempos: dict[str, list[float]] = {}
    tempos: list[float] = []
    forms = _Measured(lambda piece: (piece.metre, runs_of(bar_returns(piece)), _progression(piece)))
    sounding = 4.0
    lengths: dict[tuple[str | None, tuple[int, int]], list[int]] = {}
    signatures: list[tuple[str | None, int | None]] = []
    line_ups: dict[str | None, list[tuple[int, ...]]] = {}
    farthest: list[tuple[str | None, Extremes]] = []
    typical = _Measured(traits)
    repeats = _Repeats(grid)
    for sequence, style in pieces:
        notes = sequence.notes
        if len(notes) == 0:
            continue
        program_count += np.bincount(notes["program"], minlength=N_PROGRAMS)
        line_up = tuple(sorted(sequence.part_programs.tolist()))
        most_parts = max(most_parts, len(line_up))
        for of in {style, None}:
            line_ups.setdefault(of, []).append(line_up)
        velocity_count += np.bincount(notes["velocity"], minlength=128)
        metre_count[sequence.metre] += 1
        tempos.append(sequence.qpm)
        if grid.is_metrical:
            forms.add(sequence, style)
        for key in {(style, sequence.metre), (None, sequence.metre)}:
            lengths.setdefault(key, []).append(sequence.length)
        if style is not None:
            style_tempos.setdefault(style, []).append(sequence.qpm)
            style_metres.setdefault(style, Counter())[sequence.metre] += 1
            style_programs.setdefault(style, set()).update(np.unique(notes["program"]).tolist())
        counts = active_counts(notes["onset"] + notes["duration"], notes["onset"])
        sounding = max(sounding, float(np.quantile(counts, 0.98)))
        signatures.append((style, key_signature(sequence)))
        farthest.append((style, extremes(sequence)))
        typical.add(sequence, style)
        repeats.add(notes, sequence.metre)
    if not program_count.any():
        raise NoteError("no note in the corpus: nothing to make a vocabulary of")
    lookback_steps, lookback_bars = repeats.lags()
    styles = tuple(sorted(style_tempos))
    parts = _modelled_parts(most_parts, int(np.count_nonzero(program_count)))
    present = np.flatnonzero(velocity_count)
    metres = _by_frequency(metre_count)
    usual = tuple(ranges(typical.of(style)) for style in (*styles, None))
    kept_forms = [_forms(forms.of(style)) for style in (*styles, None)] if grid.is_metrical else []
    return Vocabulary(
        grid=grid,
        programs=tuple(np.argsort(-program_count, kind="stable")[: np.count_nonzero(program_count)].tolist()),
        parts=parts,
        velocities=(int(present[0]),) if len(present) == 1 else _velocity_of_bin(velocity_count),
        styles=styles,
        metres=metres,
        n_sounding=min(MAX_SOUNDING, int(math.ceil(sounding))),
        key=bool(commonest_share(signature for _, signature in signatures) <= ONE_KEY),
        lookback_steps=lookback_steps,
        lookback_bars=lookback_bars,
        lookback_runs=bool(lookback_bars),
        kept=True,
        plans=grid.is_metrical,
        exact_ends=not grid.is_metrical,
        alignment_orders=() if grid.is_metrical or parts else ALIGNMENT_ORDERS,
        statistics=CorpusStatistics(
            qpm=float(np.median(tempos)),
            style_qpm=tuple(float(np.median(style_tempos[style])) for style in styles),
            metre_pieces=tuple(metre_count[metre] for metre in metres),
            style_metres=tuple(tuple(style_metres[style][metre] for metre in metres) for style in styles),
            style_programs=tuple(tuple(sorted(style_programs[style])) for style in styles),
            lengths=tuple(
                tuple(_quantiles(lengths.get((style, metre), [])) for metre in metres) for style in (*styles, None)
            ),
            longest=max(max(of_metre) for of_metre in lengths.values()),
            signatures=tuple(_signature_counts(signatures, style) for style in (*styles, None)),
            tempos=tuple(_quantiles(style_tempos[style]) for style in styles) + (_quantiles(tempos),),
            forms=tuple(tuple((metres.index(of), form) for of, form, _ in one) for one in kept_forms),
            progressions=_progressions(kept_forms, usual),
            line_ups=tuple(_spread(line_ups.get(style, [])) for style in (*styles, None)) if most_parts > 1 else (),
            extremes=tuple(
                tuple(limits([reached for of, reached in farthest if style in (of, None)])) for style in (*styles, None)
            ),
            typical=usual,
        ),
    )


class _Measured(Generic[Value]):
    """What is measured of the pieces of each style; of many, of every second one, fourth one, ..."""

    def __init__(self, measure: Callable[[NoteSequence], Value]) -> None:
        self._measure = measure
        self._found: dict[str | None, list[Value]] = {}
        self._n_pieces: Counter[str | None] = Counter()
        self._every: Counter[str | None] = Counter()  # doublings

    def add(self, piece: NoteSequence, style: str | None) -> None:
        """Measure a piece, if it is its turn."""
        self._n_pieces[style] += 1
        if self._n_pieces[style] % (1 << self._every[style]):
            return
        found = self._found.setdefault(style, [])
        found.append(self._measure(piece))
        if len(found) == 2 * N_MEASURED:
            self._found[style] = found[1::2]
            self._every[style] += 1

    def of(self, style: str | None) -> list[Value]:
        """Of the pieces of a style; None: of all."""
        return [value for of, found in self._found.items() if style in (of, None) for value in found]


class _Repeats:
    """At which lags the pieces of a corpus repeat their own notes, by a sample of them."""

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        beat = float(grid.steps_per_beat or 0)  # none: no lags
        unit, longest = max(1, round(beat / 2)), round(beat * LOOKBACK_BEATS)
        self._lags = np.arange(unit, longest + 1, unit)
        self._bars = np.arange(1, LOOKBACK_BARS + 1)
        self._repeated: list[np.ndarray] = []  # of a piece: shape (lags and bars, notes), whether it stood there too
        self._every, self._n_pieces = 1, 0
        self._metre: tuple[int, int] | None = None
        self._several = False  # whether there are several metres

    def add(self, notes: np.ndarray, metre: tuple[int, int]) -> None:
        """Add a piece to the sample; of many, every second one, fourth one, ..."""
        self._n_pieces += 1
        self._metre = self._metre or metre
        self._several |= metre != self._metre
        if not len(self._lags) or self._n_pieces % self._every:
            return
        notes = notes[:LOOKBACK_NOTES]
        key = note_keys(notes)
        lags = np.append(self._lags, self._bars * steps_per_bar(self._grid, metre))
        wanted = key - lags[:, None] * ONSET_KEYS
        self._repeated.append(key[np.minimum(np.searchsorted(key, wanted), len(key) - 1)] == wanted)
        if sum(repeated.shape[1] for repeated in self._repeated) > 2 * LOOKBACK_NOTES:
            self._repeated = self._repeated[1::2]
            self._every *= 2

    def lags(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The lags that explain most notes, each beyond those before it and beyond chance: in steps, and in bars.

        Chance is what one lag in ten reaches. Without several metres bars say nothing that steps don't; with them,
        steps still serve where the metre is unknown. A lag of OFTEN_BARS at which the corpus often repeats itself is
        among them in any case: a groove goes on from the bar before, which the longer lag alone doesn't say.
        """
        if not self._repeated:
            return (), ()
        repeated = np.concatenate(self._repeated, 1)
        n = len(self._lags)
        steps = _most_explaining(repeated[:n], repeated[:n], LOOKBACK_GAIN)
        often = [bars - 1 for bars in OFTEN_BARS if repeated[n + bars - 1].mean() >= OFTEN]
        if self._several:
            bars = {*_most_explaining(repeated[n:], repeated[:n], LOOKBACK_BAR_GAIN), *often}
            return tuple(self._lags[sorted(steps)].tolist()), tuple(self._bars[sorted(bars)].tolist())
        assert self._metre is not None
        bar = steps_per_bar(self._grid, self._metre)
        return tuple(sorted({*self._lags[steps].tolist(), *(bar * int(self._bars[bars]) for bars in often)})), ()


def _most_explaining(repeated: np.ndarray, any_lag: np.ndarray, least: float) -> list[int]:
    """At most N_LOOKBACKS rows of `repeated`, shape (lags, notes), each true beyond those before it and beyond chance.

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


def _spread(line_ups: Sequence[tuple[int, ...]]) -> tuple[tuple[int, ...], ...]:
    """At most N_LINE_UPS of them, evenly over the order of the pieces, the shortest first."""
    return tuple(sorted(_evenly(line_ups, N_LINE_UPS), key=lambda line_up: (len(line_up), line_up)))


def _modelled_parts(most: int, n_programs: int) -> int:
    """Parts that a vocabulary tells apart, of a corpus whose pieces have so many at most: a new piece may have more."""
    if most <= 1 and n_programs == 1:
        return 0
    return min(MAX_PARTS, most + max(4, most // 2))


def _quantiles(lengths: Sequence[Length]) -> tuple[Length, ...]:
    """At most N_LENGTHS of the numbers, evenly over their ranks."""
    return _evenly(sorted(lengths), N_LENGTHS)


def _evenly(values: Sequence[Item], most: int) -> tuple[Item, ...]:
    """At most so many of the values, evenly over their order."""
    n = min(len(values), most)
    return tuple(values[(2 * i + 1) * len(values) // (2 * n)] for i in range(n))


def _by_frequency(count: Counter[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Time signatures, the most frequent first."""
    return tuple(sorted(count, key=lambda metre: (-count[metre], metre)))


def _forms(found: Sequence[Form]) -> tuple[Form, ...]:
    """At most N_FORMS of the forms of pieces, evenly over their order, with their metres and chords."""
    return _evenly([form for form in found if 0 < len(form[1]) <= MAX_RUNS], N_FORMS)


def _progressions(
    forms: Sequence[Sequence[Form]], usual: Sequence[Sequence[tuple[float, float] | None]]
) -> tuple[tuple[Runs, ...], ...]:
    """The chords of the pieces of each style's forms; of those that are left out, none.

    Left out are all but some, evenly over their order, and styles whose harmony does not move with the bars: chords of
    half bars say little of chorales and of tunes for one instrument, which a model composes better by itself.
    """
    at = list(TRAITS).index("harmony_at_bars")
    moves = [(of[at] or (0.0, 0.0))[0] >= BY_BARS for of in usual]
    each = max(LEAST_PROGRESSIONS, N_PROGRESSIONS // max(1, sum(moves)))
    found = []
    for style, by_bars in zip(forms, moves, strict=False):
        known = [number for number, (_, _, runs) in enumerate(style) if runs and by_bars]
        kept = set(_evenly(known, each))
        found.append(tuple(runs if number in kept else () for number, (_, _, runs) in enumerate(style)))
    return tuple(found)


def _progression(piece: NoteSequence) -> Runs:
    """The chords of a piece as runs of half bars, moved to the signature of C major; none where few are clear."""
    chords = half_bar_chords(piece)
    runs = as_runs(transposed_chords(chords, -(key_signature(piece) or 0)))
    return runs if len(runs) <= MAX_RUNS and np.mean(chords > 0) >= CLEAR_CHORDS else ()


def _signature_counts(signatures: Sequence[tuple[str | None, int | None]], style: str | None) -> tuple[int, ...]:
    """Pieces in each key signature, of a style or, for None, of the corpus."""
    found = [signature for of, signature in signatures if signature is not None and style in (of, None)]
    return tuple(np.bincount(found, minlength=N_SIGNATURES).tolist())


def _velocity_of_bin(count: np.ndarray) -> tuple[int, ...]:
    """What each velocity bin decodes to: the corpus's most frequent velocity in it, else its middle."""
    values = []
    for low in range(0, 128, VELOCITY_WIDTH):
        inside = count[low : low + VELOCITY_WIDTH]
        values.append(low + (int(inside.argmax()) if inside.any() else VELOCITY_WIDTH // 2))
    return tuple(values)
