"""What the model is conditioned on: one feature a module, and the registry of them.

To add one, add its module and its line here, at the end: the order is that of the embedding table's blocks and of the
arrays' columns, which checkpoints rely on.
"""

from melodygru.events.features.alignment import Alignment
from melodygru.events.features.chord_position import ChordPosition
from melodygru.events.features.chords import Chords
from melodygru.events.features.common_end import CommonEnd
from melodygru.events.features.conditions import Conditions
from melodygru.events.features.extent import Extent
from melodygru.events.features.feature import Feature
from melodygru.events.features.form import Form
from melodygru.events.features.harmony import Harmony
from melodygru.events.features.kept_notes import KeptNotes
from melodygru.events.features.legality import Legality
from melodygru.events.features.line_up import LineUp
from melodygru.events.features.lookback import Lookback
from melodygru.events.features.lookback_runs import LookbackRuns
from melodygru.events.features.metric_position import MetricPosition
from melodygru.events.features.near_velocities import NearVelocities
from melodygru.events.features.ngram_lookup import NgramLookup
from melodygru.events.features.open_parts import OpenParts
from melodygru.events.features.part_descriptions import PartDescriptions
from melodygru.events.features.part_history import PartHistory
from melodygru.events.features.pitch_class_levels import PitchClassLevels
from melodygru.events.features.previous_event import PreviousEvent
from melodygru.events.features.recent_tempo import RecentTempo
from melodygru.events.features.sounding import SoundingNotes

REGISTRY: tuple[type[Feature], ...] = (
    Conditions,
    MetricPosition,
    ChordPosition,
    SoundingNotes,
    NgramLookup,
    PreviousEvent,
    Lookback,
    LookbackRuns,
    PartHistory,
    PartDescriptions,
    LineUp,
    PitchClassLevels,
    Legality,
    OpenParts,
    Harmony,
    NearVelocities,
    RecentTempo,
    CommonEnd,
    KeptNotes,
    Form,
    Chords,
    Extent,
    Alignment,
)
