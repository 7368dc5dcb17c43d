"""A description of each part that has played: what the pointer that chooses the next one matches the state with."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from melodygru.events.features.feature import Feature, Region
from melodygru.events.features.lookback import lags
from melodygru.events.features.ngram_lookup import ngram_followers
from melodygru.events.features.piece import Ahead, Past, Piece
from melodygru.events.kept import NEVER
from melodygru.events.times import N_SPANS, SPANS, span_class, span_of
from melodygru.events.vocabulary import Vocabulary
from melodygru.music.notes import N_PITCHES, N_PROGRAMS

REGISTER = 8  # semitones of a class of the last pitch
MANY = 3  # notes of one part at an onset; more count as these
DONE, DUE = 1, 2  # what a part struck a lag before the onset: as many notes as it has here, or more
N_RECENT, RECENT = 6, 64  # classes of how many of the last events were the part's, and of how many
FAR = 24  # classes of how many parts lie between a part and the first that may follow; more count as the last
N_COLUMNS = 8  # columns of a description, without those of the lags


@lru_cache
def description_sizes(vocabulary: Vocabulary) -> tuple[int, ...]:
    """How many classes each column of a description has: they are 1 .. size, and 0 is nothing.

    The part's program; steps since its last onset; steps until its last end; its notes at the onset, and whether the
    last note was its; the register of its last pitch; how many of the last 64 events were its; the longest n-gram whose
    follower was its; how far in the order of the parts it comes after the chord's last one, or at a new onset after the
    first, so that of several parts the first in order can be chosen; for each lag whether what it struck so long
    before is done or due, and, where there are plans, the same of the form's; and inside a gap steps until its next
    note that stays, and whether it may get others.
    """
    orders, n = len(vocabulary.ngram_orders), vocabulary.n_lookbacks
    of_part = (N_PROGRAMS, N_SPANS, N_SPANS, 2 * (MANY + 1), N_PITCHES // REGISTER, N_RECENT, orders, 2 * FAR)
    sizes = (*of_part, *[DUE] * (n + vocabulary.plans), *[2 * (N_SPANS + 1)] * vocabulary.kept)
    return sizes if vocabulary.models_part else ()


class PartDescriptions(Feature):
    """For each part that has played, the columns of `description_sizes`; those of a part stand together."""

    @staticmethod
    def columns(vocabulary: Vocabulary) -> dict[str, int]:
        return {"part_descriptions": len(description_sizes(vocabulary)) * vocabulary.parts}

    @staticmethod
    def encode(piece: Piece, region: Region, arrays: dict[str, np.ndarray]) -> None:
        vocabulary, at = piece.vocabulary, piece.at
        n_columns = len(description_sizes(vocabulary))
        rows = arrays["part_descriptions"].reshape(len(at), vocabulary.parts, n_columns)  # a view
        events = np.arange(len(at))
        for part, (first, own) in enumerate(zip(piece.firsts, piece.notes_of_parts, strict=True)):
            onset = piece.onset[own]
            now = events[first + 1 :]
            step = at[first + 1 :]
            n = np.searchsorted(own, now)  # of its notes, before each event
            here = np.maximum(n - np.searchsorted(onset, step), 0)
            row = rows[first + 1 :, part]
            row[:, 0] = piece.part_programs[part] + 1
            row[:, 1] = span_class(step - onset[n - 1]) + 1
            row[:, 2] = span_class(np.maximum(np.maximum.accumulate(piece.end[own])[n - 1] - step, 0)) + 1
            row[:, 3] = 1 + np.minimum(here, MANY) + (MANY + 1) * (piece.part[now - 1] == part)
            row[:, 4] = piece.pitch[own[n - 1]] // REGISTER + 1
            after_last = np.minimum(part - piece.part[now - 1], FAR - 1)
            after = np.where(piece.shift[now] == 0, after_last, FAR + min(part, FAR - 1))
            row[:, 7] = np.maximum(1 + after, 0)
            row[:, 5] = 1 + _recent_class(n - np.searchsorted(own, now - RECENT))
            for level, lag in enumerate(lags(vocabulary, piece.metre)):
                if lag:
                    row[:, N_COLUMNS + level] = _struck_before(onset, step - lag, here)
            if vocabulary.plans:
                back = piece.form_lag[first + 1 :]
                row[:, N_COLUMNS + vocabulary.n_lookbacks] = np.where(
                    back > 0, _struck_before(onset, step - back, here), 0
                )
        if piece.ahead is not None and vocabulary.kept:
            _encode_kept(piece, piece.ahead, rows)
        for level, found in enumerate(ngram_followers(piece)):
            has = np.flatnonzero(found >= 0)
            agree = piece.shift[found[has]] == piece.shift[has]
            has = has[agree]
            rows[has, piece.part[found[has]], 6] = level + 1

    def __init__(self, past: Past, region: Region) -> None:
        super().__init__(past, region)
        vocabulary = past.vocabulary
        self._lags, self._plans = lags(vocabulary, past.metre), vocabulary.plans
        self._n_columns = len(description_sizes(vocabulary))
        self._width = self._n_columns * vocabulary.parts
        self._parts: list[tuple[int, int]] = []  # of each part the last onset and the last pitch
        self._struck: dict[int, dict[int, int]] = {}  # at each onset, the notes of each part
        self._recent: list[int] = []  # how many of the last RECENT events were each part's

    def row(self) -> bytearray:
        """The columns of all parts, at the onset."""
        past, n_columns = self.past, self._n_columns
        at, last = past.onset, -1 if past.last is None else past.last[0]
        row = bytearray(self._width)
        struck, recent = self._struck, self._recent
        here = struck.get(at, {})
        spans, longest = SPANS, len(SPANS) - 1
        for part, ((onset, pitch), end) in enumerate(zip(self._parts, past.ends, strict=True)):
            first, since, left, n = part * n_columns, at - onset, end - at, here.get(part, 0)
            row[first : first + 6] = (
                past.programs[part] + 1,
                spans[since if since < longest else longest] + 1,
                spans[0 if left < 0 else left if left < longest else longest] + 1,
                1 + (n if n < MANY else MANY) + (MANY + 1 if part == last else 0),
                pitch // REGISTER + 1,
                _RECENT_CLASSES[recent[part]],
            )
            if past.shift:
                row[first + 7] = 1 + FAR + min(part, FAR - 1)
            elif part >= last:
                row[first + 7] = 1 + min(part - last, FAR - 1)
        all_lags = (*self._lags, past.form_lag) if self._plans else self._lags
        for column, lag in enumerate(all_lags, N_COLUMNS):
            there = struck.get(at - lag) if lag else None
            if there is not None:
                for part, n in there.items():
                    row[part * n_columns + column] = DUE if part not in here or n > here[part] else DONE
        if past.kept is not None and past.vocabulary.kept and past.gap() is not None:
            for line, part in past.given.items():
                following = past.kept_next.get(line)
                wait = N_SPANS if following is None else span_of(following[0] - at)
                row[(part + 1) * n_columns - 1] = 1 + wait + (N_SPANS + 1) * (line in past.kept.open)
        for level, found in enumerate(past.ngram_followers):
            if found >= 0 and past.notes[found][0] == past.shift:
                row[past.values[found][0] * n_columns + 6] = level + 1
        return row

    def add(self) -> None:
        past = self.past
        at, part = past.onset, past.part
        if len(past.values) > RECENT:
            self._recent[past.values[-1 - RECENT][0]] -= 1
        if part == len(self._parts):
            self._parts.append((at, past.pitch))
            self._recent.append(0)
        else:
            self._parts[part] = (at, past.pitch)
        self._recent[part] += 1
        if at in self._struck:
            struck = self._struck[at] = dict(self._struck[at])  # copies of the feature share the old one
            struck[part] = struck.get(part, 0) + 1
        else:
            self._struck[at] = {part: 1}


def _encode_kept(piece: Piece, ahead: Ahead, rows: np.ndarray) -> None:
    """The last column: of the parts that have come in, inside a gap."""
    for part, first in enumerate(piece.firsts):
        t = ahead.within[ahead.within > first]
        wait = np.full(len(t), N_SPANS)
        if part in ahead.kept.lines:
            onset = ahead.onset[t, ahead.kept.lines.index(part)]
            wait = np.where(onset < NEVER, span_class(onset - piece.at[t]), N_SPANS)
        rows[t, part, -1] = 1 + wait + (N_SPANS + 1) * (part in ahead.kept.open)


def _struck_before(onset: np.ndarray, step: np.ndarray, here: np.ndarray) -> np.ndarray:
    """Whether what a part, by its onsets, struck at earlier steps is DONE or DUE, by its notes here; 0: nothing."""
    there = np.searchsorted(onset, step, side="right") - np.searchsorted(onset, step)
    return np.where(there > 0, np.where(there > here, DUE, DONE), 0)


def _recent_class(count: np.ndarray) -> np.ndarray:
    """Class of how many of the last events were a part's: 0, 1, 2 to 3, 4 to 7, 8 to 15, more."""
    return np.minimum(np.frexp(count.astype(np.float64))[1], N_RECENT - 1)


_RECENT_CLASSES = (1 + _recent_class(np.arange(RECENT + 1))).tolist()
