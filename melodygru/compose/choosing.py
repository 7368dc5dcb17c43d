"""The best of several: of a piece's candidates the one that is most like the music that the model was trained on.

How unlike a candidate is: by form (likeness to bars before and of all bars, line-up changes), returns (bars that
return), groove (kick, snare and hat as in the bar before), harmony (at bar lines), ending (its last note), length
(where none was asked for) and likelihood (the model's nats a note), how many spreads it lies from the mean of the
style's pieces (`music.traits`; of held-out ones, for the likelihood), FARTHEST at most; the mean over what belongs to
one of these, then over them.

A candidate that copies more than three in four held-out pieces do is no choice, be it by its longest match with the
training music or by the share that stands in it. Where all do, the one with the smallest share is chosen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from melodygru.compose.settings import GenerateSettings
from melodygru.errors import SettingError
from melodygru.model.checkpoint import Checkpoint
from melodygru.model.numpy_model import NumpyModel
from melodygru.model.trace import Tracer
from melodygru.music.notes import NoteSequence
from melodygru.music.traits import KITS, LAGS, traits

if TYPE_CHECKING:
    from melodygru.analysis.originality import Index

NATS = "nats_a_note"  # what is typical beside the traits
RESPECTS = {
    "form": (*(f"bar_similarity_{lag}" for lag in LAGS), "self_similarity", "line_up_changes"),
    "returns": ("bar_returns",),
    "groove": tuple(KITS),
    "harmony": ("harmony_at_bars",),
    "ending": ("last_note",),
    "length": ("length",),
    "likelihood": (NATS,),
}
FARTHEST = 4.0  # spreads
LEAST_SPREAD = 0.05  # of the mean: pieces that are all alike in something have no spread
COPIED = "upper_quartile"  # of held-out music's matches: what a candidate may copy


@dataclass(frozen=True)
class Choice:
    """Why a piece was chosen among its candidates.

    Attributes
    ----------
    candidate : its number, from 1
    distances : of every candidate, in spreads; None for one that was out of the question
    respects : the chosen one's distance in each of RESPECTS that it has
    copied : how many candidates copied too much
    """

    candidate: int
    distances: tuple[float | None, ...]
    respects: dict[str, float]
    copied: int = 0

    @property
    def reason(self) -> str:
        """In words."""
        by = ", ".join(f"{name} {distance:.1f}" for name, distance in self.respects.items())
        others = f"; {self.copied} copied more than held-out music" if self.copied else ""
        of = f"candidate {self.candidate} of {len(self.distances)}"
        return f"{of}, the most typical (spreads from the mean: {by}){others}"

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "candidate": self.candidate,
            "of": len(self.distances),
            "distances": list(self.distances),
            "respects": self.respects,
            "copied": self.copied,
            "summary": self.reason,
        }


class Measured(NamedTuple):
    """What is known of a candidate.

    Attributes
    ----------
    figures : what it has of that which is typical
    copies : whether it copies more than held-out music does
    share : how much of it stands in the training music, 0..1
    """

    figures: dict[str, float]
    copies: bool
    share: float


class Chooser:
    """Chooses among candidates.

    Parameters
    ----------
    checkpoint, model : the model that composed them
    index : of the music that it was trained on; without one or without its baseline, copies are not looked for
    settings : which they were composed with

    Raises
    ------
    SettingError
        The model doesn't know what is typical.
    """

    def __init__(
        self, checkpoint: Checkpoint, model: NumpyModel, index: Index | None, settings: GenerateSettings
    ) -> None:
        v = model.vocabulary
        self._typical = v.statistics.typical_of(settings.style)
        if not self._typical:
            raise SettingError(
                "best-of: this model doesn't know what is typical of its music; train it again, or leave best-of out"
            )
        nats = checkpoint.card.get("piece_nats") or [None]
        at = v.styles.index(settings.style) if settings.style in v.styles and len(nats) > len(v.styles) else -1
        if (known := nats[at] or nats[-1]) is not None:
            self._typical[NATS] = known
        if any(getattr(settings, name, None) is not None for name in ("bars", "seconds", "notes", "form")):
            self._typical.pop("length", None)
        self._tracer, self._index = Tracer(model), index

    def choose(self, candidates: Sequence[Measured]) -> Choice:
        """One of some pieces."""
        least = min(one.share for one in candidates)
        allowed = [not one.copies for one in candidates]
        if not any(allowed):
            allowed = [one.share == least for one in candidates]
        # What one candidate has, and another lacks, is far from typical of that; but a piece needs no drums.
        wanted = {name for one in candidates for name in one.figures} - set(KITS)
        apart = [self._respects(one.figures, wanted) for one in candidates]
        distances = [round(float(np.mean([*one.values()] or [0.0])), 3) for one in apart]
        best = min(np.flatnonzero(allowed).tolist(), key=lambda at: distances[at])
        respects = {name: round(distance, 3) for name, distance in apart[best].items()}
        shown = tuple(distance if ok else None for distance, ok in zip(distances, allowed, strict=True))
        return Choice(best + 1, shown, respects, sum(one.copies for one in candidates))

    def measure(self, piece: NoteSequence) -> Measured:
        """What `choose` wants to know of a piece."""
        found = traits(piece)
        found[NATS] = float(self._tracer.trace(piece).nats.sum()) / max(1, len(piece))
        figures = {name: value for name, value in found.items() if name in self._typical and not np.isnan(value)}
        if self._index is None or self._index.baseline is None:
            return Measured(figures, False, 0.0)
        copied, usual = self._index.examine(piece), self._index.baseline
        copies = copied.longest_notes > usual["longest"][COPIED] or copied.share > usual["share"][COPIED]
        return Measured(figures, copies, copied.share)

    def _respects(self, figures: dict[str, float], wanted: set[str]) -> dict[str, float]:
        """How far a piece is from what is typical, in each of RESPECTS."""
        apart = {}
        for respect, names in RESPECTS.items():
            far = []
            for name in names:
                if name in figures:
                    mean, spread = self._typical[name]
                    far.append(min(abs(figures[name] - mean) / max(spread, LEAST_SPREAD * mean, 1e-9), FARTHEST))
                elif name in wanted:
                    far.append(FARTHEST)
            if far:
                apart[respect] = float(np.mean(far))
        return apart


__all__ = ["Choice", "Chooser", "Measured"]
