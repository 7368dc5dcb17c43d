"""Notes to events and back: the vocabulary, the features, and what may follow what."""

from melodygru.events.context import Context
from melodygru.events.encoding import INPUTS, Events, decode, encode, representable
from melodygru.events.features.metric_position import PHRASE
from melodygru.events.features.pitch_class_levels import N_RECENT
from melodygru.events.features.program_history import PROGRAM_HISTORY
from melodygru.events.fitting import fit_vocabulary
from melodygru.events.layout import Layout, layout_of
from melodygru.events.statistics import CorpusStatistics
from melodygru.events.times import N_INTERVALS, TIMES, TimeClasses, motion_class, span_class
from melodygru.events.vocabulary import (
    DURATION,
    END,
    FIELDS,
    N_VELOCITIES,
    PITCH,
    PROGRAM,
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
    "INPUTS",
    "Layout",
    "N_INTERVALS",
    "N_RECENT",
    "N_VELOCITIES",
    "PHRASE",
    "PITCH",
    "PROGRAM",
    "PROGRAM_HISTORY",
    "SHIFT",
    "TIMES",
    "TimeClasses",
    "VELOCITY",
    "VELOCITY_WIDTH",
    "Vocabulary",
    "decode",
    "encode",
    "fit_vocabulary",
    "layout_of",
    "motion_class",
    "representable",
    "span_class",
]
