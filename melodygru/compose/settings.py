"""The settings of `generate`: each declared once, with its type, default, range, unit and help.

From here come the options of `melodygru generate`, the signature and docstring of `melodygru.generate`, what is
refused, the provenance in a MIDI file, what `replay` passes on, and the option table of the docs. A new setting is a
field of `GenerateSettings` and the code that uses it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from melodygru.errors import SettingError
from melodygru.music.metre import parse_metre
from melodygru.util.settings import Setting, check, check_value, declared_by, described, setting

if TYPE_CHECKING:
    from typing import TypeAlias

    from melodygru.compose.constraints import Constraint
    from melodygru.compose.primer import Source
    from melodygru.music.notes import NoteSequence

    Piece: TypeAlias = str | Path | NoteSequence | Source
    Metre: TypeAlias = tuple[int, int]  # numerator, denominator
    Constraints: TypeAlias = Sequence[Constraint]
else:  # what the command line makes of them; to import the others would take time
    Piece, Metre, Constraints = Path, tuple, Sequence

CHORD_BIAS = 3.0  # nats by which a chord's tones are favoured

# Marks of a setting.
STREAM = "stream"  # it has an effect on music without an end, too
OF_BATCH = "batch"  # it says which pieces are composed together; provenance has it beside the settings

_choice = partial(setting, section="choice", marks=(STREAM,))
_constraint = partial(setting, section="constraint", marks=(STREAM,))
_length = partial(setting, section="length")
_piece = partial(setting, section="piece")

_MIDI_FILE = "FILE.mid"


def normalise_style(settings: Any) -> None:
    """Name the style of frozen settings as `intake` does."""
    if isinstance(settings.style, str):
        object.__setattr__(settings, "style", unicodedata.normalize("NFC", settings.style))


def check_chords(settings: Any) -> None:
    """Raise the SettingError of settings of chords that go without any, or not together."""
    if settings.chords is None and (settings.chord_bias is not None or settings.chords_only):
        name = "chord-bias" if settings.chord_bias is not None else "chords-only"
        raise SettingError(f"{name}: expected chords with it")
    if settings.chord_bias is not None and settings.chords_only:
        raise SettingError("chord-bias and chords-only given: expected at most one of them")


@described
@dataclass(frozen=True, kw_only=True)
class GenerateSettings:
    """What to compose, and how.

    Raises SettingError for a value that is out of range, or goes only with another one.
    """

    # what the help lists, in this order; a file keeps the fields'
    SECTIONS: ClassVar[tuple[str, ...]] = ("choice", "piece", "style", "constraint", "length", "guard")

    num_outputs: int = _length(
        1, "Number of pieces.", low=1, flags=("-n", "--num-outputs"), typed_high=1000, marks=(OF_BATCH,)
    )
    best_of: int = _length(
        1,
        "Compose so many candidates of each piece, and keep the one most typical of the corpus in form, groove, "
        "harmony, ending and likelihood; none that copies more than held-out music does.",
        low=1,
        high=64,
    )
    temperature: float = _choice(
        1.0,
        "Below 1 safer, above 1 wilder; 0 always takes the most probable; key, length and parts follow from the seed.",
        low=0,
        high=10,
    )
    rhythm_temperature: float | None = _choice(
        None,
        "Likewise, for onsets and durations.",
        low=0,
        high=10,
        default_words="--temperature; 1 without beats",
    )
    pitch_temperature: float | None = _choice(
        None, "Likewise, for pitches.", low=0, high=10, default_words="--temperature"
    )
    top_k: int = _choice(
        0, "Choose among the k most probable values; 0: among all.", low=0, in_words="0 (all classes) or more"
    )
    top_p: float | None = _choice(
        None,
        "Choose among the most probable values that reach p together; 1: among all.",
        above=0,
        high=1,
        default_words="0.95 for one part, 0.93 for several; for times without beats always 1",
    )
    min_p: float = _choice(
        0.0,
        "Choose among values at least p times as probable as the most probable one.",
        low=0,
        below=1,
        in_words="at least 0, less than 1",
    )
    bars: int | None = _length(
        None, "Length in bars, after the primer.", low=1, in_words="more than 0", typed_high=100_000
    )
    seconds: float | None = _length(None, "Length in seconds, to the nearest bar line.", above=0, typed_high=36_000)
    notes: int | None = _length(
        None, "Length in notes; the last bar is filled.", low=1, in_words="more than 0", typed_high=20_000
    )
    style: str | None = setting(
        None,
        "A sub-folder of the training folder; inspect lists those that a model knows.",
        section="style",
        metavar="NAME",
        marks=(STREAM,),
    )
    metre: Metre | None = setting(
        None,
        "Time signature, 3/4 for instance.",
        section="style",
        default_words="the primer's, else drawn from the corpus's",
        flags=("--metre", "--meter"),
        parse=parse_metre,
        metavar="N/D",
        marks=(STREAM,),
    )
    form: str | None = _length(
        None,
        "Sections, by letters: AABA, or A8 B8 A8 with their bars; a letter alone has 8, or its share of --bars. Or 8 "
        "8<8, for eight bars that come twice; or a MIDI file, for its form.",
        default_words="that of a piece of the corpus",
        metavar="FORM",
    )
    ending: bool = _length(
        True, "Lead to an end: the last bar holds one chord, which sounds on. Otherwise the music is cut at its length."
    )
    primer: Piece | None = _piece(None, "Go on from this piece; it stands at the beginning.", metavar=_MIDI_FILE)
    primer_bars: str | None = _piece(
        None,
        "Go on from these bars of it alone, counted from 1, both included; A: and :B are possible.",
        default_words="all",
        metavar="A:B",
    )
    no_primer: bool = _piece(False, "Write what follows the primer without it.")
    qpm: float | None = _length(
        None,
        "Tempo in quarter notes per minute.",
        low=5,
        high=1000,
        in_words="5..1000 quarter notes per minute",
        default_words="the primer's, else that of a piece of the corpus",
        flags=("--qpm", "--tempo"),
        marks=(STREAM,),
    )
    seed: int | None = _length(
        None,
        "The same model, options and seed give the same bytes.",
        low=0,
        default_words="a new one, which is printed",
        marks=(OF_BATCH, STREAM),
    )
    guard: bool = setting(
        True,
        "Take a piece that degenerates (a loop, one pitch, silence, a cluster) back to before it and go on anew.",
        section="guard",
        marks=(STREAM,),
    )
    max_copy: int | None = setting(
        None,
        "Take back the note that would make a match with the training corpus longer than N notes, 7 or more.",
        section="guard",
        low=7,
        in_words="7 notes or more; shorter runs are no match",
        metavar="N",
        marks=(STREAM,),
    )
    key: str | None = _constraint(
        None,
        "Only pitches of this key, such as C:maj, Bb:minor, D:dorian, E:blues; drums are free.",
        metavar="TONIC:SCALE",
    )
    scale: str | None = _constraint(
        None, 'Only these pitch classes, such as "C D E G A" or 0,2,4,7,9.', metavar="CLASSES"
    )
    range: str | None = _constraint(
        None, "Only pitches from LOW to HIGH, names (C4 is 60) or 0..127; drums are free.", metavar="LOW:HIGH"
    )
    programs: str | None = _constraint(
        None,
        "The parts, by program, each once: 0..127, General MIDI's name or a word of it, drums, or a family (keys, "
        "guitar, bass, strings, voice, brass, winds, lead, pads); with commas.",
        default_words="those of a piece of the corpus",
        metavar="LIST",
        marks=(STREAM,),
    )
    max_polyphony: int | None = _constraint(None, "At most so many notes sound together.", low=1)
    density: float | None = _constraint(
        None,
        "About so many notes a beat, on the average; a second, where the music has no beat.",
        above=0,
        unit="notes a beat",
        typed_high=100,
    )
    chords: str | None = _constraint(
        None,
        'Favour the tones of these chords, such as "C | Am | F G | C", over and over; %: as before, N.C.: none.',
        metavar="BARS",
    )
    chord_bias: float | None = _constraint(
        None, "By how many nats a chord's tones are favoured.", low=0, high=100, unit="nats", fallback=CHORD_BIAS
    )
    chords_only: bool = _constraint(False, "Nothing but tones of the chords.")
    constraints: Constraints | None = _constraint(None, "Your own, beside these, see `melodygru.compose.Constraint`.")

    def __post_init__(self) -> None:
        lengths = [name for name in ("bars", "seconds", "notes") if getattr(self, name) is not None]
        if len(lengths) > 1:
            raise SettingError(f"{' and '.join(lengths)} given: expected at most one of bars, seconds and notes")
        check(self, as_options=True)
        normalise_style(self)
        check_chords(self)
        if self.primer is None and (self.primer_bars is not None or self.no_primer):
            name = "primer-bars" if self.primer_bars is not None else "no-primer"
            raise SettingError(f"{name}: expected a primer with it")

    def value(self, name: str) -> Any:
        """A setting's value, or what it falls back to."""
        value = getattr(self, name)
        return SETTINGS[name].about.fallback if value is None else value

    def check_for_stream(self) -> None:
        """Raise the SettingError of settings that have no effect on music without an end."""
        beside = []
        for name, known in SETTINGS.items():
            value = getattr(self, name)
            as_default = value is None if known.default is None else value == known.default
            if STREAM not in known.about.marks and not as_default:
                beside.append(name.replace("_", "-"))
        if beside:
            raise SettingError(f"stream goes without {', '.join(beside)}: leave one out")


