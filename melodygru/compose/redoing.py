"""Composing inside a mask: candidates for what is composed again, each from particles of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from melodygru.compose.constraints import Constraint, Moment
from melodygru.compose.controls import Controls
from melodygru.compose.drawing import Row
from melodygru.compose.lengths import FORM_BIAS, Plan
from melodygru.compose.masks import Mask
from melodygru.compose.original import Original
from melodygru.compose.parallels import are_avoided
from melodygru.compose.particles import Particles
from melodygru.compose.rules import OPENING
from melodygru.compose.towards import ANY, Item, Towards, extend
from melodygru.events import DURATION, FIRST_PART, PART, PITCH, SHIFT, TIMES, VELOCITY, VELOCITY_WIDTH, Context
from melodygru.events.kept import Kept
from melodygru.events.planned import UNPLANNED, Planned
from melodygru.model.numpy_model import NumpyModel
from melodygru.music.keys import DIATONIC, key_signature
from melodygru.music.metre import METRE
from melodygru.music.notes import DRUMS, N_PITCHES, NOTE, NoteSequence

AFTER_BARS = 2  # past a gap before a choice is made
AFTER_S = 4.0  # likewise in seconds, where there are no bars
MOST_BEFORE = 2048  # notes that the model is given from before the first gap
PHRASE_BARS = 8  # they begin a multiple of so many bars after the beginning
AT_ONCE = 128  # particles in one batch, of several candidates
MOST_NOTES = 1 << 19  # of all particles of a batch: each is remembered in about 2 KB
OFF_KEY = 5.0  # nats that a note outside the key costs more, in an opening
TRIES = 3  # how often particles begin anew, so that a candidate is unlike those before it


@dataclass(frozen=True)
class Made:
    """What was composed for a mask.

    Attributes
    ----------
    notes : array, dtype NOTE, in ticks of the file; numbers of parts as `Editor.exchange` has them
    nats : what the redone bars and those that decided cost the model, their kept notes included
    events : notes there
    likeness : 0..1, how much of what was there is there again, and the other way round (F1)
    """

    notes: np.ndarray
    nats: float
    events: int
    likeness: float


@dataclass(frozen=True)
class Window:
    """The stretch of a piece that the model is given.

    Attributes
    ----------
    begin : step of the piece at which it begins
    first : step, from there on, at which the first gap begins
    until : step at which a choice is made
    end : step at which what is composed ends at the latest
    """

    begin: int
    first: int
    until: int
    end: int


def redo(
    network: NumpyModel,
    original: Original,
    mask: Mask,
    n: int,
    seed: int,
    *,
    particles: int,
    controls: Controls | None = None,
    style: str | None = None,
    constraints: Sequence[Constraint] = (),
    loop: bool = False,
    on_progress: Callable[[float], None] | None = None,
) -> tuple[list[Made], Made]:
    """Compose candidates for what a mask leaves open, and measure what stood there.

    Parameters
    ----------
    n : candidates; the randomness of the i-th is the i-th child of `seed`
    loop : whether the beginning comes after the end
    on_progress : called now and then with the share that is done, 0..1

    Returns
    -------
    candidates : in the order in which they were composed, each unlike those before it if that can be
    before : the piece as it was
    """
    v = network.vocabulary
    programs = [*original.programs, *mask.added]
    window = _window(original, mask, loop)
    kept = _items(original, np.zeros(len(mask.free), bool), None, mask, window, loop)
    items = _items(original, mask.free, mask.fields, mask, window, loop)
    alone = [_plays_alone(original, line) for line in range(len(original.programs))] + [False] * len(mask.added)
    spans = [(max(0, a - window.begin), b - window.begin) for a, b in mask.spans if b > window.begin]
    open_lines = [spans if mask.fields is None and line in mask.lines else [] for line in range(len(programs))]
    plan = _plan(network, original, mask, style)
    for constraint in constraints:
        constraint.check(v, plan)
    plan = replace(plan, start=window.first)
    n_before = int(np.count_nonzero(original.onset < window.first + window.begin))
    if n_before < OPENING and not any(constraint.tonal for constraint in constraints):
        constraints = [*constraints, *_own_key(original)]
    parallels = not _avoids_parallels(original, mask, alone)
    asked = range(len(original.programs), len(programs))
    guide = Towards(v, items, programs, open_lines, alone, window.end, constraints, plan, parallels, asked)
    as_it_was = Towards(v, kept, programs, [[]] * len(programs), alone, window.end)

    rngs = [np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(n)]
    shown = _shown(items, spans, mask, programs)
    planned = _planned(original, mask, window)
    base = _before(network, original, guide, window, controls, style, programs, shown, planned)
    whole = base.branch(1, rngs[:1])
    last = sum(item.onset < window.until or item.line < 0 for item in kept)
    for _ in extend(whole, as_it_was, last):
        pass
    there = _found(original, mask)
    old = Made(np.zeros(0, NOTE), -float(whole.log_p[0]), len(whole.rows[0]), 1.0)
    until = sum(item.onset < window.until or item.line < 0 for item in items)
    added = set(asked)
    seen, found = {frozenset(there)}, {}
    at_once = max(1, min(AT_ONCE, MOST_NOTES // max(1, until)) // particles)
    for first in range(0, n, at_once):
        numbers = list(range(first, min(n, first + at_once)))
        for attempt in range(TRIES):
            cloud = base.branch(particles, [rngs[number] for number in numbers])
            begun = int(cloud.placed[0])
            for placed in extend(cloud, guide, until):
                cloud.resample(below=particles / 2)
                if on_progress is not None:
                    on_progress((first + len(numbers) * (placed - begun) / max(1, until - begun)) / n)
            again = []
            for piece, number in enumerate(numbers):
                # In proportion to their weights, those first that are unlike what there is and have all parts.
                order = cloud.drawn(piece)
                contents = {at: frozenset(_new(base, cloud, at, guide, mask, window)) for at in order}
                new = [at for at in order if contents[at] not in seen]
                full = [at for at in new if added <= {content[1] for content in contents[at]}]
                best = [*full, *new, *order][0]
                if not full and attempt < TRIES - 1:
                    again.append(number)
                    continue
                seen.add(contents[best])
                notes = _in_ticks(base, cloud, best, guide, original, mask, window)
                shared = len(there & contents[best])
                likeness = 2 * shared / max(1, len(there) + len(contents[best]))
                found[number] = Made(notes, -float(cloud.log_p[best]), len(cloud.rows[best]), likeness)
            numbers = again
            if not numbers:
                break
    return [found[number] for number in range(n)], old


# -- what the model is given


def _window(original: Original, mask: Mask, loop: bool) -> Window:
    """Where the model begins, and where it has heard enough."""
    if mask.fields is None:
        first, last = mask.spans[0][0], mask.spans[-1][1]
    else:
        of_free = original.onset[mask.free]
        first, last = int(of_free.min()), int(of_free.max()) + 1
    lines_at = original.bar_lines()
    if len(lines_at) > 1:
        at = min(int(np.searchsorted(lines_at, last)) + AFTER_BARS, len(lines_at) - 1)
        until = max(int(lines_at[at]), last)
    else:
        until = last + round(AFTER_S * original.grid.rate)
    begin = 0
    before = np.sort(original.onset[original.onset < first])
    if len(before) > MOST_BEFORE:
        begin = int(before[-MOST_BEFORE])
        if len(lines_at) > 1:
            phrases = lines_at[:-1:PHRASE_BARS]
            begin = int(phrases[min(int(np.searchsorted(phrases, begin)), len(phrases) - 1)])
            begin = begin if begin <= first else int(phrases[np.searchsorted(phrases, first, side="right") - 1])
    if loop:
        until = max(until, mask.length + _two_bars(original))
    return Window(begin, first - begin, until - begin, mask.length - begin)


def _two_bars(original: Original) -> int:
    """Steps of the first bars, which come again after the last one."""
    lines_at = original.bar_lines()
    if len(lines_at) > 1:
        return int(lines_at[min(AFTER_BARS, len(lines_at) - 1)])
    return min(original.length, round(AFTER_S * original.grid.rate))


def _items(
    original: Original, free: np.ndarray, fields: Sequence[str] | None, mask: Mask, window: Window, loop: bool
) -> list[Item]:
    """What is kept of a piece, and what keeps its place, from where the model begins; `at` is the note's number."""
    notes = original.editor.reading.sequence.notes
    onset, pitch = original.onset, notes["pitch"].astype(np.int64)
    models_velocity = original.models_velocity
    order = np.lexsort((-original.end, free, pitch, original.line, onset))
    followed: dict[tuple[int, int], int] = {}
    found: list[Item] = []
    for at in order[::-1].tolist():
        key = int(original.line[at]), int(pitch[at])
        begins = int(onset[at])
        end = min(int(original.end[at]), followed.get(key, TIMES.maximum + begins), mask.length)
        if followed.get(key) == begins:  # one note in steps: the other is the longer
            found.pop()
            end = int(original.end[at])
        followed[key] = begins
        velocity = int(notes["velocity"][at]) // VELOCITY_WIDTH if models_velocity else ANY
        found.append(Item(begins, key[0], key[1], max(1, end - begins), velocity, at))
    found = [
        _slot(item, fields) if free[item.at] and fields is not None else item
        for item in reversed(found)
        if not free[item.at] or fields is not None
    ]
    found = [item for item in found if item.onset < mask.length]
    if loop:
        again = [item for item in found if item.onset < _two_bars(original) and item.pitch != ANY]
        found += [item._replace(onset=item.onset + mask.length) for item in again if not free[item.at]]
    found = [item._replace(onset=item.onset - window.begin) for item in found if item.onset >= window.begin]
    if not loop and window.until >= window.end:
        found.append(Item(window.end, -1))
    return found


