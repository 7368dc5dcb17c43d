"""The longest match with a corpus, note by note while an output is composed."""

from __future__ import annotations

from bisect import bisect_right
from typing import NamedTuple

from melodygru.analysis.originality.codes import START
from melodygru.analysis.originality.index import Index, Run
from melodygru.errors import NoteError
from melodygru.music.notes import DRUMS


class _Line(NamedTuple):
    """A line so far: its last onset, its last pitch (-1: drums alone so far), its match."""

    onset: int
    pitch: int
    run: Run


class State(NamedTuple):
    """What a `Matcher` keeps of the notes so far. Immutable, so keeping one costs nothing."""

    voices: _Line | None = None
    lines: tuple[tuple[int, _Line], ...] = ()  # of each program; its first note's order


class Matcher:
    """The longest match that ends with the last note of an output, while it is composed.

    One for each stream. Notes come in canonical order, on the index's grid.

    Parameters
    ----------
    index : Index

    Attributes
    ----------
    state : State
        What follows from the notes so far; assign one that was kept to go back to it.
    """

    def __init__(self, index: Index) -> None:
        self.index = index
        self.state = State()

    def extend(self, onset: int, duration: int, program: int, pitch: int) -> int:
        """Notes of the longest match that the output's next note ends.

        Parameters
        ----------
        onset, duration : int, steps
        program : int, 0..128
        pitch : int, 0..127

        Returns
        -------
        int
            0, or N_GRAM and more: the longer of the match in the note's program line and that over all voices.

        Raises
        ------
        NoteError
            The note begins before the last one.
        """
        note = int(onset), int(duration), int(program), int(pitch)
        program = note[2]
        voices = self._extended(self.state.voices, note)
        lines = dict(self.state.lines)
        # Up to the second program its line and all voices are one.
        alone = lines.keys() <= {program}
        lines[program] = voices if alone else self._extended(lines.get(program), note)
        self.state = State(voices, tuple(lines.items()))
        return max(voices.run.notes, lines[program].run.notes)

    def _extended(self, line: _Line | None, note: tuple[int, ...]) -> _Line:
        """A line with one note more: `codes.keys`, for one note."""
        onset, duration, program, pitch = note
        index = self.index
        drum = program == DRUMS
        if line is None:
            return _Line(onset, -1 if drum else pitch, index.advance(Run(), index.code(int(START))))
        if onset < line.onset:
            raise NoteError(f"a note at step {onset} after one at step {line.onset}: expected notes in canonical order")
        step = 256 + pitch if drum else 255 if line.pitch < 0 else 127 + pitch - line.pitch
        edges = index.edges
        key = (step << 16) | (bisect_right(edges, onset - line.onset) << 8) | bisect_right(edges, duration)
        return _Line(onset, line.pitch if drum else pitch, index.advance(line.run, index.code(key)))
