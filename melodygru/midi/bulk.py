"""The rule of reading, vectorised over the bytes of a file: no Python per note."""

from __future__ import annotations

from dataclasses import fields

import numpy as np

from melodygru.midi.chunks import (
    ALL_NOTES_OFF,
    ALL_SOUND_OFF,
    CHANNEL_PREFIX,
    DRUM_CHANNEL,
    END_OF_TRACK,
    INSTRUMENT_NAME,
    MAX_TICKS,
    METRE_META,
    PORT,
    RESET_CONTROLLERS,
    SUSTAIN,
    TEMPO_META,
    TRACK_NAME,
    Header,
    parse_chunks,
    variable_length,
)
from melodygru.midi.reading import Label, Line, Oddities, Reading, assemble, line_names, read_reference
from melodygru.music.notes import DRUMS, N_PITCHES, N_PROGRAMS, NOTE

SPAN = 2 * MAX_TICKS  # sorts (group, tick) pairs as group * SPAN + tick
METAS = (TRACK_NAME, INSTRUMENT_NAME, CHANNEL_PREFIX, PORT, END_OF_TRACK, TEMPO_META, METRE_META)  # that are read
PADDING = 16  # zero bytes after the file, so that looking ahead needs no bounds

# Bytes from a status byte (or, in running status, from the first of two data bytes) to the event's end. Meta events
# and system exclusive messages carry their length; other system messages may not stand in a file (0).
EVENT_BYTES = bytes([2] * 0x80 + [3] * 0x40 + [2] * 0x20 + [3] * 0x10 + [0] * 0x10)


def read(data: bytes) -> Reading:
    """Read a MIDI file's bytes by the rule in `melodygru.midi`'s docstring: notes in ticks, and what was odd.

    Raises
    ------
    MidiError
        They are no MIDI file, or hold no track.
    """
    header = parse_chunks(data)
    reading = read_undamaged(data, header)
    return read_reference(data) if reading is None else reading


def _event_starts(data: np.ndarray, quantity_bytes: np.ndarray, header: Header) -> tuple[np.ndarray, np.ndarray] | None:
    """Where each event's delta time begins, and the number of events of each track; None unless all are whole.

    `data` is padded. For every byte of the file, as if an event began there, where the next one begins is known at
    once; following these links from each track's first byte, eight at a time, finds the events.
    """
    size = len(data) - PADDING
    after = np.arange(len(data))  # where an event ends whose status byte (or first data byte) stands here
    after += np.frombuffer(data.tobytes().translate(EVENT_BYTES), np.uint8)
    statuses = np.flatnonzero(data[:size] >= 0xF0)
    kinds = data[statuses]
    lengths = statuses + 1 + (kinds == 0xFF)
    value = _quantities(data, quantity_bytes, lengths)
    carry = (kinds == 0xFF) | (kinds == 0xF0) | (kinds == 0xF7)
    last = (kinds == 0xFF) & (data[statuses + 1] == END_OF_TRACK)
    ends = lengths + quantity_bytes[lengths] + value
    after[statuses] = np.where(carry & ~last & (quantity_bytes[lengths] > 0), np.minimum(ends, size), size)
    links = np.full(len(data), size)  # where an event ends whose delta time begins here
    links[: size - 1] = after[1:size]
    for width in (2, 3, 4):
        wide = np.flatnonzero(quantity_bytes[:size] == width)
        links[wide] = after[wide + width]
    links[np.flatnonzero(quantity_bytes[:size] == 0)] = size
    np.minimum(links, size, out=links)
    two = links.take(links)
    four = two.take(two)
    stride = four.take(four).data
    found: list[np.ndarray] = []
    for start, stop in header.spans:
        walk, at = [], start
        while at < stop:
            walk.append(at)
            at = stride[at]
        starts = np.array(walk, np.int64)
        for step in (four, two, links):
            pairs = np.empty((len(starts), 2), np.int64)
            pairs[:, 0], pairs[:, 1] = starts, step.take(starts)
            starts = pairs.ravel()
        starts = starts[: np.searchsorted(starts, stop)]
        if len(starts) == 0 or not _ends_track(data, quantity_bytes, int(starts[-1]), stop):
            return None
        found.append(starts)
    return np.concatenate(found), np.array([len(starts) for starts in found])