def _shown(items: Sequence[Item], spans: Sequence[tuple[int, int]], mask: Mask, programs: Sequence[int]) -> Kept:
    """What the model is shown inside the mask."""
    notes = [item for item in items if item.line >= 0 and item.pitch != ANY]
    onset, line, pitch = np.array([item[:3] for item in notes], np.int64).reshape(-1, 3).T
    pitched = np.array(programs, np.int64)[line] != DRUMS
    return Kept(onset, line, pitch, pitched, tuple(spans), frozenset(mask.lines))


def _planned(original: Original, mask: Mask, window: Window) -> Planned:
    """The form that is asked for, from where the model begins."""
    if mask.returns is None:
        return UNPLANNED
    first = int(np.searchsorted(original.bar_lines(), window.begin))
    returns = mask.returns[first:] - first
    return Planned(n_bars=len(returns), returns=np.maximum(returns, -1))


def _slot(item: Item, fields: Sequence[str]) -> Item:
    """An item with fields that are composed."""
    return item._replace(
        pitch=ANY if "pitch" in fields else item.pitch,
        duration=ANY if "duration" in fields else item.duration,
        velocity=ANY if "velocity" in fields else item.velocity,
    )


def _plays_alone(original: Original, line: int) -> bool:
    """Whether a line has no two notes that sound together."""
    of_line = original.line == line
    order = np.argsort(original.onset[of_line], kind="stable")
    onset, end = original.onset[of_line][order], original.end[of_line][order]
    return bool(len(onset)) and not np.any(onset[1:] < end[:-1])


