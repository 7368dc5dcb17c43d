"""Files appear whole or not at all: written aside, then renamed."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from melodygru.errors import MelodyGruError

_FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))


@contextlib.contextmanager
def atomic_write(
    path: str | Path, error: type[MelodyGruError] | None = None, *, make_folder: bool = False
) -> Iterator[Path]:
    """A path beside `path` to write to, renamed to it at the end of the context.

    When anything is raised within, what was written is removed and an older file at `path` stays as it was.

    Parameters
    ----------
    path : str or Path
        Where the file goes.
    error : subclass of MelodyGruError, optional
        What an OSError within the context is raised as, with the path, the reason and what to do. Without it the
        OSError itself goes on.
    make_folder : bool
        Make the folder of `path` where it is missing.

    Yields
    ------
    Path
        In the same folder, hidden, of the same suffix, and like no other writer's, in this process or another.
    """
    path = Path(path)
    aside = path.with_name(f".{path.stem}.{os.urandom(4).hex()}{path.suffix}")
    try:
        if make_folder:
            path.parent.mkdir(parents=True, exist_ok=True)
        yield aside
        os.replace(aside, path)
    except OSError as reason:
        if error is not None:
            remedy = (
                "free some space there, or choose another place" if reason.errno in _FULL else "choose another place"
            )
            raise error(f"cannot write {path}: {reason.strerror or reason}; {remedy}") from reason
        if reason.filename == str(aside):
            reason.filename = str(path)  # the name that the user knows
        raise
    finally:
        with contextlib.suppress(OSError):
            aside.unlink()
