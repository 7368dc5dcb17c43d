"""The rule of reading in plain Python, and what both readers share: chunks, header, marks, the result."""

from __future__ import annotations

import errno
import struct
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, fields
from fractions import Fraction
from pathlib import Path

import numpy as np

from melodygru.errors import MidiError
from melodygru.music.grid import Grid
from melodygru.music.metre import DEFAULT_METRE, METRE
from melodygru.music.notes import DEFAULT_TEMPO, DRUMS, NOTE, TEMPO, NoteSequence, canonical, tidy_marks, unchecked
from melodygru.util.files import read_regular
from melodygru.util.wording import counted

MAX_TICKS = 2**27  # 134 million: 38 hours at 480 ticks per beat and 120 qpm
MAX_BEATS = 2**20  # 145 hours at 120 qpm; the smaller limit holds when a beat has few ticks
MAX_TRACKS = 65_535  # what a header can claim
MAX_FILE_BYTES = 2**22  # 4 MiB is half a million notes; what is larger is no piece of music
_TOO_LARGE = f"more than {MAX_FILE_BYTES:,} bytes: expected a MIDI file of one piece"
DRUM_CHANNEL = 9
PREAMBLE_BYTES = 4096  # how far into a file the header may begin (RIFF wrappers, MacBinary headers)

SUSTAIN, ALL_SOUND_OFF, RESET_CONTROLLERS, ALL_NOTES_OFF = 64, 120, 121, 123
TEXT_META, TEMPO_META, METRE_META, END_OF_TRACK = 0x01, 0x51, 0x58, 0x2F
MAX_DENOMINATOR_POWER = 7  # 2**7: metres up to x/128


@dataclass(frozen=True)
class Oddities:
    """How often each odd case of the rule (see the package's docstring) came up in one file."""

    zero_length: int = 0  # notes dropped, because they end where they begin
    beyond_limit: int = 0  # notes dropped, because they begin at or after the tick limit
    merged: int = 0  # notes dropped, because their program struck the pitch twice at once
    cut: int = 0  # notes shortened, because their program struck the pitch again while they sounded
    restruck: int = 0  # notes ended by a note-on of their own key
    hanging: int = 0  # notes ended by the end of their track
    stray_note_offs: int = 0
    pedalled: int = 0  # notes prolonged by the sustain pedal
    silenced: int = 0  # notes ended by all sound off or all notes off
    bad_marks: int = 0  # tempo and metre events ignored
    broken_tracks: int = 0  # tracks that stop before an end_of_track

    @property
    def lost(self) -> int:
        """Notes that are not in the sequence as the file has them: dropped, merged or cut."""
        return self.zero_length + self.beyond_limit + self.merged + self.cut

    def as_dict(self) -> dict[str, int]:
        """The counts above zero by name, for reports."""
        counts = {item.name: getattr(self, item.name) for item in fields(self)}
        return {name: count for name, count in counts.items() if count}


@dataclass(frozen=True)
class Reading:
    """A file as read.

    Parameters
    ----------
    sequence : NoteSequence
        Its steps are the file's ticks.
    oddities : Oddities
    has_metre : bool
        Whether the file has a time signature; without one the sequence has MIDI's default.
    """

    sequence: NoteSequence
    oddities: Oddities
    has_metre: bool = True

    @property
    def lost(self) -> int:
        """Number of notes dropped, merged or cut in the reading."""
        return self.oddities.lost


@dataclass(frozen=True)
class Header:
    """What the header chunk says, and where the bodies of the track chunks lie."""

    kind: int  # 0, 1 or 2
    grid: Grid
    spans: list[tuple[int, int]]  # of each track, the bytes [start, end)

    @property
    def limit(self) -> int:
        """The first tick that holds no notes (see `tick_limit`)."""
        return tick_limit(self.grid)


def tick_limit(grid: Grid) -> int:
    """The first tick of a file that holds no notes: `MAX_TICKS` or `MAX_BEATS`, whichever comes first."""
    if grid.steps_per_beat is None:
        return MAX_TICKS
    return min(MAX_TICKS, int(MAX_BEATS * grid.steps_per_beat))


def load(source: Path | str | bytes) -> bytes:
    """The bytes of a file; `MidiError` when it can't be read."""
    if not isinstance(source, bytes):
        try:
            source = read_regular(source, MAX_FILE_BYTES)
        except (OSError, ValueError) as error:
            raise MidiError(why_not_opened(error)) from error
    if len(source) > MAX_FILE_BYTES:
        raise MidiError(_TOO_LARGE)
    return source