def _avoids_parallels(original: Original, mask: Mask, alone: Sequence[bool]) -> bool:
    """Whether what stays of a piece shows that its lines of one note at a time don't move in parallel."""
    stays = ~mask.free
    pitch = original.editor.reading.sequence.notes["pitch"].astype(np.int64)
    lines = [line for line, plays_alone in enumerate(alone) if plays_alone and original.programs[line] != DRUMS]
    return are_avoided(original.onset[stays], original.end[stays], original.line[stays], pitch[stays], lines)


def _plan(network: NumpyModel, original: Original, mask: Mask, style: str | None) -> Plan:
    """What constraints are told of the piece."""
    piece = NoteSequence(np.zeros(0, NOTE), original.grid, mask.length, metres=original.metres)
    plan = Plan.from_settings(network.vocabulary, style=style, metre=piece.metre)
    lines_at = original.bar_lines()
    at = int(np.searchsorted(lines_at, mask.spans[0][0], side="right"))
    bar = int(lines_at[at] - lines_at[at - 1]) if 0 < at < len(lines_at) else plan.bar
    return replace(plan, bar=bar if original.grid.is_metrical else None, steps=mask.length, due=None, limit=mask.length)


class _OwnKey(Constraint):
    """The first notes keep to the key of the piece, where it begins with the gap: the model has heard none by then."""

    steady = True

    def __init__(self, signature: int) -> None:
        inside = np.isin(np.arange(N_PITCHES) % 12, (DIATONIC + signature) % 12)
        self._bias = np.where(inside, 0.0, -OFF_KEY)

    def bias(self, field: str, at: Moment) -> np.ndarray | None:
        return self._bias if field == "pitch" and at.n < OPENING and at.program != DRUMS else None


