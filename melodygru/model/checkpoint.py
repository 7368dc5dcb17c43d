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
import math
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

CLASS_NAME = "MelodyGRU"
SHIPPED = "starter.keras"
DEEP = ("pitch", "duration")  # fields whose heads have a second hidden layer, in a deep architecture
DEEP_FROM = 40_000  # notes of a corpus from which on a second layer helps; in a smaller one it learns by heart
CELLS = {"gru": 3, "lstm": 4}  # cell -> its gates, the candidate among them

# What reading a damaged archive can raise: RuntimeError if a bit says "encrypted", NotImplementedError for a
# compression that does not exist.
_DAMAGED = (OSError, EOFError, zipfile.BadZipFile, zlib.error, KeyError, ValueError, RuntimeError, NotImplementedError)


@dataclass(frozen=True)
class Architecture:
    """Sizes of the model and its regularisation, all that is not the vocabulary.

    Parameters
    ----------
    layers, units : the recurrent stack
    embedding : width of the embeddings, the GRU's input
    head : width of each head's hidden layer
    drop_input, drop_layer, drop_head : variational dropout (one mask for all steps) on the GRU's input and on each
        layer's output; dropout on the heads' hidden layers
    cell : "gru" or "lstm"
    deep : whether the heads of DEEP have a second hidden layer
    """

    layers: int
    units: int
    embedding: int
    head: int
    drop_input: float = 0.1
    drop_layer: float = 0.3
    drop_head: float = 0.3
    cell: str = "gru"
    deep: bool = True

    def __post_init__(self) -> None:
        if self.cell not in CELLS:
            raise SettingError(f"cell {self.cell!r}: expected one of {', '.join(CELLS)}")

    @property
    def states(self) -> int:
        """Arrays of (streams, units) that a layer carries from step to step: an LSTM's memory beside its output."""
        return 2 if self.cell == "lstm" else 1

    @classmethod
    def preset(cls, name: str) -> Architecture:
        """One of PRESETS; SettingError names them all."""
        try:
            return PRESETS[name]
        except KeyError:
            raise SettingError(f"preset {name!r}: expected one of {', '.join(PRESETS)}") from None

    def for_corpus(self, n_notes: int) -> Architecture:
        """The same sizes with the dropout, and the depth of the heads, that suit a corpus of so many notes.

        0.6 up to 5,000 notes, 0.4 at 50,000, which are heard many times over, 0.1 from a million on; between these it
        falls with their logarithm.
        """
        drop = float(np.interp(np.log(max(1, n_notes)), np.log([5e3, 5e4, 1e6]), [0.6, 0.4, 0.1]))
        deep = n_notes >= DEEP_FROM
        return dataclasses.replace(self, drop_input=0.4 * drop, drop_layer=drop, drop_head=drop, deep=deep)


PRESETS = {
    "tiny": Architecture(layers=1, units=128, embedding=64, head=64),
    "small": Architecture(layers=2, units=256, embedding=128, head=128),
    "base": Architecture(layers=2, units=512, embedding=256, head=256),
    "large": Architecture(layers=3, units=768, embedding=384, head=384),
}


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
        Names as in `melodygru.model.keras_model`: `bag`, `gru/0/kernel` (or `lstm/0/...`), `head/shift/output/bias`, ...
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


def count_parameters(vocabulary: Vocabulary, architecture: Architecture) -> int:
    """Parameters of a model, without making it."""
    return sum(math.prod(shape) for _, shape in _places(vocabulary, architecture).values())


def count_shared_parameters(vocabulary: Vocabulary, embedding: int, head: int, width: int, deep: bool) -> int:
    """Parameters of the embeddings, and of the heads of a body that gives them `width` features."""
    return sum(math.prod(shape) for _, shape in _shared_places(vocabulary, embedding, head, width, deep).values())


def _shared_places(
    vocabulary: Vocabulary, embedding: int, head: int, width: int, deep: bool
) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Name of each weight of the bag and the heads -> Keras's group and the shape."""
    v = vocabulary
    places: dict[str, tuple[str, tuple[int, ...]]] = {"bag": ("bag/vars/0", (v.n_context_ids, embedding))}
    for field in v.fields:
        for part, group, inputs, outputs in (
            ("hidden", "hidden", width + embedding, head),
            ("output", "output_layer", head, v.n_outputs(field)),
            *([("second", "second", head, head)] if deep and field in DEEP else []),
        ):
            places[f"head/{field}/{part}/kernel"] = (f"head_{field}/{group}/vars/0", (inputs, outputs))
            places[f"head/{field}/{part}/bias"] = (f"head_{field}/{group}/vars/1", (outputs,))
        if field != "shift":
            places[f"head/{field}/bag"] = (f"head_{field}/bag/vars/0", (v.head_blocks(field)["end"], head))
    return places


def layer_group(cell: str, index: int) -> str:
    """Where the model keeps a recurrent layer: its attribute, and its group in the file.

    Keras files an attribute whose name sorts after `layers` under `layers/...`, by class and order instead: an
    LSTM's begins with another letter.
    """
    return f"gru_{index}" if cell == "gru" else f"cell_{index}"


def _places(vocabulary: Vocabulary, architecture: Architecture) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Name of each weight -> Keras's group and the shape."""
    a = architecture
    places = _shared_places(vocabulary, a.embedding, a.head, a.units, a.deep)
    gates = CELLS[a.cell] * a.units
    for layer in range(a.layers):
        # A GRU's input and recurrent part have a bias each.
        bias = (2, gates) if a.cell == "gru" else (gates,)
        shapes = ((a.units if layer else a.embedding, gates), (a.units, gates), bias)
        for index, part in enumerate(("kernel", "recurrent", "bias")):
            places[f"{a.cell}/{layer}/{part}"] = (f"{layer_group(a.cell, layer)}/cell/vars/{index}", shapes[index])
    return places


def _weights(file: Any, architecture: Architecture, vocabulary: Vocabulary) -> dict[str, np.ndarray]:
    """Keras's weight groups under this project's names; ValueError if one has not the size that the settings say."""
    places = _places(vocabulary, architecture)
    # NumPy widens float16 six times faster than HDF5 does.
    weights = {name: np.asarray(file[path]).astype(np.float32, copy=False) for name, (path, _) in places.items()}
    for name, (_, shape) in places.items():
        if weights[name].shape != shape:
            raise ValueError(f"{name} of shape {weights[name].shape}, expected {shape}")
    return weights
