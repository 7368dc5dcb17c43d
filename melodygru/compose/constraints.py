"""Constraints: wishes about a piece that mask or shift what the model chooses from, note by note.

A `Constraint` adds log-weights to the classes of a field, -inf where a class must not come; several add up. They act
on the model's distribution before temperature and filters, which therefore never empty it; the log-probability that a
sampler counts stays the model's own. `Steering` puts the constraints of a batch together and looks ahead: an onset is
chosen only where some program has a pitch that is wished for and free, and a program only if it has one. So there is
always something to choose; a combination that leaves nothing is refused before the first note.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from melodygru.compose.lengths import Plan
from melodygru.errors import SettingError
from melodygru.events import END, TIMES, Context, Vocabulary
from melodygru.music.harmony import (
    Chord,
    parse_chords,
    parse_key,
    parse_pitch_classes,
    parse_range,
)
from melodygru.music.names import pitch_name
from melodygru.music.notes import DRUMS, N_PITCHES, NoteSequence

CHORD_BIAS = 3.0  # nats
NEVER = 1 << 62  # steps
MOST_CHANGES = 4096  # of the constraints that are looked at beforehand
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
    """

    vocabulary: Vocabulary
    plan: Plan
    begin: int
    n: int
    context: Context
    onset: int
    program: int | None = None
    pitch: int | None = None


class Constraint:
    """A wish about a piece; the base of all, and of your own.

    Attributes
    ----------
    steady : bool
        Whether the pitches wished for follow from the program and the time alone, so that they can be remembered.

    What is -inf for program and pitch is asked of moments to come, too, whose onset is later than the context's.
    There it may follow from the onset only where `change` says so, and otherwise only from what stands and sounds;
    when notes end, it may be lifted and not imposed. Nothing may be -inf where nothing sounds, for good.
    """

    steady = False

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


def _only(wanted: np.ndarray) -> np.ndarray:
    """Log-weights that leave out what is not wanted."""
    return np.where(wanted, 0.0, -np.inf)


@dataclass(frozen=True)
class PitchClasses(Constraint):
    """Nothing but these pitch classes; drums are free.

    Parameters
    ----------
    classes : pitch classes, 0..11 from C on
    name : as messages say it
    """

    classes: frozenset[int]
    name: str
    steady = True
    _bias: np.ndarray = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_bias", _only(np.isin(_CLASSES, list(self.classes))))

    @classmethod
    def key(cls, text: str) -> PitchClasses:
        """Those of a key, see `harmony.parse_key`."""
        return cls(parse_key(text), f"key {text}")

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
    """Nothing but these programs.

    Parameters
    ----------
    programs : 0..127, or `notes.DRUMS`
    """

    programs: tuple[int, ...]
    steady = True

    @classmethod
    def parse(cls, text: str, names: Sequence[str] = ()) -> Programs:
        """From text such as `0,40,drums`; `names` are those of the 128 programs, which then may stand for numbers.

        Raises
        ------
        SettingError
            One is no program.
        """
        by_name = {name.lower(): number for number, name in enumerate(names)} | {"drums": DRUMS}
        programs = []
        for part in text.split(","):
            name = part.strip().lower()
            number = int(name) if name.isascii() and name.isdecimal() else by_name.get(name)
            if number is None or number > DRUMS:
                raise SettingError(
                    f"programs {text!r}: {part.strip()!r} is no program; expected 0..127, General MIDI's names or "
                    "drums, with commas between them"
                )
            programs.append(number)
        return cls(tuple(dict.fromkeys(programs)))

    def check(self, vocabulary: Vocabulary, plan: Plan) -> None:
        unknown = [program for program in self.programs if program not in vocabulary.programs]
        if unknown or not self.programs:
            known = ", ".join("drums" if program == DRUMS else str(program) for program in sorted(vocabulary.programs))
            what = ", ".join("drums" if program == DRUMS else str(program) for program in unknown) or "none"
            raise SettingError(f"programs {what}: expected some that this model was trained on, of {known}")

    def bias(self, field: str, at: Moment) -> np.ndarray | None:
        if field != "program":
            return None
        wanted = np.zeros(at.vocabulary.size("program"), bool)
        wanted[[END, *at.vocabulary.program_class(np.array(self.programs)).tolist()]] = True
        return _only(wanted)

    def __str__(self) -> str:
        return "programs " + ",".join("drums" if program == DRUMS else str(program) for program in self.programs)


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

    The progression begins with the first whole bar that is composed and comes again and again.

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
        number, place = divmod(step - plan.start, plan.bar or 1)
        chords = self.bars[number % len(self.bars)]
        return chords[_last_begun(place, len(chords), plan.bar or 1)]

    def bias(self, field: str, at: Moment) -> np.ndarray | None:
        if field != "pitch" or at.program == DRUMS:
            return None
        return self._of_tones.get(self.chord_at(at.onset, at.plan).tones)

    def change(self, step: int, plan: Plan) -> int:
        bar = plan.bar or 1
        number, place = divmod(step - plan.start, bar)
        n = len(self.bars[number % len(self.bars)])
        return plan.start + number * bar + _begin(_last_begun(place, n, bar) + 1, n, bar)

    def __str__(self) -> str:
        return f"chords {self.text!r}"


