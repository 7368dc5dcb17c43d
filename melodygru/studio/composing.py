"""The jobs that compose: new pieces, a part of one again, bars after its end, and a piece anew from its provenance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from melodygru.compose.candidates import Candidate
from melodygru.compose.composer import Composer
from melodygru.compose.drawing import Note
from melodygru.compose.lengths import Plan
from melodygru.compose.primer import Source
from melodygru.compose.redo_settings import RedoSettings
from melodygru.compose.settings import GenerateSettings
from melodygru.midi.writing import ticks_of
from melodygru.music.metre import METRE
from melodygru.music.names import program_name
from melodygru.music.notes import NOTE, NoteSequence
from melodygru.studio.jobs import Job
from melodygru.studio.pieces import Piece
from melodygru.studio.project import Project
from melodygru.studio.refusals import Conflict, Refused
from melodygru.studio.settings import from_page
from melodygru.studio.views import Part, View, part_as_dict
from melodygru.util.wording import counted

CANDIDATES = 4  # unless the page asks for another number
MOST_PIECES, MOST_CANDIDATES = 16, 16
MOST_MORE_BARS = 1000
_SHOWN = 8  # bars that the page is shown at first of a piece whose length isn't known


# -- new pieces


def composing(composer: Composer, project: Project, values: Any) -> Callable[[Job], dict[str, Any]]:
    """Work that composes new pieces with what the page asks for."""
    settings = from_page(GenerateSettings, values)
    if settings.num_outputs > MOST_PIECES:
        raise Refused(f"Expected at most {MOST_PIECES} pieces at once.")

    several = settings.best_of > 1  # of which one is kept: nobody knows yet which

    def work(job: Job) -> dict[str, Any]:
        growing: list[_Growing] = []

        def start(plans: list[Plan]) -> None:
            growing.append(_Growing(composer, plans[0]))
            job.progress(0.0, piece=None if several else growing[0].as_dict())

        def add(note: Note) -> None:
            if note.stream == 0:
                growing[0].add(note)
            certain = note.stream == 0 and not several
            job.progress(growing[0].share, *(growing[0].news(note) if certain else ()))

        made = composer.generate(settings, on_start=start, on_note=add)
        names = "Piece" if settings.style is None else settings.style.replace("/", " ").capitalize()
        pieces = [project.add(piece.midi(), project.next_name(names), "composed") for piece in made]
        return {"pieces": [piece.summary() for piece in pieces]}

    return work


class _Growing:
    """A piece while it is composed, in ticks as its file will have them."""

    def __init__(self, composer: Composer, plan: Plan) -> None:
        self._plan, self._grid = plan, composer.vocabulary.grid
        self._ticks_per_beat, self._step, tempo = ticks_of(self._grid)
        self._qpm = plan.qpm if tempo is None else 60e6 / tempo
        self._end = plan.steps or _SHOWN * (plan.bar or round(self._grid.rate * 2))
        self._programs: list[int] = []
        self.share: float | None = 0.0
        self._count = 0

    def add(self, note: Note) -> None:
        """A note more."""
        self._count += 1
        plan, self._grown = self._plan, False
        if note.part >= len(self._programs):
            self._programs += [note.program] * (note.part + 1 - len(self._programs))
            self._grown = True
        while note.onset + note.duration > self._end:
            self._end *= 2
            self._grown = True
        if plan.length.notes is not None:
            self.share = min(1.0, self._count / plan.length.notes)
        elif plan.steps:
            self.share = min(1.0, max(0, note.onset - plan.start) / plan.steps)
        else:
            self.share = None

    def news(self, note: Note) -> tuple[list[list[int]], dict[str, Any] | None]:
        """The note as the page has it, and what it needs beside it where that has changed."""
        row = [note.part, note.onset * self._step, note.duration * self._step, note.pitch, note.velocity]
        return [row], self.as_dict() if self._grown else None

    def as_dict(self) -> dict[str, Any]:
        """What the page needs to show it, as plain JSON values."""
        grid, (numerator, denominator) = self._grid, self._plan.metre
        metres = np.array([(0, numerator, denominator)], METRE)
        bars, beats = np.array([0, self._end]), np.array([0.0])
        if grid.is_metrical:
            of = NoteSequence(np.zeros(0, NOTE), grid, self._end, metres=metres)
            bars = of.bar_starts()
            beats = of.bars.beat_lines(bars[:-1])
        parts = [part_as_dict(at, Part(one), program_name(one)) for at, one in enumerate(self._programs)]
        return {
            "ticks_per_beat": self._ticks_per_beat,
            "length": int(bars[-1]) * self._step,
            "bars": (bars * self._step).tolist(),
            "beats": np.rint(beats * self._step).astype(np.int64).tolist(),
            "tempos": [[0, round(self._qpm, 4)]],
            "metres": [[0, numerator, denominator]],
            "parts": parts,
        }


# -- a piece again


def redoing(
    composer: Composer, piece: Piece, revision: Any, values: Any, more_bars: int = 0
) -> Callable[[Job], dict[str, Any]]:
    """Work that composes a part of a piece again; with `more_bars` so many bars after its end."""
    with piece.lock:
        piece.check(revision)
        view, digest, name = piece.view, piece.sha256, piece.name
    if not len(view.notes):
        raise Refused("This piece has no note yet: add some, or compose a new piece.")
    if not isinstance(values, dict):
        raise Refused("The settings came in no form that the studio reads: reload the page.")
    values = {"num_outputs": CANDIDATES, **values}
    if more_bars:
        if not 1 <= more_bars <= MOST_MORE_BARS:
            raise Refused(f"Expected 1 to {MOST_MORE_BARS:,} bars more.")
        for mask in ("bars", "fields", "keep", "surprising", "loop", "add"):
            values.pop(mask, None)
        n_bars = len(view.bars) - 1
        form_of = longer(view, more_bars)
        settings = from_page(RedoSettings, {**_unlocked(view, values), "bars": f"{n_bars + 1}:"}, form_of=form_of)
    else:
        settings = from_page(RedoSettings, _unlocked(view, values))
    if settings.num_outputs > MOST_CANDIDATES:
        raise Refused(f"Expected at most {MOST_CANDIDATES} candidates at once.")
    reading = view.reading
    source = Source(name, reading.sequence, reading.lost, digest, reading.has_metre, view.data)

    def work(job: Job) -> dict[str, Any]:
        job.progress(0.0)
        made = composer.redo(source, settings, on_progress=lambda share: job.progress(min(1.0, share)))
        job.kept |= {"piece": piece.id, "base": digest, "candidates": [candidate.midi() for candidate in made]}
        return {"candidates": [_candidate(view, number + 1, one) for number, one in enumerate(made)]}

    return work


def keep(piece: Piece, revision: Any, job: Job, number: Any) -> None:
    """The candidate's file becomes the piece's next revision."""
    files = job.kept.get("candidates")
    if files is None or job.kept["piece"] != piece.id:
        raise Refused("These candidates aren't there any more: redo the bars.")
    if type(number) is not int or not 1 <= number <= len(files):
        raise Refused(f"candidate {number!r}: expected 1..{len(files)}.")
    with piece.lock:
        piece.check(revision)
        if piece.sha256 != job.kept["base"]:
            raise Conflict(
                "The piece has changed since these candidates were composed: redo the bars, or undo the change first.",
                piece=piece.as_dict(),
            )
        piece.change(revision, files[number - 1])


def _unlocked(view: View, values: dict[str, Any]) -> dict[str, Any]:
    """Settings whose parts, by the page's numbers from 1, are those of the file, and none of them a locked one."""
    given = dict(values)
    adds = given.get("add") is not None
    locked = [number for number, part in enumerate(view.parts) if part.locked]
    for name in ("parts", "lock"):
        text = given.get(name)
        if isinstance(text, str):
            given[name] = ",".join(_part_in_file(view, item.strip(), name == "parts") for item in text.split(","))
            given[name] = ",".join(filter(None, given[name].split(",")))
            if not given[name]:
                raise Refused("All the chosen parts are locked, or have no note: unlock one, or choose another.")
    kept = [view.in_file(number) for number in locked]
    lock = [str(number + 1) for number in kept if number is not None]
    if not lock or given.get("parts") is not None or (adds and given.get("lock") is None):
        return given
    if len(lock) == sum(part.line is not None for part in view.parts):
        raise Refused("All parts are locked: unlock one.")
    given["lock"] = ",".join([*filter(None, [given.get("lock")]), *lock])
    return given


