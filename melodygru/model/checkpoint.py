"""Checkpoints: one `.keras` file, complete by itself, read here without TensorFlow and written here alone.

A `.keras` file is a zip archive with `config.json` (the model's class and settings) and `model.weights.h5`. Ours
holds in its settings a format number, the vocabulary, the architecture and a card: grid, training history, corpus
fingerprint, seed, versions, time. It holds no pickles and no code; reading one from a stranger is safe. `melodygru
train` writes weights as float16, in memory they are float32: half the size, and the shipped model's likelihood is the
same to five digits. It is believed in nothing: sizes are checked before anything is unpacked, every number against the
schema of what it belongs to (`util.schema`), and weights are finite and read by `hdf5`, which knows no other file.

A change of the settings is a new format: a function at the end of `_UPGRADES` turns settings of the format before it
into those of the new one whenever such a file is read. The file stays as it is, and so does its hash, which replay
looks for.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import os
import shutil
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from melodygru.errors import CheckpointError, NoteError, SettingError
from melodygru.events import Vocabulary
from melodygru.model import hdf5
from melodygru.model.architecture import Architecture, weights_of
from melodygru.model.card import CARD
from melodygru.util import archives
from melodygru.util.atomic import atomic_write
from melodygru.util.files import open_regular, read_regular, sha256_of
from melodygru.util.schema import Integer, record

CLASS_NAME = "MelodyGRU"
WEIGHTS, CONFIG = "model.weights.h5", "config.json"  # the archive's members
# A further one: the index of `analysis.originality`. Keras loads and saves what lies in this folder with the model; in
# checkpoints made before, which it passed over, the index lies beside it.
ASSETS, INDEX = "assets/", "originality.npz"
SHIPPED = "starter.keras"
_SHOWN = 40  # characters of a name in a message
MAX_FILE_BYTES = 1 << 30
MAX_CONFIG_BYTES = 1 << 23  # statistics of a thousand styles fit in
_NUMBER = Integer(1, 1_000_000)  # of a format
_SEED = Integer(-(1 << 63), (1 << 63) - 1)


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint's contents.

    Attributes
    ----------
    vocabulary : Vocabulary
    architecture : Architecture
    card : dict
        What is known of the training: history, corpus, seed, versions, `recorded` (ISO 8601, UTC).
    weights : dict of name -> array, float32
        By the names of `architecture.weights_of`.
    sha256 : str, optional
        Hash of the file's bytes as they lie on disk, whatever its format, in hexadecimal.
    path : Path, optional
        The file.
    seed : int
        Of the initial weights.
    """

    vocabulary: Vocabulary
    architecture: Architecture
    card: dict[str, Any]
    weights: dict[str, np.ndarray]
    sha256: str | None = None
    path: Path | None = None
    seed: int = 0

    @property
    def n_parameters(self) -> int:
        return sum(weight.size for weight in self.weights.values())


def read_settings(path: Path) -> dict[str, Any]:
    """The model's settings as plain values: `vocabulary`, `architecture`, `card`; those of an older format, upgraded.

    Raises
    ------
    CheckpointError
        The file is missing, damaged, of a newer format, or holds another kind of model.
    """
    with _opening(path), open_regular(path, MAX_FILE_BYTES) as file:
        return _settings(path, file)


def _settings(path: Path, file: BinaryIO) -> dict[str, Any]:
    """As `read_settings`, of an open file."""
    with _opening(path), archives.opened(file) as archive:
        config = archives.parsed(archives.content(archive, CONFIG, MAX_CONFIG_BYTES))
    config = config if isinstance(config, dict) else {}
    settings = config.get("config")
    if config.get("class_name") != CLASS_NAME or not isinstance(settings, dict) or "vocabulary" not in settings:
        name = config.get("class_name")
        kind = name[:_SHOWN] if isinstance(name, str) else "nameless"
        raise CheckpointError(f"{path}: holds a {kind} model, expected {CLASS_NAME}; make one with melodygru train")
    with _naming(path):
        settings = upgrade(settings)
        CARD.read({} if settings.get("card") is None else settings["card"], "card")
        _SEED.read(settings.get("seed", 0), "seed")
        return settings


