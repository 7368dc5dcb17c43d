"""Names of pitches, scales and chords, as the pitches and pitch classes that they stand for.

Pitch classes are 0..11 semitones above C; a pitch's name ends in its octave, C4 being 60, so that C-1 is 0 and G9 127.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from melodygru.errors import SettingError
from melodygru.music.notes import MOST_FIFTHS, N_PITCHES

SCALES = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "harmonic-minor": (0, 2, 3, 5, 7, 8, 11),
    "melodic-minor": (0, 2, 3, 5, 7, 9, 11),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "phrygian": (0, 1, 3, 5, 7, 8, 10),
    "lydian": (0, 2, 4, 6, 7, 9, 11),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
    "locrian": (0, 1, 3, 5, 6, 8, 10),
    "pentatonic": (0, 2, 4, 7, 9),
    "minor-pentatonic": (0, 3, 5, 7, 10),
    "blues": (0, 3, 5, 6, 7, 10),
    "whole-tone": (0, 2, 4, 6, 8, 10),
    "octatonic": (0, 2, 3, 5, 6, 8, 9, 11),
    "chromatic": tuple(range(12)),
}
_SHORT = {
    "maj": "major",
    "ionian": "major",
    "min": "minor",
    "m": "minor",
    "natural-minor": "minor",
    "aeolian": "minor",
    "major-pentatonic": "pentatonic",
}

# A chord's kind, as it stands after its root: the triad, a major seventh, the highest third, what takes the third's
# place, and what is altered, added or left out. There are many spellings.
_KIND = re.compile(
    r"(?P<triad>maj|Maj|ma(?=\d)|M|[△Δ]|min|mi(?=\d|$)|m(?!aj)|m(?=maj)|-|dim|°|o|ø|aug|\+)?"
    r"(?P<major>maj|Maj|M|[△Δ])?(?P<number>5|6/9|69|6|7|9|11|13)?(?P<sus>sus(?:24|2|4)?)?"
    r"(?P<changes>(?:add[b#]?(?:2|4|6|9|11|13)|(?:no|omit)[35]|[b#](?:5|9|11|13)|alt)*)"
)
_CHANGE = re.compile(r"(add|no|omit)?([b#]?)(\d+)")
_STEPS = {2: 2, 3: 4, 4: 5, 5: 7, 6: 9, 9: 2, 11: 5, 13: 9}  # semitones above the root of each degree
_ALTERED = (0, 1, 3, 4, 6, 8, 10)  # of C7alt
KINDS = "C, Cm, C7, Cmaj7, Cm7, C9, Am11, G13, G7b9, C7#11, C6, C6/9, Cadd9, C5, Csus2, Csus4, Cdim7, Cm7b5, Caug"
NO_CHORD, REPEAT = ("N.C.", "NC"), "%"

# Fifths from a scale's tonic up to that of the major key whose signature it is written in; others have none.
_SIGNATURES = {
    "major": 0,
    "minor": -3,
    "harmonic-minor": -3,
    "melodic-minor": -3,
    "dorian": -2,
    "phrygian": -4,
    "lydian": 1,
    "mixolydian": -1,
    "locrian": -5,
    "pentatonic": 0,
    "minor-pentatonic": -3,
    "blues": -3,
}

_LETTERS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_NOTE = r"[A-G][#b♯♭]*"


def _pitch_class(name: str) -> int:
    """Pitch class of a letter and its accidentals, unwrapped: B# is 12, Cb is -1."""
    return _LETTERS[name[0]] + sum(1 if sign in "#♯" else -1 for sign in name[1:])


def parse_pitch(text: str) -> int | None:
    """The pitch, 0..127, of a number or a name; None if it is neither."""
    found = re.fullmatch(rf"({_NOTE})(-?\d)", text[:1].upper() + text[1:])
    if found:
        pitch = _pitch_class(found[1]) + 12 * (int(found[2]) + 1)
    elif re.fullmatch(r"\d{1,3}", text):
        pitch = int(text)
    else:
        return None
    return pitch if 0 <= pitch < N_PITCHES else None


