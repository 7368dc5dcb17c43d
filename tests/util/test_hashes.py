"""Hashes of numbers, and where they stood before."""

import numpy as np

from melodygru.util.hashes import _ranked, latest_equal


def test_equal_hashes_stand_together_even_where_others_differ_in_their_lowest_bits_alone():
    hashes = np.array([9 << 40, (9 << 40) + 1, 9 << 40, 3, (9 << 40) + 1], np.uint64)  # indices take the low three bits
    assert _ranked(hashes).tolist() == [3, 0, 2, 1, 4]
    assert _ranked(hashes[[0, 2, 3]]).tolist() == [2, 0, 1]


def test_a_number_is_found_where_it_stood_last():
    assert latest_equal(np.array([7, 8, 7, 7, 9, 8], np.uint64)).tolist() == [-1, -1, 0, 2, -1, 1]
    assert latest_equal(np.zeros(0, np.uint64)).tolist() == []
