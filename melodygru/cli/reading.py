"""Reading a folder for a command: with a line of progress, and a warning about every file that is no piece."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from melodygru.cli import screen

if TYPE_CHECKING:
    from melodygru.corpus import Corpus
    from melodygru.music.grid import Grid


def read(
    folder: Path,
    grid: Grid | None = None,
    *,
    metre: tuple[int, int] | None = None,
    deduplicate: bool = False,
    warnings: int | None = None,
    scheduler: str | None = None,
) -> Corpus:
    """A folder's pieces.

    Parameters
    ----------
    folder, grid, metre, deduplicate : see `corpus.intake`
    warnings : so many at most about skipped files; default: one about each
    scheduler : address of a dask scheduler whose workers read the files; default: processes of our own
    """
    from melodygru.corpus import DaskExecutor, intake

    with screen.ProgressLine() as line, contextlib.ExitStack() as stack:
        executor = stack.enter_context(DaskExecutor(scheduler)) if scheduler is not None else None
        progress = line.count(f"reading {screen.name(folder)}")
        corpus = intake(folder, grid=grid, metre=metre, deduplicate=deduplicate, progress=progress, executor=executor)
    for file in corpus.report.skipped[:warnings]:
        screen.warn(f"{screen.name(folder)}: skipped {screen.name(file.path)}: {file.reason}")
    return corpus
