"""What a plan makes more probable: where its form points to, its chords and their roots, and the tonic at its end."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from melodygru.compose.places import NEVER
from melodygru.compose.rules import Event, Rule
from melodygru.events import FIRST_PART, NEW, TIMES, Vocabulary
from melodygru.events.features.form import Form, due_parts
from melodygru.events.features.piece import Past
from melodygru.events.layout import layout_of
from melodygru.music.chords import N_CHORDS, chord_tones, tonic_chord
from melodygru.music.keys import estimate_key
from melodygru.music.names import FAMILIES
from melodygru.music.notes import DRUMS, N_PITCHES, NOTE

TONIC_BIAS = 3.0  # nats
ROOT_BIAS = 2.0  # nats, in the last bar, and in the bass where a half bar begins
_TONES = np.array([np.isin(np.arange(N_PITCHES) % 12, chord_tones(code)) for code in range(N_CHORDS)])  # of each chord
_ROOTS = np.array([np.isin(np.arange(N_PITCHES) % 12, chord_tones(code)[:1]) for code in range(N_CHORDS)])
_NOTHING = np.zeros(N_PITCHES)


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
    """The plan's chords: their tones are more probable, for a bass the root where a half bar begins; drums are free.

    A model that is given chords soon goes its own way: what it has just played says more to it than the plan does.

    Parameters
    ----------
    strengths : of each stream, in nats, for the tones; 0: its chords are not the rule's
    """

    def __init__(self, strengths: Sequence[float]) -> None:
        self._strengths = list(strengths)

    def weigh(self, field: str, event: Event) -> np.ndarray | None:
        if field != "pitch":
            return None
        found = np.zeros(event.logits.shape)
        for row, context, program, strength in zip(found, event.contexts, event.programs, self._strengths, strict=True):
            chords, half = context.past.planned.chords, context.past.half_bar
            if not strength or program == DRUMS or chords is None or half is None or half >= len(chords):
                continue
            row += strength * _TONES[chords[half]]
            if program in FAMILIES["bass"] and context.past.begins_half_bar:
                row += ROOT_BIAS * _ROOTS[chords[half]]
        return found if found.any() else None


class Cadence(Rule):
    """A piece ends on its tonic: in the last bar the tones of that chord are more probable, most of all its root.

    The key is that of the notes before, see `music.keys.estimate_key`; drums are free.

    Parameters
    ----------
    last_bars : for each stream the steps at which its last bar begins and ends, or None: it ends as the model likes
    """

    def __init__(self, last_bars: Sequence[tuple[int, int] | None]) -> None:
        self._begins = [NEVER if bar is None else bar[0] for bar in last_bars]
        self._gained: dict[int, tuple[Sequence[tuple[int, ...]], np.ndarray]] = {}  # of each stream, and by which notes

    def weigh(self, field: str, event: Event) -> np.ndarray | None:
        if field != "pitch":
            return None
        notes = zip(event.contexts, event.programs, self._begins, strict=True)
        last = [at for at, (one, program, begins) in enumerate(notes) if one.onset >= begins and program != DRUMS]
        if not last:  # of nearly all notes
            return None
        found = np.zeros(event.logits.shape)
        for stream in last:
            found[stream] = self._bias(stream, event.contexts[stream].past)
        return found if found.any() else None

    def _bias(self, stream: int, past: Past) -> np.ndarray:
        """That of a stream, which is found once, unless the guard takes back what it was found by."""
        by, bias = self._gained.get(stream, ((), _NOTHING))
        if not by or past.notes[: len(by)] != by:
            onset = np.cumsum([note[0] for note in past.notes])
            n = int(np.searchsorted(onset, self._begins[stream]))
            bias = _tonic_bias(past, onset[:n])
            self._gained[stream] = past.notes[:n], bias
        return bias


def _tonic_bias(past: Past, onset: np.ndarray) -> np.ndarray:
    """What the tones of the tonic chord gain by the first notes, of which these are the onsets, in nats; (pitches,)."""
    notes = np.zeros(len(onset), NOTE)
    if not len(notes):
        return _NOTHING
    part, notes["pitch"], duration, _ = np.array(past.values[: len(notes)]).T
    notes["onset"] = onset
    notes["duration"], notes["program"] = TIMES.low[duration], np.array(past.programs)[part]
    if (notes["program"] == DRUMS).all():
        return _NOTHING
    tonic = tonic_chord(estimate_key(notes))
    return TONIC_BIAS * _TONES[tonic] + ROOT_BIAS * _ROOTS[tonic]