def _ends_track(data: np.ndarray, quantity_bytes: np.ndarray, start: int, stop: int) -> bool:
    """Whether a whole end_of_track event begins at `start`, in a chunk that ends at `stop`."""
    status = start + int(quantity_bytes[start])
    if quantity_bytes[start] == 0 or data[status] != 0xFF or data[status + 1] != END_OF_TRACK:
        return False
    width = int(quantity_bytes[status + 2])
    value = int(_quantities(data, quantity_bytes, np.array([status + 2]))[0])
    return width > 0 and status + 2 + width + value <= stop


def _quantity_bytes(data: np.ndarray) -> np.ndarray:
    """How many bytes a variable-length quantity has that begins at each byte: 1..4, or 0 when it does not end."""
    high = (data >= 0x80).view(np.uint8)
    two = high[:-1] & high[1:]
    three = two[:-1] & high[2:]
    width = high + np.uint8(1)
    width[:-1] += two
    width[:-2] += three
    width[np.flatnonzero(three[:-1] & high[3:])] = 0
    return width


def _quantities(data: np.ndarray, quantity_bytes: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """The variable-length quantities that begin at `starts`; dtype int64."""
    values = data[starts].astype(np.int64) & 0x7F
    more = np.flatnonzero(quantity_bytes[starts] > 1)
    for position in range(1, 4):
        more = more[quantity_bytes[starts[more]] > position]
        values[more] = values[more] << 7 | data[starts[more] + position] & 0x7F
    return values


def read_undamaged(data: bytes, header: Header) -> Reading | None:
    """The reading of a file whose tracks are all whole; None if one is not, or has running status of one data byte.

    What it returns None for is rare, and left to `read_reference`.
    """
    padded = np.zeros(len(data) + PADDING, np.uint8)
    padded[: len(data)] = np.frombuffer(data, np.uint8)
    quantity_bytes = _quantity_bytes(padded)
    found = _event_starts(padded, quantity_bytes, header)
    if found is None:
        return None
    starts, track_sizes = found
    n_events = len(starts)
    track = np.repeat(np.arange(len(track_sizes)), track_sizes)
    lasts = np.cumsum(track_sizes) - 1
    firsts = lasts + 1 - track_sizes

    ticks = np.cumsum(_quantities(padded, quantity_bytes, starts))
    if header.kind != 2:
        before = np.concatenate([[0], ticks[lasts[:-1]]])
        ticks -= np.repeat(before, track_sizes)
    limit = header.limit
    ticks = np.minimum(ticks, limit)
    track_ends = ticks[lasts]

    at = starts + quantity_bytes[starts]
    status = padded[at]
    running = status < 0x80
    if running.any():
        is_whole = (status >= 0x80) & (status < 0xF0)
        source = np.maximum.accumulate(np.where(is_whole, np.arange(n_events), -1))
        status = np.where(running, status[source], status)
        if np.any(running & ((source < firsts[track]) | ((status >= 0xC0) & (status < 0xE0)))):
            return None
    at_data = at + ~running
    first, second = padded[at_data], padded[at_data + 1]
    is_channel = status < 0xF0
    if np.any(is_channel & ((first > 127) | ((second > 127) & ((status < 0xC0) | (status >= 0xE0))))):
        return None
    counts = {item.name: 0 for item in fields(Oddities)}
    others = np.flatnonzero(~is_channel)
    marks, labels, ports = _metas(data, others, at[others], ticks[others], track[others])
    channel, n_channels = status & 15, 16
    if ports:
        port = np.zeros(n_events, np.int64)
        for event, number in ports:
            port[event : lasts[track[event]] + 1] = number
        channel = port * 16 + channel
        n_channels = 16 * 256

    chosen = np.flatnonzero(status < 0xA0)
    is_on = (status[chosen] >= 0x90) & (second[chosen] > 0)
    beyond = is_on & (ticks[chosen] >= limit)
    if beyond.any():
        counts["beyond_limit"] = int(beyond.sum())
        chosen, is_on = chosen[~beyond], is_on[~beyond]
    source = track * n_channels + channel
    key = source[chosen] * N_PITCHES + first[chosen]
    order, following, is_on = _pair(key, ticks[chosen], is_on, counts)
    chosen = chosen[order]
    onset = ticks[chosen]
    end = np.where(following >= 0, onset[following], track_ends[track[chosen]])
    struck = is_on & (following >= 0) & is_on[following]
    counts["restruck"] = int((struck & (end > onset)).sum())
    counts["hanging"] = int((is_on & (following < 0)).sum())
    counts["zero_length"] = int((is_on & (end == onset)).sum())
    # Back in file order, in which notes are almost in the order of their onsets.
    kept, released, ends = np.zeros(n_events, bool), np.zeros(n_events, bool), np.zeros(n_events, np.int64)
    kept[chosen] = is_on & (end > onset)
    released[chosen] = (following >= 0) & ~struck
    ends[chosen] = end
    chosen = np.flatnonzero(kept)
    released, onset, end = released[chosen], ticks[chosen], ends[chosen]

    notes = np.empty(len(chosen), NOTE)
    notes["onset"] = onset
    notes["pitch"] = first[chosen]
    notes["velocity"] = second[chosen]
    notes["program"] = _programs(chosen, source, channel, ticks, np.flatnonzero(status >> 4 == 0xC), first)
    notes["part"], lines = _lines(source[chosen], n_channels, notes["program"])
    controls = np.flatnonzero(status >> 4 == 0xB)
    numbers = first[controls]
    pedal = controls[(numbers == SUSTAIN) | (numbers == RESET_CONTROLLERS)]
    if len(pedal):
        down = (first[pedal] == SUSTAIN) & (second[pedal] >= 64)
        held = np.flatnonzero(released & (notes["program"] != DRUMS))
        until = _prolong(
            notes, held, end, channel[chosen], track_ends[track[chosen]], _group(channel[pedal], ticks[pedal]), down
        )
        counts["pedalled"] = int((until > end).sum())
        end = until
    silence = controls[(numbers == ALL_SOUND_OFF) | (numbers == ALL_NOTES_OFF)]
    if len(silence):
        times = np.append(np.sort(_group(channel[silence], ticks[silence])), np.iinfo(np.int64).max)
        here = channel[chosen].astype(np.int64) * SPAN
        until = np.minimum(end, times[np.searchsorted(times, here + onset, side="right")] - here)
        counts["silenced"] = int((until < end).sum())
        end = until
    notes["duration"] = end - onset
    return assemble(notes, header, int(track_ends.max()), marks, line_names(lines, labels), counts)


def _lines(source: np.ndarray, n_channels: int, program: np.ndarray) -> tuple[np.ndarray, list[Line]]:
    """The number of each note's line, and the lines in order; `source` is track * n_channels + channel."""
    lines, part = np.unique(source * N_PROGRAMS + program, return_inverse=True)
    sources, programs = np.divmod(lines, N_PROGRAMS)
    tracks, channels = np.divmod(sources, n_channels)
    return part, list(zip(tracks.tolist(), channels.tolist(), programs.tolist(), strict=True))


def _group(group: np.ndarray, ticks: np.ndarray) -> np.ndarray:
    """(group, tick) pairs as numbers that sort as the pairs do."""
    return group.astype(np.int64) * SPAN + ticks


def _metas(
    data: bytes, events: np.ndarray, at: np.ndarray, ticks: np.ndarray, track: np.ndarray
) -> tuple[list[tuple[int, int, bytes]], list[Label], list[tuple[int, int]]]:
    """Marks of tempo and metre as (tick, meta type, payload), names, and ports as (event, port), in file order.

    `events` are the indices of all events that are of no channel, and their status bytes stand `at`.
    """
    marks: list[tuple[int, int, bytes]] = []
    labels: list[Label] = []
    ports: list[tuple[int, int]] = []
    prefix, before, port = None, -1, 0
    for event, status, tick, of_track in zip(events.tolist(), at.tolist(), ticks.tolist(), track.tolist(), strict=True):
        if event != before + 1:
            prefix = None
        before = event
        kind = data[status + 1]
        if data[status] != 0xFF or kind not in METAS:
            continue
        size, start = variable_length(data, status + 2)
        payload = data[start : start + size]
        if kind == CHANNEL_PREFIX:
            prefix = 16 * port + payload[0] if size == 1 and payload[0] < 16 else None
        elif kind == PORT:
            if size == 1:
                port = payload[0]
                ports.append((event, port))
        elif kind in (TRACK_NAME, INSTRUMENT_NAME):
            labels.append((of_track, prefix, kind, payload))
        elif kind == END_OF_TRACK:
            prefix, port = None, 0
        else:
            marks.append((tick, kind, payload))
    return marks, labels, ports


def _pair(
    key: np.ndarray, ticks: np.ndarray, is_on: np.ndarray, counts: dict[str, int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Order note-ons and note-offs by key, and find the event of the same key that follows each (-1: none).

    Returns the order, and in that order the following events and `is_on`.
    """
    narrow = np.uint16 if len(key) and key.max() < 2**16 else np.int64  # NumPy sorts 16 bits by radix
    order = np.argsort(key.astype(narrow), kind="stable")
    key, ticks, is_on = key[order], ticks[order], is_on[order]
    same = key[1:] == key[:-1]
    at_once = same & (ticks[1:] == ticks[:-1])
    opens = np.append(True, ~at_once)[: len(key)]
    # A key that sounds from an earlier tick is released first: the note-off goes before the note-ons of its tick.
    # Groups are visited in order, since the outcome of each decides whether the key sounds at the next.
    suspects = np.flatnonzero(at_once & is_on[:-1] & ~is_on[1:]) + 1
    if len(suspects):
        begins = np.maximum.accumulate(np.where(opens, np.arange(len(key)), 0))[suspects]
        for begin, off in zip(*(indices.tolist() for indices in _firsts(begins, suspects)), strict=True):
            if is_on[begin] and begin > 0 and same[begin - 1] and is_on[begin - 1]:
                release = order[off]
                order[begin + 1 : off + 1] = order[begin:off]
                order[begin] = release
                is_on[begin], is_on[off] = False, True
    following = np.full(len(key), -1)
    following[:-1][same] = np.flatnonzero(same) + 1
    ends_nothing = ~is_on
    ends_nothing[1:] &= ~(same & is_on[:-1])
    counts["stray_note_offs"] = int(ends_nothing.sum())
    return order, following, is_on


def _firsts(groups: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct groups, ascending, and the first value of each."""
    new = np.append(True, groups[1:] != groups[:-1])
    return groups[new], values[new]


def _programs(
    chosen: np.ndarray,
    source: np.ndarray,
    channel: np.ndarray,
    ticks: np.ndarray,
    changes: np.ndarray,
    first: np.ndarray,
) -> np.ndarray:
    """The programs of the note-ons `chosen` (indices of events), given the indices of all program changes."""
    programs = np.zeros(len(chosen), np.int16)
    if len(changes):
        # A change in any track, by (channel, tick); then, over it, one before the note in its own track.
        for own in (False, True):
            groups = source if own else channel
            times = np.arange(len(ticks)) if own else ticks
            moments = _group(groups[changes], times[changes])
            order = np.argsort(moments, kind="stable")
            moments, values = moments[order], first[changes][order]
            last = np.searchsorted(moments, _group(groups[chosen], times[chosen]), side="right") - 1
            known = (last >= 0) & (moments[last] // SPAN == groups[chosen])
            programs = np.where(known, values[last], programs)
    programs[channel[chosen] % 16 == DRUM_CHANNEL] = DRUMS
    return programs


def _prolong(
    notes: np.ndarray,
    held: np.ndarray,
    end: np.ndarray,
    channel: np.ndarray,
    track_end: np.ndarray,
    moments: np.ndarray,
    down: np.ndarray,
) -> np.ndarray:
    """Where notes end when the pedal holds those of index `held`; `moments` and `down` are the pedal's events."""
    order = np.argsort(moments, kind="stable")
    moments, down = moments[order], down[order]
    last_of_tick = np.append(moments[1:] != moments[:-1], True)
    moments, down = moments[last_of_tick], down[last_of_tick]

    released = _group(channel[held], end[held])
    state = np.searchsorted(moments, released, side="right") - 1
    held = held[(state >= 0) & down[state] & (moments[state] // SPAN == channel[held])]
    here = channel[held].astype(np.int64) * SPAN
    ups = np.append(moments[~down], np.iinfo(np.int64).max)
    up = ups[np.searchsorted(ups, here + end[held], side="right")] - here
    until = np.where(up < SPAN, up, np.maximum(end[held], track_end[held]))

    key = notes["part"].astype(np.int64) * N_PITCHES + notes["pitch"]
    strikes = np.append(np.sort(_group(key, notes["onset"])), np.iinfo(np.int64).max)
    here = key[held] * SPAN
    struck = strikes[np.searchsorted(strikes, here + end[held], side="left")] - here
    result = end.copy()
    result[held] = np.minimum(until, struck)
    return result
