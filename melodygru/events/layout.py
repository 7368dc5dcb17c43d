"""Where ids lie: the embedding table's blocks, the arrays' columns, the heads' inputs, the pointers."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from melodygru.events.features import REGISTRY
from melodygru.events.features.feature import ARRAYS, Feature, Region
from melodygru.events.features.program_history import PROGRAM_HISTORY
from melodygru.events.features.sounding import SoundingNotes
from melodygru.events.times import N_INTERVALS, interval_class
from melodygru.events.vocabulary import Vocabulary
from melodygru.music.notes import N_PITCHES


class Layout:
    """The ids of a vocabulary's features in one embedding table, in which id 0 is "nothing"; use `layout_of`.

    Attributes
    ----------
    blocks : first id of each block; the table's size is under "end"
    widths : number of columns of each of the arrays of `Events` that features fill
    regions : the features that the vocabulary has, in the order of the registry, and where the ids of each lie
    sounding_columns : columns of `context` that hold ids of the block "sounding"
    pointer_columns : columns of `context` that hold the notes pointed to
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self.blocks: dict[str, int] = {}
        self.widths = dict.fromkeys(ARRAYS, 0)
        self.regions: dict[type[Feature], Region] = {}
        self.pointer_columns: list[int] = []
        origins: list[int] = []
        first = 1
        for feature in REGISTRY:
            columns = feature.columns(vocabulary)
            blocks = {}
            for name, size in feature.blocks(vocabulary).items():
                blocks[name] = first
                first += size
            self.blocks |= blocks
            region = Region(blocks, {array: self.widths[array] for array in columns})
            if any(columns.values()):
                self.regions[feature] = region
            for block, pointed in feature.pointers(vocabulary).items() if vocabulary.pointers else ():
                self.pointer_columns += [region.columns["context"] + column for column in pointed]
                origins += [self.blocks[block]] * len(pointed)
            for array, width in columns.items():
                self.widths[array] += width
        self.blocks["end"] = first
        # Id of pitch 0 in each pointer's block, modulo 128: each slot and level has 128 ids.
        self.pointer_origins = np.array(origins, np.int64) % N_PITCHES
        sounding = self.regions[SoundingNotes].columns["context"]
        self.sounding_columns = slice(sounding, sounding + 3 * vocabulary.n_sounding, 3)

    @property
    def n_ids(self) -> int:
        """Rows of the embedding table."""
        return self.blocks["end"]

    @property
    def n_pointers(self) -> int:
        """Notes of n-gram lookup and lookbacks that have a logit."""
        return len(self.pointer_columns)

    def pointed(self, context: np.ndarray) -> np.ndarray:
        """The pitch that each pointer points to, -1 for none: (..., n_pointers), of `context` (..., columns)."""
        ids = context[..., self.pointer_columns]
        return np.where(ids > 0, (ids - self.pointer_origins) % N_PITCHES, -1)

    def n_outputs(self, field: str) -> int:
        """Outputs of a field's head: one a class; for the pitch also one an interval, -127..127, and one a pointer."""
        n_classes = self.vocabulary.size(field)
        return n_classes + (2 * N_PITCHES - 1 + self.n_pointers if field == "pitch" else 0)

    def head_blocks(self, field: str) -> dict[str, int]:
        """First id of each block of the table that a field's head has of what was chosen before it.

        The blocks are the earlier fields' classes; once the program is chosen, what it played last (PROGRAM_HISTORY);
        for the pitch and for the duration what sounds and the pitch class levels, relative to the program's last pitch
        and to the chosen one (see `relative_ids`); and for the duration the interval between these two (see
        `motion_class`). The table's size is under "end"; id 0 is "nothing".
        """
        fields = self.vocabulary.fields
        blocks, first = {}, 1
        for earlier in fields[: fields.index(field)]:
            blocks[earlier] = first
            first += self.vocabulary.size(earlier)
        if "program" in blocks:
            for name, size in PROGRAM_HISTORY.items():
                blocks[name] = first - 1  # the values are classes plus 1
                first += size
        if field in ("pitch", "duration"):
            for name, size in (("interval", 2 * N_INTERVALS), ("scale", 2 * 12), ("key", 3 * 12)):
                blocks[name] = first
                first += size
        if field == "duration":
            blocks["motion"] = first - 1
            first += N_INTERVALS
        return {**blocks, "end": first}

    def relative_ids(
        self, field: str, sounding: np.ndarray, pitch_class_levels: np.ndarray, relative_to: np.ndarray
    ) -> np.ndarray:
        """Ids for a head of what sounds, and of the pitch class levels, relative to a pitch.

        Parameters
        ----------
        field : "pitch", relative to the program's last pitch, or "duration", relative to the chosen one
        sounding : array, shape (n, n_sounding): ids of the block "sounding" (`sounding_columns` of `context`)
        pitch_class_levels : array, shape (n, 24): see `Events`
        relative_to : array, shape (n,): that pitch plus 1; 0 is none, and then all ids are 0

        Returns
        -------
        ids : array, shape (n, n_sounding + 24)
        """
        blocks, origin = self.head_blocks(field), relative_to[:, None]
        state = sounding - self.blocks["sounding"]
        interval = interval_class(state // 2 % N_PITCHES - (origin - 1))
        intervals = np.where((sounding > 0) & (origin > 0), blocks["interval"] + interval * 2 + state % 2, 0)
        degree = (np.arange(12) - (origin - 1)) % 12
        degrees = np.concatenate([blocks["scale"] + degree * 2, blocks["key"] + degree * 3], 1)
        levels = np.where((pitch_class_levels > 0) & (origin > 0), degrees + pitch_class_levels - 1, 0)
        return np.concatenate([intervals, levels], 1)


layout_of = lru_cache(maxsize=64)(Layout)
