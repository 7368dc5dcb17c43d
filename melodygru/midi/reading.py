"""The rule of reading in plain Python, and what both readers share: names, marks, the result."""

from __future__ import annotations

import errno
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, fields
from itertools import groupby, zip_longest
from pathlib import Path

import numpy as np

from melodygru.errors import MidiError
from melodygru.midi.chunks import (
    ALL_NOTES_OFF,
    ALL_SOUND_OFF,
    BANK,
    CHANNEL_PREFIX,
    DRUM_CHANNEL,
    END_OF_TRACK,
    INSTRUMENT_NAME,
    KEY_META,
    MAX_DENOMINATOR_POWER,
    MAX_TICKS,
    METRE_META,
    RESET_CONTROLLERS,
    SEQUENCER_SPECIFIC,
    SUSTAIN,
    TEMPO_META,
    TEXT_META,
    TRACK_NAME,
    Event,
    Header,
    parse_chunks,
    track_events,
)
from melodygru.midi.oddities import Oddities
from melodygru.midi.rhythm import TWICE, plays_drums, switches, written_twice
from melodygru.music.metre import DEFAULT_METRE, METRE
from melodygru.music.names import clean_name, own_names
from melodygru.music.notes import (
    DEFAULT_TEMPO,
    DRUMS,
    KEY,
    MAX_PARTS,
    MOST_FIFTHS,
    NOTE,
    TEMPO,
    NoteSequence,
    canonical,
    part_programs,
    renamed,
    tidy_marks,
    unchecked,
)
from melodygru.util.files import read_regular

MAX_FILE_BYTES = 2**22  # 4 MiB is half a million notes; what is larger is no piece of music
_TOO_LARGE = f"more than {MAX_FILE_BYTES:,} bytes: expected a MIDI file of one piece"


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
        for event in track_events(data, start, stop)
        if event.status == 0xFF and event.data[0] == TEXT_META
    ]


Line = tuple[int, int, int]  # track, channel, program: what makes a part
Label = tuple[int, int | None, int, bytes]  # track, channel if one is meant, meta type, payload: a name in a file


@dataclass(slots=True)
class Sounding:
    """A note while the reference reads: all but its end known."""

    track: int
    channel: int
    program: int
    pitch: int
    velocity: int
    onset: int
    end: int = -1
    released: tuple[int, int, int] | None = None  # of the note-off that ended it, which a pedal can outlast: tick,
    #                                               track, place in the track
    part: int = -1
    place: int = -1  # of its note-on in its track
    struck: bool = False  # whether the next note of its key ended it

    @property
    def line(self) -> Line:
        """What makes it one of its part."""
        return self.track, self.channel, self.program


def read_reference(source: Path | str | bytes) -> Reading:
    """Read a MIDI file by the rule, one event after another: the specification in code.

    Parameters, results and errors are those of `read`, to which it is the slow reference.
    """
    data = load(source)
    header = parse_chunks(data)
    counts = {item.name: 0 for item in fields(Oddities)} | header.oddities
    notes, lines, tracks, ends = sounding_notes(data, header, counts)
    rows = [(note.onset, note.end - note.onset, note.part, note.program, note.pitch, note.velocity) for note in notes]
    marks = [
        (event.tick, event.data[0], event.data[1:])
        for events in tracks
        for event in events
        if event.status == 0xFF and event.data[0] in (TEMPO_META, METRE_META, KEY_META)
    ]
    names = line_names(lines, [label for track, events in enumerate(tracks) for label in _labels(track, events)])
    return assemble(np.array(rows, NOTE), header, max(ends), marks, names, counts)


