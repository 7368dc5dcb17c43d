"""What a piece is like, in numbers: the features by which sets of pieces are compared.

Conventions
-----------
A feature of a piece is a vector of floats: one value, a histogram (sums to 1), or a matrix of transitions (sums to 1,
row by row: from, to). Where a piece has no such thing (intervals of a single note, bars without a beat), all are nan.

**Time** is counted in beats (quarter notes) on a metrical grid, and in seconds otherwise. Features that compare bars
exist on a metrical grid alone.

**Drums** have no pitch, interval or meaningful length: they count only where onsets, notes or silence do.

A **line** is what a part plays, reduced to the highest note of each onset. Intervals and transitions go from note
to note of a line, over rests too.

Sources
-------
Yang and Lerch, "On the evaluation of generative models in music", Neural Computing and Applications 32, 2020: pitch
count, pitch range, pitch class histogram and transition matrix, mean interval, note count (of a piece, and of a bar),
mean inter-onset interval, note length histogram (its twelve classes) and transition matrix.
Dong, Chen, McAuley and Berg-Kirkpatrick, "MusPy: a toolkit for symbolic music generation", ISMIR 2020: polyphony,
scale consistency, groove consistency (between neighbouring bars), entropy of the pitch class histogram.
Wu and Yang, "The Jazz Transformer on the front line", ISMIR 2020: grooving similarity of bars, and repetition over many
bars as what generated music lacks. They measure that in sound; `bar_similarity_*` and `self_similarity` do in notes.
What is said of form, line-up, groove, harmony and endings is `music.traits`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from melodygru.music.grid import Grid
from melodygru.music.keys import DIATONIC, key_signature
from melodygru.music.names import PITCH_CLASSES
from melodygru.music.notes import DRUMS, NoteSequence
from melodygru.music.passages import returning
from melodygru.music.traits import KITS, LAGS, traits

MAX_INTERVAL = 12  # semitones; wider ones share a class on either side
INTERVALS = (
    f"< -{MAX_INTERVAL}",
    *(f"{semitones:+d}" if semitones else "0" for semitones in range(-MAX_INTERVAL, MAX_INTERVAL + 1)),
    f"> +{MAX_INTERVAL}",
)
# Yang and Lerch's twelve: whole to sixteenth, plain and dotted, and triplets. In beats.
LENGTH_BEATS = np.array([1 / 4, 1 / 3, 3 / 8, 1 / 2, 2 / 3, 3 / 4, 1, 4 / 3, 3 / 2, 2, 3, 4])
LENGTH_S = 2.0 ** (-4.5 + 0.5 * np.arange(12))  # without a beat: 44 ms to 2 s, each longer by the root of two
LENGTHS = tuple("1/16 1/8t 1/16. 1/8 1/4t 1/8. 1/4 1/2t 1/4. 1/2 1/2. 1/1".split())
LENGTHS_S = tuple(f"{seconds:.2g} s" for seconds in LENGTH_S)


@dataclass(frozen=True)
class Feature:
    """What is known of a feature without a piece.

    Attributes
    ----------
    name : str
    label : str
        For people.
    kind : str
        `value`, `histogram` or `transitions`.
    width : int
        Length of the vector.
    unit : str
        Of a value, with {time} for the unit of time, {one} for one of it, and {long} for that of a whole piece.
    needs_bars : bool
        Exists on a metrical grid alone.
    """

    name: str
    label: str
    kind: str = "value"
    width: int = 1
    unit: str = ""
    needs_bars: bool = False

    def unit_on(self, grid: Grid) -> str:
        """The unit of a value on a grid."""
        beats = {"time": "beats", "one": "beat", "long": "bars"}
        return self.unit.format(**(beats if grid.is_metrical else dict.fromkeys(beats, "s")))

    def classes(self, grid: Grid) -> tuple[str, ...]:
        """Names of a histogram's classes, or of the rows (and columns) of a matrix; none for a value."""
        if self.name.startswith(("note_length", "inter_onset")):
            return LENGTHS if grid.is_metrical else LENGTHS_S
        return {
            "interval_histogram": INTERVALS,
            "scale_degree_histogram": tuple(map(str, range(12))),
            "pitch_class_histogram": PITCH_CLASSES,
            "pitch_class_transitions": PITCH_CLASSES,
        }.get(self.name, ())