def why_not_opened(error: OSError | ValueError) -> str:
    """Why a file can't be opened, for its user."""
    if getattr(error, "errno", None) == errno.EFBIG:
        return _TOO_LARGE
    return f"cannot open the file: {getattr(error, 'strerror', None) or error}"


def parse_chunks(data: bytes) -> Header:
    """Split a file into its track chunks.

    Raises
    ------
    MidiError
        There is no usable header or no track.
    """
    if not data:
        raise MidiError("the file is empty")
    start = data.find(b"MThd", 0, PREAMBLE_BYTES)
    if start < 0:
        raise MidiError(f"not a MIDI file: begins with {data[:4]!r}, expected b'MThd'")
    if len(data) < start + 14:
        raise MidiError(f"truncated header: {counted(len(data) - start, 'byte')}, expected at least 14")
    size, kind, _, division = struct.unpack_from(">IHHH", data, start + 4)
    if size < 6:
        raise MidiError(f"header of {size} bytes: expected at least 6")
    if kind > 2:
        raise MidiError(f"MIDI file of type {kind}: expected 0, 1 or 2")
    grid = _division_grid(division)
    spans: list[tuple[int, int]] = []
    position = start + 8 + size
    while position + 8 <= len(data) and len(spans) < MAX_TRACKS:
        name = data[position : position + 4]
        if not (name.isascii() and name.decode("ascii").isprintable()):
            position = data.find(b"MTrk", position)
            if position < 0:
                break
            continue
        end = position + 8 + int.from_bytes(data[position + 4 : position + 8], "big")
        if name == b"MTrk":
            spans.append((position + 8, min(end, len(data))))
        position = end
    if not spans:
        raise MidiError("no track in the file: it is truncated or damaged")
    return Header(kind, grid, spans)


def read_texts(source: Path | str | bytes) -> list[str]:
    """The text events (meta type 1) of all tracks, in file order, as UTF-8; bytes that are none are replaced.

    Raises
    ------
    MidiError
        As for `read`.
    """
    data = load(source)
    return [
        event.data[1:].decode("utf-8", "replace")
        for start, stop in parse_chunks(data).spans
        for event in track_events(data[start:stop])
        if event.status == 0xFF and event.data[0] == TEXT_META
    ]


def _division_grid(division: int) -> Grid:
    """The size of a tick from the header's division word."""
    if division == 0:
        raise MidiError("division 0: expected ticks per quarter note, or SMPTE frames")
    if division < 0x8000:
        return Grid.beats(division)
    frames, ticks = 256 - (division >> 8), division & 0xFF
    if frames not in (24, 25, 29, 30) or ticks == 0:
        raise MidiError(f"SMPTE division of {frames} frames x {ticks} ticks: expected 24, 25, 29 or 30 frames")
    return Grid.seconds((Fraction(30_000, 1001) if frames == 29 else Fraction(frames)) * ticks)


@dataclass(slots=True)
class Event:
    """One event of a track at an absolute tick; of a meta event `status` is 0xFF and `data` its type and payload."""

    tick: int
    status: int
    data: bytes


class _Broken(Exception):
    """The track can't be read on."""


def track_events(body: bytes) -> Iterator[Event]:
    """The events of a track chunk; ends after end_of_track, or where the bytes make no sense."""
    tick, position, running = 0, 0, 0
    try:
        while position < len(body):
            delta, position = variable_length(body, position)
            if position >= len(body):
                return
            status = body[position]
            if status == 0xFF:
                size, start = variable_length(body, position + 2)
                data = body[position + 1 : position + 2] + body[start : start + size]
                position = start + size
            elif status in (0xF0, 0xF7):
                size, start = variable_length(body, position + 1)
                data = b""
                position = start + size
            else:
                if status < 0x80:
                    status = running
                else:
                    position += 1
                if not 0x80 <= status < 0xF0:
                    return
                running = status
                size = 1 if 0xC0 <= status < 0xE0 else 2
                data = body[position : position + size]
                position += size
                if any(byte > 127 for byte in data):
                    return
            if position > len(body):
                return
            tick += delta
            yield Event(tick, status, data)
            if status == 0xFF and data[0] == END_OF_TRACK:
                return
    except _Broken:
        return


def variable_length(body: bytes, position: int) -> tuple[int, int]:
    """A variable-length quantity of at most four bytes, and the position after it."""
    value = 0
    for at in range(position, min(position + 4, len(body))):
        value = value << 7 | body[at] & 0x7F
        if body[at] < 0x80:
            return value, at + 1
    raise _Broken