def parse_key(text: str) -> frozenset[int]:
    """Pitch classes of a key such as `C:maj`, `F#:dorian`, `Bb` (major) or `Am`.

    Raises
    ------
    SettingError
        It is no key.
    """
    tonic, scale = _split_key(text)
    return frozenset((_pitch_class(tonic) + step) % 12 for step in SCALES[scale])


def parse_signature(text: str) -> tuple[int, int] | None:
    """Sharps (or flats below zero), and 1 where the third is minor, of the key signature in which a key is written.

    `Gb` has six flats, `F#` six sharps; a key of more than seven is written in the other way. None for a scale that
    belongs to no key, such as `octatonic`.

    Raises
    ------
    SettingError
        It is no key.
    """
    tonic, scale = _split_key(text)
    if scale not in _SIGNATURES:
        return None
    fifths = "FCGDAEB".index(tonic[0]) - 1 + 7 * (_pitch_class(tonic) - _LETTERS[tonic[0]]) + _SIGNATURES[scale]
    while abs(fifths) > MOST_FIFTHS:
        fifths -= 12 if fifths > 0 else -12
    return fifths, int(3 in SCALES[scale])


def _split_key(text: str) -> tuple[str, str]:
    """The tonic's name and the scale's, one of SCALES; SettingError for what is no key."""
    found = re.fullmatch(rf"({_NOTE})(m?)(?::(.+))?", text[:1].upper() + text[1:])
    if found is None or (found[2] and found[3]):
        raise SettingError(f"key {text!r}: expected a tonic A..G, with # or b, and a scale, such as C:maj or F#:dorian")
    name = (found[3] or ("minor" if found[2] else "major")).strip().lower().replace(" ", "-").replace("_", "-")
    scale = _SHORT.get(name, name)
    if scale not in SCALES:
        raise SettingError(f"key {text!r}: expected one of the scales {', '.join(SCALES)}")
    return found[1], scale


def parse_pitch_classes(text: str) -> frozenset[int]:
    """Pitch classes from a list such as `C D E G A` or `0,2,4,7,9`.

    Raises
    ------
    SettingError
        The list is empty, or one of them is no pitch class.
    """
    classes = set()
    for name in text.replace(",", " ").split():
        if re.fullmatch(r"\d{1,2}", name) and int(name) < 12:
            classes.add(int(name))
        elif re.fullmatch(_NOTE, name[:1].upper() + name[1:]):
            classes.add(_pitch_class(name[:1].upper() + name[1:]) % 12)
        else:
            raise SettingError(
                f"scale {text!r}: {name!r} is no pitch class; expected C, F#, Bb ..., or 0..11 from C on"
            )
    if not classes:
        raise SettingError(f"scale {text!r}: expected pitch classes such as C D E G A, or 0,2,4,7,9")
    return frozenset(classes)


def parse_range(text: str) -> tuple[int, int]:
    """Lowest and highest pitch, both included, of `C3:C6`, `48:84`, `C3:` or `:84`.

    Raises
    ------
    SettingError
        It is no range, or an empty one.
    """
    low, colon, high = (part.strip() for part in text.partition(":"))
    first = parse_pitch(low) if low else 0
    last = parse_pitch(high) if high else N_PITCHES - 1
    if not colon or not (low or high) or first is None or last is None:
        raise SettingError(
            f"range {text!r}: expected LOW:HIGH, pitches C-1..G9 (C4 is 60) or 0..127, such as C3:C6, 48: or :C6"
        )
    if first > last:
        raise SettingError(f"range {text!r}: {low} lies above {high}; expected the lower pitch first")
    return first, last


@dataclass(frozen=True)
class Chord:
    """A chord: its name and its tones, pitch classes; without tones it is N.C., and asks for nothing.

    Attributes
    ----------
    root : pitch class of its root, None of N.C.
    """

    name: str
    tones: frozenset[int]
    root: int | None = None


