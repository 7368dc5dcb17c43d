"""Music as it is composed: notes come in on one side and sound on the other, through the speakers or a MIDI port.

A `NoteQueue` stands between who composes and who plays. Its seconds are those of the notes as composed; `speed` says
how many of them pass in a second, and may change at any moment, as `paused` may.
"""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Callable

from melodygru.render.audio import ports
from melodygru.render.audio.queue import NoteQueue

SPEEDS = (0.25, 4.0)


class Live:
    """Plays a queue of notes from its own thread; `LivePort` and `LiveSpeakers` say how. A context manager.

    Leaving it by an exception, Ctrl-C, SIGTERM and SIGHUP included, silences everything first.

    Attributes
    ----------
    notes : NoteQueue
    speed : float, in SPEEDS: seconds of the music that pass in a second
    paused : bool
    underruns : int: how often the music had to wait for notes, or for their sound
    """

    def __init__(self, ahead_s: float = math.inf) -> None:
        self.notes = NoteQueue(ahead_s)
        self.speed = 1.0
        self.paused = False
        self.underruns = 0
        self._stop = threading.Event()
        self._done = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="melodygru live", daemon=True)
        self._signals = contextlib.ExitStack()

    def __enter__(self) -> Live:
        self._signals.enter_context(ports.signals_raise())
        try:
            self._open()
        except BaseException:
            self._signals.close()
            raise
        self._thread.start()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            with ports.interrupts_ignored():
                self.stop()
                self._thread.join()
                self._close()
        finally:
            self._signals.close()

    def stop(self) -> None:
        """Stop at once, and silence what sounds."""
        self._stop.set()
        self.notes.stop()

    @property
    def position_s(self) -> float:
        """Where the music is, in seconds of its notes."""
        return self.notes.played_s

    @property
    def is_over(self) -> bool:
        """Whether all has sounded, or it was stopped."""
        return self._done.is_set()

    def pause_for(self, seconds: float) -> None:
        """Sleep for so long, or until the playing ends."""
        self._done.wait(seconds)

    def check(self) -> None:
        """Raise the error that ended the playing, if one did."""
        if self._error is not None:
            raise self._error

    def wait(self, on_position: Callable[[float], None] | None = None) -> None:
        """Wait until finished music has sounded.

        Raises
        ------
        AudioError, OSError
            The device or port is gone.
        """
        while not self._done.wait(0.1):
            if on_position is not None:
                on_position(self.position_s)
        self.check()
        if on_position is not None and self.notes.end_s is not None and not self._stop.is_set():
            on_position(self.notes.end_s)

    def _work(self) -> None:
        """Run in the thread: play, and keep an error for `check`."""
        try:
            self._play()
        except Exception as error:  # noqa: BLE001  raised in the thread that waits
            self._error = error
            self.notes.stop()
        finally:
            self._done.set()

    def _open(self) -> None: ...

    def _close(self) -> None: ...

    def _play(self) -> None:
        raise NotImplementedError
