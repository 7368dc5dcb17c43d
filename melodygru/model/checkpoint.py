"""Checkpoints: one `.keras` file, complete by itself, read here without TensorFlow.

A `.keras` file is a zip archive with `config.json` (the model's class and settings) and `model.weights.h5`. Ours
holds in its settings the vocabulary, the architecture and a card: grid, training history, corpus fingerprint,
seed, versions, time. It holds no pickles and no code; reading one from a stranger is safe. `melodygru train` writes
weights as float16, in memory they are float32: half the size, and the shipped model's likelihood is the same to five
digits.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import os
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from melodygru.errors import CheckpointError, NoteError, SettingError
from melodygru.events import Vocabulary
from melodygru.model.architecture import Architecture, weights_of

CLASS_NAME = "MelodyGRU"
SHIPPED = "starter.keras"

# What reading a damaged archive can raise: RuntimeError if a bit says "encrypted", NotImplementedError for a
# compression that does not exist.
_DAMAGED = (OSError, EOFError, zipfile.BadZipFile, zlib.error, KeyError, ValueError, RuntimeError, NotImplementedError)


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
        Hash of the file that it was read from, in hexadecimal.
    path : Path, optional
        The file.
    """

    vocabulary: Vocabulary
    architecture: Architecture
    card: dict[str, Any]
    weights: dict[str, np.ndarray]
    sha256: str | None = None
    path: Path | None = None

    @property
    def n_parameters(self) -> int:
        return sum(weight.size for weight in self.weights.values())


def read_settings(path: Path) -> dict[str, Any]:
    """The model's settings as plain values: `vocabulary`, `architecture`, `card`.

    Raises
    ------
    CheckpointError
        The file is missing, damaged, or holds another kind of model.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            config = json.loads(archive.read("config.json"))
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such checkpoint") from None
    except _DAMAGED as error:
        raise CheckpointError(f"{path}: not a readable .keras file ({error})") from error
    config = config if isinstance(config, dict) else {}
    settings = config.get("config")
    if config.get("class_name") != CLASS_NAME or not isinstance(settings, dict) or "vocabulary" not in settings:
        raise CheckpointError(
            f"{path}: holds a {config.get('class_name', 'nameless')} model, expected {CLASS_NAME}; "
            "make one with melodygru train"
        )
    return settings


def read(path: Path) -> Checkpoint:
    """Read a checkpoint without TensorFlow. Raises CheckpointError as `read_settings` does."""
    import h5py

    settings = read_settings(path)
    with _naming(path):
        vocabulary = Vocabulary.from_dict(settings["vocabulary"])
        architecture = Architecture(**settings["architecture"])
        content = Path(path).read_bytes()
        with (
            zipfile.ZipFile(io.BytesIO(content)) as archive,
            h5py.File(io.BytesIO(archive.read("model.weights.h5")), "r") as file,
        ):
            weights = _weights(file, architecture, vocabulary)
    digest = hashlib.sha256(content).hexdigest()
    return Checkpoint(vocabulary, architecture, settings.get("card") or {}, weights, digest, Path(path))


def to_float16(path: Path) -> None:
    """Rewrite a `.keras` file with its weights in float16; Keras and `read` turn them into float32 again."""
    import h5py

    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    written = io.BytesIO()
    with h5py.File(io.BytesIO(members["model.weights.h5"]), "r") as full, h5py.File(written, "w") as half:

        def copy(name: str, item: Any) -> None:
            if isinstance(item, h5py.Group):
                copied = half.require_group(name)
            else:
                copied = half.create_dataset(name, data=item[()], dtype="f2" if item.dtype == "f4" else item.dtype)
            copied.attrs.update(item.attrs)

        full.visititems(copy)
    members["model.weights.h5"] = written.getvalue()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def read_vocabulary(path: Path) -> Vocabulary:
    """A checkpoint's vocabulary, without the cost of its weights. Raises CheckpointError as `read_settings` does."""
    settings = read_settings(path)
    with _naming(path):
        return Vocabulary.from_dict(settings["vocabulary"])


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Within, whatever does not fit together is said with the checkpoint's name."""
    try:
        yield
    except (*_DAMAGED, TypeError, AttributeError, NoteError, SettingError) as error:
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
            content = path.read_bytes()
        except OSError:
            continue
        if hashlib.sha256(content).hexdigest() == sha256:
            return path
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


def _weights(file: Any, architecture: Architecture, vocabulary: Vocabulary) -> dict[str, np.ndarray]:
    """The weights in Keras's file by name, float32; ValueError if one has not the size that the settings say."""
    found = {}
    for name, weight in weights_of(vocabulary, architecture).items():
        # NumPy widens float16 six times faster than HDF5 does.
        found[name] = np.asarray(file[weight.path]).astype(np.float32, copy=False)
        if found[name].shape != weight.shape:
            raise ValueError(f"{name} of shape {found[name].shape}, expected {weight.shape}")
    return found
