"""The cache on disk: what was read of every file, which files a folder held, and finished corpora.

    <cache>/<version>/parsed.sqlite             content of a MIDI file (its hash) -> its notes in ticks, or why not
    <cache>/<version>/folders/<folder>.json     path, size, time and hash of each file at the last intake
    <cache>/<version>/corpora/<key>/            a finished corpus (see `storage`)

Everything is keyed by content, so a copied or renamed folder is recognised. A file appears whole or not at all: SQLite
commits, the others are written aside and renamed. Each row and each file has a checksum over all of it; whatever is
damaged is thrown away and made again. A file of music whose size and time are as they were is taken for unchanged, and
not read. The version follows from the code that reads and quantises, so an old cache is never taken for a new one.
"""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import sqlite3
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any

from melodygru.corpus.packing import digest_of, unpack
from melodygru.errors import NoteError
from melodygru.music.notes import NoteSequence
from melodygru.util.atomic import atomic_write
from melodygru.util.schema import ANY_COUNT, Flag, Integer, Optional, Row, Rows, Table, Text, entry, record

CACHE_FORMAT = 6  # raise when the layout above changes
WINGS = ("util", "music", "midi", "corpus")  # whose code decides what is cached
FRESH_NS = 2_000_000_000  # a file changed this recently may change again without its time showing it
LOCK_TIMEOUT_S = 60
KEPT_DAYS = 60  # corpora and versions that nobody has opened for so long are removed
ABANDONED_DAYS = 1  # what an interrupted writer left behind

_DIGEST = Text(64)
_LISTING = Rows(Row(Text(100_000), Integer(), Integer(-ANY_COUNT * 1024, ANY_COUNT * 1024), _DIGEST), most=100_000_000)

logger = logging.getLogger("melodygru")


class CacheDamaged(Exception):
    """What the cache holds is not what was written; it can be thrown away and made again."""


class CacheUnusable(Exception):
    """The cache folder can't be written."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """What is known of one file's content, without its notes.

    `content` identifies the music (see `content_digest`); it is empty, and `error` says why, for a file that can't be
    read. `lost` counts the notes that the reading dropped, `oddities` everything that it met; `has_metre` says whether
    the file has a time signature.
    """

    digest: str = entry(_DIGEST)
    error: str | None = entry(Optional(Text(10_000)), default=None)
    content: str = entry(_DIGEST, default="")
    n_notes: int = entry(Integer(), default=0)
    lost: int = entry(Integer(), default=0)
    oddities: dict[str, int] | None = entry(Optional(Table(Integer())), default=None)
    has_metre: bool = entry(Flag(), default=True)


def default_folder() -> Path:
    """`$MELODYGRU_CACHE`, else where this platform keeps a user's caches."""
    if named := os.environ.get("MELODYGRU_CACHE"):
        return Path(named)
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "melodygru"


@lru_cache(maxsize=1)
def version() -> str:
    """Names the rule by which rows are made: a hash of all code of the wings that `corpus` may import, and its own."""
    root = Path(__file__).parents[1]
    sources = sorted(source for wing in WINGS for source in (root / wing).rglob("*.py"))
    parts = [part for source in sources for part in (source.relative_to(root).as_posix(), source.read_bytes())]
    return f"v{CACHE_FORMAT}-{digest_of(*parts)[:12]}"