FEATURES: dict[str, Feature] = {
    feature.name: feature
    for feature in (
        Feature("pitch_class_histogram", "pitch classes", "histogram", 12),
        Feature("scale_degree_histogram", "pitch classes in key", "histogram", 12),
        Feature("pitch_class_transitions", "pitch class transitions", "transitions", 144),
        Feature("interval_histogram", "intervals", "histogram", len(INTERVALS)),
        Feature("mean_interval", "mean interval", unit="semitones"),
        Feature("pitches_used", "pitches used", unit="pitches"),
        Feature("pitch_range", "pitch range", unit="semitones"),
        Feature("scale_consistency", "scale consistency", unit="share"),
        Feature("polyphony", "polyphony", unit="notes"),
        Feature("note_length_histogram", "note lengths", "histogram", 12),
        Feature("note_length_transitions", "note length transitions", "transitions", 144),
        Feature("inter_onset_histogram", "inter-onset intervals", "histogram", 12),
        Feature("mean_inter_onset", "mean inter-onset time", unit="{time}"),
        Feature("note_density", "note density", unit="notes/{one}"),
        Feature("note_count", "note count", unit="notes"),
        Feature("rest_share", "rests", unit="share"),
        Feature("notes_per_bar", "notes per bar", unit="notes", needs_bars=True),
        Feature("groove_consistency", "groove consistency", unit="share", needs_bars=True),
        *(
            Feature(f"bar_similarity_{lag}", f"alike {lag} bar{'s' * (lag > 1)} before", unit="share", needs_bars=True)
            for lag in LAGS
        ),
        Feature("self_similarity", "self-similarity", unit="share", needs_bars=True),
        Feature("bar_returns", "bars that return", unit="share", needs_bars=True),
        Feature("returning_notes", "notes that return", unit="share"),
        Feature("programs", "programs", unit="programs"),
        Feature("line_up_changes", "line-up changes", unit="share", needs_bars=True),
        *(Feature(name, f"{name} as in bar before", unit="share", needs_bars=True) for name in KITS),
        Feature("harmony_at_bars", "harmony at bar lines", unit="ratio", needs_bars=True),
        Feature("last_note", "last note", unit="{time}"),
        Feature("length", "length", unit="{long}"),
    )
}


def measure(sequences: Iterable[NoteSequence]) -> dict[str, np.ndarray]:
    """The features of many pieces.

    Parameters
    ----------
    sequences : iterable of NoteSequence
        All on one grid, or the values can't be compared.

    Returns
    -------
    values : dict of array, float64, shape (n_pieces, width)
        By the names of FEATURES. A row of nan: that piece has no such feature.
    """
    rows = [piece_features(sequence) for sequence in sequences]
    return {
        name: np.array([row[name] for row in rows], float).reshape(-1, feature.width)
        for name, feature in FEATURES.items()
    }


def piece_features(sequence: NoteSequence) -> dict[str, np.ndarray]:
    """The features of one piece: by the names of FEATURES, float64, shape (width,), nan where there is no such thing.

    pitch_class_histogram
        Share of the notes.
    scale_degree_histogram
        The same, counted in semitones from the tonic of the major key whose signature the piece has (`key_signature`):
        what stays when a piece is transposed.
    pitch_class_transitions, note_length_transitions
        Share of the steps from note to note of a line.
    interval_histogram
        Share of the steps of a line, by semitones up; a class on either side for more than an octave.
    mean_interval
        Mean size of these steps, up or down, in semitones.
    pitches_used, pitch_range
        Different pitches; semitones from the lowest to the highest.
    scale_consistency
        Share of the notes that lie in the scale of one major key, that of the key which holds the most.
    polyphony
        Mean number of sounding notes while any sounds.
    note_length_histogram, inter_onset_histogram
        Share by the class that is nearest in ratio; an inter-onset interval is that between successive onsets of the
        whole piece, and `mean_inter_onset` is their mean.
    note_density, note_count
        Notes per beat or second of the piece's length; notes.
    returning_notes
        Share of the notes that an earlier passage of their part led to expect, see `music.passages`: at any pitch, but
        of drums.
    rest_share
        Share of the piece's length in which nothing sounds.
    notes_per_bar
        Mean number of notes that begin in a bar.
    groove_consistency
        1 - the share of steps in which a bar's pattern of onsets differs from that of the bar before, mean over bars;
        bars of different lengths are not compared. It depends on the grid: most steps of a fine one are empty in both.
    all further ones
        See `music.traits`.
    """
    notes = sequence.notes
    grid = sequence.grid
    steps_per_unit = grid.rate
    found = {name: np.full(feature.width, np.nan) for name, feature in FEATURES.items()}
    if len(notes) == 0:
        return found
    length_classes = LENGTH_BEATS if grid.is_metrical else LENGTH_S

    def classes_of(steps: np.ndarray) -> np.ndarray:
        return _nearest(steps / steps_per_unit, length_classes)

    pitched = notes[notes["program"] != DRUMS]
    if len(pitched):
        pitches = pitched["pitch"].astype(np.int64)
        counts = np.bincount(pitches % 12, minlength=12)
        found["pitch_class_histogram"] = _shares(counts)
        found["scale_degree_histogram"] = _shares(np.roll(counts, -(key_signature(sequence) or 0)))
        found["scale_consistency"][:] = max(_in_scale(counts)) / len(pitches)
        found["pitches_used"][:] = len(np.unique(pitches))
        found["pitch_range"][:] = np.ptp(pitches)
        found["polyphony"][:] = pitched["duration"].sum() / _covered(pitched)
        found["note_length_histogram"] = _histogram(classes_of(pitched["duration"]), 12)
    before, after = _line_steps(pitched)
    if len(before):
        intervals = after["pitch"].astype(np.int64) - before["pitch"]
        clipped = np.clip(intervals, -MAX_INTERVAL - 1, MAX_INTERVAL + 1) + MAX_INTERVAL + 1
        found["interval_histogram"] = _histogram(clipped, len(INTERVALS))
        found["mean_interval"][:] = np.abs(intervals).mean()
        found["pitch_class_transitions"] = _histogram(before["pitch"] % 12 * 12 + after["pitch"] % 12, 144)
        transitions = classes_of(before["duration"]) * 12 + classes_of(after["duration"])
        found["note_length_transitions"] = _histogram(transitions, 144)
    onsets = np.unique(notes["onset"])
    if len(onsets) > 1:
        between = np.diff(onsets)
        found["inter_onset_histogram"] = _histogram(classes_of(between), 12)
        found["mean_inter_onset"][:] = between.mean() / steps_per_unit
    found["returning_notes"][:] = _n_returning(notes) / len(notes)
    found["note_count"][:] = len(notes)
    found["note_density"][:] = len(notes) / (sequence.length / steps_per_unit)
    found["rest_share"][:] = 1 - _covered(notes) / sequence.length
    if grid.is_metrical:
        found |= _bar_features(sequence)
    for name, value in traits(sequence).items():
        found[name][:] = value
    return found


