"""A batch of pieces, sampled an event at a time.

Randomness of each stream comes from its own generator, DRAWS numbers an event whatever the event is, so that a
stream's draws do not depend on the others'.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from melodygru.compose.controls import RHYTHM, Controls, below_best, to_weights
from melodygru.compose.drawing import DRAWS, Note, Streams, rows_of, with_row
from melodygru.compose.primer import Primer
from melodygru.compose.rules import (
    Arrivals,
    Avoided,
    DueEnd,
    Event,
    KnownParts,
    LeastShift,
    OpeningKey,
    Rule,
    programs_of,
)
from melodygru.compose.steering import Steering
from melodygru.errors import SettingError
from melodygru.events import DURATION, FIRST_PART, NEW, SHIFT, Context
from melodygru.events.planned import UNPLANNED, Planned
from melodygru.model.numpy_model import NumpyModel

PAST_BYTES = 1 << 26  # of states that `Sampler.rewind` finds at hand
PAST_LEAST, PAST_MOST = 16, 1024  # events of them, whatever their size
LANDMARK = 256  # one state of so many is kept for the whole piece
AT_ONCE = 64  # events whose random numbers are drawn together


class Sampler(Streams):
    """Pieces being composed, all streams one batch.

    Parameters
    ----------
    network : NumpyModel
    rngs : one generator for each stream
    controls : Controls
    style : piece condition; None is unknown
    metres : for each stream its time signature; default: unknown
    line_ups : for each stream the programs of the parts that it is to have, those of the primer among them; or None,
        the default, for unknown
    planned : for each stream what of its plan the model is given; default: nothing
    signatures : for each stream the key signature that its first OPENING notes keep to, or None
    primer : what every stream begins with; it is composed from its splice on
    steering : constraints on what is chosen, put together for these streams
    due : for each stream the step from which on it ends where the model finds an end plausible (see `rules.DueEnd`), or
        None for the model's choice alone, the default
    haste, limits : for each stream by how much more probable parts still to come are, in nats, and the step at which it
        is cut (see `rules.Arrivals`); default: no part is hurried
    rules : further ones

    Attributes
    ----------
    rows : for each stream its events so far, the primer's included
    log_p : array, shape (streams,): log-probability, in nats, of what was sampled, under the model itself
        (temperature 1, nothing filtered)
    n_primer : notes of the primer, the first of each stream's rows
    done : list of bool: whether a stream is over
    ends : list: the step at which a stream was ended, by the model or by `end`, or None
    """

    def __init__(
        self,
        network: NumpyModel,
        rngs: Sequence[np.random.Generator],
        controls: Controls | None = None,
        *,
        style: str | None = None,
        metres: Sequence[tuple[int, int]] | None = None,
        line_ups: Sequence[Sequence[int] | None] | None = None,
        planned: Sequence[Planned] | None = None,
        signatures: Sequence[int | None] | None = None,
        primer: Primer | None = None,
        steering: Steering | None = None,
        due: Sequence[int | None] | None = None,
        haste: Sequence[float] | None = None,
        limits: Sequence[int | None] | None = None,
        rules: Sequence[Rule] = (),
    ) -> None:
        n, v = len(rngs), network.vocabulary
        given = primer.sequence if primer is not None else None
        of_streams: Sequence[tuple[int, int] | None] = metres or [None] * n
        self._conditions = [
            (style, metre, None if given is None else given.metres, line_up, None, plan)
            for metre, line_up, plan in zip(of_streams, line_ups or [None] * n, planned or [UNPLANNED] * n, strict=True)
        ]
        super().__init__(network, [Context(v, *conditions) for conditions in self._conditions])
        self.set_controls(controls or Controls())
        self.rngs = rngs
        self.log_p = np.zeros(n)
        self._temperature_boost = np.zeros(n)
        self.done = [False] * n
        self.ends: list[int | None] = [None] * n
        self._avoided = Avoided()
        self._rules: list[Rule] = [LeastShift(), KnownParts(v, programs_of(v, style))]
        if steering is not None:
            self._rules.append(steering)
        if limits is not None:
            self._rules.append(Arrivals(haste or [0.0] * n, limits))
        self._rules += [*rules, DueEnd(due or [None] * n), OpeningKey(signatures or []), self._avoided]
        self._draws: Iterator[np.ndarray] = iter(())  # the numbers of each event to come, (streams, DRAWS)
        self._streams = np.arange(n)
        self._choices: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []  # of an event, see `_choose`
        self._now = 0  # calls of `step` so far
        self._begun: list[list[int]] = [[] for _ in range(n)]  # the call in which each stream sampled each event
        # The state and `log_p` at the beginning of calls: references, for `rewind`.
        self._past_state: dict[int, list[np.ndarray]] = {}
        self._past_log_p: list[np.ndarray] = []
        size = max(1, sum(array.nbytes for array in self._state))
        self._n_past = min(max(PAST_BYTES // size, PAST_LEAST), PAST_MOST)
        self.n_primer = 0
        self._splice = 0  # step from which on is composed
        if primer is not None:
            self.n_primer, self._splice = len(primer.sequence), primer.splice
            for row in rows_of(primer.sequence, v):
                self.feed(row)

    def set_controls(self, controls: Controls) -> None:
        """Choose by other temperatures and filters from the next event on."""
        self._choose_by(controls, np.array([context.n_parts for context in self.contexts]))

    def raise_temperature(self, stream: int, share: float) -> None:
        """Raise a stream's temperatures below 1 towards 1, from the next event on until another share is given.

        Parameters
        ----------
        share : of the way to 1, in 0..1; 0 is none
        """
        self._temperature_boost[stream] = share

    def end(self, stream: int, step: int | None = None) -> None:
        """End a stream, at a step if that is the piece's end; after `rewind` it goes on."""
        self.done[stream] = True
        if step is not None:
            self.ends[stream] = step

    def step(self, may_end: bool = True) -> list[Note | None]:
        """Sample one event of every stream that goes on.

        Parameters
        ----------
        may_end : whether the model may end a piece

        Returns
        -------
        notes : for each stream its new note, or None where it is over
        """
        live = ~np.array(self.done)
        self._remember()
        event = Event(
            self.contexts,
            [len(rows) - self.n_primer for rows in self.rows],
            live,
            [max(0, self._splice - context.onset) for context in self.contexts],
            may_end,
        )
        drawn = self.draw(self._uniform(), self._rules, event)
        self._count(event)
        notes: list[Note | None] = []
        for stream, row in enumerate(drawn):
            onset, note = self.contexts[stream].onset, None
            if row is not None:
                note = self.last_note(stream)
            elif live[stream]:
                self.end(stream, onset)
            notes.append(note)
        return notes

    def _uniform(self) -> np.ndarray:
        """The random numbers of each stream's next event, shape (streams, DRAWS)."""
        numbers = next(self._draws, None)
        if numbers is None:
            self._draws = iter(np.stack([rng.random((AT_ONCE, DRAWS)) for rng in self.rngs], 1))
            numbers = next(self._draws)
        return numbers

    def _choose(self, field: str, event: Event, u: np.ndarray) -> np.ndarray:
        """Choose a class for each stream; its log-probability is counted among all that can follow."""
        logits, mask, added = event.logits, event.mask, event.log_weights
        temperature = self._temperature(field)
        below, left = below_best(logits), logits
        weights = np.exp(below)
        total = np.add.reduce(weights, 1)
        if event.spans is not None:
            with np.errstate(divide="ignore"):
                share = np.log(event.places.share_of_classes(event.spans))
            added = share if added is None else added + share
        if added is not None:
            left = logits + added if mask is None else np.where(mask, logits + added, -np.inf)
            nothing = np.maximum.reduce(left, 1) == -np.inf
            if np.any(nothing & event.live):
                rules = " with ".join(filter(None, map(str, self._rules)))
                raise SettingError(f"{rules}: no {field} is left; a constraint must leave one where nothing sounds")
            left[nothing] = 0.0  # of streams that are over
        elif mask is not None:
            left = np.where(mask, logits, -np.inf)
        if left is not logits:
            weights = to_weights(left)
        unfiltered = weights
        for change in self._filters[field]:
            weights = change(weights)
        if weights is not unfiltered and self._temperatures[field] != 0:
            self._spare(field, event, weights, unfiltered)
        if temperature is not None:
            tempered = to_weights(left, temperature)
            kept = weights > 0
            if self._temperatures[field] == 0:
                kept |= self._temperature_boost[:, None] > 0
            weights = np.where(kept, tempered, 0.0)
        cumulative = np.add.accumulate(weights, 1)
        chosen = (cumulative > (u * cumulative[:, -1])[:, None]).argmax(1)
        self._choices.append((below[self._streams, chosen], total, event.live))
        return chosen

    @staticmethod
    def _spare(field: str, event: Event, weights: np.ndarray, unfiltered: np.ndarray) -> None:
        """Give classes that are rare, and right, the weight back that a filter by rank has taken from them.

        A part of the line-up comes in once in hundreds of notes; long notes and rests are rare beside short ones, and
        those that end where something points to, such as a bar line, are no mistakes. Without them music gets denser.
        """
        if field == "part":
            known = np.array([context.past.line_up is not None for context in event.contexts])[:, None]
            spared = weights[:, NEW:FIRST_PART]
            np.copyto(spared, unfiltered[:, NEW:FIRST_PART], where=known)
        elif field in RHYTHM and field in event.pointers:
            rows, columns = np.nonzero(event.pointers[field])
            classes = event.pointers[field][rows, columns] - 1
            weights[rows, classes] = unfiltered[rows, classes]

    def _temperature(self, field: str) -> float | np.ndarray | None:
        """That of a field, for all streams or, shape (streams, 1), for each; None: the model's own distribution."""
        temperature = self._temperatures[field]
        if temperature >= 1 or not self._temperature_boost.any():
            return None if temperature in (0, 1) else temperature
        raised = temperature + (1 - temperature) * self._temperature_boost
        return np.where(raised > 0, raised, 1.0)[:, None]

    def _count(self, event: Event) -> None:
        """Count the log-probability of an event's choices."""
        log_p, totals, live = (np.array(values) for values in zip(*self._choices, strict=True))
        self._choices.clear()
        log_p -= np.log(totals)
        for column, field in ((SHIFT, "shift"), (DURATION, "duration")):
            if field in event.log_places:
                log_p[column] += event.log_places[field]
        self.log_p = self.log_p + np.add.reduce(np.where(live, log_p, 0.0), 0)  # `rewind` may need the old one

    def _remember(self) -> None:
        """Keep what `rewind` needs of this moment, and let go of what lies too far back."""
        now = self._now
        self._past_state[now] = self._state
        self._past_log_p.append(self.log_p)
        if (now - self._n_past) % LANDMARK:
            self._past_state.pop(now - self._n_past, None)
        for begun, done in zip(self._begun, self.done, strict=True):
            if not done:
                begun.append(now)
        self._now = now + 1

    def rewind(self, stream: int, n: int, avoid: Sequence[int] = ()) -> None:
        """Take a stream back to its first `n` notes; it goes on from there with fresh numbers of its own generator.

        Everything is as if the notes after them had never been: the model's state, the context, `log_p`, `done` and
        `ends`. No other stream is touched.

        Parameters
        ----------
        stream : index in the batch
        n : at least the primer's notes, at most those of the stream
        avoid : pitches that the next note must not have, unless it can have no other

        Raises
        ------
        SettingError
            `n` is out of range.
        """
        rows, begun = self.rows[stream], self._begun[stream]
        if not self.n_primer <= n <= len(rows):
            raise SettingError(f"rewind to {n} notes: expected {self.n_primer}..{len(rows)}, those of stream {stream}")
        known = n  # notes before the latest moment whose state is kept; those after it are fed anew
        while (step := self._step_of(stream, known)) != self._now and step not in self._past_state:
            if known == self.n_primer:
                step = 0
                break
            known -= 1
        states = self._state if step == self._now else self._past_state[step]
        state = [array[stream : stream + 1] for array in states]
        step = self._step_of(stream, n)
        log_p = self.log_p if step == self._now else self._past_log_p[step]

        alone = Streams(self.network, [Context(self.vocabulary, *self._conditions[stream])])
        if known:
            alone.skip(rows[: known - 1])
            alone.feed(rows[known - 1], state)
        for row in rows[known:n]:
            alone.feed(row)
        self.put(stream, alone)
        del begun[n - self.n_primer :]
        self.log_p = with_row(self.log_p, stream, log_p[stream])
        self.done[stream], self.ends[stream] = False, None
        self._avoided.pitches.pop(stream, None)
        if avoid:
            self._avoided.pitches[stream] = avoid

    def _step_of(self, stream: int, n: int) -> int:
        """The call of `step` at whose beginning a stream had `n` notes."""
        begun, at = self._begun[stream], n - self.n_primer
        if at < len(begun):
            return begun[at]
        return begun[-1] + 1 if begun else self._now
