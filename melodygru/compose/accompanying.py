"""Other parts around given ones: the given notes are certain, particles add the rest."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from melodygru.compose.constraints import Programs
from melodygru.compose.controls import Controls
from melodygru.compose.drawing import Note, Row
from melodygru.compose.lengths import Plan
from melodygru.compose.particles import Guide, Particles, Span, compose_given
from melodygru.compose.settings import PARTICLES
from melodygru.compose.varying import SameRhythm, fill_in
from melodygru.errors import SettingError
from melodygru.events import DURATION, END, FIRST_PART, NEW, PART, VELOCITY_WIDTH, Context, Vocabulary, decode
from melodygru.model.numpy_model import NumpyModel
from melodygru.music.notes import DRUMS, N_PITCHES, NoteSequence, canonical, part_order, renamed

MIDDLE_C = 60
_IDENTITY = ["onset", "part", "pitch"]
_PITCHES = np.arange(N_PITCHES)


class Around(Guide):
    """The guide of an accompaniment: nothing but the given note that is due, or what stands before it in order.

    A given part plays nothing else; the parts that are added are those that the context's line-up has still to come.
    Where parts are unmodelled, notes are added to the given line, and none crosses it: what lies at middle C or higher,
    on average, stays the highest, else the lowest.

    Parameters
    ----------
    vocabulary : Vocabulary
    given : NoteSequence as the vocabulary holds it; its end is given as well
    """

    def __init__(self, vocabulary: Vocabulary, given: NoteSequence) -> None:
        self.vocabulary, self.given = vocabulary, given
        notes, models_velocity = given.notes, vocabulary.models_velocity
        bins = notes["velocity"] // VELOCITY_WIDTH if models_velocity else np.full(len(notes), -1)
        columns = (notes[name].tolist() for name in ("onset", "part", "pitch", "duration"))
        self._notes = list(zip(*columns, bins.tolist(), strict=True))
        self._notes.append((given.length, -1, -1, 0, -1))
        self._programs = given.part_programs.tolist()
        self._firsts = np.unique(notes["part"], return_index=True)[1].tolist()
        self._edge: np.ndarray | None = None if vocabulary.models_part else self._outline()
        self._onsets: dict[int, list[int]] = {}  # of the notes of each pitch, where notes are added to the given line
        for onset, _, pitch, _, _ in self._notes:
            self._onsets.setdefault(pitch, []).append(onset)
        self.go_to(0)

    def go_to(self, at: int) -> None:
        """Make a given note the due one; `len(given)` is the end."""
        self._due = self._notes[at]
        # Programs of the given parts that have still to come in, that of the due note among them.
        self._to_come = Counter(p for first, p in zip(self._firsts, self._programs, strict=True) if first >= at)

    def _outline(self) -> np.ndarray:
        """For each step the highest given pitch that sounds, or the lowest; where none does, what crosses nothing."""
        notes = self.given.notes
        self._is_top = bool(notes["pitch"].mean() >= MIDDLE_C)
        edge = np.full(self.given.length + 1, -1 if self._is_top else N_PITCHES)
        for onset, duration, pitch in notes[["onset", "duration", "pitch"]].tolist():
            of_note = edge[onset : onset + duration]
            (np.maximum if self._is_top else np.minimum)(of_note, pitch, out=of_note)
        return np.where(edge < 0, N_PITCHES, edge) if self._is_top else np.where(edge == N_PITCHES, -1, edge)

    def _inside(self, at: int) -> np.ndarray:
        """Pitches at a step that do not cross the given line."""
        if self._edge is None:
            return np.ones(N_PITCHES, bool)
        return (_PITCHES < self._edge[at]) if self._is_top else (_PITCHES > self._edge[at])

    def _added(self, context: Context) -> list[int]:
        """The parts that were added."""
        given = context.past.given.values()
        return [part for part in range(len(context.programs)) if part not in given]

    def _come_in(self, context: Context) -> list[int]:
        """Programs of the parts that may still be added."""
        to_come = context.past.line_up
        if to_come is None or len(context.programs) + self._to_come.total() >= self.vocabulary.parts:
            return []
        return [program for program, n in to_come.items() if n > self._to_come[program]]

    def shift(self, context: Context) -> Span:
        """Up to the note that is due."""
        left = self._due[0] - context.onset
        if left == 0:
            return 0, 1
        joins, adds = self._may_add(context)
        return (left, left + 1) if not adds else (int(not joins), left + 1)

    def _may_add(self, context: Context) -> tuple[bool, bool]:
        """Whether a note may be added to the chord where the context stands, and whether one may be added at all."""
        last = context.last
        if self._edge is not None:
            joins = context.may_join_chord()
            if joins and last is not None:
                free = self._inside(context.onset) & ~context.pitch_mask(0)
                joins = bool(free[last[1] + 1 :].any())
            return joins, True
        added, come_in = self._added(context), self._come_in(context)
        least = 0 if last is None else last[0] + context.last_is_full()
        joins = any(part >= least for part in added) or any(context.may_come_in(program) for program in come_in)
        return joins, bool(added or come_in)

    def parts(self, context: Context) -> np.ndarray:
        """Those that are added, or the due note's own."""
        allowed = np.zeros(self.vocabulary.size("part"), bool)
        at_due = context.onset == self._due[0]
        if at_due:
            allowed[self._class(context)] = True
        if at_due and self._due[1] < 0:
            return allowed
        if self._edge is not None:
            allowed[NEW] = True
            return allowed
        added, come_in = self._added(context), self._come_in(context)
        if at_due:  # what stands before it
            own = context.past.given.get(self._due[1])
            added = [part for part in added if own is None or part < own]
            come_in = [program for program in come_in if own is None and program < self._programs[self._due[1]]]
        allowed[[FIRST_PART + part for part in added] + [NEW + program for program in come_in]] = True
        return allowed

    def _class(self, context: Context) -> int:
        """The part class of the due note; END for the end."""
        part = self._due[1]
        if part < 0 or self._edge is not None:
            return END if part < 0 else NEW
        own = context.past.given.get(part)
        return NEW + self._programs[part] if own is None else FIRST_PART + own

    def pitches(self, context: Context, part_class: int) -> np.ndarray:
        """The due note's, or, of a part that notes are added to, any that stands before it."""
        onset, _, due, _, _ = self._due
        allowed = self._inside(context.onset)
        if not (allowed & ~context.pitch_mask(context.part_of(part_class))).any():
            allowed = np.ones(N_PITCHES, bool)  # a line so low that nothing is left below it
        if context.onset == onset and part_class == self._class(context):
            allowed[:due] &= self._edge is not None
            allowed[due] = True
            allowed[due + 1 :] = False
        return allowed

    def is_due(self, context: Context, part_class: int, pitch: int) -> bool:
        """Whether a note at the context's onset is the one that is due."""
        return (context.onset, pitch) == (self._due[0], self._due[2]) and part_class == self._class(context)

    def arrive(self, context: Context) -> None:
        """Take in that the due note, the context's last one, is there."""
        if self._due[1] >= 0:
            context.past.given.setdefault(self._due[1], context.past.part)

    def duration(self, context: Context, part_class: int, pitch: int) -> Span:
        """The due note's; an added one ends with the piece at the latest, and where its pitch is given another time."""
        if self.is_due(context, part_class, pitch):
            duration = self._due[3]
            return duration, duration + 1
        end = self.given.length
        if self._edge is not None:
            onsets = self._onsets.get(pitch, [])
            later = bisect_right(onsets, context.onset)
            end = onsets[later] if later < len(onsets) else end
            edge = self._edge[context.onset + 1 : end]
            crossed = np.flatnonzero((edge < pitch) if self._is_top else (edge > pitch))
            end = context.onset + 1 + int(crossed[0]) if len(crossed) else end
        return 1, end - context.onset + 1

    def velocity(self, context: Context, part_class: int, pitch: int) -> int:
        """The due note's, or any."""
        return self._due[4] if self.is_due(context, part_class, pitch) else -1


