"""The index inside a checkpoint: one more member of the `.keras` file, which Keras passes over."""

from __future__ import annotations

import io
import shutil
import zipfile
import zlib
from pathlib import Path

import numpy as np

from melodygru.analysis.originality.index import Index
from melodygru.errors import CheckpointError
from melodygru.util.atomic import atomic_write

MEMBER = "originality.npz"

# as in `checkpoint`: what reading a damaged archive can raise
_DAMAGED = (OSError, EOFError, zipfile.BadZipFile, zlib.error, KeyError, ValueError, RuntimeError, NotImplementedError)


def read(path: Path | str) -> Index | None:
    """The index that a checkpoint holds; None without one.

    Raises
    ------
    CheckpointError
        The file is missing or damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if MEMBER not in archive.namelist():
                return None
            with np.load(io.BytesIO(archive.read(MEMBER)), allow_pickle=False) as arrays:
                held = dict(arrays)
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such checkpoint") from None
    except _DAMAGED as error:
        raise CheckpointError(f"{path}: its index of originality cannot be read ({error}); train again") from error
    try:
        return Index.from_arrays(held)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error


def attach(path: Path | str, index: Index) -> None:
    """Put an index into a checkpoint, in the place of one that it holds. The file changes whole or not at all.

    Raises
    ------
    CheckpointError
        The file is missing, is no `.keras` file, or cannot be written.
    """
    path = Path(path)
    packed = io.BytesIO()
    np.savez(packed, **index.arrays())  # type: ignore[arg-type]
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such checkpoint") from None
    except _DAMAGED as error:
        raise CheckpointError(f"{path}: not a readable .keras file ({error})") from error
    with atomic_write(path, CheckpointError) as aside:
        if MEMBER in names:
            with zipfile.ZipFile(path) as old, zipfile.ZipFile(aside, "w") as new:
                for info in old.infolist():
                    if info.filename != MEMBER:
                        new.writestr(info, old.read(info))
            shutil.copymode(path, aside)
        else:
            shutil.copy(path, aside)
        with zipfile.ZipFile(aside, "a") as archive:
            # the codes shrink by half, the sorted places hardly: levels above the lowest cost time for nothing
            archive.writestr(MEMBER, packed.getvalue(), zipfile.ZIP_DEFLATED, 1)
