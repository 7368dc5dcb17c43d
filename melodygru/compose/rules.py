"""Rules: whatever says which classes of a field may come, or how much more probable some of them are.

A `Rule` looks at an event while it is drawn, field by field, and answers with one array over streams and classes:

bool    a mask: False is a class that must not come
float   log-weights, in nats, that are added to the logits; -inf is a class that must not come

For the two fields of time it may also name the steps that are allowed, which can be fewer than a class has. Rules are
what cannot follow in a piece (`Legality`), a line-up, a key to open in, constraints, an end that is due,
pitches to avoid and the notes of a given piece; `drawing.Streams` asks them in turn and adds up what they say.
Legality belongs to the model: the log-probability of a choice is counted among what it leaves, and no other rule
changes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from melodygru.compose.controls import to_weights
from melodygru.compose.places import EVEN, NEVER, Places, Spans
from melodygru.events import END, FIRST_PART, NEW, TIMES, Context, Vocabulary
from melodygru.music.keys import DIATONIC
from melodygru.music.notes import DRUMS, N_PITCHES, N_PROGRAMS

OPENING = 16  # notes of a piece that keep to its key signature: then the model goes on in it by itself
PRESSING = 1.0  # nats, for each part of the line-up that should have come in
PLAUSIBLE = 0.1  # probability at which an end that is due comes
END_DECAY = 20  # how often PLAUSIBLE is halved by the time a piece is twice as long as it was due to be


@dataclass
class Event:
    """An event of several streams while it is drawn: what a rule can look at.

    Attributes
    ----------
    contexts : each stream's context; from the part on, its `onset` is the event's
    counts : for each stream the notes composed so far
    live : array, shape (streams,), bool: which streams get a note; what is drawn for the others is thrown away
    least : for each stream the steps that its shift must have at least
    may_end : whether the model may end a piece
    logits : array, shape (streams, classes): the model's for the field being drawn, -inf where a class cannot follow
    legal : array, shape (streams, classes), bool: what can follow; None is all
    mask : array, shape (streams, classes), bool: what the rules asked so far leave; None is all
    log_weights : array, shape (streams, classes): what they add, in nats; None is nothing
    spans : for each stream the steps of a shift or duration that are allowed; None is all
    chosen : the classes chosen so far, arrays of shape (streams,) by field, and each part's history
    places : how the probability of the classes of the field of time being drawn spreads over their steps
    log_places : of each field of time, once its steps are drawn, their log-probability in nats, given their class
    pointers : what the pointers to a field point to, arrays of shape (streams, k) by field
    parts, programs, pitches : of the note of each stream, once they are chosen; a new part's number is the next
    at : the streams' indices in their batch; None is all of them
    """

    contexts: Sequence[Context]
    counts: Sequence[int]
    live: np.ndarray
    least: Sequence[int]
    may_end: bool = True
    at: np.ndarray | None = None
    chosen: dict[str, np.ndarray] = field(default_factory=dict)
    logits: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    legal: np.ndarray | None = None
    mask: np.ndarray | None = None
    log_weights: np.ndarray | None = None
    spans: Sequence[Spans] | None = None
    places: Places = EVEN
    log_places: dict[str, np.ndarray] = field(default_factory=dict)
    pointers: dict[str, np.ndarray] = field(default_factory=dict)
    parts: list[int] = field(default_factory=list)
    programs: list[int] = field(default_factory=list)
    pitches: list[int] = field(default_factory=list)

    def weigh(self, name: str, rules: Sequence[Rule]) -> None:
        """Ask the rules about a field: sets `mask`, `log_weights` and `spans`."""
        self.mask = self.log_weights = self.spans = None
        yielding: np.ndarray | None = None
        for rule in rules:
            weights = rule.weigh(name, self)
            if weights is None:
                continue
            if rule.yields:
                yielding = weights if yielding is None else yielding & weights
            elif weights.dtype == bool:
                self.mask = weights if self.mask is None else self.mask & weights
            else:
                self.log_weights = weights if self.log_weights is None else self.log_weights + weights
        if yielding is not None:
            left = self.logits if self.log_weights is None else self.logits + self.log_weights
            possible = yielding & (left > -np.inf)
            if self.mask is not None:
                possible &= self.mask
            yielding[~possible.any(1)] = True
            self.mask = yielding if self.mask is None else self.mask & yielding
        if name in ("shift", "duration"):
            for rule in rules:
                spans = rule.spans(name, self)
                if spans is not None and self.spans is not None:
                    spans = [within(first, second) for first, second in zip(self.spans, spans, strict=True)]
                self.spans = spans or self.spans


def within(wanted: Spans, also: Spans) -> Spans:
    """The steps that lie in both; the former's, where none does."""
    both = [
        (max(first, low), min(after, high))
        for first, after in wanted
        for low, high in also
        if max(first, low) < min(after, high)
    ]
    return both or wanted


