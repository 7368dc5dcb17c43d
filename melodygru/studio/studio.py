"""The studio: a project, the model that composes in it, and the work under way."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from melodygru.compose.composer import Composer
from melodygru.compose.redo_settings import RedoSettings
from melodygru.compose.settings import GenerateSettings
from melodygru.errors import CheckpointError
from melodygru.midi import MAX_FILE_BYTES, READERS
from melodygru.model import checkpoint
from melodygru.music.names import FAMILIES, program_name
from melodygru.music.notes import DRUMS, N_PROGRAMS
from melodygru.render.formats import WRITERS
from melodygru.studio.jobs import Jobs
from melodygru.studio.project import Project
from melodygru.studio.settings import for_page
from melodygru.studio.trainings import Trainings
from melodygru.studio.views import family_of
from melodygru.training.settings import TrainSettings
from melodygru.util.wording import name
from melodygru.version import __version__

TRAIN_SETTINGS = ("minutes", "epochs", "preset", "seed", "grid", "metre", "cell", "transpose")
UPLOAD_BYTES = 4 * MAX_FILE_BYTES  # of a request that brings files


class Studio:
    """What the answers of the server are made of. Any thread may use it.

    Parameters
    ----------
    project : Project
    model : checkpoint; default: the newest in ./checkpoints, else the one that comes with melodygru
    soundfont : instruments of what the server renders; default: those that pretty_midi carries

    Raises
    ------
    CheckpointError
        There is no model, or it can't be read.
    """

    def __init__(self, project: Project, model: Path | None = None, soundfont: Path | None = None) -> None:
        self.project, self.soundfont = project, soundfont
        self.jobs = Jobs()
        self.trainings = Trainings(project.folder / "trainings")
        self._choosing = threading.Lock()
        self.composer = Composer.load(model)

    def choose(self, path: Path) -> None:
        """Compose with another model from now on."""
        with self._choosing:
            self.composer = Composer.load(path)

    # -- what the page is told

    def status(self) -> dict[str, Any]:
        """What the page needs before anything else, as plain JSON values."""
        composer = self.composer
        vocabulary = composer.vocabulary
        metres = [f"{numerator}/{denominator}" for numerator, denominator in vocabulary.metres]
        choices: dict[str, Sequence[str]] = {"style": vocabulary.styles}
        known = set(vocabulary.programs)
        path = composer.checkpoint.path
        return {
            "version": __version__,
            "folder": name(self.project.folder),
            "model": {
                "name": "" if path is None else path.stem,
                "path": "" if path is None else name(path),
                "styles": list(vocabulary.styles),
                "programs": [
                    {
                        "number": program,
                        "name": program_name(program),
                        "family": family_of(program),
                        "known": program in known,
                    }
                    for program in range(N_PROGRAMS)
                ],
                "metres": metres,
                "metrical": vocabulary.grid.is_metrical,
                "models_part": vocabulary.models_part,
            },
            "families": [*FAMILIES, "drums"],
            "settings": for_page(GenerateSettings, choices),
            "redo_settings": for_page(RedoSettings, choices),
            "train_settings": for_page(TrainSettings, {}, TRAIN_SETTINGS),
            "pieces": [piece.summary() for piece in self.project.pieces()],
            "formats": [
                *dict.fromkeys(suffix[1:] for suffix in WRITERS if suffix not in (".midi", ".xml")),
                "html",
                "stems",
            ],
            "reads": list(READERS),
            "verovio": find_spec("verovio") is not None,
            "soundfont": self.soundfont is not None,
            "limits": {"file_bytes": MAX_FILE_BYTES, "drums": DRUMS},
            "problems": self.project.problems,
        }

    def models(self) -> list[dict[str, Any]]:
        """The models that can be chosen: those in ./checkpoints and in the project, and the one that comes along."""
        shipped = checkpoint.shipped_path()
        folders = [Path("checkpoints"), self.project.folder / "trainings"]
        paths = [
            path for folder in folders for path in sorted(folder.rglob("*.keras")) if not path.name.startswith(".")
        ]
        current = self.composer.checkpoint.path
        found, seen = [], set()
        for path in [current, *paths, shipped]:
            if path is None or (real := path.resolve()) in seen:
                continue
            seen.add(real)
            try:
                styles = checkpoint.read_settings(path).get("vocabulary", {}).get("styles", [])
            except (CheckpointError, OSError, AttributeError):
                continue
            mine = shipped is None or real != shipped.resolve()
            is_current = current is not None and real == current.resolve()
            found.append(
                {"name": path.stem, "path": name(path), "styles": list(styles), "mine": mine, "current": is_current}
            )
        return found

    def close(self) -> None:
        """Stop the work under way; all else is on disk already."""
        self.jobs.cancel_all()


__all__ = ["UPLOAD_BYTES", "Studio"]
