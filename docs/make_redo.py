"""Draws docs/redo/*.png, pieces before and after `melodygru redo`, with the model that comes along.

python docs/make_redo.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from melodygru import midi
from melodygru.compose.composer import Composer
from melodygru.compose.redo_settings import RedoSettings
from melodygru.model import checkpoint
from melodygru.music.notes import NoteSequence

ROOT = Path(__file__).parents[1]
STARTER = ROOT / "data" / "starter"
CHORALE = STARTER / "chorales" / "bwv101-7-nimm-von-uns-herr-du-treuer-gott.mid"
AIR = STARTER / "airs" / "oneill-0000-the-supple-dancer.mid"
BARS = 8  # that are drawn

KINDS = {
    "bars": (CHORALE, "--bars 3:4", {"bars": "3:4"}),
    "parts": (CHORALE, "--parts 3,4", {"parts": "3,4"}),
    "pitch": (CHORALE, "--parts 1 --fields pitch --keep 0.5", {"parts": "1", "fields": "pitch", "keep": 0.5}),
    "add": (AIR, "--add viola,cello", {"add": "viola,cello"}),
    "surprising": (CHORALE, "--surprising 20", {"surprising": 20}),
    "loop": (CHORALE, "--loop", {"loop": True}),
}


def main() -> None:
    """Draw all."""
    composer = Composer.load(checkpoint.shipped_path())
    for kind, (path, words, mask) in KINDS.items():
        best = composer.redo(path, RedoSettings(seed=1, **mask))[0]
        draw(midi.read(path).sequence, best, f"melodygru redo {path.name} {words} --seed 1", kind)


def draw(before: NoteSequence, after: NoteSequence, title: str, kind: str) -> None:
    """Two piano rolls, one above the other; what was composed is red."""
    from matplotlib.collections import PatchCollection
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    lines = before.bar_starts()
    first = 0 if kind != "loop" else max(0, len(lines) - 1 - BARS)
    span = int(lines[first]), int(lines[min(first + BARS, len(lines) - 1)])
    figure = Figure(figsize=(9, 5), layout="constrained")
    figure.suptitle(title, fontsize=9)
    names = ["onset", "duration", "program", "pitch", "velocity"]
    own = set(map(tuple, before.notes[names].tolist()))
    rolls = figure.subplots(2, 1, sharex=True, sharey=True)
    for axes, piece, what in zip(rolls, (before, after), ("before", "after"), strict=True):
        notes = piece.notes[(piece.notes["onset"] < span[1]) & (piece.notes["onset"] >= span[0])]
        new = np.array([tuple(row) not in own for row in notes[names].tolist()], bool)
        for which, colour in ((~new, "#4a6fa5"), (new, "#c0392b")):
            boxes = [
                Rectangle((on, pitch - 0.4), length, 0.8)
                for on, length, pitch in notes[["onset", "duration", "pitch"]][which].tolist()
            ]
            axes.add_collection(PatchCollection(boxes, facecolor=colour, edgecolor="white", linewidth=0.4))
        axes.set(xlim=span, ylabel=what)
        axes.set_xticks(
            lines[first : first + BARS], [str(first + 1 + at) for at in range(len(lines[first : first + BARS]))]
        )
        axes.grid(axis="x", alpha=0.4)
    pitches = [int(p["pitch"]) for piece in (before, after) for p in piece.notes]
    rolls[0].set_ylim(min(pitches) - 2, max(pitches) + 2)
    rolls[1].set_xlabel("bar")
    figure.savefig(ROOT / "docs" / "redo" / f"{kind}.png", dpi=90, metadata={"Software": None})


if __name__ == "__main__":
    main()