def add_parts(particles: Particles, guide: Around) -> Iterator[None]:
    """Extend particles to the end of the piece; yields whenever all have reached one more of the given notes."""
    for at in range(len(guide.given) + 1):
        guide.go_to(at)
        waiting = np.arange(len(particles))
        while len(waiting):
            rows = particles.extend(guide, waiting)
            left = []
            for i, row in zip(waiting.tolist(), rows, strict=True):
                context = particles.contexts[i]
                if row is None:
                    continue
                if guide.is_due(context, *row[PART:DURATION]):
                    guide.arrive(context)
                else:
                    left.append(i)
            waiting = np.array(left, np.int64)
        yield


def stand_ins(network: NumpyModel, given: NoteSequence, style: str | None = None) -> dict[int, int]:
    """Programs of a given piece that the style's pieces lack, and for each one of theirs that stands in for it.

    It is the one in which what it plays by itself is most probable, and which plays nothing else; drums stay drums.
    """
    v = network.vocabulary
    if not v.models_part:
        return {}
    known = sorted(v.statistics.programs_of(style))
    free = [program for program in known if program not in (*given.programs, DRUMS)]
    strange = [program for program in given.programs if program not in known and program != DRUMS]
    found: dict[int, int] = {}
    for program in strange:
        of_program = given.notes[given.notes["program"] == program]

        def log_p(candidate: int, notes: np.ndarray = of_program) -> float:
            notes = notes.copy()
            notes["program"] = candidate
            piece = replace(given, notes=canonical(notes)[0], names=())
            alone = Particles(network, 1, np.random.default_rng(0), style=style, piece=piece)
            for _ in fill_in(alone, SameRhythm(v, piece, np.ones(len(notes), bool))):
                pass
            return float(alone.log_p[0])

        if free:
            found[program] = max(free, key=log_p)
            free.remove(found[program])
    return found


