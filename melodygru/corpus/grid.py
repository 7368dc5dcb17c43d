"""Which grid a corpus stands on: the coarsest one that loses nothing worth hearing.

The rule
--------
Of a piece that is on none of the grids below, notes in beats divided exactly in 5, 7, 9 or 10 don't count.

Candidates are `STEPS_PER_BEAT` steps in a quarter note, and `PERFORMANCE_GRID` for music without a beat.

1. A time is *on* a grid of N steps per beat when it lies within a tolerance of one of its steps. So wide a net
   catches times at random too, and the finer the grid the more of them: the share on the grid is corrected for that
   share by chance, `(share - chance) / (1 - chance)`, which is 0 for times that know nothing of the grid and 1 for
   times that all lie on it. A grid whose chance exceeds `MAX_CHANCE` can't be judged and is left out, unless it is no
   coarser than the file's own ticks, on which everything lies.
2. Tolerances are tried from the strictest. A piece is *metrical* when the corrected share of its onsets on some grid
   is at least `METRICAL_SHARE`. The first tolerance at which at least `METRICAL_PIECES` of the pieces are metrical
   decides; pieces that aren't (a few live recordings among scores) have no vote. With none, `ORNAMENTED_SHARE` is
   tried in its place: songs with grace notes and arpeggios that a player put where they please. With none again, the
   music has no beat.
3. The onsets of all metrical pieces together choose the coarsest grid whose corrected share is within `SLACK` (plus
   twice its standard error, which is 0 when everything lies on some grid) of the best one. Among ornaments a fine
   grid catches some of them, and they are no rhythm: there a coarser one will do that misses up to twice as many as
   the best.
4. The ends of notes may ask for a finer multiple of it by the same comparison, when at least `METRICAL_SHARE` of them
   are on it and it is at most `max(4, 3 N)` steps per beat. Ends elsewhere are articulation and not rhythm.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import numpy as np

from melodygru.music.grid import Grid
from melodygru.music.notes import NoteSequence
from melodygru.music.tuplets import in_tuplets

STEPS_PER_BEAT = (1, 2, 3, 4, 6, 8, 12, 16, 24)
PERFORMANCE_GRID = Grid.seconds(100)  # 10 ms: about the shortest time that a listener notices
TOLERANCES = (0.005, 0.01, 0.02, 0.03, 0.04)  # beats; 0.01 is 5 ms at 120 qpm
MAX_CHANCE = 0.75
METRICAL_SHARE = 0.95
ORNAMENTED_SHARE = 0.85
METRICAL_PIECES = 2 / 3
SLACK = 0.0025  # a grid that misplaces one onset in a hundred is too coarse; one in a thousand is an ornament
SAMPLE = 1000  # pieces looked at, evenly spaced; what they hold of sixteenths or triplets the rest holds too

_SECONDS_TICKS_PER_BEAT = 960  # phases of a sequence in seconds are measured in these


def parse_grid(text: str | int | Grid) -> Grid | None:
    """None for `auto`, else the grid that the text names."""
    return None if text == "auto" else Grid.parse(str(text))


def sample(n_pieces: int) -> np.ndarray:
    """Indices of at most `SAMPLE` of `n_pieces` pieces, evenly spaced."""
    return np.unique(np.linspace(0, n_pieces - 1, min(n_pieces, SAMPLE)).astype(np.int64)) if n_pieces else np.arange(0)


def choose_grid(sequences: Iterable[NoteSequence]) -> tuple[Grid, dict[str, Any]]:
    """Choose the grid of a set of pieces by the rule above.

    Parameters
    ----------
    sequences : iterable of NoteSequence
        In file ticks (a metrical grid), or in seconds, whose first tempo then gives the beat. Read once, one
        at a time; a piece without notes is ignored.

    Returns
    -------
    grid : Grid
        Four steps per beat when there are no notes at all.
    evidence : dict
        JSON-ready: `pieces` looked at, `metrical_pieces`, `tolerance_beats`, `onsets` and `ends` (corrected
        share on each candidate grid of the metrical pieces, or of all pieces when the music has no beat), and
        `decided_by`: "onsets", "ends" or "no beat".
    """
    onset_counts, end_counts, sizes, chances = [], [], [], []
    for sequence in sequences:
        if len(sequence) == 0:
            continue
        counts, chance = _counts(sequence, sequence.notes)
        size = len(sequence)
        if np.nanmax(_corrected(counts[0], np.array(size), chance)) < METRICAL_SHARE:
            others = sequence.notes[~in_tuplets(sequence)]
            if 0 < len(others) < size:
                counts, size = _counts(sequence, others)[0], len(others)
        onset_counts.append(counts[0])
        end_counts.append(counts[1])
        sizes.append(size)
        chances.append(chance)
    if not sizes:
        return Grid.beats(4), {"pieces": 0, "metrical_pieces": 0, "decided_by": "no notes"}
    n_onsets = np.array(sizes, np.float64)
    chance = np.stack(chances)
    on, off = np.stack(onset_counts), np.stack(end_counts)
    best = np.nan_to_num(_corrected(on, n_onsets[:, None, None], chance)).max(axis=2)
    evidence: dict[str, Any] = {"pieces": len(sizes)}
    for share, (level, tolerance) in itertools.product((METRICAL_SHARE, ORNAMENTED_SHARE), enumerate(TOLERANCES)):
        voters = best[:, level] >= share
        if voters.mean() < METRICAL_PIECES:
            continue
        onset_share, onset_error = _pool(on[voters, level], n_onsets[voters], chance[voters, level])
        end_share, end_error = _pool(off[voters, level], n_onsets[voters], chance[voters, level])
        slack = SLACK if share == METRICAL_SHARE else max(SLACK, 1 - float(np.nanmax(onset_share)))
        chosen = _coarsest(onset_share, onset_error, STEPS_PER_BEAT, slack)
        finer = _coarsest(end_share, end_error, [n for n in STEPS_PER_BEAT if n % chosen == 0])
        if finer and (
            end_share[STEPS_PER_BEAT.index(finer)] < METRICAL_SHARE or finer > max(4, 3 * chosen) or finer == chosen
        ):
            finer = 0
        evidence |= {
            "metrical_pieces": int(voters.sum()),
            "tolerance_beats": tolerance,
            "onsets": _table(onset_share),
            "ends": _table(end_share),
            "decided_by": "ends" if finer else "onsets",
        }
        return Grid.beats(finer or chosen), evidence
    level = 0
    evidence |= {
        "metrical_pieces": int((best[:, -1] >= METRICAL_SHARE).sum()),
        "tolerance_beats": TOLERANCES[level],
        "onsets": _table(_pool(on[:, level], n_onsets, chance[:, level])[0]),
        "ends": _table(_pool(off[:, level], n_onsets, chance[:, level])[0]),
        "decided_by": "no beat",
    }
    return PERFORMANCE_GRID, evidence


def _counts(sequence: NoteSequence, notes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How many onsets and ends are on each grid, (2, n_tolerances, n_grids), and each grid's chance."""
    onsets, ticks_per_beat = _phases(sequence, notes["onset"])
    ends, _ = _phases(sequence, notes["onset"] + notes["duration"])
    hits, chance = _hits(ticks_per_beat)
    return np.stack([hits @ np.bincount(phases, minlength=ticks_per_beat) for phases in (onsets, ends)]), chance


