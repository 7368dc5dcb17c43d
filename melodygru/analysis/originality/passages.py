"""Where a piece stands in the training music: every long match, and what stands there, as notes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from melodygru.analysis.originality.codes import N_GRAM, keys, lines
from melodygru.analysis.originality.index import Index, Run, bars_of
from melodygru.analysis.originality.report import Match
from melodygru.music.notes import DRUMS, NOTE, NoteSequence, canonical
from melodygru.music.quantize import quantize


@dataclass(frozen=True)
class Passage:
    """A match, with its bounds.

    Attributes
    ----------
    match : Match
    first, last : bars of the piece, from 0, both included; on a grid of seconds, seconds
    their_first, their_last : likewise in the corpus's file
    run : what the index knows it by
    notes : array, dtype NOTE: those of the piece that match, on the index's grid
    """

    match: Match
    first: int
    last: int
    their_first: int
    their_last: int
    run: Run
    notes: np.ndarray


def passages(index: Index, sequence: NoteSequence, most: int) -> list[Passage]:
    """The longest matches of a piece, none within another one's bars and notes; the longest first.

    Parameters
    ----------
    index : Index
    sequence : NoteSequence, on any grid
    most : how many at most
    """
    if sequence.grid != index.grid:
        sequence, _, _ = quantize(sequence, index.grid)
    found = list(_runs(index, sequence, sequence.notes, None))
    for program, notes in lines(sequence.notes).items():
        found += _runs(index, sequence, notes, program)
    chosen: list[Passage] = []
    covered: set[tuple[int, int, int]] = set()
    for passage in sorted(found, key=lambda one: -one.match.notes):
        own = {(int(note["onset"]), int(note["part"]), int(note["pitch"])) for note in passage.notes}
        if len(own - covered) < N_GRAM:
            continue
        covered |= own
        chosen.append(passage)
        if len(chosen) == most:
            break
    return chosen


def _runs(index: Index, sequence: NoteSequence, notes: np.ndarray, program: int | None) -> Iterator[Passage]:
    """The matches of a line that can't be made longer."""
    codes = index.codes(keys(notes, index.grid))
    before = Run()
    for at, code in enumerate([*codes, b"\xff\xff"]):
        run = index.advance(before, code) if at < len(codes) else Run()
        if before.matched and run.matched <= before.matched:
            yield _passage(index, sequence, notes[at - before.notes : at], before, program)
        before = run


def _passage(index: Index, sequence: NoteSequence, notes: np.ndarray, run: Run, program: int | None) -> Passage:
    """A run as a passage."""
    bars = bars_of(sequence, notes[[0, -1]])
    match = index.match(run, int(bars[0]), program)
    theirs = index.bars_of_run(run)
    return Passage(match, int(bars[0]), int(bars[1]), int(theirs[0]), int(theirs[-1]), run, notes)


def as_notes(index: Index, passage: Passage) -> np.ndarray:
    """What stands in the corpus at a passage, dtype NOTE, in steps of the index's grid from its first onset on.

    An index holds intervals, rhythms and durations. So the passage stands where the piece's own notes do: in their key,
    with their programs and velocities; longer times are those of the shortest that the index doesn't tell from them.
    """
    own = passage.notes
    found = index.keys_of_run(passage.run)
    times, durations = found >> 8 & 255, found & 255
    edges = np.array([0, *index.edges])
    notes = own.copy()
    notes["onset"] = np.cumsum(np.concatenate([[0], edges[times[1:]]]))
    notes["duration"][1:] = np.maximum(1, edges[durations[1:]])
    pitch = None
    for at, (key, program) in enumerate(zip(found.tolist(), own["program"].tolist(), strict=True)):
        step = key >> 16
        if program == DRUMS:
            notes["pitch"][at] = own["pitch"][at] if at == 0 else step - 256
        else:
            pitch = int(own["pitch"][at]) if pitch is None or at == 0 else min(127, max(0, pitch + step - 127))
            notes["pitch"][at] = pitch
    assert notes.dtype == NOTE
    return canonical(notes)[0]


__all__ = ["Passage", "as_notes", "passages"]