def line_up_around(
    given: Sequence[int], vocabulary: Vocabulary, style: str | None, asked: Sequence[int] | None, draw: float
) -> tuple[int, ...] | None:
    """The programs of the parts of an accompaniment, ascending, those that are given among them; None: unmodelled.

    Parameters
    ----------
    given : programs of the given parts
    asked : programs of the parts that are to be added
    draw : in [0, 1), for a line-up of a piece of the style with more parts; without one each program of the style that
        is not given has a part, or else each that is
    """
    if not vocabulary.models_part:
        return None
    if asked is None:
        drawn = vocabulary.statistics.line_up_of(style, draw, given, more=True)
        asked = list((Counter(drawn or ()) - Counter(given)).elements())
    if not asked:
        programs = vocabulary.statistics.programs_of(style)
        asked = [program for program in programs if program not in given] or list(programs)
    return tuple(sorted((*given, *asked)))


def accompany(
    network: NumpyModel,
    given: NoteSequence,
    n: int = 1,
    seed: int = 0,
    *,
    particles: int = PARTICLES,
    controls: Controls | None = None,
    style: str | None = None,
    programs: Programs | None = None,
    qpm: float | None = None,
    on_start: Callable[[list[Plan]], None] | None = None,
    on_note: Callable[[Note], None] | None = None,
) -> list[NoteSequence]:
    """Add parts to given ones; `n` pieces, the i-th piece's randomness is the i-th child of `seed`.

    Every given note is in every piece; what may be added to them, see `Around`. For a program that the style's
    pieces lack, the model is given one of theirs (see `stand_ins`); in the pieces it stays what it is.

    Parameters
    ----------
    given : NoteSequence as the vocabulary can hold it (see `Primer`); the pieces have its length, metres and, without
        `qpm`, its tempos
    particles : versions that go on side by side; see `particles.Particles`
    style : one of the vocabulary's styles, or None for unknown
    programs : the line-up, the given parts among it, or what is to be added to them; default: that of a piece of the
        style, see `line_up_around`
    qpm : tempo to write
    on_start, on_note : see `particles.compose_given`

    Returns
    -------
    pieces : list of NoteSequence
        Of each piece's particles the most probable one.

    Raises
    ------
    SettingError
        Nothing is given; a style that the model was not trained on; no part to add; a value out of range.
    """
    v, own = network.vocabulary, given.part_programs
    if len(given) == 0:
        raise SettingError("nothing to accompany: expected a piece with notes")
    asked: list[int] | None = None
    if programs is not None:
        programs.check(v, Plan.from_settings(v, style=style))
        asked = list((Counter(programs.line_up(v, style, own.tolist())) - Counter(own.tolist())).elements())
        if not asked and v.models_part:
            raise SettingError(f"{programs}: the piece that is given has these parts; name one to add to them")
    notes, standing_in = given.notes.copy(), stand_ins(network, given, style)
    for program, stand_in in standing_in.items():
        notes["program"][given.notes["program"] == program] = stand_in
    own, names = own[part_order(notes)], renamed(given.part_names, notes)
    given = replace(given, notes=canonical(notes)[0], names=names)

    def written(rows: list[Row], numbers: dict[int, int]) -> NoteSequence:
        piece = decode(rows, v, length=given.length)
        of_given = given.notes.copy()
        of_given["part"] = np.array([numbers[part] for part in range(len(own))])[of_given["part"]]
        is_given = np.isin(piece.notes[_IDENTITY], of_given[_IDENTITY])
        notes, all_names = piece.notes, [""] * len(piece.part_programs)
        notes["velocity"][is_given] = of_given["velocity"]  # those that they came with
        for part, number in numbers.items():
            notes["program"][notes["part"] == number] = own[part]
            all_names[number] = names[part]
        return replace(piece, notes=canonical(notes)[0], names=renamed(all_names, notes))

    return compose_given(
        network,
        given,
        n,
        seed,
        lambda cloud: add_parts(cloud, Around(v, given)),
        written,
        line_up=lambda draw: line_up_around(given.part_programs.tolist(), v, style, asked, draw),
        own_programs=own.tolist(),
        particles=particles,
        controls=controls,
        style=style,
        qpm=qpm,
        on_start=on_start,
        on_note=on_note,
    )
