"""A training step over notes against one over flat tokens: the same music, sizes, batch and optimiser."""

from __future__ import annotations

import sys

from flat import new_flat

from melodygru.training import new_model
from parts.row import Row, Setting, in_turns
from parts.steps import BATCH, STARTER, WINDOW, Corpus

CORPORA = ("jsb16", "maestro")
REPEATS = 5


def measure(setting: Setting) -> list[Row]:
    """A row for each corpus of CORPORA in the data, or one for the starter corpus."""
    folders = {name: setting.data / name / "train" for name in CORPORA} if setting.data else {}
    folders = {name: folder for name, folder in folders.items() if folder.is_dir()}
    if not folders:
        print(f"tokens: no {' or '.join(CORPORA)} in --data, so data/starter is measured", file=sys.stderr)
        folders = {"data/starter": STARTER}
    rows = []
    for name, folder in folders.items():
        corpus = Corpus(folder)
        steps = {"ours": corpus.step(new_model), "flat": corpus.step(new_flat)}
        seconds = in_turns({kind: step.seconds for kind, step in steps.items()}, REPEATS)
        notes = steps["ours"].notes
        rows.append(
            Row(
                "tokens",
                f"training step, preset base, batch {BATCH} x {WINDOW} notes, {name}",
                notes / seconds["ours"],
                "notes/s",
                f"a flat-token GRU of equal size, {len(steps['flat'].model.positions)} tokens a note",
                notes / seconds["flat"],
                seconds["flat"] / seconds["ours"],
                3.0,
            )
        )
    return rows
