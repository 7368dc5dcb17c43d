"""Constraints: wishes about a piece that mask or shift what the model chooses from, note by note.

A `Constraint` adds log-weights to the classes of a field, -inf where a class must not come; several add up. They act
on the model's distribution before temperature and filters, which therefore never empty it; the log-probability that a
sampler counts stays the model's own. `steering.Steering` puts the constraints of a batch together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from melodygru.compose.lengths import Plan
from melodygru.compose.places import NEVER
from melodygru.compose.redo_settings import RedoSettings
from melodygru.compose.settings import CHORD_BIAS, GenerateSettings
from melodygru.errors import SettingError
from melodygru.events import END, TIMES, Context, Vocabulary
from melodygru.music.chords import chord_codes
from melodygru.music.harmony import (
    Chord,
    parse_chords,
    parse_key,
    parse_pitch_classes,
    parse_range,
    parse_signature,
)
from melodygru.music.names import FAMILIES, PROGRAM_NAMES, pitch_name, programs_called
from melodygru.music.notes import DRUMS, N_PITCHES

_CLASSES = np.arange(N_PITCHES) % 12


class Moment(NamedTuple):
    """Where a choice is made, and what is known by then.

    Parameters
    ----------
    vocabulary : Vocabulary
    plan : what is settled about the piece
    begin : step from which on is composed
    n : notes composed so far
    context : what stands so far; `context.sounding(onset)` are the notes that sound on
    onset : step of the note; for the field `shift` that of the last one
    program : 0..127, or `notes.DRUMS`; known for pitch, duration and velocity
    pitch : known for duration and velocity
    part : its number, where the program is known; of a part that comes in, the next
    """

    vocabulary: Vocabulary
    plan: Plan
    begin: int
    n: int
    context: Context
    onset: int
    program: int | None = None
    pitch: int | None = None
    part: int | None = None


class Constraint:
    """A wish about a piece; the base of all, and of your own.

    Attributes
    ----------
    steady : bool
        Whether the pitches wished for follow from the program and the time alone, so that they can be remembered.
    tonal : bool
        Whether it says which pitch classes come, so that a piece needs no key to open in.

    What is -inf for program and pitch is asked of moments to come, too, whose onset is later than the context's.
    There it may follow from the onset only where `change` says so, and otherwise only from what stands and sounds;
    when notes end, it may be lifted and not imposed. Nothing may be -inf where nothing sounds, for good.
    """

    steady = False
    tonal = False

    def check(self, vocabulary: Vocabulary, plan: Plan) -> None:
        """Raise SettingError if it can't be met by this vocabulary and plan."""

    def bias(self, field: str, at: Moment) -> np.ndarray | None:
        """Log-weights, in nats, that the classes of a field get, shape (classes,); None is none.

        Classes are those of `events`: for the program 0 is the end of the piece and `Vocabulary.program_class` the
        programs, for shift and duration `events.TIMES`.
        """
        return None

    def change(self, step: int, plan: Plan) -> int:
        """The first step after `step` at which it wishes something else than there by the time alone; or NEVER."""
        return NEVER


def _only(allowed: np.ndarray) -> np.ndarray:
    """Log-weights that leave out what is not allowed."""
    return np.where(allowed, 0.0, -np.inf)


@dataclass(frozen=True)
class PitchClasses(Constraint):
    """Nothing but these pitch classes; drums are free.

    Parameters
    ----------
    classes : pitch classes, 0..11 from C on
    name : as messages say it
    signature : the key signature that they have, sharps (or flats below zero) and 1 for a minor key; None: no one's
    """

    classes: frozenset[int]
    name: str
    signature: tuple[int, int] | None = None
    steady = True
    tonal = True
    _bias: np.ndarray = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_bias", _only(np.isin(_CLASSES, list(self.classes))))

    @classmethod
    def key(cls, text: str) -> PitchClasses:
        """Those of a key, see `harmony.parse_key`."""
        return cls(parse_key(text), f"key {text}", parse_signature(text))

    @classmethod
    def scale(cls, text: str) -> PitchClasses:
        """Those of a list, see `harmony.parse_pitch_classes`."""
        return cls(parse_pitch_classes(text), f"scale {text}")

    def bias(self, field: str, at: Moment) -> np.ndarray | None:
        return self._bias if field == "pitch" and at.program != DRUMS else None

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Range(Constraint):
    """Nothing below the lowest or above the highest pitch; drums are free.

    Parameters
    ----------
    low, high : pitches, 0..127, both included
    """

    low: int
    high: int
    steady = True
    _bias: np.ndarray = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.high < N_PITCHES:
            raise SettingError(f"range {self.low}:{self.high}: expected 0..127, the lower pitch first")
        pitches = np.arange(N_PITCHES)
        object.__setattr__(self, "_bias", _only((pitches >= self.low) & (pitches <= self.high)))

    @classmethod
    def parse(cls, text: str) -> Range:
        """From text, see `harmony.parse_range`."""
        return cls(*parse_range(text))

    def bias(self, field: str, at: Moment) -> np.ndarray | None:
        return self._bias if field == "pitch" and at.program != DRUMS else None

    def __str__(self) -> str:
        return f"range {pitch_name(self.low)}:{pitch_name(self.high)}"


