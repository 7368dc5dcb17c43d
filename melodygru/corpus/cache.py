"""The cache on disk: what was read of every file, which files a folder held, and finished corpora.

    <cache>/<version>/parsed.sqlite             content of a MIDI file (its hash) -> its notes in ticks, or why not
    <cache>/<version>/folders/<folder>.json     path, size, time and hash of each file when last seen
    <cache>/<version>/corpora/<key>/            notes.npy, tempos.npy, metres.npy, pieces.jsonl,
                                                files.jsonl and corpus.json

Everything is keyed by content, so a copied or renamed folder is recognised. A file appears whole or not at all: SQLite
commits, the others are written aside and renamed. Whatever is damaged is thrown away and made again. The version
follows from the code that reads and quantises, so an old cache is never taken for a new one.
"""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import sqlite3
import struct
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from melodygru.errors import NoteError
from melodygru.music.grid import Grid
from melodygru.music.metre import METRE
from melodygru.music.notes import NOTE, TEMPO, NoteSequence, unchecked
from melodygru.util.atomic import atomic_write

CACHE_FORMAT = 3  # raise when the layout above changes
WINGS = ("util", "music", "midi", "corpus")  # whose code decides what is cached
CHECKED_BYTES = 1 << 26  # arrays up to 64 MiB are checked byte by byte when opened; of larger ones only the size
FRESH_NS = 2_000_000_000  # a file changed this recently may change again without its time showing it
LOCK_TIMEOUT_S = 60
KEPT_DAYS = 60  # corpora and versions that nobody has opened for so long are removed
ABANDONED_DAYS = 1  # what an interrupted writer left behind

logger = logging.getLogger("melodygru")


class CacheDamaged(Exception):
    """What the cache holds is not what was written; `what` can be thrown away and made again."""


class CacheUnusable(Exception):
    """The cache folder can't be written."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """What is known of one file's content, without its notes.

    `content` identifies the music (see `content_digest`); it is empty, and `error` says why, for a file that can't be
    read. `lost` counts the notes that the reading dropped, `oddities` everything that it met.
    """

    digest: str
    error: str | None = None
    content: str = ""
    n_notes: int = 0
    lost: int = 0
    oddities: dict[str, int] | None = None


def default_folder() -> Path:
    """`$MELODYGRU_CACHE`, else the place where this platform keeps a user's caches."""
    if named := os.environ.get("MELODYGRU_CACHE"):
        return Path(named)
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "melodygru"


def digest_of(*parts: str | bytes) -> str:
    """Hash of a list of strings; the boundaries between them count."""
    state = blake2b(digest_size=16)
    for part in parts:
        data = part if isinstance(part, bytes) else part.encode("utf-8", "surrogateescape")
        state.update(len(data).to_bytes(8, "little"))
        state.update(data)
    return state.hexdigest()


def file_digest(path: Path) -> str:
    """Hash of a file's bytes. Raises OSError."""
    state = blake2b(digest_size=16)
    with path.open("rb") as file:
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
    columns = [sequence.notes[name].astype(np.int64) for name in ("program", "pitch", "velocity")]
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
        "sizes": [len(sequence.notes), len(sequence.tempos), len(sequence.metres)],
        "types": types,
    }
    parts = [column.astype(kind).tobytes() for column, kind in zip(columns.values(), types, strict=True)]
    parts += [sequence.tempos.tobytes(), sequence.metres.tobytes()]
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
    for dtype, size in zip((TEMPO, METRE), n_marks, strict=True):
        marks.append(np.frombuffer(data, dtype, size, at).copy())
        at += marks[-1].nbytes
    rates = [None if about[name] is None else Fraction(about[name]) for name in ("beats", "seconds")]
    return unchecked(notes, Grid(*rates), about["length"], *marks)


def _arrays(sequence: NoteSequence) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return sequence.notes, sequence.tempos, sequence.metres


