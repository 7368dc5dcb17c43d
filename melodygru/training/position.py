"""Where a run stands."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from melodygru.model.card import HISTORY_ROW
from melodygru.training.evaluation import Evaluation
from melodygru.util.schema import Integer, Number, Optional, Row, Rows, entry, record


@dataclass
class Position:
    """Where a run stands; saved and restored as plain values."""

    step: int = entry(Integer(), default=0)
    steps: int | None = entry(Optional(Integer()), default=None)
    epoch: int = entry(Integer(), default=0)
    batch: int = entry(Integer(), default=0)  # of the epoch's plan
    window: int = entry(Integer(), default=0)  # of the batch, the next to train on
    seconds: float = entry(Number(0), default=0.0)  # trained, interruptions left out
    traced_s: float = entry(Number(0), default=0.0)  # of `seconds`, those in which TensorFlow traced
    spent_s: float = entry(Number(0), default=0.0)  # of the minutes asked for, with all that came before training
    judged: int = entry(Integer(), default=0)  # held-out pieces that the run is judged by, 0 until that is settled
    best: float = entry(Number(infinite=True), default=math.inf)
    found: dict[str, Any] | None = entry(Optional(record(Evaluation)), default=None)  # with the best weights
    since_best: int = entry(Integer(), default=0)
    # nats and notes since the last history row
    recent: list[float] = entry(Row(Number(), Number()), default_factory=lambda: [0.0, 0.0])
    history: list[dict[str, float]] = entry(Rows(HISTORY_ROW), default_factory=list)