@dataclass(slots=True)
class _Sounding:
    """A note while the reference reads: all but its end known."""

    track: int
    channel: int
    program: int
    pitch: int
    velocity: int
    onset: int
    end: int = -1
    released: bool = False  # ended by a note-off, which a pedal can outlast


def read_reference(source: Path | str | bytes) -> Reading:
    """Read a MIDI file by the rule, one event after another: the specification in code.

    Parameters, results and errors are those of `read`, to which it is the slow reference.
    """
    data = load(source)
    header = parse_chunks(data)
    limit = header.limit
    counts = {item.name: 0 for item in fields(Oddities)}
    tracks: list[list[Event]] = []
    ends: list[int] = []
    offset = 0
    for start, stop in header.spans:
        events = list(track_events(data[start:stop]))
        for event in events:
            event.tick = min(limit, event.tick + offset)
        end = events[-1].tick if events else min(limit, offset)
        if not (events and events[-1].status == 0xFF and events[-1].data[0] == END_OF_TRACK):
            counts["broken_tracks"] += 1
        tracks.append(events)
        ends.append(end)
        if header.kind == 2:
            offset = end

    programs = _program_changes(tracks)
    notes: list[_Sounding] = []
    for track, events in enumerate(tracks):
        notes += _pair_track(track, events, ends[track], limit, programs, counts)
    _prolong(notes, tracks, ends, counts)
    _silence(notes, tracks, counts)

    array = np.array(
        [(note.onset, note.end - note.onset, note.program, note.pitch, note.velocity) for note in notes], NOTE
    )
    marks = [
        (event.tick, event.data[0], event.data[1:])
        for events in tracks
        for event in events
        if event.status == 0xFF and event.data[0] in (TEMPO_META, METRE_META)
    ]
    return assemble(array, header, max(ends), marks, counts)


def _program_changes(tracks: list[list[Event]]) -> dict[int, tuple[list[int], list[int]]]:
    """For each channel the ticks and programs of its program changes, ordered by (tick, track, file order)."""
    changes: dict[int, tuple[list[int], list[int]]] = {}
    everything = (event for events in tracks for event in events if event.status >> 4 == 0xC)
    for event in sorted(everything, key=lambda event: event.tick):
        ticks, programs = changes.setdefault(event.status & 15, ([], []))
        ticks.append(event.tick)
        programs.append(event.data[0])
    return changes


def _pair_track(
    track: int,
    events: list[Event],
    end: int,
    limit: int,
    changes: dict[int, tuple[list[int], list[int]]],
    counts: dict[str, int],
) -> list[_Sounding]:
    """The notes of one track, zero-length ones dropped."""
    notes: list[_Sounding] = []
    sounding: dict[tuple[int, int], _Sounding] = {}
    programs: dict[int, int] = {}
    # Note-offs that were taken before their turn, because their key sounded from an earlier tick: by index.
    taken: set[int] = set()
    first_off: dict[tuple[int, int, int], int] = {}
    for index, event in enumerate(events):
        if _is_note_off(event):
            first_off.setdefault((event.tick, event.status & 15, event.data[0]), index)

    def close(note: _Sounding, tick: int) -> None:
        note.end = tick
        if note.end > note.onset:
            notes.append(note)
        else:
            counts["zero_length"] += 1

    for index, event in enumerate(events):
        channel = event.status & 15
        if event.status >> 4 == 0xC:
            programs[channel] = event.data[0]
        elif _is_note_on(event):
            pitch, velocity = event.data
            if event.tick >= limit:
                counts["beyond_limit"] += 1
                continue
            note = sounding.pop((channel, pitch), None)
            if note is not None:
                off = first_off.get((event.tick, channel, pitch), -1)
                if note.onset < event.tick and off > index:
                    taken.add(off)
                    note.released = True
                elif note.onset < event.tick:
                    counts["restruck"] += 1
                close(note, event.tick)
            program = programs.get(channel)
            if channel == DRUM_CHANNEL:
                program = DRUMS
            elif program is None:
                ticks, values = changes.get(channel, ([], []))
                at = bisect_right(ticks, event.tick)
                program = values[at - 1] if at else 0
            sounding[channel, pitch] = _Sounding(track, channel, program, pitch, velocity, event.tick)
        elif _is_note_off(event) and index not in taken:
            note = sounding.pop((channel, event.data[0]), None)
            if note is None:
                counts["stray_note_offs"] += 1
            else:
                note.released = True
                close(note, event.tick)
    for note in sounding.values():
        counts["hanging"] += 1
        close(note, end)
    return notes


