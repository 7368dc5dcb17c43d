"""What can be read: one table, from the suffix of a file's name to the function that reads it.

Another format is a module with a function of a file's bytes, and a line of `READERS`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from melodygru.midi import bulk
from melodygru.midi.reading import Reading, load

Reader = Callable[[bytes], Reading]

READERS: dict[str, Reader] = {
    ".mid": bulk.read,
    ".midi": bulk.read,
    ".kar": bulk.read,
    ".smf": bulk.read,
    ".rmi": bulk.read,
}


def reader_of(suffix: str) -> Reader:
    """What reads files of a suffix, in any case; of another suffix than those of `READERS`, the reader of MIDI."""
    return READERS.get(suffix.lower(), bulk.read)


def read(source: Path | str | bytes, suffix: str | None = None) -> Reading:
    """Read a file of music; a MIDI file by the rule in `melodygru.midi`'s docstring.

    Parameters
    ----------
    source : Path or bytes
        A file, or what is in one.
    suffix : str, optional
        Of the file's name, such as `.mid`: it says which reader; default: the path's own, and of bytes MIDI.

    Returns
    -------
    Reading
        The notes in ticks, and how often each odd case came up. A file without notes gives an empty sequence.

    Raises
    ------
    MidiError
        The file can't be opened, or isn't what its suffix says, or holds no track.
    """
    if suffix is None:
        suffix = "" if isinstance(source, bytes) else Path(source).suffix
    return reader_of(suffix)(load(source))
