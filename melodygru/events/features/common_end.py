"""The end that most sounding notes share, in music without a beat: where the pedal will be lifted."""

from __future__ import annotations

import numpy as np

from melodygru.events.features.feature import Feature, Region, point
from melodygru.events.features.piece import Past, Piece
from melodygru.events.features.sounding import active_pairs
from melodygru.events.times import TIMES, time_of
from melodygru.events.vocabulary import Vocabulary

N_SHARING = 12  # classes of how many notes share an end; more count as the last
N_AT_ONCE = 24  # classes of how many notes sound; more count as the last
_BASE = 1 << 17  # above any number of steps to an end, which is TIMES.maximum at most


class CommonEnd(Feature):
    """At the onset: how many notes sound, how many of them share the commonest end, and how far it is, to the step.

    Of ends that as many share it is the latest. It is a pointer to the duration, and where the vocabulary has
    `exact_ends`, the step inside the duration's class: long notes under one pedal end together to the step, which their
    classes, of many steps each, don't say. That step's gain over the others of its class is an output of the head.
    """

    @staticmethod
    def blocks(vocabulary: Vocabulary) -> dict[str, int]:
        if vocabulary.grid.is_metrical:
            return {}
        return {"n_sounding": N_AT_ONCE, "sharing": N_SHARING, "common_end": TIMES.size}

    @staticmethod
    def columns(vocabulary: Vocabulary) -> dict[str, int]:
        there = not vocabulary.grid.is_metrical
        exact = vocabulary.exact_ends
        return {"context": 3 * there, "duration_pointers": int(there), "at_common_end": int(exact)}

    @staticmethod
    def encode(piece: Piece, region: Region, arrays: dict[str, np.ndarray]) -> None:
        n, blocks = len(piece.at), region.blocks
        sharing, left_of, sounds = (np.zeros(n, np.int64) for _ in range(3))
        for event, _, note in active_pairs(piece.end, piece.at):
            left = piece.end[note] - piece.at[event]
            on = left > 0
            event, left = event[on], np.minimum(left[on], TIMES.maximum)
            sounds += np.bincount(event, minlength=n)
            ends, counts = np.unique(event * _BASE + left, return_counts=True)
            # In ascending order of how many share it, then of how late it is: what is written last stays.
            order = np.lexsort((ends, counts))
            at = ends[order] // _BASE
            sharing[at], left_of[at] = counts[order], ends[order] % _BASE
        has = np.flatnonzero(sounds)
        context, column = arrays["context"], region.columns["context"]
        context[has, column] = blocks["n_sounding"] + np.minimum(sounds[has], N_AT_ONCE) - 1
        context[has, column + 1] = blocks["sharing"] + np.minimum(sharing[has], N_SHARING) - 1
        classes = TIMES.encode(left_of[has])
        context[has, column + 2] = blocks["common_end"] + classes
        notes = has < n - 1
        point(arrays, region, "duration", 0, has[notes], classes[notes])
        if piece.vocabulary.exact_ends:
            arrays["at_common_end"][:-1, 0] = left_of[:-1] == piece.duration

    def __init__(self, past: Past, region: Region) -> None:
        super().__init__(past, region)
        self._n, self._sharing, self._end = (region.blocks[name] for name in ("n_sounding", "sharing", "common_end"))
        self._class = 0  # of the commonest end, plus 1; 0 is none
        self.left = 0  # steps to it

    def context(self, row: list[int]) -> None:
        at = self.past.onset
        shared: dict[int, int] = {}
        for _, _, _, end, _ in self.past.active:
            if end > at:
                shared[end] = shared.get(end, 0) + 1
        if not shared:
            self._class = self.left = 0
            row += (0, 0, 0)
            return
        n, end = max((n, end) for end, n in shared.items())
        self.left = min(end - at, TIMES.maximum)
        self._class = time_of(self.left) + 1
        row += (
            self._n + min(sum(shared.values()), N_AT_ONCE) - 1,
            self._sharing + min(n, N_SHARING) - 1,
            self._end + self._class - 1,
        )

    def point_note(self, durations: list[int], velocities: list[int], part: int, pitch: int) -> None:
        durations.append(self._class)