def _is_note_on(event: Event) -> bool:
    return event.status >> 4 == 0x9 and event.data[1] > 0


def _is_note_off(event: Event) -> bool:
    return event.status >> 4 == 0x8 or event.status >> 4 == 0x9 and event.data[1] == 0


def _prolong(notes: list[_Sounding], tracks: list[list[Event]], ends: list[int], counts: dict[str, int]) -> None:
    """Let the pedal hold the notes that were released while it was down."""
    pedals: dict[int, dict[int, bool]] = {}  # of each channel, whether it is down from a tick on
    for event in _controls(tracks, (SUSTAIN, RESET_CONTROLLERS)):
        pedals.setdefault(event.status & 15, {})[event.tick] = event.data[0] == SUSTAIN and event.data[1] >= 64
    ticks = {channel: list(pedal) for channel, pedal in pedals.items()}
    ups = {channel: [tick for tick, down in pedal.items() if not down] for channel, pedal in pedals.items()}
    strikes: dict[tuple[int, int], list[int]] = {}
    for note in sorted(notes, key=lambda note: note.onset):
        strikes.setdefault((note.program, note.pitch), []).append(note.onset)
    for note in notes:
        if not note.released or note.program == DRUMS or note.channel not in pedals:
            continue
        at = bisect_right(ticks[note.channel], note.end)
        if at == 0 or not pedals[note.channel][ticks[note.channel][at - 1]]:
            continue
        up = _first(ups[note.channel], bisect_right(ups[note.channel], note.end))
        onsets = strikes[note.program, note.pitch]
        struck = _first(onsets, bisect_left(onsets, note.end))
        until = min(max(note.end, ends[note.track]) if up is None else up, MAX_TICKS if struck is None else struck)
        if until > note.end:
            note.end = until
            counts["pedalled"] += 1


def _silence(notes: list[_Sounding], tracks: list[list[Event]], counts: dict[str, int]) -> None:
    """End the notes that an all-sound-off or all-notes-off of their channel meets."""
    silences: dict[int, list[int]] = {}
    for event in _controls(tracks, (ALL_SOUND_OFF, ALL_NOTES_OFF)):
        silences.setdefault(event.status & 15, []).append(event.tick)
    for note in notes:
        ticks = silences.get(note.channel, [])
        tick = _first(ticks, bisect_right(ticks, note.onset))
        if tick is not None and tick < note.end:
            note.end = tick
            counts["silenced"] += 1


def _controls(tracks: list[list[Event]], numbers: tuple[int, int]) -> list[Event]:
    """The control changes of these numbers, ordered by (tick, track, file order)."""
    controls = (event for events in tracks for event in events if event.status >> 4 == 0xB and event.data[0] in numbers)
    return sorted(controls, key=lambda event: event.tick)


def _first(values: list[int], index: int) -> int | None:
    """The value at an index, or None after the last."""
    return values[index] if index < len(values) else None


def assemble(
    notes: np.ndarray, header: Header, length: int, marks: list[tuple[int, int, bytes]], counts: dict[str, int]
) -> Reading:
    """The reading from notes in any order and (tick, meta type, payload) marks in (track, file) order."""
    tempos, metres = [(0, DEFAULT_TEMPO)], [(0, *DEFAULT_METRE)]
    limit = header.limit
    for tick, kind, payload in sorted(marks, key=lambda mark: mark[0]):
        if kind == TEMPO_META and len(payload) == 3 and any(payload) and tick < limit:
            tempos.append((tick, int.from_bytes(payload, "big")))
        elif (
            kind == METRE_META
            and tick < limit
            and len(payload) >= 2
            and payload[0]
            and payload[1] <= MAX_DENOMINATOR_POWER
        ):
            metres.append((tick, payload[0], 2 ** payload[1]))
        else:
            counts["bad_marks"] += 1
    if not header.grid.is_metrical:
        tempos = [(0, tempos[1][1])] if len(tempos) > 1 else tempos
    notes, changes = canonical(notes)
    counts["merged"] += changes.merged
    counts["cut"] += changes.cut
    sequence = unchecked(
        notes, header.grid, length, tidy_marks(np.array(tempos, TEMPO)), tidy_marks(np.array(metres, METRE))
    )
    return Reading(sequence, Oddities(**counts), len(metres) > 1)
