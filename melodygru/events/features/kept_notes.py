"""What is kept further on: inside a gap that is composed again, the notes that come, and how far away they are.

Elsewhere, and where no gap is known of, all of it is hidden: 0, which is what likelihoods are given with.
"""

from __future__ import annotations

from bisect import bisect_left

import numpy as np

from melodygru.events.features.feature import Feature, Region, point
from melodygru.events.features.piece import Past, Piece
from melodygru.events.kept import NEVER
from melodygru.events.times import N_SPANS, TIMES, span_class, span_of, time_of
from melodygru.events.vocabulary import FIRST_PART, PART, Vocabulary
from melodygru.music.grid import Grid
from melodygru.music.notes import N_PITCHES

N_NEAREST = 4  # parts whose next note is a feature
N_CLASSES = 5  # pitch classes of the next beat that are
WAITS = (0, 0.5, 1, 2, 4)  # beats: a note is waited for so long at most, or longer
N_WAITS = len(WAITS) + 1
POINTED_WAITS = (1,)  # likewise, of the pointers to its pitch
NO_BEAT_S = 0.5  # seconds that count as a beat where there is none


class KeptNotes(Feature):
    """Inside a gap, of what stays and has still to come: the next note of each part, and the harmony of its next beat.

    Before the event's shift, the steps until the next note that stays, which a pointer points to as well, and until the
    gap is over. At the onset these again, the nearest parts' next notes by pitch and wait, and the pitch classes struck
    in the beat that begins with the first of them. Pointers, of the event's part: to the pitch of its next note, one
    for each wait, and to the duration until its next onset. Its description says how long that is, too.
    """

    @staticmethod
    def blocks(vocabulary: Vocabulary) -> dict[str, int]:
        if not vocabulary.kept:
            return {}
        notes = {"kept_note": N_WAITS * 2 * N_PITCHES, "kept_class": N_WAITS * 12}
        return {"kept_wait": N_SPANS, "kept_end": N_SPANS, **notes}

    @staticmethod
    def columns(vocabulary: Vocabulary) -> dict[str, int]:
        if not vocabulary.kept:
            return {}
        at_onset = {"context": 1 + N_NEAREST + N_CLASSES, "pitch_pointers": len(POINTED_WAITS) + 1}
        return {"before": 2, "shift_pointers": 1, **at_onset, "duration_pointers": 1}

    @staticmethod
    def encode(piece: Piece, region: Region, arrays: dict[str, np.ndarray]) -> None:
        ahead = piece.ahead
        if ahead is None:
            return
        kept, blocks = ahead.kept, region.blocks
        # Before the shift.
        t = ahead.before
        now = piece.at[t] - piece.shift[t]
        following = ahead.onset[t].min(1, initial=NEVER)
        has = np.flatnonzero(following < NEVER)
        wait = following[has] - now[has]
        column = region.columns["before"]
        arrays["before"][t[has], column] = blocks["kept_wait"] + span_class(wait)
        arrays["before"][t, column + 1] = blocks["kept_end"] + span_class(ahead.end(now) - now)
        point(arrays, region, "shift", 0, t[has], TIMES.encode(np.minimum(wait, TIMES.maximum)))
        # At the onset.
        t = ahead.within
        now, onset, pitch = piece.at[t], ahead.onset[t], ahead.pitch[t]
        context, column = arrays["context"], region.columns["context"]
        context[t, column] = blocks["kept_end"] + span_class(ahead.end(now) - now)
        beat = beat_of(piece.vocabulary.grid)
        is_drums = np.array([line in kept.drums for line in kept.lines], bool)
        value = onset * (2 * N_PITCHES) + is_drums * N_PITCHES + pitch
        for rank, nearest in enumerate(np.sort(value, 1)[:, :N_NEAREST].T, 1):
            has = np.flatnonzero(nearest < NEVER)
            wait = nearest[has] // (2 * N_PITCHES) - now[has]
            ids = _wait_class(wait, WAITS, beat) * 2 * N_PITCHES + nearest[has] % (2 * N_PITCHES)
            context[t[has], column + rank] = blocks["kept_note"] + ids
        first = onset[:, ~is_drums].min(1, initial=NEVER)
        has = np.flatnonzero(first < NEVER)
        struck = kept.classes(first[has], beat)
        ranks = np.cumsum(struck, 1)
        row, pitch_class = np.nonzero(struck & (ranks <= N_CLASSES))
        ids = _wait_class(first[has] - now[has], WAITS, beat)[row] * 12 + pitch_class
        context[t[has[row]], column + N_NEAREST + ranks[row, pitch_class]] = blocks["kept_class"] + ids
        # Of the event's part, once it has come in.
        t = t[t < len(piece.part)]
        t = t[(piece.fields[t, PART] >= FIRST_PART) if piece.vocabulary.models_part else t > 0]
        for of_line, line in enumerate(kept.lines):
            own = t[piece.part[t] == line]
            following = ahead.onset[own, of_line]
            has = own[following < NEVER]
            wait = ahead.onset[has, of_line] - piece.at[has]
            waits = _wait_class(wait, POINTED_WAITS, beat)
            for rank in range(len(POINTED_WAITS) + 1):
                near = has[waits == rank]
                point(arrays, region, "pitch", rank, near, ahead.pitch[near, of_line])
            onsets = kept.onset[kept.line == line]
            later = np.append(onsets, NEVER)[np.searchsorted(onsets, piece.at[own], side="right")]
            has = np.flatnonzero(later < NEVER)
            left = np.minimum(later[has] - piece.at[own[has]], TIMES.maximum)
            point(arrays, region, "duration", 0, own[has], TIMES.encode(left))

    def __init__(self, past: Past, region: Region) -> None:
        super().__init__(past, region)
        self._blocks, self._beat = region.blocks, beat_of(past.vocabulary.grid)
        self._waits, self._pointed = ([edge * self._beat for edge in edges] for edges in (WAITS, POINTED_WAITS))
        self._wait = -1

    def before(self, row: list[int]) -> None:
        past, self._wait = self.past, -1
        kept, now = past.kept, past.onset
        gap = None if kept is None else kept.gap_after(now)
        past.kept_next = {} if gap is None else past.find_kept()
        if gap is None:
            row += (0, 0)
            return
        following = min((onset for onset, _ in past.kept_next.values()), default=NEVER)
        if following < gap[0]:
            row += (0, 0)
            return
        if following < NEVER:
            self._wait = following - now
        row.append(0 if self._wait < 0 else self._blocks["kept_wait"] + span_of(self._wait))
        row.append(self._blocks["kept_end"] + span_of(gap[1] - now))

    def point_shift(self, row: list[int]) -> None:
        row.append(0 if self._wait < 0 else time_of(min(self._wait, TIMES.maximum)) + 1)

    def context(self, row: list[int]) -> None:
        past, blocks, beat = self.past, self._blocks, self._beat
        kept, now, gap = past.kept, past.onset, past.gap()
        if kept is None or gap is None:
            row += [0] * (1 + N_NEAREST + N_CLASSES)
            return
        row.append(blocks["kept_end"] + span_of(gap[1] - now))
        ahead = [(onset, line in kept.drums, pitch) for line, (onset, pitch) in past.kept_next.items()]
        nearest = [
            blocks["kept_note"] + (bisect_left(self._waits, onset - now) * 2 + drums) * N_PITCHES + pitch
            for onset, drums, pitch in sorted(ahead)[:N_NEAREST]
        ]
        row += nearest + [0] * (N_NEAREST - len(nearest))
        first = min((onset for onset, drums, _ in ahead if not drums), default=NEVER)
        found: list[int] = []
        if first < NEVER:
            origin = blocks["kept_class"] + bisect_left(self._waits, first - now) * 12
            found = [origin + one for one in kept.classes_at(first, beat)[:N_CLASSES]]
        row += found + [0] * (N_CLASSES - len(found))

    def point_pitch(self, row: list[int], part: int) -> None:
        past, pointers = self.past, [0] * (len(POINTED_WAITS) + 1)
        line = past.line_of(part)
        if line in past.kept_next and past.gap() is not None:
            onset, pitch = past.kept_next[line]
            pointers[bisect_left(self._pointed, onset - past.onset)] = pitch + 1
        row += pointers

    def point_note(self, durations: list[int], velocities: list[int], part: int, pitch: int) -> None:
        past = self.past
        kept, line = past.kept, past.line_of(part)
        found = None
        if kept is not None and line >= 0 and past.gap() is not None:
            found = kept.next_of(line, (past.onset + 1) * N_PITCHES)
        durations.append(0 if found is None else time_of(min(found[0] - past.onset, TIMES.maximum)) + 1)


def beat_of(grid: Grid) -> float:
    """Steps of a beat, or of half a second where there is none."""
    return grid.rate if grid.is_metrical else NO_BEAT_S * grid.rate


def _wait_class(steps: np.ndarray, edges: tuple[float, ...], beat: float) -> np.ndarray:
    """Class of each wait: that of the first edge, in beats, that it doesn't exceed."""
    return np.searchsorted(np.array(edges) * beat, steps)
