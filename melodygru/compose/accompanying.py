"""Other voices around given ones: the given notes are certain, particles add the rest."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from melodygru.compose.controls import Controls
from melodygru.compose.drawing import Note, Row
from melodygru.compose.lengths import Plan
from melodygru.compose.particles import Guide, Particles, Span, compose_given
from melodygru.compose.settings import PARTICLES
from melodygru.compose.varying import SameRhythm, fill_in
from melodygru.errors import SettingError
from melodygru.events import DURATION, END, PROGRAM, VELOCITY_WIDTH, Context, Vocabulary, decode
from melodygru.model.numpy_model import NumpyModel
from melodygru.music.notes import DRUMS, N_PITCHES, N_PROGRAMS, NoteSequence, canonical

MIDDLE_C = 60
_IDENTITY = ["onset", "program", "pitch"]
_PITCHES = np.arange(N_PITCHES)


@dataclass
class Around(Guide):
    """The guide of an accompaniment: nothing but the given note `at`, or what stands before it in canonical order.

    A given program plays nothing else, unless there is no other to write for. Where the model has one program only, no
    added note crosses the given line: what lies at middle C or higher, on average, stays the highest, else the lowest.

    Parameters
    ----------
    vocabulary : Vocabulary
    given : NoteSequence as the vocabulary holds it; its end is given as well
    style : whose programs are added

    Attributes
    ----------
    at : the note that is due, `len(given)` for the end
    """

    vocabulary: Vocabulary
    given: NoteSequence
    style: str | None = None
    at: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        v, notes = self.vocabulary, self.given.notes
        programs = v.program_class(notes["program"])
        bins = notes["velocity"] // VELOCITY_WIDTH if v.models_velocity else np.full(len(notes), -1)
        self._notes = list(zip(notes["onset"].tolist(), programs.tolist(), notes["pitch"].tolist(),
                               notes["duration"].tolist(), bins.tolist(), strict=True))  # fmt: skip
        self._notes.append((self.given.length, END, -1, 0, -1))
        self._free = v.program_mask(v.statistics.programs_of(self.style))
        self._free[programs] = False
        # A given line stays alone, unless there is no other program to write for.
        if not self._free.any():
            self._free[programs] = True
        self._top = int(np.flatnonzero(self._free)[-1])
        self._edge: np.ndarray | None = None if v.models_program else self._outline()
        self._onsets: dict[tuple[int, int], list[int]] = {}
        for onset, program, pitch, _, _ in self._notes:
            self._onsets.setdefault((program, pitch), []).append(onset)

    def _outline(self) -> np.ndarray:
        """For each step the highest given pitch that sounds, or the lowest; where none does, what crosses nothing."""
        notes = self.given.notes
        self._is_top = bool(notes["pitch"].mean() >= MIDDLE_C)
        edge = np.full(self.given.length + 1, -1 if self._is_top else N_PITCHES)
        for onset, duration, _, pitch, _ in notes.tolist():
            of_note = edge[onset : onset + duration]
            (np.maximum if self._is_top else np.minimum)(of_note, pitch, out=of_note)
        return np.where(edge < 0, N_PITCHES, edge) if self._is_top else np.where(edge == N_PITCHES, -1, edge)

    def _inside(self, at: int) -> np.ndarray:
        """Pitches at a step that do not cross the given line."""
        if self._edge is None:
            return np.ones(N_PITCHES, bool)
        return (_PITCHES < self._edge[at]) if self._is_top else (_PITCHES > self._edge[at])

    def shift(self, context: Context) -> Span:
        """Up to the note that is due."""
        left = self._notes[self.at][0] - context.onset
        if left == 0:
            return 0, 1
        may_join_chord = context.may_join_chord(self._top)
        if may_join_chord and self._edge is not None:
            last = context.program_history(1)[0]  # plus 1; 0 is none
            may_join_chord = bool((self._inside(context.onset) & ~context.pitch_mask(1))[last:].any())
        return int(not may_join_chord), left + 1

    def programs(self, context: Context) -> np.ndarray:
        """Those that are added, or the due note's own."""
        onset, program, _, _, _ = self._notes[self.at]
        if context.onset < onset:
            return self._free
        allowed = np.zeros(len(self._free), bool)
        allowed[1:program] = self._free[1:program]
        allowed[program] = True
        return allowed

    def pitches(self, context: Context, program: int) -> np.ndarray:
        """The due note's, or, in a program that notes are added to, any that stands before it."""
        onset, of_due, due, _, _ = self._notes[self.at]
        allowed = self._inside(context.onset)
        if not (allowed & ~context.pitch_mask(program)).any():  # a line so low that nothing is left below it
            allowed = np.ones(N_PITCHES, bool)
        if context.onset == onset and program == of_due:
            allowed[:due] &= self._free[program]
            allowed[due] = True
            allowed[due + 1 :] = False
        return allowed

    def is_due(self, context: Context, program: int, pitch: int) -> bool:
        """Whether a note at the context's onset is the one that is due."""
        return (context.onset, program, pitch) == self._notes[self.at][:3]

    def duration(self, context: Context, program: int, pitch: int) -> Span:
        """The due note's; an added one ends with the piece at the latest, and where its pitch is given another time."""
        if self.is_due(context, program, pitch):
            duration = self._notes[self.at][3]
            return duration, duration + 1
        onsets = self._onsets.get((program, pitch), [])
        later = bisect_right(onsets, context.onset)
        end = onsets[later] if later < len(onsets) else self.given.length
        if self._edge is not None:
            edge = self._edge[context.onset + 1 : end]
            crossed = np.flatnonzero((edge < pitch) if self._is_top else (edge > pitch))
            end = context.onset + 1 + int(crossed[0]) if len(crossed) else end
        return 1, end - context.onset + 1

    def velocity(self, context: Context, program: int, pitch: int) -> int:
        """The due note's, or any."""
        return self._notes[self.at][4] if self.is_due(context, program, pitch) else -1


