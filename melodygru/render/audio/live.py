"""Music as it is composed: notes come in on one side and sound on the other, through the speakers or a MIDI port.

A `Score` stands between who composes and who plays. Its seconds are those of the notes as composed; `speed` says how
many of them pass in a second, and may change at any moment, as `paused` may.
"""

from __future__ import annotations

import contextlib
import heapq
import math
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from melodygru import midi
from melodygru.errors import AudioError
from melodygru.music.notes import DRUMS, NOTE, Grid, NoteSequence, canonical
from melodygru.render.audio import ports, rendering, speakers
from melodygru.render.audio.synthesiser import synthesise
from melodygru.util.wording import clock

LEAD_S = 0.05  # between the first note's arrival and its sounding at a port
BLOCK_S = 0.8  # of music rendered at once
FIRST_BLOCK_S = 0.3  # so that the first sound is soon there
QUEUED_S = 1.2  # rendered before it sounds; a change of speed is heard after this
TAIL_S = 2.5  # rendered past the end of a block's last note, and mixed into the blocks that follow
LONGEST_S = 15.0  # a longer note is cut: rendering lets nothing else run meanwhile
PEAK = 10 ** (rendering.PEAK_DBFS / 20)
HEADROOM = 0.5  # of the peak, for what is louder than the first block
MOST_GAIN = 4.0
SPEEDS = (0.25, 4.0)

_BUFFER_MS = 300  # of the sound device: longer than one rendering takes
_POLL_S = 0.02  # between two looks at what may change
_SWITCH_S = 0.0005  # Python's threads take turns as often as this while a port is played
_MILLISECONDS = Grid.seconds(1000)


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


class Score:
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
                self._changed.wait(_POLL_S)

    def finish(self, end_s: float) -> None:
        """Nothing more is added; the music lasts until `end_s`."""
        with self._changed:
            self.end_s, self.frontier_s = max(end_s, self.frontier_s), math.inf
            self._changed.notify_all()

    def stop(self) -> None:
        """Give no more notes out, and let `add` raise Stopped."""
        with self._changed:
            self._stopped = True
            self._notes.clear()
            self._changed.notify_all()

    def next(self) -> LiveNote | None:
        """The earliest note that was not taken, which stays."""
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
        """Wait a moment for all notes before `until_s`; whether they are here."""
        with self._changed:
            if self.frontier_s < until_s and not self._stopped:
                self._changed.wait(_POLL_S)
            return self.frontier_s >= until_s


class Live:
    """Plays a score from its own thread; `LivePort` and `LiveSpeakers` say how. A context manager.

    Leaving it by an exception, Ctrl-C, SIGTERM and SIGHUP included, silences everything first.

    Attributes
    ----------
    score : Score
    speed : float, in SPEEDS: seconds of the score that pass in a second
    paused : bool
    underruns : int: how often the music had to wait for notes, or for their sound
    """

    def __init__(self, ahead_s: float = math.inf) -> None:
        self.score = Score(ahead_s)
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
        self.score.stop()

    @property
    def position_s(self) -> float:
        """Where the music is, in the score's seconds."""
        return self.score.played_s

    @property
    def is_over(self) -> bool:
        """Whether all has sounded, or it was stopped."""
        return self._done.is_set()

    def pause_for(self, seconds: float) -> None:
        """Let the caller sleep, shorter where the playing ends meanwhile."""
        self._done.wait(seconds)

    def check(self) -> None:
        """Raise what ended the playing, if an error did."""
        if self._error is not None:
            raise self._error

    def wait(self, on_position: Callable[[float], None] | None = None) -> None:
        """Wait until a finished score has sounded.

        Raises
        ------
        AudioError, OSError
            The device or port is gone.
        """
        while not self._done.wait(0.1):
            if on_position is not None:
                on_position(self.position_s)
        self.check()
        if on_position is not None and self.score.end_s is not None and not self._stop.is_set():
            on_position(self.score.end_s)

    def _work(self) -> None:
        """The thread."""
        try:
            self._play()
        except Exception as error:  # noqa: BLE001  raised again in the thread that waits
            self._error = error
            self.score.stop()
        finally:
            self._done.set()

    def _open(self) -> None: ...

    def _close(self) -> None: ...

    def _play(self) -> None:
        raise NotImplementedError


