"""The rule of reading, vectorised over the bytes of a file: no Python per note."""

from __future__ import annotations

from dataclasses import fields

import numpy as np

from melodygru.midi.chunks import (
    ALL_NOTES_OFF,
    ALL_SOUND_OFF,
    BANK,
    CHANNEL_PREFIX,
    DRUM_CHANNEL,
    END_OF_TRACK,
    INSTRUMENT_NAME,
    KEY_META,
    MAX_TICKS,
    METRE_META,
    PORT,
    RESET_CONTROLLERS,
    SEQUENCER_SPECIFIC,
    SUSTAIN,
    TEMPO_META,
    TRACK_NAME,
    Header,
    parse_chunks,
    variable_length,
)
from melodygru.midi.oddities import Oddities
from melodygru.midi.reading import Label, Line, Reading, assemble, line_names, read_reference
from melodygru.midi.rhythm import MAKERS, RHYTHM_BANKS, TWICE, plays_drums, switches, written_twice
from melodygru.midi.scanning import PADDING, event_starts, quantities, quantity_bytes_of
from melodygru.music.notes import DRUMS, N_PITCHES, N_PROGRAMS, NOTE

SPAN = 2 * MAX_TICKS  # sorts (group, tick) pairs as group * SPAN + tick
METAS = (
    TRACK_NAME,
    INSTRUMENT_NAME,
    CHANNEL_PREFIX,
    PORT,
    SEQUENCER_SPECIFIC,
    END_OF_TRACK,
    TEMPO_META,
    METRE_META,
    KEY_META,
)  # that are read


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


