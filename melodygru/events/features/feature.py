"""What every feature is made of: its ids, its form over a whole piece, and its form advanced note by note."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from typing import Any, NamedTuple, TypeVar

import numpy as np

from melodygru.events.features.piece import Past, Piece
from melodygru.events.vocabulary import Vocabulary

# The arrays that features fill, a row for each event (see `Events`).
ARRAYS = {
    "previous": np.int32,
    "before": np.int32,
    "context": np.int32,
    "part_descriptions": np.uint8,
    "line_up": np.uint8,
    "part_history": np.int32,
    "pitch_class_levels": np.uint8,
    "pitch_mask": np.uint8,
    "legality": np.int32,
    "shift_pointers": np.int16,
    "pitch_pointers": np.int16,
    "duration_pointers": np.int16,
    "velocity_pointers": np.int16,
    "at_common_end": np.uint8,
}


class Region(NamedTuple):
    """Where a feature's ids lie.

    Attributes
    ----------
    blocks : first id of each of its blocks of the embedding table
    columns : its first column of each array
    """

    blocks: Mapping[str, int]
    columns: Mapping[str, int]


class Feature:
    """One thing that the model is conditioned on. It follows from the conditions and the events so far.

    A subclass says what it needs (`blocks`, `columns`) and has two forms that must agree: `encode`, vectorised over a
    piece, for training; and an instance, advanced note by note, for composing. The methods of an instance append what
    `encode` writes to the arrays; what goes into an array of its own has methods of its own.

    A pointer is a class, plus 1, that stood somewhere in the piece where it may repeat itself (0: there is none); it
    has a logit, which is added to that of the class.

    Parameters
    ----------
    past : the piece so far, shared by all features of a `Context`
    region : where its ids lie
    """

    @staticmethod
    def blocks(vocabulary: Vocabulary) -> dict[str, int]:
        """Number of ids of each of its blocks of the embedding table."""
        return {}

    @staticmethod
    def columns(vocabulary: Vocabulary) -> dict[str, int]:
        """Number of its columns of each of ARRAYS; with none at all, a vocabulary does without the feature."""
        raise NotImplementedError

    @staticmethod
    def encode(piece: Piece, region: Region, arrays: dict[str, np.ndarray]) -> None:
        """Fill its columns of the arrays, which hold zeros."""
        raise NotImplementedError

    def __init__(self, past: Past, region: Region) -> None:
        self.past = past

    def before(self, row: list[int]) -> None:
        """Append its ids that are known before the event's shift; called once before each event."""

    def context(self, row: list[int]) -> None:
        """Append its ids at the event's onset; called after `before`."""

    def point_shift(self, row: list[int]) -> None:
        """Append its pointers to shifts; called after `before`."""

    def point_pitch(self, row: list[int], part: int) -> None:
        """Append its pointers to pitches of the event's part; called after `context`."""

    def point_note(self, durations: list[int], velocities: list[int], part: int, pitch: int) -> None:
        """Append its pointers to durations and to velocities of the event's part and pitch; after `context`."""

    def add(self) -> None:
        """Go on past the note that `past` has just been given."""

    def copy(self, past: Past) -> Feature:
        """Another with the same state, of a copy of the past."""
        other = copied(self)
        other.past = past
        return other


def point(
    arrays: dict[str, np.ndarray], region: Region, field: str, rank: int, events: np.ndarray, classes: np.ndarray
) -> None:
    """Let the pointer number `rank` of a feature point events, given by their indices, to classes of a field."""
    name = f"{field}_pointers"
    arrays[name][events, region.columns[name] + rank] = classes + 1


_T = TypeVar("_T")
_CONTAINERS = {list, dict, Counter, deque}


def copied(stepped: _T) -> _T:
    """A copy whose lists, dicts, counters and deques are its own; what these hold is shared."""
    other = object.__new__(type(stepped))
    state: dict[str, Any] = other.__dict__
    state.update(stepped.__dict__)
    for name, value in state.items():
        if type(value) in _CONTAINERS:
            state[name] = value.copy()
    return other
