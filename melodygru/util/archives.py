"""Zip archives from strangers: what they declare is checked before anything is unpacked.

`zipfile` reads the whole directory of an archive, and unpacks a member to whatever size it has. So the directory's own
size is looked at first, then each member's: stored or deflated, of a declared size within a limit. A member never
unpacks to more than its declared size.
"""

from __future__ import annotations

import contextlib
import json
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from typing import IO, Any, BinaryIO

import numpy as np

MAX_MEMBERS = 4096
MAX_CONTAINERS = 1_000_000  # lists and objects of a JSON text; an empty one takes two bytes there, and 70 in memory
MAX_DIRECTORY_BYTES = 1 << 20
_END = struct.Struct("<4s4H2LH")  # end of central directory record, PKWARE APPNOTE 4.3.16
_LARGE = b"PK\x06\x07"  # what stands before it in an archive with 64-bit sizes
_LARGE_SIZE = 20
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)

# What reading a damaged archive can raise, arrays in it included: RuntimeError if a bit says "encrypted",
# NotImplementedError for a version of zip that does not exist, the last three for a header of an array.
DAMAGED = (
    *(OSError, EOFError, zipfile.BadZipFile, zlib.error, struct.error, KeyError, ValueError, OverflowError),
    *(RuntimeError, NotImplementedError, TypeError, SyntaxError, tokenize.TokenError),
)

Expected = tuple[np.dtype, tuple[int | None, ...]]  # an array's dtype, and its shape, None where any size will do


@contextlib.contextmanager
def opened(file: BinaryIO) -> Iterator[zipfile.ZipFile]:
    """A zip archive, open for reading.

    Raises
    ------
    ValueError, zipfile.BadZipFile
        It is none, has a comment or 64-bit sizes, more than MAX_MEMBERS members, or two of one name.
    """
    size = file.seek(0, 2)
    tail = min(size, _END.size + _LARGE_SIZE)
    file.seek(size - tail)
    read = file.read(tail)
    if len(read) < _END.size or not read[-_END.size :].startswith(b"PK\x05\x06"):
        raise zipfile.BadZipFile("File is not a zip file")
    *_, members, directory_bytes, _, comment_bytes = _END.unpack(read[-_END.size :])
    if comment_bytes or read.startswith(_LARGE):
        raise zipfile.BadZipFile("a zip file with a comment or of 64-bit sizes, expected one as melodygru writes it")
    if members > MAX_MEMBERS or directory_bytes > MAX_DIRECTORY_BYTES:
        raise zipfile.BadZipFile(f"{members:,} members, expected at most {MAX_MEMBERS:,}")
    with zipfile.ZipFile(file) as archive:
        if len(set(archive.namelist())) != len(archive.namelist()):
            raise zipfile.BadZipFile("two members of one name")
        yield archive


def content(archive: zipfile.ZipFile, name: str, most: int, *, stored: bool = False) -> bytes:
    """A member's bytes.

    Parameters
    ----------
    archive : as `opened` gives it
    name : of the member
    most : bytes that it may have when unpacked
    stored : whether it must lie there as it is, uncompressed

    Raises
    ------
    KeyError
        There is none of that name.
    ValueError, and the rest of DAMAGED
        It is larger, or compressed otherwise.
    """
    info = archive.getinfo(name)
    if info.compress_type not in (_METHODS[:1] if stored else _METHODS):
        raise ValueError(f"{name} is compressed, expected it {'as it is' if stored else 'stored or deflated'}")
    if info.file_size > most:
        raise ValueError(f"{name} of {info.file_size:,} bytes, expected at most {most:,}")
    with archive.open(info) as member:
        # By a number, which is the most that is unpacked; without one it may be gigabytes, cut to size afterwards.
        data = member.read(info.file_size + 1)
    if len(data) != info.file_size:
        raise ValueError(f"{name} of {len(data):,} bytes, its directory says {info.file_size:,}")
    return data


def parsed(text: bytes) -> Any:
    """What a JSON text stands for; ValueError also where it would take up far more memory than it has bytes."""
    if text.count(b"[") + text.count(b"{") > MAX_CONTAINERS:
        raise ValueError(f"more than {MAX_CONTAINERS:,} lists and objects")
    return json.loads(text)


def arrays(file: BinaryIO, expected: Mapping[str, Expected], most: int) -> dict[str, np.ndarray]:
    """The arrays of an `.npz` file, their dtypes and shapes checked before anything is unpacked.

    Parameters
    ----------
    file : as `numpy.savez` writes it
    expected : of each array that is wanted
    most : bytes of all arrays together

    Raises
    ------
    DAMAGED
        An array is missing, or of another dtype or shape.
    """
    read: dict[str, np.ndarray] = {}
    with opened(file) as archive:
        for name, (dtype, shape) in expected.items():
            declared = archive.getinfo(f"{name}.npy").file_size
            with archive.open(f"{name}.npy") as member:
                found_shape, fortran, found_dtype = _header(member)
            if found_dtype != dtype or not _agree(found_shape, shape) or (fortran and len(found_shape) > 1):
                raise ValueError(f"{name}: {found_dtype} of shape {found_shape}, expected {dtype} of shape {shape}")
            size = dtype.itemsize
            for n in found_shape:
                size *= n
            most -= size
            if most < 0 or not size < declared <= size + 10_000:
                raise ValueError(f"{name} of {declared:,} bytes, expected {size:,} and its header")
            data = content(archive, f"{name}.npy", declared)
            read[name] = np.frombuffer(data, dtype, offset=declared - size).reshape(found_shape)
    return read


def _header(member: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, order and dtype of a `.npy` file."""
    version = np.lib.format.read_magic(member)
    if version != (1, 0):
        raise ValueError(f"an array of version {version}, expected 1.0")
    return np.lib.format.read_array_header_1_0(member, max_header_size=1000)


def _agree(found: tuple[int, ...], expected: tuple[int | None, ...]) -> bool:
    return len(found) == len(expected) and all(
        n >= 0 and wanted in (None, n) for n, wanted in zip(found, expected, strict=True)
    )
