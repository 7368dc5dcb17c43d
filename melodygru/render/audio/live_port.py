"""Music as it is composed, into a MIDI port."""

from __future__ import annotations

import heapq
import math
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from melodygru.music.notes import DRUMS
from melodygru.render.audio import ports
from melodygru.render.audio.live import Live
from melodygru.render.audio.queue import POLL_S, LiveNote

LEAD_S = 0.05  # between the first note's arrival and its sounding at a port
_SWITCH_S = 0.0005  # Python's threads take turns as often as this while a port is played


class LivePort(Live):
    """Into a MIDI port, each message at its time.

    Parameters
    ----------
    port : str, or an object with a method `send(mido.Message)`
        As for `send`; a named port that is lost is opened again, and the music waits for it.
    ahead_s : see `NoteQueue`
    on_change : called with a line of text when a named port is lost, and when it is there again
    on_due : called before each message with the time, of `time.perf_counter`, at which it is due
    """

    def __init__(
        self,
        port: Any,
        ahead_s: float = math.inf,
        *,
        on_change: Callable[[str], None] | None = None,
        on_due: Callable[[float], None] | None = None,
    ) -> None:
        super().__init__(ahead_s)
        self._port, self._on_change, self._on_due = port, on_change, on_due
        self._named = isinstance(port, str)
        self._sounding: Counter[tuple[int, int]] = Counter()
        self._channels: dict[int, tuple[int, int]] = {}  # channel -> the part that plays there last, and its program
        self._offs: list[tuple[float, int, int]] = []  # (second, channel, pitch), a heap
        self._zero = 0.0  # perf_counter at second 0 of the music, at the speed of now

    def _open(self) -> None:
        import mido

        mido.Message("note_on")  # now, for the first message would be late by the time that this takes

        if self._named:
            self._port = ports.Reconnecting(self._port, self._on_change)
        # A thread that composes keeps the interpreter for as long as this when a message is due.
        self._interval = sys.getswitchinterval()
        sys.setswitchinterval(_SWITCH_S)

    def _close(self) -> None:
        sys.setswitchinterval(self._interval)
        if self._named:
            self._port.close()

    def stop(self) -> None:
        super().stop()
        if isinstance(self._port, ports.Reconnecting):
            self._port.cancel()

    def _play(self) -> None:
        completed = False
        try:
            completed = self._loop()
        finally:
            silent = dict.fromkeys(self._channels)
            ports.silence(self._port, self._sounding, silent, abruptly=not completed)

    def _loop(self) -> bool:
        """Play; returns whether the end was reached."""
        self._speed, self._zero = self.speed, math.nan
        starved = False
        while not self._stop.is_set():
            if self.paused:
                self._pause()
            note = self.notes.next()
            if math.isnan(self._zero):
                if note is None and self.notes.end_s is None:
                    self.notes.wait(math.inf)
                    continue
                first_s = note.onset_s if note is not None else 0.0  # an upbeat's rest is not waited for
                self._zero = time.perf_counter() + LEAD_S - first_s / self._speed
            off_s = self._offs[0][0] if self._offs else math.inf
            on_s = note.onset_s if note is not None else math.inf
            second = min(off_s, on_s)
            if note is None:
                end_s = self.notes.end_s
                if end_s is not None and self.notes.next() is None:
                    if second == math.inf or second > end_s:
                        if self._until(end_s):
                            return True
                        continue
                elif second > self.notes.frontier_s:  # a note may yet come before it
                    starved = self._starve(starved)
                    continue
            starved = False
            if not self._until(second):
                continue
            if self._on_due is not None:
                self._on_due(self._due(second))
            if off_s <= on_s:
                _, channel, pitch = heapq.heappop(self._offs)
                self._send("note_off", channel, note=pitch)
                self._sounding[channel, pitch] -= 1
            else:
                self._strike(self.notes.take(most=1))
        return False

    def _due(self, second: float) -> float:
        return self._zero + second / self._speed

    def _now(self) -> float:
        """Where the music is now, in seconds."""
        return (time.perf_counter() - self._zero) * self._speed

    def _until(self, second: float) -> bool:
        """Wait until a second of the music; False if playing was stopped or paused meanwhile."""
        while (left := self._due(second) - time.perf_counter()) > 0:
            if self._stop.is_set() or self.paused:
                return False
            if self.speed != self._speed:
                at = self._now()
                self._speed = self.speed
                self._zero = time.perf_counter() - at / self._speed
                continue
            if left > ports.SPIN_S:
                self.notes.played_s = max(0.0, self._now())
                time.sleep(min(left - ports.SPIN_S, POLL_S))
        self.notes.played_s = second
        return True

    def _starve(self, starved: bool) -> bool:
        """Wait for notes; when they are late the clock stops, and an underrun is counted once."""
        self.notes.wait(math.inf if self.notes.next() is None else 0.0)
        late = self._now() - self.notes.frontier_s
        if late > 0 and self.notes.end_s is None:
            self._zero += late / self._speed
            self.underruns += not starved
            return True
        return starved

    def _pause(self) -> None:
        """Silence the port and stop the clock until playing goes on."""
        at = self._now()
        ports.silence(self._port, self._sounding, dict.fromkeys(self._channels), abruptly=True)
        self._sounding.clear()
        self._offs.clear()
        while self.paused and not self._stop.wait(POLL_S):
            pass
        if not math.isnan(at):
            self._zero = time.perf_counter() - at / self._speed

    def _strike(self, notes: list[LiveNote]) -> None:
        """Send a note-on, behind its program if the channel has another, and plan its note-off."""
        for note in notes:
            channel = self._channel(note.part, note.program)
            key = channel, note.pitch
            if self._sounding[key] > 0:  # its note-off would end the new one
                for entry in [entry for entry in self._offs if entry[1:] == key]:
                    self._offs.remove(entry)
                heapq.heapify(self._offs)
                self._send("note_off", channel, note=note.pitch)
            self._sounding[key] = 1  # before sending: it may be interrupted inside
            self._send("note_on", channel, note=note.pitch, velocity=note.velocity)
            heapq.heappush(self._offs, (note.onset_s + note.duration_s, *key))

    def _channel(self, part: int, program: int) -> int:
        """The channel of a part: its own while there are 15, then a shared one; all drums have one."""
        if program == DRUMS:
            self._channels[9] = part, program
            return 9
        channels = [channel for channel in range(16) if channel != 9]
        own = [channel for channel in channels if self._channels.get(channel, (-1, -1))[0] == part]
        free = [channel for channel in channels if channel not in self._channels]
        channel = (own or free or [channels[part % 15]])[0]
        before, self._channels[channel] = self._channels.get(channel), (part, program)
        if before is None or before[1] != program:
            self._send("program_change", channel, program=program)
        return channel

    def _send(self, kind: str, channel: int, **values: int) -> None:
        import mido

        lost_s = getattr(self._port, "lost_s", 0.0)
        self._port.send(mido.Message(kind, channel=channel, **values))
        self._zero += getattr(self._port, "lost_s", 0.0) - lost_s  # the music waited for a lost port