def sounding_notes(
    data: bytes, header: Header, counts: dict[str, int]
) -> tuple[list[Sounding], list[Line], list[list[Event]], list[int]]:
    """The notes of a file that the rule hears, before any are merged or cut; its lines, tracks and their last ticks.

    What is odd is added to `counts`.
    """
    limit = header.limit
    tracks: list[list[Event]] = []
    ends: list[int] = []
    offset = 0
    for start, stop in header.spans:
        events = list(track_events(data, start, stop))
        for event in events:
            event.tick = min(limit, event.tick + offset)
        end = events[-1].tick if events else min(limit, offset)
        if not (events and events[-1].status == 0xFF and events[-1].data[0] == END_OF_TRACK):
            counts["broken_tracks"] += 1
        counts["clipped"] += sum(event.clipped for event in events)
        counts["system"] += sum(event.status > 0xF0 and event.status not in (0xF7, 0xFF) for event in events)
        tracks.append(events)
        ends.append(end)
        if header.kind == 2:
            offset = end

    programs, drums = _program_changes(tracks), switches(_messages(tracks))
    notes: list[Sounding] = []
    for track, events in enumerate(tracks):
        notes += _pair_track(track, events, ends[track], limit, programs, drums, counts)
    metas = [event.data for events in tracks for event in events if event.status == 0xFF]
    if any(meta[0] == SEQUENCER_SPECIFIC and meta[1:4] == TWICE for meta in metas):
        twice = written_twice(np.array([note.channel for note in notes], int)).tolist()
        counts["doubled"] = sum(twice)
        notes = [note for note, left_out in zip(notes, twice, strict=True) if not left_out]
    lines = sorted({note.line for note in notes})
    numbers = {line: part for part, line in enumerate(lines)}
    for note in notes:
        note.part = numbers[note.line]
    _prolong(notes, tracks, counts)
    _silence(notes, tracks, counts)
    return notes, lines, tracks, ends


def _labels(track: int, events: list[Event]) -> Iterator[Label]:
    """The names in a track; one after a channel prefix, with no message of a channel between, is that channel's."""
    channel = None
    for event in events:
        if event.status < 0xF0:
            channel = None
        elif event.status == 0xFF and event.data[0] == CHANNEL_PREFIX:
            channel = event.channel + event.data[1] if len(event.data) == 2 and event.data[1] < 16 else None
        elif event.status == 0xFF and event.data[0] in (TRACK_NAME, INSTRUMENT_NAME):
            yield track, channel, event.data[0], event.data[1:]


def line_names(lines: list[Line], labels: list[Label]) -> list[str]:
    """What the file calls each of its lines, "" where it doesn't.

    A line that has its track, or in it a channel prefix, to itself is called by that name; the track's name goes
    before the instrument's, and the first of each that isn't empty holds.

    Raises
    ------
    MidiError
        There are more lines than a piece can have parts.
    """
    if len(lines) > MAX_PARTS:
        raise MidiError(f"{len(lines):,} parts: expected at most {MAX_PARTS:,} in one piece")
    if not labels:
        return [""] * len(lines)
    of_track, of_channel = Counter(track for track, *_ in lines), Counter(line[:2] for line in lines)
    found: dict[tuple[int, int | None], str] = {}
    for track, channel, _, payload in sorted(labels, key=lambda label: label[2]):
        if text := name_text(payload):
            found.setdefault((track, channel), text)
    names = []
    for track, channel, _ in lines:
        own = found.get((track, channel), "") if of_channel[track, channel] == 1 else ""
        names.append(own or (found.get((track, None), "") if of_track[track] == 1 else ""))
    return names


def name_text(payload: bytes) -> str:
    """A name in UTF-8, else in Latin-1, cleaned."""
    try:
        return clean_name(payload.decode("utf-8"))
    except UnicodeDecodeError:
        return clean_name(payload.decode("latin-1"))


def _program_changes(tracks: list[list[Event]]) -> dict[int, tuple[list[int], list[int]]]:
    """For each channel the ticks and programs of its program changes, ordered by (tick, track, file order)."""
    changes: dict[int, tuple[list[int], list[int]]] = {}
    everything = (event for events in tracks for event in events if event.status >> 4 == 0xC)
    for event in sorted(everything, key=lambda event: event.tick):
        ticks, programs = changes.setdefault(event.channel, ([], []))
        ticks.append(event.tick)
        programs.append(event.data[0])
    return changes


