"""The history of a run on disk."""

from __future__ import annotations

import csv
from pathlib import Path

import tensorflow as tf

from melodygru.errors import TrainingError
from melodygru.util.atomic import atomic_write


class History:
    """The history as a CSV file, and for TensorBoard when a folder is given."""

    def __init__(self, path: Path, log_dir: Path | None) -> None:
        self.path = path
        self._rows: list[dict[str, float]] = []
        self._writer = tf.summary.create_file_writer(str(log_dir)) if log_dir else None

    def restart(self, rows: list[dict[str, float]]) -> None:
        """Begin with the rows of the interrupted run."""
        self._rows = list(rows)

    def add(self, row: dict[str, float]) -> None:
        """Write one more row."""
        self._rows.append(row)
        with atomic_write(self.path, TrainingError, make_folder=True) as aside, open(aside, "w", newline="") as file:
            writer = csv.DictWriter(file, list(row))
            writer.writeheader()
            writer.writerows(self._rows)
        if self._writer is not None:
            with self._writer.as_default(step=int(row["step"])):
                for name, value in row.items():
                    tf.summary.scalar(name, value)
            self._writer.flush()

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