def add_voices(particles: Particles, guide: Around) -> Iterator[None]:
    """Extend particles to the end of the piece; yields whenever all have reached one more of the given notes."""
    for at in range(len(guide.given) + 1):
        guide.at = at
        waiting = np.arange(len(particles))
        while len(waiting):
            rows = particles.extend(guide, waiting)
            arrived = [
                row is None or guide.is_due(particles.contexts[i], *row[PROGRAM:DURATION])
                for i, row in zip(waiting, rows, strict=True)
            ]
            waiting = waiting[~np.array(arrived)]
        yield


def stand_ins(network: NumpyModel, given: NoteSequence, style: str | None = None) -> dict[int, int]:
    """Programs of a given piece that the style's pieces lack, and for each one of theirs that stands in for it.

    It is the one in which the line by itself is most probable, and which plays nothing else; drums stay drums.
    """
    v = network.vocabulary
    if not v.models_program:
        return {}
    known = sorted(v.statistics.programs_of(style))
    free = [program for program in known if program not in (*given.programs, DRUMS)]
    strange = [program for program in given.programs if program not in known and program != DRUMS]
    found: dict[int, int] = {}
    for program in strange:
        line = given.notes[given.notes["program"] == program]

        def log_p(candidate: int, line: np.ndarray = line) -> float:
            notes = line.copy()
            notes["program"] = candidate
            piece = replace(given, notes=notes)
            alone = Particles(network, 1, np.random.default_rng(0), style=style, piece=piece)
            for _ in fill_in(alone, SameRhythm(v, piece, np.ones(len(notes), bool))):
                pass
            return float(alone.log_p[0])

        if free:
            found[program] = max(free, key=log_p)
            free.remove(found[program])
    return found


def _renamed(notes: np.ndarray, programs: dict[int, int]) -> np.ndarray:
    """Notes in other programs, in canonical order."""
    table = np.arange(N_PROGRAMS)
    table[list(programs)] = list(programs.values())
    notes = notes.copy()
    notes["program"] = table[notes["program"]]
    return canonical(notes)[0]


def accompany(
    network: NumpyModel,
    given: NoteSequence,
    n: int = 1,
    seed: int = 0,
    *,
    particles: int = PARTICLES,
    controls: Controls | None = None,
    style: str | None = None,
    qpm: float | None = None,
    on_start: Callable[[list[Plan]], None] | None = None,
    on_note: Callable[[Note], None] | None = None,
) -> list[NoteSequence]:
    """Add voices to given ones; `n` pieces, the i-th piece's randomness is the i-th child of `seed`.

    Every given note is in every piece; what may be added to them, see `Around`. For a program that the style's
    pieces lack, the model is given one of theirs (see `stand_ins`); in the pieces it stays what it is.

    Parameters
    ----------
    given : NoteSequence as the vocabulary can hold it (see `Primer`); the pieces have its length, metres and, without
        `qpm`, its tempos
    particles : versions that go on side by side; see `particles.Particles`
    style : one of the vocabulary's styles, or None for unknown; its programs are added
    qpm : tempo to write
    on_start, on_note : see `particles.compose_given`

    Returns
    -------
    pieces : list of NoteSequence
        Of each piece's particles the most probable one.

    Raises
    ------
    SettingError
        Nothing is given; a style that the model was not trained on; a value out of range.
    """
    v = network.vocabulary
    if len(given) == 0:
        raise SettingError("nothing to accompany: expected a piece with notes")
    names = stand_ins(network, given, style)
    back = {stand_in: own for own, stand_in in names.items()}
    given = replace(given, notes=_renamed(given.notes, names))

    def give_out(note: Note) -> None:
        if on_note is not None:
            on_note(replace(note, program=back.get(note.program, note.program)))

    def written(rows: list[Row]) -> NoteSequence:
        piece = decode(rows, v, length=given.length)
        is_given = np.isin(piece.notes[_IDENTITY], given.notes[_IDENTITY])
        piece.notes["velocity"][is_given] = given.notes["velocity"]  # those that they came with
        return replace(piece, notes=_renamed(piece.notes, back))

    return compose_given(
        network,
        given,
        n,
        seed,
        lambda cloud: add_voices(cloud, Around(v, given, style)),
        written,
        particles=particles,
        controls=controls,
        style=style,
        qpm=qpm,
        on_start=on_start,
        on_note=give_out,
    )
