"""The arrays of Keras's weight file, read from its bytes alone: the part of HDF5 that Keras writes, and nothing more.

HDF5 lets a file name other files for its data, links, filters and types without end, and the library that reads it all
trusts what it reads. A weight file needs none of that: groups of plain arrays, float16 or float32, each in one piece.
Everything else is refused, and nothing is copied before sizes were checked against the file's own. The layout: HDF5
File Format Specification 2.0, superblock 0, version 1 of object headers and B-trees.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

_SIGNATURE = b"\x89HDF\r\n\x1a\n\x00"  # and the superblock's version
MAX_OBJECTS = 10_000  # groups, arrays and blocks of them
MAX_DEPTH = 16
MAX_LEVEL = 16  # of a tree's nodes
_SPACE, _TYPE, _EXTERNAL, _LAYOUT, _FILTERS, _CONTINUED, _GROUP = 0x01, 0x03, 0x07, 0x08, 0x0B, 0x10, 0x11
_LINKS = (0x02, 0x06)  # how newer files, and those with links to other files, list what is in a group
_FLOATS: dict[
    bytes, np.dtype
] = {  # the whole datatype message: class and version, bit field, size, and where the parts of a number lie
    bytes.fromhex("11 20 0f 00 02000000 0000 1000 0a 05 00 0a 0f000000"): np.dtype("<f2"),
    bytes.fromhex("11 20 1f 00 04000000 0000 2000 17 08 00 17 7f000000"): np.dtype("<f4"),
}


@dataclass(frozen=True)
class Stored:
    """An array in the file: its dtype and shape, and its first byte."""

    dtype: np.dtype
    shape: tuple[int, ...]
    start: int

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


def arrays_of(data: bytes) -> dict[str, np.ndarray]:
    """The arrays of a file by their paths, such as `bag/vars/0`; views of `data`.

    Raises
    ------
    ValueError
        The file is damaged, or holds anything else than plain arrays of float16 or float32.
    """
    try:
        stored = _Reader(data).arrays()
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise ValueError(f"the weights are damaged ({error})") from error
    if sum(one.nbytes for one in stored.values()) > len(data):
        raise ValueError("the weights share their bytes, expected each in a place of its own")
    return {
        path: np.frombuffer(data, one.dtype, math.prod(one.shape), one.start).reshape(one.shape)
        for path, one in stored.items()
    }


class _Reader:
    """Reads one file; counts what it looks at, so that no circle of references is followed for ever."""

    def __init__(self, data: bytes) -> None:
        self.data, self._left = data, MAX_OBJECTS

    def arrays(self) -> dict[str, Stored]:
        """Every array by its path."""
        if not self.data.startswith(_SIGNATURE) or self.data[13:15] != b"\x08\x08":
            raise ValueError("the weights are no HDF5 file of the kind that Keras writes")
        base, root = self._unpack("<Q", 24)[0], self._unpack("<Q", 64)[0]
        if base:
            raise ValueError("the weights begin elsewhere than at the file's first byte")
        return dict(self._below("", root, MAX_DEPTH))

    def _unpack(self, form: str, at: int) -> tuple[Any, ...]:
        """Numbers at a place; struct.error beyond the end."""
        if at > len(self.data):
            raise ValueError("the weights point beyond their end")
        return struct.unpack_from(form, self.data, at)

    def _count(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise ValueError(f"the weights have more than {MAX_OBJECTS:,} parts")

    def _below(self, path: str, header: int, depth: int) -> Iterator[tuple[str, Stored]]:
        """The arrays in an object: itself, or those of a group."""
        if depth < 0:
            raise ValueError(f"the weights lie more than {MAX_DEPTH} groups deep")
        messages = dict(self._messages(header))
        if any(kind in messages for kind in _LINKS):
            raise ValueError(f"the weights' group {path or '/'!r} has links, expected plain arrays")
        if _GROUP in messages:
            tree, heap = self._unpack("<QQ", messages[_GROUP][0])
            signature, segment = self._unpack("<4s", heap)[0], self._unpack("<Q", heap + 24)[0]
            if signature != b"HEAP":
                raise ValueError("the names of the weights are damaged")
            for name, at in self._members(tree, segment, MAX_LEVEL):
                if not path and name == "optimizer":
                    continue  # Keras saves that of a compiled model beside the weights
                yield from self._below(f"{path}/{name}" if path else name, at, depth - 1)
        else:
            yield path, self._array(path, messages)

    def _messages(self, header: int) -> Iterator[tuple[int, tuple[int, int]]]:
        """An object's messages: kind -> where it begins, and its size."""
        version, _, number, _, size = self._unpack("<BBHII", header)
        if version != 1:
            raise ValueError(f"the weights are of version {version} of HDF5's objects, expected 1")
        blocks = [(header + 16, size)]
        for at, size in blocks:
            end = at + size
            while number and at + 8 <= end:
                self._count()
                kind, length, flags = self._unpack("<HHB", at)
                number -= 1
                if kind == _CONTINUED:
                    start, more = self._unpack("<QQ", at + 8)
                    blocks.append((start, more))
                elif flags & 2:
                    raise ValueError("the weights share their descriptions, expected each with its own")
                elif at + 8 + length > len(self.data):
                    raise ValueError("the weights point beyond their end")
                else:
                    yield kind, (at + 8, length)
                at += 8 + length

    def _members(self, node: int, names: int, top: int) -> Iterator[tuple[str, int]]:
        """What lies in a group: names, and where the headers lie; `top` is the highest level that a node may have."""
        self._count()
        signature, kind, level, used = self._unpack("<4sBBH", node)
        if signature != b"TREE" or kind != 0 or level > top:
            raise ValueError("a group of the weights is damaged")
        for index in range(used):
            child = self._unpack("<Q", node + 32 + 16 * index)[0]
            if level:
                yield from self._members(child, names, level - 1)
            else:
                yield from self._leaf(child, names)

    def _leaf(self, node: int, names: int) -> Iterator[tuple[str, int]]:
        """The members that one leaf of a group's tree lists."""
        signature, version, _, used = self._unpack("<4sBBH", node)
        if signature != b"SNOD" or version != 1:
            raise ValueError("a group of the weights is damaged")
        for index in range(used):
            self._count()
            name, header, kind = self._unpack("<QQI", node + 8 + 40 * index)
            if kind not in (0, 1):
                raise ValueError("the weights have links, expected plain arrays")
            start = names + name
            end = self.data.index(b"\0", start, start + 256)
            yield self.data[start:end].decode("ascii"), header

    def _array(self, path: str, messages: dict[int, tuple[int, int]]) -> Stored:
        """What is said of one array, which lies within the file."""
        if missing := {_SPACE, _TYPE, _LAYOUT} - messages.keys():
            raise ValueError(f"{path}: neither a group nor an array ({len(missing)} of its parts are missing)")
        if _FILTERS in messages or _EXTERNAL in messages:
            raise ValueError(f"{path}: compressed, or kept in another file; expected a plain array")
        at, length = messages[_TYPE]
        dtype = _FLOATS.get(self.data[at : at + 20]) if length >= 20 else None
        if dtype is None:
            raise ValueError(f"{path}: neither float16 nor float32")
        at, length = messages[_SPACE]
        version, rank = self._unpack("<BB", at)
        if version != 1 or rank > 4 or length < 8 + 8 * rank:
            raise ValueError(f"{path}: of {rank} dimensions, expected at most 4")
        shape = self._unpack(f"<{rank}Q", at + 8)
        at, length = messages[_LAYOUT]
        version, kind = self._unpack("<BB", at)
        if (version, kind) != (3, 1) or length < 18:
            raise ValueError(f"{path}: not in one piece")
        start, size = self._unpack("<QQ", at + 2)
        stored = Stored(dtype, shape, start)
        if stored.nbytes != size or start + size > len(self.data):
            raise ValueError(f"{path}: {size:,} bytes at {start:,} for the shape {shape}")
        return stored