def _messages(tracks: list[list[Event]]) -> Iterator[tuple[int, int, int, bytes]]:
    """What says whether a channel plays drums, ordered by (tick, track, file order)."""
    everything = (event for events in tracks for event in events)
    for event in sorted(everything, key=lambda event: event.tick):
        if event.status in (0xF0, *range(0xC0, 0xD0)) or event.status >> 4 == 0xB and event.data[0] == BANK:
            yield event.tick, event.channel, event.status, event.data


def _pair_track(
    track: int,
    events: list[Event],
    end: int,
    limit: int,
    changes: dict[int, tuple[list[int], list[int]]],
    drums: dict[int, tuple[np.ndarray, np.ndarray]],
    counts: dict[str, int],
) -> list[Sounding]:
    """The notes of one track, those of no length dropped."""
    keys: dict[tuple[int, int], list[int]] = {}  # of each channel and pitch, the places of its note-ons and note-offs
    program_at: dict[int, int | None] = {}  # of each note-on, the program that its own track has set before it
    programs: dict[int, int] = {}
    for index, event in enumerate(events):
        if event.status >> 4 == 0xC:
            programs[event.channel] = event.data[0]
        elif _is_note_on(event):
            if event.tick >= limit:
                counts["beyond_limit"] += 1
                continue
            program_at[index] = programs.get(event.channel)
            keys.setdefault((event.channel, event.data[0]), []).append(index)
        elif _is_note_off(event):
            keys.setdefault((event.channel, event.data[0]), []).append(index)
    notes: list[Sounding] = []
    for (channel, pitch), places in keys.items():
        off_of, order = _pair_key(events, places, counts)
        struck = [index for index in order if index in program_at]
        for index, after in zip_longest(struck, struck[1:]):
            onset, velocity = events[index].tick, events[index].data[1]
            program = program_at[index]
            if channel in drums and plays_drums(drums, np.array([channel]), np.array([onset]))[0]:
                program = DRUMS
            elif channel not in drums and channel % 16 == DRUM_CHANNEL:
                program = DRUMS
            elif program is None:
                ticks, values = changes.get(channel, ([], []))
                at = bisect_right(ticks, onset)
                program = values[at - 1] if at else 0
            note = Sounding(track, channel, program, pitch, velocity, onset, end, place=index)
            off = off_of.get(index)
            if after is not None and (off is None or events[after].tick < events[off].tick):
                note.end, note.struck = events[after].tick, True
                counts["restruck"] += note.end > onset
            elif off is None:
                counts["hanging"] += 1
            else:
                note.end = events[off].tick
                note.released = (note.end, track, off)
            if note.end == onset and program == DRUMS:
                note.end += 1
                counts["strokes"] += 1
            if note.end > onset:
                notes.append(note)
            else:
                counts["zero_length"] += 1
    return notes


def _pair_key(events: list[Event], places: list[int], counts: dict[str, int]) -> tuple[dict[int, int], list[int]]:
    """Which note-off ends which note-on of a key, by places in the track; and the order in which all are taken."""
    order: list[int] = []
    depths: list[int] = []  # how many notes sound after each
    depth = 0
    for _, group in groupby(places, key=lambda index: events[index].tick):
        together = list(group)
        first_off = next((at for at, index in enumerate(together) if _is_note_off(events[index])), None)
        if depth and first_off is not None:
            together.insert(0, together.pop(first_off))
        for index in together:
            if _is_note_off(events[index]) and not depth:
                counts["stray_note_offs"] += 1
                continue
            depth += 1 if _is_note_on(events[index]) else -1
            order.append(index)
            depths.append(depth)
    closed = max((at + 1 for at, depth in enumerate(depths) if depth == 0), default=0)
    sounding: list[int] = []
    off_of: dict[int, int] = {}
    for at, index in enumerate(order):
        if _is_note_on(events[index]):
            sounding.append(index)
        else:
            off_of[sounding.pop(0 if at < closed else -1)] = index
    return off_of, order


