"""A piece that is worked on: as its file has it, in ticks, and as the model is given it, in steps, note by note."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from melodygru.compose.primer import Source
from melodygru.corpus.beats import align
from melodygru.errors import MidiError, SettingError
from melodygru.events import TIMES, Vocabulary, joined_parts
from melodygru.midi import to_bytes
from melodygru.midi.editing import Editor
from melodygru.music.grid import Grid
from melodygru.music.names import FAMILIES, part_labels
from melodygru.music.notes import DRUMS, NOTE, NoteSequence, canonical, note_keys, part_order
from melodygru.music.quantize import converter


@dataclass(frozen=True)
class Original:
    """A piece that is worked on; n is the number of its notes, in the order in which they are read.

    A **line** is what the model is given as one part: a part of the file, or several where the model has fewer.

    Attributes
    ----------
    name : for messages
    editor : the file
    sequence : NoteSequence in the file's ticks from `origin` on, with the bars that it has
    origin : the file's tick at which that begins; below 0 where rests were put before it
    grid : the model's
    onset, end : arrays, shape (n,): steps of each note, as the model is given it
    line : array, shape (n,): the line of each note
    programs : of each line, as the model is given it
    part : of each line the part of the file that what is composed on it goes to
    length : steps
    metres : array, dtype METRE, in steps
    models_velocity : whether the model is given velocities
    """

    name: str
    editor: Editor
    sequence: NoteSequence
    origin: int
    grid: Grid
    onset: np.ndarray
    end: np.ndarray
    line: np.ndarray
    programs: tuple[int, ...]
    part: tuple[int, ...]
    length: int
    metres: np.ndarray
    models_velocity: bool

    @classmethod
    def of(cls, source: Source, vocabulary: Vocabulary, style: str | None = None) -> Original:
        """A source as a vocabulary's model is given it.

        Raises
        ------
        SettingError
            It has a rest that is too long.
        MidiError
            It is a file of type 2.
        """
        try:
            editor = Editor(source.data if source.data is not None else to_bytes(source.sequence))
        except MidiError as error:
            raise MidiError(f"{source.name}: {error}") from error
        sequence, grid, origin = editor.reading.sequence, vocabulary.grid, 0
        if source.sha256 is not None:
            if grid.is_metrical:
                sequence, beats = align(sequence, stated=source.has_metre)
                origin = beats.origin
            sequence = sequence.trimmed()
        convert, _ = converter(sequence, grid)
        notes = sequence.notes
        onset = convert(notes["onset"])
        end = np.clip(convert(notes["onset"] + notes["duration"]), onset + 1, onset + TIMES.maximum)
        length = max(int(convert(np.array(sequence.length))), int(end.max(initial=0)))
        if np.diff(np.sort(onset), prepend=0, append=length).max(initial=0) > TIMES.maximum:
            raise SettingError(f"{source.name}: a rest of more than {TIMES.maximum:,} steps; expected a shorter one")
        of_part, programs = _lines(sequence.part_programs.tolist(), vocabulary, style)
        metres = sequence.metres.copy()
        if grid.is_metrical:
            metres["step"] = convert(metres["step"])
            metres = metres[np.append(metres["step"][1:] != metres["step"][:-1], True)]
        else:
            metres = NoteSequence(notes[:0], grid, 0).metres
        return cls(
            source.name,
            editor,
            sequence,
            origin,
            grid,
            onset,
            end,
            np.array(of_part, np.int64)[notes["part"]],
            tuple(programs),
            tuple(of_part.index(line) for line in range(len(programs))),
            length,
            metres,
            vocabulary.models_velocity,
        )

    def as_given(self) -> tuple[np.ndarray, np.ndarray]:
        """The notes as the model is given them, dtype NOTE, in steps; and the place there of each of the n notes."""
        old = self.editor.reading.sequence.notes
        rows = np.zeros(len(old), NOTE)
        rows["onset"], rows["duration"] = self.onset, self.end - self.onset
        rows["part"], rows["program"] = self.line, np.array(self.programs, np.int16)[self.line]
        rows["pitch"], rows["velocity"] = old["pitch"], old["velocity"]
        notes, _ = canonical(rows)
        rows["part"] = np.argsort(part_order(rows))[rows["part"]]
        return notes, np.searchsorted(note_keys(notes), note_keys(rows))

    def bar_lines(self) -> np.ndarray:
        """The steps at which bars begin, and the end of the last one; empty where the file has no beat."""
        if not self.sequence.grid.is_metrical:
            return np.zeros(0, np.int64)
        if self.grid.is_metrical:
            return NoteSequence(self.sequence.notes[:0], self.grid, self.length, metres=self.metres).bar_starts()
        convert, _ = converter(self.sequence, self.grid)
        return convert(self.sequence.bar_starts())

    def ticks(self, steps: np.ndarray) -> np.ndarray:
        """The file's ticks at steps."""
        sequence = self.sequence
        if self.grid.is_metrical or not sequence.grid.is_metrical:
            _, ratio = converter(sequence, self.grid)
            exact = [self.origin + Fraction(step) / ratio for step in steps.tolist()]
            return np.array([max(0, int(tick + Fraction(1, 2))) for tick in exact], np.int64)
        marks, rate = sequence.tempos, float(sequence.grid.steps_per_beat or 1)
        begins_s, seconds = sequence.step2second(marks["step"]), steps / self.grid.rate
        mark = np.searchsorted(begins_s, seconds, side="right") - 1
        ticks = marks["step"][mark] + (seconds - begins_s[mark]) * 1e6 * rate / marks["tempo"][mark]
        return np.rint(ticks).astype(np.int64) + self.origin

    def part_numbers(self) -> list[int]:
        """The parts in the order of the file's tracks."""
        return self.editor.in_file_order()

    def labels(self) -> list[str]:
        """What each part is called: its name, or else its program's."""
        return part_labels(self.editor.reading.sequence)


def _lines(programs: Sequence[int], vocabulary: Vocabulary, style: str | None) -> tuple[list[int], list[int]]:
    """The line of each part, and the program of each line."""
    if not vocabulary.models_part:
        return [0] * len(programs), [vocabulary.programs[0]] * bool(programs)
    known = vocabulary.statistics.programs_of(style)
    own = [program if program in known else _stand_in(program, known) for program in programs[: vocabulary.parts]]
    return joined_parts(programs, vocabulary), own


def _stand_in(program: int, known: Sequence[int]) -> int:
    """The nearest program that a model knows, of the same family if it can be."""
    melodic = [one for one in known if one != DRUMS]
    if program == DRUMS or not melodic:
        return program
    families = [set(of_family) for of_family in FAMILIES.values() if program in of_family]
    return min(melodic, key=lambda one: (not any(one in family for family in families), abs(one - program), one))


__all__ = ["Original"]