def read(path: Path) -> Checkpoint:
    """Read a checkpoint without TensorFlow. Raises CheckpointError as `read_settings` does."""
    with _opening(path):
        content = read_regular(path, MAX_FILE_BYTES)
    settings = _settings(path, io.BytesIO(content))
    with _naming(path):
        vocabulary = Vocabulary.from_dict(settings["vocabulary"])
        architecture = Architecture(**record(Architecture).read(settings.get("architecture"), "architecture"))
        with archives.opened(io.BytesIO(content)) as archive:
            stored = hdf5.arrays_of(archives.content(archive, WEIGHTS, len(content), stored=True))
        weights = _weights(stored, architecture, vocabulary)
    digest = hashlib.sha256(content).hexdigest()
    card, seed = settings.get("card") or {}, settings.get("seed", 0)
    return Checkpoint(vocabulary, architecture, card, weights, digest, Path(path), seed)


def write(path: Path, archive: bytes, *, float16: bool = False) -> None:
    """Write a checkpoint, whole or not at all.

    Parameters
    ----------
    path : where it goes; its folder is made where it is missing
    archive : bytes of a `.keras` file that Keras made of a `MelodyGRU`, whose settings have the number FORMAT
    float16 : whether its weights, float32, are written as float16
    """
    with zipfile.ZipFile(io.BytesIO(archive)) as made:
        members = {name: made.read(name) for name in made.namelist()}
    if float16:
        members[WEIGHTS] = _to_float16(members[WEIGHTS])
    with atomic_write(path, CheckpointError, make_folder=True) as aside, zipfile.ZipFile(aside, "w") as file:
        for name, content in members.items():
            file.writestr(name, content)


def read_index(path: Path) -> bytes | None:
    """The index of originality in a checkpoint's archive, as it stands there; None where there is none.

    Raises
    ------
    CheckpointError
        The file is missing or damaged, or the index unpacks to far more than it takes up.
    """
    with _opening(path), open_regular(path, MAX_FILE_BYTES) as file, archives.opened(file) as archive:
        for name in (ASSETS + INDEX, INDEX):
            if name in archive.namelist():
                return archives.content(archive, name, 2 * archive.getinfo(name).compress_size + MAX_CONFIG_BYTES)
    return None


def add_index(path: Path, content: bytes) -> None:
    """Put an index of originality into a checkpoint's archive, for the one there. The file changes whole or not at all.

    Raises
    ------
    CheckpointError
        The file is missing, is no `.keras` file, or cannot be written.
    """
    with _opening(path), open_regular(path, MAX_FILE_BYTES) as file, archives.opened(file) as archive:
        kept = [
            (info, archives.content(archive, info.filename, MAX_FILE_BYTES))
            for info in archive.infolist()
            if info.filename not in (ASSETS + INDEX, INDEX)
        ]
    with atomic_write(path, CheckpointError) as aside:
        with zipfile.ZipFile(aside, "w") as archive:
            for info, data in kept:
                archive.writestr(info, data)
            # higher levels take time and save nothing
            archive.writestr(ASSETS + INDEX, content, zipfile.ZIP_DEFLATED, 1)
        shutil.copymode(path, aside)


def upgrade(settings: dict[str, Any]) -> dict[str, Any]:
    """A model's settings, of whatever format their file is, as those of FORMAT.

    Raises
    ------
    CheckpointError
        They are newer, or of a format that no step leads from.
    """
    number = settings.get("format", 1)
    number = _NUMBER.read(number, "format")
    if number > FORMAT:
        raise CheckpointError(f"format {number} of a newer melodygru, this one reads up to {FORMAT}: upgrade melodygru")
    if number < OLDEST:
        raise CheckpointError(f"format {number} of an older melodygru, which knew no plans: train the model anew")
    for step in _UPGRADES[number - OLDEST :]:
        settings = step(settings)
    return {**settings, "format": FORMAT}


def _by_default(settings: dict[str, Any]) -> dict[str, Any]:
    """Models of format 5 have no exact ends, those of format 6 no alignment: so say the defaults of these entries."""
    return settings


OLDEST = 5  # format that can be upgraded: that of the first models that are given a plan
_UPGRADES: tuple[Callable[[dict[str, Any]], dict[str, Any]], ...] = (_by_default, _by_default)  # from OLDEST on
FORMAT = OLDEST + len(_UPGRADES)  # of the checkpoints that are written


