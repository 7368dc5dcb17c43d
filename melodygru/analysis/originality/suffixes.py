"""Sorting all offsets of a text by what follows them, in NumPy: a suffix array by prefix doubling.

Manber and Myers, "Suffix arrays: a new method for on-line string searches" (1993); offsets whose order is known are
not sorted once more, after Larsson and Sadakane (2007).
"""

from __future__ import annotations

import numpy as np


def sort_suffixes(text: np.ndarray, stride: int = 1) -> np.ndarray:
    """Every `stride`-th offset of a text, ordered by the text from there on.

    Parameters
    ----------
    text : array, shape (n,), dtype uint16
        Two offsets that differ by zeros at its end alone come in any order.
    stride : 1..4

    Returns
    -------
    array, shape (ceil(n / stride),), dtype int32
        `offsets // stride`, ordered.
    """
    n = -(-len(text) // stride)
    assert 1 <= stride <= 4 and n < 1 << 31
    if n == 0:
        return np.zeros(0, np.int32)
    depth = 4 // stride  # blocks of `stride` values that have been compared; four values fill 64 bits
    padded = np.zeros((n + depth) * stride, np.uint16)
    padded[: len(text)] = text
    key = np.zeros(n, np.uint64)
    for at in range(depth * stride):
        key = (key << np.uint64(16)) | padded[at : at + n * stride : stride]
    order = np.argsort(key).astype(np.int32)
    key = key[order]
    rank = np.empty(n, np.int32)  # of an offset: the slot at which those that begin alike start
    slots = _regroup(order, key, np.arange(n, dtype=np.int32), rank)
    while len(slots) and depth < n:
        offsets = order[slots]
        ahead = offsets.astype(np.int64) + depth
        key = np.where(ahead < n, rank[np.minimum(ahead, n - 1)].astype(np.int64) + 1, 0)
        key |= rank[offsets].astype(np.int64) << 32
        by_key = np.argsort(key)
        offsets = offsets[by_key]
        order[slots] = offsets
        slots = _regroup(offsets, key[by_key], slots, rank)
        depth *= 2
    return order


def _regroup(offsets: np.ndarray, key: np.ndarray, slots: np.ndarray, rank: np.ndarray) -> np.ndarray:
    """Rank `offsets`, which stand in `slots` ordered by `key`; the slots of those that share their key with another."""
    first = np.ones(len(key), bool)
    first[1:] = key[1:] != key[:-1]
    rank[offsets] = np.maximum.accumulate(np.where(first, slots, 0))
    alone = first.copy()
    alone[:-1] &= first[1:]
    return slots[~alone]
