"""The notes that sound or have just ended at an event's onset, and the pitches that its part can't strike there."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from melodygru.events.features.feature import Feature, Region
from melodygru.events.features.piece import Past, Piece
from melodygru.events.times import N_SPANS, SPANS, TIMES, span_class, time_of
from melodygru.events.vocabulary import Vocabulary
from melodygru.music.notes import N_PITCHES

BLOCK = 4096  # events whose sounding notes are looked up at once


class SoundingNotes(Feature):
    """The latest notes that sound or end at the onset: which, for how long still, and since when.

    Their ends are pointers to the duration: a rest, or a pedal, ends many notes at once.

    And the pitch mask: a part can't strike a pitch that it still sounds nor, inside a chord, one that is not above
    its last.
    """

    @staticmethod
    def blocks(vocabulary: Vocabulary) -> dict[str, int]:
        slots = vocabulary.n_program_slots
        return {"sounding": slots * N_PITCHES * 2, "remaining": slots * N_SPANS, "age": slots * N_SPANS}

    @staticmethod
    def columns(vocabulary: Vocabulary) -> dict[str, int]:
        n = vocabulary.n_sounding
        return {"context": 3 * n, "pitch_mask": N_PITCHES // 8, "duration_pointers": n}

    @staticmethod
    def encode(piece: Piece, region: Region, arrays: dict[str, np.ndarray]) -> None:
        blocks, context, column = region.blocks, arrays["context"], region.columns["context"]
        slot, pitch, part, all_parts = piece.slot, piece.pitch, piece.part, np.append(piece.part, -1)
        mask = np.zeros((len(piece.at), N_PITCHES), bool)
        pointers, ends = arrays["duration_pointers"], region.columns["duration_pointers"]
        flat, flat_mask = context.reshape(-1), mask.reshape(-1)  # views
        sounding = (blocks["sounding"] + (slot * N_PITCHES + pitch) * 2).astype(np.int32)
        remaining, age = (blocks[name] + slot * N_SPANS for name in ("remaining", "age"))
        for event, rank, note in active_pairs(piece.end, piece.at):
            now = piece.at[event]
            left = piece.end[note] - now
            same = np.flatnonzero((left > 0) & (all_parts[event] == part[note]))
            flat_mask[event[same] * N_PITCHES + pitch[note[same]]] = True
            keep = np.flatnonzero(rank < piece.vocabulary.n_sounding)
            e, j, left = event[keep], note[keep], left[keep]
            cell = e * context.shape[1] + column + 3 * rank[keep]
            flat[cell] = sounding[j] + (left > 0)
            flat[cell + 1] = remaining[j] + span_class(left)
            flat[cell + 2] = age[j] + span_class(now[keep] - piece.onset[j])
            sounds = np.flatnonzero((left > 0) & (e < len(part)))
            pointed = TIMES.encode(np.minimum(left[sounds], TIMES.maximum)) + 1
            pointers[e[sounds], ends + rank[keep[sounds]]] = pointed
        in_chord = np.flatnonzero((piece.shift[1:-1] == 0) & (part[1:] == part[:-1])) + 1
        mask[in_chord] |= np.arange(N_PITCHES) <= pitch[in_chord - 1, None]
        arrays["pitch_mask"][:] = np.packbits(mask, axis=1, bitorder="little")

    def __init__(self, past: Past, region: Region) -> None:
        super().__init__(past, region)
        self._n = past.vocabulary.n_sounding
        self._sounding, self._remaining, self._age = (region.blocks[name] for name in ("sounding", "remaining", "age"))

    def context(self, row: list[int]) -> None:
        at, n, spans, longest = self.past.onset, self._n, SPANS, len(SPANS) - 1
        sounding, remaining, age = self._sounding, self._remaining, self._age
        active = self.past.active[: -n - 1 : -1]
        for _, pitch, onset, end, slot in active:
            left, since, first = end - at, at - onset, slot * N_SPANS
            row += (
                sounding + 2 * (slot * N_PITCHES + pitch) + (left > 0),
                remaining + first + spans[left if left < longest else longest],
                age + first + spans[since if since < longest else longest],
            )
        row += [0] * (3 * (n - len(active)))

    def point_note(self, durations: list[int], velocities: list[int], part: int, pitch: int) -> None:
        at, n, longest = self.past.onset, self._n, TIMES.maximum
        active = self.past.active[: -n - 1 : -1]
        for _, _, _, end, _ in active:
            left = end - at
            durations.append(time_of(left if left < longest else longest) + 1 if left else 0)
        durations += [0] * (n - len(active))

    def pitch_mask(self, part: int) -> np.ndarray:
        """Pitches that a part can't strike at the onset, shape (128,), bool."""
        past, mask = self.past, np.zeros(N_PITCHES, bool)
        for other, pitch, _, end, _ in past.active:
            if other == part and end > past.onset:
                mask[pitch] = True
        if past.last is not None and past.shift == 0 and past.last[0] == part:
            mask[: past.last[1] + 1] = True
        return mask


def active_counts(end: np.ndarray, at: np.ndarray) -> np.ndarray:
    """For each event, how many earlier notes sound or end at its onset; `end` of the notes, `at` of the events."""
    begun = np.minimum(np.arange(len(at)), len(end))
    ended = np.bincount(_n_begun(at, end), minlength=len(at) + 1)[: len(at)]
    return begun - np.cumsum(ended)


def _n_begun(at: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """How many events, at `at` (ascending), begin at or before each of `steps`, which is 0 or more."""
    latest = int(steps.max(initial=0))
    if latest > 16 * len(at):  # mostly rests
        return np.searchsorted(at, steps, side="right")
    count = np.bincount(at[: np.searchsorted(at, latest, side="right")], minlength=latest + 1)
    return np.cumsum(count)[steps]


def active_pairs(end: np.ndarray, at: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Pairs of an event and an earlier note that sounds or ends at the event's onset.

    They come in blocks of events, so that a file full of hanging notes takes time but not memory.

    Yields
    ------
    event, rank, note : arrays, shape (n_pairs,)
        `rank` counts an event's notes from 0, the most recent one.
    """
    first = np.arange(1, len(end) + 1)
    last = _n_begun(at, end)  # one past the last event at which a note is active
    for start in range(0, len(at), BLOCK):
        stop = start + BLOCK
        active = np.flatnonzero((first < stop) & (last > start))[::-1]  # the most recent one first
        begin = np.maximum(first[active], start)
        spans = np.minimum(last[active], stop) - begin
        note = np.repeat(active, spans)
        event = np.arange(len(note)) + np.repeat(begin - np.cumsum(spans) + spans, spans)
        order = np.argsort((event - start).astype(np.uint16), kind="stable")  # 16 bits: by radix
        event, note = event[order], note[order]
        counts = np.bincount(event - start, minlength=1)
        yield event, np.arange(len(event)) - np.repeat(np.cumsum(counts) - counts, counts), note
