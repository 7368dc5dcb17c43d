"""Changes to a piece by hand: notes go and come, stand on a grid, are transposed; parts get another instrument."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from melodygru.midi import tick_limit
from melodygru.music.grid import Grid
from melodygru.music.names import clean_name
from melodygru.music.notes import DRUMS, N_PITCHES, NOTE, transpose
from melodygru.music.quantize import converter
from melodygru.studio.refusals import Refused
from melodygru.studio.views import Part, View

MOST_NOTES = 100_000
MOST_PARTS = 64
STEPS_PER_BEAT = (1, 64)
_ROW = (
    ("part", 0, MOST_PARTS - 1),
    ("onset", 0, 2**40),
    ("duration", 1, 2**40),
    ("pitch", 0, 127),
    ("velocity", 1, 127),
)


def edited(view: View, given: dict[str, Any]) -> bytes:
    """The file after an edit that the page asks for.

    Raises
    ------
    Refused
        Notes or parts that the piece doesn't have, or values out of range.
    """
    op = given.get("op")
    if op is None:
        return _exchanged(view, _numbers(view, given.get("remove", [])), _rows(view, given.get("add", [])))
    chosen = _numbers(view, given.get("notes", []))
    rows = _of(view, chosen)
    if op == "quantise":
        rate = given.get("steps_per_beat")
        if (
            isinstance(rate, bool)
            or not isinstance(rate, (int, float))
            or not STEPS_PER_BEAT[0] <= rate <= STEPS_PER_BEAT[1]
        ):
            raise Refused("Choose a grid of 1 to 64 steps a beat.")
        sequence = view.reading.sequence
        if not sequence.grid.is_metrical:
            raise Refused("This piece has no beat, its times are in seconds: there is no grid to put notes on.")
        convert, ratio = converter(sequence, Grid.beats(int(rate)))
        origin = int(view.bars[0])
        steps = convert(np.maximum(0, rows["onset"] - origin))
        rows["onset"] = [origin + round(step / ratio) for step in steps.tolist()]
    elif op == "transpose":
        semitones = given.get("semitones")
        if type(semitones) is not int or abs(semitones) > N_PITCHES:
            raise Refused("Transpose by whole semitones.")
        rows = transpose(rows, semitones)
    else:
        raise Refused(f"{str(op)[:40]!r} is no edit that the studio knows: reload the page.")
    return _exchanged(view, chosen, rows)


def with_part(view: View, number: Any, given: dict[str, Any]) -> tuple[bytes, list[Part]]:
    """The file and the parts after a part got another program, name or lock.

    Raises
    ------
    Refused
        There is no such part, or a value is none that it can have.
    """
    if type(number) is not int or not 0 <= number < len(view.parts):
        raise Refused("This part is no longer there: reload the page.")
    part, data = view.parts[number], view.data
    if "locked" in given:
        part = replace(part, locked=given["locked"] is True)
    if "name" in given:
        if not isinstance(given["name"], str):
            raise Refused("Expected a name.")
        part = replace(part, name=clean_name(given["name"]))
        if part.line is not None and part.name:
            data = view.editor.with_name(view.editor.lines.index(part.line), part.name)
    if "program" in given and given["program"] != part.program:
        program = _program(given["program"])
        default = part.name in ("", *_default_names(view, number))
        if part.line is not None:
            from melodygru.midi.editing import Editor

            before = Editor(data)
            data = before.with_program(before.lines.index(part.line), program)
            line = next(line for line in Editor(data).lines if line not in before.lines)
            part = replace(part, line=line)
        part = replace(part, program=program, name="" if default else part.name)
    parts = list(view.parts)
    parts[number] = part
    return data, parts


def with_part_more(view: View, program: Any) -> list[Part]:
    """The parts and a new one, without notes yet."""
    if len(view.parts) >= MOST_PARTS:
        raise Refused(f"A piece has at most {MOST_PARTS} parts.")
    return [*view.parts, Part(_program(program))]


def _default_names(view: View, number: int) -> tuple[str, ...]:
    """What a part is called that nobody has named: its program's name, and as the file's track may say it."""
    from melodygru.music.names import program_name

    return (program_name(view.parts[number].program),)


def _program(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= DRUMS:
        raise Refused("Choose an instrument from the list.")
    return value


def _numbers(view: View, given: Any) -> np.ndarray:
    """Numbers of notes, each once."""
    if not isinstance(given, list) or len(given) > MOST_NOTES or any(type(one) is not int for one in given):
        raise Refused("Expected the numbers of notes: reload the page.")
    numbers = np.unique(np.array(given, np.int64))
    if len(numbers) and not 0 <= numbers[0] <= numbers[-1] < len(view.notes):
        raise Refused("One of these notes is no longer there: reload the page.")
    return numbers


def _of(view: View, numbers: np.ndarray) -> np.ndarray:
    """Notes of the piece, with their parts' numbers as the page has them."""
    rows = view.notes[numbers].copy()
    rows["part"] = view.part[numbers]
    return rows


def _rows(view: View, given: Any) -> np.ndarray:
    """The notes that the page adds, with their parts' numbers as the page has them."""
    if not isinstance(given, list) or len(given) > MOST_NOTES:
        raise Refused(f"Expected at most {MOST_NOTES:,} notes at once.")
    rows = np.zeros(len(given), NOTE)
    for at, row in enumerate(given):
        if not isinstance(row, list) or len(row) != len(_ROW) or any(type(value) is not int for value in row):
            raise Refused("A note is not as the studio reads it: reload the page.")
        for (name, low, high), value in zip(_ROW, row, strict=True):
            if not low <= value <= high:
                raise Refused(f"{name} {value} of a note: expected {low}..{high}.")
            rows[name][at] = value
    if len(rows) and rows["part"].max() >= len(view.parts):
        raise Refused("The part of a note is no longer there: reload the page.")
    ends = rows["onset"] + rows["duration"]
    limit = tick_limit(view.reading.sequence.grid)
    if len(rows) and ends.max() >= limit:
        raise Refused(f"A note ends at tick {ends.max():,}: expected less than {limit:,}.")
    rows["program"] = np.array([part.program for part in view.parts], np.int16)[rows["part"]] if len(rows) else 0
    return rows


def _exchanged(view: View, removed: np.ndarray, rows: np.ndarray) -> bytes:
    """The file without some notes and with others."""
    stays = np.ones(len(view.notes), bool)
    stays[removed] = False
    added = rows.copy()
    added["part"] = view.editors_numbers(rows["part"].astype(np.int64))
    return view.editor.exchange(stays, added)


__all__ = ["edited", "with_part", "with_part_more"]
