"""A MIDI file as the page is shown it: parts in the file's order, notes by number, bars and beats in ticks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from melodygru.corpus.beats import align
from melodygru.midi.editing import Editor
from melodygru.music.chords import chord_name, half_bar_chords, half_bar_edges
from melodygru.music.form import bar_returns, form_letters
from melodygru.music.keys import KeySignature, estimate_key, key_name
from melodygru.music.names import FAMILIES, part_labels, program_name
from melodygru.music.notes import DEFAULT_TEMPO, DRUMS, NoteSequence

Line = tuple[int, int, int]  # track, channel, program of a part in its file


@dataclass(frozen=True)
class Part:
    """A part as the page shows it.

    Attributes
    ----------
    program : 0..127, or DRUMS
    name : its own; "": what General MIDI calls its program
    line : where it stands in the file; None: it has no note there yet
    locked : whether a redo leaves it alone
    """

    program: int
    name: str = ""
    line: Line | None = None
    locked: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values, which `from_dict` reads."""
        line = None if self.line is None else list(self.line)
        return {"program": self.program, "name": self.name, "line": line, "locked": self.locked}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Part:
        """The part that `as_dict` wrote."""
        line = values["line"]
        program = int(values["program"])
        return cls(program, str(values["name"]), None if line is None else tuple(line), bool(values["locked"]))


class View:
    """A file, read once, with the parts that the page shows.

    Parameters
    ----------
    data : the MIDI file
    parts : as they were shown last; those of the file come into it, and one whose notes are gone stays

    Attributes
    ----------
    data : bytes
    editor : Editor of the file
    notes : array, dtype NOTE, in the file's ticks and in the order of their numbers
    parts : list of Part, in the order of their numbers

    Raises
    ------
    MidiError
        It is no MIDI file, or one of type 2.
    """

    def __init__(self, data: bytes, parts: Sequence[Part] = ()) -> None:
        self.data = data
        self.editor = Editor(data)
        self.reading = self.editor.reading
        self.notes = self.reading.sequence.notes
        lines, names = self.editor.lines, self.reading.sequence.part_names
        left = [lines[at] for at in self.editor.in_file_order()]
        self.parts: list[Part] = []
        for part in parts:
            if part.line in left:
                left.remove(part.line)
            elif part.line is not None:
                part = replace(part, line=None)
            self.parts.append(part)
        for line in left:
            added = next((at for at, one in enumerate(self.parts) if one.line is None and one.program == line[2]), None)
            if added is None:
                self.parts.append(Part(line[2], names[lines.index(line)], line))
            else:
                self.parts[added] = replace(self.parts[added], line=line)
        number_of = {part.line: number for number, part in enumerate(self.parts) if part.line is not None}
        self._number = np.array([number_of[line] for line in lines], np.int64)

    @cached_property
    def part(self) -> np.ndarray:
        """The number of each note's part, shape (n,)."""
        return self._number[self.notes["part"]] if len(self.notes) else np.zeros(0, np.int64)

    @property
    def labels(self) -> list[str]:
        """What each part is called; of several nameless ones of a program the second has a 2."""
        own = dict(zip(self._number.tolist(), part_labels(self.reading.sequence), strict=True))
        return [part.name or own.get(number) or program_name(part.program) for number, part in enumerate(self.parts)]

    def in_file(self, number: int) -> int | None:
        """The number, from 0, of a part among those that the file has, in its order; None for one without notes."""
        line = self.parts[number].line
        return None if line is None else sorted(self.editor.lines).index(line)

    def editors_numbers(self, numbers: np.ndarray) -> np.ndarray:
        """Numbers of parts as `Editor.exchange` has them; parts without notes come after the others."""
        of = np.zeros(len(self.parts), np.int64)
        of[self._number] = np.arange(len(self._number))
        more = len(self._number)
        for number in np.unique(numbers).tolist():
            if self.parts[number].line is None:
                of[number], more = more, more + 1
        return of[numbers]

    @cached_property
    def _aligned(self) -> tuple[NoteSequence, int]:
        """The piece with the bars that a redo counts, and the tick at which it begins."""
        sequence, origin = self.reading.sequence, 0
        if sequence.grid.is_metrical:
            sequence, beats = align(sequence, stated=self.reading.has_metre)
            origin = beats.origin
        return sequence.trimmed(), origin

    @property
    def music(self) -> NoteSequence:
        """The piece as the model is given it, but for the grid."""
        return self._aligned[0]

    @cached_property
    def bars(self) -> np.ndarray:
        """The ticks at which bars begin, and the end of the last one, shape (n_bars + 1,); of a file without beats one
        bar."""
        sequence, origin = self._aligned
        if not sequence.grid.is_metrical:
            return np.array([0, sequence.length], np.int64)
        bars = sequence.bar_starts()
        if len(bars) < 2:
            bars = np.array([0, sequence.bars.at_step(0)[2]], np.int64)
        return np.maximum(0, bars + origin)

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return float(self.reading.sequence.step2second(int(self.bars[-1])))

    @cached_property
    def plan(self) -> tuple[list[str] | None, list[list[Any]]]:
        """The form letter of each bar, and the chords as [tick, name] where they change, both as the notes have them;
        None and nothing for a piece without notes or beats."""
        sequence, origin = self._aligned
        if not len(sequence) or not sequence.grid.is_metrical:
            return None, []
        halves, codes = half_bar_edges(sequence), half_bar_chords(sequence)
        changes = np.flatnonzero(np.diff(codes, prepend=-1))
        fifths = estimate_key(sequence.notes).fifths
        chords = [[max(0, int(halves[at]) + origin), chord_name(int(codes[at]), fifths)] for at in changes.tolist()]
        return form_letters(bar_returns(sequence)), chords

    @property
    def summary(self) -> dict[str, Any]:
        """What a list of pieces says of it."""
        return {
            "bars": len(self.bars) - 1,
            "seconds": round(self.seconds, 2),
            "notes": len(self.notes),
            "parts": self.labels,
        }

    def as_dict(self) -> dict[str, Any]:
        """All of it, as plain JSON values."""
        sequence, origin = self._aligned
        return {
            **times(sequence, self.bars, origin),
            "tempos": _tempos(self.reading.sequence),
            "key": self.key,
            "parts": [
                part_as_dict(number, part, label)
                for number, (part, label) in enumerate(zip(self.parts, self.labels, strict=True))
            ],
            "notes": self.rows(),
            "form": self.plan[0],
            "chords": self.plan[1],
        }

    def rows(self) -> list[list[int]]:
        """The notes as [part, onset, duration, pitch, velocity]."""
        columns = [self.part, *(self.notes[name] for name in ("onset", "duration", "pitch", "velocity"))]
        return np.stack([column.astype(np.int64) for column in columns], axis=1).tolist() if len(self.notes) else []

    @property
    def key(self) -> str | None:
        """The key, as the file's first signature has it, or else as its notes have it; None without pitches."""
        sequence = self.reading.sequence
        if len(sequence.keys):
            first = sequence.keys[0]
            return key_name(KeySignature(int(first["fifths"]), bool(first["minor"])))
        melodic = sequence.notes[sequence.notes["program"] != DRUMS]
        return key_name(estimate_key(melodic)) if len(melodic) else None


