"""How far a run is, how fast, and how it is asked to stop."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from melodygru.util.wording import left

TRACE_STEPS = 1  # steps not timed: TensorFlow traces in it
TIMED_STEPS = 12


@dataclass(frozen=True)
class Progress:
    """How far the updates of a run are; as text, a line for whoever watches."""

    stage: ClassVar[str] = "training"
    step: int
    steps: int | None  # None while the first steps are timed
    epoch: int  # from 0
    minutes: float  # trained so far
    minutes_left: float | None
    train_nats_per_note: float
    validation_nats_per_note: float | None  # of the last validation
    notes_per_second: float

    def __str__(self) -> str:
        """`step 120/900, 3:20 left, train 2.311, held out 2.412 nats per note, 5,300 notes/s, epoch 3`.

        What matters most comes first: a narrow terminal cuts the rest.
        """
        parts = [
            f"step {self.step:,}" + (f"/{self.steps:,}" if self.steps else ""),
            "time left unknown" if self.minutes_left is None else left(self.minutes_left * 60),
            f"train {self.train_nats_per_note:.3f}",
        ]
        if self.validation_nats_per_note is not None:
            parts.append(f"held out {self.validation_nats_per_note:.3f}")
        parts[-1] += " nats per note"
        parts += [f"{self.notes_per_second:,.0f} notes/s", f"epoch {self.epoch + 1}"]
        return ", ".join(parts)


@dataclass(frozen=True)
class Count:
    """How far a stage before or after the updates is: files read, notes judged. It begins with a total of 0."""

    stage: str
    done: int
    total: int

    def __str__(self) -> str:
        return f"{self.stage}: {self.done:,} of {self.total:,}" if self.total else self.stage


OnProgress = Callable[[Progress | Count], None]


class Timer:
    """Seconds per step and notes per second, over the steps after tracing."""

    def __init__(self) -> None:
        self._times: list[float] = []
        self._notes: list[int] = []

    def add(self, now: float, notes: int) -> None:
        """A step has ended `now`."""
        self._times.append(now)
        self._notes.append(notes)
        if len(self._times) > 400:
            del self._times[TRACE_STEPS + 1 : -200], self._notes[TRACE_STEPS + 1 : -200]

    @property
    def ready(self) -> bool:
        return len(self._times) > TRACE_STEPS + TIMED_STEPS

    @property
    def second_per_step(self) -> float:
        times = np.diff(self._times[TRACE_STEPS:])
        # The mean of all but the slowest: a validation or a new trace lies between some steps.
        return float(np.mean(np.sort(times)[: max(1, int(len(times) * 0.95))]))

    @property
    def notes_per_second(self) -> float:
        if len(self._times) < 2:
            return 0.0
        recent = slice(-min(50, len(self._times)), None)
        times, notes = self._times[recent], self._notes[recent]
        return sum(notes[1:]) / max(1e-9, times[-1] - times[0])


class stopping:
    """Within, Ctrl-C and SIGTERM call `stop(number)` instead of interrupting; a second Ctrl-C interrupts."""

    def __init__(self, stop: Callable[[int], None]) -> None:
        self._call = stop
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> None:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._handle)

    def _handle(self, number: int, _frame: Any) -> None:
        self._call(number)
        signal.signal(number, self._previous[number])

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
