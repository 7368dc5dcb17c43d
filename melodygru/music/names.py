"""What people call programs, drums and pitches: General MIDI's names, and letters with octaves (C4 is 60)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from melodygru.music.notes import DRUMS, NoteSequence
from melodygru.util.wording import clock, counted

# General MIDI level 1 sound set, programs 0..127.
PROGRAM_NAMES: tuple[str, ...] = tuple(
    name.strip()
    for name in """
    Acoustic Grand Piano, Bright Acoustic Piano, Electric Grand Piano, Honky-tonk Piano, Electric Piano 1,
    Electric Piano 2, Harpsichord, Clavinet, Celesta, Glockenspiel, Music Box, Vibraphone, Marimba, Xylophone,
    Tubular Bells, Dulcimer, Drawbar Organ, Percussive Organ, Rock Organ, Church Organ, Reed Organ, Accordion,
    Harmonica, Tango Accordion, Nylon-string Guitar, Steel-string Guitar, Jazz Guitar, Clean Guitar, Muted Guitar,
    Overdriven Guitar, Distortion Guitar, Guitar Harmonics, Acoustic Bass, Fingered Bass, Picked Bass,
    Fretless Bass, Slap Bass 1, Slap Bass 2, Synth Bass 1, Synth Bass 2, Violin, Viola, Cello, Contrabass,
    Tremolo Strings, Pizzicato Strings, Orchestral Harp, Timpani, String Ensemble 1, String Ensemble 2,
    Synth Strings 1, Synth Strings 2, Choir Aahs, Voice Oohs, Synth Voice, Orchestra Hit, Trumpet, Trombone, Tuba,
    Muted Trumpet, French Horn, Brass Section, Synth Brass 1, Synth Brass 2, Soprano Sax, Alto Sax, Tenor Sax,
    Baritone Sax, Oboe, English Horn, Bassoon, Clarinet, Piccolo, Flute, Recorder, Pan Flute, Blown Bottle,
    Shakuhachi, Whistle, Ocarina, Square Lead, Sawtooth Lead, Calliope Lead, Chiff Lead, Charang Lead, Voice Lead,
    Fifths Lead, Bass and Lead, New Age Pad, Warm Pad, Polysynth Pad, Choir Pad, Bowed Pad, Metallic Pad, Halo Pad,
    Sweep Pad, Rain, Soundtrack, Crystal, Atmosphere, Brightness, Goblins, Echoes, Sci-fi, Sitar, Banjo, Shamisen,
    Koto, Kalimba, Bagpipe, Fiddle, Shanai, Tinkle Bell, Agogo, Steel Drums, Woodblock, Taiko Drum, Melodic Tom,
    Synth Drum, Reverse Cymbal, Guitar Fret Noise, Breath Noise, Seashore, Bird Tweet, Telephone Ring, Helicopter,
    Applause, Gunshot
    """.split(",")
)
# General MIDI level 1 percussion map, keys 35..81.
DRUM_NAMES: dict[int, str] = dict(
    enumerate(
        (
            name.strip()
            for name in """
            Kick 2, Kick, Side Stick, Snare, Hand Clap, Electric Snare, Low Floor Tom, Closed Hi-hat, High Floor Tom,
            Pedal Hi-hat, Low Tom, Open Hi-hat, Low-mid Tom, High-mid Tom, Crash, High Tom, Ride, China, Ride Bell,
            Tambourine, Splash, Cowbell, Crash 2, Vibraslap, Ride 2, High Bongo, Low Bongo, Mute Conga, Open Conga,
            Low Conga, High Timbale, Low Timbale, High Agogo, Low Agogo, Cabasa, Maracas, Short Whistle,
            Long Whistle, Short Guiro, Long Guiro, Claves, High Woodblock, Low Woodblock, Mute Cuica, Open Cuica,
            Mute Triangle, Open Triangle
            """.split(",")
        ),
        start=35,
    )
)


MAX_NAME = 80  # characters of a part's name
PITCH_CLASSES = tuple("C C# D D# E F F# G G# A A# B".split())


# Families of programs, as musicians name them; one program may belong to several.
FAMILIES: dict[str, tuple[int, ...]] = {
    "keys": (*range(8), *range(16, 24)),
    "guitar": tuple(range(24, 32)),
    "bass": tuple(range(32, 40)),
    "strings": (*range(40, 47), *range(48, 52)),
    "voice": (52, 53, 54, 85, 91),
    "brass": tuple(range(56, 64)),
    "winds": tuple(range(64, 80)),
    "lead": tuple(range(80, 88)),
    "pads": tuple(range(88, 96)),
}

# Of each word of the programs' names those that have it, and the families.
_CALLED: dict[str, tuple[int, ...]] = {
    word: tuple(at for at, name in enumerate(PROGRAM_NAMES) if word in name.lower().split())
    for word in " ".join(PROGRAM_NAMES).lower().split()
} | FAMILIES


def programs_called(name: str) -> tuple[int, ...]:
    """The programs of a family, else those with the word in their names (`piano`, `sax`); empty for others."""
    return _CALLED.get(name.lower(), ())


def program_name(program: int) -> str:
    """General MIDI's name of a program 0..127; `Drums` for 128."""
    return "Drums" if program == DRUMS else PROGRAM_NAMES[program]


def clean_name(text: str) -> str:
    """A part's name as it is kept: one line of at most `MAX_NAME` characters, all of which can be printed."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())[:MAX_NAME].strip()


def part_labels(sequence: NoteSequence) -> list[str]:
    """What people call each part: its name, else its program's; of several nameless ones, `Violin`, `Violin 2`."""
    return [name or default for name, default in _named(sequence.part_programs.tolist(), sequence.part_names)]


def own_names(programs: Iterable[int], names: Iterable[str]) -> tuple[str, ...]:
    """The names of parts, "" for those that `part_labels` gives a part without one."""
    return tuple(name for name, _ in _named(programs, names))


def _named(programs: Iterable[int], names: Iterable[str]) -> Iterable[tuple[str, str]]:
    """The own name of each part, and what it is called without one."""
    nameless: Counter[int] = Counter()
    for program, name in zip(programs, names, strict=True):
        n = nameless[program] + 1
        default = program_name(program) if n == 1 else f"{program_name(program)} {n}"
        if name in ("", default):
            nameless[program] = n
            name = ""
        yield name, default


def pitch_name(pitch: int) -> str:
    """The name of a pitch 0..127: `C4` for 60, `F#3` for 54."""
    return f"{PITCH_CLASSES[pitch % 12]}{pitch // 12 - 1}"


def facts(sequence: NoteSequence) -> list[str]:
    """What a piece is, in words: its part if it has one, metre and tempo at the start, length, number of notes."""
    found = part_labels(sequence) if len(sequence.part_programs) == 1 else []
    if sequence.grid.is_metrical:
        found += [f"{sequence.metre[0]}/{sequence.metre[1]}", f"{sequence.qpm:.0f} qpm"]
    return [*found, clock(round(sequence.seconds)), counted(len(sequence), "note")]
