"""Streams of events: pieces that are written side by side, whose next event is drawn from the model or is known.

There is one draw of an event (`Streams.draw`) and one feed of a known one (`Streams.feed`); `Sampler` and `Particles`
add how a class is chosen, and what is counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from melodygru.compose.controls import Controls, Filter
from melodygru.compose.places import Places
from melodygru.compose.rules import Event, Legality, Rule
from melodygru.events import (
    DURATION,
    END,
    NEW,
    PART,
    PART_HISTORY,
    PITCH,
    SHIFT,
    VELOCITY,
    VELOCITY_WIDTH,
    Context,
    Vocabulary,
    encode_parts,
    parts_of,
)
from melodygru.model.numpy_model import NumpyModel, Step
from melodygru.music.notes import NoteSequence

Row = tuple[int, int, int, int, int]  # an event: shift steps, part class, pitch, duration steps, velocity class
DRAWS = 7  # random numbers of an event: two for each field of time, one for each other


@dataclass(frozen=True)
class Note:
    """A composed note of a stream."""

    stream: int
    onset: int  # steps
    duration: int  # steps
    program: int
    pitch: int
    velocity: int
    part: int = 0


class Alike:
    """Contexts of streams, of which those that went on alike so far share one: what follows from it is found once.

    Attributes
    ----------
    contexts : each of them once
    first : for each of these the first of its streams; None: each stream has its own
    of : array, shape (streams,): which of these each stream has; likewise
    """

    def __init__(self, of_streams: Sequence[Context]) -> None:
        self.contexts = of_streams
        self.first: list[int] | None = None
        self.of: np.ndarray | None = None
        ids = list(map(id, of_streams))
        if len(set(ids)) < len(ids):
            self.first = [ids.index(one) for one in dict.fromkeys(ids)]
            self.contexts = [of_streams[stream] for stream in self.first]
            numbers = {ids[stream]: number for number, stream in enumerate(self.first)}
            self.of = np.array([numbers[one] for one in ids])

    def of_each(self, values: Any) -> Any:
        """Of values of the streams, an array or a sequence, those of the contexts."""
        if self.first is None:
            return values
        return values[self.first] if isinstance(values, np.ndarray) else [values[stream] for stream in self.first]

    def spread(self, values: Any) -> Any:
        """Of values of the contexts, an array or a sequence, those of the streams."""
        if self.of is None:
            return values
        return values[self.of] if isinstance(values, np.ndarray) else [values[number] for number in self.of.tolist()]

    def array(self, found: Callable[..., Sequence[int]], dtype: type, *values: Sequence[Any]) -> np.ndarray:
        """What is found of each context, and of values that all streams have that share it: a row a context."""
        rows = [found(*each) for each in zip(self.contexts, *map(self.of_each, values), strict=True)]
        return np.array(rows, dtype).reshape(len(rows), -1)

    def bytes(self, found: Callable[[Context], bytearray]) -> np.ndarray:
        """The bytes that are found of each context, as many of each: an array (contexts, bytes), uint8."""
        rows = [found(context) for context in self.contexts]
        return np.frombuffer(b"".join(rows), np.uint8).reshape(len(rows), len(rows[0]))


class Streams:
    """Pieces being written, all streams one batch.

    Streams that have gone on alike may share a context, which is copied when they go apart.

    Parameters
    ----------
    network : NumpyModel
    contexts : for each stream that of a piece without notes

    Attributes
    ----------
    rows : for each stream its events so far
    """

    def __init__(self, network: NumpyModel, contexts: Sequence[Context]) -> None:
        self.network, self.vocabulary = network, network.vocabulary
        self.contexts = list(contexts)
        self.rows: list[list[Row]] = [[] for _ in contexts]
        self._previous = [context.previous() for context in self.contexts]
        self._context = np.array([context.start() for context in contexts], np.int32)
        self._state = network.initial_state(len(self.contexts))
        self._last: Step | None = None  # that of the last event, if it was given `_context`
        self._legality = Legality(self.vocabulary)
        self._temperatures: dict[str, float] = {}
        self._filters: dict[str, list[Filter]] = {}

    def _choose_by(self, controls: Controls, parts: np.ndarray | int) -> None:
        """Choose each field by the controls, in pieces of so many parts, one number or that of each stream."""
        names, beats = self.vocabulary.fields, self.vocabulary.grid.is_metrical
        self._temperatures = {field: controls.temperature_of(field, beats) for field in names}
        self._filters = {field: controls.filters(field, parts, beats) for field in names}

    def _step(self, alike: Alike, at: np.ndarray | None = None) -> Step:
        """What the model expects next of each context of all streams, or of those `at`; their states move on."""
        streams = np.arange(len(self.contexts)) if at is None else at
        rows = streams if alike.first is None else streams[alike.first]
        before = alike.array(Context.before, np.int32)
        previous = np.array([self._previous[i] for i in rows], np.int32)
        if at is None and alike.first is None:
            step = self.network.step(previous, before, self._context, self._state, self._last)
            self._state = step.state
            return step
        step = self.network.step(previous, before, self._context[rows], [part[rows] for part in self._state])
        state = map(alike.spread, step.state)
        self._state = [_replaced(part, streams, new) for part, new in zip(self._state, state, strict=True)]
        return step

    def _apart(self, alike: Alike, event: Event, step: Step, values: Sequence[Any]) -> Alike:
        """Give streams that share a context and go on with other values a copy of it for each, and rows of the step."""
        if alike.of is None:
            return alike
        found: dict[tuple[int, Any], Context] = {}
        taken: set[int] = set()
        apart = []
        for context, value in zip(event.contexts, values, strict=True):
            key = id(context), value
            if key not in found:
                found[key] = context.copy() if key[0] in taken else context
                taken.add(key[0])
            apart.append(found[key])
        if len(found) == len(alike.contexts):
            return alike
        event.contexts = apart
        for stream, context in enumerate(apart) if event.at is None else zip(event.at.tolist(), apart, strict=True):
            self.contexts[stream] = context
        parted = Alike(apart)
        step.pick(parted.of_each(alike.of))
        return parted

    def _append(self, alike: Alike, rows: Sequence[Row | None], at: np.ndarray | None = None) -> None:
        """Add events, at whose onsets the contexts stand, to all streams or to those `at`; None adds nothing."""
        before: list[list[int]] = []
        for context, row in zip(alike.contexts, alike.of_each(rows), strict=True):
            if row is not None:
                context.add(row[PART], row[PITCH], row[DURATION], row[VELOCITY])
            before.append([] if row is None else context.previous(row[VELOCITY]))
        streams = range(len(rows)) if at is None else at.tolist()
        for stream, row, previous in zip(streams, rows, alike.spread(before), strict=True):
            if row is not None:
                self.rows[stream].append(row)
                self._previous[stream] = previous

    def last_note(self, stream: int) -> Note:
        """A stream's last note."""
        past, velocity = self.contexts[stream].past, self.rows[stream][-1][VELOCITY]
        played = self.vocabulary.velocities[max(velocity, 0)]
        return Note(stream, past.onset, past.duration, past.programs[past.part], past.pitch, played, past.part)

    def feed(self, row: Row, state: Sequence[np.ndarray] | None = None) -> None:
        """Add a known event to every stream; none shares its context.

        Parameters
        ----------
        state : the model's before the event's follower, where it is known; default: the model is asked
        """
        if state is None:
            self._step(Alike(self.contexts))
        else:
            self._state = list(state)
            for context in self.contexts:
                context.before()  # finds what the lookbacks of `Context.row` point to
        self._last = None
        for context in self.contexts:
            context.move(row[SHIFT])
        self._context = np.array([context.row() for context in self.contexts], np.int32)
        self._append(Alike(self.contexts), [row] * len(self.contexts))

    def skip(self, rows: Iterable[Row]) -> None:
        """Add known events to every stream, of which the model is not asked: `feed` must give a state afterwards."""
        for row in rows:
            for context in self.contexts:
                context.move(row[SHIFT])
            self._append(Alike(self.contexts), [row] * len(self.contexts))

    def put(self, stream: int, other: Streams) -> None:
        """Replace a stream by the first of others; its rows are cut to theirs."""
        self.contexts[stream], self._previous[stream] = other.contexts[0], other._previous[0]
        del self.rows[stream][len(other.rows[0]) :]
        self._context = with_row(self._context, stream, other._context[0])
        if self._last is not None and self._last.context is not None:
            self._last.context = with_row(self._last.context, stream, self.network.bag(other._context)[0])
        self._state = [with_row(array, stream, row[0]) for array, row in zip(self._state, other._state, strict=True)]

    def pick(self, parents: np.ndarray) -> None:
        """Go on with copies of these streams, whose indices are in order and may come several times."""
        self._state, self._context, self._last = [part[parents] for part in self._state], self._context[parents], None
        self._previous = [self._previous[parent] for parent in parents]
        self.contexts = [self.contexts[parent] for parent in parents]
        self.rows = [self.rows[parent].copy() for parent in parents]

    # -- the draw of an event

    def draw(self, u: np.ndarray, rules: Sequence[Rule], event: Event) -> list[Row | None]:
        """Draw the next event of an event's streams, field by field, and add it to those that get a note.

        Parameters
        ----------
        u : array, shape (streams, DRAWS): random numbers in [0, 1)
        rules : what acts on the choices, besides what cannot follow
        event : Event

        Returns
        -------
        rows : for each stream its event, or None where it ends or is not live
        """
        live, at = event.live, event.at
        alike = Alike(event.contexts)
        step = self._step(alike, at)
        pointers = alike.array(Context.shift_pointers, np.int64)
        shifts = self._draw_time("shift", alike, step, pointers, u[:, :2], rules, event)
        shifts = [max(steps, least) for steps, least in zip(shifts, event.least, strict=True)]
        for rule in rules:
            if type(rule).moved is not Rule.moved:
                of_streams = zip(shifts, event.contexts, strict=True)
                shifts = [rule.moved(*of_stream, at) for at, of_stream in enumerate(of_streams)]
        alike = self._apart(alike, event, step, shifts)
        for context, steps, goes_on in zip(
            alike.contexts, alike.of_each(shifts), alike.of_each(live.tolist()), strict=True
        ):
            if goes_on:
                context.move(steps)
        rows = alike.array(Context.row, np.int32)
        step.arrive(
            rows,
            alike.array(Context.pitch_class_levels, np.int64),
            alike.bytes(Context.part_descriptions),
            alike.bytes(Context.line_up),
        )
        if at is None:
            self._context, self._last = alike.spread(rows), None if alike.of is not None else step
        else:
            self._context[at], self._last = alike.spread(rows), None

        classes = self._draw_field("part", alike, step, None, u[:, 2], rules, event)
        event.live = live & (classes != END)
        if not event.live.any():
            return [None] * len(live)
        # A stream that is over goes on as if a part had come in, for the sake of the arrays.
        part_classes = np.where(event.live, classes, NEW).tolist()
        alike = self._apart(alike, event, step, classes.tolist())
        event.parts = [c.part_of(p) for c, p in zip(event.contexts, part_classes, strict=True)]
        event.programs = [c.program_of(p) for c, p in zip(event.contexts, part_classes, strict=True)]
        histories = alike.spread(alike.array(Context.part_history, np.int64, part_classes))
        event.chosen |= dict(zip(PART_HISTORY, histories.T, strict=True))
        pointers = alike.array(Context.pitch_pointers, np.int64, event.parts)
        event.pitches = self._draw_field("pitch", alike, step, pointers, u[:, 3], rules, event).tolist()
        alike = self._apart(alike, event, step, event.pitches)
        notes = zip(alike.contexts, *map(alike.of_each, (event.parts, event.pitches)), strict=True)
        of_durations, of_velocities = zip(*[context.note_pointers(*note) for context, *note in notes], strict=True)
        pointers = np.array(of_durations, np.int64)
        durations = self._draw_time("duration", alike, step, pointers, u[:, 4:6], rules, event)
        velocities = [-1] * len(live)
        if self.vocabulary.models_velocity:
            pointers = alike.spread(np.array(of_velocities, np.int64))
            alike = self._apart(alike, event, step, durations)
            pointers = alike.of_each(pointers)
            velocities = self._draw_field("velocity", alike, step, pointers, u[:, 6], rules, event).tolist()
        events = zip(shifts, part_classes, event.pitches, durations, velocities, strict=True)
        drawn = [row if goes_on else None for row, goes_on in zip(events, event.live.tolist(), strict=True)]
        self._append(self._apart(alike, event, step, drawn), drawn, at)
        return drawn

    def _draw_field(
        self,
        field: str,
        alike: Alike,
        step: Step,
        pointers: np.ndarray | None,
        u: np.ndarray,
        rules: Sequence[Rule],
        event: Event,
    ) -> np.ndarray:
        """Draw a field's class of each stream; step and pointers have a row for each context."""
        if pointers is not None:
            event.pointers[field] = alike.spread(pointers)
        known = {name: alike.of_each(classes) for name, classes in event.chosen.items()}
        event.logits = alike.spread(step.logits(field, known, pointers))
        if field == "duration" and step.gain is not None:
            gains = alike.spread(step.gain).tolist()
            event.places = Places([context.common_end() for context in event.contexts], gains)
        event.legal = self._legality.weigh(field, event)
        if event.legal is not None:
            np.copyto(event.logits, -np.inf, where=~event.legal)
        event.weigh(field, rules)
        chosen = event.chosen[field] = self._choose(field, event, u)
        return chosen

    def _draw_time(
        self,
        field: str,
        alike: Alike,
        step: Step,
        pointers: np.ndarray,
        u: np.ndarray,
        rules: Sequence[Rule],
        event: Event,
    ) -> list[int]:
        """Draw a field of time: of each stream a class, and steps in it; the rest as in `_draw_field`."""
        chosen = self._draw_field(field, alike, step, pointers, u[:, 0], rules, event)
        steps = event.places.steps(event.spans, chosen.tolist(), u[:, 1].tolist())
        event.log_places[field] = event.places.log_p(chosen, steps)
        return steps

    def _choose(self, field: str, event: Event, u: np.ndarray) -> np.ndarray:
        """Choose a class of a field for each stream, shape (streams,), by numbers `u` in [0, 1) of the same shape."""
        raise NotImplementedError