def read_undamaged(data: bytes, header: Header) -> Reading | None:
    """The reading of a file whose tracks are all whole; None if one is not, or has running status of one data byte.

    What it returns None for is rare, and left to `read_reference`.
    """
    padded = np.zeros(len(data) + PADDING, np.uint8)
    padded[: len(data)] = np.frombuffer(data, np.uint8)
    quantity_bytes = quantity_bytes_of(padded)
    found = event_starts(padded, quantity_bytes, header)
    if found is None:
        return None
    starts, track_sizes = found
    n_events = len(starts)
    track = np.repeat(np.arange(len(track_sizes)), track_sizes)
    lasts = np.cumsum(track_sizes) - 1
    firsts = lasts + 1 - track_sizes

    ticks = np.cumsum(quantities(padded, quantity_bytes, starts))
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
    counts = {item.name: 0 for item in fields(Oddities)} | header.oddities
    high = is_channel & ((first > 127) | ((second > 127) & ((status < 0xC0) | (status >= 0xE0))))
    if high.any():
        counts["clipped"] = int(high.sum())
        first, second = np.minimum(first, 127), np.minimum(second, 127)
    others = np.flatnonzero(~is_channel)
    kinds = status[others]
    counts["system"] = int(((kinds > 0xF0) & (kinds != 0xF7) & (kinds != 0xFF)).sum())
    marks, labels, ports, rhythm, twice = _metas(data, others, at[others], ticks[others], track[others])
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
    chosen, offs, afters = _pair(chosen, key, ticks, is_on, counts)
    onset = ticks[chosen]
    never = np.iinfo(np.int64).max
    struck = np.where(afters >= 0, ticks[afters], never)
    off = np.where(offs >= 0, ticks[offs], never)
    is_struck = struck < off
    end = np.where(is_struck, struck, np.where(offs >= 0, off, track_ends[track[chosen]]))
    counts["restruck"] = int((is_struck & (end > onset)).sum())
    counts["hanging"] = int((~is_struck & (offs < 0)).sum())
    # Back in file order, in which notes are almost in the order of their onsets.
    place = np.full(n_events, -1)
    place[chosen] = np.arange(len(chosen))
    order = place[place >= 0]
    chosen, onset, end = chosen[order], onset[order], end[order]
    released = np.where(is_struck, -1, offs)[order]  # the note-off that ended it
    drums = _drums(chosen, status, channel, ticks, first, second, data, rhythm)
    brief = end == onset
    if brief.any():
        counts["strokes"] = int((brief & drums).sum())
        counts["zero_length"] = int((brief & ~drums).sum())
        end = end + (brief & drums)
        kept = np.flatnonzero(end > onset)
        chosen, onset, end, released, drums = chosen[kept], onset[kept], end[kept], released[kept], drums[kept]
    if twice:
        repeats = written_twice(channel[chosen])
        counts["doubled"] = int(repeats.sum())
        kept = np.flatnonzero(~repeats)
        chosen, onset, end, released, drums = chosen[kept], onset[kept], end[kept], released[kept], drums[kept]

    notes = np.empty(len(chosen), NOTE)
    notes["onset"] = onset
    notes["pitch"] = first[chosen]
    notes["velocity"] = second[chosen]
    notes["program"] = _programs(chosen, source, channel, ticks, np.flatnonzero(status >> 4 == 0xC), first)
    notes["program"][drums] = DRUMS
    notes["part"], lines = _lines(source[chosen], n_channels, notes["program"])
    controls = np.flatnonzero(status >> 4 == 0xB)
    numbers = first[controls]
    pedal = controls[(numbers == SUSTAIN) | (numbers == RESET_CONTROLLERS)]
    if len(pedal):
        down = (first[pedal] == SUSTAIN) & (second[pedal] >= 64)
        held = np.flatnonzero((released >= 0) & ~drums)
        until = _prolong(
            notes,
            held,
            end,
            channel[chosen],
            _group(channel[chosen[held]], end[held]) * n_events + released[held],
            _group(channel[pedal], ticks[pedal]) * n_events + pedal,
            down,
            n_events,
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
    key = source * N_PROGRAMS + program
    if key.max(initial=0) < 2**20:
        numbers = np.zeros(key.max(initial=0) + 1, np.int64)
        numbers[key] = 1
        lines = np.flatnonzero(numbers)
        numbers[lines] = np.arange(len(lines))
        part = numbers[key]
    else:
        lines, part = np.unique(key, return_inverse=True)
    sources, programs = np.divmod(lines, N_PROGRAMS)
    tracks, channels = np.divmod(sources, n_channels)
    return part, list(zip(tracks.tolist(), channels.tolist(), programs.tolist(), strict=True))


def _group(group: np.ndarray, ticks: np.ndarray) -> np.ndarray:
    """(group, tick) pairs as numbers that sort as the pairs do."""
    return group.astype(np.int64) * SPAN + ticks


def _metas(
    data: bytes, events: np.ndarray, at: np.ndarray, ticks: np.ndarray, track: np.ndarray
) -> tuple[list[tuple[int, int, bytes]], list[Label], list[tuple[int, int]], list[tuple[int, int, bytes]], bool]:
    """What meta events and system exclusive messages say, in file order.

    Marks of tempo, metre and key as (tick, meta type, payload); names; ports as (event, port); messages of
    `rhythm.MAKERS` as (event, the port's first channel, data); whether the file is marked as written twice.

    `events` are the indices of all events that are of no channel, and their status bytes stand `at`.
    """
    marks: list[tuple[int, int, bytes]] = []
    labels: list[Label] = []
    exclusive: list[tuple[int, int, bytes]] = []
    twice = False
    ports: list[tuple[int, int]] = []
    prefix, before, port = None, -1, 0
    for event, status, tick, of_track in zip(events.tolist(), at.tolist(), ticks.tolist(), track.tolist(), strict=True):
        if event != before + 1:
            prefix = None
        before = event
        kind = data[status + 1]
        if data[status] == 0xF0:
            size, start = variable_length(data, status + 1)
            if size and data[start] in MAKERS:
                exclusive.append((event, 16 * port, data[start : start + size]))
        if data[status] != 0xFF or kind not in METAS:
            continue
        size, start = variable_length(data, status + 2)
        payload = data[start : start + size]
        if kind == CHANNEL_PREFIX:
            prefix = 16 * port + payload[0] if size == 1 and payload[0] < 16 else None
        elif kind == SEQUENCER_SPECIFIC:
            twice |= payload[: len(TWICE)] == TWICE
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
    return marks, labels, ports, exclusive, twice


def _pair(
    chosen: np.ndarray, key: np.ndarray, ticks: np.ndarray, is_on: np.ndarray, counts: dict[str, int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The note-ons among the events `chosen`, key by key; of each the note-off that ends it, and the next note-on.

    All are indices of events, -1 for none.
    """
    narrow = np.uint16 if len(key) and key.max() < 2**16 else np.int64  # NumPy sorts 16 bits by radix
    order = np.argsort(key.astype(narrow), kind="stable")
    key, is_on, chosen = key[order], is_on[order], chosen[order]
    at = ticks[chosen]
    same = np.append(False, key[1:] == key[:-1])[: len(key)]
    # Where a key sounds from an earlier tick, the first note-off of a tick goes before the note-ons of that tick.
    at_once = same.copy()
    at_once[1:] &= at[1:] == at[:-1]
    suspects = np.flatnonzero(at_once[1:] & is_on[:-1] & ~is_on[1:]) + 1
    if len(suspects):
        depth = _depths(is_on, ~same)[0]
        begins = np.maximum.accumulate(np.where(at_once, 0, np.arange(len(key))))[suspects]
        for begin, off in zip(*(indices.tolist() for indices in _firsts(begins, suspects)), strict=True):
            if is_on[begin] and same[begin] and depth[begin - 1] > 0:
                release = chosen[off]
                chosen[begin + 1 : off + 1] = chosen[begin:off]
                chosen[begin] = release
                is_on[begin], is_on[off] = False, True
    if np.any(same[1:] & (is_on[1:] == is_on[:-1])) or not np.all(is_on | same):
        return _matched(chosen, same, is_on, counts)
    ons = np.flatnonzero(is_on)  # no note overlaps another of its key
    after = np.append(chosen, (-1, -1))
    same = np.append(same, (False, False))
    off = np.where(same[ons + 1], after[ons + 1], -1)
    return chosen[ons], off, np.where(same[ons + 1] & same[ons + 2], after[ons + 2], -1)


def _matched(
    chosen: np.ndarray, same: np.ndarray, is_on: np.ndarray, counts: dict[str, int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """As `_pair` where notes of a key overlap; `same` says whether an event is of the same key as the one before."""
    opens = ~same
    depth, stray = _depths(is_on, opens)
    counts["stray_note_offs"] = int(stray.sum())
    if counts["stray_note_offs"]:
        kept = np.flatnonzero(~stray)
        segment = (np.cumsum(opens) - 1)[kept]
        chosen, is_on, depth = chosen[kept], is_on[kept], depth[kept]
        opens = np.append(True, segment[1:] != segment[:-1])[: len(kept)]
    # Until a key is silent for the last time, its note-offs end its notes in their order; after it the latest first.
    lasts = np.append(opens[1:], True)[: len(opens)]
    segment = np.cumsum(opens) - 1
    open_ended = depth[lasts] > 0  # of each key
    ons, offs = np.flatnonzero(is_on), np.flatnonzero(~is_on)
    of = np.full(len(opens), -1)
    if not open_ended.any():
        of[ons] = offs
    else:
        places = np.where(depth == 0, np.arange(len(opens)), -1)
        closed = np.maximum.reduceat(places, np.flatnonzero(opens))[segment]
        early = np.arange(len(opens)) <= closed
        of[ons[early[ons]]] = offs[early[offs]]
        late = np.flatnonzero(~early)
        level = depth[late] + ~is_on[late]  # that the note-on reached, or the note-off left
        late = late[np.lexsort((late, level, segment[late]))]
        pairs = np.flatnonzero(is_on[late[:-1]] & ~is_on[late[1:]] & (segment[late[:-1]] == segment[late[1:]]))
        of[late[pairs]] = late[pairs + 1]
    following = np.append(ons[1:], -1)[: len(ons)]
    following = np.where((following >= 0) & (segment[following] == segment[ons]), chosen[following], -1)
    return chosen[ons], np.where(of[ons] >= 0, chosen[of[ons]], -1), following


def _depths(is_on: np.ndarray, opens: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How many notes of its key sound after each event, key by key, and which note-offs end none."""
    steps = np.where(is_on, 1, -1)
    total = np.cumsum(steps)
    begins = np.flatnonzero(opens)
    before = np.append(0, total)[begins]  # counted before each key
    widths = np.diff(np.append(begins, len(is_on)))
    total -= np.repeat(before, widths)
    # The lowest count so far of each key; keys are set apart so that one running minimum serves them all.
    apart = np.repeat(np.arange(len(begins), dtype=np.int64) * (2 * len(is_on) + 2), widths)
    lowest = np.minimum(0, np.minimum.accumulate(total - apart) + apart)
    earlier = np.append(0, lowest[:-1])[: len(is_on)]
    earlier[begins] = 0
    return total - lowest, lowest < earlier


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
    return programs


def _drums(
    chosen: np.ndarray,
    status: np.ndarray,
    channel: np.ndarray,
    ticks: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    data: bytes,
    exclusive: list[tuple[int, int, bytes]],
) -> np.ndarray:
    """Which of the note-ons `chosen` are drums; `exclusive` messages are (event, channel, data)."""
    of = channel[chosen]
    banks = np.flatnonzero((status & 0xF0 == 0xB0) & (first == BANK))
    if not exclusive and RHYTHM_BANKS.isdisjoint(second[banks].tolist()):
        return of % 16 == DRUM_CHANNEL
    messages = [(event, of_port, 0xF0, content) for event, of_port, content in exclusive]
    for event in np.sort(np.append(banks, np.flatnonzero(status >> 4 == 0xC))).tolist():
        content = bytes((int(first[event]), int(second[event])))
        messages.append((event, int(channel[event]), int(status[event]), content))
    messages.sort(key=lambda message: (ticks[message[0]], message[0]))
    found = switches((int(ticks[event]), of, kind, content) for event, of, kind, content in messages)
    return plays_drums(found, of, ticks[chosen])


def _prolong(
    notes: np.ndarray,
    held: np.ndarray,
    end: np.ndarray,
    channel: np.ndarray,
    released: np.ndarray,
    moments: np.ndarray,
    down: np.ndarray,
    n_events: int,
) -> np.ndarray:
    """Where notes end when the pedal holds those of index `held`.

    `released` are their note-offs and `moments` the pedal's events, as numbers that sort as (channel, tick, event) do.
    """
    order = np.argsort(moments)
    moments, down = moments[order], down[order]
    state = np.searchsorted(moments, released) - 1
    last = int(end.max(initial=0))
    here = channel[held].astype(np.int64) * SPAN
    kept = np.flatnonzero((state >= 0) & down[state] & (moments[state] // n_events >= here))
    held, released, here = held[kept], released[kept], here[kept]
    ups = np.append(moments[~down], np.iinfo(np.int64).max)
    up = ups[np.searchsorted(ups, released)] // n_events - here
    until = np.where(up < SPAN, up, np.maximum(end[held], last))

    key = notes["part"].astype(np.int64) * N_PITCHES + notes["pitch"]
    strikes = np.append(np.sort(_group(key, notes["onset"])), np.iinfo(np.int64).max)
    here = key[held] * SPAN
    struck = strikes[np.searchsorted(strikes, here + end[held], side="left")] - here
    result = end.copy()
    result[held] = np.minimum(until, struck)
    return result
