"""Which earlier passages the last notes go along with, at any pitch, in music of one part."""

from __future__ import annotations

import numpy as np

from melodygru.events.features.feature import Feature, Region, point
from melodygru.events.features.ngram_lookup import latest_equal, mixed
from melodygru.events.features.piece import Past, Piece
from melodygru.events.times import N_SPANS, TIMES, span_class, span_of, time_of
from melodygru.events.vocabulary import DURATION, Vocabulary
from melodygru.music.notes import N_PITCHES

N_EXPECTED = 4  # notes of the passage that are awaited at once
KEPT_BACK = 4  # an awaited note is given up when another one is struck that stands further on than so many notes
LATELY = 4  # of so many notes OTHER may miss before another passage is looked for
OTHER = 2
LONGER = 8  # of so many notes LOST may miss before the passage is given up
LOST = 5
N_HITS = 9  # classes of how many of the last 16 notes were expected
N_RUNS = 4  # classes of how many in a row
N_AGREED = N_HITS * N_RUNS
LONGEST = (1 << 16) - 1  # one bit for each of the last 16 notes
DUE_WITHIN = 3  # steps, or DUE_SHARE of the shift if that is more, by which a note may come early or late
DUE_SHARE = 4
N_DUE = 3  # an expected note was due before the onset, is due there, or later


