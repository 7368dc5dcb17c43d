"""All that `melodygru explain` found out about a model and some pieces, with the words and numbers to report it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from melodygru.analysis.explain.account import Account, Unit, explain
from melodygru.analysis.explain.following import Following, positions
from melodygru.analysis.explain.memory import PERCENTILES
from melodygru.analysis.explain.surprise import Surprise, most_surprising
from melodygru.events import END, FIELDS, FIRST_PART, TIMES, VELOCITY_WIDTH, Vocabulary
from melodygru.model.trace import Trace, Tracer
from melodygru.music.grid import Grid
from melodygru.music.names import part_labels, pitch_name, program_name
from melodygru.music.notes import DRUMS, NoteSequence
from melodygru.util.wording import counted

DRAWN_BEATS, DRAWN_S = 160, 80  # of the first piece, in pictures
DRAWN_UNITS = 12
SURPRISES = 12  # notes in the table
NAMED_UNITS = 5  # of each aspect


@dataclass(frozen=True)
class Report:
    """What was found out.

    Attributes
    ----------
    model : the checkpoint's name
    names : of the pieces, the drawn one first
    left_out : how many more pieces there were
    gates : names of the cell's gates, the one that keeps first
    traces : of the pieces
    account : of the model
    surprises : the most surprising notes of the first piece
    vocabulary : the model's
    """

    model: str
    names: list[str]
    left_out: int
    gates: tuple[str, ...]
    traces: list[Trace]
    account: Account
    surprises: list[Surprise]
    vocabulary: Vocabulary

    @property
    def grid(self) -> Grid:
        return self.vocabulary.grid

    @property
    def fields(self) -> tuple[str, ...]:
        return self.vocabulary.fields

    @property
    def time(self) -> str:
        """What times are counted in."""
        return "beats" if self.grid.is_metrical else "seconds"

    @property
    def conditions(self) -> str:
        """What the model knows of the position in time, the metre unknown."""
        if not self.grid.is_metrical:
            return "neither beats nor bars; this music has none"
        if len(self.vocabulary.metres) == 1:
            return "the position in the beat, the bar and the phrase"
        return "the position in the quarter note; not the metre, nor the position in the bar or the phrase"

    @property
    def drawn(self) -> NoteSequence:
        """The part of the first piece that is drawn: whole bars or seconds."""
        return self._drawn[0]

    @property
    def drawn_part(self) -> str:
        """How many bars or seconds that is."""
        return self._drawn[1]

    @cached_property
    def _drawn(self) -> tuple[NoteSequence, str]:
        return drawn_part_of(self.traces[0].sequence)

    @cached_property
    def _part_labels(self) -> list[str]:
        """What the parts of the first piece are called."""
        return part_labels(self.traces[0].sequence)

    @property
    def shown_units(self) -> list[Unit]:
        """The units that matter most, ordered by layer and half-life."""
        units = self.account.units[:DRAWN_UNITS]
        return sorted(units, key=lambda unit: (unit.layer, self.account.half_life[unit.layer, unit.unit]))

    def nats_by_field(self) -> list[tuple[str, float]]:
        """Nats per note of each field, of all pieces, ends included."""
        nats = sum(trace.nats.sum(0) for trace in self.traces) / max(1, self.account.notes)
        return [(field, float(nats[FIELDS.index(field)])) for field in self.fields]

    def followers(self) -> dict[str, tuple[Following, list[tuple[str, float]]]]:
        """For each aspect what was found, and (name, score) of the best units beyond the control."""
        found = {}
        for aspect, one in self.account.following.items():
            best = np.argsort(-one.scores, axis=None, kind="stable")[:NAMED_UNITS]
            units = [divmod(int(at), one.scores.shape[1]) for at in best]
            found[aspect] = (one, [(f"{i}/{j}", float(one.scores[i, j])) for i, j in units if one.beyond[i, j]])
        return found

    def followed_by(self, unit: Unit) -> list[tuple[str, float]]:
        """The aspects that a unit follows, with its scores."""
        return [
            (aspect, float(one.scores[unit.layer, unit.unit]))
            for aspect, one in self.account.following.items()
            if one.beyond[unit.layer, unit.unit]
        ]

    def mean_gates(self, unit: Unit) -> list[float]:
        """Mean of each of a unit's gates over all notes."""
        return [
            float(np.concatenate([trace.gates[gate][1:, unit.layer, unit.unit] for trace in self.traces]).mean())
            for gate in self.gates
        ]

    def notes_for_half(self) -> int | None:
        """How many notes of memory make up for half of what one note alone costs; None if no number does."""
        forgetting = self.account.forgetting
        enough = np.flatnonzero(forgetting <= forgetting[0] / 2)
        return int(enough[0]) + 1 if len(enough) and forgetting[0] > 0 else None

    def where(self, note: int) -> str:
        """Where a note of the first piece stands: bar and beat, or seconds."""
        sequence = self.traces[0].sequence
        if note == len(sequence):
            return "the end"
        if not sequence.grid.is_metrical:
            return f"{float(sequence.step2second(int(sequence.notes['onset'][note]))):.2f} s"
        at = positions(sequence)
        beat = 1 + at.position[note] // at.beat[note] + at.step[note] / at.beat[note]
        return f"bar {at.bar_number[note] + 1}, beat {beat:.3g}"

    def class_name(self, field: str, value: int) -> str:
        """A class of a field as people say it."""
        if field == "pitch":
            return pitch_name(value)
        if field == "part":
            return self._part_class_name(value)
        if field == "velocity":
            return f"{value * VELOCITY_WIDTH} to {(value + 1) * VELOCITY_WIDTH - 1}"
        if field == "shift" and value == 0:
            return "with the note before"
        low, wide = int(TIMES.low[value]), int(TIMES.width[value])
        text = f"{low / self.grid.rate:.6g}" + (f" to {(low + wide - 1) / self.grid.rate:.6g}" if wide > 1 else "")
        unit = "s" if not self.grid.is_metrical else "beat" if text == "1" else "beats"
        return f"{text} {unit}" + (" on" if field == "shift" else "")

    def _part_class_name(self, value: int) -> str:
        """A class of the part in the first piece."""
        if value == END:
            return "the end"
        if value >= FIRST_PART:
            name, verb = self._part_labels[value - FIRST_PART], "go"
        else:
            name = program_name(self.vocabulary.program_of_new(value))
            verb = "come" if self.vocabulary.models_part else "go"
        ending = "" if name == program_name(DRUMS) else "s" if verb == "come" else "es"
        return f"{name} {verb}{ending} {'in' if verb == 'come' else 'on'}"

    def note_name(self, note: int) -> str:
        """A note of the first piece in words."""
        sequence = self.traces[0].sequence
        if note == len(sequence):
            return "end of the piece"
        row = sequence.notes[note]
        text = f"{pitch_name(int(row['pitch']))} for {row['duration'] / self.grid.rate:.6g}"
        text += " s" if not self.grid.is_metrical else " beat" if row["duration"] == self.grid.rate else " beats"
        return text + (f", {self._part_labels[row['part']]}" if len(self._part_labels) > 1 else "")

    def as_dict(self) -> dict[str, Any]:
        """All values, ready for JSON."""
        account = self.account
        return {
            "model": self.model,
            "files": self.names,
            "notes": account.notes,
            "nats": float(sum(trace.nats.sum() for trace in self.traces)),
            "nats_per_note": dict(self.nats_by_field()),
            "half_life": {
                "unit": self.time,
                "percentiles": list(PERCENTILES),
                "layers": [_finite(np.percentile(row, PERCENTILES)) for row in account.half_life],
                "layers_in_notes": [_finite(np.percentile(row, PERCENTILES)) for row in account.half_life_notes],
            },
            "forgetting": _finite(account.forgetting),
            "tried_on": account.tried_on,
            "units": [self._unit_dict(unit) for unit in account.units],
            "following": {
                aspect: {
                    "control": found.control,
                    "needed": found.needed,
                    "units_that_follow": found.beyond.sum(1).tolist(),
                    "units_per_layer": found.scores.shape[1],
                    "best": [{"unit": name, "score": score} for name, score in best],
                }
                for aspect, (found, best) in self.followers().items()
            },
            "surprises": [self._surprise_dict(surprise) for surprise in self.surprises],
        }

    def _unit_dict(self, unit: Unit) -> dict[str, Any]:
        return {
            "unit": unit.name,
            "nats_per_note": unit.nats_per_note,
            "half_life": _finite(self.account.half_life[unit.layer, unit.unit, None])[0],
            **{f"{gate}_gate": mean for gate, mean in zip(self.gates, self.mean_gates(unit), strict=True)},
            "follows": dict(self.followed_by(unit)),
        }

    def _surprise_dict(self, surprise: Surprise) -> dict[str, Any]:
        def expected(value: int, probability: float) -> dict[str, Any]:
            return {"value": self.class_name(surprise.field, value), "probability": probability}

        return {
            "note": surprise.note,
            "where": self.where(surprise.note),
            "came": self.note_name(surprise.note),
            "nats": surprise.nats,
            "field": surprise.field,
            "field_nats": surprise.field_nats,
            "was": expected(surprise.came, surprise.probability),
            "expected": [expected(value, probability) for value, probability in surprise.alternatives],
        }