def times(sequence: NoteSequence, bars: np.ndarray, origin: int = 0) -> dict[str, Any]:
    """The time of a piece as the page has it; `bars` in ticks, which are the sequence's steps from `origin` on."""
    grid, beats = sequence.grid, bars[:-1]
    rate = grid.rate if grid.is_metrical else grid.rate * DEFAULT_TEMPO / 1e6
    if grid.is_metrical:
        beats = np.maximum(0, np.rint(sequence.bars.beat_lines(bars[:-1] - origin)).astype(np.int64) + origin)
    return {
        "ticks_per_beat": int(rate) if rate == int(rate) else rate,
        "length": int(bars[-1]),
        "bars": bars.tolist(),
        "beats": beats.tolist(),
        "tempos": _tempos(sequence),
        "metres": [[max(0, int(step) + origin), int(n), int(d)] for step, n, d in sequence.metres.tolist()],
    }


def _tempos(sequence: NoteSequence) -> list[list[float]]:
    """Tempos as [tick, quarter notes a minute]; where time is in seconds, that of `ticks_per_beat`."""
    if not sequence.grid.is_metrical:
        return [[0, 60e6 / DEFAULT_TEMPO]]
    return [[int(step), round(60e6 / int(tempo), 4)] for step, tempo in sequence.tempos.tolist()]


def part_as_dict(number: int, part: Part, label: str) -> dict[str, Any]:
    """A part as the page has it."""
    return {
        "index": number,
        "name": label,
        "program": part.program,
        "drums": part.program == DRUMS,
        "family": family_of(part.program),
        "locked": part.locked,
    }


def as_page(sequence: NoteSequence) -> dict[str, Any]:
    """Notes that are no piece of the project, as the page plays and shows them; ticks are their steps."""
    bars = np.array([0, sequence.length])
    if sequence.grid.is_metrical:
        bars = sequence.bar_starts()
    rows = sequence.notes
    columns = [rows[name].astype(np.int64) for name in ("part", "onset", "duration", "pitch", "velocity")]
    labels = part_labels(sequence)
    parts = [part_as_dict(at, Part(program), labels[at]) for at, program in enumerate(sequence.part_programs.tolist())]
    return {**times(sequence, bars), "parts": parts, "notes": np.stack(columns, axis=1).tolist()}


def family_of(program: int) -> str:
    """What musicians call the family of a program; `drums`, or "other" for one of none."""
    if program == DRUMS:
        return "drums"
    return next((family for family, programs in FAMILIES.items() if program in programs), "other")


__all__ = ["Line", "Part", "View", "as_page", "family_of", "part_as_dict", "times"]
