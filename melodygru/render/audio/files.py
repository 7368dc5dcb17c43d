"""Samples become files."""

from __future__ import annotations

import wave
from collections.abc import Iterator
from pathlib import Path

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
    with atomic_write(path, AudioError) as aside, aside.open("wb") as stream:
        settings = {"samplerate": SAMPLE_RATE, "channels": samples.shape[1], "subtype": f"PCM_{bits}", "format": "FLAC"}
        try:
            with soundfile.SoundFile(stream, "w", **settings) as file:
                for block in blocks(samples):
                    file.write(_whole(block, bits) << 32 - bits)  # the upper bits of an integer are its sample
        except soundfile.LibsndfileError as error:
            raise AudioError(f"cannot write {path}: {error}") from error


def _whole(samples: np.ndarray, bits: int) -> np.ndarray:
    """Samples as integers of so many bits."""
    return np.rint(np.clip(samples, -1, 1) * ((1 << (bits - 1)) - 1)).astype(np.int32)


def blocks(samples: np.ndarray) -> Iterator[np.ndarray]:
    """Views of a second or so each: whole-array temporaries would double the memory."""
    for start in range(0, len(samples), 1 << 16):
        yield samples[start : start + (1 << 16)]
