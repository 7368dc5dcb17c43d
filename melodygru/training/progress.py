"""How far a run is, how fast, and how it is asked to stop."""

from __future__ import annotations

import signal
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from melodygru.util.wording import left

TRACE_STEPS = 1  # steps not timed: TensorFlow traces in it
TIMED_STEPS = 12
RECENT_STEPS = 200


@dataclass(frozen=True)
class Progress:
    """How far the updates of a run are; as text, a line for whoever watches."""

    stage: ClassVar[str] = "training"
    step: int
    steps: int | None  # None while the first steps are timed; with `minutes` as many as there will be at this speed
    epoch: int  # from 0
    minutes: float  # trained so far
    minutes_left: float | None  # until training ends; with `minutes` until all ends
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
    """Seconds per step, with all that lies between steps, and notes per second; of the last steps, after tracing."""

    def __init__(self) -> None:
        self.steps = 0
        self._times: deque[float] = deque(maxlen=RECENT_STEPS)
        self._notes: deque[int] = deque(maxlen=RECENT_STEPS)

    def add(self, now: float, notes: int) -> None:
        """A step has ended `now`."""
        self.steps += 1
        if self.steps >= TRACE_STEPS:
            self._times.append(now)
            self._notes.append(notes)

    @property
    def ready(self) -> bool:
        return self.steps > TRACE_STEPS + TIMED_STEPS

    @property
    def second_per_step(self) -> float:
        return (self._times[-1] - self._times[0]) / (len(self._times) - 1)

    @property
    def notes_per_second(self) -> float:
        if len(self._times) < 2:
            return 0.0
        return sum(list(self._notes)[1:]) / max(1e-9, self._times[-1] - self._times[0])


class Budget:
    """The wall time of a run that ends so many minutes after it began, whatever the machine does meanwhile.

    Parameters
    ----------
    minutes : from beginning to end
    started : what `clock` said at the beginning; default: now
    clock : seconds

    Attributes
    ----------
    reserve_s : kept back for what follows training
    spent_s : used by the parts of an interrupted run before this one
    """

    def __init__(
        self, minutes: float, started: float | None = None, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self.minutes, self.clock = minutes, clock
        self.reserve_s = self.spent_s = 0.0
        self._started = clock() if started is None else started

    @property
    def used_s(self) -> float:
        """Used so far."""
        return self.spent_s + self.clock() - self._started

    @property
    def left_s(self) -> float:
        """Left until the end; below 0 after it."""
        return self.minutes * 60 - self.used_s


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