@lru_cache(maxsize=1)
def version() -> str:
    """Names the rule by which rows are made: a hash of all code of the wings that `corpus` may import, and its own."""
    root = Path(__file__).parents[1]
    sources = sorted(source for wing in WINGS for source in (root / wing).rglob("*.py"))
    parts = [part for source in sources for part in (source.relative_to(root).as_posix(), source.read_bytes())]
    return f"v{CACHE_FORMAT}-{digest_of(*parts)[:12]}"


@contextmanager
def _guarded(what: str) -> Iterator[None]:
    """Tell a damaged store from a place that can't be written."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise CacheUnusable(f"{what}: {error}") from error
    except (sqlite3.DatabaseError, ValueError, KeyError, TypeError, NoteError) as error:
        raise CacheDamaged(f"{what}: {error}") from error
    except OSError as error:
        raise CacheUnusable(f"{what}: {error.strerror or error}") from error


class Cache:
    """A cache folder, open. Use as a context manager.

    Parameters
    ----------
    folder : Path or None
        None is a temporary folder, which lasts as long as `keep` is referenced.

    Raises
    ------
    CacheUnusable
        The folder can't be made or written.
    """

    def __init__(self, folder: Path | None) -> None:
        self.keep: tempfile.TemporaryDirectory[str] | None = None
        if folder is None:
            self.keep = tempfile.TemporaryDirectory(prefix="melodygru-", ignore_cleanup_errors=True)
            folder = Path(self.keep.name)
        self.root = folder / version()
        self._database: sqlite3.Connection | None = None
        with _guarded(str(folder)):
            for name in ("folders", "corpora"):
                (self.root / name).mkdir(parents=True, exist_ok=True)
            if not os.access(self.root, os.W_OK | os.X_OK):
                raise PermissionError(13, "Permission denied")
            os.utime(self.root)
            _sweep(folder)

    def __enter__(self) -> Cache:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None

    @property
    def database_path(self) -> Path:
        return self.root / "parsed.sqlite"

    @property
    def database(self) -> sqlite3.Connection:
        """The store of read files, opened when first needed."""
        if self._database is None:
            connection = sqlite3.connect(self.database_path, timeout=LOCK_TIMEOUT_S)
            try:
                # A process that is killed loses nothing. When the machine stops, the store may be damaged: that is
                # noticed, and it is made again, which costs less than to wait for the disk at each batch.
                connection.execute("PRAGMA synchronous = OFF")
                with connection:
                    connection.execute(
                        "CREATE TABLE IF NOT EXISTS parsed (digest TEXT PRIMARY KEY, error TEXT, content TEXT, "
                        "n_notes INTEGER, lost INTEGER, oddities TEXT, music BLOB)"
                    )
            except sqlite3.Error:
                connection.close()
                raise
            self._database = connection
        return self._database

    def discard_parsed(self) -> None:
        """Throw the store of read files away."""
        self.__exit__(None, None, None)
        with _guarded(str(self.database_path)):
            for name in ("parsed.sqlite", "parsed.sqlite-journal"):
                (self.root / name).unlink(missing_ok=True)

    def known(self, digests: Sequence[str]) -> dict[str, Parsed]:
        """What is known of these contents."""
        found = {}
        with _guarded(str(self.database_path)):
            for start in range(0, len(digests), 500):
                part = digests[start : start + 500]
                for row in self.database.execute(
                    "SELECT digest, error, content, n_notes, lost, oddities FROM parsed "
                    f"WHERE digest IN ({','.join('?' * len(part))})",
                    part,
                ):
                    digest, error, content, n_notes, lost, oddities = row
                    found[digest] = Parsed(digest, error, content, n_notes, lost, json.loads(oddities) or None)
        return found

    def add(self, rows: Sequence[tuple[Parsed, bytes]]) -> None:
        """Remember what was read, all of these or none."""
        with _guarded(str(self.database_path)), self.database:
            self.database.executemany(
                "INSERT OR REPLACE INTO parsed VALUES (?, ?, ?, ?, ?, ?, ?)",
                [
                    (p.digest, p.error, p.content, p.n_notes, p.lost, json.dumps(p.oddities or {}), music)
                    for p, music in rows
                ],
            )

    def sequence(self, digest: str) -> NoteSequence:
        """The notes, in file ticks, of a content that `known` knows."""
        with _guarded(str(self.database_path)):
            row = self.database.execute("SELECT music FROM parsed WHERE digest = ?", (digest,)).fetchone()
            return unpack(row[0])

    def folder_file(self, folder: Path) -> Path:
        return self.root / "folders" / f"{digest_of(os.path.abspath(folder))}.json"

    def recall_folder(self, folder: Path) -> dict[str, tuple[int, int, str]]:
        """Relative path -> (size, mtime_ns, digest) when the folder was last seen; {} when it wasn't."""
        try:
            entries = json.loads(self.folder_file(folder).read_bytes())
            return {str(path): (int(size), int(mtime), str(digest)) for path, size, mtime, digest in entries}
        except (OSError, ValueError, TypeError):
            return {}

    def remember_folder(self, folder: Path, entries: dict[str, tuple[int, int, str]]) -> None:
        settled = time.time_ns() - FRESH_NS
        rows = [[path, *entry] for path, entry in entries.items() if entry[1] < settled]
        with _guarded(str(self.root)), atomic_write(self.folder_file(folder)) as aside:
            aside.write_bytes(json.dumps(rows).encode())

    def corpus_folder(self, key: str) -> Path:
        return self.root / "corpora" / key