def _own_key(original: Original) -> Iterator[Constraint]:
    """What keeps the opening to the key signature of the whole piece, if it has one."""
    signature = key_signature(original.editor.reading.sequence)
    if signature is not None:
        yield _OwnKey(signature)


def _before(
    network: NumpyModel,
    original: Original,
    guide: Towards,
    window: Window,
    controls: Controls | None,
    style: str | None,
    programs: Sequence[int],
    shown: Kept,
    planned: Planned,
) -> Particles:
    """One particle that stands before the first gap."""
    v = network.vocabulary
    metres = original.metres[max(0, int(np.searchsorted(original.metres["step"], window.begin, side="right")) - 1) :]
    metres = np.array([(max(0, int(mark["step"]) - window.begin), *mark.tolist()[1:]) for mark in metres], METRE)
    metre = int(metres["numerator"][0]), int(metres["denominator"][0])
    line_up = tuple(sorted(programs)) if v.models_part else None
    one = Particles(
        network, Context(v, style, metre, metres, line_up, shown, planned), [np.random.default_rng(0)], controls
    )
    one.form_bias = FORM_BIAS if v.plans and planned.returns is not None else 0.0
    guide.bind(one)
    while one.placed[0] < len(guide.items):
        context = one.contexts[0]
        item = guide.due(context, int(one.placed[0]))
        if item.onset >= window.first or item.line < 0:
            break
        row = guide.row(context, item)
        one.feed(row)
        one.placed[0] = guide.arrive(context, int(one.placed[0]), row)
    return one


# -- what comes of it


def _rows(base: Particles, cloud: Particles, at: int) -> Iterator[tuple[int, int, Row]]:
    """The onset, part and event of what a particle got."""
    onset, n_parts = base.contexts[0].onset, len(base.contexts[0].programs)
    models_part = base.vocabulary.models_part
    for row in cloud.rows[at]:
        onset += row[SHIFT]
        part = row[PART] - FIRST_PART if row[PART] >= FIRST_PART else n_parts if models_part else 0
        n_parts += row[PART] < FIRST_PART
        yield onset, part, row


Content = tuple[int, int, int, int, int, int]  # onset, line, pitch, duration, velocity class, number of the item or -1


