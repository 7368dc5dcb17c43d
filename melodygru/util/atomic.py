"""Files appear whole or not at all: written aside, then renamed."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from melodygru.errors import MelodyGruError

_FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))

LONGEST_SUFFIX = 20  # that the file aside takes over: names of 255 bytes leave it no room


@contextlib.contextmanager
def atomic_write(
    path: str | Path,
    error: type[MelodyGruError] | None = None,
    *,
    make_folder: bool = False,
    replace: bool = True,
) -> Iterator[Path]:
    """A path beside `path` to write to, renamed to it at the end of the context.

    When anything is raised within, what was written is removed and an older file at `path` stays as it was. Through a
    link its target is written; what is no regular file, a device or a pipe, is written to at the end.

    Parameters
    ----------
    path : str or Path
        Where the file goes.
    error : subclass of MelodyGruError, optional
        What an OSError within the context is raised as, with the path, the reason and what to do. Without it the
        OSError itself goes on; either way its `filename` is the path.
    make_folder : bool
        Make the folder of `path` where it is missing.
    replace : bool
        Without it FileExistsError is raised where something stands at `path` at the end, whoever has put it there.

    Yields
    ------
    Path
        In the same folder, hidden, of the same suffix, and like no other writer's, in this process or another.
    """
    path = Path(path)
    target = Path(os.path.realpath(path)) if replace and path.is_symlink() else path
    stream = replace and _is_stream(path)
    folder = Path(tempfile.gettempdir()) if stream else target.parent
    aside = folder / f".melodygru.{os.urandom(8).hex()}{path.suffix if len(path.suffix) < LONGEST_SUFFIX else ''}"
    try:
        if make_folder:
            path.parent.mkdir(parents=True, exist_ok=True)
        yield aside
        if stream:
            with aside.open("rb") as made, path.open("wb") as end:
                shutil.copyfileobj(made, end)
        elif replace:
            os.replace(aside, target)
        else:
            _create(aside, path)
    except OSError as reason:
        if not replace and isinstance(reason, FileExistsError):
            raise
        why = reason.strerror or str(reason)
        if reason.filename in (None, str(aside)):
            reason.filename = str(path)  # the name that the user knows; what is said of a descriptor has none
        if error is not None:
            raise error(f"cannot write {path}: {why}; {remedy(reason)}") from reason
        raise
    finally:
        with contextlib.suppress(OSError):
            aside.unlink()


def refused(path: Path) -> str | None:
    """Why nothing can be written at a path, as far as its folder shows; None if nothing is known against it."""
    folder = Path(os.path.realpath(path)).parent
    if not folder.is_dir():
        return os.strerror(errno.ENOENT)
    return None if _is_stream(path) or os.access(folder, os.W_OK) else os.strerror(errno.EACCES)


def remedy(reason: OSError) -> str:
    """What to do where a file can't be written."""
    return "free some space there, or choose another place" if reason.errno in _FULL else "choose another place"


def is_refused_write(reason: OSError) -> bool:
    """Whether nothing but writing is refused so: no space, a quota at its end, a disk that is read only."""
    return reason.errno in (*_FULL, errno.EROFS)


def _is_stream(path: Path) -> bool:
    """Whether a path is a device, a pipe or a descriptor of a process (`/dev/stdout`): nothing can take its place."""
    if str(path).startswith(("/dev/fd/", "/dev/std", "/proc/")):
        return True
    return path.exists() and not path.is_file() and not path.is_dir()


def _create(aside: Path, path: Path) -> None:
    """Give a finished file its name if nothing has it; of several processes that try one succeeds."""
    try:
        os.link(aside, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links: the name is taken first, empty
        with path.open("xb"):
            pass
        try:
            os.replace(aside, path)
        except OSError:
            path.unlink()
            raise