@contextmanager
def guarded(what: str) -> Iterator[None]:
    """Raise what happens within as `CacheDamaged` or `CacheUnusable`, with what it happened to."""
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
            with guarded("a temporary folder"):
                self.keep = tempfile.TemporaryDirectory(prefix="melodygru-", ignore_cleanup_errors=True)
            folder = Path(self.keep.name)
        self.root = folder / version()
        self._database: sqlite3.Connection | None = None
        with guarded(str(folder)):
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
        """Where the store of read files lies."""
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
                        "n_notes INTEGER, lost INTEGER, oddities TEXT, has_metre INTEGER, music BLOB, checksum INTEGER)"
                    )
            except sqlite3.Error:
                connection.close()
                raise
            self._database = connection
        return self._database

    def discard_parsed(self) -> None:
        """Throw the store of read files away."""
        self.__exit__(None, None, None)
        with guarded(str(self.database_path)):
            for name in ("parsed.sqlite", "parsed.sqlite-journal"):
                (self.root / name).unlink(missing_ok=True)

    def known(self, digests: Sequence[str]) -> dict[str, Parsed]:
        """What is known of these contents."""
        found = {}
        with guarded(str(self.database_path)):
            for start in range(0, len(digests), 500):
                part = digests[start : start + 500]
                for row in self.database.execute(
                    f"SELECT {_COLUMNS}, coalesce(substr(music, 1, 4), x''), checksum FROM parsed "
                    f"WHERE digest IN ({','.join('?' * len(part))})",
                    part,
                ):
                    found[row[0]] = _checked(row)
        return found

    def add(self, rows: Sequence[tuple[Parsed, bytes]]) -> None:
        """Remember what was read, all of these or none."""
        with guarded(str(self.database_path)), self.database:
            self.database.executemany(
                "INSERT OR REPLACE INTO parsed VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [(*values, music, _row_checksum(values, music)) for values, music in map(_as_row, rows)],
            )

    def sequence(self, digest: str) -> NoteSequence:
        """The notes, in file ticks, of a content that `known` knows."""
        with guarded(str(self.database_path)):
            select = f"SELECT {_COLUMNS}, music, checksum FROM parsed WHERE digest = ?"
            row = self.database.execute(select, (digest,)).fetchone()
            _checked(row)
            return unpack(row[-2])

    def listing_file(self, folder: Path) -> Path:
        """Where it stands which files a folder held."""
        return self.root / "folders" / f"{digest_of(os.path.abspath(folder))}.json"

    def load_listing(self, folder: Path) -> dict[str, tuple[int, int, str]]:
        """Relative path -> (size, mtime_ns, digest) at the folder's last intake; {} when there was none."""
        try:
            entries = _LISTING.read(json.loads(unsealed(self.listing_file(folder).read_bytes())), "folder")
            return {path: (size, mtime, digest) for path, size, mtime, digest in entries}
        except (OSError, ValueError, TypeError):
            return {}

    def save_listing(self, folder: Path, entries: dict[str, tuple[int, int, str]]) -> None:
        """Keep what `load_listing` gives; files that changed just now are left out, as they may change unnoticed."""
        settled = time.time_ns() - FRESH_NS
        rows = [[path, *entry] for path, entry in entries.items() if entry[1] < settled]
        with guarded(str(self.root)), atomic_write(self.listing_file(folder)) as aside:
            aside.write_bytes(sealed(json.dumps(rows).encode()))

    def corpus_folder(self, key: str) -> Path:
        """Where the corpus of a key lies, or will lie."""
        return self.root / "corpora" / key


_COLUMNS = "digest, error, content, n_notes, lost, oddities, has_metre"  # all but the music


def _as_row(parsed: tuple[Parsed, bytes]) -> tuple[tuple[Any, ...], bytes]:
    """The values of _COLUMNS, and the music."""
    p, music = parsed
    counts = json.dumps(p.oddities or {})
    return (p.digest, p.error, p.content, p.n_notes, p.lost, counts, int(p.has_metre)), music


def _row_checksum(values: Sequence[Any], music: bytes) -> int:
    """Checksum of a whole row: of the music it takes what that begins with, which is a checksum of all that follows."""
    return zlib.crc32(bytes(music[:4]), zlib.crc32(json.dumps(values).encode()))


def _checked(row: Sequence[Any]) -> Parsed:
    """What a row of _COLUMNS, the music or what it begins with, and the checksum says; ValueError if damaged."""
    *values, music, checksum = row
    if not isinstance(music, bytes) or _row_checksum(values, music) != checksum:
        raise ValueError("a row does not agree with its checksum")
    digest, error, content, n_notes, lost, oddities, has_metre = values
    names = {"digest": digest, "error": error, "content": content, "n_notes": n_notes, "lost": lost}
    return Parsed(
        **record(Parsed).read(
            {**names, "oddities": json.loads(oddities) or None, "has_metre": bool(has_metre)}, "a row"
        )
    )


def sealed(body: bytes) -> bytes:
    """A text with its checksum in a line before it."""
    return b"%08x\n" % zlib.crc32(body) + body


def unsealed(data: bytes) -> bytes:
    """The inverse of `sealed`; ValueError if it is damaged."""
    check, _, body = data.partition(b"\n")
    if check != b"%08x" % zlib.crc32(body):
        raise ValueError("it does not agree with its checksum")
    return body


def _sweep(folder: Path) -> None:
    """Remove what is out of use. Only folders that are certainly ours: where the cache lies is the user's choice."""
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
