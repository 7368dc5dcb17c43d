"""Steering: the constraints of a batch put together, so that there is always something left to choose.

It looks ahead: an onset is chosen only where some part has a pitch that is wished for and free, and a part only if it
has one. A combination that leaves nothing is refused before the first note.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from melodygru.compose.constraints import Constraint, Moment
from melodygru.compose.lengths import Plan
from melodygru.compose.places import NEVER, Spans
from melodygru.compose.rules import Event, Rule
from melodygru.errors import SettingError
from melodygru.events import END, FIRST_PART, NEW, Context, Vocabulary
from melodygru.music.notes import NoteSequence

MOST_CHANGES = 4096  # of the constraints that are looked at beforehand


_ANY: Spans = [(0, NEVER)]


class Steering(Rule):
    """The constraints of a batch of pieces, put together.

    Parameters
    ----------
    constraints : whatever is wished for; the order means nothing
    vocabulary : Vocabulary
    plans : for each stream its plan
    programs : array, shape (129,), bool: those of which a part may come in where there is no line-up
    primer : what the pieces begin with
    begin : step from which on is composed

    Raises
    ------
    SettingError
        A constraint can't be met, alone or beside the others: which, and what is missing.
    """

    def __init__(
        self,
        constraints: Sequence[Constraint],
        vocabulary: Vocabulary,
        plans: Sequence[Plan],
        *,
        programs: np.ndarray,
        primer: NoteSequence | None = None,
        begin: int = 0,
    ) -> None:
        self.constraints, self.vocabulary, self.plans = tuple(constraints), vocabulary, plans
        self.begin = begin
        self._programs = np.flatnonzero(programs).tolist()
        self._playing = [] if primer is None else primer.part_programs.tolist()
        self._remembers = all(constraint.steady for constraint in self.constraints)
        self._changing = [one for one in self.constraints if type(one).change is not Constraint.change]
        self._nothing = {name: np.zeros(vocabulary.size(name)) for name in (*vocabulary.fields, "program")}
        self._remembered: dict[tuple[int, int, int], tuple[np.ndarray, int]] = {}
        self._kinds = {id(plan): plans.index(plan) for plan in plans}  # equal plans wish the same
        for plan in dict.fromkeys(plans):
            for constraint in self.constraints:
                constraint.check(vocabulary, plan)
            self._check(plan)

    def _check(self, plan: Plan) -> None:
        """Refuse what leaves no note somewhere, though nothing sounds."""
        stream, step = self.plans.index(plan), self.begin
        context = Context(self.vocabulary, line_up=plan.line_up)
        context.programs.extend(self._playing)
        for _ in range(MOST_CHANGES):
            if not self._possible(self._moment(stream, context, 0, step)):
                break
            step = self._change(stream, step)
            if step >= (NEVER if plan.limit is None else plan.limit):
                return
        else:
            return
        bar = f" in bar {(step - plan.start) // plan.bar + 1}" if plan.bar and self._change(stream, 0) < NEVER else ""
        needed = list(self.constraints)
        for constraint in self.constraints:
            self.constraints = tuple(other for other in needed if other is not constraint)
            self._changing = [one for one in self.constraints if type(one).change is not Constraint.change]
            self._remembered.clear()
            if not self._possible(self._moment(stream, context, 0, step)):
                needed.remove(constraint)
        what = " with ".join(str(constraint) for constraint in needed)
        raise SettingError(f"{what}: no program has a pitch left{bar}; widen or leave out one of them")

    # -- what is possible where

    def _moment(self, stream: int, context: Context, n: int, onset: int) -> Moment:
        return Moment(self.vocabulary, self.plans[stream], self.begin, n, context, onset)

    def _change(self, stream: int, step: int) -> int:
        """The next step at which a constraint wishes something else."""
        if not self._changing:
            return NEVER
        return min(constraint.change(step, self.plans[stream]) for constraint in self._changing)

    def _sum(self, name: str, at: Moment) -> np.ndarray:
        """What the constraints add to a field; `_nothing` itself if that is nothing."""
        total = self._nothing[name]
        for constraint in self.constraints:
            bias = constraint.bias(name, at)
            if bias is not None:
                total = total + bias
        return total

    def _pitches(self, at: Moment, program: int, part: int) -> tuple[np.ndarray, int]:
        """What is added to the pitches of a part of a program, and how many are left."""
        kind = self._kinds[id(at.plan)]
        key = (kind, program, self._change(kind, at.onset))
        found = self._remembered.get(key) if self._remembers else None
        if found is None:
            added = self._sum("pitch", at._replace(program=program, part=part))
            found = added, int(np.count_nonzero(added > -np.inf))
            if len(self._remembered) >= MOST_CHANGES:
                self._remembered.clear()
            if self._remembers:
                self._remembered[key] = found
        return found

    def _candidates(self, at: Moment) -> Iterator[tuple[int, int, int]]:
        """Class, number and program of the parts that may stand at a moment by their order; a new one has number -1."""
        context, v = at.context, self.vocabulary
        programs, last = context.programs, context.last
        stacked = last is not None and last[2] == at.onset
        for part in range(last[0] if stacked and last is not None else 0, len(programs)):
            yield (FIRST_PART + part if v.models_part else NEW), part, programs[part]
        if not v.models_part:
            if not programs:
                yield NEW, -1, v.programs[0]
            return
        if len(programs) == v.parts:
            return
        to_come = context.past.line_up
        come_in = self._programs if to_come is None else [program for program, n in to_come.items() if n]
        least = programs[-1] if stacked and context.past.newest == at.onset else 0
        for program in come_in:
            if program >= least:
                yield NEW + program, -1, program

    def _playable(self, at: Moment) -> Iterator[tuple[int, float]]:
        """Part classes that have a pitch at a moment, and what is added to each."""
        added = self._sum("program", at)
        last = at.context.last
        stacked = last is not None and last[2] == at.onset
        sounding = at.context.sounding(at.onset)
        for part_class, part, program in self._candidates(at):
            weight = float(added[NEW + program])
            if weight == -np.inf:
                continue
            pitches, n_left = self._pitches(at, program, part if part >= 0 else len(at.context.programs))
            if not n_left:
                continue
            if part < 0 or (n_left > len(sounding) and not stacked):
                yield part_class, weight
                continue
            here = [pitch for of, pitch, _ in sounding if of == part]
            above = last[1] if stacked and last is not None and part == last[0] else -1
            if here or above >= 0:
                free = pitches > -np.inf
                free[here] = False
                if not free[above + 1 :].any():
                    continue
            yield part_class, weight

    def _possible(self, at: Moment) -> bool:
        """Whether a note may stand at a moment."""
        return next(self._playable(at), None) is not None

    def _open(self, stream: int, context: Context, n: int, least: int) -> Spans:
        """Shifts of `least` or more after which a note is possible."""
        now, last = context.onset, context.last
        spans: Spans = []

        def possible(step: int) -> bool:
            return self._possible(self._moment(stream, context, n, step))

        def add(first: int, after: int) -> None:
            if spans and spans[-1][1] == first:
                first, _ = spans.pop()
            spans.append((first, after))

        step = now + least
        if last is not None and step == last[2]:
            if possible(step):
                add(0, 1)
            step += 1
        ends = sorted({end for _, _, end in context.sounding(now)})
        while True:
            change = self._change(stream, step)
            first = next((at for at in (step, *ends) if step <= at < change and possible(at)), None)
            if first is not None:
                add(first - now, change - now if change < NEVER else NEVER)
            if change >= NEVER or not ends or change >= ends[-1]:
                break
            step = change
        if change < NEVER:  # from there on nothing sounds, so that all is possible, see `_check`
            add(change - now, NEVER)
        return spans

    def __str__(self) -> str:
        return " with ".join(str(constraint) for constraint in self.constraints)

    # -- as a rule

    def weigh(self, field: str, event: Event) -> np.ndarray | None:
        if field == "shift":
            streams = enumerate(zip(event.contexts, event.counts, event.live.tolist(), strict=True))
            of_streams = [
                self._sum(field, self._moment(stream, context, n, context.onset)) if live else self._nothing[field]
                for stream, (context, n, live) in streams
            ]
        elif field == "part":
            of_streams = self._parts_of(event)
        else:
            of_streams = self._of_note(field, event)
        return self._joined(field, of_streams)

    def spans(self, field: str, event: Event) -> Sequence[Spans] | None:
        """Shifts after which a note is possible."""
        if field != "shift":
            return None
        spans = [
            self._open(stream, context, event.counts[stream], event.least[stream]) if event.live[stream] else _ANY
            for stream, context in enumerate(event.contexts)
        ]
        return None if all(of_stream == _ANY for of_stream in spans) else spans

    def _parts_of(self, event: Event) -> list[np.ndarray]:
        """What is added to the part of each stream."""
        of_streams = []
        for stream, (context, n) in enumerate(zip(event.contexts, event.counts, strict=True)):
            added = self._nothing["part"]
            if event.live[stream]:
                at = self._moment(stream, context, n, context.onset)
                playable = dict(self._playable(at))
                added = np.full(len(added), -np.inf)
                added[END] = self._sum("program", at)[END]
                added[list(playable)] = list(playable.values())
            of_streams.append(added)
        return of_streams

    def _of_note(self, field: str, event: Event) -> list[np.ndarray]:
        """What is added to a pitch, duration or velocity of each stream."""
        of_streams = []
        for stream, (context, n, live) in enumerate(
            zip(event.contexts, event.counts, event.live.tolist(), strict=True)
        ):
            if not live:
                of_streams.append(self._nothing[field])
                continue
            at = self._moment(stream, context, n, context.onset)
            part, program = event.parts[stream], event.programs[stream]
            if field == "pitch":
                of_streams.append(self._pitches(at, program, part)[0])
                continue
            known = at._replace(program=program, pitch=event.pitches[stream], part=part)
            of_streams.append(self._sum(field, known))
        return of_streams

    def _joined(self, name: str, rows: list[np.ndarray]) -> np.ndarray | None:
        """The rows of all streams, or None if nothing is added to any."""
        return None if all(row is self._nothing[name] for row in rows) else np.array(rows)
