"""The built-in synthesiser: additive, in NumPy, for where midirenderer or a SoundFont is missing."""

from __future__ import annotations

import numpy as np

from melodygru.music.notes import DRUMS, N_PITCHES, NoteSequence
from melodygru.render.audio.files import SAMPLE_RATE

_LONGEST_TONE_S = 60.0  # a longer note has died away by then
_RELEASE_S = 0.1  # from note-off to silence
_STRUCK = frozenset([*range(16), *range(24, 40), 45, 46, 47, *range(104, 120)])  # plucked or struck: they die away


def synthesise(sequence: NoteSequence) -> np.ndarray:
    """Additive synthesis, shape (n, 2): one tone for each program and pitch, cut to the length of each note."""
    notes = sequence.notes
    onset_s = sequence.step2second(notes["onset"])
    length_s = np.minimum(sequence.step2second(notes["onset"] + notes["duration"]) - onset_s, _LONGEST_TONE_S)
    start = np.rint(onset_s * SAMPLE_RATE).astype(np.int64)
    release = round(_RELEASE_S * SAMPLE_RATE)
    n_held = np.rint(length_s * SAMPLE_RATE).astype(np.int64)
    loudness = ((notes["velocity"] / 127) ** 1.5).astype(np.float32)
    fade = np.linspace(1, 0, release, dtype=np.float32)

    key = notes["program"].astype(np.int64) * N_PITCHES + notes["pitch"]
    order = np.argsort(key, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(key[order])) + 1)
    longest = int((start + n_held).max()) + 2 * SAMPLE_RATE
    out = np.zeros((2, longest), np.float32)
    for group in groups:
        program, pitch = int(notes["program"][group[0]]), int(notes["pitch"][group[0]])
        drum = program == DRUMS
        tone = _drum(pitch) if drum else _tone(program, pitch, n_held[group].max() + release)
        right = np.float32(0.5 + 0.3 * (pitch - 64) / 64)  # as at a piano: low notes left, high notes right
        for at in group:
            sound = tone if drum else tone[: n_held[at] + release].copy()
            if not drum:
                sound[-release:] *= fade
            span = slice(start[at], start[at] + len(sound))
            out[0, span] += sound * (loudness[at] * (1 - right))
            out[1, span] += sound * (loudness[at] * right)
    return np.ascontiguousarray(out.T)


def _tone(program: int, pitch: int, n: int) -> np.ndarray:
    """n samples of a pitch as it sounds while held: harmonics below the Nyquist frequency, attack and decay."""
    t = np.arange(n) / SAMPLE_RATE
    frequency = 440 * 2 ** ((pitch - 69) / 12)
    struck = program in _STRUCK
    tone = np.zeros(n)
    for harmonic in range(1, 7):
        if harmonic * frequency >= SAMPLE_RATE / 2:
            break
        per_second = (1.0 + 0.7 * harmonic) * (frequency / 262) ** 0.5 if struck else 0.05
        weight = harmonic**-1.6 if struck else harmonic**-1.3
        tone += weight * np.exp(-per_second * t) * np.sin(2 * np.pi * ((harmonic * frequency * t) % 1.0))
    attack = max(1, round((0.004 if struck else 0.03) * SAMPLE_RATE))
    tone[:attack] *= np.linspace(0, 1, attack)[:n]
    return tone.astype(np.float32)


def _drum(pitch: int) -> np.ndarray:
    """A burst of noise: long for cymbals, short for closed hi-hats, with a falling tone for kick, toms and snare."""
    length_s = {42: 0.08, 44: 0.08, 46: 0.5, 49: 1.5, 51: 1.0, 52: 1.5, 55: 1.0, 57: 1.5, 59: 1.0}.get(pitch, 0.3)
    t = np.arange(round(length_s * SAMPLE_RATE)) / SAMPLE_RATE
    noise = np.random.default_rng(pitch).standard_normal(len(t))
    skins = {35: 60.0, 36: 65.0, 38: 180.0, 40: 190.0, 41: 90.0, 43: 105.0, 45: 125.0, 47: 145.0, 48: 165.0, 50: 190.0}
    if pitch in skins:
        swoop = np.cumsum(skins[pitch] * (1 + np.exp(-t * 40))) / SAMPLE_RATE
        sound = np.sin(2 * np.pi * swoop) + (0.5 if pitch in (38, 40) else 0.08) * noise
    else:
        sound = 0.3 * np.diff(noise, prepend=0.0)  # the difference takes the lows out
    return (sound * np.exp(-t * 5 / length_s)).astype(np.float32)
