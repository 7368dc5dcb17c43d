"""The features of a piece that is being written, advanced note by note."""

from __future__ import annotations

from typing import Any

import numpy as np

from melodygru.events.features.conditions import Conditions
from melodygru.events.features.feature import Feature, copied
from melodygru.events.features.legality import Legality
from melodygru.events.features.piece import Past
from melodygru.events.features.pitch_class_levels import PitchClassLevels
from melodygru.events.features.previous_event import PreviousEvent
from melodygru.events.features.program_history import ProgramHistory
from melodygru.events.features.sounding import SoundingNotes
from melodygru.events.layout import layout_of
from melodygru.events.vocabulary import Vocabulary
from melodygru.music.metre import METRE


class Context:
    """The features of a piece that is being written; equal to `encode` at every event.

    The order of calls for one event is: `before`, `may_join_chord`, then `move`, then `row`, `program_floor`,
    `may_end`, `pitch_class_levels`, then `pitch_mask` and `program_history` for the chosen program, then `add`.

    Parameters
    ----------
    vocabulary : Vocabulary
    style, metre : as for `encode`; None is "unknown"
    metres : array, dtype METRE, optional
        All metres of a piece that is given; default: `metre` (or 4/4) throughout.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        style: str | None = None,
        metre: tuple[int, int] | None = None,
        metres: np.ndarray | None = None,
    ) -> None:
        if metres is None:
            metres = np.array([(0, *(metre or (4, 4)))], METRE)
        self.vocabulary = vocabulary
        self.past = Past(vocabulary, style, metres, metre is not None)
        self._bind([feature(self.past, region) for feature, region in layout_of(vocabulary).regions.items()])

    def _bind(self, features: list[Feature]) -> None:
        """Take the features."""
        of: dict[type[Feature], Any] = {type(feature): feature for feature in features}
        self._features = features
        self._before = [feature for feature in features if type(feature).before is not Feature.before]
        self._row = [feature for feature in features if type(feature).context is not Feature.context]
        self._add = [feature for feature in features if type(feature).add is not Feature.add]
        self._conditions: Conditions = of[Conditions]
        self._sounding: SoundingNotes = of[SoundingNotes]
        self._previous: PreviousEvent = of[PreviousEvent]
        self._history: ProgramHistory = of[ProgramHistory]
        self._levels: PitchClassLevels = of[PitchClassLevels]
        self._legality: Legality = of[Legality]

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
        """Program class, pitch and onset of the last note, if there is one."""
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

    def may_join_chord(self, top: int | None = None) -> bool:
        """Whether another note, of program class `top` (default: any) or below, may stand at the last onset."""
        return self._legality.may_join_chord(top)

    def move(self, shift: int) -> None:
        """Go `shift` steps on, to the onset of the event."""
        self.past.move(shift)

    def row(self) -> list[int]:
        """Context ids at the onset."""
        row: list[int] = []
        for feature in self._row:
            feature.context(row)
        return row

    def program_floor(self) -> int:
        """The lowest program class possible."""
        return self._legality.program_floor()

    def may_end(self) -> bool:
        """Whether the piece may end at the onset: nothing sounds on."""
        return self._legality.may_end()

    def pitch_mask(self, program_class: int) -> np.ndarray:
        """Pitches that a program can't strike, shape (128,), bool."""
        return self._sounding.pitch_mask(program_class)

    def sounding(self, step: int) -> list[tuple[int, int, int]]:
        """Program class, pitch and end of the notes that sound on at a step, the onset or later."""
        return [(program, pitch, end) for program, pitch, _, end, _ in self.past.active if end > step]

    def program_history(self, program_class: int) -> tuple[int, ...]:
        """What a program played (see `Events`)."""
        return self._history.row(program_class)

    def pitch_class_levels(self) -> list[int]:
        """How the twelve pitch classes stand among the notes so far (see `Events`)."""
        return self._levels.row()

    def previous(self, velocity: int = -1) -> list[int]:
        """Ids of the event before: of the last note, of a velocity class; before the first note, of the start."""
        return self._previous.row(velocity)

    def add(self, program_class: int, pitch: int, duration: int) -> None:
        """Add a note at the onset."""
        self.past.add(program_class, pitch, duration)
        for feature in self._add:
            feature.add()
