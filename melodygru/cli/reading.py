"""Reading a folder for a command: with a line of progress, and a warning about every file that is no piece."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from melodygru.cli import screen

if TYPE_CHECKING:
    from melodygru.corpus import Corpus
    from melodygru.notes import Grid


def read(folder: Path, grid: Grid | None = None, *, deduplicate: bool = False, warnings: int | None = None) -> Corpus:
    """A folder's pieces.

    Parameters
    ----------
    folder, grid, deduplicate : see `corpus.intake`
    warnings : so many at most about skipped files; default: one about each
    """
    from melodygru.corpus import intake

    with screen.ProgressLine() as line:
        progress = line.count(f"reading {screen.name(folder)}")
        corpus = intake(folder, grid=grid, deduplicate=deduplicate, progress=progress)
    for file in corpus.report.skipped[:warnings]:
        screen.warn(f"{screen.name(folder)}: skipped {screen.name(file.path)}: {file.reason}")
    return corpus
