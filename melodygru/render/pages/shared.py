"""A piece to share: one page with a piano roll and a player, whose line moves over the roll; it needs no network."""

from __future__ import annotations

import json

import numpy as np

from melodygru.music.names import facts, part_labels
from melodygru.music.notes import DRUMS, NoteSequence
from melodygru.render.pages import html
from melodygru.render.pages.piece import sound_of


def page(piece: NoteSequence, title: str) -> str:
    """The page, with its sound as MP3; where there can be none, it says why."""
    sound, silence = sound_of(piece)
    notes = piece.notes
    begins_s, ends_s = piece.step2second(notes["onset"]), piece.step2second(notes["onset"] + notes["duration"])
    columns = [
        begins_s.round(3),
        (ends_s - begins_s).round(3),
        *(notes[name] for name in ("pitch", "part", "velocity")),
    ]
    bars = piece.step2second(piece.bar_starts()) if piece.grid.is_metrical else np.zeros(0)
    drawn = {
        "seconds": round(piece.seconds, 3),
        "bars": bars.round(3).tolist(),
        "drums": np.flatnonzero(piece.part_programs == DRUMS).tolist(),
        "notes": [list(row) for row in zip(*(column.tolist() for column in columns), strict=True)],
    }
    return html.render(
        "shared.html",
        title=title,
        facts=facts(piece),
        parts=part_labels(piece),
        data=html.markup("{}", json.dumps(drawn, separators=(",", ":"))),
        sound=sound,
        silence=silence,
    )


__all__ = ["page"]
