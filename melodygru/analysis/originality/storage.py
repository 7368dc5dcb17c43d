"""The index inside a checkpoint: one more member of the `.keras` file, which Keras loads and saves with the model."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from melodygru.analysis.originality.checks import FORMS
from melodygru.analysis.originality.index import Index
from melodygru.errors import CheckpointError
from melodygru.model import checkpoint
from melodygru.util import archives

MEMBER = checkpoint.ASSETS + checkpoint.INDEX


def read(path: Path | str) -> Index | None:
    """The index that a checkpoint holds; None without one.

    Raises
    ------
    CheckpointError
        The file is missing or damaged.
    """
    content = checkpoint.read_index(Path(path))
    if content is None:
        return None
    try:
        most = len(content)
        held = archives.arrays(io.BytesIO(content), FORMS, most)
        del content  # before the index is made of it
        return Index.from_arrays(held)
    except archives.DAMAGED as error:
        raise CheckpointError(f"{path}: its index of originality cannot be read ({error}); train again") from error
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error


def attach(path: Path | str, index: Index) -> None:
    """Put an index into a checkpoint; it replaces the one that is there. The file changes whole or not at all.

    Raises
    ------
    CheckpointError
        The file is missing, is no `.keras` file, or cannot be written.
    """
    packed = io.BytesIO()
    np.savez(packed, **index.arrays())  # type: ignore[arg-type]
    checkpoint.add_index(Path(path), packed.getvalue())
