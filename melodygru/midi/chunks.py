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

BANK, SUSTAIN, ALL_SOUND_OFF, RESET_CONTROLLERS, ALL_NOTES_OFF = 0, 64, 120, 121, 123
TEXT_META, LYRIC, TEMPO_META, METRE_META, KEY_META, END_OF_TRACK = 0x01, 0x05, 0x51, 0x58, 0x59, 0x2F
TRACK_NAME, INSTRUMENT_NAME, CHANNEL_PREFIX, PORT, SEQUENCER_SPECIFIC = 0x03, 0x04, 0x20, 0x21, 0x7F
SYSTEM_BYTES = {0xF1: 1, 0xF2: 2, 0xF3: 1}  # after the status of system messages; after that of others none
MAX_DENOMINATOR_POWER = 7  # 2**7: metres up to x/128


@dataclass(frozen=True)
class Header:
    """What the header chunk says, and where the bodies of the track chunks lie."""

    kind: int  # 0, 1 or 2
    grid: Grid
    spans: list[tuple[int, int]]  # of each track, the bytes [start, end)
    oddities: dict[str, int]  # what of `Oddities` is known by now

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
    start = header_start(data)
    if start < 0:
        raise MidiError(f"not a MIDI file: begins with {data[:4]!r}, expected b'MThd'")
    if len(data) < start + 14:
        raise MidiError(f"truncated header: {counted(len(data) - start, 'byte')}, expected at least 14")
    size, kind, n_tracks, division = struct.unpack_from(">IHHH", data, start + 4)
    if size < 6:
        raise MidiError(f"header of {size} bytes: expected at least 6")
    grid = _division_grid(division)
    spans: list[tuple[int, int]] = []
    misstated, boundaries = 0, {len(data): True}
    position = start + 8 + size
    while position + 8 <= len(data) and len(spans) < MAX_TRACKS:
        begin, end = position + 8, _chunk_end(data, position)
        if data.startswith(b"MTrk", position):
            end, repaired = _track_end(data, begin, end, boundaries)
            spans.append((begin, end))
            misstated += repaired
        elif not (_has_name(data, position) and _is_boundary(data, end, boundaries)):
            end = data.find(b"MTrk", position + 1)
            if end < 0:
                break
        position = end
    if not spans:
        raise MidiError("no track in the file: it is truncated or damaged")
    oddities = {"misstated_lengths": misstated, "miscounted_tracks": abs(n_tracks - len(spans))}
    return Header(kind if kind <= 2 else 1, grid, spans, oddities | {"unknown_type": int(kind > 2)})


def header_start(data: bytes) -> int:
    """Where the header chunk begins, -1 if nowhere: in the data chunk of a RIFF file, else near the file's start."""
    if data[:4] == b"RIFF" and data[8:12] == b"RMID":
        position = 12
        while position + 8 <= len(data):
            if data.startswith(b"data", position):
                return data.find(b"MThd", position + 8)
            size = int.from_bytes(data[position + 4 : position + 8], "little")
            position += 8 + size + size % 2
    return data.find(b"MThd", 0, PREAMBLE_BYTES)


def _has_name(data: bytes, position: int) -> bool:
    """Whether the four characters of a chunk's name stand at a position."""
    name = data[position : position + 4]
    return len(name) == 4 and name.isascii() and name.decode("ascii").isprintable()


def _chunk_end(data: bytes, position: int) -> int:
    """Where the chunk that begins at a position says that it ends."""
    return position + 8 + int.from_bytes(data[position + 4 : position + 8], "big")


def _is_boundary(data: bytes, position: int, known: dict[int, bool]) -> bool:
    """Whether a chunk can end at a position: the file does, or a track begins, or another chunk that itself ends so."""
    chain = []
    while position not in known:
        chain.append(position)
        if data.startswith(b"MTrk", position):
            known[position] = True
        elif position + 8 > len(data) or not _has_name(data, position):
            known[position] = False
        else:
            position = _chunk_end(data, position)
    known.update(dict.fromkeys(chain, known[position]))
    return known[position]


def _track_end(data: bytes, begin: int, claimed: int, boundaries: dict[int, bool]) -> tuple[int, bool]:
    """Where the body of a track really ends, and whether its chunk says something else.

    The chunk is believed where a chunk can end there and no other track begins inside. Otherwise the track goes to its
    end_of_track, to a track that begins where one of its events would, or, where its bytes make no sense, to the next
    ``MTrk``. The bytes walked through lie in the track, so that all tracks together are walked through once.
    """
    believed = _is_boundary(data, claimed, boundaries)
    if believed and data.find(b"MTrk", begin, claimed) < 0:
        return claimed, False
    position = begin
    for event in track_events(data, begin, claimed if believed else len(data)):
        position = event.stop
        next_track = data.startswith(b"MTrk", position)
        if event.status == 0xFF and event.data[0] == END_OF_TRACK:
            # bytes after the end of a track are passed over, if its chunk ends properly
            return (claimed, False) if believed and not next_track else (position, position != claimed)
        if next_track:
            return position, position != claimed
    if believed:
        return claimed, False
    end = data.find(b"MTrk", position)
    return (end, end != claimed) if end >= 0 else (max(position, min(claimed, len(data))), False)


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
    data: bytes  # of a channel's message clipped to 127
    channel: int  # 16 for each port; of other events than those of a channel, the first of the port
    stop: int  # where the bytes of the event end
    clipped: bool = False


class Broken(Exception):
    """The track can't be read on."""


def track_events(data: bytes, position: int, stop: int) -> Iterator[Event]:
    """The events in the bytes [position, stop) of a track; ends after end_of_track, or where they make no sense."""
    tick, running, port = 0, 0, 0
    try:
        while position < stop:
            delta, position = variable_length(data, position)
            if position >= stop:
                return
            status, clipped = data[position], False
            if status == 0xFF:
                size, start = variable_length(data, position + 2)
                if start + size > stop:
                    return
                payload = data[position + 1 : position + 2] + data[start : start + size]
                position = start + size
            elif status in (0xF0, 0xF7):
                size, start = variable_length(data, position + 1)
                if start + size > stop:
                    return
                payload = data[start : start + size]
                position = start + size
            elif status > 0xF0:
                payload = b""
                position += 1 + SYSTEM_BYTES.get(status, 0)
            else:
                if status < 0x80:
                    status = running
                else:
                    position += 1
                if status < 0x80:
                    return
                running = status
                size = 1 if 0xC0 <= status < 0xE0 else 2
                payload = data[position : position + size]
                position += size
                clipped = any(byte > 127 for byte in payload)
                payload = bytes(min(byte, 127) for byte in payload)
            if position > stop:
                return
            tick += delta
            if status == 0xFF and payload[0] == PORT and len(payload) == 2:
                port = payload[1]
            channel = 16 * port + (status & 15 if status < 0xF0 else 0)
            yield Event(tick, status, payload, channel, position, clipped)
            if status == 0xFF and payload[0] == END_OF_TRACK:
                return
    except Broken:
        return


def variable_length(body: bytes, position: int) -> tuple[int, int]:
    """A variable-length quantity of at most four bytes, and the position after it."""
    value = 0
    for at in range(position, min(position + 4, len(body))):
        value = value << 7 | body[at] & 0x7F
        if body[at] < 0x80:
            return value, at + 1
    raise Broken
