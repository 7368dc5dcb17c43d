"""The features of a piece that is being written, advanced note by note."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from melodygru.events.features.common_end import CommonEnd
from melodygru.events.features.conditions import Conditions
from melodygru.events.features.feature import Feature, copied
from melodygru.events.features.legality import Legality
from melodygru.events.features.line_up import LineUp
from melodygru.events.features.part_descriptions import PartDescriptions
from melodygru.events.features.part_history import PartHistory
from melodygru.events.features.piece import Past
from melodygru.events.features.pitch_class_levels import PitchClassLevels
from melodygru.events.features.previous_event import PreviousEvent
from melodygru.events.features.sounding import SoundingNotes
from melodygru.events.kept import Kept
from melodygru.events.layout import layout_of
from melodygru.events.planned import UNPLANNED, Planned
from melodygru.events.vocabulary import Vocabulary
from melodygru.music.metre import METRE


class Context:
    """The features of a piece that is being written; equal to `encode` at every event.

    The order of calls for one event is: `before`, `shift_pointers`, `may_join_chord`, then `move`, then `row`,
    `part_descriptions`, `line_up`, `legality`, `pitch_class_levels`, then `pitch_mask`, `part_history` and
    `pitch_pointers` for the chosen part, then `note_pointers` for its pitch, then `add`.

    Parameters
    ----------
    vocabulary : Vocabulary
    style, metre : as for `encode`; None is "unknown"
    line_up : programs of the parts that the piece is to have; None is "unknown"
    planned : what of the plan is known, as for `encode`
    metres : array, dtype METRE, optional
        All metres of a piece that is given; default: `metre` (or 4/4) throughout.
    kept : what stays of a piece of which bars are composed again; None is "unknown"
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        style: str | None = None,
        metre: tuple[int, int] | None = None,
        metres: np.ndarray | None = None,
        line_up: Sequence[int] | None = None,
        kept: Kept | None = None,
        planned: Planned = UNPLANNED,
    ) -> None:
        if metres is None:
            metres = np.array([(0, *(metre or (4, 4)))], METRE)
        self.vocabulary = vocabulary
        self.past = Past(vocabulary, style, metres, metre is not None, line_up, kept, planned)
        self._bind([feature(self.past, region) for feature, region in layout_of(vocabulary).regions.items()])

    def _bind(self, features: list[Feature]) -> None:
        """Take the features."""
        of: dict[type[Feature], Any] = {type(feature): feature for feature in features}
        self._features = features
        self._before = [feature for feature in features if type(feature).before is not Feature.before]
        self._row = [feature for feature in features if type(feature).context is not Feature.context]
        self._shift = [feature for feature in features if type(feature).point_shift is not Feature.point_shift]
        self._pitch = [feature for feature in features if type(feature).point_pitch is not Feature.point_pitch]
        self._note = [feature for feature in features if type(feature).point_note is not Feature.point_note]
        self._add = [feature for feature in features if type(feature).add is not Feature.add]
        self._conditions: Conditions = of[Conditions]
        self._sounding: SoundingNotes = of[SoundingNotes]
        self._previous: PreviousEvent = of[PreviousEvent]
        self._history: PartHistory = of[PartHistory]
        self._descriptions: PartDescriptions | None = of.get(PartDescriptions)
        self._line_up: LineUp | None = of.get(LineUp)
        self._levels: PitchClassLevels = of[PitchClassLevels]
        self._legality: Legality = of[Legality]
        self._common_end: CommonEnd | None = of.get(CommonEnd)

    def copy(self) -> Context:
        """Another context with the same past."""
        other = object.__new__(Context)
        other.vocabulary, other.past = self.vocabulary, copied(self.past)
        other._bind([feature.copy(other.past) for feature in self._features])
        return other

    @property
    def onset(self) -> int:
        """Steps to the event being made."""
        return self.past.onset

    @property
    def last(self) -> tuple[int, int, int] | None:
        """Part, pitch and onset of the last note, if there is one."""
        return self.past.last

    def start(self) -> list[int]:
        """Context ids before the first event: the conditions, and nothing else."""
        row = [0] * layout_of(self.vocabulary).widths["context"]
        row[: len(self._conditions.ids)] = self._conditions.ids
        return row

    def before(self) -> list[int]:
        """Ids known before the event's shift."""
        row: list[int] = []
        for feature in self._before:
            feature.before(row)
        return row

    @property
    def n_parts(self) -> int:
        """Parts that have played, and those that are known to come in."""
        to_come = self.past.line_up
        return len(self.past.programs) + (0 if to_come is None else to_come.total())

    @property
    def programs(self) -> list[int]:
        """The program of each part that has played."""
        return self.past.programs

    def last_is_full(self) -> bool:
        """Whether the last note's part has no pitch left above it."""
        return self._legality.is_full()

    def may_come_in(self, program: int) -> bool:
        """Whether a new part of a program may join the last chord."""
        return self._legality.may_come_in(program)

    def last_pitch(self, part: int) -> int | None:
        """The pitch that a part struck last; None if it has not played."""
        return self.past.last_pitch_of(part)

    def part_of(self, part_class: int) -> int:
        """The part that a class means at the onset; one that has not played yet is a new one."""
        return self.past.part_of(part_class)

    def program_of(self, part_class: int) -> int:
        """The program of the part that a class means at the onset."""
        return self.past.program_of(part_class)

    def shift_pointers(self) -> list[int]:
        """What the pointers to the event's shift point to (see `Events`); after `before`."""
        row: list[int] = []
        for feature in self._shift:
            feature.point_shift(row)
        return row

    def may_join_chord(self) -> bool:
        """Whether another note may stand at the last onset."""
        return self._legality.may_join_chord()

    def move(self, shift: int) -> None:
        """Go `shift` steps on, to the onset of the event."""
        self.past.move(shift)

    def row(self) -> list[int]:
        """Context ids at the onset."""
        row: list[int] = []
        for feature in self._row:
            feature.context(row)
        return row

    def legality(self) -> tuple[int, int, int, int]:
        """What may follow at the onset: the columns of `Events.legality` but for the first."""
        return (int(self.may_end()), *self._legality.row())

    def part_descriptions(self) -> bytearray:
        """Descriptions of the parts that have played (see `Events`), at the onset; empty where parts are unmodelled."""
        return bytearray() if self._descriptions is None else self._descriptions.row()

    def line_up(self) -> bytearray:
        """The programs that have still to come in (see `Events`); empty where parts are unmodelled."""
        return bytearray() if self._line_up is None else self._line_up.row()

    def may_end(self) -> bool:
        """Whether the piece may end at the onset: nothing sounds on."""
        return self._legality.may_end()

    def pitch_mask(self, part: int) -> np.ndarray:
        """Pitches that a part can't strike, shape (128,), bool."""
        return self._sounding.pitch_mask(part)

    def sounding(self, step: int) -> list[tuple[int, int, int]]:
        """Part, pitch and end of the notes that sound on at a step, the onset or later."""
        return [(part, pitch, end) for part, pitch, _, end, _ in self.past.active if end > step]

    def part_history(self, part_class: int) -> tuple[int, ...]:
        """The program of the part that a class means at the onset, and what it played (see `Events`)."""
        return self._history.row(self.past.part_of(part_class), self.past.program_of(part_class))

    def pitch_pointers(self, part: int) -> list[int]:
        """What the pointers to the pitch of a part's note point to (see `Events`); after `row`."""
        row: list[int] = []
        for feature in self._pitch:
            feature.point_pitch(row, part)
        return row

    def note_pointers(self, part: int, pitch: int) -> tuple[list[int], list[int]]:
        """What the pointers to the duration, and to the velocity, of a part's note point to; after `pitch_pointers`."""
        durations: list[int] = []
        velocities: list[int] = []
        for feature in self._note:
            feature.point_note(durations, velocities, part, pitch)
        return durations, velocities

    def common_end(self) -> int:
        """Steps from the onset to the end that most sounding notes share; 0 is none."""
        return 0 if self._common_end is None else self._common_end.left

    def pitch_class_levels(self) -> list[int]:
        """How the twelve pitch classes stand among the notes so far (see `Events`)."""
        return self._levels.row()

    def previous(self, velocity: int = -1) -> list[int]:
        """Ids of the event before: of the last note, of a velocity class; before the first note, of the start."""
        return self._previous.row(velocity)

    def add(self, part_class: int, pitch: int, duration: int, velocity: int = 0) -> None:
        """Add a note at the onset; `velocity` is a class."""
        self.past.add(part_class, pitch, duration, velocity)
        for feature in self._add:
            feature.add()
