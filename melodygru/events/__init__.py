"""Notes to events and back: the vocabulary, the features, and what may follow what."""

from melodygru.events.context import Context
from melodygru.events.encoding import (
    INPUTS,
    Events,
    decode,
    encode,
    joined_parts,
    parts_of,
    representable,
    windows,
)
from melodygru.events.features.legality import possible_parts
from melodygru.events.features.metric_position import PHRASE
from melodygru.events.features.part_history import PART_HISTORY
from melodygru.events.features.piece import encode_parts
from melodygru.events.features.pitch_class_levels import N_RECENT
from melodygru.events.fitting import fit_vocabulary
from melodygru.events.layout import Layout, layout_of
from melodygru.events.statistics import CorpusStatistics
from melodygru.events.times import N_INTERVALS, TIMES, TimeClasses, motion_class, span_class
from melodygru.events.vocabulary import (
    DURATION,
    END,
    FIELDS,
    FIRST_PART,
    MAX_PARTS,
    N_VELOCITIES,
    NEW,
    PART,
    PITCH,
    SHIFT,
    VELOCITY,
    VELOCITY_WIDTH,
    Vocabulary,
)
from melodygru.music.notes import DRUMS

__all__ = [
    "Context",
    "CorpusStatistics",
    "DRUMS",
    "DURATION",
    "END",
    "Events",
    "FIELDS",
    "FIRST_PART",
    "INPUTS",
    "Layout",
    "MAX_PARTS",
    "NEW",
    "N_INTERVALS",
    "N_RECENT",
    "N_VELOCITIES",
    "PHRASE",
    "PITCH",
    "PART",
    "PART_HISTORY",
    "SHIFT",
    "TIMES",
    "TimeClasses",
    "VELOCITY",
    "VELOCITY_WIDTH",
    "Vocabulary",
    "decode",
    "encode",
    "encode_parts",
    "fit_vocabulary",
    "joined_parts",
    "layout_of",
    "motion_class",
    "parts_of",
    "possible_parts",
    "representable",
    "span_class",
    "windows",
]