class LivePort(Live):
    """Into a MIDI port, each message at its time.

    Parameters
    ----------
    port : str, or an object with a method `send(mido.Message)`
        As for `send`; a named port that is lost is opened again, and the music waits for it.
    ahead_s : see `Score`
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
        self._channels: dict[int, int] = {}  # channel -> its program
        self._offs: list[tuple[float, int, int]] = []  # (second, channel, pitch), a heap
        self._zero = 0.0  # perf_counter at second 0 of the score, at the speed of now

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
        """Play; whether to the end."""
        self._speed, self._zero = self.speed, math.nan
        starved = False
        while not self._stop.is_set():
            if self.paused:
                self._pause()
            note = self.score.next()
            if math.isnan(self._zero):
                if note is None and self.score.end_s is None:
                    self.score.wait(math.inf)
                    continue
                first_s = note.onset_s if note is not None else 0.0  # an upbeat's rest is not waited for
                self._zero = time.perf_counter() + LEAD_S - first_s / self._speed
            off_s = self._offs[0][0] if self._offs else math.inf
            on_s = note.onset_s if note is not None else math.inf
            second = min(off_s, on_s)
            if note is None:
                end_s = self.score.end_s
                if end_s is not None and self.score.next() is None:
                    if second == math.inf or second > end_s:
                        if self._until(end_s):
                            return True
                        continue
                elif second > self.score.frontier_s:  # a note may yet come before it
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
                self._strike(self.score.take(most=1))
        return False

    def _due(self, second: float) -> float:
        return self._zero + second / self._speed

    def _now(self) -> float:
        """The score's second now."""
        return (time.perf_counter() - self._zero) * self._speed

    def _until(self, second: float) -> bool:
        """Wait until a second of the score; False when something changed meanwhile."""
        while (left := self._due(second) - time.perf_counter()) > 0:
            if self._stop.is_set() or self.paused:
                return False
            if self.speed != self._speed:
                at = self._now()
                self._speed = self.speed
                self._zero = time.perf_counter() - at / self._speed
                continue
            if left > ports.SPIN_S:
                self.score.played_s = max(0.0, self._now())
                time.sleep(min(left - ports.SPIN_S, _POLL_S))
        self.score.played_s = second
        return True

    def _starve(self, starved: bool) -> bool:
        """Wait for notes; when they are late the clock stops, and an underrun is counted once."""
        self.score.wait(math.inf if self.score.next() is None else 0.0)
        late = self._now() - self.score.frontier_s
        if late > 0 and self.score.end_s is None:
            self._zero += late / self._speed
            self.underruns += not starved
            return True
        return starved

    def _pause(self) -> None:
        """Silence, and let no time pass until it goes on."""
        at = self._now()
        ports.silence(self._port, self._sounding, dict.fromkeys(self._channels), abruptly=True)
        self._sounding.clear()
        self._offs.clear()
        while self.paused and not self._stop.wait(_POLL_S):
            pass
        if not math.isnan(at):
            self._zero = time.perf_counter() - at / self._speed

    def _strike(self, notes: list[LiveNote]) -> None:
        """Send a note-on, behind its program if the channel has another, and plan its note-off."""
        for note in notes:
            channel = self._channel(note.program)
            key = channel, note.pitch
            if self._sounding[key] > 0:  # its note-off would end the new one
                for entry in [entry for entry in self._offs if entry[1:] == key]:
                    self._offs.remove(entry)
                heapq.heapify(self._offs)
                self._send("note_off", channel, note=note.pitch)
            self._sounding[key] = 1  # before sending: it may be interrupted inside
            self._send("note_on", channel, note=note.pitch, velocity=note.velocity)
            heapq.heappush(self._offs, (note.onset_s + note.duration_s, *key))

    def _channel(self, program: int) -> int:
        """The channel of a program: its own while there are 15, then a shared one."""
        if program == DRUMS:
            self._channels.setdefault(9, DRUMS)
            return 9
        for channel, current in self._channels.items():
            if current == program and channel != 9:
                return channel
        free = [channel for channel in range(16) if channel != 9 and channel not in self._channels]
        channel = free[0] if free else [c for c in range(16) if c != 9][program % 15]
        self._channels[channel] = program
        self._send("program_change", channel, program=program)
        return channel

    def _send(self, kind: str, channel: int, **values: int) -> None:
        import mido

        lost_s = getattr(self._port, "lost_s", 0.0)
        self._port.send(mido.Message(kind, channel=channel, **values))
        self._zero += getattr(self._port, "lost_s", 0.0) - lost_s  # the music waited for a lost port


