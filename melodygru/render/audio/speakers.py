"""Samples through the speakers, by miniaudio."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from typing import Any

import numpy as np

from melodygru.errors import AudioError
from melodygru.render.audio.files import SAMPLE_RATE
from melodygru.util import stderr
from melodygru.util.wording import clock

_POSITION_S = 0.1  # between two calls of on_position
STALL_S = 5.0  # without a request for samples, after which a sound device counts as gone


def play(samples: np.ndarray, on_position: Callable[[float], None] | None = None) -> None:
    """Play samples through the speakers and return when they have sounded.

    Parameters
    ----------
    samples : array, shape (n_samples, 2), float32
    on_position : callable, optional
        Called about ten times a second with the position in seconds, from the calling thread.

    Raises
    ------
    AudioError
        There is no sound device, or it stopped taking samples.
    KeyboardInterrupt
        Ctrl-C, after the device has been stopped.
    """
    if samples.ndim != 2 or samples.shape[1] != 2:
        raise AudioError(f"samples of shape {samples.shape}: expected (n_samples, 2)")
    samples = np.ascontiguousarray(samples, np.float32)
    taken, finished = 0, threading.Event()

    def feed() -> Generator[np.ndarray, int, None]:
        nonlocal taken
        wanted = yield samples[:0]
        while taken < len(samples):
            chunk = samples[taken : taken + wanted]
            taken += len(chunk)
            wanted = yield chunk
        finished.set()

    device = open_device()
    buffer_s = device.buffersize_msec / 1000
    try:
        feeder = feed()
        next(feeder)
        device.start(feeder)
        last_taken, last_change = 0, time.monotonic()
        while not finished.wait(_POSITION_S):
            if taken != last_taken:
                last_taken, last_change = taken, time.monotonic()
            elif time.monotonic() - last_change > STALL_S:
                raise AudioError(f"the sound device stopped after {clock(taken / SAMPLE_RATE)}; is it still connected?")
            if on_position is not None:
                on_position(max(0.0, taken / SAMPLE_RATE - buffer_s))
        time.sleep(buffer_s)  # the last chunk is still in the device's buffer
        if on_position is not None:
            on_position(len(samples) / SAMPLE_RATE)
    finally:
        device.close()


def open_device(buffer_ms: int = 200) -> Any:
    """An open miniaudio.PlaybackDevice for float32 stereo that is not the silent one."""
    hint = "the files are still written; connect or unmute a device, or play the WAV file elsewhere"
    try:
        import miniaudio
    except (ImportError, OSError) as error:
        raise AudioError(f"no sound: miniaudio can't be loaded ({error}); pip install miniaudio") from error
    # Its default list ends in the Null backend, which plays to nobody without an error.
    silent = (miniaudio.Backend.NULL, miniaudio.Backend.CUSTOM)
    try:
        with stderr.diverted():  # ALSA prints a page about each device that it doesn't find
            device = miniaudio.PlaybackDevice(
                output_format=miniaudio.SampleFormat.FLOAT32,
                nchannels=2,
                sample_rate=SAMPLE_RATE,
                buffersize_msec=buffer_ms,
                backends=[backend for backend in miniaudio.Backend if backend not in silent],
                app_name="melodygru",
            )
    except miniaudio.MiniaudioError as error:
        raise AudioError(f"no sound device found ({': '.join(map(str, error.args))}); {hint}") from error
    if device.backend == "Null":
        device.close()
        raise AudioError(f"no sound device found (only miniaudio's Null backend); {hint}")
    return device
