"""Music as bytes: what names a file and a piece, and how the cache keeps the notes of a file."""

from __future__ import annotations

import json
import zlib
from fractions import Fraction
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from melodygru.midi.formats import reader_of
from melodygru.midi.reading import MAX_FILE_BYTES
from melodygru.music.grid import Grid
from melodygru.music.metre import METRE
from melodygru.music.notes import KEY, NOTE, TEMPO, NoteSequence, unchecked
from melodygru.util.files import open_regular


def digest_of(*parts: str | bytes) -> str:
    """Hash of a list of strings; the boundaries between them count."""
    state = blake2b(digest_size=16)
    for part in parts:
        data = part if isinstance(part, bytes) else part.encode("utf-8", "surrogateescape")
        state.update(len(data).to_bytes(8, "little"))
        state.update(data)
    return state.hexdigest()


def file_digest(path: Path) -> str:
    """Hash of a file's bytes and of what reads them. Raises OSError, also for one that is too large to be read."""
    state = blake2b(reader_of(path.suffix).__module__.encode(), digest_size=16)
    with open_regular(path, MAX_FILE_BYTES) as file:
        while block := file.read(1 << 20):
            state.update(block)
    return state.hexdigest()


def content_digest(sequence: NoteSequence) -> str:
    """Hash of a piece's notes, length and metres in lowest terms: the same music at 96 or 480 ticks per beat agrees.

    Tempo does not count: a piece that is played faster is still the same piece.
    """
    rate = sequence.grid.steps_per_beat or sequence.grid.steps_per_second
    assert rate is not None
    times: list[Any] = [sequence.notes["onset"], sequence.notes["duration"], sequence.metres["step"], [sequence.length]]
    unit = int(np.gcd.reduce(np.concatenate([[rate.numerator], *(time[:64] for time in times)])))
    if unit > 1:
        unit = int(np.gcd.reduce(np.concatenate([[unit], *times])))
    values = [np.asarray(time, np.int64) // unit if unit > 1 else np.array(time, np.int64) for time in times]
    columns = [sequence.notes[name].astype(np.int64) for name in ("part", "program", "pitch", "velocity")]
    metres = [sequence.metres[name].astype(np.int64) for name in ("numerator", "denominator")]
    kind = "beats" if sequence.grid.is_metrical else "seconds"
    return digest_of(f"{kind} {rate / unit}", *(part.tobytes() for part in [*values, *columns, *metres]))


def pack(sequence: NoteSequence) -> bytes:
    """A sequence as bytes: a checksum, one JSON line, the notes' columns in the fewest bytes that hold them, the marks.

    Onsets are stored as differences. It is about as small as deflated, and a tenth of the work.
    """
    columns = {name: sequence.notes[name] for name in NOTE.names or ()}
    columns["onset"] = np.diff(columns["onset"], prepend=0)
    types = [_narrow(column) for column in columns.values()]
    head = {
        "beats": None if sequence.grid.steps_per_beat is None else str(sequence.grid.steps_per_beat),
        "seconds": None if sequence.grid.steps_per_second is None else str(sequence.grid.steps_per_second),
        "length": sequence.length,
        "sizes": [len(sequence.notes), *(len(marks) for marks in (sequence.tempos, sequence.metres, sequence.keys))],
        "types": types,
        "names": sequence.names,
    }
    parts = [column.astype(kind).tobytes() for column, kind in zip(columns.values(), types, strict=True)]
    parts += [sequence.tempos.tobytes(), sequence.metres.tobytes(), sequence.keys.tobytes()]
    body = b"".join([json.dumps(head).encode(), b"\n", *parts])
    return zlib.crc32(body).to_bytes(4, "little") + body


def _narrow(column: np.ndarray) -> str:
    """The smallest type that holds a column of numbers from 0 on."""
    highest = int(column.max(initial=0))
    return "<u1" if highest < 1 << 8 else "<u2" if highest < 1 << 16 else "<u4" if highest < 1 << 32 else "<i8"


def unpack(data: bytes) -> NoteSequence:
    """The inverse of `pack`. Raises ValueError when the bytes are damaged."""
    if zlib.crc32(data[4:]) != int.from_bytes(data[:4], "little"):
        raise ValueError("the notes do not agree with their checksum")
    at = data.index(b"\n", 4) + 1
    about = json.loads(data[4:at])
    n_notes, *n_marks = about["sizes"]
    notes = np.empty(n_notes, NOTE)
    for name, kind in zip(NOTE.names or (), about["types"], strict=True):
        column = np.frombuffer(data, kind, n_notes, at)
        notes[name] = np.cumsum(column, dtype=np.int64) if name == "onset" else column
        at += column.nbytes
    marks = []
    for dtype, size in zip((TEMPO, METRE, KEY), n_marks, strict=True):
        marks.append(np.frombuffer(data, dtype, size, at).copy())
        at += marks[-1].nbytes
    rates = [None if about[name] is None else Fraction(about[name]) for name in ("beats", "seconds")]
    return unchecked(notes, Grid(*rates), about["length"], marks[0], marks[1], tuple(about["names"]), marks[2])
