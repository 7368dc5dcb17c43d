"""Finding the files below a folder that can be read."""

from __future__ import annotations

import os
from pathlib import Path

from melodygru.midi.formats import READERS


def find_files(folder: Path | str, unlisted: dict[str, str] | None = None) -> dict[str, str]:
    """Every file below a folder that can be read as music: its path relative to the folder, with /, and its path.

    Parameters
    ----------
    folder : Path
        Links to folders outside it are followed, each real folder once. Folders that can't be listed are passed over.
    unlisted : dict, optional
        Those are put into it: relative path, with / at its end -> why.

    Returns
    -------
    dict of str -> str
        What has a suffix of `READERS` in any case and is no folder, sorted by the relative paths; empty when there is
        none. Links to nothing are left out; named pipes, devices and sockets are not, so that reading can refuse them.
    """
    folder = os.fspath(folder)
    visited: set[str] = set()
    found: dict[str, str] = {}

    def note(error: OSError) -> None:
        if unlisted is not None:
            path = os.path.relpath(error.filename, folder).replace(os.sep, "/") + "/"
            unlisted[path] = f"cannot list the folder: {error.strerror or error}"

    for root, folders, files in os.walk(folder, followlinks=True, onerror=note):
        real = os.path.realpath(root)
        if real in visited:
            folders.clear()
            continue
        visited.add(real)
        folders[:] = sorted(name for name in folders if not _is_link_into(folder, os.path.join(root, name)))
        below = "" if root == folder else os.path.relpath(root, folder).replace(os.sep, "/") + "/"
        for name in files:
            path = os.path.join(root, name)
            if name.lower().endswith(tuple(READERS)) and os.path.exists(path):
                found[below + name] = path
    return dict(sorted(found.items()))


def _is_link_into(folder: str, path: str) -> bool:
    """Whether a path is a link to something that is found in the folder anyway."""
    return os.path.islink(path) and Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))