class Alignment(Feature):
    """The next notes of the earlier passages that the last notes go along with, as pointers, and how well they do.

    Of each order a passage is found where as many last notes stood before, moved by any interval and in any order: in a
    performance the notes of a chord never come in the same order twice. It is followed as a score is followed by a
    page-turner: any of the N_EXPECTED notes that come next may be struck, others may come between, and after too many
    of these another passage is looked for. Unlike an n-gram's, its shifts need not agree.

    Before the event: how many notes were expected lately, and the steps until the next two expected ones. At the onset:
    whether each expected note is due. Pointers: the step to the next one, the pitches of all, and, once it is struck,
    the duration and the velocity that it had.
    """

    @staticmethod
    def blocks(vocabulary: Vocabulary) -> dict[str, int]:
        n = _n_levels(vocabulary)
        return {
            "aligned": n * N_AGREED,
            "aligned_next": n * TIMES.size,
            "aligned_second": n * N_SPANS,
            "aligned_due": n * N_EXPECTED * N_DUE,
        }

    @staticmethod
    def columns(vocabulary: Vocabulary) -> dict[str, int]:
        n = _n_levels(vocabulary)
        return {
            "before": 3 * n,
            "context": N_EXPECTED * n,
            "shift_pointers": n,
            "pitch_pointers": N_EXPECTED * n,
            "duration_pointers": n,
            "velocity_pointers": n * vocabulary.models_velocity,
        }

    @staticmethod
    def encode(piece: Piece, region: Region, arrays: dict[str, np.ndarray]) -> None:
        pitch, pitches, onset = piece.pitch, arrays["pitch_pointers"], np.append(piece.onset, 0)
        last = np.append(0, piece.onset)  # the onset of the note before each event
        slack = np.maximum(DUE_WITHIN, piece.shift // DUE_SHARE)[:, None]
        for level, order in enumerate(piece.vocabulary.alignment_orders):
            agreed_id, next_id, second_id, due_id = _ids(region, level)
            expected, (moved, agreed, source, own) = followed(pitch, order)
            has, awaited = expected >= 0, np.maximum(expected, 0)
            # Steps to each expected note from the last one that was struck, less those that have gone by.
            wait = onset[awaited] - (onset[source] + last - onset[own])[:, None]
            there, second = (np.flatnonzero(has[:, rank]) for rank in range(2))
            before, column = arrays["before"], region.columns["before"] + 3 * level
            before[there, column] = agreed_id + agreed[there]
            following = TIMES.encode(np.clip(wait[there, 0], 0, TIMES.maximum))
            before[there, column + 1] = next_id + following
            point(arrays, region, "shift", level, there, following)
            before[second, column + 2] = second_id + span_class(np.maximum(wait[second, 1], 0))
            column = region.columns["context"] + N_EXPECTED * level
            due = 1 + (wait > piece.shift[:, None] + slack) - (wait < piece.shift[:, None] - slack)
            due += due_id + np.arange(N_EXPECTED) * N_DUE
            arrays["context"][:, column : column + N_EXPECTED] = np.where(has, due, 0)
            if not len(pitch):
                continue
            would = pitch[awaited] + moved[:, None]
            possible = (has & (would >= 0) & (would < N_PITCHES))[:-1]
            column = region.columns["pitch_pointers"] + N_EXPECTED * level
            pitches[:-1, column : column + N_EXPECTED] = np.where(possible, would[:-1] + 1, 0)
            struck = possible & (would[:-1] == pitch[:, None])
            events = np.flatnonzero(struck.any(1))
            found = awaited[events, struck[events].argmax(1)]
            point(arrays, region, "duration", level, events, piece.fields[found, DURATION])
            if piece.vocabulary.models_velocity:
                point(arrays, region, "velocity", level, events, piece.velocity[found])

    def __init__(self, past: Past, region: Region) -> None:
        super().__init__(past, region)
        orders = past.vocabulary.alignment_orders
        self._ids = tuple(_ids(region, level) for level in range(len(orders)))
        self._pitches: list[int] = []
        self._onsets: list[int] = []
        self._bags = [Bags(order) for order in orders]
        self._followers = [Follower() for _ in orders]
        self._waits: list[list[int]] = [[] for _ in orders]  # steps to each expected note

    def before(self, row: list[int]) -> None:
        onsets = self._onsets
        self._waits = []
        for follower, (agreed, following, second, _) in zip(self._followers, self._ids, strict=True):
            if not follower.expected:
                self._waits.append([])
                row += (0, 0, 0)
                continue
            reached = onsets[follower.source] + onsets[-1] - onsets[follower.own]
            waits = [onsets[note] - reached for note in follower.expected]
            self._waits.append(waits)
            row += (
                agreed + follower.agreed,
                following + time_of(min(max(waits[0], 0), TIMES.maximum)),
                second + span_of(max(waits[1], 0)) if len(waits) > 1 else 0,
            )

    def context(self, row: list[int]) -> None:
        shift = self.past.shift
        slack = max(DUE_WITHIN, shift // DUE_SHARE)
        for waits, (_, _, _, due) in zip(self._waits, self._ids, strict=True):
            for rank, wait in enumerate(waits):
                row.append(due + rank * N_DUE + 1 + (wait > shift + slack) - (wait < shift - slack))
            row += [0] * (N_EXPECTED - len(waits))

    def point_shift(self, row: list[int]) -> None:
        row += [time_of(min(max(waits[0], 0), TIMES.maximum)) + 1 if waits else 0 for waits in self._waits]

    def point_pitch(self, row: list[int], part: int) -> None:
        pitches = self._pitches
        for follower in self._followers:
            would = [pitches[note] + follower.moved for note in follower.expected]
            row += [pitch + 1 if 0 <= pitch < N_PITCHES else 0 for pitch in would]
            row += [0] * (N_EXPECTED - len(would))

    def point_note(self, durations: list[int], velocities: list[int], part: int, pitch: int) -> None:
        pitches, values = self._pitches, self.past.values
        for follower in self._followers:
            source = pitch - follower.moved
            found = next((note for note in follower.expected if pitches[note] == source), -1)
            durations.append(values[found][2] + 1 if found >= 0 else 0)
            if self.past.vocabulary.models_velocity:
                velocities.append(values[found][3] + 1 if found >= 0 else 0)

    def add(self) -> None:
        pitches = self._pitches
        pitches.append(self.past.pitch)
        self._onsets.append(self.past.onset)
        for bags, follower in zip(self._bags, self._followers, strict=True):
            follower.add(pitches, len(pitches) - 1, *bags.add(pitches))

    def copy(self, past: Past) -> Feature:
        other = super().copy(past)
        assert isinstance(other, Alignment)
        other._bags = [bags.copy() for bags in self._bags]
        other._followers = [follower.copy() for follower in self._followers]
        return other


def _n_levels(vocabulary: Vocabulary) -> int:
    """Passages that are followed at once by all notes of a piece; of several parts each follows its own."""
    return 0 if vocabulary.models_part else len(vocabulary.alignment_orders)


def _ids(region: Region, level: int) -> tuple[int, int, int, int]:
    """The first ids of what agrees, of the steps to the next and to the second expected note, and of which are due."""
    sizes = {
        "aligned": N_AGREED,
        "aligned_next": TIMES.size,
        "aligned_second": N_SPANS,
        "aligned_due": N_EXPECTED * N_DUE,
    }
    agreed, following, second, due = (region.blocks[name] + size * level for name, size in sizes.items())
    return agreed, following, second, due


class Bags:
    """Where the last notes of a line stood before, moved by any interval and in any order.

    Parameters
    ----------
    order : how many last notes
    fixed : whether they must have stood at the same pitches, as drums must
    """

    def __init__(self, order: int, fixed: bool = False) -> None:
        self._order, self._fixed = order, fixed
        self._known: dict[int, int] = {}  # the note after each bag of notes

    def add(self, pitches: list[int]) -> tuple[int, int]:
        """The note after the same bag of notes as the line ends with, or -1, and by what it has moved since."""
        if len(pitches) < self._order:
            return -1, 0
        last = pitches[-self._order :]
        low = 0 if self._fixed else min(last)
        bag = sum([_MIXED[pitch - low] for pitch in last]) & _MASK
        found = self._known.get(bag, -1)
        self._known[bag] = len(pitches)
        return found, low - min(pitches[found - self._order : found]) if found >= 0 and not self._fixed else 0

    def copy(self) -> Bags:
        """Another in the same state."""
        other = Bags(self._order, self._fixed)
        other._known = self._known.copy()
        return other


class Follower:
    """Goes along with an earlier passage of a piece, note by note.

    Attributes
    ----------
    expected : list of int
        The passage's next notes that weren't struck yet, at most N_EXPECTED, in order; none where no passage is known.
    moved : semitones from the passage's pitches to those expected
    source, own : the passage's note that was struck last, and the note that struck it
    agreed : class of how many notes were expected lately, and in a row
    """

    __slots__ = ("_end", "_hits", "_misses", "_run", "agreed", "expected", "moved", "own", "source")

    def __init__(self) -> None:
        self.expected: list[int] = []
        self.moved = self.source = self.own = self.agreed = 0
        self._end = 0  # the note of the passage that will be expected next
        self._hits = self._misses = 0  # a bit for each of the last notes, the lowest for the last one
        self._run = 0

    def add(self, pitches: list[int], note: int, found: int, moved: int) -> None:
        """Go on past a note; `found` is where a passage goes on that ends as the piece does now, or -1."""
        expected = self.expected
        if expected:
            pitch = pitches[note] - self.moved
            for struck in expected:
                if pitches[struck] == pitch:
                    self._hits = self._hits << 1 & LONGEST | 1
                    self._misses = self._misses << 1 & LONGEST
                    self._run += 1
                    self.source, self.own = struck, note
                    least = struck - KEPT_BACK
                    self.expected = expected = [other for other in expected if other >= least and other != struck]
                    while len(expected) < N_EXPECTED and self._end <= note:
                        expected.append(self._end)
                        self._end += 1
                    break
            else:
                self._hits = self._hits << 1 & LONGEST
                self._misses = self._misses << 1 & LONGEST | 1
                self._run = 0
        if found >= 0:
            if not expected or (self._misses & (1 << LATELY) - 1).bit_count() >= OTHER:
                self._end = min(found + N_EXPECTED, note + 1)
                self.expected = list(range(found, self._end))
                self.moved, self.source, self.own = moved, found - 1, note
                self._hits = self._misses = self._run = 0
        elif expected and (self._misses & (1 << LONGER) - 1).bit_count() >= LOST:
            self.expected = []
        self.agreed = self._hits.bit_count() // 2 * N_RUNS + min(self._run, N_RUNS - 1)

    def copy(self) -> Follower:
        """Another in the same state."""
        other = Follower()
        for name in self.__slots__:
            setattr(other, name, getattr(self, name))
        return other  # no list of it is ever changed once `add` is over


def followed(pitch: np.ndarray, order: int, fixed: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """What the follower expects before each of n notes, and after the last: shape (n + 1, N_EXPECTED), -1 is nothing.

    And its `moved`, `agreed`, `source` and `own`, shape (4, n + 1). `order` and `fixed` are those of `Bags`.
    """
    n = len(pitch)
    found, moved = np.full(n + 1, -1), np.zeros(n + 1, np.int64)
    if n > order:
        last = np.lib.stride_tricks.sliding_window_view(pitch, order)
        low = np.zeros(len(last), np.int64) if fixed else last.min(1)
        at = latest_equal(_MIXED_ARRAY[last - low[:, None]].sum(1, dtype=np.uint64))
        has = at >= 0
        found[order:][has] = at[has] + order
        moved[order:][has] = low[has] - low[at[has]]
    none = [-1] * N_EXPECTED
    expected, states = none.copy(), [0] * 4
    follower, pitches = Follower(), pitch.tolist()
    for note, (where, by) in enumerate(zip(found[1:].tolist(), moved[1:].tolist(), strict=True)):
        if where < 0 and not follower.expected:
            expected += none
            states += (0, 0, 0, 0)
            continue
        follower.add(pitches, note, where, by)
        awaited = follower.expected
        expected += awaited if len(awaited) == N_EXPECTED else (awaited + none)[:N_EXPECTED]
        states += (follower.moved, follower.agreed, follower.source, follower.own)
    return np.array(expected).reshape(-1, N_EXPECTED), np.array(states).reshape(-1, 4).T


_MIXED_ARRAY = mixed(np.arange(N_PITCHES))
_MIXED = _MIXED_ARRAY.tolist()
_MASK = (1 << 64) - 1
