"""A MIDI file whose notes are exchanged, while every other message in it stays as it is.

Bytes are copied, not written anew: each event that stays keeps its tick and its bytes, but that a status byte which it
shared with the event before is spelled out. Chunks that are no tracks, and bytes after the end of a track, are left
out.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import fields
from functools import cached_property
from typing import NamedTuple

import numpy as np

from melodygru.errors import MidiError
from melodygru.midi.chunks import (
    DRUM_CHANNEL,
    END_OF_TRACK,
    PORT,
    SUSTAIN,
    TEMPO_META,
    TEXT_META,
    TRACK_NAME,
    Event,
    header_start,
    parse_chunks,
    variable_length,
)
from melodygru.midi.formats import read
from melodygru.midi.oddities import Oddities
from melodygru.midi.reading import Line, load, sounding_notes
from melodygru.midi.writing import MELODIC_CHANNELS
from melodygru.music.names import program_name
from melodygru.music.notes import DRUMS, NOTE, note_keys, part_order

Key = tuple[int, int, int]  # track, channel (16 for each port), pitch: what a note-off ends
_OFF, _AS_IT_WAS, _ON = range(3)  # the order at one tick: a note that ends there is over when another begins
_MOST_PORTS = 8


class Pedal(NamedTuple):
    """A sustain pedal of a part's channel that goes down and up, in ticks."""

    part: int
    down: int
    up: int


