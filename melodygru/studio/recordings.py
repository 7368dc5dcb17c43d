"""Notes that were played in become a piece."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from melodygru import midi
from melodygru.midi.writing import TICKS_PER_BEAT
from melodygru.music.grid import Grid
from melodygru.music.metre import METRE, steps_per_bar
from melodygru.music.names import clean_name
from melodygru.music.notes import DRUMS, TEMPO, NoteSequence, canonical, note_array
from melodygru.studio.refusals import Refused

MOST_NOTES, MOST_S = 20_000, 3600.0
QPM = (5.0, 1000.0)
METRES = (1, 32)


def recorded(given: dict[str, Any]) -> tuple[bytes, str]:
    """The MIDI file of what was played, as it was played, and the name that it was given.

    Parameters
    ----------
    given : qpm; program; notes, each [onset_s, duration_s, pitch, velocity]; name; metre as [numerator, denominator]

    Raises
    ------
    Refused
        There is no note, or a value is out of range.
    """
    qpm, program, rows = given.get("qpm", 120), given.get("program", 0), given.get("notes")
    numerator, denominator = _metre(given.get("metre"))
    if not _number(qpm, *QPM):
        raise Refused(f"Expected a tempo of {QPM[0]:g}..{QPM[1]:g} quarter notes a minute.")
    if type(program) is not int or not 0 <= program <= DRUMS:
        raise Refused("Choose an instrument from the list.")
    if not isinstance(rows, list) or not rows:
        raise Refused("Nothing was played: press Record, then play.")
    if len(rows) > MOST_NOTES:
        raise Refused(f"Expected at most {MOST_NOTES:,} notes at once.")
    second = qpm / 60 * TICKS_PER_BEAT
    notes = []
    for row in rows:
        if (
            not isinstance(row, list)
            or len(row) != 4
            or not _number(row[0], 0, MOST_S)
            or not _number(row[1], 0, MOST_S)
        ):
            raise Refused("A note is not as the studio reads it: reload the page.")
        onset_s, duration_s, pitch, velocity = row
        if type(pitch) is not int or type(velocity) is not int or not 0 <= pitch <= 127 or not 1 <= velocity <= 127:
            raise Refused("A note is not as the studio reads it: reload the page.")
        onset = round(onset_s * second)
        notes.append((onset, max(1, round((onset_s + duration_s) * second) - onset), program, pitch, velocity))
    found, _ = canonical(note_array(notes))
    grid = Grid.beats(TICKS_PER_BEAT)
    bar = steps_per_bar(grid, (numerator, denominator))
    end = int((found["onset"] + found["duration"]).max())
    tempos = np.array([(0, round(60e6 / qpm))], TEMPO)
    metres = np.array([(0, numerator, denominator)], METRE)
    name = given.get("name")
    sequence = NoteSequence(found, grid, -(-end // bar) * bar, tempos, metres)
    return midi.to_bytes(sequence), clean_name(name) if isinstance(name, str) else ""


def _metre(value: Any) -> tuple[int, int]:
    if value is None:
        return 4, 4
    fits = isinstance(value, list) and len(value) == 2 and type(value[0]) is int and METRES[0] <= value[0] <= METRES[1]
    if not fits or value[1] not in (1, 2, 4, 8, 16, 32):
        raise Refused("Expected a metre such as 4/4 or 6/8.")
    return value[0], value[1]


def _number(value: Any, low: float, high: float) -> bool:
    """Whether a JSON value is a number within bounds."""
    return (
        not isinstance(value, bool)
        and isinstance(value, (int, float))
        and math.isfinite(value)
        and low <= value <= high
    )


__all__ = ["recorded"]
