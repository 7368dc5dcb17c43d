"""Which units follow the beat, the bar, the phrase and the key: scores, against a shuffled control.

A score is a share of a unit's variance, 0..1, of its outputs after each note, less each piece's mean and straight
line, so that neither differences between pieces nor a drift through a piece count:

    beat    what the position in the beat explains (a mean for each position)
    bar     what the position in the bar explains beyond the position in the beat
    phrase  what the bar's number in a phrase of four explains
    key     what the twelve pitch classes of the last 24 notes explain, by linear regression

The control shows how high scores come by chance. In it the outputs stay as they are, with all their inertia, and what
should explain them is moved: each beat begins at a random step of itself, each bar at a random beat of itself, each
phrase at a random bar of itself, and the pitch profiles come from another moment, at the same distance for all notes.
(Moving all beats by the same distance would only rename the positions.) Of each shuffle the highest score of any unit
counts. A unit is said to follow if its score exceeds LEAST_SCORE and the 95th percentile of these: where there is
nothing to follow, one run in twenty names a unit at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from melodygru.events import N_RECENT, PHRASE
from melodygru.model.trace import Trace
from melodygru.music.notes import DRUMS, NoteSequence

ASPECTS = ("beat", "bar", "phrase", "key")
SHUFFLES = 100
CONFIDENCE = 0.95
LEAST_SCORE = 0.05  # of a unit that is said to follow; with much music far less is beyond chance
LEAST_SHIFT = 0.1  # share of the music that the key's control is moved by, at least
_TINY = 1e-12  # mean square below which a unit counts as constant; relative difference below which scores are equal


@dataclass(frozen=True)
class Following:
    """How far units follow one aspect of the music.

    Attributes
    ----------
    scores : array, shape (layers, units), in 0..1
    control : float
        The 95th percentile, over the shuffles, of the highest score of any unit.
    """

    scores: np.ndarray
    control: float

    @property
    def needed(self) -> float:
        """The score that a unit has to exceed to be said to follow."""
        return max(self.control, LEAST_SCORE)

    @property
    def beyond(self) -> np.ndarray:
        """Which units follow: (layers, units), bool. A shuffle that moved nothing has the score itself: a tie."""
        return self.scores > self.needed * (1 + _TINY)


@dataclass(frozen=True)
class Positions:
    """Metrical position of each note of a piece; all arrays have shape (n_notes,), int64.

    Attributes
    ----------
    step, beat : step in the beat, and steps in a beat of the metre, which is three units long in a compound one
    position, bar : step in the bar, and steps in a bar
    bar_number, beat_number : counted through the piece
    in_phrase : number of the bar in a phrase of four, from 0
    """

    step: np.ndarray
    beat: np.ndarray
    position: np.ndarray
    bar: np.ndarray
    bar_number: np.ndarray
    beat_number: np.ndarray

    @property
    def in_phrase(self) -> np.ndarray:
        return self.bar_number % PHRASE


def positions(sequence: NoteSequence) -> Positions:
    """Metrical position of each note of a piece on a metrical grid."""
    onset = sequence.notes["onset"]
    bar, beat = sequence.bars.at(onset), sequence.bars.beats_at(onset)
    return Positions(
        step=beat.position,
        beat=beat.size,
        position=bar.position,
        bar=bar.size,
        bar_number=bar.bar,
        beat_number=beat.beat,
    )


def pitch_profile(sequence: NoteSequence) -> np.ndarray:
    """Share of each pitch class in the last N_RECENT notes up to each note, without drums: (n_notes, 12)."""
    notes = sequence.notes
    count = np.zeros((len(notes) + 1, 12))
    count[np.arange(1, len(notes) + 1), notes["pitch"] % 12] = notes["program"] != DRUMS
    count = np.cumsum(count, 0)
    recent = count[1:] - count[np.maximum(0, np.arange(1, len(notes) + 1) - N_RECENT)]
    return recent / np.maximum(1, recent.sum(1, keepdims=True))


@dataclass(frozen=True)
class Profile:
    """What a unit does at each position of an aspect.

    Attributes
    ----------
    aspect : one of ASPECTS
    at : array, shape (n,): beats from the start of the beat or the bar; bars of the phrase from 1; pitch classes
    mean : array, shape (n,): of the outputs there, less mean and line; for the key, the correlation with the share
    deviation : array, shape (n,): standard deviation there; zeros for the key
    """

    aspect: str
    at: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray


def profile(pieces: Sequence[Trace], aspect: str, layer: int, unit: int) -> Profile:
    """What a unit does at each position; of several metres, in the one with the most notes."""
    outputs = np.concatenate([_levelled(trace.outputs[1:, layer, unit, None]) for trace in pieces])[:, 0]
    if aspect == "key":
        shares = np.concatenate([_levelled(pitch_profile(trace.sequence)) for trace in pieces])
        strength = np.sqrt((outputs**2).sum() * (shares**2).sum(0))
        return Profile(aspect, np.arange(12), outputs @ shares / np.maximum(strength, _TINY), np.zeros(12))
    whole = _all_positions(pieces)
    at, unit_steps = whole.in_phrase + 1, 1.0
    if aspect != "phrase":
        length, at = (whole.beat, whole.step) if aspect == "beat" else (whole.bar, whole.position)
        commonest = length == np.bincount(length).argmax()
        outputs, at = outputs[commonest], at[commonest]
        unit_steps = pieces[0].sequence.grid.rate
    found, index = np.unique(at, return_inverse=True)
    inside = [outputs[index.reshape(-1) == i] for i in range(len(found))]
    return Profile(
        aspect, found / unit_steps, np.array([v.mean() for v in inside]), np.array([v.std() for v in inside])
    )


def _all_positions(pieces: Sequence[Trace]) -> Positions:
    """Metrical positions of the notes of all pieces, one piece after the other."""
    at = [positions(trace.sequence) for trace in pieces]
    return Positions(*(np.concatenate([getattr(p, name) for p in at]) for name in Positions.__dataclass_fields__))


def follow(pieces: Sequence[Trace], rng: np.random.Generator, shuffles: int = SHUFFLES) -> dict[str, Following]:
    """How far each unit follows each of ASPECTS; without a metrical grid, the key alone.

    Parameters
    ----------
    pieces : sequence of Trace
    rng : draws the shuffles
    shuffles : how many

    Returns
    -------
    found : dict of aspect -> Following
    """
    shape = pieces[0].outputs.shape[1:]
    outputs = np.concatenate([_levelled(trace.outputs[1:].reshape(len(trace) - 1, -1)) for trace in pieces])
    squares = (outputs**2).sum(0)
    still = squares <= _TINY * len(outputs)
    outputs = outputs / np.sqrt(np.where(still, 1.0, squares))
    outputs[:, still] = 0.0
    outputs = outputs.astype(np.float32)  # enough for scores of three digits, and twice as fast

    def following(scores: np.ndarray, by_chance: list[float]) -> Following:
        return Following(scores.reshape(shape), float(np.quantile(by_chance, CONFIDENCE)))

    found = {}
    if pieces[0].sequence.grid.is_metrical:
        whole = _all_positions(pieces)
        piece = np.repeat(np.arange(len(pieces)), [len(trace) - 1 for trace in pieces])
        beats, bars, phrases = (
            np.unique(np.stack([piece, number], 1), axis=0, return_inverse=True)[1].reshape(-1)
            for number in (whole.beat_number, whole.bar_number, whole.bar_number // PHRASE)
        )
        size = int(whole.bar.max()) + 1
        in_beat = whole.beat * size + whole.step
        of_beat = _explained(outputs, in_beat)

        def beyond_beat(position: np.ndarray) -> np.ndarray:
            return _explained(outputs, whole.bar * size + position) - of_beat

        found["beat"] = following(
            of_beat,
            [
                _explained(
                    outputs,
                    whole.beat * size + (whole.step + _draws(rng, beats, size)) % whole.beat,
                ).max()
                for _ in range(shuffles)
            ],
        )
        found["bar"] = following(
            np.maximum(0.0, beyond_beat(whole.position)),
            [
                beyond_beat((whole.position + _draws(rng, bars, size) * whole.beat) % whole.bar).max()
                for _ in range(shuffles)
            ],
        )
        found["phrase"] = following(
            _explained(outputs, whole.in_phrase),
            [
                _explained(outputs, (whole.in_phrase + _draws(rng, phrases, PHRASE)) % PHRASE).max()
                for _ in range(shuffles)
            ],
        )
    shares = np.concatenate([_levelled(pitch_profile(trace.sequence)) for trace in pieces])
    basis, strength, _ = np.linalg.svd(shares, full_matrices=False)
    basis = basis[:, strength > 1e-6 * max(strength[0], _TINY)].astype(np.float32)
    n = len(outputs)
    least = max(1, int(LEAST_SHIFT * n))
    distances = rng.integers(least, max(least + 1, n - least), shuffles)
    found["key"] = following(
        ((basis.T @ outputs) ** 2).sum(0),
        [((np.roll(basis, distance, 0).T @ outputs) ** 2).sum(0).max() for distance in distances],
    )
    return found


def _levelled(values: np.ndarray) -> np.ndarray:
    """Columns less their mean and their straight line; float64."""
    values = values.astype(np.float64) - values.mean(0, dtype=np.float64)
    line = np.arange(len(values)) - (len(values) - 1) / 2
    squares = (line**2).sum()
    return values - np.outer(line, line @ values / squares) if squares else values


def _explained(outputs: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Share of each column's squares that the means of the classes explain; columns have mean 0 and squares 1."""
    _, index, count = np.unique(classes, return_inverse=True, return_counts=True)
    member = np.zeros((len(count), len(outputs)), np.float32)
    member[index.reshape(-1), np.arange(len(outputs))] = 1.0
    return ((member @ outputs) ** 2 / count[:, None]).sum(0, dtype=np.float64)


def _draws(rng: np.random.Generator, group: np.ndarray, below: int) -> np.ndarray:
    """A random number 0..below - 1 for each group, at all its notes."""
    return rng.integers(0, below, int(group.max()) + 1)[group]