def report(
    tracer: Tracer, model: str, names: Sequence[str], traces: Sequence[Trace], left_out: int, seed: int
) -> Report:
    """Find out about a model from traces of some pieces; the shuffled control follows from the seed."""
    account = explain(tracer, traces, seed)
    surprises = most_surprising(traces[0], SURPRISES)
    return Report(model, list(names), left_out, tracer.gates, list(traces), account, surprises, tracer.vocabulary)


def drawn_part_of(sequence: NoteSequence) -> tuple[NoteSequence, str]:
    """The part of a piece that is drawn, whole bars or seconds, and what it is in words."""
    if sequence.grid.is_metrical:
        bars = sequence.bar_starts()
        last = int(np.searchsorted(bars, DRAWN_BEATS * sequence.grid.rate, side="right")) - 1
        last = max(1, min(last, len(bars) - 1))
        if bars[last] >= sequence.length:
            return sequence, "the whole piece"
        return sequence.crop(0, int(bars[last])), f"the first {counted(last, 'bar')} of {len(bars) - 1:,}"
    end = round(DRAWN_S * sequence.grid.rate)
    if end >= sequence.length:
        return sequence, "the whole piece"
    return sequence.crop(0, end), f"the first {DRAWN_S} seconds of {sequence.seconds:,.0f}"


def three_digits(value: float) -> str:
    """A length of time to three digits."""
    return f"{value:.3g}" if np.isfinite(value) and value < 1000 else f"{value:,.0f}"


def per_cent(probability: float) -> str:
    """A probability in per cent, small ones with more digits."""
    if probability < 1e-4:
        return "under 0.01%"
    return f"{probability:.0%}" if probability >= 0.1 else f"{100 * probability:.2g}%"


def _finite(values: np.ndarray) -> list[float | None]:
    return [float(value) if np.isfinite(value) else None for value in values]
