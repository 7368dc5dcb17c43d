"""The bytes of a MIDI file: its header, its tracks, and the events of a track."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from melodygru.errors import MidiError
from melodygru.music.grid import Grid
from melodygru.util.wording import counted

MAX_TICKS = 2**27  # 134 million: 38 hours at 480 ticks per beat and 120 qpm
MAX_BEATS = 2**20  # 145 hours at 120 qpm; the smaller limit holds when a beat has few ticks
MAX_TRACKS = 65_535  # what a header can claim
DRUM_CHANNEL = 9
PREAMBLE_BYTES = 4096  # how far into a file the header may begin (RIFF wrappers, MacBinary headers)

SUSTAIN, ALL_SOUND_OFF, RESET_CONTROLLERS, ALL_NOTES_OFF = 64, 120, 121, 123
TEXT_META, TEMPO_META, METRE_META, END_OF_TRACK = 0x01, 0x51, 0x58, 0x2F
TRACK_NAME, INSTRUMENT_NAME, CHANNEL_PREFIX, PORT = 0x03, 0x04, 0x20, 0x21
MAX_DENOMINATOR_POWER = 7  # 2**7: metres up to x/128


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
    channel: int  # 16 for each port; of other events than those of a channel, the first of the port


class _Broken(Exception):
    """The track can't be read on."""


def track_events(body: bytes) -> Iterator[Event]:
    """The events of a track chunk; ends after end_of_track, or where the bytes make no sense."""
    tick, position, running, port = 0, 0, 0, 0
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
            if status == 0xFF and data[0] == PORT and len(data) == 2:
                port = data[1]
            yield Event(tick, status, data, 16 * port + (status & 15 if status < 0xF0 else 0))
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