def entropy_bits(histograms: np.ndarray) -> np.ndarray:
    """Shannon entropy of histograms along the last axis, in bits; nan where they are."""
    positive = np.where(histograms > 0, histograms, 1.0)
    return -np.sum(np.where(np.isnan(histograms), np.nan, histograms) * np.log2(positive), axis=-1) + 0.0


def _shares(counts: np.ndarray) -> np.ndarray:
    return counts / counts.sum()


def _histogram(classes: np.ndarray, n: int) -> np.ndarray:
    """Share of each of `n` classes."""
    return _shares(np.bincount(classes, minlength=n))


def _nearest(values: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Index of the class nearest in ratio; of two as near, the smaller."""
    borders = np.sqrt(classes[:-1] * classes[1:])
    return np.searchsorted(borders, values, side="left")


def _in_scale(counts: np.ndarray) -> list[int]:
    """How many of the notes, counted by pitch class, lie in each of the twelve major scales."""
    return [int(counts[(DIATONIC + tonic) % 12].sum()) for tonic in range(12)]


def _covered(notes: np.ndarray) -> int:
    """Steps in which at least one of the notes (in order of onset) sounds."""
    ends = np.maximum.accumulate(notes["onset"] + notes["duration"])
    starts = np.maximum(notes["onset"][1:], ends[:-1])
    return int(notes["duration"][0] + np.maximum(0, ends[1:] - starts).sum())


def _n_returning(notes: np.ndarray) -> int:
    """Notes that an earlier passage of their part led to expect."""
    parts, firsts = np.unique(notes["part"], return_index=True)
    lines = (notes["pitch"][notes["part"] == part].astype(np.int64) for part in parts)
    fixed = notes["program"][firsts] == DRUMS
    return sum(int(returning(line, drums).sum()) for line, drums in zip(lines, fixed.tolist(), strict=True))


def _line_steps(pitched: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The note before and the note after each step of every line."""
    order = np.argsort(pitched["part"], kind="stable")  # leaves (onset, pitch) in order within a part
    notes = pitched[order]
    if len(notes) == 0:
        return notes, notes
    new = (notes["part"][1:] != notes["part"][:-1]) | (notes["onset"][1:] != notes["onset"][:-1])
    line = notes[np.append(new, True)]  # the last of an onset is its highest
    same = line["part"][1:] == line["part"][:-1]
    return line[:-1][same], line[1:][same]


def _bar_features(sequence: NoteSequence) -> dict[str, np.ndarray]:
    """Notes per bar and groove consistency."""
    notes = sequence.notes
    bars = sequence.bar_starts()
    n_bars = len(bars) - 1
    widths = np.diff(bars)
    bar = np.searchsorted(bars, notes["onset"], side="right") - 1
    position = notes["onset"] - bars[bar]
    found = {"notes_per_bar": np.full(1, len(notes) / n_bars), "groove_consistency": np.full(1, np.nan)}

    span = int(widths.max())
    onsets = np.unique(bar * span + position)
    n_onsets = np.bincount(onsets // span, minlength=n_bars)
    repeated = onsets[np.isin(onsets + span, onsets)]  # onsets that the next bar has too
    common = np.bincount(repeated // span, minlength=n_bars)[:-1]
    alike = widths[1:] == widths[:-1]
    if alike.any():
        differing = n_onsets[1:] + n_onsets[:-1] - 2 * common
        found["groove_consistency"][:] = (1 - differing / widths[1:])[alike].mean()
    return found