def _to_float16(weights: bytes) -> bytes:
    """An HDF5 file with its float32 arrays in float16, which Keras and `read` widen again."""
    import h5py

    written = io.BytesIO()
    with h5py.File(io.BytesIO(weights), "r") as full, h5py.File(written, "w") as half:

        def copy(name: str, item: Any) -> None:
            if isinstance(item, h5py.Group):
                copied = half.require_group(name)
            else:
                copied = half.create_dataset(name, data=item[()], dtype="f2" if item.dtype == "f4" else item.dtype)
            copied.attrs.update(item.attrs)

        full.visititems(copy)
    return written.getvalue()


def read_vocabulary(path: Path) -> Vocabulary:
    """A checkpoint's vocabulary, without the cost of its weights. Raises CheckpointError as `read_settings` does."""
    settings = read_settings(path)
    with _naming(path):
        return Vocabulary.from_dict(settings["vocabulary"])


@contextmanager
def _opening(path: Path) -> Iterator[None]:
    """Within, what goes wrong in reading the archive is raised as a CheckpointError."""
    try:
        yield
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such checkpoint") from None
    except archives.DAMAGED as error:
        raise CheckpointError(f"{path}: not a readable .keras file ({error})") from error


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Within, what does not fit together is raised as a CheckpointError with the checkpoint's name."""
    try:
        yield
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error
    except (*archives.DAMAGED, AttributeError, NoteError, SettingError) as error:
        raise CheckpointError(f"{path}: damaged, or written by another version of melodygru ({error})") from error


def find(model: Path | None = None) -> Path:
    """The checkpoint to use: the one given, else the newest (by recorded time) in ./checkpoints, else the shipped one.

    Raises
    ------
    CheckpointError
        There is none.
    """
    if model is not None:
        if not model.exists():
            raise CheckpointError(f"{model}: no such checkpoint")
        return model
    found = []
    for path in sorted(Path("checkpoints").glob("*.keras")):
        if path.name.startswith("."):
            continue  # hidden: a save in progress
        try:
            card = read_settings(path).get("card")
        except CheckpointError:
            continue
        found.append((str(card.get("recorded", "")) if isinstance(card, dict) else "", path))
    if found:
        return max(found)[1]
    shipped = shipped_path()
    if shipped is None:
        raise CheckpointError("no checkpoint in ./checkpoints, and none came with melodygru: run melodygru train first")
    return shipped


def find_by_hash(sha256: str) -> Path | None:
    """The checkpoint with this hash among those in ./checkpoints and the shipped one, or None."""
    paths = sorted(path for path in Path("checkpoints").glob("*.keras") if not path.name.startswith("."))
    shipped = shipped_path()
    for path in [*paths, *([shipped] if shipped is not None else [])]:
        try:
            if sha256_of(path, MAX_FILE_BYTES) == sha256:
                return path
        except OSError:
            continue
    return None


def shipped_path() -> Path | None:
    """The checkpoint that comes with the package, if it is there."""
    try:
        path = resources.files("melodygru.checkpoints") / SHIPPED
    except ModuleNotFoundError:
        return None
    return Path(os.fspath(path)) if isinstance(path, Path) and path.is_file() else None


def as_settings(vocabulary: Vocabulary, architecture: Any, card: dict[str, Any]) -> dict[str, Any]:
    """Plain JSON values for the model's configuration; the inverse of what `read` does with them."""
    return {
        "vocabulary": vocabulary.as_dict(),
        "architecture": dataclasses.asdict(architecture),
        "card": card,
    }


def _weights(
    stored: dict[str, np.ndarray], architecture: Architecture, vocabulary: Vocabulary
) -> dict[str, np.ndarray]:
    """The weights by name, float32; ValueError if one has not the size that the settings say, or is not finite."""
    found = {}
    for name, weight in weights_of(vocabulary, architecture).items():
        array = stored[weight.path]
        if array.shape != weight.shape:
            raise ValueError(f"{name} of shape {array.shape}, expected {weight.shape}")
        found[name] = array.astype(np.float32)
        if not np.isfinite(found[name]).all():
            raise ValueError(f"{name} is not finite")
    return found
