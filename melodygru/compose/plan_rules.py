"""What a plan makes more probable: where its form points to, and the tones of its chords."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from melodygru.compose.rules import Event, Rule
from melodygru.events import FIRST_PART, NEW, Vocabulary
from melodygru.events.features.form import Form, due_parts
from melodygru.events.layout import layout_of
from melodygru.music.chords import N_CHORDS, chord_tones
from melodygru.music.notes import DRUMS, N_PITCHES

_TONES = np.array([np.isin(np.arange(N_PITCHES) % 12, chord_tones(code)) for code in range(N_CHORDS)])  # of each chord


class FormBias(Rule):
    """What the plan's form points to is more probable, so that a form that is asked for is heard.

    Parameters
    ----------
    vocabulary : Vocabulary
    strengths : of each stream, in nats
    """

    def __init__(self, vocabulary: Vocabulary, strengths: Sequence[float]) -> None:
        region = layout_of(vocabulary).regions[Form]
        self._columns = {name: region.columns[f"{name}_pointers"] for name in ("shift", "pitch", "duration")}
        self._strengths, self._models_part = np.array(strengths), vocabulary.models_part

    def weigh(self, field: str, event: Event) -> np.ndarray | None:
        found = np.zeros(event.logits.shape)
        if field == "part":
            for row, context, strength in zip(found, event.contexts, self._strengths, strict=True):
                for part in due_parts(context.past) if strength else ():
                    row[FIRST_PART + part if self._models_part else NEW] = strength
        elif field in self._columns:
            first = self._columns[field]
            pointed = event.pointers[field][:, first : first + (2 if field == "duration" else 1)].max(1)
            rows = np.flatnonzero(pointed)
            found[rows, pointed[rows] - 1] = self._strengths[rows]
        else:
            return None
        return found if found.any() else None


class ChordBias(Rule):
    """The tones of the plan's chords are more probable; drums are free.

    A model that is given chords soon goes its own way: what it has just played says more to it than the plan does.

    Parameters
    ----------
    strengths : of each stream, in nats
    """

    def __init__(self, strengths: Sequence[float]) -> None:
        self._strengths = list(strengths)

    def weigh(self, field: str, event: Event) -> np.ndarray | None:
        if field != "pitch":
            return None
        found = np.zeros(event.logits.shape)
        for row, context, program, strength in zip(found, event.contexts, event.programs, self._strengths, strict=True):
            chords, half = context.past.planned.chords, context.past.half_bar
            if strength and program != DRUMS and chords is not None and half is not None and half < len(chords):
                row += strength * _TONES[chords[half]]
        return found if found.any() else None