def _part_in_file(view: View, text: str, skip_locked: bool) -> str:
    """A part by the page's number as a redo numbers it, "" for one that has no say; what is no number, as it is."""
    if not (text.isascii() and text.isdecimal() and len(text) < 6):
        return text
    number = int(text) - 1
    if not 0 <= number < len(view.parts):
        raise Refused(f"part {text}: the piece has {counted(len(view.parts), 'part')}.")
    place = view.in_file(number)
    return "" if place is None or (skip_locked and view.parts[number].locked) else str(place + 1)


def longer(view: View, bars: int) -> NoteSequence:
    """The piece with so many bars more, as what says how long it is to become."""
    sequence = view.music
    if not sequence.grid.is_metrical:
        raise Refused("This piece has no bars, its times are in seconds: it can't be continued by bars.")
    starts = sequence.bar_starts()
    bar = int(starts[-1] - starts[-2]) if len(starts) > 1 else sequence.bars.at_step(0)[2]
    return replace(sequence, length=int(starts[-1]) + bars * bar)


def _candidate(view: View, number: int, one: Candidate) -> dict[str, Any]:
    """What the page is told of a candidate: its figures, the notes that go, and those that come."""
    assert one.data is not None
    after = View(one.data, view.parts)
    before, now = view.rows(), after.rows()
    left = Counter(map(tuple, now))
    remove = []
    for note, row in enumerate(before):
        key = tuple(row)
        if left[key]:
            left[key] -= 1
        else:
            remove.append(note)
    new_parts = [
        part_as_dict(at, part, label) for at, (part, label) in enumerate(zip(after.parts, after.labels, strict=True))
    ]
    figures = one.as_dict()
    return {
        "number": number,
        "rank": one.rank,
        "nats": figures["nats_a_note"],
        "before": figures["nats_a_note_before"],
        "likeness": one.likeness,
        "reason": one.reason,
        "remove": remove,
        "add": [list(key) for key in left.elements()],
        "parts": new_parts[len(view.parts) :],
        "length": int(after.bars[-1]),
    }


__all__ = ["composing", "keep", "longer", "redoing"]
