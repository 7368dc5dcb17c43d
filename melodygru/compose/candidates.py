"""Candidates: what `redo` makes of a piece, each a file of its own with its figures, the most probable one first."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from melodygru.analysis.originality import Index, Originality
from melodygru.compose.composition import Version, fields_of
from melodygru.compose.constraints import of_settings
from melodygru.compose.controls import Controls
from melodygru.compose.lengths import Plan
from melodygru.compose.masks import Mask, added_programs
from melodygru.compose.original import Original
from melodygru.compose.primer import Source
from melodygru.compose.redo_settings import RedoSettings
from melodygru.compose.redoing import Made, redo
from melodygru.errors import SettingError
from melodygru.midi import read
from melodygru.model.numpy_model import NumpyModel
from melodygru.model.trace import Tracer
from melodygru.music.notes import NoteSequence
from melodygru.util.wording import counted

logger = logging.getLogger("melodygru")


@dataclass(frozen=True, eq=False)
class Candidate(Version):
    """A piece of which a part was composed again.

    `nats` and `before` are those from the first note composed to two bars after the last; the notes there that were
    kept are among them.

    Parameters
    ----------
    likeness : float
        0..1, how much of what was composed again came out as it was: twice the notes that agree in onset, part and
        pitch (and whatever else was composed) over the notes there before and now.
    composed : int
        Notes.
    originality : Originality, optional
        What of the piece stands in the music that the model was trained on.
    """

    likeness: float = 0.0
    composed: int = 0
    originality: Originality | None = None

    @property
    def reason(self) -> str:
        """Its place among the candidates, in words."""
        return (
            f"{self.nats:.2f} nats a note there and in the bars after, {self.before:.2f} as it was; "
            f"{self.likeness:.0%} as it was"
        )

    def as_dict(self) -> dict[str, Any]:
        """Its figures, as plain JSON values."""
        return {**super().as_dict(), "likeness": round(self.likeness, 4), "composed": self.composed}


def candidates(
    network: NumpyModel,
    source: Source,
    settings: RedoSettings,
    seed: int,
    controls: Controls,
    index: Index | None = None,
    on_progress: Callable[[float], None] | None = None,
) -> list[Candidate]:
    """The candidates of settings for a piece, the most probable first; what is raised says `Composer.redo`."""
    v = network.vocabulary
    Plan.from_settings(v, style=settings.style)  # refuses a style that is not known
    original = Original.of(source, v, settings.style)
    if settings.add is not None and settings.style is None:
        band = [*original.programs, *added_programs(settings.add, original, v, None)]
        style = v.statistics.style_nearest(band)
        if style is not None:  # the style of a tune alone would have it alone
            settings, original = replace(settings, style=style), Original.of(source, v, style)
    other = None
    if settings.form_of is not None:
        other = Original.of(Source.from_given(settings.form_of), v, settings.style)
    nats = note_nats(network, original) if settings.surprising is not None else None
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(1 << 31,)))
    mask = Mask.of(settings, original, v, other=other, nats=nats, rng=rng)
    made, before = redo(
        network,
        original,
        mask,
        settings.num_outputs,
        seed,
        particles=settings.value("particles"),
        controls=controls,
        style=settings.style,
        constraints=of_settings(settings),
        loop=settings.loop,
        on_progress=on_progress,
    )
    few = 0 if settings.add is None else sum(_added(one, original, mask) < len(mask.added) for one in made)
    if few:
        logger.warning(
            "%s: a part that was asked for plays nothing in %s; another --seed or --style may do",
            source.name,
            counted(few, "candidate"),
        )
    order = sorted(range(len(made)), key=lambda at: made[at].nats / max(1, made[at].events))
    found = []
    for rank, at in enumerate(order):
        one = made[at]
        data = original.editor.exchange(~mask.free, one.notes)
        sequence = read(data).sequence
        found.append(
            Candidate(
                **fields_of(sequence),
                seed=seed,
                data=data,
                rank=rank + 1,
                nats=one.nats / max(1, one.events),
                before=before.nats / before.events if before.events else float("nan"),
                likeness=one.likeness,
                composed=len(one.notes),
                originality=None if index is None else index.examine(sequence),
            )
        )
    return found


def _added(made: Made, original: Original, mask: Mask) -> int:
    """How many of the parts that were asked for play."""
    n_parts = len(original.editor.reading.sequence.part_programs)
    return len(set(made.notes["part"][made.notes["part"] >= n_parts].tolist()))


def note_nats(network: NumpyModel, original: Original) -> np.ndarray:
    """What each note costs the model, shape (n,); 0 for one that is another one's double on the model's grid."""
    notes, at = original.as_given()
    length = max(original.length, int((notes["onset"] + notes["duration"]).max()))
    trace = Tracer(network).trace(NoteSequence(notes, original.grid, length, metres=original.metres))
    if len(trace.sequence) != len(notes):
        raise SettingError(
            f"{original.name}: the model can't hold this piece as it is, and so not say what surprises it"
        )
    nats: np.ndarray = trace.nats.sum(1)[at]
    return nats


__all__ = ["Candidate", "candidates", "note_nats"]
