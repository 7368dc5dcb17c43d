"""How many steps fit into the minutes of a run, and when it is judged, as steps and validations take their time."""

from __future__ import annotations

import numpy as np

from melodygru.training.progress import TRACE_STEPS, Budget, Timer
from melodygru.training.settings import Settings

VALIDATIONS = (3, 24)  # during a run, at least and at most; with `minutes` 2 at least, where there is time for 2
VALIDATION_SHARE = 0.15  # events of validations per event of training, at most; one costs a third as much
VALIDATION_TIME = 0.05  # share of `minutes` that all validations take, and the longest that one may
JUDGING = 0.5  # time that an event takes to judge over that to learn, at most; it is about a third
MARGIN = 1.2  # of the time kept back for the last validation over that of the one before


def validation_interval(steps: int, settings: Settings, events: int) -> int:
    """Steps from one validation to the next in a run of so many steps; a validation judges so many events."""
    affordable = int(VALIDATION_SHARE * steps * settings.batch * settings.window / max(1, events))
    return max(1, steps // min(max(affordable, VALIDATIONS[0]), VALIDATIONS[1]))


class Pace:
    """The pace of a run that ends with its budget.

    The share of its time that is over is taken for that of its steps: so the learning rate falls to 0 at the end,
    however fast the machine is meanwhile.

    Parameters
    ----------
    budget : Budget
    settings : Settings
    events : of each held-out piece, in the order in which they are judged where time is short

    Attributes
    ----------
    judging_s : what each validation took
    """

    def __init__(self, budget: Budget, settings: Settings, events: np.ndarray) -> None:
        self.budget, self._events = budget, np.cumsum(events)
        self._batch_events = settings.batch * settings.window
        self.judging_s: list[float] = []
        self._next = 0.0  # share of the time at which the next validation is due

    def after(self, step: int, timer: Timer, seconds: float, traced_s: float, judged: int) -> tuple[int, int, bool]:
        """What follows from the time after a step.

        Parameters
        ----------
        step : steps done
        seconds, traced_s : of training so far, with all between steps, and those of them in which TensorFlow traced
        judged : held-out pieces that the run is judged by, 0 until that is settled

        Returns
        -------
        steps, judged, due
            Steps in all, 0 while that is unknown; `step` when the time is over. Likewise pieces, at least 1 at the end.
            And whether a validation is due.
        """
        left_s = self.budget.left_s - self.budget.reserve_s
        seconds -= traced_s
        if timer.ready and not judged:
            judged = len(self._events)
            while judged > 1 and self._to_judge_s(timer, 0.0, judged) > VALIDATION_TIME * (seconds + left_s):
                judged //= 2
        left_s -= MARGIN * self._to_judge_s(timer, traced_s, max(1, judged))
        if left_s <= 0:
            return step, max(1, judged), False
        if not timer.ready:
            return 0, judged, False
        in_all = seconds + left_s
        share = seconds / in_all
        # Tracing, which the first has in it, comes once.
        each_s = min(self.judging_s, default=self._to_judge_s(timer, 0.0, judged))
        interval = min(max(1 / VALIDATIONS[1], each_s / in_all / VALIDATION_TIME), 0.5)
        self._next = self._next or share + interval
        due = share >= self._next
        if due:
            self._next = share + interval
        return max(step + 1, round(step / share)), judged, due

    def _to_judge_s(self, timer: Timer, traced_s: float, pieces: int) -> float:
        """What a validation takes: as long as the last, or what follows from the time of a step and of tracing."""
        if self.judging_s:
            return self.judging_s[-1]
        step_s = timer.second_per_step if timer.steps > TRACE_STEPS else 0.0
        return JUDGING * (traced_s + step_s / self._batch_events * float(self._events[pieces - 1]))