def _begin(index: int, n: int, bar: int) -> int:
    """The step of a bar at which one of its `n` chords begins."""
    return -(-index * bar // n)


def _last_begun(place: int, n: int, bar: int) -> int:
    """Which of the `n` chords of a bar holds at a step of it."""
    return place * n // bar


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


_LOW, _WIDTH = TIMES.low.tolist(), TIMES.width.tolist()
_FIRST, _SIZE = np.array(_LOW, np.float64), np.array(_WIDTH, np.float64)
_MIDDLE = _FIRST + (_SIZE - 1) / 2
Spans = list[tuple[int, int]]  # steps from, and the step that is no more among them


class Steering:
    """The constraints of a batch of pieces, put together.

    Parameters
    ----------
    constraints : whatever is wished for; the order means nothing
    vocabulary : Vocabulary
    plans : for each stream its plan
    style : whose programs may be chosen; None is all
    primer : what the pieces begin with, as the vocabulary holds it; its programs may be chosen, too
    begin : step from which on is composed

    Raises
    ------
    SettingError
        A constraint can't be met, alone or beside the others: which, and what is missing.
    """

    def __init__(
        self,
        constraints: Sequence[Constraint],
        vocabulary: Vocabulary,
        plans: Sequence[Plan],
        *,
        style: str | None = None,
        primer: NoteSequence | None = None,
        begin: int = 0,
    ) -> None:
        self.constraints, self.vocabulary, self.plans = tuple(constraints), vocabulary, plans
        self.begin = begin
        self._programs = vocabulary.program_mask(vocabulary.statistics.programs_of(style))
        if primer is not None:
            self._programs[vocabulary.program_class(primer.notes["program"])] = True
        self._programs[END] = False
        self._classes = np.flatnonzero(self._programs).tolist()
        self._remembers = all(constraint.steady for constraint in self.constraints)
        self._changing = [one for one in self.constraints if type(one).change is not Constraint.change]
        self._nothing = {name: np.zeros(vocabulary.size(name)) for name in vocabulary.fields}
        self._remembered: dict[tuple[int, int, int], tuple[np.ndarray, int]] = {}
        self._spans: list[Spans] = [[(0, NEVER)]] * len(plans)
        self._kinds = {id(plan): plans.index(plan) for plan in plans}  # equal plans wish the same
        for plan in dict.fromkeys(plans):
            for constraint in self.constraints:
                constraint.check(vocabulary, plan)
            self._check(plan)

    def _check(self, plan: Plan) -> None:
        """Refuse what leaves no note somewhere, though nothing sounds."""
        stream, step = self.plans.index(plan), self.begin
        for _ in range(MOST_CHANGES):
            if not self._possible(self._moment(stream, Context(self.vocabulary), 0, step)):
                break
            step = self._change(stream, step)
            if step >= (NEVER if plan.limit is None else plan.limit):
                return
        else:
            return
        bar = f" in bar {(step - plan.start) // plan.bar + 1}" if plan.bar and self._change(stream, 0) < NEVER else ""
        needed = list(self.constraints)
        for constraint in self.constraints:
            self.constraints = tuple(other for other in needed if other is not constraint)
            self._changing = [one for one in self.constraints if type(one).change is not Constraint.change]
            self._remembered.clear()
            if not self._possible(self._moment(stream, Context(self.vocabulary), 0, step)):
                needed.remove(constraint)
        what = " with ".join(str(constraint) for constraint in needed)
        raise SettingError(f"{what}: no program has a pitch left{bar}; widen or leave out one of them")

    # -- what is possible where

    def _moment(self, stream: int, context: Context, n: int, onset: int) -> Moment:
        return Moment(self.vocabulary, self.plans[stream], self.begin, n, context, onset)

    def _change(self, stream: int, step: int) -> int:
        """The next step at which a constraint wishes something else."""
        if not self._changing:
            return NEVER
        return min(constraint.change(step, self.plans[stream]) for constraint in self._changing)

    def _sum(self, name: str, at: Moment) -> np.ndarray:
        """What the constraints add to a field; `_nothing` itself if that is nothing."""
        total = self._nothing[name]
        for constraint in self.constraints:
            bias = constraint.bias(name, at)
            if bias is not None:
                total = total + bias
        return total

    def _pitches(self, at: Moment, program: int) -> tuple[np.ndarray, int]:
        """What is added to the pitches of a program class, and how many are left."""
        kind = self._kinds[id(at.plan)]
        key = (kind, program, self._change(kind, at.onset))
        found = self._remembered.get(key) if self._remembers else None
        if found is None:
            added = self._sum("pitch", _with(at, self.vocabulary.program_of_class(program)))
            found = added, int(np.count_nonzero(added > -np.inf))
            if len(self._remembered) >= MOST_CHANGES:
                self._remembered.clear()
            if self._remembers:
                self._remembered[key] = found
        return found

    def _playable(self, at: Moment) -> Iterator[tuple[int, float]]:
        """Program classes that have a pitch at a moment, and what is added to each."""
        added = self._sum("program", at)
        last = at.context.last
        stacked = last is not None and last[2] == at.onset
        sounding = at.context.sounding(at.onset)
        for program in self._classes:
            if added[program] == -np.inf or (stacked and last is not None and program < last[0]):
                continue
            pitches, n_left = self._pitches(at, program)
            if not n_left:
                continue
            if n_left > len(sounding) and not stacked:
                yield program, float(added[program])
                continue
            here = [pitch for of, pitch, _ in sounding if of == program]
            above = last[1] if stacked and last is not None and program == last[0] else -1
            if here or above >= 0:
                free = pitches > -np.inf
                free[here] = False
                if not free[above + 1 :].any():
                    continue
            yield program, float(added[program])

    def _possible(self, at: Moment) -> bool:
        """Whether a note may stand at a moment."""
        return next(self._playable(at), None) is not None

    def _open(self, stream: int, context: Context, n: int, least: int) -> Spans:
        """Shifts of `least` or more after which a note is possible."""
        now, last = context.onset, context.last
        spans: Spans = []

        def possible(step: int) -> bool:
            return self._possible(self._moment(stream, context, n, step))

        def add(first: int, after: int) -> None:
            if spans and spans[-1][1] == first:
                first, _ = spans.pop()
            spans.append((first, after))

        step = now + least
        if last is not None and step == last[2]:
            if possible(step):
                add(0, 1)
            step += 1
        ends = sorted({end for _, _, end in context.sounding(now)})
        while True:
            change = self._change(stream, step)
            first = next((at for at in (step, *ends) if step <= at < change and possible(at)), None)
            if first is not None:
                add(first - now, change - now if change < NEVER else NEVER)
            if change >= NEVER or not ends or change >= ends[-1]:
                break
            step = change
        if change < NEVER:  # from there on nothing sounds, so that all is possible, see `_check`
            add(change - now, NEVER)
        return spans

    def __str__(self) -> str:
        return " with ".join(str(constraint) for constraint in self.constraints)

    # -- what the sampler adds to the logits of a batch, in the order of the fields

    def shift(
        self, contexts: Sequence[Context], counts: Sequence[int], live: np.ndarray, least: Sequence[int]
    ) -> np.ndarray | None:
        """What is added to the shift, (streams, classes), or None; nothing below `least` of each stream."""
        rows = []
        for stream, (context, n, low) in enumerate(zip(contexts, counts, least, strict=True)):
            added = self._nothing["shift"]
            spans: Spans = [(0, NEVER)]
            if live[stream]:
                added = self._sum("shift", self._moment(stream, context, n, context.onset))
                spans = self._open(stream, context, n, low)
                if spans != [(0, NEVER)]:
                    added = added + _log_share(spans)
            self._spans[stream] = spans
            rows.append(added)
        return self._joined("shift", rows)

    def steps(self, stream: int, shift: int, place: float) -> int:
        """Steps of a class of the shift just chosen, at a place, in [0, 1), of those that are possible."""
        spans = self._spans[stream]
        low, high = _LOW[shift], _LOW[shift] + _WIDTH[shift]
        inside = [(max(low, first), min(high, after)) for first, after in spans]
        at = int(place * sum(max(0, after - first) for first, after in inside))
        for first, after in inside:
            if at < after - first:
                return first + at
            at -= max(0, after - first)
        return low

    def program(self, contexts: Sequence[Context], counts: Sequence[int], live: np.ndarray) -> np.ndarray | None:
        """What is added to the program, (streams, classes), or None."""
        rows = []
        for stream, (context, n) in enumerate(zip(contexts, counts, strict=True)):
            at = self._moment(stream, context, n, context.onset)
            if not live[stream]:
                rows.append(self._nothing["program"])
                continue
            wished, playable = self._sum("program", at), dict(self._playable(at))
            floor = context.program_floor()
            if wished is self._nothing["program"] and all(of in playable for of in self._classes if of >= floor):
                rows.append(wished)
                continue
            added = np.full(len(wished), -np.inf)
            added[END] = wished[END]
            added[list(playable)] = list(playable.values())
            rows.append(added)
        return self._joined("program", rows)

    def field(
        self,
        name: str,
        contexts: Sequence[Context],
        counts: Sequence[int],
        programs: Sequence[int],
        pitches: Sequence[int] | None = None,
    ) -> np.ndarray | None:
        """What is added to pitch, duration or velocity, (streams, classes), or None; END's program has no wishes."""
        rows = []
        for stream, (context, n, program) in enumerate(zip(contexts, counts, programs, strict=True)):
            if program == END:
                rows.append(self._nothing[name])
                continue
            at = self._moment(stream, context, n, context.onset)
            if name == "pitch":
                rows.append(self._pitches(at, program)[0])
                continue
            of = _with(at, self.vocabulary.program_of_class(program), None if pitches is None else pitches[stream])
            rows.append(self._sum(name, of))
        return self._joined(name, rows)

    def _joined(self, name: str, rows: list[np.ndarray]) -> np.ndarray | None:
        """The rows of all streams, or None if nothing is added to any."""
        return None if all(row is self._nothing[name] for row in rows) else np.array(rows)


def _with(at: Moment, program: int, pitch: int | None = None) -> Moment:
    """The moment when program and pitch are known."""
    return Moment(at.vocabulary, at.plan, at.begin, at.n, at.context, at.onset, program, pitch)


def _log_share(spans: Spans) -> np.ndarray:
    """Logarithm of the share of each class of TIMES that lies in the spans."""
    steps = np.zeros(TIMES.size)
    for first, after in spans:
        steps += np.maximum(0, np.minimum(_FIRST + _SIZE, after) - np.maximum(_FIRST, first))
    with np.errstate(divide="ignore"):
        return np.log(steps / _SIZE)


def of_settings(
    *,
    key: str | None = None,
    scale: str | None = None,
    range: str | None = None,
    programs: str | None = None,
    max_polyphony: int | None = None,
    density: float | None = None,
    chords: str | None = None,
    chord_bias: float | None = None,
    chords_only: bool = False,
    names: Sequence[str] = (),
) -> list[Constraint]:
    """The constraints that the options of `generate` ask for; `names` are those of the 128 programs.

    Raises
    ------
    SettingError
        A value is none, or out of range, or asks for chords' sake without chords.
    """
    found: list[Constraint] = []
    if key is not None:
        found.append(PitchClasses.key(key))
    if scale is not None:
        found.append(PitchClasses.scale(scale))
    if range is not None:
        found.append(Range.parse(range))
    if programs is not None:
        found.append(Programs.parse(programs, names))
    if max_polyphony is not None:
        found.append(MaxPolyphony(max_polyphony))
    if density is not None:
        found.append(Density(density))
    if chords is None and (chord_bias is not None or chords_only):
        raise SettingError(f"{'chord-bias' if chord_bias is not None else 'chords-only'}: expected chords with it")
    if chord_bias is not None and chords_only:
        raise SettingError("chord-bias and chords-only given: expected at most one of them")
    if chord_bias is not None and not 0 <= chord_bias <= 100:
        raise SettingError(f"chord-bias {chord_bias}: expected 0..100 nats")
    if chords is not None:
        strength = CHORD_BIAS if chord_bias is None else chord_bias
        found.append(Chords.parse(chords, math.inf if chords_only else strength))
    return found