SETTINGS = declared_by(GenerateSettings)
LONGEST_TEXT = 10_000  # characters of a setting in a provenance


def check_setting(name: str, value: Any) -> None:
    """Raise the SettingError of a value that is out of a setting's range."""
    check_value(SETTINGS[name], value, as_option=True)


__all__ = [
    "CHORD_BIAS",
    "OF_BATCH",
    "SETTINGS",
    "GenerateSettings",
    "check_setting",
    "check_written",
]


def check_written(known: Setting, value: Any) -> None:
    """Raise the SettingError of a setting that a file claims, but that nobody can have typed.

    What Python takes beyond the command line is not followed for a file from elsewhere: lengths without end, the path
    of a file as a setting, a value of another type.
    """
    name = known.name
    high, shown = known.about.typed_high, repr(value)[:40]
    if value is None or value == ():  # no constraints
        return
    if name == "metre":
        if not (isinstance(value, tuple) and len(value) == 2 and all(type(number) is int for number in value)):
            raise SettingError(f"{name} {shown}: expected a numerator and a denominator")
        parse_metre("{}/{}".format(*value))
        return
    if name == "form" and isinstance(value, str) and "." in value:  # no file is read for a stranger's
        raise SettingError(f"{name} {shown}: expected sections or runs of bars")
    if known.type in (int, float):
        check_value(known, value)
    types: tuple[type, ...] = {int: (int, float), float: (int, float), bool: (bool,), str: (str,)}.get(known.type, ())
    if OF_BATCH in known.about.marks or type(value) not in types or (types == (str,) and len(value) > LONGEST_TEXT):
        raise SettingError(f"{name} {shown}: expected as generate writes it")
    if high is not None and value > high:
        raise SettingError(f"{name} {shown}: expected at most {high:,}")
