"""What followed the last time that the preceding few events stood in the piece."""

from __future__ import annotations

from collections import deque

import numpy as np

from melodygru.events.features.feature import Feature, Region, point
from melodygru.events.features.piece import Past, Piece
from melodygru.events.times import N_SPANS, TIMES, span_class, time_of
from melodygru.events.vocabulary import DURATION, PITCH, SHIFT, Vocabulary
from melodygru.music.notes import N_PITCHES
from melodygru.util.hashes import MASK, MIX, latest_equal, mixed

POINTERS = ("shift_pointers", "pitch_pointers", "duration_pointers", "velocity_pointers")


class NgramLookup(Feature):
    """For each order, the event that followed the last time that as many events stood before it as do now.

    Its shift before the event's own; once that agrees, its part's program, pitch and duration.
    """

    @staticmethod
    def blocks(vocabulary: Vocabulary) -> dict[str, int]:
        n = len(vocabulary.ngram_orders)
        return {
            "ngram_shift": n * N_SPANS,
            "ngram_pitch": n * N_PITCHES,
            "ngram_duration": n * N_SPANS,
            "ngram_slot": n * vocabulary.n_source_slots,
        }

    @staticmethod
    def columns(vocabulary: Vocabulary) -> dict[str, int]:
        n = len(vocabulary.ngram_orders)
        return {"before": n, "context": _width(vocabulary) * n, **dict.fromkeys(POINTERS, n)}

    @staticmethod
    def encode(piece: Piece, region: Region, arrays: dict[str, np.ndarray]) -> None:
        blocks, shift = region.blocks, piece.shift
        width, slots = _width(piece.vocabulary), piece.vocabulary.n_source_slots
        for level, found in enumerate(ngram_followers(piece)):
            has = np.flatnonzero(found >= 0)
            source = found[has]
            column = region.columns["before"] + level
            arrays["before"][has, column] = blocks["ngram_shift"] + level * N_SPANS + span_class(shift[source])
            point(arrays, region, "shift", level, has, piece.fields[source, SHIFT])
            agree = shift[source] == shift[has]
            has, source = has[agree], source[agree]
            context, column = arrays["context"], region.columns["context"] + width * level
            context[has, column] = blocks["ngram_pitch"] + level * N_PITCHES + piece.pitch[source]
            context[has, column + 1] = blocks["ngram_duration"] + level * N_SPANS + piece.span[source]
            if slots:
                context[has, column + 2] = blocks["ngram_slot"] + level * slots + piece.slot[source]
            agree = has < len(piece.part)
            has, source = has[agree], source[agree]
            agree = piece.part[source] == piece.part[has]
            has, source = has[agree], source[agree]
            point(arrays, region, "pitch", level, has, piece.pitch[source])
            agree = piece.pitch[source] == piece.pitch[has]
            has, source = has[agree], source[agree]
            point(arrays, region, "duration", level, has, piece.fields[source, DURATION])
            point(arrays, region, "velocity", level, has, piece.velocity[source])

    def __init__(self, past: Past, region: Region) -> None:
        super().__init__(past, region)
        orders = past.vocabulary.ngram_orders
        slots = past.vocabulary.n_source_slots
        self._width = _width(past.vocabulary)
        self._metrical = past.vocabulary.grid.is_metrical
        # Of each order: first ids of its shifts, pitches, durations and slots.
        self._firsts = tuple(
            (
                region.blocks["ngram_shift"] + level * N_SPANS,
                region.blocks["ngram_pitch"] + level * N_PITCHES,
                region.blocks["ngram_duration"] + level * N_SPANS,
                region.blocks["ngram_slot"] + level * slots,
            )
            for level in range(len(orders))
        )
        self._orders = tuple((order, pow(MIX, order, 1 << 64)) for order in orders)
        self._codes = deque([0] * (max(orders) + 1), max(orders) + 1)  # of the last events, after zeros
        self._hashes = [0] * len(orders)  # of each order's last codes
        self._next: list[dict[int, int]] = [{} for _ in orders]  # the event after each hash
        self._found = [-1] * len(orders)
        past.ngram_followers = self._found

    def before(self, row: list[int]) -> None:
        notes = self.past.notes
        for source, (shift, *_) in zip(self._found, self._firsts, strict=True):
            row.append(shift + notes[source][1] if source >= 0 else 0)

    def context(self, row: list[int]) -> None:
        notes, shift = self.past.notes, self.past.shift
        width = self._width
        for source, (_, first_pitch, first_duration, first_slot) in zip(self._found, self._firsts, strict=True):
            if source >= 0 and notes[source][0] == shift:
                _, _, note, span, _ = notes[source]
                row += (first_pitch + note % N_PITCHES, first_duration + span, first_slot + note // N_PITCHES)[:width]
            else:
                row += (0, 0, 0)[:width]

    def point_shift(self, row: list[int]) -> None:
        notes = self.past.notes
        row += [time_of(notes[source][0]) + 1 if source >= 0 else 0 for source in self._found]

    def point_pitch(self, row: list[int], part: int) -> None:
        notes, values, shift = self.past.notes, self.past.values, self.past.shift
        for source in self._found:
            agrees = source >= 0 and notes[source][0] == shift and values[source][0] == part
            row.append(values[source][1] + 1 if agrees else 0)

    def point_note(self, durations: list[int], velocities: list[int], part: int, pitch: int) -> None:
        notes, values, shift = self.past.notes, self.past.values, self.past.shift
        for source in self._found:
            duration = velocity = 0
            if source >= 0 and notes[source][0] == shift:
                of_part, of_pitch, duration_class, velocity_class = values[source]
                if of_part == part and of_pitch == pitch:
                    duration, velocity = duration_class + 1, velocity_class + 1
            durations.append(duration)
            velocities.append(velocity)

    def add(self) -> None:
        past, codes, hashes = self.past, self._codes, self._hashes
        code = past.part * N_PITCHES + past.pitch
        if self._metrical:
            code = (code * TIMES.size + past.shift_class) * TIMES.size + past.duration_class
        code = ((code + 1) * MIX) & MASK
        code ^= code >> 29
        codes.append(code)
        n = len(past.notes)
        for level, (order, power) in enumerate(self._orders):
            # The hash is a polynomial of the last `order` codes: one comes in, one leaves it.
            key = (hashes[level] * MIX + code - codes[-1 - order] * power) & MASK
            hashes[level] = key
            if n >= order:
                following = self._next[level]
                self._found[level] = following.get(key, -1)
                following[key] = n

    def copy(self, past: Past) -> Feature:
        other = super().copy(past)
        assert isinstance(other, NgramLookup)
        other._next = [following.copy() for following in self._next]
        past.ngram_followers = other._found
        return other


def _width(vocabulary: Vocabulary) -> int:
    """Columns of `context` of one order."""
    return 3 if vocabulary.n_source_slots else 2


def ngram_followers(piece: Piece) -> list[np.ndarray]:
    """For each order and event the one that followed the last time that as many events stood before it, or -1.

    A list of arrays, shape (n + 1,); it is made once for a piece.
    """
    if piece.ngram_followers is None:
        codes = _event_codes(piece)
        piece.ngram_followers = [_last_occurrence(codes, order) for order in piece.vocabulary.ngram_orders]
    return piece.ngram_followers


def _event_codes(piece: Piece) -> np.ndarray:
    """A 64-bit code of each note; without a beat, times never repeat and only who plays what counts."""
    values = piece.fields[:-1].astype(np.uint64)
    code = piece.part.astype(np.uint64) * np.uint64(N_PITCHES) + values[:, PITCH]
    if piece.vocabulary.grid.is_metrical:
        code = (code * np.uint64(TIMES.size) + values[:, SHIFT]) * np.uint64(TIMES.size) + values[:, DURATION]
    return mixed(code)


def _last_occurrence(codes: np.ndarray, order: int) -> np.ndarray:
    """For each t in 0..n, the latest earlier t' with the same `order` codes before it, or -1.

    Shape (n + 1,). Sequences are compared by a 64-bit polynomial hash.
    """
    n = len(codes)
    found = np.full(n + 1, -1, np.int64)
    if n <= order:
        return found
    with np.errstate(over="ignore"):
        hashes = np.zeros(n - order + 1, np.uint64)
        for i in range(order):
            hashes = hashes * np.uint64(MIX) + codes[i : n - order + 1 + i]
    at = latest_equal(hashes)
    found[order:] = np.where(at >= 0, at + order, -1)
    return found
