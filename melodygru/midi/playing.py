"""What a file itself says to players: its bends, controllers, volumes and pedals, which notes leave out."""

from __future__ import annotations

import io
from collections import Counter

from melodygru.midi.chunks import LYRIC, header_start, parse_chunks, track_events
from melodygru.midi.oddities import damage
from melodygru.midi.reading import Reading

_READ_OTHERWISE = ("doubled", "unknown_type", "system")  # what players make something else of than `read` does


def own_messages(data: bytes, reading: Reading) -> bytes | None:
    """A file as it stands, up to the end of its music, for a player of plain MIDI files.

    Parameters
    ----------
    data : bytes
        Of the file.
    reading : Reading
        What was read of it.

    Returns
    -------
    bytes or None
        None where the notes that were read are the better thing to play: the file is damaged, counts time in seconds,
        has patterns, or plays on several ports.
    """
    import mido

    oddities = reading.oddities.as_dict()
    if damage(oddities) or any(name in oddities for name in _READ_OTHERWISE) or not reading.sequence.grid.is_metrical:
        return None
    try:
        file = mido.MidiFile(file=io.BytesIO(data[header_start(data) :]), charset="latin-1", clip=True)
    except (OSError, EOFError, ValueError, LookupError):
        return None
    if file.type == 2 or any(
        message.type == "midi_port" and message.port for track in file.tracks for message in track
    ):
        return None
    end = reading.sequence.trimmed().length
    for track in file.tracks:
        now, kept = 0, []
        for message in track:
            now += message.time
            if now > end or message.type == "end_of_track":
                now -= message.time
                break
            kept.append(message)
        track[:] = [*kept, mido.MetaMessage("end_of_track", time=max(0, end - now))]
    buffer = io.BytesIO()
    file.save(file=buffer)
    return buffer.getvalue()


_CONTROLLERS = {1: "modulation", 7: "volume", 10: "pan", 11: "expression", 91: "reverberation", 93: "chorus"}
_READ = (0, 32, 38, 64, 100, 101, 120, 121, 123)  # that `read` knows, or that belong to others


def left_out(data: bytes) -> dict[str, int]:
    """What a file's players act on and its notes don't say: `pitch bends`, `volume`, ... and how many of each."""
    found: Counter[str] = Counter()
    for start, stop in parse_chunks(data).spans:
        for event in track_events(data, start, stop):
            kind = event.status >> 4
            if kind == 0xE and event.data != b"\x00\x40":
                found["pitch bends"] += 1
            elif kind in (0xA, 0xD):
                found["aftertouch"] += 1
            elif kind == 0xB and event.data[0] not in _READ:
                found[_CONTROLLERS.get(event.data[0], f"controller {event.data[0]}")] += 1
            elif event.status == 0xFF and event.data[0] == LYRIC:
                found["lyrics"] += 1
    return dict(found.most_common())