def _composed(
    base: Particles, cloud: Particles, at: int, guide: Towards, mask: Mask, window: Window
) -> Iterator[Content]:
    """What a particle composed: notes, or items with what was composed of them."""
    context = cloud.contexts[at]
    if mask.fields is not None:
        for number, (onset, _, row) in enumerate(_rows(base, cloud, at)):
            item = guide.due(context, int(base.placed[0]) + number)
            if ANY in (item.pitch, item.duration) or (item.velocity == ANY and "velocity" in mask.fields):
                yield onset + window.begin, item.line, row[PITCH], row[DURATION], row[VELOCITY], item.at
        return
    line_of = {part: line for line, part in context.past.given.items()}
    items = {(item.onset, item.line, item.pitch) for item in guide.items}
    for onset, part, row in _rows(base, cloud, at):
        if (onset, line_of[part], row[PITCH]) not in items:
            yield onset + window.begin, line_of[part], row[PITCH], row[DURATION], row[VELOCITY], -1


def _new(base: Particles, cloud: Particles, at: int, guide: Towards, mask: Mask, window: Window) -> set:
    """What a particle composed, as it is compared."""
    return {_compared(content, mask) for content in _composed(base, cloud, at, guide, mask, window)}


def _compared(content: Content, mask: Mask) -> tuple[int, ...]:
    onset, line, pitch, duration, velocity, _ = content
    own = mask.fields or ()
    beside = (duration if "duration" in own else -1, velocity if "velocity" in own else -1)
    return onset, line, pitch, *beside


def _found(original: Original, mask: Mask) -> set:
    """What stood where the mask is open, as it is compared."""
    notes = original.editor.reading.sequence.notes
    found = set()
    for at in np.flatnonzero(mask.free).tolist():
        onset, end = int(original.onset[at]), int(original.end[at])
        velocity = int(notes["velocity"][at]) // VELOCITY_WIDTH
        line, pitch = int(original.line[at]), int(notes["pitch"][at])
        found.add(_compared((onset, line, pitch, end - onset, velocity, at), mask))
    return found


def _in_ticks(
    base: Particles, cloud: Particles, best: int, guide: Towards, original: Original, mask: Mask, window: Window
) -> np.ndarray:
    """What a particle composed, as notes of the file."""
    v, old = base.vocabulary, original.editor.reading.sequence.notes
    composed = list(_composed(base, cloud, best, guide, mask, window))
    rows = np.zeros(len(composed), NOTE)
    onset = np.array([content[0] for content in composed], np.int64)
    end = onset + np.array([content[3] for content in composed], np.int64)
    rows["onset"] = original.ticks(onset)
    rows["duration"] = np.maximum(1, original.ticks(end) - rows["onset"])
    n_lines, n_parts = len(original.programs), len(original.editor.reading.sequence.part_programs)
    new = {line: n_parts + at for at, line in enumerate(sorted({c[1] for c in composed if c[1] >= n_lines}))}
    programs = original.editor.reading.sequence.part_programs
    loudness: dict[int, int] = {}
    for number, (_, line, pitch, _, velocity, at) in enumerate(composed):
        row = rows[number]
        if at >= 0:
            ends = int(row["onset"] + row["duration"])
            rows[number] = old[at]
            row["pitch"] = pitch
            if "duration" in (mask.fields or ()):
                row["duration"] = max(1, ends - int(row["onset"]))
            if "velocity" in (mask.fields or ()) and velocity >= 0:
                row["velocity"] = v.velocities[velocity]
            continue
        row["part"] = new[line] if line >= n_lines else original.part[line]
        row["program"] = mask.added[line - n_lines] if line >= n_lines else programs[original.part[line]]
        row["pitch"] = pitch
        if velocity < 0 and line not in loudness:
            of_line = old["velocity"][original.line == line] if line < n_lines else old["velocity"]
            loudness[line] = int(np.median(of_line)) if len(of_line) else v.velocities[0]
        row["velocity"] = v.velocities[velocity] if velocity >= 0 else loudness[line]
    return rows


__all__ = ["AFTER_BARS", "Made", "redo"]