def _phases(sequence: NoteSequence, steps: np.ndarray) -> tuple[np.ndarray, int]:
    """Phase of each time, its ticks since the last beat, and the ticks in a beat."""
    rate = sequence.grid.steps_per_beat
    if rate is not None and rate.denominator == 1:
        return steps % int(rate), int(rate)
    if rate is not None:
        beats = steps / float(rate)
    else:
        assert sequence.grid.steps_per_second is not None
        beats = steps / float(sequence.grid.steps_per_second) * sequence.qpm / 60
    ticks = np.floor(beats * _SECONDS_TICKS_PER_BEAT + 0.5).astype(np.int64)
    return ticks % _SECONDS_TICKS_PER_BEAT, _SECONDS_TICKS_PER_BEAT


@lru_cache(maxsize=64)
def _hits(ticks_per_beat: int) -> tuple[np.ndarray, np.ndarray]:
    """Which phases are on each grid, (n_tolerances, n_grids, ticks_per_beat), and each grid's chance.

    A tolerance is at least half a tick: that is what writing a triplet into a file of 100 ticks per beat costs.
    """
    phase = np.arange(ticks_per_beat)
    hits = np.zeros((len(TOLERANCES), len(STEPS_PER_BEAT), ticks_per_beat), bool)
    for at, steps in enumerate(STEPS_PER_BEAT):
        # distance to the nearest multiple of ticks_per_beat / steps, in units of 1 / steps ticks: integers
        remainder = phase * steps % ticks_per_beat
        distance = np.minimum(remainder, ticks_per_beat - remainder)
        for level, tolerance in enumerate(TOLERANCES):
            hits[level, at] = distance <= steps * max(0.5, tolerance * ticks_per_beat)
    chance = hits.mean(axis=2)
    lossless = np.array([steps % ticks_per_beat == 0 for steps in STEPS_PER_BEAT])
    chance[:, lossless] = 0.0
    return hits.astype(np.int64), chance


def _corrected(count: np.ndarray, size: np.ndarray, chance: np.ndarray) -> np.ndarray:
    """(share - chance) / (1 - chance), NaN where chance is too high to judge."""
    judged = chance <= MAX_CHANCE
    return np.where(judged, (count / size - chance) / np.where(judged, 1 - chance, 1.0), np.nan)


def _pool(count: np.ndarray, size: np.ndarray, chance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Corrected share of all pieces' times on each grid, and its standard error; both shape (n_grids,)."""
    total = size.sum()
    pooled = (chance * size[:, None]).sum(0) / total
    share = _corrected(count.sum(0), total, pooled)
    stray = max(0.0, 1 - np.nanmax(share)) if not np.isnan(share).all() else 0.0
    error = np.sqrt(stray * pooled * (1 - pooled) / total) / np.maximum(1 - pooled, 1 - MAX_CHANCE)
    return share, error


def _coarsest(share: np.ndarray, error: np.ndarray, candidates: Iterable[int], slack: float = SLACK) -> int:
    """The coarsest candidate within `slack` of the best, 0 when none can be judged."""
    judged = [(n, STEPS_PER_BEAT.index(n)) for n in candidates if not np.isnan(share[STEPS_PER_BEAT.index(n)])]
    best = max((share[at] for _, at in judged), default=0.0)
    return next((n for n, at in judged if share[at] >= best - slack - 2 * error[at]), 0)


def _table(share: np.ndarray) -> dict[str, float]:
    """Corrected shares by steps per beat, for people and JSON."""
    return {
        str(n): round(float(value), 4) for n, value in zip(STEPS_PER_BEAT, share, strict=True) if not np.isnan(value)
    }
