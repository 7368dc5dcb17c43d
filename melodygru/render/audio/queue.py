"""A queue of notes between who composes and who plays."""

from __future__ import annotations

import math
import threading
from collections import deque
from dataclasses import dataclass

POLL_S = 0.02  # between two looks at what may change


class Stopped(Exception):
    """Raised where notes are added after the playing was stopped."""


@dataclass(frozen=True)
class LiveNote:
    """A note with its time in seconds from the start of the music."""

    onset_s: float
    duration_s: float
    program: int  # 0..127, or DRUMS
    pitch: int
    velocity: int
    part: int = 0


class NoteQueue:
    """Notes between two threads: one adds them in the order of their onsets, the other takes them.

    Parameters
    ----------
    ahead_s : how far `add` may be ahead of what is played before it waits
    """

    def __init__(self, ahead_s: float = math.inf) -> None:
        self.ahead_s = ahead_s
        self.frontier_s = 0.0  # all notes before it are here
        self.end_s: float | None = None  # once it is known
        self.played_s = 0.0
        self._notes: deque[LiveNote] = deque()
        self._stopped = False
        self._changed = threading.Condition()

    def add(self, note: LiveNote) -> None:
        """Add a note, then wait while it is more than `ahead_s` ahead of what is played.

        Raises
        ------
        Stopped
            The playing was stopped.
        """
        with self._changed:
            if self._stopped:
                raise Stopped
            # First in, then waiting: who plays gets through a rest longer than `ahead_s` only if it knows its end.
            self._notes.append(note)
            self.frontier_s = max(self.frontier_s, note.onset_s)
            self._changed.notify_all()
            while not self._stopped and note.onset_s > self.played_s + self.ahead_s:
                self._changed.wait(POLL_S)

    def finish(self, end_s: float) -> None:
        """Nothing more is added; the music lasts until `end_s`."""
        with self._changed:
            self.end_s, self.frontier_s = max(end_s, self.frontier_s), math.inf
            self._changed.notify_all()

    def stop(self) -> None:
        """Drop all notes; from now on `add` raises Stopped."""
        with self._changed:
            self._stopped = True
            self._notes.clear()
            self._changed.notify_all()

    def next(self) -> LiveNote | None:
        """The earliest note in the queue, which stays there; None if it is empty."""
        with self._changed:
            return self._notes[0] if self._notes else None

    def take(self, until_s: float = math.inf, most: float = math.inf) -> list[LiveNote]:
        """Remove and return the notes that begin before `until_s`, at most `most`."""
        taken: list[LiveNote] = []
        with self._changed:
            while self._notes and self._notes[0].onset_s < until_s and len(taken) < most:
                taken.append(self._notes.popleft())
        return taken

    def wait(self, until_s: float) -> bool:
        """Wait a moment for all notes before `until_s`; returns whether they are here."""
        with self._changed:
            if self.frontier_s < until_s and not self._stopped:
                self._changed.wait(POLL_S)
            return self.frontier_s >= until_s
