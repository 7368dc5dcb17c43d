"""A project: a folder of pieces, held by one studio at a time."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import shutil
import threading
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from melodygru.errors import MelodyGruError, MidiError, SettingError
from melodygru.music.names import clean_name
from melodygru.studio.pieces import Piece
from melodygru.studio.refusals import Conflict, Missing, Refused
from melodygru.studio.views import Part
from melodygru.util.atomic import atomic_write
from melodygru.util.files import read_regular
from melodygru.util.locks import Held, held

_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,63}", re.ASCII)
MAX_JSON_BYTES = 1 << 20


class Project:
    """The pieces of a folder, and what is kept beside them. Any thread may use it.

    Parameters
    ----------
    folder : Path
        Made where it is missing.

    Attributes
    ----------
    problems : what could not be read when it was opened, a line each

    Raises
    ------
    SettingError
        It can't be made.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.problems = Path(folder).absolute(), list[str]()
        self._lock = threading.RLock()
        self._pieces: dict[str, Piece] = {}
        try:
            for name in ("pieces", "history", "trash", "trainings"):
                (self.folder / name).mkdir(parents=True, exist_ok=True)
            found = sorted(path.stem for path in (self.folder / "pieces").glob("*.mid"))
        except OSError as error:
            raise SettingError(
                f"--folder {folder}: {error.strerror or error}; expected a folder that can be written"
            ) from error
        for id in found:
            if not _ID.fullmatch(id):
                self.problems.append(f"pieces/{id}.mid is left out: expected a name of a-z, 0-9 and -")
                continue
            try:
                self._pieces[id] = Piece.found(self.folder, id)
            except (MelodyGruError, OSError) as error:
                self.problems.append(f"pieces/{id}.mid is left out: {error}")
        self._settings: dict[str, Any] = {"revision": 0, "settings": {}}
        with contextlib.suppress(OSError, ValueError, TypeError):
            kept = json.loads(read_regular(self.folder / "settings.json", MAX_JSON_BYTES))
            self._settings = {"revision": int(kept["revision"]), "settings": dict(kept["settings"])}

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Hold the folder: within, no other studio opens it.

        Raises
        ------
        Held
            Another one has.
        """
        with held(self.folder / ".lock"):
            yield

    # -- pieces

    def __getitem__(self, id: str) -> Piece:
        try:
            return self._pieces[id]
        except KeyError:
            raise Missing("This piece is no longer there: choose another one from the list.") from None

    def pieces(self) -> list[Piece]:
        """All pieces, the one that changed last first."""
        return sorted([*self._pieces.values()], key=lambda piece: -piece.modified)

    def add(self, data: bytes, name: str, origin: str, parts: Sequence[Part] = ()) -> Piece:
        """A new piece. Raises MidiError if its bytes are no MIDI file that can be worked on."""
        with self._lock:
            name = self._free_name(clean_name(name) or "Piece")
            piece = Piece.create(self.folder, self._free_id(name), data, name, origin, parts)
            self._pieces[piece.id] = piece
            return piece

    def copy(self, id: str) -> Piece:
        """A piece more, the same as another one is now."""
        piece = self[id]
        return self.add(piece.data, f"{piece.name} copy", piece.origin, piece.view.parts)

    def delete(self, id: str) -> None:
        """Put a piece into the trash, with its history."""
        with self._lock:
            piece = self[id]
            with piece.lock:
                n = 1 + max((int(path.name.split(".")[0]) for path in self._trash()), default=0)
                into = self.folder / "trash" / f"{n:06d}.{id}"
                into.mkdir()
                os.replace(piece.path, into / "piece.mid")
                with contextlib.suppress(FileNotFoundError):
                    os.replace(self.folder / "history" / id, into / "history")
                del self._pieces[id]

    def undelete(self) -> Piece:
        """Bring the piece back that was deleted last."""
        with self._lock:
            for path in reversed(self._trash()):
                number, _, id = path.name.partition(".")
                if not (path / "piece.mid").is_file():  # a crash has left what had no piece any more
                    continue
                if id in self._pieces or not _ID.fullmatch(id):
                    id = self._free_id(id)
                if (path / "history").is_dir():
                    os.replace(path / "history", self.folder / "history" / id)
                os.replace(path / "piece.mid", self.folder / "pieces" / f"{id}.mid")
                shutil.rmtree(path, ignore_errors=True)
                self._pieces[id] = Piece.found(self.folder, id)
                return self._pieces[id]
        raise Refused("Nothing was deleted that could come back.")

    def _trash(self) -> list[Path]:
        """What was deleted, in order."""
        return sorted(path for path in (self.folder / "trash").iterdir() if re.match(r"\d{6,}\.", path.name))

    def _free_name(self, name: str) -> str:
        names, n = {piece.name for piece in self._pieces.values()}, 2
        free = name
        while free in names:
            free, n = f"{name} {n}", n + 1
        return free

    def next_name(self, stem: str) -> str:
        """The stem with the first number that no piece has."""
        names, n = {piece.name for piece in self._pieces.values()}, 1
        while f"{stem} {n}" in names:
            n += 1
        return f"{stem} {n}"

    def _free_id(self, name: str) -> str:
        plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
        stem = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:40].strip("-") or "piece"
        free, n = stem, 2
        while free in self._pieces or (self.folder / "history" / free).exists():
            free, n = f"{stem}-{n}", n + 1
        return free

    # -- what is kept beside them

    def settings(self) -> dict[str, Any]:
        """What the page keeps of its settings: their revision, and their values by name."""
        with self._lock:
            return {"revision": self._settings["revision"], "settings": dict(self._settings["settings"])}

    def keep_settings(self, revision: Any, settings: dict[str, Any]) -> dict[str, Any]:
        """Keep other values, given for a revision; those that are kept then."""
        with self._lock:
            if revision != self._settings["revision"]:
                raise Conflict("Another tab changed the settings: they were loaded again.", **self.settings())
            self._settings = {"revision": self._settings["revision"] + 1, "settings": settings}
            with atomic_write(self.folder / "settings.json", MidiError) as aside:
                aside.write_text(json.dumps(self._settings))
            return self.settings()

    def address(self) -> dict[str, Any] | None:
        """The port and the token of the studio that held the folder last; None without one."""
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
            kept = json.loads(read_regular(self.folder / ".address", 1000))
            if isinstance(kept["token"], str) and len(kept["token"]) >= 32 and 0 < kept["port"] < 65536:
                return {"port": int(kept["port"]), "token": kept["token"]}
        return None

    def keep_address(self, port: int, token: str) -> None:
        """Note where the studio is, for nobody but its user: a second one shows the first, and tabs find it again."""
        with atomic_write(self.folder / ".address", SettingError) as aside:
            descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(descriptor, "w") as file:
                json.dump({"port": port, "token": token}, file)


def new_token() -> str:
    """What a request must know, 256 bits."""
    return secrets.token_urlsafe(32)


__all__ = ["Held", "Project", "new_token"]