def with_row(array: np.ndarray, at: int, row: np.ndarray) -> np.ndarray:
    """A copy of an array with another row."""
    changed = array.copy()
    changed[at] = row
    return changed


def _replaced(values: np.ndarray, at: np.ndarray, new: np.ndarray) -> np.ndarray:
    """`values` with those at `at` replaced."""
    if len(at) == len(values):
        return new
    values = values.copy()
    values[at] = new
    return values


# -- events and notes


def rows_of(piece: NoteSequence, vocabulary: Vocabulary) -> list[Row]:
    """The events of a piece that is as the vocabulary can hold it."""
    notes = piece.notes
    shifts = np.diff(notes["onset"], prepend=0).tolist()
    bins = notes["velocity"] // VELOCITY_WIDTH if vocabulary.models_velocity else np.full(len(notes), -1)
    parts = encode_parts(notes, vocabulary).tolist()
    return list(zip(shifts, parts, notes["pitch"].tolist(), notes["duration"].tolist(), bins.tolist(), strict=True))


def notes_of(
    rows: Sequence[Row], vocabulary: Vocabulary, stream: int = 0, onset: int = 0, first: int = 0
) -> Iterator[Note]:
    """The notes that the events of a piece are from number `first` on, which follow on a note at `onset`."""
    parts, programs = parts_of(np.array([row[PART] for row in rows], np.int64), vocabulary)
    of_rows = zip(rows[first:], parts[first:].tolist(), programs[first:].tolist(), strict=True)
    for (shift, _, pitch, duration, velocity), part, program in of_rows:
        onset += shift
        yield Note(stream, onset, duration, program, pitch, vocabulary.velocities[max(velocity, 0)], part)


__all__ = [
    "DRAWS",
    "Note",
    "Row",
    "Streams",
    "notes_of",
    "rows_of",
    "with_row",
]