@dataclass(frozen=True)
class Programs(Constraint):
    """Nothing but these programs, a part each.

    Parameters
    ----------
    programs : 0..127, or `notes.DRUMS`; one that is there twice is played by two parts
    families : names that several programs have, see `names.programs_called`; a part each plays one of them, the
        style's commonest that is left
    """

    programs: tuple[int, ...]
    families: tuple[str, ...] = ()
    steady = True

    @classmethod
    def parse(cls, text: str) -> Programs:
        """From text such as `0,strings,piano,drums`: numbers, General MIDI's names, words of them, and families.

        Raises
        ------
        SettingError
            One is no program.
        """
        by_name = {name.lower(): number for number, name in enumerate(PROGRAM_NAMES)} | {"drums": DRUMS}
        programs: list[int] = []
        families: list[str] = []
        for part in text.split(","):
            name = part.strip().lower()
            number = int(name) if name.isascii() and name.isdecimal() else by_name.get(name)
            if number is None and programs_called(name):
                families.append(name)
                continue
            if number is None or number > DRUMS:
                raise SettingError(
                    f"programs {text!r}: {part.strip()!r} is no program; expected 0..127, General MIDI's names or "
                    f"words of them, drums or families ({', '.join(FAMILIES)}), with commas between them"
                )
            programs.append(number)
        return cls(tuple(programs), tuple(families))

    def line_up(self, vocabulary: Vocabulary, style: str | None = None, playing: Sequence[int] = ()) -> tuple[int, ...]:
        """The programs of the parts, ascending; a family that has none in the vocabulary is left out.

        A family's is one of those that are `playing` already, where some are of it, else the style's commonest.
        """
        found = list(self.programs)
        known = vocabulary.statistics.programs_of(style)
        common = [*playing, *(program for program in vocabulary.programs if program in known), *vocabulary.programs]
        for family in self.families:
            of_family = [program for program in common if program in programs_called(family)]
            found += [program for program in of_family if program not in found][:1] or of_family[:1]
        return tuple(sorted(found))

    def check(self, vocabulary: Vocabulary, plan: Plan) -> None:
        for family in self.families:
            if not set(programs_called(family)) & set(vocabulary.programs):
                raise SettingError(f"programs {family}: this model was trained on no such program")
        unknown = [program for program in self.programs if program not in vocabulary.programs]
        if unknown or not (self.programs or self.families):
            known = ", ".join("drums" if program == DRUMS else str(program) for program in sorted(vocabulary.programs))
            what = ", ".join("drums" if program == DRUMS else str(program) for program in unknown) or "none"
            raise SettingError(f"programs {what}: expected some that this model was trained on, of {known}")

    def bias(self, field: str, at: Moment) -> np.ndarray | None:
        if field != "program":
            return None
        allowed = np.zeros(at.vocabulary.size("program"), bool)
        allowed[END] = True
        programs = [*self.programs, *(program for family in self.families for program in programs_called(family))]
        allowed[at.vocabulary.program_class(np.array(programs, np.int64))] = True
        return _only(allowed)

    def __str__(self) -> str:
        named = ["drums" if program == DRUMS else str(program) for program in self.programs]
        return "programs " + ",".join([*named, *self.families])


@dataclass(frozen=True)
class MaxPolyphony(Constraint):
    """At most so many notes sound together, of all programs, drums included.

    Parameters
    ----------
    notes : 1 or more
    """

    notes: int
    steady = True

    def __post_init__(self) -> None:
        if self.notes < 1:
            raise SettingError(f"max-polyphony {self.notes}: expected 1 or more")

    def bias(self, field: str, at: Moment) -> np.ndarray | None:
        if field != "program" or len(at.context.sounding(at.onset)) < self.notes:
            return None
        return _only(np.arange(at.vocabulary.size("program")) == END)

    def __str__(self) -> str:
        return f"max-polyphony {self.notes}"


