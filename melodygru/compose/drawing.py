"""Streams of events: pieces that are written side by side, whose next event is drawn from the model or is known.

There is one draw of an event (`Streams.draw`) and one feed of a known one (`Streams.feed`); `Sampler` and `Particles`
add how a class is chosen, and what is counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from melodygru.compose.rules import NEVER, Event, Legality, Rule, Spans
from melodygru.events import (
    DURATION,
    END,
    NEW,
    PART,
    PART_HISTORY,
    PITCH,
    SHIFT,
    TIMES,
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


class Streams:
    """Pieces being written, all streams one batch.

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

    def _step(self, at: np.ndarray | None = None) -> Step:
        """What the model expects next, of all streams or of those `at`; their states move on."""
        if at is None:
            before = np.array([context.before() for context in self.contexts], np.int32)
            step = self.network.step(
                np.array(self._previous, np.int32),
                before.reshape(len(self.contexts), -1),
                self._context,
                self._state,
                self._last,
            )
            self._state = step.state
            return step
        before = np.array([self.contexts[i].before() for i in at], np.int32).reshape(len(at), -1)
        previous = np.array([self._previous[i] for i in at], np.int32)
        step = self.network.step(previous, before, self._context[at], [part[at] for part in self._state])
        self._state = [_replaced(part, at, new) for part, new in zip(self._state, step.state, strict=True)]
        return step

    def _append(self, stream: int, row: Row) -> None:
        """Add an event, at whose onset the stream's context stands."""
        context = self.contexts[stream]
        context.add(row[PART], row[PITCH], row[DURATION], row[VELOCITY])
        self.rows[stream].append(row)
        self._previous[stream] = context.previous(row[VELOCITY])

    def last_note(self, stream: int) -> Note:
        """A stream's last note."""
        past, velocity = self.contexts[stream].past, self.rows[stream][-1][VELOCITY]
        played = self.vocabulary.velocities[max(velocity, 0)]
        return Note(stream, past.onset, past.duration, past.programs[past.part], past.pitch, played, past.part)

    def feed(self, row: Row, state: Sequence[np.ndarray] | None = None) -> None:
        """Add a known event to every stream.

        Parameters
        ----------
        state : the model's before the event's follower, where it is known; default: the model is asked
        """
        if state is None:
            self._step()
        else:
            self._state = list(state)
            for context in self.contexts:
                context.before()  # finds what the lookbacks of `Context.row` point to
        self._last = None
        for context in self.contexts:
            context.move(row[SHIFT])
        self._context = np.array([context.row() for context in self.contexts], np.int32)
        for stream in range(len(self.contexts)):
            self._append(stream, row)

    def skip(self, rows: Iterable[Row]) -> None:
        """Add known events to every stream, of which the model is not asked: `feed` must give a state afterwards."""
        for row in rows:
            for stream, context in enumerate(self.contexts):
                context.move(row[SHIFT])
                self._append(stream, row)

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
        first = np.append(True, parents[1:] != parents[:-1]).tolist()
        contexts, rows = self.contexts, self.rows
        self.contexts = [contexts[p] if new else contexts[p].copy() for p, new in zip(parents, first, strict=True)]
        self.rows = [rows[p] if new else rows[p].copy() for p, new in zip(parents, first, strict=True)]

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
        contexts, live, at = event.contexts, event.live, event.at
        step = self._step(at)
        event.pointers["shift"] = np.array([context.shift_pointers() for context in contexts], np.int64)
        shifts = self._draw_time("shift", step, u[:, :2], rules, event)
        shifts = [max(steps, least) for steps, least in zip(shifts, event.least, strict=True)]
        for rule in rules:
            if type(rule).moved is not Rule.moved:
                shifts = [rule.moved(*of_stream, at) for at, of_stream in enumerate(zip(shifts, contexts, strict=True))]
        for context, steps, goes_on in zip(contexts, shifts, live.tolist(), strict=True):
            if goes_on:
                context.move(steps)
        rows = np.array([context.row() for context in contexts], np.int32)
        step.arrive(
            rows,
            np.array([context.pitch_class_levels() for context in contexts], np.int64),
            _bytes([context.part_descriptions() for context in contexts]),
            _bytes([context.line_up() for context in contexts]),
        )
        if at is None:
            self._context, self._last = rows, step
        else:
            self._context[at], self._last = rows, None

        classes = self._draw_field("part", step, u[:, 2], rules, event)
        event.live = live & (classes != END)
        drawn: list[Row | None] = [None] * len(contexts)
        if not event.live.any():
            return drawn
        # A stream that is over goes on as if a part had come in, for the sake of the arrays.
        part_classes = np.where(event.live, classes, NEW).tolist()
        event.parts = [c.part_of(p) for c, p in zip(contexts, part_classes, strict=True)]
        event.programs = [c.program_of(p) for c, p in zip(contexts, part_classes, strict=True)]
        histories = [c.part_history(p) for c, p in zip(contexts, part_classes, strict=True)]
        event.chosen |= dict(zip(PART_HISTORY, np.array(histories, np.int64).T, strict=True))
        pointers = [c.pitch_pointers(part) for c, part in zip(contexts, event.parts, strict=True)]
        event.pointers["pitch"] = np.array(pointers, np.int64)
        event.pitches = self._draw_field("pitch", step, u[:, 3], rules, event).tolist()
        of_notes = [c.note_pointers(*note) for c, *note in zip(contexts, event.parts, event.pitches, strict=True)]
        event.pointers["duration"] = np.array([durations for durations, _ in of_notes], np.int64)
        durations = self._draw_time("duration", step, u[:, 4:6], rules, event)
        velocities = [-1] * len(contexts)
        if self.vocabulary.models_velocity:
            event.pointers["velocity"] = np.array([velocities for _, velocities in of_notes], np.int64)
            velocities = self._draw_field("velocity", step, u[:, 6], rules, event).tolist()
        of_streams = zip(shifts, part_classes, event.pitches, durations, velocities, strict=True)
        for i, (row, goes_on) in enumerate(zip(of_streams, event.live.tolist(), strict=True)):
            if goes_on:
                drawn[i] = row
                self._append(i if at is None else int(at[i]), row)
        return drawn

    def _draw_field(self, field: str, step: Step, u: np.ndarray, rules: Sequence[Rule], event: Event) -> np.ndarray:
        """Draw a field's class of each stream."""
        event.logits = step.logits(field, event.chosen, event.pointers.get(field))
        event.legal = self._legality.weigh(field, event)
        if event.legal is not None:
            np.copyto(event.logits, -np.inf, where=~event.legal)
        event.weigh(field, rules)
        chosen = event.chosen[field] = self._choose(field, event, u)
        return chosen

    def _draw_time(self, field: str, step: Step, u: np.ndarray, rules: Sequence[Rule], event: Event) -> list[int]:
        """Draw a field of time: of each stream a class, and steps in it."""
        chosen = self._draw_field(field, step, u[:, 0], rules, event)
        pairs = zip(chosen.tolist(), u[:, 1].tolist(), strict=True)
        if event.spans is None:
            return [_LOW[c] + int(share * _WIDTH[c]) for c, share in pairs]
        return [steps_within(spans, c, share) for spans, (c, share) in zip(event.spans, pairs, strict=True)]

    def _choose(self, field: str, event: Event, u: np.ndarray) -> np.ndarray:
        """Choose a class of a field for each stream, shape (streams,), by numbers `u` in [0, 1) of the same shape."""
        raise NotImplementedError


