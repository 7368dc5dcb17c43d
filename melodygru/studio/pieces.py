"""A piece of a project: its MIDI file, and every step of its history, written so that no crash loses one.

    pieces/ID.mid            the piece as it is: the truth
    history/ID/NNN.mid       the file after each step
    history/ID/state.json    its name, the steps, and which of them it stands at

A step is written before the piece, the piece before the state. What a crash leaves is then read so: a piece that is one
of its steps stands at that one; any other (the file was exchanged from outside) is a step more.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from melodygru.compose import provenance
from melodygru.errors import MelodyGruError, MidiError
from melodygru.midi import MAX_FILE_BYTES
from melodygru.studio.refusals import Conflict, Missing, Refused
from melodygru.studio.views import Part, View
from melodygru.util.atomic import atomic_write
from melodygru.util.files import read_regular

ORIGINS = ("composed", "brought", "recorded")
MAX_STATE_BYTES = 1 << 26


@dataclass(frozen=True)
class Step:
    """The piece after one step of its history.

    Attributes
    ----------
    file : number of its file
    sha256 : of that file
    parts : what `Part.as_dict` gives of each
    summary : what a list of pieces says of it
    """

    file: int
    sha256: str
    parts: list[dict[str, Any]] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)


class Piece:
    """A piece of a project. Any thread may use it; `lock` is held while it changes.

    Attributes
    ----------
    id : the stem of its files
    name : what people call it
    origin : one of ORIGINS
    revision : grows with every change, undoing one included
    modified : when it changed last, seconds since 1970
    """

    def __init__(self, project: Path, id: str) -> None:
        self.id, self.lock = id, threading.RLock()
        self.path = project / "pieces" / f"{id}.mid"
        self._history = project / "history" / id
        self.name, self.origin, self.revision = id, "brought", 0
        self._steps: list[Step] = []
        self._at = -1
        self._view: tuple[str, View] | None = None
        self.modified = 0.0

    @classmethod
    def create(cls, project: Path, id: str, data: bytes, name: str, origin: str, parts: Sequence[Part] = ()) -> Piece:
        """A new piece of a MIDI file's bytes.

        Raises
        ------
        MidiError
            It is none.
        """
        piece = cls(project, id)
        piece.name, piece.origin = name, origin
        piece._add(data, View(data, parts))
        return piece

    @classmethod
    def found(cls, project: Path, id: str) -> Piece:
        """The piece that lies in a project's folder, in whatever state a crash has left it."""
        piece = cls(project, id)
        with suppress(OSError, ValueError, KeyError, TypeError):
            values = json.loads(read_regular(piece._state, MAX_STATE_BYTES))
            steps = [Step(**step) for step in values["steps"]]
            at, revision, modified = int(values["at"]), int(values["revision"]), float(values["modified"])
            if 0 <= at < len(steps):
                piece._steps, piece._at, piece.revision, piece.modified = steps, at, revision, modified
                piece.name, piece.origin = str(values["name"]), str(values["origin"])
        data = read_regular(piece.path, MAX_FILE_BYTES)
        digest = hashlib.sha256(data).hexdigest()
        if piece._at < 0 or piece._step.sha256 != digest:
            same = next((at for at, step in enumerate(piece._steps) if step.sha256 == digest), None)
            if same is None:
                piece._add(data, View(data, piece._parts if piece._at >= 0 else ()))
            else:
                piece._at, piece.revision = same, piece.revision + 1
                piece._save()
        return piece

    # -- what it is

    @property
    def view(self) -> View:
        """The piece as it is, read."""
        with self.lock:
            digest = self._step.sha256 + str(self._at)
            if self._view is None or self._view[0] != digest:
                self._view = digest, View(self.data, self._parts)
            return self._view[1]

    @property
    def data(self) -> bytes:
        """Its MIDI file."""
        with self.lock:
            try:
                return read_regular(self.path, MAX_FILE_BYTES)
            except OSError as error:
                raise Missing(
                    f"{self.path} can't be read ({error.strerror}); put it back, or delete the piece"
                ) from error

    @property
    def sha256(self) -> str:
        """Of its file."""
        return self._step.sha256

    @property
    def can_undo(self) -> bool:
        return self._at > 0

    @property
    def can_redo(self) -> bool:
        return self._at + 1 < len(self._steps)

    def summary(self) -> dict[str, Any]:
        """What a list of pieces says of it, as plain JSON values."""
        with self.lock:
            found = {"id": self.id, "name": self.name, "revision": self.revision, **self._step.summary}
            return {**found, "modified": self.modified, "origin": self.origin}

    def as_dict(self) -> dict[str, Any]:
        """All of it, as plain JSON values."""
        with self.lock:
            how = _provenance(self.view.data)
            return {
                "id": self.id,
                "name": self.name,
                "revision": self.revision,
                "origin": self.origin,
                "can_undo": self.can_undo,
                "can_redo": self.can_redo,
                **self.view.as_dict(),
                "composed": how is not None,
                "provenance": how,
            }

    # -- changes, each at a revision

    def check(self, revision: Any) -> None:
        """Raise Conflict unless a change is meant for the piece as it is."""
        if type(revision) is not int:
            raise Refused("The change says no revision of the piece: reload the page.")
        if revision != self.revision:
            raise Conflict(
                "Another tab changed this piece: it was loaded again, and your last change left out.",
                piece=self.as_dict(),
            )

    def change(self, revision: Any, data: bytes, parts: Sequence[Part] | None = None) -> None:
        """Make a step: another file, or other parts of the same file."""
        with self.lock:
            self.check(revision)
            view = View(data, self._parts if parts is None else parts)
            if data != self.view.data or view.parts != self.view.parts:
                self._add(data, view)

    def move(self, revision: Any, step: int) -> None:
        """Undo a step (-1) or make one again (1)."""
        with self.lock:
            self.check(revision)
            at = self._at + step
            if not 0 <= at < len(self._steps):
                raise Refused("There is nothing to undo." if step < 0 else "There is nothing to do again.")
            data = read_regular(self._file(self._steps[at].file), MAX_FILE_BYTES)
            with atomic_write(self.path, MidiError, make_folder=True) as aside:
                aside.write_bytes(data)
            self._at = at
            self._changed()

    def rename(self, name: str) -> None:
        """Give it another name."""
        with self.lock:
            self.name = name
            self._changed()

    # -- files

    @property
    def step_path(self) -> Path:
        """The file of the step that it stands at, which no later step changes."""
        return self._file(self._step.file)

    def step_of(self, sha256: str) -> Path | None:
        """The file of a step by its hash; None where no step has it."""
        with self.lock:
            return next((self._file(step.file) for step in self._steps if step.sha256 == sha256), None)

    @property
    def _step(self) -> Step:
        return self._steps[self._at]

    @property
    def _parts(self) -> list[Part]:
        return [Part.from_dict(values) for values in self._step.parts]

    @property
    def _state(self) -> Path:
        return self._history / "state.json"

    def _file(self, number: int) -> Path:
        return self._history / f"{number:03d}.mid"

    def _add(self, data: bytes, view: View) -> None:
        """A step after the one that it stands at; those after that are gone."""
        undone = self._steps[self._at + 1 :]
        steps = self._steps[: self._at + 1]
        last = None if not steps else steps[-1]
        digest = hashlib.sha256(data).hexdigest()
        if last is not None and last.sha256 == digest:
            number = last.file
        else:
            number = 1 + max((step.file for step in self._steps), default=-1)
            with atomic_write(self._file(number), MidiError, make_folder=True) as aside:
                aside.write_bytes(data)
                _to_disk(aside)
            with atomic_write(self.path, MidiError, make_folder=True) as aside:
                aside.write_bytes(data)
                _to_disk(aside)
        step = Step(number, digest, [part.as_dict() for part in view.parts], view.summary)
        self._steps, self._at = [*steps, step], len(steps)
        self._view = digest + str(self._at), view
        self._changed()
        kept = {step.file for step in self._steps}
        for old in undone:
            if old.file not in kept:
                with suppress(OSError):
                    self._file(old.file).unlink()

    def _changed(self) -> None:
        self.revision, self.modified = self.revision + 1, time.time()
        self._save()

    def _save(self) -> None:
        values = {
            "name": self.name,
            "origin": self.origin,
            "revision": self.revision,
            "modified": self.modified,
            "at": self._at,
            "steps": [asdict(step) for step in self._steps],
        }
        with atomic_write(self._state, MidiError, make_folder=True) as aside:
            aside.write_text(json.dumps(values))


def _provenance(data: bytes) -> dict[str, Any] | None:
    """How a MIDI file says that it was made, as plain JSON values; None if it doesn't."""
    try:
        found, _ = provenance.read(data)
    except MelodyGruError:
        return None
    return {
        "redone": provenance.REDONE in found.inputs,
        "settings": found.settings,
        "seed": found.seed,
        "piece": found.piece,
        "of": found.of,
        "model": found.model,
        "versions": found.versions,
    }


def _to_disk(path: Path) -> None:
    """Wait until a file lies on the disk, so that a power cut after its renaming leaves no empty one."""
    with open(path, "rb+") as file:
        os.fsync(file.fileno())


__all__ = ["ORIGINS", "Piece", "Step"]
