"""A folder of many files from few: copies of the starter corpus's short pieces, each with a note moved, in seconds."""

from __future__ import annotations

import os
from pathlib import Path

STARTER = Path(__file__).parents[2] / "data" / "starter"
LONG = ("bands", "quartets")  # styles of which a hundred thousand copies would be gigabytes


def make(folder: Path, n_files: int) -> None:
    """Write `n_files` MIDI files of distinct music below `folder`, in the starter corpus's sub-folders.

    The first of a file's copies is the file itself; in copy c the c-th note, counted round and round, lies some
    semitones higher: one more in each round.
    """
    from melodygru import midi

    settled = Path(__file__).stat().st_mtime_ns  # the cache remembers no file that is only seconds old
    sources = [path for path in map(Path, midi.find_files(STARTER).values()) if path.parent.name not in LONG]
    for at, source in enumerate(sources[:n_files]):
        data = bytearray(source.read_bytes())
        notes = _pitch_bytes(data)
        style = folder / source.parent.relative_to(STARTER)
        style.mkdir(parents=True, exist_ok=True)
        for copy in range(-(-(n_files - at) // len(sources))):
            edited = data.copy()
            if copy:
                rounds, moved = divmod(copy - 1, len(notes))
                for place in notes[moved]:
                    edited[place] = (edited[place] + 1 + rounds) % 128
            target = style / f"{source.stem}-{copy:04}.mid"
            target.write_bytes(edited)
            os.utime(target, ns=(settled, settled))


def _pitch_bytes(data: bytearray) -> list[tuple[int, int]]:
    """Where the pitch of each note stands in a sound file: in its note-on and in its note-off."""
    from melodygru.midi.chunks import parse_chunks, variable_length

    notes: list[tuple[int, int]] = []
    for at, stop in parse_chunks(bytes(data)).spans:
        running, sounding = 0, {}
        while at < stop:
            _, at = variable_length(data, at)
            if data[at] >= 0xF0:
                size, at = variable_length(data, at + 1 + (data[at] == 0xFF))
                at += size
                continue
            if data[at] >= 0x80:
                running, at = data[at], at + 1
            key = (running & 15, data[at])
            if running >> 4 == 9 and data[at + 1]:
                sounding[key] = at
            elif running >> 4 in (8, 9):
                notes.append((sounding.pop(key), at))
            at += 1 if running >> 4 in (0xC, 0xD) else 2
    return notes