def parse_chord(symbol: str) -> Chord:
    """The chord of a symbol such as `C`, `F#m7`, `Bbmaj7#11`, `C/E` or `N.C.`; a bass that is no tone becomes one.

    Raises
    ------
    SettingError
        The symbol isn't known.
    """
    if symbol in NO_CHORD:
        return Chord("N.C.", frozenset())
    found = re.fullmatch(rf"({_NOTE})(.*?)(?:/({_NOTE}))?", symbol)
    kind = _KIND.fullmatch(re.sub(r"[(),]", "", found[2].translate(_SIGNS))) if found else None
    steps = _chord_steps(kind) if kind else None
    if found is None or steps is None:
        raise SettingError(
            f"chord {symbol!r}: expected a chord such as {KINDS}, on any root, with a bass (C/E), or N.C."
        )
    root = _pitch_class(found[1]) % 12
    tones = {(root + step) % 12 for step in steps}
    if found[3]:
        tones.add(_pitch_class(found[3]) % 12)
    return Chord(symbol, frozenset(tones), root)


_SIGNS = str.maketrans("♭♯", "b#")


def _chord_steps(kind: re.Match[str]) -> set[int] | None:
    """The tones of a kind of chord, in semitones above its root; None where its signs don't go together.

    An eleventh takes the place of a major third, and a thirteenth above one has no eleventh, as they are played.
    """
    triad, number, changes = kind["triad"] or "", kind["number"] or "", kind["changes"]
    minor = triad in ("min", "mi", "m", "-", "dim", "°", "o", "ø")
    diminished, augmented = triad in ("dim", "°", "o", "ø"), triad in ("aug", "+")
    if (number == "5" and (triad or kind["sus"])) or (kind["major"] and not number):
        return None
    if triad == "ø" or triad in ("△", "Δ"):
        number = number or "7"
    major = not (minor or augmented) and bool(triad) or bool(kind["major"])
    third, fifth = 3 if minor else 4, 6 if diminished else 8 if augmented else 7
    steps = {0, third, fifth}
    if number in ("7", "9", "11", "13"):
        steps.add(11 if major else 9 if diminished and triad != "ø" else 10)
    steps |= {"6": {9}, "69": {9, 2}, "6/9": {9, 2}, "9": {2}, "11": {2, 5}, "13": {2, 9}}.get(number, set())
    if number == "5" or (number == "11" and not minor and not major):
        steps.discard(third)
    if number == "13" and minor:
        steps.add(5)
    if kind["sus"]:
        steps.discard(third)
        steps |= {{"2": 2, "4": 5}[degree] for degree in kind["sus"][3:] or "4"}
    if "alt" in changes:
        return set(_ALTERED) if changes == "alt" and number == "7" and not (triad or kind["sus"]) else None
    altered = set()
    for word, sign, degree in _CHANGE.findall(changes):
        natural = _STEPS[int(degree)]
        step = natural + {"b": -1, "#": 1, "": 0}[sign]
        if word in ("no", "omit"):
            steps.discard(third if degree == "3" else fifth)
            continue
        if not word:  # in the place of the natural one
            steps.discard(fifth if degree == "5" else natural)
        altered.add(step)
    return steps | altered


def parse_chords(text: str) -> tuple[tuple[Chord, ...], ...]:
    """Bars of chords from `C | Am7 | F G | %`: a bar line between bars, `%` for what stood before.

    Raises
    ------
    SettingError
        A bar is empty, a symbol isn't known, or `%` has nothing before it.
    """
    bars: list[tuple[Chord, ...]] = []
    for number, part in enumerate(text.strip().removeprefix("|").removesuffix("|").split("|"), 1):
        symbols = part.split()
        if not symbols:
            raise SettingError(f"chords {text!r}: bar {number} is empty; expected chords such as C | Am | F G, or N.C.")
        if REPEAT in symbols and not bars and symbols[0] == REPEAT:
            raise SettingError(
                f"chords {text!r}: bar 1 begins with %, which repeats what stood before; expected a chord"
            )
        if symbols == [REPEAT]:
            bars.append(bars[-1])
            continue
        bar: list[Chord] = []
        for symbol in symbols:
            bar.append((bar or bars[-1])[-1] if symbol == REPEAT else parse_chord(symbol))
        bars.append(tuple(bar))
    return tuple(bars)
