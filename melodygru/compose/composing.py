"""The generation loop: notes as they are composed, and whole pieces."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from melodygru.compose.actions import Action
from melodygru.compose.constraints import Chords, Constraint, PitchClasses, Programs
from melodygru.compose.controls import Controls
from melodygru.compose.drawing import Note
from melodygru.compose.guards import Guard, guarded
from melodygru.compose.lengths import N_DRAWS, Length, Plan
from melodygru.compose.places import NEVER
from melodygru.compose.plan_rules import Cadence, ChordBias, FormBias
from melodygru.compose.primer import Primer
from melodygru.compose.rules import EarliestEnd, Ending, FirstNote, Rule, programs_of
from melodygru.compose.sampler import Sampler
from melodygru.compose.settings import check_setting
from melodygru.compose.steering import Steering
from melodygru.errors import SettingError
from melodygru.events import Vocabulary, decode
from melodygru.model.numpy_model import NumpyModel
from melodygru.music.notes import KEY, NoteSequence, canonical, renamed, tidy_marks

if TYPE_CHECKING:
    from melodygru.analysis.originality import Index

MAX_NOTES = 20_000  # composed for a piece whose end is left to the model

HELD_BEATS = 2.0  # that the last chord sounds at least, or its whole bar
ATTEMPTS = 20  # at a piece in which no note is composed


def notes(
    sampler: Sampler,
    lengths: Sequence[int | None],
    *,
    may_end: bool = True,
    most: int | None = None,
    guard: Guard | None = None,
) -> Iterator[Note]:
    """The notes of all streams as they are composed, until every stream is over.

    Parameters
    ----------
    lengths : for each stream its steps, or None
        A note that begins there or later is not given out, and one that reaches beyond is cut. A stream without a
        length is over after `MAX_NOTES`, if the model has not ended it.
    may_end : whether the model may end a stream
    most : notes after which a stream is over, the primer's not counted
    guard : what takes notes back; a stream's notes are then given out when they are certain to stay
    """
    while not all(sampler.done):
        over = list(sampler.done)
        for stream, note in enumerate(sampler.step(may_end)):
            if over[stream]:
                continue
            length, end = lengths[stream], sampler.ends[stream]
            composed = len(sampler.rows[stream]) - sampler.n_primer
            if composed >= (most or (MAX_NOTES if length is None else NEVER)):
                sampler.end(stream)
            if note is not None and length is not None and note.onset + note.duration > length:
                if note.onset >= length:
                    sampler.end(stream)
                    note, end = None, length
                else:
                    note = replace(note, duration=length - note.onset)
            if guard is not None:
                yield from guard.add(stream, note, end)
            elif note is not None:
                yield note


def sampler_for(
    network: NumpyModel,
    plans: Sequence[Plan],
    rngs: Sequence[np.random.Generator],
    controls: Controls | None = None,
    *,
    style: str | None = None,
    primer: Primer | None = None,
    constraints: Sequence[Constraint] = (),
    rules: Sequence[Rule] = (),
) -> Sampler:
    """A sampler of pieces with these plans, one generator each, which keep to the constraints and to further rules.

    A piece without constraints on its pitch classes opens in its plan's key signature: in training the model was given
    most pieces transposed, so that it does not prefer a key by itself.
    """
    if any(plan.form_bias for plan in plans):
        rules = [FormBias(network.vocabulary, [plan.form_bias for plan in plans]), *rules]
    if any(plan.chord_bias for plan in plans):
        rules = [ChordBias([plan.chord_bias for plan in plans]), *rules]
    steering = None
    if constraints:
        given, begin = (None, 0) if primer is None else (primer.sequence, primer.splice)
        programs = programs_of(network.vocabulary, style)
        steering = Steering(constraints, network.vocabulary, plans, programs=programs, primer=given, begin=begin)
    free = not any(constraint.tonal for constraint in constraints)
    return Sampler(
        network,
        rngs,
        controls,
        style=style,
        metres=[plan.metre for plan in plans],
        line_ups=[plan.line_up for plan in plans],
        signatures=[plan.signature if free else None for plan in plans],
        primer=primer,
        steering=steering,
        due=[plan.due for plan in plans],
        planned=[plan.planned for plan in plans],
        haste=[plan.haste for plan in plans],
        limits=[plan.limit for plan in plans],
        rules=rules,
    )


def line_up_asked(
    constraints: Sequence[Constraint], vocabulary: Vocabulary, style: str | None, primer: Primer | None = None
) -> tuple[int, ...] | None:
    """The line-up that constraints on the programs ask for; None: none does."""
    playing = () if primer is None else primer.sequence.part_programs.tolist()
    asked = [one.line_up(vocabulary, style, playing) for one in constraints if isinstance(one, Programs)]
    return asked[0] if asked and vocabulary.models_part else None


def chords_asked(constraints: Sequence[Constraint]) -> Chords | None:
    """The chords that constraints ask for; None: none does."""
    return next((one for one in constraints if isinstance(one, Chords)), None)


def compose(
    network: NumpyModel,
    n: int = 1,
    seed: int = 0,
    *,
    controls: Controls | None = None,
    length: Length | None = None,
    style: str | None = None,
    metre: tuple[int, int] | None = None,
    primer: Primer | None = None,
    no_primer: bool = False,
    qpm: float | None = None,
    form: str | None = None,
    ending: bool = True,
    guard: bool = False,
    max_copy: int | None = None,
    index: Index | None = None,
    constraints: Sequence[Constraint] = (),
    on_start: Callable[[list[Plan]], None] | None = None,
    on_note: Callable[[Note], None] | None = None,
    on_guard: Callable[[Action], None] | None = None,
) -> list[NoteSequence]:
    """Compose `n` pieces as one batch; the i-th piece's randomness is the i-th child of `seed`.

    A piece in which no note is composed is composed again by the same plan, and one that begins within it is asked for;
    the k-th time with the randomness of `SeedSequence(seed, spawn_key=(i, k))`, in a batch of all that are empty.

    A piece without a primer, and without constraints on its pitch classes, opens in a key signature that is drawn, as
    frequent as among the training pieces of the style (see `sampler_for`).

    Parameters
    ----------
    style : one of the vocabulary's styles, or None for unknown
    metre : time signature; default: the primer's, which it can't replace, else drawn for each piece, as frequent as
        among the training pieces of the style
    primer : what the pieces begin with; its metres hold on, and its notes may sound on beyond its splice. `length`
        counts from the first bar line at the splice or after it
    no_primer : leave the primer out of the pieces, which then begin at `first_step`
    qpm : tempo to write; default: the primer's, else drawn for each piece, as frequent as among the training pieces
    form : see `forms.form_from`; default: with a primer unknown, else drawn likewise
    ending : whether the last bar holds one chord that sounds on, see `rules.Ending`
    guard : whether a piece that degenerates is taken back and goes on anew, see `guards`
    max_copy, index : notes of the longest match with what was indexed that a piece may hold, N_GRAM - 1 or more; what
        the primer itself matches stays
    constraints : what the composed notes must keep to or tend to, see `constraints`
    on_start : called once with each piece's plan, when all is settled and nothing is composed
    on_note : called with each note of a piece in order, when it is certain to stay
    on_guard : called with each action of the guard

    Returns
    -------
    pieces : list of NoteSequence
        Primer and continuation. Nothing hangs: every note ends within the piece, which ends at a bar line where
        there are bars, unless the model itself ended it.

    Raises
    ------
    SettingError
        A style that the model was not trained on; bars without a metrical grid; another metre than the primer's;
        constraints that leave nothing; a value out of range; a piece in which ATTEMPTS times no note is composed.
    """
    v = network.vocabulary
    check_setting("num_outputs", n)
    rngs = [np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(n)]
    plans = [
        Plan.from_settings(
            v,
            length,
            style=style,
            metre=metre,
            primer=primer,
            qpm=qpm,
            line_up=line_up_asked(constraints, v, style, primer),
            form=form,
            ending=ending,
            chords=chords_asked(constraints),
            tonal=any(constraint.tonal for constraint in constraints),
            draws=rng.random(N_DRAWS).tolist(),
        )
        for rng in rngs
    ]
    pieces: dict[int, NoteSequence] = {}
    for attempt in range(ATTEMPTS):
        left = [at for at in range(n) if at not in pieces]
        going = [plans[at] for at in left]
        rules: list[Rule] = [EarliestEnd([plan.earliest_end for plan in going])]
        if ending and v.plans:
            held = round(HELD_BEATS * float(v.grid.steps_per_beat or 1))
            rules.append(Ending(v, [plan.last_bar for plan in going], held))
            rules.append(Cadence([plan.last_bar if plan.planned.chords is None else None for plan in going]))
        if attempt:
            rngs = [np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(at, attempt))) for at in left]
            rules.append(FirstNote([NEVER if plan.limit is None else plan.limit for plan in going]))
        if primer is None and any(plan.opens_within is not None for plan in going):
            rules.append(FirstNote([plan.opens_within for plan in going]))
        sampler = sampler_for(
            network, going, rngs, controls, style=style, primer=primer, constraints=constraints, rules=rules
        )
        if on_start is not None and not attempt:
            on_start(plans)
        _compose(
            sampler,
            going,
            guard=guard,
            index=index,
            max_copy=max_copy,
            style=style,
            on_note=on_note and _numbered(on_note, left),
            on_guard=on_guard and _numbered(on_guard, left),
        )
        for at, rows, end in zip(left, sampler.rows, sampler.ends, strict=True):
            piece = _piece(rows, end, plans[at], v, primer, qpm)
            piece = _in_key(piece, constraints, 0 if primer is None else plans[at].start)
            if len(piece) > sampler.n_primer:
                pieces[at] = _continuation(piece, primer, plans[at].start) if primer and no_primer else piece
        if len(pieces) == n:
            return [pieces[at] for at in range(n)]
    raise SettingError(_nothing(plans[0].length, primer))


Numbered = TypeVar("Numbered", Note, Action)


def _numbered(call: Callable[[Numbered], None], numbers: Sequence[int]) -> Callable[[Numbered], None]:
    """The callback, with the number in the whole batch of each stream of a part of it."""
    return lambda about: call(replace(about, stream=numbers[about.stream]))


def _compose(
    sampler: Sampler,
    plans: Sequence[Plan],
    *,
    guard: bool,
    index: Index | None,
    max_copy: int | None,
    style: str | None,
    on_note: Callable[[Note], None] | None,
    on_guard: Callable[[Action], None] | None,
) -> None:
    """Compose all streams of a sampler to their ends."""
    length = plans[0].length
    ends = [NEVER if length.notes is not None else plan.limit for plan in plans]
    watching = guarded(
        sampler,
        [plan.bar for plan in plans],
        watch=guard,
        index=index,
        max_copy=max_copy,
        may_shorten=length == Length() and plans[0].steps is None,
        style=style,
        on_action=on_guard,
    )
    for note in notes(sampler, ends, may_end=length.notes is None, most=length.notes, guard=watching):
        if on_note is not None:
            on_note(note)


def _piece(
    rows: Sequence[tuple[int, int, int, int, int]],
    end: int | None,
    plan: Plan,
    vocabulary: Vocabulary,
    primer: Primer | None,
    qpm: float | None,
) -> NoteSequence:
    """The piece of a stream's rows, the primer's among them, that its plan cuts or fills."""
    given, limit = None if primer is None else primer.sequence, plan.limit
    piece = decode(rows, vocabulary, length=end, qpm=plan.qpm, metre=plan.metre)
    if given is not None:
        piece.notes[: len(given)] = given.notes  # with the velocities that it came with
        piece = replace(piece, names=given.names, keys=given.keys)
    if limit is not None and (end is None or plan.steps is not None):
        piece = piece.crop(0, limit) if piece.length >= limit else replace(piece, length=limit)
    elif end is None and plan.bar is not None:
        piece = replace(piece, length=plan.start - (plan.start - piece.length) // plan.bar * plan.bar)
    if given is not None and vocabulary.grid.is_metrical:
        tempos = given.tempos if qpm is None else piece.tempos
        piece = replace(piece, metres=given.metres, tempos=tempos)
    return piece


def _nothing(length: Length, primer: Primer | None) -> str:
    """That no note was composed, why, and what to do."""
    where = "in a piece" if primer is None else "after the primer"
    if length == Length():
        why, what = "it ends at once", "ask for a length (bars, seconds or notes)"
        if primer is not None:
            what += ", or begin with less of the primer (primer-bars)"
    else:
        why, what = "nothing can begin within its length", "ask for more"
    return f"no note was composed {where} in {ATTEMPTS} attempts: {why}; {what}, or leave a constraint out"


def _in_key(piece: NoteSequence, constraints: Sequence[Constraint], step: int) -> NoteSequence:
    """The piece with the key signature of the key that was asked for, from a step on."""
    found = [one.signature for one in constraints if isinstance(one, PitchClasses) and one.signature is not None]
    if not found or 0 < piece.length <= step:
        return piece
    keys = np.array([*piece.keys[piece.keys["step"] < max(step, 1)].tolist(), (step, *found[0])], KEY)
    return replace(piece, keys=tidy_marks(keys))


def first_step(piece: NoteSequence, splice: int, start: int, onset: int | None) -> int:
    """The step at which a continuation begins that stands alone, so that its bar lines stay and no note is lost.

    Parameters
    ----------
    piece : NoteSequence
        Whatever has the primer's metres.
    splice, start : step from which on is composed, and the first bar line there or after it
    onset : that of the first note composed, if there is one

    Returns
    -------
    step : `start`, or the bar line before the splice where something is composed before `start`; the splice itself
        where there are no bars
    """
    if not piece.grid.is_metrical:
        return splice
    if onset is None or onset >= start:
        return start
    bars = piece.bar_starts()
    return int(bars[np.searchsorted(bars, splice, side="right") - 1])


def _continuation(piece: NoteSequence, primer: Primer, start: int) -> NoteSequence:
    """A piece without the notes of its primer, from `first_step` on."""
    composed = piece.notes[len(primer.sequence) :]
    begin = first_step(piece, primer.splice, start, int(composed["onset"][0]))
    names = renamed(piece.part_names, composed)
    alone = replace(piece, notes=canonical(composed)[0], names=names)
    return alone.crop(begin, piece.length)