def _is_note_on(event: Event) -> bool:
    return event.status >> 4 == 0x9 and event.data[1] > 0


def _is_note_off(event: Event) -> bool:
    return event.status >> 4 == 0x8 or event.status >> 4 == 0x9 and event.data[1] == 0


def _prolong(notes: list[Sounding], tracks: list[list[Event]], counts: dict[str, int]) -> None:
    """Let the pedal hold the notes that were released while it was down."""
    pedals: dict[int, list[tuple[tuple[int, int, int], bool]]] = {}  # of each channel when it goes down or up
    for track, events in enumerate(tracks):
        for index, event in enumerate(events):
            if event.status >> 4 == 0xB and event.data[0] in (SUSTAIN, RESET_CONTROLLERS):
                down = event.data[0] == SUSTAIN and event.data[1] >= 64
                pedals.setdefault(event.channel, []).append(((event.tick, track, index), down))
    strikes: dict[tuple[int, int], list[int]] = {}  # of each part's pitch
    for note in sorted(notes, key=lambda note: note.onset):
        strikes.setdefault((note.part, note.pitch), []).append(note.onset)
    last = max((note.end for note in notes), default=0)
    for channel, moments in pedals.items():
        moments.sort()
        places = [place for place, _ in moments]
        ups = [place for place, down in moments if not down]
        for note in notes:
            if note.released is None or note.program == DRUMS or note.channel != channel:
                continue
            at = bisect_left(places, note.released) - 1
            if at < 0 or not moments[at][1]:
                continue
            up = bisect_left(ups, note.released)
            struck = _first(strikes[note.part, note.pitch], bisect_left(strikes[note.part, note.pitch], note.end))
            until = min(ups[up][0] if up < len(ups) else last, MAX_TICKS if struck is None else struck)
            if until > note.end:
                note.end = until
                counts["pedalled"] += 1


def _silence(notes: list[Sounding], tracks: list[list[Event]], counts: dict[str, int]) -> None:
    """End the notes that an all-sound-off or all-notes-off of their channel meets."""
    silences: dict[int, list[int]] = {}
    for event in _controls(tracks, (ALL_SOUND_OFF, ALL_NOTES_OFF)):
        silences.setdefault(event.channel, []).append(event.tick)
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
    notes: np.ndarray,
    header: Header,
    length: int,
    marks: list[tuple[int, int, bytes]],
    names: list[str],
    counts: dict[str, int],
) -> Reading:
    """The reading from notes in any order, (tick, meta type, payload) marks in (track, file) order, names of parts."""
    tempos, metres = [(0, DEFAULT_TEMPO)], [(0, *DEFAULT_METRE)]
    keys: list[tuple[int, int, int]] = []
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
        elif kind == KEY_META and tick < limit and _is_key(payload):
            if not keys or keys[-1][0] < tick:
                keys.append((tick, (payload[0] + 128) % 256 - 128, payload[1]))
        else:
            counts["bad_marks"] += 1
    if not header.grid.is_metrical:
        tempos = [(0, tempos[1][1])] if len(tempos) > 1 else tempos
    called = renamed(names, notes) if any(names) else ()
    notes, changes = canonical(notes)
    called = own_names(part_programs(notes).tolist(), called) if called else ()
    counts["merged"] += changes.merged
    counts["cut"] += changes.cut
    length = max(length, int((notes["onset"] + notes["duration"]).max(initial=0)))
    sequence = unchecked(
        notes,
        header.grid,
        length,
        tidy_marks(np.array(tempos, TEMPO)),
        tidy_marks(np.array(metres, METRE)),
        called,
        tidy_marks(np.array(keys, KEY)),
    )
    return Reading(sequence, Oddities(**counts), len(metres) > 1)


def _is_key(payload: bytes) -> bool:
    """Whether a key signature's bytes are one: -7..7 sharps in two's complement, and 0 or 1 for minor."""
    return len(payload) == 2 and (payload[0] + MOST_FIFTHS) % 256 <= 2 * MOST_FIFTHS and payload[1] <= 1