def _sweep(folder: Path) -> None:
    """Remove what is out of use. Only folders that are certainly ours: the cache's place is the user's choice."""
    now = time.time()
    for version_folder in folder.iterdir():
        if not (re.fullmatch(r"v\d+-[0-9a-f]{12}", version_folder.name) and (version_folder / "corpora").is_dir()):
            continue
        candidates = [version_folder, *(version_folder / "corpora").iterdir()]
        for candidate in candidates:
            days = ABANDONED_DAYS if candidate.name.startswith(".") else KEPT_DAYS
            try:
                old = now - candidate.stat().st_mtime > days * 86_400
            except FileNotFoundError:
                continue  # another process was faster
            if old:
                shutil.rmtree(candidate, ignore_errors=True)


ARRAYS = {"notes": NOTE, "tempos": TEMPO, "metres": METRE}
ROWS = ("pieces", "files")


class ArrayWriter:
    """Appends to a one-axis .npy file whose final size is not known at the start.

    The header (version 1.0 of NumPy's format) is padded to a fixed size and written again at the end.
    """

    HEADER = 256

    def __init__(self, path: Path, dtype: np.dtype) -> None:
        self.file = path.open("wb")
        self._dtype = dtype
        self.file.write(bytes(self.HEADER))
        self.size = 0
        self.checksum = 0

    def append(self, array: np.ndarray) -> None:
        """Add elements."""
        data = np.ascontiguousarray(array, self._dtype).tobytes()
        self.file.write(data)
        self.checksum = zlib.crc32(data, self.checksum)
        self.size += len(array)

    def close(self) -> None:
        about = {"descr": np.lib.format.dtype_to_descr(self._dtype), "fortran_order": False, "shape": (self.size,)}
        text = repr(about).ljust(self.HEADER - 11).encode("latin-1") + b"\n"
        self.file.seek(0)
        self.file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text)
        self.file.close()


class RowWriter:
    """Appends rows of plain values to a file, a line of JSON each: however many, none is kept in memory."""

    def __init__(self, path: Path) -> None:
        self.file = path.open("wb")
        self.size = 0
        self.checksum = 0

    def append(self, row: list[Any]) -> None:
        """Add a row."""
        line = json.dumps(row).encode() + b"\n"
        self.file.write(line)
        self.checksum = zlib.crc32(line, self.checksum)
        self.size += 1

    def close(self) -> None:
        self.file.close()


def _read_rows(path: Path, size: int, checksum: int) -> Iterator[list[Any]]:
    """The rows of a file, which is as long as it was written; ValueError at its end if it is not what was written."""
    n = found = 0
    with path.open("rb") as file:
        for line in file:
            n, found = n + 1, zlib.crc32(line, found)
            yield json.loads(line)
    if (n, found) != (size, checksum):
        raise ValueError(f"{path.name} does not agree with its checksum")


