"""What the parent process and the process of a model exchange: the music, the task, the results."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from melodygru.events import Vocabulary
from melodygru.model.architecture import Architecture
from melodygru.music.grid import Grid
from melodygru.music.notes import NoteSequence
from melodygru.training.rivals.sizes import TransformerSizes

JOB = "job.json"  # in the job's folder, beside the two corpora
TRAIN, HELD_OUT = "train.npz", "held_out.npz"


@dataclass(frozen=True)
class Job:
    """What is the same for all models.

    Parameters
    ----------
    vocabulary : Vocabulary
    sizes : dict of a model's name -> its sizes
    styles : one for each training piece
    minutes : of training, each
    """

    vocabulary: Vocabulary
    sizes: dict[str, Architecture | TransformerSizes]
    styles: list[str | None]
    minutes: float
    seed: int

    def write(self, folder: Path, train: Iterable[NoteSequence], held_out: Iterable[NoteSequence]) -> None:
        """Put the job and its music into a folder."""
        write_pieces(folder / TRAIN, train)
        write_pieces(folder / HELD_OUT, held_out)
        values = {
            **vars(self),
            "vocabulary": self.vocabulary.as_dict(),
            "sizes": {name: dataclasses.asdict(sizes) for name, sizes in self.sizes.items()},
        }
        (folder / JOB).write_text(json.dumps(values), "utf-8")

    @classmethod
    def read(cls, folder: Path) -> Job:
        """The inverse of `write`, without the music."""
        values = json.loads((folder / JOB).read_text("utf-8"))
        kinds = {name: TransformerSizes if name == "transformer" else Architecture for name in values["sizes"]}
        return cls(
            **{
                **values,
                "vocabulary": Vocabulary.from_dict(values["vocabulary"]),
                "sizes": {name: kinds[name](**sizes) for name, sizes in values["sizes"].items()},
            }
        )


@dataclass(frozen=True)
class Result:
    """What was measured of a model.

    Attributes
    ----------
    name, sizes, parameters : which model
    device : what trained it
    minutes, steps, epochs : of training
    learning_rate : at its height
    nats_per_note : of all held-out pieces, under the weights that are best in `history`
    history : (minutes, held-out nats per note) as training went on
    training_notes_per_second : the median over training, validations included
    sampling_us_per_note : microseconds to compose a note of a single piece, with the step in NumPy
    memory_bytes, memory_before_bytes : of the process, at its highest in training, and with TensorFlow loaded
        before there was a model; None where the system does not say
    """

    name: str
    sizes: dict[str, Any]
    parameters: int
    device: str
    minutes: float
    steps: int
    epochs: int
    learning_rate: float
    nats_per_note: float
    training_notes_per_second: float
    sampling_us_per_note: float
    memory_bytes: int | None
    memory_before_bytes: int | None
    history: list[tuple[float, float]] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """All of it as plain values."""
        return dataclasses.asdict(self)


def write_pieces(path: Path, pieces: Iterable[NoteSequence]) -> None:
    """Write pieces of one grid to an .npz file, their arrays one after the other."""
    kept = list(pieces)
    arrays: dict[str, np.ndarray] = {
        "grid": np.frombuffer(str(kept[0].grid).encode(), np.uint8),
        "lengths": np.array([piece.length for piece in kept], np.int64),
    }
    for name in ("notes", "tempos", "metres"):
        parts = [getattr(piece, name) for piece in kept]
        arrays[name] = np.concatenate(parts)
        arrays[f"{name}_stop"] = np.cumsum([len(part) for part in parts])
    np.savez(path, allow_pickle=False, **arrays)


def read_pieces(path: Path) -> Sequence[NoteSequence]:
    """The pieces of `write_pieces`."""
    with np.load(path, allow_pickle=False) as saved:
        grid = Grid.parse(saved["grid"].tobytes().decode())
        columns = [np.split(saved[name], saved[f"{name}_stop"][:-1]) for name in ("notes", "tempos", "metres")]
        lengths = saved["lengths"].tolist()
    return [
        NoteSequence(notes, grid, length, tempos, metres)
        for length, notes, tempos, metres in zip(lengths, *columns, strict=True)
    ]