class Editor:
    """The notes of a MIDI file, and what writes the file with others in their place.

    Parameters
    ----------
    source : the file, or its bytes

    Attributes
    ----------
    reading : Reading, as `midi.read` gives it

    Raises
    ------
    MidiError
        It is no MIDI file, or one of type 2, whose tracks follow one another.
    """

    def __init__(self, source: bytes) -> None:
        self._data = load(source)
        header = parse_chunks(self._data)
        if header.kind == 2:
            raise MidiError("a file of type 2, whose tracks follow one another: expected one of type 0 or 1")
        self.reading = read(self._data)
        counts = {item.name: 0 for item in fields(Oddities)}
        self._notes, lines, self._tracks, _ = sounding_notes(self._data, header, counts)
        rows = np.zeros(len(self._notes), NOTE)
        for name in ("onset", "part", "program", "pitch"):
            rows[name] = [getattr(note, name) for note in self._notes]
        order = part_order(rows)
        self._lines: list[Line] = [lines[part] for part in order]
        rows["part"] = np.argsort(order)[rows["part"]] if len(order) else 0
        self._of = np.searchsorted(note_keys(self.reading.sequence.notes), note_keys(rows))  # two can be one note
        self._starts = [start for start, _ in header.spans]

    @property
    def lines(self) -> list[Line]:
        """The track, channel (16 for each port) and program of each part."""
        return list(self._lines)

    def in_file_order(self) -> list[int]:
        """The parts by track, channel and program."""
        return sorted(range(len(self._lines)), key=self._lines.__getitem__)

    @property
    def channels(self) -> np.ndarray:
        """The channel of each part, 16 for each port; shape (n_parts,)."""
        return np.array([channel for _, channel, _ in self._lines], np.int64)

    def exchange(
        self,
        stays: np.ndarray,
        added: np.ndarray,
        *,
        pedals: Sequence[Pedal] | None = None,
        tempos: Sequence[tuple[int, int]] | None = None,
    ) -> bytes:
        """The file without some of its notes and with others.

        Parameters
        ----------
        stays : array, shape (n,), bool: for each note of `reading` whether it is kept
        added : array, dtype NOTE, in ticks: numbers of parts are those of `reading`, and one for each part more; a note
            that would begin while a kept one of its channel and pitch sounds comes after it, or, if nothing is left of
            it, not at all; none sounds on where one is struck
        pedals : in place of the file's; default: those
        tempos : ticks, and microseconds per quarter note from there on, in place of the file's; default: those

        Returns
        -------
        data : bytes
            Read again, the kept notes are what they were, but where a note that goes would have ended one that is held
            by the pedal.
        """
        lines, headings = self._with_new_parts(added)
        by_key: dict[Key, list[np.void]] = defaultdict(list)
        for note in added:
            track, channel, _ = lines[note["part"]]
            by_key[track, channel, int(note["pitch"])].append(note)
        changed = set(by_key)
        goes = ~stays[self._of]
        changed |= {_key(note) for note, gone in zip(self._notes, goes.tolist(), strict=True) if gone}
        keep: set[tuple[int, int]] = set()  # track and place of what stays of the keys that change
        sounding: dict[Key, list[tuple[int, int]]] = defaultdict(list)
        new: dict[int, list[tuple[int, int, bytes]]] = defaultdict(list, headings)
        for note, gone in zip(self._notes, goes.tolist(), strict=True):
            key = _key(note)
            if gone or key not in changed:
                continue
            keep.add((note.track, note.place))
            sounding[key].append((note.onset, note.end))
            if note.released is not None:
                keep.add(note.released[1:])
            elif note.struck:  # by a note that may go
                new[note.track].append((note.end, _OFF, bytes([0x80 | note.channel & 15, note.pitch, 64])))
        for key, notes in by_key.items():
            for note, onset, end in _fitted(notes, sounding[key]):
                track, channel, pitch = key
                nibble = channel & 15
                new[track].append((end, _OFF, bytes([0x80 | nibble, pitch, 64])))
                message = bytes([0x90 | nibble, pitch, int(note["velocity"])])
                program = lines[note["part"]][2]
                in_force = self._program_at(track, channel, onset) if track < len(self._tracks) else program
                if program not in (DRUMS, in_force):
                    message = (
                        bytes([0xC0 | nibble, program]) + b"\0" + message + b"\0" + bytes([0xC0 | nibble, in_force])
                    )
                new[track].append((onset, _ON, message))

        for pedal in pedals or ():
            track, channel, _ = lines[pedal.part]
            for tick, value in ((pedal.down, 127), (pedal.up, 0)):
                new[track].append((tick, _OFF, bytes([0xB0 | channel & 15, SUSTAIN, value])))
        for tick, tempo in tempos or ():
            new[0].append((tick, _OFF, _meta(TEMPO_META, tempo.to_bytes(3, "big"))))

        def stays_as_it_was(track: int, place: int, event: Event) -> bool:
            if pedals is not None and event.status >> 4 == 0xB and event.data[0] == SUSTAIN:
                return False
            if tempos is not None and event.status == 0xFF and event.data[0] == TEMPO_META:
                return False
            is_note = event.status >> 4 in (8, 9)
            return not is_note or (track, event.channel, event.data[0]) not in changed or (track, place) in keep

        return self._written(new, stays_as_it_was)

    def with_text(self, text: str, mark: str) -> bytes:
        """The file with a text event at its beginning, in place of those that begin with `mark`."""
        prefix = bytes([TEXT_META]) + mark.encode()

        def stays(_: int, __: int, event: Event) -> bool:
            return event.status != 0xFF or not event.data.startswith(prefix)

        return self._written({0: [(0, _OFF, _meta(TEXT_META, text.encode()))]}, stays)

    def with_program(self, part: int, program: int) -> bytes:
        """The file with a part on another program; neither is that of drums.

        Its program changes are exchanged. Where other parts would change with it, it goes to a track of its own.
        """
        track, channel, before = self._lines[part]
        nibble = channel & 15

        def stays(_: int, __: int, event: Event) -> bool:
            return event.status >> 4 != 0xC or event.channel != channel or event.data[0] != before

        change = bytes([0xC0 | nibble, program])
        new: dict[int, list[tuple[int, int, bytes]]] = defaultdict(list)
        for of, (ticks, programs) in self._program_changes.get(channel, {}).items():
            new[of] += [(tick, _OFF, change) for tick, one in zip(ticks, programs, strict=True) if one == before]
        if not any(new.values()):
            new[track].append((0, _OFF, change))
        data = self._written(new, stays)
        expected = sorted((program if at == part else line[2]) for at, line in enumerate(self._lines))
        if DRUMS not in (before, program) and sorted(line[2] for line in Editor(data).lines) == expected:
            return data
        notes = self.reading.sequence.notes
        of_part = notes["part"] == part
        moved = notes[of_part].copy()
        moved["part"], moved["program"] = len(self._lines), program
        return self.exchange(~of_part, moved)

    def with_name(self, part: int, name: str) -> bytes:
        """The file with another name of the track that a part stands on alone; else the same file."""
        track = self._lines[part][0]
        if sum(line[0] == track for line in self._lines) > 1 or parse_chunks(self._data).kind == 0:
            return self._data

        def stays(of: int, _: int, event: Event) -> bool:
            return of != track or event.status != 0xFF or event.data[0] != TRACK_NAME

        return self._written({track: [(0, _OFF, _meta(TRACK_NAME, name.encode()))]}, stays)

    # -- tracks

    def _with_new_parts(self, added: np.ndarray) -> tuple[list[Line], dict[int, list[tuple[int, int, bytes]]]]:
        """The lines of all parts, and what the tracks of the new ones begin with."""
        lines = list(self._lines)
        first, most = len(lines), int(added["part"].max(initial=-1)) + 1
        headings: dict[int, list[tuple[int, int, bytes]]] = {}
        taken = {event.channel for events in self._tracks for event in events if event.status < 0xF0}
        header = parse_chunks(self._data)
        free = [16 * port + channel for port in range(_MOST_PORTS) for channel in MELODIC_CHANNELS]
        free = [channel for channel in free if channel not in taken]
        for part in range(first, most):
            program = int(added["program"][added["part"] == part][0]) if np.any(added["part"] == part) else 0
            alone = header.kind == 0
            track = 0 if alone else len(self._tracks) + part - first
            channel = DRUM_CHANNEL
            if program != DRUMS:
                if not free or (alone and free[0] > 15):
                    raise MidiError("no channel is left for a part more: expected a file of fewer parts")
                channel = free.pop(0)
            lines.append((track, channel, program))
            start = headings.setdefault(track, [])
            if not alone:
                name = "Drums" if program == DRUMS else program_name(program)
                start.append((0, _OFF, _meta(TRACK_NAME, name.encode())))
                if channel > 15:
                    start.append((0, _OFF, _meta(PORT, bytes([channel // 16]))))
            if program != DRUMS:
                start.append((0, _OFF, bytes([0xC0 | channel & 15, program])))
        return lines, headings

    def _program_at(self, track: int, channel: int, tick: int) -> int:
        """The program in force on a channel after all that its track says at a tick."""
        of_channel = self._program_changes.get(channel, {})
        ticks, programs = of_channel.get(track, ([], []))
        if at := bisect_right(ticks, tick):
            return programs[at - 1]
        before = [
            (ticks[at - 1], of, programs[at - 1])
            for of, (ticks, programs) in of_channel.items()
            if (at := bisect_right(ticks, tick))
        ]
        return max(before)[2] if before else 0

    @cached_property
    def _program_changes(self) -> dict[int, dict[int, tuple[list[int], list[int]]]]:
        """For each channel, and each track, the ticks and programs of its program changes."""
        found: dict[int, dict[int, tuple[list[int], list[int]]]] = {}
        for track, events in enumerate(self._tracks):
            for event in events:
                if event.status >> 4 == 0xC:
                    ticks, programs = found.setdefault(event.channel, {}).setdefault(track, ([], []))
                    ticks.append(event.tick)
                    programs.append(event.data[0])
        return found

    def _raw(self, track: int) -> Iterator[tuple[Event, bytes]]:
        """The events of a track, each with its bytes."""
        position = self._starts[track]
        for event in self._tracks[track]:
            _, at = variable_length(self._data, position)
            raw = self._data[at : event.stop]
            yield event, raw if raw[0] >= 0x80 else bytes([event.status]) + raw
            position = event.stop

    def _written(self, new: dict[int, list[tuple[int, int, bytes]]], stays) -> bytes:
        """The file with what is new in its tracks; `stays(track, place, event)` says what else is in it."""
        bodies = []
        for track in range(max(len(self._tracks), *(at + 1 for at in new), 1)):
            messages, end = [(tick, order, 0, raw) for tick, order, raw in new.get(track, ())], 0
            for place, (event, raw) in enumerate(self._raw(track) if track < len(self._tracks) else ()):
                end = max(end, event.tick)
                if event.status == 0xFF and event.data[0] == END_OF_TRACK:
                    continue
                if stays(track, place, event):
                    messages.append((event.tick, _AS_IT_WAS, place, raw))
            messages.sort(key=lambda message: message[:3])
            body, last = bytearray(), 0
            for tick, _, _, raw in messages:
                body += _quantity(tick - last) + raw
                last = tick
            bodies.append(bytes(body + _quantity(max(0, end - last)) + b"\xff\x2f\0"))
        start = header_start(self._data)
        kind = 1 if len(bodies) > 1 else parse_chunks(self._data).kind
        head = b"MThd" + struct.pack(">IHH", 6, kind, len(bodies)) + self._data[start + 12 : start + 14]
        return head + b"".join(b"MTrk" + struct.pack(">I", len(body)) + body for body in bodies)


def _key(note) -> Key:
    return note.track, note.channel, note.pitch


def _fitted(notes: Sequence[np.void], kept: Sequence[tuple[int, int]]) -> Iterator[tuple[np.void, int, int]]:
    """Notes of one key with onset and end, so that none overlaps a kept one or the next."""
    starts = sorted({onset for onset, _ in kept})
    notes = sorted(notes, key=lambda note: int(note["onset"]))
    reached = 0
    for at, note in enumerate(notes):
        onset, end = max(int(note["onset"]), reached), int(note["onset"] + note["duration"])
        for first, after in sorted(kept):
            if first <= onset < after:
                onset = after
        later = bisect_right(starts, onset)
        limits = starts[later : later + 1] + [int(other["onset"]) for other in notes[at + 1 : at + 2]]
        end = min([end, *(limit for limit in limits if limit > onset)])
        if end > onset:
            reached = end
            yield note, onset, end


def _meta(kind: int, data: bytes) -> bytes:
    """A meta event."""
    return bytes([0xFF, kind]) + _quantity(len(data)) + data


def _quantity(value: int) -> bytes:
    """A variable-length quantity."""
    found = [value & 0x7F]
    while value := value >> 7:
        found.append(0x80 | value & 0x7F)
    return bytes(reversed(found))


__all__ = ["Editor", "Pedal"]
