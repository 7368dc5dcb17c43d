"""The generation loop: notes as they are composed, and whole pieces."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from melodygru.errors import SettingError
from melodygru.events import decode, representable
from melodygru.network import Network
from melodygru.notes import NoteSequence
from melodygru.sampling.controls import Controls
from melodygru.sampling.lengths import Length, Plan
from melodygru.sampling.sampler import NEVER, Note, Sampler

MAX_NOTES = 20_000  # composed for a piece whose end is left to the model


def notes(sampler: Sampler, lengths: Sequence[int | None], *, may_end: bool = True) -> Iterator[Note]:
    """The notes of all streams as they are composed, until every stream is over.

    Parameters
    ----------
    lengths : for each stream its steps, or None
        A note that begins there or later is not given out, and one that reaches beyond is cut. A stream without a
        length is over after `MAX_NOTES`, if the model has not ended it.
    may_end : whether the model may end a stream
    """
    while not all(sampler.done):
        for note in sampler.step(may_end):
            if note is None:
                continue
            length = lengths[note.stream]
            if length is not None and note.onset >= length:
                sampler.done[note.stream] = True
                continue
            if length is None and len(sampler.rows[note.stream]) - sampler.n_heard >= MAX_NOTES:
                sampler.done[note.stream] = True
            if length is not None and note.onset + note.duration > length:
                note = replace(note, duration=length - note.onset)
            yield note


def compose(
    network: Network,
    n: int = 1,
    seed: int = 0,
    *,
    controls: Controls | None = None,
    length: Length | None = None,
    style: str | None = None,
    metre: tuple[int, int] | None = None,
    primer: NoteSequence | None = None,
    qpm: float | None = None,
    on_start: Callable[[list[Plan]], None] | None = None,
    on_note: Callable[[Note], None] | None = None,
) -> list[NoteSequence]:
    """Compose `n` pieces as one batch; the i-th piece's randomness is the i-th child of `seed`.

    Parameters
    ----------
    style : one of the vocabulary's styles, or None for unknown
    metre : time signature; default: the primer's, which it can't replace, else drawn for each piece, as frequent as
        among the training pieces of the style
    primer : what the pieces begin with, on the vocabulary's grid; its metres hold on. `length` counts from the first
        bar line at its end or after it
    qpm : tempo to write; default: the primer's, else the vocabulary's
    on_start : called once with each piece's plan, when all is settled and nothing is composed
    on_note : called with each note as it is composed

    Returns
    -------
    pieces : list of NoteSequence
        Primer and continuation. Nothing hangs: every note ends within the piece, which ends at a bar line where
        there are bars, unless the model itself ended it.

    Raises
    ------
    SettingError
        A style that the model was not trained on; bars without a metrical grid; another metre than the primer's; a
        value out of range.
    """
    v = network.vocabulary
    if n < 1:
        raise SettingError(f"num-outputs {n}: expected 1 or more")
    rngs = [np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(n)]
    plans = [
        Plan.of(v, length, style=style, metre=metre, primer=primer, qpm=qpm, draws=tuple(rng.random(2))) for rng in rngs
    ]
    length = plans[0].length
    if primer is not None:
        primer, _ = representable(primer, v)
    if on_start is not None:
        on_start(plans)

    sampler = Sampler(network, rngs, controls, style=style, metres=[plan.metre for plan in plans], primer=primer)
    sampler.due = np.array([NEVER if plan.due is None else plan.due for plan in plans])
    limits = [NEVER if length.notes is not None else plan.limit for plan in plans]
    for note in notes(sampler, limits, may_end=length == Length()):
        if length.notes is not None and len(sampler.rows[note.stream]) - sampler.n_heard >= length.notes:
            sampler.done[note.stream] = True
        if on_note is not None:
            on_note(note)

    pieces = []
    for plan, rows, end in zip(plans, sampler.rows, sampler.ends, strict=True):
        limit = plan.limit
        piece = decode(rows, v, length=end, qpm=plan.qpm, metre=plan.metre)
        if primer is not None:
            piece.notes[: len(primer)] = primer.notes  # with the velocities that it came with
        if limit is not None and end is None:
            piece = piece.crop(0, limit) if piece.length >= limit else replace(piece, length=limit)
        elif end is None and plan.bar is not None:
            piece = replace(piece, length=plan.start - (plan.start - piece.length) // plan.bar * plan.bar)
        if primer is not None and v.grid.is_metrical:
            tempos = piece.tempos if plan.qpm != primer.qpm else primer.tempos
            piece = replace(piece, metres=primer.metres, tempos=tempos)
        pieces.append(piece)
    return pieces
