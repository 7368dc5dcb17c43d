"""Notes to events and back: the vocabulary, the features, and what may follow what."""

from melodygru.events.context import Context
from melodygru.events.encoding import Events, decode, encode, representable
from melodygru.events.fitting import fit_vocabulary
from melodygru.events.statistics import CorpusStatistics
from melodygru.events.times import N_INTERVALS, TIMES, TimeClasses, motion_class, span_class
from melodygru.events.vocabulary import (
    DURATION,
    END,
    FIELDS,
    INPUTS,
    N_RECENT,
    N_VELOCITIES,
    PHRASE,
    PITCH,
    PROGRAM,
    PROGRAM_HISTORY,
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
    "N_RECENT",
    "N_INTERVALS",
    "N_VELOCITIES",
    "PHRASE",
    "PITCH",
    "PROGRAM",
    "SHIFT",
    "TIMES",
    "TimeClasses",
    "VELOCITY",
    "VELOCITY_WIDTH",
    "PROGRAM_HISTORY",
    "Vocabulary",
    "decode",
    "encode",
    "fit_vocabulary",
    "motion_class",
    "representable",
    "span_class",
]
