"""64-bit hashes of numbers, and where they stood before."""

from __future__ import annotations

import numpy as np

MIX = 0x9E3779B97F4A7C15
MASK = (1 << 64) - 1


def mixed(codes: np.ndarray) -> np.ndarray:
    """Numbers, 0 or more, as 64 bits that look random: those of a hash."""
    with np.errstate(over="ignore"):
        codes = (codes.astype(np.uint64) + np.uint64(1)) * np.uint64(MIX)
    return codes ^ (codes >> np.uint64(29))


def latest_equal(hashes: np.ndarray) -> np.ndarray:
    """Where each of some numbers, uint64, stood the last time before, or -1; of their shape, (n,)."""
    found = np.full(len(hashes), -1, np.int64)
    ranked = _ranked(hashes)
    ordered = hashes[ranked]
    same = ordered[1:] == ordered[:-1]
    found[ranked[1:][same]] = ranked[:-1][same]
    return found


def _ranked(hashes: np.ndarray) -> np.ndarray:
    """An order that puts equal hashes together, each group in the order of its indices."""
    # Sorting numbers is several times faster than a stable order of them: their low bits give way to the index.
    low = np.uint64((1 << len(hashes).bit_length()) - 1)
    sorted_hashes = np.sort((hashes & ~low) | np.arange(len(hashes), dtype=np.uint64))
    ranked = (sorted_hashes & low).astype(np.int64)
    ordered, high = hashes[ranked], sorted_hashes & ~low
    if np.any((high[1:] == high[:-1]) & (ordered[1:] != ordered[:-1])):  # rare: they differ in those bits alone
        return np.argsort(hashes, kind="stable")
    return ranked
