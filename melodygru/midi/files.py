"""Finding MIDI files below a folder."""

from __future__ import annotations

import os
from pathlib import Path

SUFFIXES = (".mid", ".midi", ".kar", ".smf")


def find_files(folder: Path | str) -> list[Path]:
    """Every MIDI file below a folder, sorted by its path relative to the folder.

    Parameters
    ----------
    folder : Path
        Links to folders outside it are followed, each real folder once. Folders that can't be listed are passed over.

    Returns
    -------
    list of Path
        Files whose suffix is one of `SUFFIXES` in any case; empty when there are none.
    """
    folder = Path(folder)
    seen: set[str] = set()
    found: list[Path] = []
    for root, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(root)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not _is_link_into(folder, os.path.join(root, name)))
        paths = (Path(root, name) for name in files if name.lower().endswith(SUFFIXES))
        found.extend(path for path in paths if os.path.isfile(path))
    return sorted(found, key=lambda path: path.relative_to(folder).as_posix())


def _is_link_into(folder: Path, path: str) -> bool:
    """Whether a path is a link to something that is found in the folder anyway."""
    return os.path.islink(path) and Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))
