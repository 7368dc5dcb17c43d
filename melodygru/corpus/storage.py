"""Finished corpora in the cache: written piece by piece, opened memory-mapped.

notes, tempos and metres of all pieces lie one after another, each in a file of plain elements (dtypes NOTE, TEMPO,
METRE); what is known of each piece and of each file of the folder is a line of JSON. corpus.json holds the number of
elements or lines in each of these files and their checksum, and begins with a checksum of its own.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from melodygru.corpus.cache import Cache, guarded, logger, sealed, unsealed
from melodygru.music.metre import METRE
from melodygru.music.notes import NOTE, TEMPO, NoteSequence

CHECKED_BYTES = 1 << 26  # arrays up to 64 MiB are checked byte by byte when opened; of larger ones only the size
ARRAYS = {"notes": NOTE, "tempos": TEMPO, "metres": METRE}
ROWS = ("pieces", "files")


class _Writer:
    """Appends to a file, and keeps the number of what was appended and the checksum."""

    def __init__(self, path: Path) -> None:
        self.file = path.open("wb")
        self.size = 0
        self.checksum = 0

    def append(self, data: bytes, size: int = 1) -> None:
        """Add `size` elements or lines."""
        self.file.write(data)
        self.checksum = zlib.crc32(data, self.checksum)
        self.size += size


class CorpusWriter:
    """Writes a corpus aside; `finish` gives it its name. Leaving the context without it removes what was written."""

    def __init__(self, cache: Cache, key: str) -> None:
        self._target = cache.corpus_folder(key)
        with guarded(str(cache.root)):
            self._folder = Path(tempfile.mkdtemp(dir=self._target.parent, prefix=".new-"))
        self._writers: dict[str, _Writer] = {}

    def __enter__(self) -> CorpusWriter:
        with guarded(str(self._folder)):
            for name in (*ARRAYS, *ROWS):
                self._writers[name] = _Writer(_file(self._folder, name))
        return self

    def append(self, sequence: NoteSequence, row: list[Any]) -> None:
        """Add a piece, and the row of what is known of it; the row gets the checksum of the piece at its end."""
        with guarded(str(self._folder)):
            arrays = [np.ascontiguousarray(getattr(sequence, name), dtype) for name, dtype in ARRAYS.items()]
            for name, array in zip(ARRAYS, arrays, strict=True):
                self._writers[name].append(array.tobytes(), len(array))
            self._writers["pieces"].append(_line([*row, checksum_of(*arrays)]))

    def finish(self, files: Iterable[list[Any]], about: dict[str, Any]) -> None:
        """Name the corpus. One that another process has finished meanwhile is replaced: it is the same.

        Parameters
        ----------
        files : a row for each file of the folder
        about : all else
        """
        with guarded(str(self._folder)):
            for row in files:
                self._writers["files"].append(_line(row))
            for writer in self._writers.values():
                writer.file.close()
            checks = {name: [writer.size, writer.checksum] for name, writer in self._writers.items()}
            body = json.dumps(about | {"checks": checks}).encode()
            (self._folder / "corpus.json").write_bytes(sealed(body))
            try:
                os.replace(self._folder, self._target)
            except OSError:
                # a folder in the way: another process's, whole, or else one that open_corpus would have removed
                if not (self._target / "corpus.json").is_file():
                    raise

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for writer in self._writers.values():
            with contextlib.suppress(OSError):  # of a full disk, which was met before: it all goes
                writer.file.close()
        shutil.rmtree(self._folder, ignore_errors=True)


def open_corpus(
    cache: Cache, key: str, rows: dict[str, Callable[[list[Any]], Any]]
) -> tuple[dict[str, np.ndarray], dict[str, list[Any]], dict[str, Any]] | None:
    """The memory-mapped arrays, what `rows` makes of each row, and all else of a finished corpus; None for none.

    A damaged one is removed, with a warning.
    """
    folder = cache.corpus_folder(key)
    if not folder.is_dir():
        return None
    try:
        os.utime(folder)  # in use: see cache._sweep
        about = json.loads(unsealed((folder / "corpus.json").read_bytes()))
        checks = about["checks"]
        made = {
            name: [make(row) for row in _read_rows(_file(folder, name), *checks[name])] for name, make in rows.items()
        }
        arrays = {name: _map(_file(folder, name), dtype, *checks[name]) for name, dtype in ARRAYS.items()}
        return arrays, made, about
    except (OSError, ValueError, KeyError, TypeError) as error:
        logger.warning("the cached corpus %s is damaged (%s); making it again", folder, str(error))
        aside = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".old-"))
        with guarded(str(folder)):
            try:
                os.replace(folder, aside / key)
            except FileNotFoundError:
                pass  # another process has removed it
            shutil.rmtree(aside, ignore_errors=True)
        return None


def checksum_of(*arrays: np.ndarray) -> int:
    """Checksum of the notes, tempos and metres of a piece, contiguous arrays."""
    checksum = 0
    for array in arrays:
        checksum = zlib.crc32(array.view(np.uint8).data, checksum)
    return checksum


def _file(folder: Path, name: str) -> Path:
    """Where the elements of an array, or rows, lie."""
    return folder / f"{name}{'.bin' if name in ARRAYS else '.jsonl'}"


def _line(row: list[Any]) -> bytes:
    return json.dumps(row).encode() + b"\n"


def _read_rows(path: Path, size: int, checksum: int) -> Iterator[list[Any]]:
    """The rows of a file, which is as long as it was written; ValueError at its end if it is not what was written."""
    n = found = 0
    with path.open("rb") as file:
        for line in file:
            n, found = n + 1, zlib.crc32(line, found)
            yield json.loads(line)
    if (n, found) != (size, checksum):
        raise ValueError(f"{path.name} does not agree with its checksum")


def _map(path: Path, dtype: np.dtype, size: int, checksum: int) -> np.ndarray:
    """The elements of a file, memory-mapped; ValueError if they are not what was written."""
    n_bytes = path.stat().st_size
    if n_bytes != size * dtype.itemsize:
        raise ValueError(f"{path.name} has {n_bytes} bytes, expected {size} elements of {dtype.itemsize}")
    if n_bytes <= CHECKED_BYTES and _checksum(path) != checksum:
        raise ValueError(f"{path.name} does not agree with its checksum")
    # numpy.memmap costs microseconds on every slice; a plain array over the same map does not
    return np.asarray(np.memmap(path, dtype, "r", shape=(size,)))


def _checksum(path: Path) -> int:
    """Checksum of a file, read block by block: through the map it would all become resident."""
    checksum = 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            checksum = zlib.crc32(block, checksum)
    return checksum
