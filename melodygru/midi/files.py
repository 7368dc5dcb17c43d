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
        Symbolic links are followed, each real folder once. Folders that can't be listed are passed over.

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
        folders.sort()
        found.extend(Path(root, name) for name in files if name.lower().endswith(SUFFIXES))
    found = [path for path in found if path.is_file()]
    return sorted(found, key=lambda path: path.relative_to(folder).as_posix())
