"""Composing towards what is kept: the guide of particles inside a mask.

What is kept of a piece, and what is composed again in its place, are **items** in order. At each event a particle has
one that is due: it gets that one, or, where the mask is open, a note that stands before it in canonical order.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from melodygru.compose.constraints import Constraint, Moment
from melodygru.compose.drawing import Row
from melodygru.compose.lengths import Plan
from melodygru.compose.parallels import Parallels
from melodygru.compose.particles import Particles
from melodygru.compose.places import NEVER, Spans
from melodygru.compose.rules import Event, Rule
from melodygru.errors import SettingError
from melodygru.events import END, FIRST_PART, N_VELOCITIES, NEW, PART, PITCH, Context, Vocabulary
from melodygru.music.notes import N_PITCHES

ANY = -1  # of an item's pitch, duration or velocity class: it is composed
PRESSING, MOST_PRESSING = 3.0, 12.0  # nats a bar, and at most, by which lines that are asked for grow more probable
BAR_S = 2.0  # seconds that count as a bar where there are none
_LAST = 1 << 40  # an order after all parts that have played
_PITCHES = np.arange(N_PITCHES)


class Item(NamedTuple):
    """A note that is kept, or one whose fields are composed again; the end of the piece has line -1.

    `at` is its number, by which whoever made it knows it.
    """

    onset: int
    line: int
    pitch: int = 0
    duration: int = 0
    velocity: int = ANY
    at: int = -1


class Towards(Rule):
    """What may come: the item that is due, or what stands before it where the mask is open.

    Parameters
    ----------
    vocabulary : Vocabulary
    items : in the order of onset, line and pitch; of one line at one onset the pitches are all kept or all composed
    programs : of each line
    open_lines : for each line the steps, spans in order, at which it may get notes of its own
    alone : of each line whether it plays one note at a time, which it goes on to do
    end : step at which what is composed ends at the latest
    constraints : what composed notes keep to or tend to
    plan : what they are told of the piece
    parallels : whether lines that play alone may move in parallel fifths and octaves
    asked : lines that shall come in; the later it is, the more they press
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        items: Sequence[Item],
        programs: Sequence[int],
        open_lines: Sequence[Sequence[tuple[int, int]]],
        alone: Sequence[bool],
        end: int,
        constraints: Sequence[Constraint] = (),
        plan: Plan | None = None,
        parallels: bool = True,
        asked: Sequence[int] = (),
    ) -> None:
        self.vocabulary, self.items, self.programs, self.end = vocabulary, items, programs, end
        self._asked = asked
        self._alone, self._constraints, self._plan = alone, constraints, plan
        self._onsets = [item.onset for item in items]
        self._struck: dict[tuple[int, int], list[int]] = {}  # onsets of each line's known pitches
        self._begins: dict[int, list[int]] = {}  # of each line's items
        self._sounds: dict[int, list[tuple[int, int]]] = {}  # of each line that plays alone, onsets and ends
        for item in items:
            if item.pitch != ANY:
                self._struck.setdefault((item.line, item.pitch), []).append(item.onset)
            self._begins.setdefault(item.line, []).append(item.onset)
            if item.line >= 0 and alone[item.line]:
                self._sounds.setdefault(item.line, []).append((item.onset, item.onset + max(1, item.duration)))
        self._open = [_without(spans, self._sounds.get(line, [])) for line, spans in enumerate(open_lines)]
        self._starts = [[first for first, _ in spans] for spans in self._open]
        self._open_to_some = _joined([span for spans in self._open for span in spans])
        self._begin = min((spans[0][0] for spans in open_lines if spans), default=0)
        self._parallels: Parallels | None = None
        if not parallels:
            lines = [line for line, plays_alone in enumerate(alone) if plays_alone]
            struck = {(item.line, item.onset): item.pitch for item in items if item.pitch != ANY}
            self._parallels = Parallels(lines, struck)
        self.n_composed = 0
        self._particles: Particles | None = None
        self._due: list[Item] = []
        self._classes: list[int] = []

    # -- what is due

    def order(self, context: Context, item: Item) -> tuple[int, int]:
        """Where an item stands in a chord: by its part's number, or, of a part that comes in, by its program."""
        number = context.past.given.get(item.line)
        if item.line < 0:
            return _LAST << 1, 0
        return (_LAST + self.programs[item.line], item.line) if number is None else (number, 0)

    def due(self, context: Context, placed: int) -> Item:
        """What comes next of the items, of which so many have their places."""
        onset = self._onsets[placed]
        first, after = bisect_left(self._onsets, onset), bisect_right(self._onsets, onset)
        if after - first == 1:
            return self.items[placed]
        chord = sorted(self.items[first:after], key=lambda item: self.order(context, item))
        return chord[placed - first]

    def _rest(self, context: Context, placed: int) -> int:
        """How many more items the due one's line strikes with it."""
        item, n = self.due(context, placed), 0
        while placed + n + 1 < len(self.items) and self._onsets[placed + n + 1] == item.onset:
            if self.due(context, placed + n + 1).line != item.line:
                break
            n += 1
        return n

    def row(self, context: Context, item: Item) -> Row:
        """An item of which nothing is composed, as the event that a piece gets next."""
        return item.onset - context.onset, self._class(context, item), item.pitch, item.duration, item.velocity

    def _class(self, context: Context, item: Item) -> int:
        """The part class of an item; END for the end."""
        if item.line < 0:
            return END
        number = context.past.given.get(item.line)
        if number is not None:
            return FIRST_PART + number if self.vocabulary.models_part else NEW
        return NEW + self.programs[item.line] if self.vocabulary.models_part else NEW

    def bind(self, particles: Particles) -> None:
        """Guide these particles."""
        self._particles = particles

    def arrive(self, context: Context, placed: int, row: Row | None) -> int:
        """Take in what a context got, after so many items; returns of how many the place is found now."""
        item = self.due(context, placed)
        if row is None or self._is_due(context, item, row):
            if row is not None:
                context.past.given.setdefault(item.line, context.past.part)
            return placed + 1
        if context.past.part not in context.past.given.values():
            line = next(
                line
                for line in self._waiting(context, context.onset)
                if self.programs[line] == row[PART] - NEW or not self.vocabulary.models_part
            )
            context.past.given[line] = context.past.part
        return placed

    def _is_due(self, context: Context, item: Item, row: Row) -> bool:
        """Whether the last event, which the context stands after, is an item."""
        if item.line < 0 or context.onset != item.onset:
            return False
        number = context.past.given.get(item.line)
        its = (
            context.past.part == number
            if number is not None
            else (row[PART] == (NEW + self.programs[item.line] if self.vocabulary.models_part else NEW))
        )
        return its and item.pitch in (ANY, row[PITCH])

    # -- what else may come

    def _is_open(self, line: int, step: int) -> bool:
        at = bisect_right(self._starts[line], step) - 1
        return at >= 0 and step < self._open[line][at][1]

    def _waiting(self, context: Context, onset: int) -> Iterator[int]:
        """Lines that are open and have not come in."""
        given = context.past.given
        for line in range(len(self.programs)):
            if line not in given and self._is_open(line, onset):
                yield line

    def _candidates(self, context: Context, onset: int, n: int, before: Item | None = None) -> dict[int, np.ndarray]:
        """Classes of the parts that may get a note at an onset, and what is added to each and to its pitches.

        Parameters
        ----------
        n : notes composed so far
        before : the item before which it stands
        """
        v, past = self.vocabulary, context.past
        found: dict[int, np.ndarray] = {}
        last = past.last if past.last is not None and past.last[2] == onset else None
        order = None if before is None else self.order(context, before)
        for line, number in past.given.items():
            if not self._is_open(line, onset) or (last is not None and number < last[0]):
                continue
            if order is not None and (number, 0) >= order:
                continue
            if last is not None and number == last[0] and context.last_is_full():
                continue
            if last is not None and number == last[0] and self._alone[line]:
                continue
            added = self._added(context, onset, n, self.programs[line], number)
            if added is not None:
                found[FIRST_PART + number if v.models_part else NEW] = added
        if len(past.programs) < max(1, v.parts) and (v.models_part or not past.programs):
            least = past.programs[-1] if last is not None and past.newest == onset else 0
            for line in self._waiting(context, onset):
                program = self.programs[line]
                if program < least or (order is not None and (_LAST + program, -1) >= (order[0], -1)):
                    continue
                added = self._added(context, onset, n, program, len(past.programs))
                if added is not None:
                    found[NEW + program if v.models_part else NEW] = added
        return found

    def _added(self, context: Context, onset: int, n: int, program: int, part: int) -> np.ndarray | None:
        """What is added to the pitches of a part, shape (128,); None where none is left."""
        if not self._constraints:
            return _NOTHING
        at = self._moment(context, onset, n)
        added = np.full(N_PITCHES, self._of_program(at, program))
        added = self._biased(added, "pitch", at._replace(program=program, part=part))
        left = added > -np.inf
        last = context.last
        sounding = [pitch for of, pitch, _ in context.sounding(onset) if of == part]
        left[sounding] = False
        if last is not None and last[2] == onset and last[0] == part:
            left[: last[1] + 1] = False
        return added if left.any() else None

    def _biased(self, values: np.ndarray, field: str, at: Moment) -> np.ndarray:
        """Values of a field's classes with what the constraints add to them."""
        for constraint in self._constraints:
            bias = constraint.bias(field, at)
            if bias is not None:
                values = values + bias
        return values

    def _of_program(self, at: Moment, program: int) -> float:
        """What constraints add to a part of a program."""
        return float(self._biased(np.zeros(self.vocabulary.size("program")), "program", at)[NEW + program])

    def _moment(self, context: Context, onset: int, n: int) -> Moment:
        assert self._plan is not None
        return Moment(self.vocabulary, self._plan, self._begin, n, context, onset)

    def _shifts(self, context: Context, item: Item, n: int) -> Spans:
        """The steps until the next event: to the due item, or to where a note may stand before it."""
        now, due = context.onset, item.onset
        spans: Spans = []
        if due == now:
            return [(0, 1)]
        if self._candidates(context, now, n) and (context.last is not None or now == 0):
            spans.append((0, 1))
        at = max(0, bisect_right(self._open_to_some, (now + 1, NEVER)) - 1)
        for first, after in self._open_to_some[at:]:
            first, after = max(first, now + 1), min(after, due)
            if first >= due:
                break
            if first < after:
                spans += self._possible(context, first, after, n)
        spans = [(first - now, after - now) if first else (first, after) for first, after in spans]
        return [*spans, (due - now, due - now + 1)]

    def _possible(self, context: Context, first: int, after: int, n: int) -> Spans:
        """The steps of a span at which a note may stand; (0, 1) is never among them."""
        if not self._constraints:
            return [(first, after)]
        assert self._plan is not None
        stops = {first, *(end for _, _, end in context.sounding(context.onset) if first < end < after)}
        step = first
        while step < after:
            step = min((one.change(step, self._plan) for one in self._constraints), default=NEVER)
            if step < after:
                stops.add(step)
        found: Spans = []
        ordered = sorted(stops)
        for begin, stop in zip(ordered, [*ordered[1:], after], strict=True):
            if self._candidates(context, begin, n):
                found.append((begin, stop))
        return found

    def _pressing(self, context: Context) -> float:
        """What lines that are asked for and haven't come in gain at an onset, in nats."""
        if all(line in context.past.given for line in self._asked):
            return 0.0
        bar = (self._plan.bar if self._plan is not None else None) or BAR_S * self.vocabulary.grid.rate
        return min(MOST_PRESSING, PRESSING * max(0, context.onset - self._begin) / bar)

    def _pressed(self, event: Event, weights: np.ndarray | None) -> np.ndarray | None:
        """Weights of shifts, where lines press to join the last chord."""
        pressing = np.array([self._pressing(context) for context in event.contexts])
        if not pressing.any():
            return weights
        found = np.zeros(event.logits.shape) if weights is None else weights + 0.0
        found[:, 0] += pressing
        return found

    # -- as a rule

    def weigh(self, field: str, event: Event) -> np.ndarray | None:
        assert self._particles is not None and event.at is not None
        streams = event.at.tolist()
        if field == "shift":
            placed = self._particles.placed
            self._due = [self.due(c, int(placed[i])) for c, i in zip(event.contexts, streams, strict=True)]
            free = [context.onset != item.onset for context, item in zip(event.contexts, self._due, strict=True)]
            return self._pressed(event, self._biases(field, event, free))
        if field == "part":
            return self._parts(event)
        if field == "pitch":
            return self._pitches(event, streams)
        forced = [item if here else None for item, here in zip(self._due, self._at_due, strict=True)]
        if field == "velocity":
            masks = np.ones((len(streams), N_VELOCITIES), bool)
            for mask, item in zip(masks, forced, strict=True):
                if item is not None and item.velocity != ANY:
                    mask[:] = False
                    mask[item.velocity] = True
            return self._with_biases(field, event, masks)
        return self._biases(field, event, [item is None or item.duration == ANY for item in forced])

    def spans(self, field: str, event: Event) -> Sequence[Spans] | None:
        if field == "shift":
            n = [len(rows) for rows in self._rows(event)]
            return [self._shifts(*each) for each in zip(event.contexts, self._due, n, strict=True)]
        found: list[Spans] = []
        lines = zip(event.contexts, self._due, self._at_due, event.parts, event.pitches, strict=True)
        for context, item, here, part, pitch in lines:
            if here and item.line < 0:
                found.append([(1, NEVER)])
                continue
            if here and item.duration != ANY:
                found.append([(item.duration, item.duration + 1)])
                continue
            line = item.line if here else self._line_of(context, part)
            found.append([(1, max(2, self._limit(line, pitch, context.onset) - context.onset + 1))])
        return found

    def _rows(self, event: Event) -> list[list[Row]]:
        assert self._particles is not None and event.at is not None
        return [self._particles.rows[i] for i in event.at.tolist()]

    def _line_of(self, context: Context, part: int) -> int:
        """The line that a part is, one that comes in now too."""
        for line, number in context.past.given.items():
            if number == part:
                return line
        return next(self._waiting(context, context.onset), 0)

    def _limit(self, line: int, pitch: int, onset: int) -> int:
        """Where a note of a line ends at the latest: where the pitch is struck, or, of a line alone, the next note."""
        onsets = self._begins.get(line, []) if self._alone[line] else self._struck.get((line, pitch), [])
        later = bisect_right(onsets, onset)
        return min(self.end, onsets[later]) if later < len(onsets) else self.end

    def _parts(self, event: Event) -> np.ndarray:
        """The due item's class, or those of parts that may play before it."""
        v = self.vocabulary
        weights = np.full((len(event.contexts), v.size("part")), -np.inf)
        self._free: list[dict[int, np.ndarray]] = []
        self._classes = []
        for of_stream, context, item, rows in zip(weights, event.contexts, self._due, self._rows(event), strict=True):
            at_due = context.onset == item.onset
            own = self._class(context, item) if at_due else -1
            free = self._candidates(context, context.onset, len(rows), item if at_due else None)
            if own >= 0:
                of_stream[own] = 0.0
                free.pop(own, None)
            for part_class, added in free.items():
                if added is _NOTHING:
                    of_stream[part_class] = 0.0
                else:
                    at = self._moment(context, context.onset, len(rows))
                    of_stream[part_class] = self._of_program(at, context.program_of(part_class))
                if part_class < FIRST_PART and v.models_part:
                    of_stream[part_class] += self._pressing(context)
            self._free.append(free)
            self._classes.append(own)
        return weights

    def _pitches(self, event: Event, streams: list[int]) -> np.ndarray | None:
        """The due item's pitch, those that it may get, or any of a part that plays before it."""
        chosen = event.chosen["part"].tolist()
        self._at_due = [own == part and own >= 0 for own, part in zip(self._classes, chosen, strict=True)]
        if not self._constraints and not any(self._at_due) and self._parallels is None:
            return None
        weights = np.zeros((len(streams), N_PITCHES))
        assert self._particles is not None
        for k, (of_stream, context, item, here) in enumerate(
            zip(weights, event.contexts, self._due, self._at_due, strict=True)
        ):
            if not event.live[k]:
                continue
            if not here:
                of_stream += self._free[k][chosen[k]]
            elif item.pitch != ANY:
                of_stream[:] = -np.inf
                of_stream[item.pitch] = 0.0
            else:
                of_stream += self._of_slot(context, item, int(self._particles.placed[streams[k]]), event.parts[k])
            if self._parallels is not None:
                avoided = self._parallels.bias(context, item.line if here else self._line_of(context, event.parts[k]))
                of_stream += 0.0 if avoided is None else avoided
        return weights

    def _of_slot(self, context: Context, item: Item, placed: int, part: int) -> np.ndarray:
        """What is added to the pitches of a note that stays in its place: room is left for the rest of its chord."""
        free = ~context.pitch_mask(part)
        if item.duration != ANY:
            for (line, pitch), onsets in self._struck.items():
                at = bisect_right(onsets, item.onset)
                if line == item.line and at < len(onsets) and onsets[at] < item.onset + item.duration:
                    free[pitch] = False
        added = np.zeros(N_PITCHES)
        if self._constraints:
            at_moment = self._moment(context, context.onset, 0)._replace(program=self.programs[item.line], part=part)
            added = self._biased(added, "pitch", at_moment)
        free &= added > -np.inf
        rest = self._rest(context, placed)
        places = np.flatnonzero(free)
        if len(places) <= rest:
            raise SettingError(
                f"a note at step {item.onset} has no pitch left beside those that its part sounds: keep more notes, or "
                "leave out a constraint"
            )
        if rest:
            free[places[-rest:]] = False
        return np.where(free, added, -np.inf)

    def _biases(self, field: str, event: Event, free: Sequence[bool]) -> np.ndarray | None:
        """What constraints add to a field of the streams in which it is free."""
        if not self._constraints or not any(free):
            return None
        return self._with_biases(field, event, np.ones((len(event.contexts), self.vocabulary.size(field)), bool), free)

    def _with_biases(
        self, field: str, event: Event, masks: np.ndarray, free: Sequence[bool] | None = None
    ) -> np.ndarray:
        """A field's masks, with what constraints add where more than one class is left."""
        if not self._constraints:
            return masks
        weights = np.where(masks, 0.0, -np.inf)
        for k, (context, rows) in enumerate(zip(event.contexts, self._rows(event), strict=True)):
            if not (masks[k].all() if free is None else free[k]) or not event.live[k]:
                continue
            at = self._moment(context, context.onset, len(rows))
            if field != "shift":
                at = at._replace(program=event.programs[k], pitch=event.pitches[k], part=event.parts[k])
            weights[k] = self._biased(weights[k], field, at)
        return weights