class CorpusWriter:
    """Writes a corpus aside; `finish` gives it its name. Leaving the context without it removes what was written."""

    def __init__(self, cache: Cache, key: str) -> None:
        self._target = cache.corpus_folder(key)
        with _guarded(str(cache.root)):
            self._folder = Path(tempfile.mkdtemp(dir=self._target.parent, prefix=".new-"))
        self._arrays: dict[str, ArrayWriter] = {}
        self._rows: dict[str, RowWriter] = {}

    def __enter__(self) -> CorpusWriter:
        with _guarded(str(self._folder)):
            for name, dtype in ARRAYS.items():
                self._arrays[name] = ArrayWriter(self._folder / f"{name}.npy", dtype)
            for name in ROWS:
                self._rows[name] = RowWriter(self._folder / f"{name}.jsonl")
        return self

    def append(self, sequence: NoteSequence, row: list[Any]) -> None:
        """Add a piece, and the row of what is known of it."""
        with _guarded(str(self._folder)):
            for writer, array in zip(self._arrays.values(), _arrays(sequence), strict=True):
                writer.append(array)
            self._rows["pieces"].append(row)

    def finish(self, files: Iterable[list[Any]], about: dict[str, Any]) -> None:
        """Name the corpus. One that another process has finished meanwhile is replaced: it is the same.

        Parameters
        ----------
        files : a row for each file of the folder
        about : all else
        """
        with _guarded(str(self._folder)):
            for row in files:
                self._rows["files"].append(row)
            checks = {}
            writers: dict[str, ArrayWriter | RowWriter] = {**self._arrays, **self._rows}
            for name, writer in writers.items():
                writer.close()
                checks[name] = [writer.size, writer.checksum]
            body = json.dumps(about | {"checks": checks}).encode()
            (self._folder / "corpus.json").write_bytes(b"%08x\n" % zlib.crc32(body) + body)
            try:
                os.replace(self._folder, self._target)
            except OSError:
                # a folder in the way: another process's, whole, or else one that open_corpus would have removed
                if not (self._target / "corpus.json").is_file():
                    raise

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for file in [writer.file for writer in self._arrays.values()] + [writer.file for writer in self._rows.values()]:
            file.close()
        shutil.rmtree(self._folder, ignore_errors=True)


def _checksum(path: Path) -> int:
    """Checksum of a file's elements, read block by block: through the map it would all become resident."""
    checksum = 0
    with path.open("rb") as file:
        file.seek(ArrayWriter.HEADER)
        while block := file.read(1 << 20):
            checksum = zlib.crc32(block, checksum)
    return checksum


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
        os.utime(folder)  # in use: see _sweep
        check, _, body = (folder / "corpus.json").read_bytes().partition(b"\n")
        if int(check, 16) != zlib.crc32(body):
            raise ValueError("corpus.json does not agree with its checksum")
        about = json.loads(body)
        checks = about["checks"]
        made = {
            name: [make(row) for row in _read_rows(folder / f"{name}.jsonl", *checks[name])]
            for name, make in rows.items()
        }
        arrays = {}
        for name, dtype in ARRAYS.items():
            array = np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
            size, checksum = checks[name]
            if array.dtype != dtype or array.shape != (size,):
                raise ValueError(f"{name}.npy holds {array.shape} of {array.dtype}, expected {size} of {dtype}")
            # numpy.memmap costs microseconds on every slice; a plain array over the same map does not
            arrays[name] = np.asarray(array)
            if array.nbytes <= CHECKED_BYTES and _checksum(folder / f"{name}.npy") != checksum:
                raise ValueError(f"{name}.npy does not agree with its checksum")
        return arrays, made, about
    except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
        logger.warning("the cached corpus %s is damaged (%s); making it again", folder, str(error))
        aside = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".old-"))
        with _guarded(str(folder)):
            try:
                os.replace(folder, aside / key)
            except FileNotFoundError:
                pass  # another process has removed it
            shutil.rmtree(aside, ignore_errors=True)
        return None