def _bytes(rows: list[bytearray]) -> np.ndarray:
    """Rows of as many bytes each as an array, (rows, bytes), uint8."""
    return np.frombuffer(b"".join(rows), np.uint8).reshape(len(rows), len(rows[0]))


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


# -- steps and the classes of time


_LOW, _WIDTH = TIMES.low.tolist(), TIMES.width.tolist()
_FIRST, _SIZE = np.array(_LOW, np.float64), np.array(_WIDTH, np.float64)


def share_of_classes(spans: Sequence[Spans]) -> np.ndarray:
    """The share of each class of `events.TIMES` that lies in each stream's spans, shape (streams, classes)."""
    share = np.zeros((len(spans), TIMES.size))
    for k in range(max(map(len, spans))):
        first, after = np.array([of_stream[k] if k < len(of_stream) else (0, 0) for of_stream in spans]).T[:, :, None]
        share += np.maximum(0, np.minimum(_FIRST + _SIZE, after) - np.maximum(_FIRST, first))
    return share / _SIZE


def steps_within(spans: Spans, time_class: int, share: float) -> int:
    """Of the steps of a class that lie in the spans, those after a share of them, in [0, 1)."""
    low, high = _LOW[time_class], _LOW[time_class] + _WIDTH[time_class]
    inside = [(max(low, first), min(high, after)) for first, after in spans]
    at = int(share * sum(max(0, after - first) for first, after in inside))
    for first, after in inside:
        if at < after - first:
            return first + at
        at -= max(0, after - first)
    return low


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
    "NEVER",
    "Note",
    "Row",
    "Streams",
    "notes_of",
    "rows_of",
    "share_of_classes",
    "steps_within",
    "with_row",
]
