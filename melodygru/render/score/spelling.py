"""How pitches are spelled in a key, and which accidentals a bar shows."""

from __future__ import annotations

from collections.abc import Iterable

from melodygru.music.keys import KeySignature
from melodygru.render.score.layout import Event
from melodygru.render.score.rhythm import Bar


def spell(pitch: int, key: KeySignature) -> tuple[str, int, int]:
    """How a pitch is written in a key: (letter, alteration in semitones, octave, C4 being pitch 60).

    Parameters
    ----------
    pitch : int
    key : KeySignature

    Notes
    -----
    On the line of fifths, F = -1, C = 0, G = 1 and so on. A major key of n sharps takes the twelve from n - 3 to n + 8,
    in C E flat to G sharp; a minor one those from n - 2 to n + 9, in A minor B flat to D sharp.
    """
    lowest = key.fifths - (2 if key.minor else 3)
    on_line = lowest + (pitch * 7 - lowest) % 12  # pitch classes are 7 apart on the line, modulo 12
    letter, alter = "FCGDAEB"[(on_line + 1) % 7], (on_line + 1) // 7
    octave = (pitch - alter - "C D EF G A B".index(letter)) // 12 - 1
    return letter, alter, octave


_ACCIDENTALS = {-2: "flat-flat", -1: "flat", 0: "natural", 1: "sharp", 2: "double-sharp"}


def accidentals_of(events: Iterable[Event], bar: Bar, signature: KeySignature) -> dict[tuple[int, int], str]:
    """(start, pitch): the accidental to print, on a staff in one bar; a tied note keeps the one it had."""
    key = {letter: 1 + (signature.fifths - 1 - at) // 7 for at, letter in enumerate("FCGDAEB")}
    struck: dict[int, set[int]] = {}
    for event in events:
        for note in event.notes:
            if note.onset >= bar.start + event.start:
                struck.setdefault(event.start, set()).add(note.pitch)
    state: dict[tuple[str, int], int | None] = {}
    printed: dict[tuple[int, int], str] = {}
    for start in sorted(struck):
        written: dict[tuple[str, int], list[tuple[int, int]]] = {}
        for pitch in sorted(struck[start]):
            letter, alter, octave = spell(pitch, signature)
            written.setdefault((letter, octave), []).append((alter, pitch))
        for (letter, octave), here in written.items():
            for alter, pitch in here:
                if len(here) > 1 or state.get((letter, octave), key[letter]) != alter:
                    printed[start, pitch] = _ACCIDENTALS[alter]
            state[letter, octave] = here[0][0] if len(here) == 1 else None  # after two at once, it is printed anew
    return printed
