"""Following an output note by note while it is composed."""

from __future__ import annotations

from bisect import bisect_right
from typing import NamedTuple

from melodygru.analysis.originality.codes import START
from melodygru.analysis.originality.index import Index, Run
from melodygru.errors import NoteError
from melodygru.music.notes import DRUMS


class _Line(NamedTuple):
    """A line as far as it was heard: its last onset, its last pitch (-1: drums alone so far), its match."""

    onset: int
    pitch: int
    run: Run


class State(NamedTuple):
    """What a `Watch` has heard. Immutable, so keeping one costs nothing."""

    voices: _Line | None = None
    lines: tuple[tuple[int, _Line], ...] = ()  # of each program; its first note's order


class Watch:
    """The longest match that ends with the last note of an output, and what the next note would make of it.

    One for each stream. Notes come in canonical order, on the index's grid.

    Parameters
    ----------
    index : Index

    Attributes
    ----------
    state : State
        What was heard; assign one that was kept to go back to it.
    """

    def __init__(self, index: Index) -> None:
        self.index = index
        self.state = State()
        self._tried: tuple[State, tuple[int, ...], State, int] | None = None

    def copy(self) -> Watch:
        """Another that has heard the same."""
        other = Watch(self.index)
        other.state = self.state
        return other

    def would(self, onset: int, duration: int, program: int, pitch: int) -> int:
        """Notes of the longest match that the note would end; the state stays.

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
        return self._try(int(onset), int(duration), int(program), int(pitch))[1]

    def extend(self, onset: int, duration: int, program: int, pitch: int) -> int:
        """Hear a note: `would`, and the note is the output's next."""
        self.state, length = self._try(int(onset), int(duration), int(program), int(pitch))
        return length

    def _try(self, *note: int) -> tuple[State, int]:
        """The state after a note, and the length of the match that it ends."""
        if self._tried is not None and self._tried[0] is self.state and self._tried[1] == note:
            return self._tried[2:]
        program = note[2]
        before = self.state
        voices = self._heard(before.voices, note)
        lines = dict(before.lines)
        # Up to the second program its line and all voices are one.
        alone = lines.keys() <= {program}
        lines[program] = voices if alone else self._heard(lines.get(program), note)
        after = State(voices, tuple(lines.items()))
        length = max(voices.run.notes, lines[program].run.notes)
        self._tried = (before, note, after, length)
        return after, length

    def _heard(self, line: _Line | None, note: tuple[int, ...]) -> _Line:
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
