"""Whether the arrays of an index fit each other, so that no look-up in it can fail later."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from melodygru.analysis.originality.codes import N_KEYS
from melodygru.util import archives

FORMS: dict[str, archives.Expected] = {  # of what `arrays` gives: dtype and shape, None where any size will do
    "text": (np.dtype(np.uint8), (None,)),
    "sorted": (np.dtype(np.uint8), (None, None)),
    "marks": (np.dtype(np.uint8), (None,)),
    "dictionary": (np.dtype(np.uint32), (None,)),
    "lines": (np.dtype(np.uint32), (None, None)),
    "about": (np.dtype(np.uint8), (None,)),
}
_ROWS = 1 << 18  # offsets and bits checked at once, so that the checks take little memory
_BITS = 1 << 24


def width_of(n: int) -> int:
    """Bytes that number `n` offsets."""
    return max(1, (max(1, n - 1).bit_length() + 7) // 8)


def check(held: Mapping[str, np.ndarray], about: Mapping[str, Any]) -> None:
    """ValueError if arrays do not fit each other, so that no look-up can fail later."""
    for name, (dtype, shape) in FORMS.items():
        array = held[name]
        if array.dtype != dtype or array.ndim != len(shape):
            raise ValueError(f"{name}: {array.dtype} of shape {array.shape}")
    stride, n_files = about["stride"], len(about["files"])
    n = held["text"].size // 2
    n_sorted = -(-n // stride)
    if held["text"].size % 2 or held["sorted"].shape != (n_sorted, width_of(n_sorted)) or held["lines"].shape[1] != 3:
        raise ValueError("its arrays have sizes that do not fit")
    dictionary = held["dictionary"]
    if (
        np.any(dictionary[1:] <= dictionary[:-1])
        or dictionary.max(initial=0) >= N_KEYS
        or held["text"].view(">u2").max(initial=0) > len(dictionary)
    ):
        raise ValueError("its codes do not fit")
    for at in range(0, n_sorted, _ROWS):
        rows = held["sorted"][at : at + _ROWS].astype(np.int64)
        if (rows @ (1 << 8 * np.arange(rows.shape[1]))).max(initial=0) >= n_sorted:
            raise ValueError("an offset beyond its text")
    starts, marks, pieces = held["lines"].T
    if (
        len(starts) < 2
        or starts[0] != 0
        or starts[-1] != n
        or np.any(starts[1:] <= starts[:-1])
        or marks[0] != 0
        or np.any(marks[1:] <= marks[:-1])
        or held["marks"].size != -(-int(marks[-1]) // 8)
        or pieces.max() >= n_files
        or not _marks_fit(held["marks"], marks, starts)
    ):
        raise ValueError("its lines do not fit")


def _marks_fit(packed: np.ndarray, marks: np.ndarray, starts: np.ndarray) -> bool:
    """Whether each line has as many bits set as it has notes."""
    at, last = 0, len(marks) - 1
    while at < last:
        begin = int(marks[at])
        until = max(at + 1, int(np.searchsorted(marks, min(begin + _BITS, int(marks[-1])), "right")) - 1)
        end = int(marks[until])
        if end - begin > 2 * _BITS:
            return False  # a line of that many bars is no piece's
        bits = np.unpackbits(packed[begin // 8 : -(-end // 8)])[begin % 8 :]
        n_set = np.concatenate([[0], np.cumsum(bits, dtype=np.int32)])[marks[at : until + 1].astype(np.int64) - begin]
        if np.any(np.diff(n_set) != np.diff(starts[at : until + 1].astype(np.int64))):
            return False
        at = until
    return True


__all__ = ["FORMS", "check", "width_of"]