class LiveSpeakers(Live):
    """Through the speakers: rendered in blocks, the tail of each mixed into those that follow.

    Parameters
    ----------
    soundfont : as for `render`
    ahead_s : see `Score`
    """

    def __init__(self, soundfont: Path | None = None, ahead_s: float = math.inf) -> None:
        super().__init__(ahead_s)
        if soundfont is not None:
            rendering.check_soundfont(soundfont)
        self._font = soundfont or rendering.default_soundfont()
        use = self._font is not None and rendering.has_midirenderer()
        self._font_bytes = self._font.read_bytes() if use and self._font is not None else None
        self._queue: deque[np.ndarray] = deque()
        self._queued = 0  # samples in the queue
        self._lock = threading.Lock()
        self._mix = np.zeros((0, 2), np.float32)  # of what is rendered, what is not in the queue yet
        self._gain: float | None = None
        self._taken = 0  # samples of music that the device has
        self._asked = 0  # requests of the device
        self._marks: deque[tuple[int, float, float]] = deque([(0, 0.0, 1.0)])  # (sample, second, speed) of each block
        self._complete = False
        self._drained = threading.Event()

    def _open(self) -> None:
        self._device = speakers.open_device(rendering.RENDERED_RATE, _BUFFER_MS)
        feeder = self._feed()
        next(feeder)
        self._device.start(feeder)

    def _close(self) -> None:
        self._device.close()

    def _feed(self) -> Generator[np.ndarray, int, None]:
        """What the device is given when it asks, in its own thread."""
        waiting = True  # for the first sound: not an underrun
        wanted = yield np.zeros((0, 2), np.float32)
        while True:
            self._asked += 1
            if self.paused:
                wanted = yield np.zeros((wanted, 2), np.float32)
                continue
            with self._lock:
                parts, missing = [], wanted
                while missing and self._queue:
                    part = self._queue.popleft()
                    if len(part) > missing:
                        self._queue.appendleft(part[missing:])
                        part = part[:missing]
                    parts.append(part)
                    missing -= len(part)
                self._queued -= wanted - missing
                self._taken += wanted - missing
                over = self._complete and not self._queue
            if missing and not over:
                self.underruns += not waiting
                waiting = True
            elif not missing:
                waiting = False
            self._tell_position()
            if over and missing:
                if parts:
                    yield np.concatenate(parts)
                self._drained.set()
                return
            wanted = yield np.concatenate([*parts, np.zeros((missing, 2), np.float32)])

    def _tell_position(self) -> None:
        """Note where the music is: what the device was given, less its buffer."""
        sample = self._taken - round(self._device.buffersize_msec / 1000 * rendering.RENDERED_RATE)
        while len(self._marks) > 1 and self._marks[1][0] <= sample:
            self._marks.popleft()
        start, second, speed = self._marks[0]
        position = second + max(0, sample - start) / rendering.RENDERED_RATE * speed
        self.score.played_s = max(self.score.played_s, position)

    def _play(self) -> None:
        while self.score.next() is None and self.score.end_s is None and not self._stop.is_set():
            self.score.wait(math.inf)
        first = self.score.next()
        second = first.onset_s if first is not None else 0.0  # an upbeat's rest is not waited for
        sample, block_s = 0, FIRST_BLOCK_S
        while not self._stop.is_set():
            speed = self.speed
            if self._queued > QUEUED_S * rendering.RENDERED_RATE:
                self._watch()
                continue
            until = second + block_s * speed
            if not self.score.wait(until):
                continue
            end_s = self.score.end_s
            if end_s is not None and second >= end_s and self.score.next() is None:
                break
            n = round(block_s * rendering.RENDERED_RATE)
            self._render(self.score.take(until), second, speed)
            with self._lock:
                self._marks.append((sample, second, speed))
            self._give(n)
            second, sample, block_s = until, sample + n, BLOCK_S
        if not self._stop.is_set():
            self._give(len(self._mix))
        self._complete = True
        while not self._stop.is_set() and not self._drained.is_set():
            self._watch()
        if not self._stop.is_set():
            self._stop.wait(self._device.buffersize_msec / 1000)  # the last chunk is still in the device's buffer

    def _watch(self) -> None:
        """Wait a moment; a device that asks for nothing for long is gone."""
        started, asked = time.monotonic(), self._asked
        while not self._stop.wait(_POLL_S):
            if self._asked != asked or self._drained.is_set():
                return
            if time.monotonic() - started > speakers.STALL_S:
                raise AudioError(f"the sound device stopped after {clock(self.position_s)}; is it still connected?")

    def _render(self, notes: list[LiveNote], start_s: float, speed: float) -> None:
        """Add the sound of a block's notes, tails included, to what is not in the queue yet."""
        if not notes:
            return
        rows = [
            (
                round(max(0.0, note.onset_s - start_s) / speed * 1000),
                max(1, round(min(note.duration_s / speed, LONGEST_S) * 1000)),
                note.program,
                note.pitch,
                note.velocity,
            )
            for note in notes
        ]
        array, _ = canonical(np.array(rows, NOTE))
        length = int((array["onset"] + array["duration"]).max()) + round(TAIL_S * 1000)
        piece = NoteSequence(array, _MILLISECONDS, length)
        if self._font_bytes is None or self._font is None:
            sound = synthesise(piece, rendering.RENDERED_RATE)
        else:
            data, quieter = rendering.render_unclipped(self._font_bytes, midi.to_bytes(piece), self._font)
            sound = data.astype(np.float32) / np.float32(32768 * quieter)
        fade = min(len(sound), round(0.3 * rendering.RENDERED_RATE))
        sound[len(sound) - fade :] *= np.linspace(1, 0, fade, dtype=np.float32)[:, None]
        if len(sound) > len(self._mix):
            self._mix = np.pad(self._mix, ((0, len(sound) - len(self._mix)), (0, 0)))
        self._mix[: len(sound)] += sound

    def _give(self, n: int) -> None:
        """Move n samples into the queue, at a gain that only falls: what would clip is made quieter."""
        block = self._mix[:n]
        if len(block) < n:
            block = np.pad(block, ((0, n - len(block)), (0, 0)))
        self._mix = self._mix[n:]
        peak = float(np.abs(block).max(initial=0.0))
        if peak > 0:
            before = self._gain if self._gain is not None else min(MOST_GAIN, PEAK * HEADROOM / peak)
            self._gain = min(before, PEAK / peak)
            gains = np.full(len(block), self._gain, np.float32)
            ramp = min(len(block), rendering.RENDERED_RATE // 100)
            gains[:ramp] = np.linspace(before, self._gain, ramp)
            block = np.clip(block * gains[:, None], -PEAK, PEAK)
        with self._lock:
            self._queue.append(block.astype(np.float32))
            self._queued += n