@dataclass(frozen=True)
class Chords(Constraint):
    """Each chord favours its tones while it lasts; drums are free.

    The progression begins with the first whole bar that is composed and comes over and over.

    Parameters
    ----------
    bars : for each bar its chords, which share it evenly
    strength : nats that a tone of the chord gets; inf: nothing but its tones
    text : as messages say it
    """

    bars: tuple[tuple[Chord, ...], ...]
    strength: float = CHORD_BIAS
    text: str = ""
    steady = True
    tonal = True
    _of_tones: dict[frozenset[int], np.ndarray] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not 0 <= self.strength:
            raise SettingError(f"chord-bias {self.strength}: expected 0 nats or more")
        biases = {}
        for tones in {chord.tones for bar in self.bars for chord in bar if chord.tones}:
            inside = np.isin(_CLASSES, list(tones))
            biases[tones] = _only(inside) if math.isinf(self.strength) else np.where(inside, self.strength, 0.0)
        object.__setattr__(self, "_of_tones", biases)

    @classmethod
    def parse(cls, text: str, strength: float = CHORD_BIAS) -> Chords:
        """From text, see `harmony.parse_chords`."""
        return cls(parse_chords(text), strength, text)

    def check(self, vocabulary: Vocabulary, plan: Plan) -> None:
        if plan.bar is None:
            raise SettingError("chords: this model's music has no bars for them to stand in; leave chords out")
        most = max(len(bar) for bar in self.bars)
        if most > plan.bar:
            raise SettingError(f"chords: {most} in a bar of {plan.bar} steps; expected {plan.bar} or fewer")

    def chord_at(self, step: int, plan: Plan) -> Chord:
        """The chord at a step of the piece."""
        number, step_in_bar = divmod(step - plan.start, plan.bar or 1)
        chords = self.bars[number % len(self.bars)]
        return chords[_last_begun(step_in_bar, len(chords), plan.bar or 1)]

    def codes(self, first: int, until: int) -> np.ndarray:
        """The chord of each half bar of a piece of `until` bars that is composed from `first` on."""
        return np.append(np.zeros(2 * first, np.int64), chord_codes(self.bars, until - first))

    def bias(self, field: str, at: Moment) -> np.ndarray | None:
        if field != "pitch" or at.program == DRUMS:
            return None
        return self._of_tones.get(self.chord_at(at.onset, at.plan).tones)

    def change(self, step: int, plan: Plan) -> int:
        bar = plan.bar or 1
        number, step_in_bar = divmod(step - plan.start, bar)
        n = len(self.bars[number % len(self.bars)])
        return plan.start + number * bar + _begin(_last_begun(step_in_bar, n, bar) + 1, n, bar)

    def __str__(self) -> str:
        return f"chords {self.text!r}"


def _begin(index: int, n: int, bar: int) -> int:
    """The step of a bar at which one of its `n` chords begins."""
    return -(-index * bar // n)


def _last_begun(step: int, n: int, bar: int) -> int:
    """Which of the `n` chords of a bar holds at a step of it."""
    return step * n // bar


@dataclass(frozen=True)
class Density(Constraint):
    """About so many notes a beat, of all programs together; where the music has no beat, a second.

    Every onset is drawn towards the one at which the number of notes so far would be right, the more so the farther
    from it: the model keeps its rhythm, and the mean is met over some bars.

    Parameters
    ----------
    notes : a beat (a quarter note), or a second; above 0
    """

    notes: float
    steady = True
    pull = 2.0  # nats by which an onset a beat too early or too late is less probable, growing with the square
    most = 16.0  # beats that count as wrong at most, so that an impossible wish isn't made up for later

    def __post_init__(self) -> None:
        if not 0 < self.notes < math.inf:
            raise SettingError(f"density {self.notes}: expected more than 0 notes a beat")

    def bias(self, field: str, at: Moment) -> np.ndarray | None:
        if field != "shift":
            return None
        grid = at.vocabulary.grid
        rate = grid.rate
        late = (at.onset - at.begin) / rate - at.n / self.notes
        late = min(max(late, -self.most), self.most)
        return -self.pull * (late + _MIDDLE / rate) ** 2

    def __str__(self) -> str:
        return f"density {self.notes:g}"


_MIDDLE = TIMES.low + (TIMES.width.astype(np.float64) - 1) / 2  # of each class of time


def of_settings(settings: GenerateSettings | RedoSettings) -> list[Constraint]:
    """The constraints that settings ask for, by name and as objects.

    Raises
    ------
    SettingError
        A value is none.
    """
    found: list[Constraint] = []
    if settings.key is not None:
        found.append(PitchClasses.key(settings.key))
    if settings.scale is not None:
        found.append(PitchClasses.scale(settings.scale))
    if settings.range is not None:
        found.append(Range.parse(settings.range))
    if isinstance(settings, GenerateSettings) and settings.programs is not None:
        found.append(Programs.parse(settings.programs))
    if settings.max_polyphony is not None:
        found.append(MaxPolyphony(settings.max_polyphony))
    if settings.density is not None:
        found.append(Density(settings.density))
    if settings.chords is not None:
        strength = math.inf if settings.chords_only else settings.value("chord_bias")
        found.append(Chords.parse(settings.chords, strength))
    return [*found, *(settings.constraints or ())]
