"""Where the events of a file's tracks begin, found for all its bytes at once."""

from __future__ import annotations

import numpy as np

from melodygru.midi.chunks import END_OF_TRACK, SYSTEM_BYTES, Broken, Header, variable_length

PADDING = 16  # zero bytes after the file, so that looking ahead needs no bounds

# Bytes from a status byte (or, in running status, from the first of two data bytes) to the event's end. Meta events
# and system exclusive messages carry their length.
EVENT_BYTES = bytes(
    [2] * 0x80
    + [3] * 0x40
    + [2] * 0x20
    + [3] * 0x10
    + [1 + SYSTEM_BYTES.get(status, 0) for status in range(0xF0, 0x100)]
)


def event_starts(data: np.ndarray, quantity_bytes: np.ndarray, header: Header) -> tuple[np.ndarray, np.ndarray] | None:
    """Where each event's delta time begins, and the number of events of each track; None unless all are whole.

    `data` is padded. For every byte of the file, as if an event began there, where the next one begins is known at
    once; following these links from each track's first byte, eight at a time, finds the events.
    """
    size = len(data) - PADDING
    after = np.arange(len(data))  # where an event ends whose status byte (or first data byte) stands here
    content = data.tobytes()
    after += np.frombuffer(content.translate(EVENT_BYTES), np.uint8)
    statuses = np.flatnonzero(data[:size] >= 0xF0)
    kinds = data[statuses]
    lengths = statuses + 1 + (kinds == 0xFF)
    value = quantities(data, quantity_bytes, lengths)
    carry = (kinds == 0xFF) | (kinds == 0xF0) | (kinds == 0xF7)
    statuses, kinds, lengths, value = statuses[carry], kinds[carry], lengths[carry], value[carry]
    last = (kinds == 0xFF) & (data[statuses + 1] == END_OF_TRACK)
    ends = lengths + quantity_bytes[lengths] + value
    after[statuses] = np.where(~last & (quantity_bytes[lengths] > 0), np.minimum(ends, size), size)
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
    walk: list[int] = []
    firsts: list[int] = []  # of each track, the place in the walk
    for start, stop in header.spans:
        firsts.append(len(walk))
        at = start
        while at < stop:
            walk.append(at)
            at = stride[at]
        if firsts[-1] == len(walk):
            return None
    starts = np.array(walk, np.int64)
    for step in (four, two, links):
        pairs = np.empty((len(starts), 2), np.int64)
        pairs[:, 0], pairs[:, 1] = starts, step.take(starts)
        starts = pairs.ravel()
    stops = np.array([stop for _, stop in header.spans])
    inside = starts < np.repeat(stops, 8 * np.diff([*firsts, len(walk)]))
    sizes = np.add.reduceat(inside, 8 * np.array(firsts), dtype=np.int64)
    starts = starts[inside]
    ends = zip(starts[np.cumsum(sizes) - 1].tolist(), stops.tolist(), strict=True)
    return (starts, sizes) if all(_ends_track(content, start, stop) for start, stop in ends) else None


def _ends_track(content: bytes, start: int, stop: int) -> bool:
    """Whether a whole end_of_track event begins at `start`, in a track that ends at `stop`."""
    try:
        _, status = variable_length(content, start)
        if content[status] != 0xFF or content[status + 1] != END_OF_TRACK:
            return False
        size, begin = variable_length(content, status + 2)
    except Broken:
        return False
    return begin + size <= stop


def quantity_bytes_of(data: np.ndarray) -> np.ndarray:
    """How many bytes a variable-length quantity has that begins at each byte: 1..4, or 0 when it does not end."""
    high = (data >= 0x80).view(np.uint8)
    two = high[:-1] & high[1:]
    three = two[:-1] & high[2:]
    width = high + np.uint8(1)
    width[:-1] += two
    width[:-2] += three
    width[np.flatnonzero(three[:-1] & high[3:])] = 0
    return width


def quantities(data: np.ndarray, quantity_bytes: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """The variable-length quantities that begin at `starts`; dtype int64."""
    values = data[starts].astype(np.int64) & 0x7F
    more = np.flatnonzero(quantity_bytes[starts] > 1)
    for position in range(1, 4):
        more = more[quantity_bytes[starts[more]] > position]
        values[more] = values[more] << 7 | data[starts[more] + position] & 0x7F
    return values
