"""Note sequences to MIDI files and to pretty_midi."""

from __future__ import annotations

import io
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from melodygru.errors import MidiError
from melodygru.midi.chunks import DRUM_CHANNEL, MAX_DENOMINATOR_POWER, tick_limit
from melodygru.music.grid import Grid
from melodygru.music.keys import fifths_name
from melodygru.music.metre import METRE
from melodygru.music.names import clean_name, own_names, part_labels
from melodygru.music.notes import (
    DEFAULT_TEMPO,
    DRUMS,
    KEY,
    TEMPO,
    NoteSequence,
    canonical,
    note_array,
    part_programs,
    renamed,
    tidy_marks,
)
from melodygru.music.quantize import quantize
from melodygru.util.atomic import atomic_write

if TYPE_CHECKING:
    import pretty_midi

TICKS_PER_BEAT = 480
MAX_TICKS_PER_BEAT = 0x7FFF
MAX_TEMPO = 0xFFFFFF
MAX_PORTS = 128  # what one byte of MIDI counts; parts beyond all ports share channels
MELODIC_CHANNELS = [channel for channel in range(16) if channel != DRUM_CHANNEL]


def ticks_of(grid: Grid) -> tuple[int, int, int | None]:
    """Ticks per beat, ticks per step, and the tempo that makes a step of seconds come out (None: the piece's own).

    Ticks per beat is 480 where that divides, else the smallest multiple from 480 on that does. Seconds are written
    at 500,000 microseconds a beat; a step that has no whole number of ticks then (SMPTE's 30000/1001) is one tick
    at another tempo.
    """
    if grid.steps_per_beat is not None:
        unit, tempo = grid.steps_per_beat.numerator, None
        ticks_per_step = 1 / grid.steps_per_beat
    else:
        assert grid.steps_per_second is not None
        ticks_per_step = Fraction(1_000_000, DEFAULT_TEMPO) / grid.steps_per_second
        unit, tempo = ticks_per_step.denominator, DEFAULT_TEMPO
    ticks_per_beat = unit * max(1, -(-TICKS_PER_BEAT // unit)) if TICKS_PER_BEAT % unit else TICKS_PER_BEAT
    if ticks_per_beat <= MAX_TICKS_PER_BEAT:
        return ticks_per_beat, int(ticks_per_step * ticks_per_beat), tempo
    if grid.steps_per_second is not None:
        tempo_per_tick = 1_000_000 / grid.steps_per_second
        unit = tempo_per_tick.denominator
        ticks_per_beat = unit * max(1, TICKS_PER_BEAT // unit)
        if ticks_per_beat <= MAX_TICKS_PER_BEAT and tempo_per_tick * ticks_per_beat <= MAX_TEMPO:
            return ticks_per_beat, 1, int(tempo_per_tick * ticks_per_beat)
    raise MidiError(
        f"a grid of {grid.describe()} has no whole number of MIDI ticks in a step; quantize to another grid"
    )


def to_bytes(sequence: NoteSequence, text: Sequence[str] = ()) -> bytes:
    """A piece as the bytes of a type-1 MIDI file.

    A conductor track holds every tempo, metre and key signature and `text`; then comes a track for each part, with
    its name (see `names.part_labels`), a channel of its own and its program change; drums are on channel 10. The
    parts after the first 15 that aren't drums play on other ports, 15 on each (meta event 33); since a player may
    know of one port, parts on one channel of two ports set their program anew before each note. Every track ends at
    the piece's length.

    Parameters
    ----------
    sequence : NoteSequence
        On any grid. One of seconds is written at 120 quarter notes a minute.
    text : sequence of str
        Text events at the beginning, in UTF-8.

    Returns
    -------
    bytes
        Reading them and quantising to `sequence.grid` gives `sequence` again, but for names that `clean_name` and
        `own_names` change; on a grid of seconds the tempo and metre that the file had are MIDI's defaults then.

    Raises
    ------
    MidiError
        A MIDI file can't hold the piece: a step of no whole number of ticks, a tempo above
        16,777,215 microseconds per quarter note, a metre such as 4/3, a piece too long.
    """
    import mido

    ticks_per_beat, ticks_per_step, tempo = ticks_of(sequence.grid)
    end = sequence.length * ticks_per_step
    limit = tick_limit(Grid.beats(ticks_per_beat))
    if end > limit:
        raise MidiError(f"a piece of {end:,} ticks: expected at most {limit:,}; crop it or use a coarser grid")
    tempos = sequence.tempos if tempo is None else np.array([(0, tempo)], TEMPO)
    conductor: list[tuple[int, mido.MetaMessage]] = [(0, mido.MetaMessage("text", text=line)) for line in text]
    for mark in tempos:
        if not 1 <= mark["tempo"] <= MAX_TEMPO:
            raise MidiError(f"tempo {mark['tempo']} at step {mark['step']}: expected 1..{MAX_TEMPO}")
        message = mido.MetaMessage("set_tempo", tempo=int(mark["tempo"]))
        conductor.append((int(mark["step"]) * ticks_per_step, message))
    for mark in sequence.metres:
        numerator, denominator = int(mark["numerator"]), int(mark["denominator"])
        if not 1 <= numerator <= 255 or denominator not in [2**power for power in range(MAX_DENOMINATOR_POWER + 1)]:
            raise MidiError(
                f"metre {numerator}/{denominator} at step {mark['step']}: expected 1..255 over a power of two to 128"
            )
        message = mido.MetaMessage("time_signature", numerator=numerator, denominator=denominator)
        conductor.append((int(mark["step"]) * ticks_per_step, message))
    for mark in sequence.keys:
        fifths, minor = int(mark["fifths"]), bool(mark["minor"])
        message = mido.MetaMessage("key_signature", key=fifths_name(fifths + 3 * minor) + "m" * minor)
        conductor.append((int(mark["step"]) * ticks_per_step, message))
    conductor.sort(key=lambda item: item[0])

    file = mido.MidiFile(type=1, ticks_per_beat=ticks_per_beat, charset="utf-8")
    file.tracks.append(_track(conductor, max(end, conductor[-1][0])))
    programs = sequence.part_programs.tolist()
    n_melodic, rank = sum(program != DRUMS for program in programs), 0
    for part, (program, label) in enumerate(zip(programs, part_labels(sequence), strict=True)):
        heading = [mido.MetaMessage("track_name", name=clean_name(label))]
        channel, shared = DRUM_CHANNEL, False
        if program != DRUMS:
            port, at = divmod(rank, len(MELODIC_CHANNELS))
            channel, shared = MELODIC_CHANNELS[at], port > 0 or n_melodic > len(MELODIC_CHANNELS) + at
            if n_melodic > len(MELODIC_CHANNELS):
                heading.append(mido.MetaMessage("midi_port", port=port % MAX_PORTS))
            rank += 1
        heading.append(mido.Message("program_change", channel=channel, program=program % DRUMS))
        notes = sequence.notes[sequence.notes["part"] == part]
        file.tracks.append(_part_track(heading, notes, shared, ticks_per_step, end))
    buffer = io.BytesIO()
    file.save(file=buffer)
    return buffer.getvalue()


def _part_track(heading: list, notes: np.ndarray, shared: bool, ticks_per_step: int, end: int):
    """The track of one part; in a shared channel the program, last of its heading, is set again before each note."""
    import mido

    change = heading[-1]
    channel = change.channel
    messages: list[tuple[int, int, mido.Message | mido.MetaMessage]] = [(0, -1, message) for message in heading]
    for note in notes:
        onset, off = int(note["onset"]) * ticks_per_step, int(note["onset"] + note["duration"]) * ticks_per_step
        pitch, velocity = int(note["pitch"]), int(note["velocity"])
        if shared and onset:
            messages.append((onset, 1, change))
        messages.append((onset, 2, mido.Message("note_on", channel=channel, note=pitch, velocity=velocity)))
        messages.append((off, 0, mido.Message("note_off", channel=channel, note=pitch, velocity=0)))
    messages.sort(key=lambda item: item[:2])
    return _track([(tick, message) for tick, _, message in messages], end)


def _track(messages: list, end: int):
    """A mido track from (tick, message) pairs in order, with its end_of_track."""
    import mido

    track, last = mido.MidiTrack(), 0
    for tick, message in [*messages, (end, mido.MetaMessage("end_of_track"))]:
        track.append(message.copy(time=tick - last))
        last = tick
    return track


def write(sequence: NoteSequence, path: Path | str, text: Sequence[str] = ()) -> None:
    """Write a piece as a MIDI file (see `to_bytes`); the file appears whole or not at all.

    Raises
    ------
    MidiError
        A MIDI file can't hold the piece, or the path can't be written.
    """
    data = to_bytes(sequence, text)
    with atomic_write(path, MidiError) as aside:
        aside.write_bytes(data)


def to_pretty_midi(sequence: NoteSequence) -> pretty_midi.PrettyMIDI:
    """The piece as a `pretty_midi.PrettyMIDI`, with every tempo and metre. It does not keep the piece's length."""
    import pretty_midi

    return pretty_midi.PrettyMIDI(io.BytesIO(to_bytes(sequence)))


def _signature(key_number: int) -> tuple[int, int]:
    """Sharps, or flats below zero, of pretty_midi's number of a key; and 1 where it is minor."""
    minor = key_number >= 12
    return (7 * (key_number % 12 + 3 * minor) + 5) % 12 - 5, int(minor)


def from_pretty_midi(pm: pretty_midi.PrettyMIDI, grid: Grid | None = None) -> NoteSequence:
    """A piece from a `pretty_midi.PrettyMIDI`.

    Parameters
    ----------
    pm : pretty_midi.PrettyMIDI
    grid : Grid, optional
        The grid to quantise to; by default the object's own ticks (`pm.resolution` in a beat).

    Returns
    -------
    NoteSequence
        It ends with its last note or mark. Each instrument is a part. Notes of no duration in ticks are left out.
    """
    rows, parts = [], []
    for part, instrument in enumerate(pm.instruments):
        program = DRUMS if instrument.is_drum else instrument.program
        for note in instrument.notes:
            onset, end = pm.time_to_tick(note.start), pm.time_to_tick(note.end)
            if end > onset:
                rows.append((onset, end - onset, program, note.pitch, note.velocity))
                parts.append(part)
    notes = note_array(rows, parts)
    names = renamed([clean_name(instrument.name) for instrument in pm.instruments], notes)
    notes, _ = canonical(notes)
    times, qpms = pm.get_tempo_changes()
    tempos = [(pm.time_to_tick(time), round(60e6 / qpm)) for time, qpm in zip(times, qpms, strict=True)]
    metres = [(0, 4, 4)]
    metres += [(pm.time_to_tick(m.time), m.numerator, m.denominator) for m in pm.time_signature_changes]
    keys = [(pm.time_to_tick(k.time), *_signature(k.key_number)) for k in pm.key_signature_changes]
    length = max(
        [0, *(notes["onset"] + notes["duration"]).tolist(), *(of[-1][0] for of in (tempos, metres, keys) if of)]
    )
    sequence = NoteSequence(
        notes,
        Grid.beats(pm.resolution),
        length,
        tidy_marks(np.array(tempos, TEMPO)),
        tidy_marks(np.array(metres, METRE)),
        own_names(part_programs(notes).tolist(), names),
        tidy_marks(np.array(keys, KEY)),
    )
    return sequence if grid is None else quantize(sequence, grid)[0]
