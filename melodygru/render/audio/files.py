"""Samples become files."""

from __future__ import annotations

import io
import wave
from collections.abc import Iterator
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np

from melodygru.errors import AudioError
from melodygru.util.atomic import atomic_write

SAMPLE_RATE = 48_000  # samples a second: what midirenderer makes, and what sound devices take


def write_wav(samples: np.ndarray, path: Path) -> None:
    """Write samples as a WAV file, 16 bit PCM; the file appears whole or not at all.

    Parameters
    ----------
    samples : array, shape (n_samples, n_channels), float
        In -1..1; what lies outside is clipped.
    path : Path

    Raises
    ------
    AudioError
        The samples have another shape, or the file can't be written.
    """
    if samples.ndim != 2:
        raise AudioError(f"samples of shape {samples.shape}: expected (n_samples, n_channels)")
    with atomic_write(path, AudioError) as aside, aside.open("wb") as stream, wave.open(stream, "wb") as file:
        file.setnchannels(samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        for block in blocks(samples):
            file.writeframesraw(_whole(block, 16).astype("<i2").tobytes())


def as_mp3(samples: np.ndarray) -> bytes:
    """Samples (n_samples, 2), float in -1..1, as the bytes of an MP3 file, about a megabyte a minute.

    Raises
    ------
    AudioError
        soundfile is missing, or its libsndfile writes no MP3.
    """
    try:
        import soundfile
    except (ImportError, OSError) as error:  # OSError: without libsndfile
        raise AudioError(f"MP3 needs soundfile ({error}); pip install soundfile") from error
    stream = io.BytesIO()
    try:
        soundfile.write(stream, samples, SAMPLE_RATE, format="MP3")
    except (soundfile.LibsndfileError, TypeError, ValueError) as error:
        raise AudioError(f"this libsndfile writes no MP3 ({error}); pip install --upgrade soundfile") from error
    return stream.getvalue()


def write_flac(samples: np.ndarray, path: Path, *, bits: int = 16) -> None:
    """Write samples as a FLAC file, by libsndfile; the file appears whole or not at all.

    Parameters
    ----------
    samples : array, shape (n_samples, n_channels), float
        In -1..1; what lies outside is clipped.
    path : Path
    bits : int
        Of a sample: 16 or 24.

    Raises
    ------
    AudioError
        The samples have another shape, `bits` is another number, soundfile is missing, or the file can't be written.
    """
    if samples.ndim != 2:
        raise AudioError(f"samples of shape {samples.shape}: expected (n_samples, n_channels)")
    if bits not in (16, 24):
        raise AudioError(f"{bits} bits a sample: expected 16 or 24")
    try:
        import soundfile
    except (ImportError, OSError) as error:  # OSError: without libsndfile
        raise AudioError(f"FLAC needs soundfile ({error}); pip install soundfile, or write a WAV file") from error
    with atomic_write(path, AudioError) as aside, aside.open("wb", buffering=0) as file:
        stream = _Patient(file)
        settings = {"samplerate": SAMPLE_RATE, "channels": samples.shape[1], "subtype": f"PCM_{bits}", "format": "FLAC"}
        try:
            with soundfile.SoundFile(stream, "w", **settings) as sound:
                for block in blocks(samples):
                    sound.write(_whole(block, bits) << 32 - bits)  # the upper bits of an integer are its sample
        except (soundfile.LibsndfileError, AssertionError) as error:  # the second: fewer frames written than given
            if stream.error is None:
                raise AudioError(f"cannot write {path}: {error}") from error
        if stream.error is not None:
            raise stream.error


class _Patient:
    """A file for libsndfile, which cannot pass an exception on: the first is kept, and nothing is written after it."""

    def __init__(self, file: FileIO) -> None:
        self.file = file
        self.error: OSError | None = None

    def write(self, data: Any) -> int:
        """Write all of it; 0 where that is not possible."""
        left = memoryview(data).cast("B")
        size = len(left)
        try:
            while len(left) and self.error is None:
                left = left[self.file.write(left) or 0 :]
        except OSError as error:
            self.error = error
        return size if self.error is None else 0

    def seek(self, offset: int, whence: int = 0) -> int:
        """As of a file."""
        return self.file.seek(offset, whence)

    def tell(self) -> int:
        """As of a file."""
        return self.file.tell()

    def flush(self) -> None:
        """Nothing is held back."""


def _whole(samples: np.ndarray, bits: int) -> np.ndarray:
    """Samples as integers of so many bits."""
    return np.rint(np.clip(samples, -1, 1) * ((1 << (bits - 1)) - 1)).astype(np.int32)


def blocks(samples: np.ndarray) -> Iterator[np.ndarray]:
    """Views of a second or so each: whole-array temporaries would double the memory."""
    for start in range(0, len(samples), 1 << 16):
        yield samples[start : start + (1 << 16)]
