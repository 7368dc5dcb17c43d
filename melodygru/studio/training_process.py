"""`python -m melodygru.studio.training_process RUN`: one training of the studio, in a process that outlives it.

RUN/run.json        the folder of MIDI files and the options
RUN/progress.json   how far it is, written now and then
RUN/model.keras     the best model so far; .resume, .csv and .png lie beside it
RUN/.running        held while it runs
RUN/log.txt         what it said
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from melodygru.errors import MelodyGruError, TrainingError
from melodygru.training.progress import Count, Progress
from melodygru.training.run import train
from melodygru.training.settings import TrainSettings
from melodygru.util.atomic import atomic_write
from melodygru.util.locks import Held, held
from melodygru.util.wording import one_line

EVERY_S = 0.5
LOWER_PRIORITY = 5  # so that the studio answers while it trains
MODEL, RUN, PROGRESS, RUNNING = "model.keras", "run.json", "progress.json", ".running"


class _Reporter:
    """Writes how far a run is."""

    def __init__(self, run: Path, epochs: float | None) -> None:
        self._path = run / PROGRESS
        self._values: dict[str, Any] = {"state": "running", "words": "starting", "curve": [], "epochs": epochs}
        if self._path.exists():  # of the part before a pause
            self._values = {**self._values, "curve": json.loads(self._path.read_text("utf-8")).get("curve", [])}
        self._written_s = -EVERY_S

    def show(self, progress: Progress | Count) -> None:
        """How far it is."""
        values = self._values
        values["words"] = str(progress)
        if isinstance(progress, Progress):
            values["epoch"] = progress.epoch + 1
            left = progress.minutes_left
            values["seconds_left"] = None if left is None else round(left * 60, 1)
            if progress.steps:
                values["share"] = progress.step / progress.steps
            found = progress.validation_nats_per_note
            if found is not None and (not values["curve"] or values["curve"][-1][2] != round(found, 5)):
                row = [progress.epoch + 1, round(progress.train_nats_per_note, 5), round(found, 5)]
                values["curve"] = [*values["curve"], row]
        if time.monotonic() - self._written_s >= EVERY_S:
            self.write()

    def end(self, state: str, words: str, **more: Any) -> None:
        """How it ended."""
        self._values |= {"state": state, "words": words, "seconds_left": 0 if state == "done" else None, **more}
        self.write()

    def write(self) -> None:
        self._written_s = time.monotonic()
        with atomic_write(self._path, TrainingError) as aside:
            aside.write_text(json.dumps(self._values))


def main(run: Path) -> int:
    """Train as a run's folder says; the exit code."""
    about = json.loads((run / RUN).read_text("utf-8"))
    output = run / MODEL
    resume = output.with_suffix(".resume").exists()
    options = {**about["options"], "output": output, "resume": resume, "force": not resume}
    if isinstance(options.get("metre"), list):
        options["metre"] = tuple(options["metre"])
    with held(run / RUNNING):
        reporter = _Reporter(run, about["options"].get("epochs"))
        reporter.write()
        try:
            result = train(about["folder"], TrainSettings(**options), on_progress=reporter.show, on_message=_say)
        except MelodyGruError as error:
            reporter.end("failed", one_line(error))
            return error.exit_code
        except Exception as error:
            reporter.end("failed", f"unexpected error ({type(error).__name__}: {one_line(error)}); log.txt says more")
            raise
        if result.interrupted_by is not None:
            reporter.end("paused", "saved; it goes on where it was")
            return 0
        found = result.held_out
        judged = "" if found is None else f": held out {found.nats_per_note:.3f} nats a note"
        reporter.end("done", f"trained{judged}", share=1.0)
    return 0


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    os.environ.update(KERAS_BACKEND="tensorflow", MPLBACKEND="Agg")
    if hasattr(os, "nice"):
        os.nice(LOWER_PRIORITY)
    try:
        sys.exit(main(Path(sys.argv[1])))
    except Held as already:
        sys.exit(f"process {already.process} runs it already")