class Rule:
    """Something that acts on the choice of a field; the base of all.

    Attributes
    ----------
    yields : bool
        Whether it is given up for a stream where it, with all such rules, would leave nothing. It then gives masks.
    """

    yields = False

    def weigh(self, field: str, event: Event) -> np.ndarray | None:
        """A mask or log-weights for a field, shape (streams, classes); None is no say in it."""
        return None

    def spans(self, field: str, event: Event) -> Sequence[Spans] | None:
        """The steps of a shift or duration that are allowed, for each stream; None is all."""
        return None

    def moved(self, shift: int, context: Context, stream: int) -> int:
        """The steps that a stream goes on, instead of those of the shift that was drawn."""
        return shift

    def __str__(self) -> str:
        """As messages say it, where somebody has asked for it."""
        return ""


class Legality(Rule):
    """What can follow in any piece: see `events.Context`."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._durations = TIMES.low[None] > 0  # a step or more

    def weigh(self, field: str, event: Event) -> np.ndarray | None:
        contexts = event.contexts
        if field == "shift":
            joins = [context.may_join_chord() for context in contexts]
            return None if all(joins) else _shifts(joins)
        if field == "part":
            return self._parts(contexts)
        if field == "pitch":
            of_streams = zip(contexts, event.parts, event.live.tolist(), strict=True)
            return ~np.array([context.pitch_mask(part) if live else _NO_PITCH for context, part, live in of_streams])
        return self._durations if field == "duration" else None

    def _parts(self, contexts: Sequence[Context]) -> np.ndarray:
        """What `possible_parts` says, for a few contexts."""
        v = self._vocabulary
        mask = np.zeros((len(contexts), v.size("part")), bool)
        for of_stream, context in zip(mask, contexts, strict=True):
            of_stream[END], floor, top, program = context.legality()
            if v.models_part:
                of_stream[NEW + program : FIRST_PART] = True
                of_stream[FIRST_PART + floor : FIRST_PART + top] = True
            else:
                of_stream[NEW] = floor == 0
        return mask


_NO_PITCH = np.zeros(N_PITCHES, bool)


def _shifts(joins: Sequence[bool]) -> np.ndarray:
    """The mask of shifts of streams whose next note may join the last chord, or may not."""
    mask = np.ones((len(joins), TIMES.size), bool)
    mask[:, 0] = joins
    return mask


def programs_of(vocabulary: Vocabulary, style: str | None) -> np.ndarray:
    """Which programs the pieces of a style have, shape (129,), bool."""
    return np.isin(np.arange(N_PROGRAMS), vocabulary.statistics.programs_of(style))


class KnownParts(Rule):
    """No part comes in but one that the line-up has still to come, and the piece is ended only where it may be.

    Without a line-up a part may come in whose program the pieces of the style have: others the model knows too little
    to choose them. Where no other event is possible, all are.

    Parameters
    ----------
    programs : array, shape (129,), bool: those that may come in without a line-up, see `programs_of`
    """

    def __init__(self, vocabulary: Vocabulary, programs: np.ndarray) -> None:
        self._models_part = vocabulary.models_part
        self._programs = programs
        self._masks: dict[bytes, np.ndarray] = {}  # of line-ups, by `Context.line_up`

    def weigh(self, field: str, event: Event) -> np.ndarray | None:
        if field == "shift":
            # A chord whose last part has no pitch left goes on only with a part that may come in.
            joins = [self._joins(context) for context in event.contexts]
            return None if all(joins) else _shifts(joins)
        if field != "part":
            return None
        assert event.legal is not None
        mask = event.legal.copy()
        if self._models_part:
            for of_stream, context in zip(mask[:, NEW:FIRST_PART], event.contexts, strict=True):
                of_stream &= self._may_come_in(context)
        if not event.may_end:
            mask[:, END] = False
        nothing = ~mask.any(1)
        if nothing.any():
            mask[nothing] = event.legal[nothing]
        return mask

    def _may_come_in(self, context: Context) -> np.ndarray:
        """Programs of which a part may come in, shape (129,), bool."""
        to_come = context.past.line_up
        if to_come is None:
            return self._programs
        key = bytes(context.line_up())
        if key not in self._masks:
            self._masks[key] = np.isin(np.arange(N_PROGRAMS), [program for program, n in to_come.items() if n])
        return self._masks[key]

    def _joins(self, context: Context) -> bool:
        """Whether some part may join the last chord."""
        last = context.last
        if last is None or not context.last_is_full():
            return True
        # NumPy is asked only at the very top of the keyboard.
        come_in = np.flatnonzero(self._may_come_in(context)) if self._models_part else np.zeros(0)
        return last[0] < len(context.programs) - 1 or any(context.may_come_in(int(program)) for program in come_in)


class Arrivals(Rule):
    """The parts that a line-up has still to come are more probable in a short piece, and the more so the later it is.

    They would else come in as late as in a whole piece, or not at all. By half of its length all should have come in;
    each part that is behind makes all that are to come PRESSING nats more probable.

    Parameters
    ----------
    haste : for each stream how much more probable they are in any case, in nats
    limits : for each stream the step at which it is cut; None: nothing is known of its length
    """

    def __init__(self, haste: Sequence[float], limits: Sequence[int | None]) -> None:
        self._haste, self._limits = haste, limits

    def weigh(self, field: str, event: Event) -> np.ndarray | None:
        if field != "part":
            return None
        weights = [
            self._weight(*of_stream) for of_stream in zip(event.contexts, self._haste, self._limits, strict=True)
        ]
        if not any(weights):
            return None
        found = np.zeros(event.logits.shape)
        found[:, NEW:FIRST_PART] = np.array(weights)[:, None]
        return found

    @staticmethod
    def _weight(context: Context, haste: float, limit: int | None) -> float:
        """What a part to come gains in a stream, in nats."""
        line_up = context.past.line_up
        to_come = 0 if line_up is None else line_up.total()
        if not to_come or limit is None:
            return 0.0
        due = context.n_parts * max(0.0, 1 - 2 * context.onset / max(1, limit))
        return haste + PRESSING * max(0.0, to_come - due)


class LeastShift(Rule):
    """No shift is less than it must be, see `Event.least`."""

    def weigh(self, field: str, event: Event) -> np.ndarray | None:
        if field != "shift" or not any(event.least):
            return None
        return TIMES.low + TIMES.width > np.array(event.least)[:, None]


class FirstNote(Rule):
    """A note is composed, and begins before a step.

    Parameters
    ----------
    before : for each stream that step, NEVER for any, or None where there may be no note at all
    """

    yields = True

    def __init__(self, before: Sequence[int | None]) -> None:
        self._asked = np.array([step is not None for step in before])
        self._before = [NEVER if step is None else step for step in before]

    def weigh(self, field: str, event: Event) -> np.ndarray | None:
        first = (self._asked & (np.array(event.counts) == 0))[:, None]
        if not first.any() or field not in ("shift", "part"):
            return None
        if field == "part":
            return ~first | (np.arange(event.logits.shape[1]) != END)
        room = [step - context.onset for step, context in zip(self._before, event.contexts, strict=True)]
        return ~first | (TIMES.low < np.array(room)[:, None])


class OpeningKey(Rule):
    """The first OPENING notes of a piece keep to its key signature, drums aside.

    Parameters
    ----------
    signatures : for each stream 0..11 semitones above C, or None for no key
    """

    yields = True

    def __init__(self, signatures: Sequence[int | None]) -> None:
        self._keys = {
            stream: np.isin(np.arange(N_PITCHES) % 12, (DIATONIC + signature) % 12)
            for stream, signature in enumerate(signatures)
            if signature is not None
        }

    def weigh(self, field: str, event: Event) -> np.ndarray | None:
        if field != "pitch":
            return None
        opening = [
            stream for stream in self._keys if event.counts[stream] < OPENING and event.programs[stream] != DRUMS
        ]
        if not opening:
            return None
        mask = np.ones(event.logits.shape, bool)
        for stream in opening:
            mask[stream] = self._keys[stream]
        return mask


class Avoided(Rule):
    """Pitches that the next note of a stream is not to have.

    Attributes
    ----------
    pitches : for each stream that avoids some, these; emptied as soon as the note is drawn
    """

    yields = True

    def __init__(self) -> None:
        self.pitches: dict[int, Sequence[int]] = {}

    def weigh(self, field: str, event: Event) -> np.ndarray | None:
        if field != "pitch" or not self.pitches:
            return None
        mask = np.ones(event.logits.shape, bool)
        for stream, pitches in self.pitches.items():
            mask[stream, list(pitches)] = False
        self.pitches.clear()
        return mask


class EarliestEnd(Rule):
    """A piece whose length is asked for does not end before its last bar.

    Parameters
    ----------
    earliest : for each stream the step from which on it may end, or None for any
    """

    def __init__(self, earliest: Sequence[int | None]) -> None:
        self._earliest = np.array([0 if step is None else step for step in earliest])

    def weigh(self, field: str, event: Event) -> np.ndarray | None:
        if field != "part" or not event.may_end:
            return None
        early = np.array([context.onset for context in event.contexts]) < self._earliest
        if not early.any():
            return None
        mask = np.ones(event.logits.shape, bool)
        mask[early, END] = False
        return mask


class Ending(Rule):
    """The last bar of a piece holds one chord, which begins it and sounds on: nothing is cut.

    Parameters
    ----------
    vocabulary : Vocabulary
    last_bars : for each stream the steps at which its last bar begins and ends, or None for none
    held : steps that a note of the last chord lasts at least, or to its end, drums aside
    """

    yields = True

    def __init__(self, vocabulary: Vocabulary, last_bars: Sequence[tuple[int, int] | None], held: int) -> None:
        self._models_part = vocabulary.models_part
        self._last_bars = [(NEVER, NEVER) if bar is None else bar for bar in last_bars]
        self._held = held

    def weigh(self, field: str, event: Event) -> np.ndarray | None:
        if field != "part" or not event.may_end:
            return None
        onset = np.array([context.onset for context in event.contexts])
        begin, end = np.array(self._last_bars).T
        last, over = onset >= begin, onset >= end
        if not last.any():
            return None
        mask = np.ones(event.logits.shape, bool)
        mask[last, NEW:FIRST_PART] = not self._models_part  # nobody comes in for the last chord
        mask[over] = np.arange(event.logits.shape[1]) == END
        return mask

    def spans(self, field: str, event: Event) -> Sequence[Spans] | None:
        onsets = [context.onset for context in event.contexts]
        bars = list(zip(onsets, self._last_bars, strict=True))
        if field != "duration" or not any(begin <= at < end for at, (begin, end) in bars):
            return None
        found: list[Spans] = []
        for stream, (at, (begin, end)) in enumerate(bars):
            if not begin <= at < end:
                found.append([(0, NEVER)])
            else:
                free = not event.live[stream] or event.programs[stream] == DRUMS
                found.append([(1 if free else min(self._held, end - at), end - at + 1)])
        return found

    def moved(self, shift: int, context: Context, stream: int) -> int:
        (begin, end), at = self._last_bars[stream], context.onset
        if at < begin < at + shift:
            return begin - at
        return end - at if begin <= at < end and shift else shift


class DueEnd(Rule):
    """A piece that is due to end does so as soon as the model gives an end PLAUSIBLE probability, then ever less of it.

    Parameters
    ----------
    due : for each stream the step from which on it is, or None for never
    """

    def __init__(self, due: Sequence[int | None]) -> None:
        self._due = [NEVER if step is None else step for step in due]

    def weigh(self, field: str, event: Event) -> np.ndarray | None:
        if field != "part" or not event.may_end:
            return None
        if all(context.onset < due for context, due in zip(event.contexts, self._due, strict=True)):
            return None
        at, due = np.array([context.onset for context in event.contexts]), np.array(self._due)
        weights = to_weights(event.logits)
        p_end = weights[:, END] / weights.sum(1)
        ends = (at >= due) & (p_end >= PLAUSIBLE * 0.5 ** (END_DECAY * (at / np.maximum(1, due) - 1)))
        if event.log_weights is not None:
            ends &= event.log_weights[:, END] > -np.inf
        mask = np.ones(weights.shape, bool)
        mask[ends] = np.arange(weights.shape[1]) == END
        return mask
