"""Music as it is composed, through the speakers."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Generator
from pathlib import Path

import numpy as np

from melodygru import midi
from melodygru.errors import AudioError
from melodygru.music.grid import Grid
from melodygru.music.notes import NoteSequence, canonical, note_array
from melodygru.render.audio import rendering, speakers
from melodygru.render.audio.files import SAMPLE_RATE
from melodygru.render.audio.live import Live
from melodygru.render.audio.queue import POLL_S, LiveNote
from melodygru.render.audio.synthesiser import synthesise
from melodygru.util.wording import clock

BLOCK_S = 0.8  # of music rendered at once
FIRST_BLOCK_S = 0.3  # so that the first sound is soon there
QUEUED_S = 1.2  # rendered before it sounds; a change of speed sounds after this
TAIL_S = 2.5  # rendered past the end of a block's last note, and mixed into the blocks that follow
LONGEST_S = 15.0  # a longer note is cut: rendering lets nothing else run meanwhile
PEAK = 10 ** (rendering.PEAK_DBFS / 20)
HEADROOM = 0.5  # of the peak, for what is louder than the first block
MOST_GAIN = 4.0
_BUFFER_MS = 300  # of the sound device: longer than one rendering takes
_MILLISECONDS = Grid.seconds(1000)


class LiveSpeakers(Live):
    """Through the speakers: rendered in blocks, the tail of each mixed into those that follow.

    Parameters
    ----------
    soundfont : as for `render`
    ahead_s : see `NoteQueue`
    """

    def __init__(self, soundfont: Path | None = None, ahead_s: float = math.inf) -> None:
        super().__init__(ahead_s)
        if soundfont is not None:
            rendering.check_soundfont(soundfont)
        self._font = soundfont or rendering.default_soundfont()
        use = self._font is not None and rendering.has_midirenderer()
        self._font_bytes = rendering.font_bytes(self._font) if use and self._font is not None else None
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
        self._device = speakers.open_device(_BUFFER_MS)
        feeder = self._feed()
        next(feeder)
        self._device.start(feeder)

    def _close(self) -> None:
        self._device.close()

    def _feed(self) -> Generator[np.ndarray, int, None]:
        """Yield the samples that the device asks for; runs in the device's thread."""
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
        """Update the position: the samples that the device has, less those in its buffer."""
        sample = self._taken - round(self._device.buffersize_msec / 1000 * SAMPLE_RATE)
        while len(self._marks) > 1 and self._marks[1][0] <= sample:
            self._marks.popleft()
        start, second, speed = self._marks[0]
        position = second + max(0, sample - start) / SAMPLE_RATE * speed
        self.notes.played_s = max(self.notes.played_s, position)

    def _play(self) -> None:
        while self.notes.next() is None and self.notes.end_s is None and not self._stop.is_set():
            self.notes.wait(math.inf)
        first = self.notes.next()
        second = first.onset_s if first is not None else 0.0  # an upbeat's rest is not waited for
        sample, block_s = 0, FIRST_BLOCK_S
        while not self._stop.is_set():
            speed = self.speed
            if self._queued > QUEUED_S * SAMPLE_RATE:
                self._watch()
                continue
            until = second + block_s * speed
            if not self.notes.wait(until):
                continue
            end_s = self.notes.end_s
            if end_s is not None and second >= end_s and self.notes.next() is None:
                break
            n = round(block_s * SAMPLE_RATE)
            self._render(self.notes.take(until), second, speed)
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
        """Wait a moment. AudioError if the device has asked for nothing for `STALL_S`."""
        started, asked = time.monotonic(), self._asked
        while not self._stop.wait(POLL_S):
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
        # The parts of two pieces may have one number.
        lines = {line: part for part, line in enumerate(dict.fromkeys((note.part, note.program) for note in notes))}
        array, _ = canonical(note_array(rows, [lines[note.part, note.program] for note in notes]))
        length = int((array["onset"] + array["duration"]).max()) + round(TAIL_S * 1000)
        piece = NoteSequence(array, _MILLISECONDS, length)
        if self._font_bytes is None or self._font is None:
            sound = synthesise(piece)
        else:
            data, quieter = rendering.render_unclipped(self._font_bytes, midi.to_bytes(piece), self._font)
            sound = data.astype(np.float32) / np.float32(32768 * quieter)
        fade = min(len(sound), round(0.3 * SAMPLE_RATE))
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
            ramp = min(len(block), SAMPLE_RATE // 100)
            gains[:ramp] = np.linspace(before, self._gain, ramp)
            block = np.clip(block * gains[:, None], -PEAK, PEAK)
        with self._lock:
            self._queue.append(block.astype(np.float32))
            self._queued += n