_NOTHING = np.zeros(N_PITCHES)


def _without(spans: Sequence[tuple[int, int]], sounding: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Spans without those in which a note sounds, both in order."""
    left = list(spans)
    for first, after in sounding:
        left = [
            piece
            for begin, end in left
            for piece in ((begin, min(end, first)), (max(begin, after), end))
            if piece[0] < piece[1]
        ]
    return left


def _joined(spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The union of spans, in order."""
    found: list[tuple[int, int]] = []
    for first, after in sorted(spans):
        if found and first <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], after)
        else:
            found.append((first, after))
    return found


def extend(particles: Particles, guide: Towards, until: int) -> Iterator[int]:
    """Extend particles until all have the first `until` items; yields their number whenever all have one more."""
    guide.bind(particles)
    for placed in range(int(particles.placed.min()), until):
        waiting = np.flatnonzero(particles.placed == placed)
        while len(waiting):
            rows = particles.extend(guide, waiting)
            arrived: dict[int, int] = {}  # by the context, which particles that went on alike share
            for stream, row in zip(waiting.tolist(), rows, strict=True):
                context = particles.contexts[stream]
                if id(context) not in arrived:
                    arrived[id(context)] = guide.arrive(context, placed, row)
                particles.placed[stream] = arrived[id(context)]
            waiting = waiting[particles.placed[waiting] == placed]
        yield placed + 1


__all__ = ["ANY", "Item", "Towards", "extend"]
