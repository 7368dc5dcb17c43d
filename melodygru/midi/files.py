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
    return [Path(path) for path in find_paths(folder).values()]


def find_paths(folder: Path | str) -> dict[str, str]:
    """What `find_files` finds, as strings: path relative to the folder, with / -> path; sorted by the former."""
    folder = os.fspath(folder)
    seen: set[str] = set()
    found: dict[str, str] = {}
    for root, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(root)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not _is_link_into(folder, os.path.join(root, name)))
        below = "" if root == folder else os.path.relpath(root, folder).replace(os.sep, "/") + "/"
        for name in files:
            path = os.path.join(root, name)
            if name.lower().endswith(SUFFIXES) and os.path.isfile(path):
                found[below + name] = path
    return dict(sorted(found.items()))


def _is_link_into(folder: str, path: str) -> bool:
    """Whether a path is a link to something that is found in the folder anyway."""
    return os.path.islink(path) and Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))
