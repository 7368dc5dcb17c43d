"""Where ids lie: the embedding table's blocks, the arrays' columns, the heads' inputs, the pointers."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from melodygru.events.features import REGISTRY
from melodygru.events.features.common_end import CommonEnd
from melodygru.events.features.feature import ARRAYS, Feature, Region
from melodygru.events.features.harmony import REFERENCES, Harmony
from melodygru.events.features.part_descriptions import description_sizes
from melodygru.events.features.part_history import PART_HISTORY
from melodygru.events.features.sounding import SoundingNotes
from melodygru.events.times import N_INTERVALS, N_SPANS, TIMES, interval_class, span_class
from melodygru.events.vocabulary import FIRST_PART, N_VELOCITIES, Vocabulary
from melodygru.music.notes import N_PITCHES

# Fields whose heads are given what the pointers point to: its class, a time coarsely (from a table, by class plus 1).
POINTED = {"pitch": N_PITCHES, "duration": N_SPANS, "velocity": N_VELOCITIES}
POINTED_CLASS = {
    "pitch": np.append(0, np.arange(N_PITCHES)),
    "duration": np.append(0, span_class(TIMES.low)),
    "velocity": np.append(0, np.arange(N_VELOCITIES)),
}

N_INTERVAL_OUTPUTS = 2 * N_PITCHES - 1  # of the pitch head, after those of the pitches
LEVEL_PAIRS = (3, 4)  # levels of a pitch class among the last notes, and in the piece
N_LEVEL_OUTPUTS = LEVEL_PAIRS[0] * LEVEL_PAIRS[1]
N_HARMONY_OUTPUTS = N_LEVEL_OUTPUTS + 12 * len(REFERENCES)  # after those


class Layout:
    """The ids of a vocabulary's features in one embedding table, in which id 0 is "nothing"; use `layout_of`.

    Attributes
    ----------
    blocks : first id of each block; the table's size is under "end"
    widths : number of columns of each of the arrays of `Events` that features fill
    regions : the features that the vocabulary has, in the order of the registry, and where the ids of each lie
    sounding_columns : columns of `context` that hold ids of the block "sounding"
    reference_columns : columns of `context` that hold ids of the blocks of `features.harmony`
    common_end_column : column of `duration_pointers` that points to the end that most notes share, if there is one
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self.blocks: dict[str, int] = {}
        self.widths = dict.fromkeys(ARRAYS, 0)
        self.regions: dict[type[Feature], Region] = {}
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
            for array, width in columns.items():
                self.widths[array] += width
        self.blocks["end"] = first
        # Of each column of a part's description the number of its first class, among the outputs for descriptions.
        self.description_sizes = description_sizes(vocabulary)
        self.description_origins = np.cumsum([0, *self.description_sizes])[:-1]
        self._pointer_ids: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        sounding = self.regions[SoundingNotes].columns["context"]
        self.sounding_columns = slice(sounding, sounding + 3 * vocabulary.n_sounding, 3)
        reference = self.regions[Harmony].columns["context"]
        self.reference_columns = slice(reference, reference + len(REFERENCES))
        ends = self.regions.get(CommonEnd)
        self.common_end_column = None if ends is None else ends.columns["duration_pointers"]
        # An id of `context` less this is the reference's pitch plus 1.
        self.reference_origins = np.array([self.blocks[name] - 1 for name in REFERENCES])

    @property
    def n_ids(self) -> int:
        """Rows of the embedding table."""
        return self.blocks["end"]

    def n_pointers(self, field: str) -> int:
        """Pointers to classes of a field."""
        return self.widths.get(f"{field}_pointers", 0)

    @property
    def n_descriptions(self) -> int:
        """Classes of all columns of a part's description."""
        return sum(self.description_sizes)

    def n_outputs(self, field: str) -> int:
        """Outputs of a field's head.

        One a class and one a pointer; for the duration between these, where the vocabulary has `exact_ends`, the gain
        of the step at the common end; for the pitch also one an interval, -127..127, one for each pair of
        levels of a pitch class, and twelve for the pitch classes above each reference. Where parts are
        modelled, their head has one for END and for a new part of each program; one for each class of a description;
        and two for new parts: that of programs which the line-up has still to come, and that of others.
        """
        if field == "part" and self.vocabulary.models_part:
            return FIRST_PART + self.n_descriptions + 2
        more = {"pitch": N_INTERVAL_OUTPUTS + N_HARMONY_OUTPUTS, "duration": int(self.vocabulary.exact_ends)}
        return self.vocabulary.size(field) + more.get(field, 0) + self.n_pointers(field)

    def n_direct_outputs(self, field: str) -> int:
        """The first outputs of a field's head, which are no pointer's or description's."""
        if field == "part" and self.vocabulary.models_part:
            return FIRST_PART
        more = {"pitch": N_HARMONY_OUTPUTS, "duration": int(self.vocabulary.exact_ends)}
        return self.n_outputs(field) - self.n_pointers(field) - more.get(field, 0)

    def head_blocks(self, field: str) -> dict[str, int]:
        """First id of each block of the table that a field's head has of what was chosen before it.

        The blocks are the earlier fields' classes; once the part is chosen, its program and what it played last
        (PART_HISTORY); for the pitch and for the duration what sounds and the pitch class levels, relative to the
        part's last pitch and to the chosen one (see `relative_ids`); for the duration the interval between these two
        (see `motion_class`); and from the pitch on what the pointers to the field point to (`pointer_ids`). The table's
        size is under "end"; id 0 is "nothing".
        """
        fields = self.vocabulary.fields
        blocks, first = {}, 1
        for earlier in fields[: fields.index(field)]:
            if earlier != "part":
                blocks[earlier] = first
                first += self.vocabulary.size(earlier)
        if field in fields[fields.index("part") + 1 :]:
            for name, size in PART_HISTORY.items():
                blocks[name] = first - 1  # the values are classes plus 1
                first += size
        if field in ("pitch", "duration"):
            for name, size in (("interval", 2 * N_INTERVALS), ("scale", 2 * 12), ("key", 3 * 12)):
                blocks[name] = first
                first += size
        if field == "duration":
            blocks["motion"] = first - 1
            first += N_INTERVALS
        if field in POINTED:
            blocks["pointed"] = first
            first += self.n_pointers(field) * POINTED[field]
        return {**blocks, "end": first}

    def pointer_ids(self, field: str, pointers: np.ndarray) -> np.ndarray:
        """Ids for a head of what the pointers to its field point to: (n, k), of pointers (n, k); 0 is none."""
        if field not in self._pointer_ids:
            first = self.head_blocks(field)["pointed"] + POINTED[field] * np.arange(self.n_pointers(field))[:, None]
            table = np.where(np.arange(len(POINTED_CLASS[field])) > 0, first + POINTED_CLASS[field], 0)
            self._pointer_ids[field] = table, table.shape[1] * np.arange(len(table))
        table, rows = self._pointer_ids[field]
        return table.take(pointers + rows)

    def relative_ids(
        self, field: str, sounding: np.ndarray, pitch_class_levels: np.ndarray, relative_to: np.ndarray
    ) -> np.ndarray:
        """Ids for a head of what sounds, and of the pitch class levels, relative to a pitch.

        Parameters
        ----------
        field : "pitch", relative to the part's last pitch, or "duration", relative to the chosen one
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
