"""The run itself: steps, validation, what is saved and how it goes on."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import platform
import signal
import threading
import time
import zlib
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, BinaryIO

import keras
import numpy as np
import tensorflow as tf

from melodygru.errors import TrainingError
from melodygru.events import Events
from melodygru.model.checkpoint import as_settings
from melodygru.model.keras_model import MelodyGRU, save
from melodygru.model.where import on_gpu
from melodygru.training.batches import Batch
from melodygru.training.dropout import seed_generators, seeded
from melodygru.training.encoders import Encoders
from melodygru.training.evaluation import Evaluation, evaluate, nats_by_style, window_signature
from melodygru.training.feeding import as_tensors, begun, prefetch
from melodygru.training.history import History
from melodygru.training.optimizer import AveragedAdamW
from melodygru.training.pace import Pace, validation_interval
from melodygru.training.pieces import Music, Pieces
from melodygru.training.position import Position
from melodygru.training.progress import TRACE_STEPS, Budget, Progress, Timer, stopping
from melodygru.training.settings import Settings, learning_rate
from melodygru.training.workers import Workers
from melodygru.util import archives
from melodygru.util.atomic import atomic_write
from melodygru.util.files import open_regular
from melodygru.util.schema import record
from melodygru.version import __version__

PLAN = 2  # of the way in which an epoch becomes batches: a run that was interrupted in another can't go on in this one


class Trainer:
    """One training run, which can be interrupted at any moment and resumed.

    Made in the scope of a `tf.distribute` strategy, as its model is, the run is shared by the strategy's devices, or by
    several processes: each makes the same Trainer and calls the same methods. The chief alone writes files and reports
    progress; likelihoods, weights and the end of the run are the same for all.

    Parameters
    ----------
    model : MelodyGRU
    train : (sequence of NoteSequence on the vocabulary's grid, sequence of their styles)
    validation : sequence of NoteSequence, likewise; judged with their conditions unknown. All of them, or a seeded
        sample of as many as `minutes` leave time for; the same pieces in every validation
    settings : Settings
    output : Path
        The best checkpoint so far; beside it lie `<stem>.resume` while the run is unfinished, and `<stem>.csv`.
    card : dict
        Goes into the checkpoint, with the history and what else the run knows.
    log_dir : Path, optional
        Where TensorBoard's logs go.
    budget : Budget, optional
        The time in which a run of `minutes` has to end, with what came before training and what follows it; default:
        it begins with `run`, and nothing follows.
    """

    def __init__(
        self,
        model: MelodyGRU,
        train: tuple[Music, Sequence[str | None]],
        validation: Music,
        settings: Settings,
        output: Path,
        card: dict[str, Any] | None = None,
        log_dir: Path | None = None,
        budget: Budget | None = None,
    ) -> None:
        self.model, self.settings, self.output = model, settings, output
        self.workers = Workers()
        self.card = dict(card or {})
        self.pieces = Pieces(*train, model.vocabulary, settings)
        self.validation = validation
        self._held_out_styles = [one.style for one in getattr(validation, "pieces", ())] or [None] * len(validation)
        self._piece_nats: list[tuple[float, float] | None] = []
        # The order in which pieces are left out where time is short.
        self._validation_order = np.random.default_rng([settings.seed, 7]).permutation(len(validation)).tolist()
        self._validation_events = np.array([len(validation[i].notes) + 1 for i in self._validation_order], np.int64)
        self.budget = budget
        self.clock = budget.clock if budget else time.perf_counter
        self.position = Position()
        self.optimizer = AveragedAdamW(model.trainable_variables, settings.weight_decay)
        self.state = model.initial_state(1)
        self._generators = seed_generators(model)
        scalars = [tf.TensorSpec([], dtype) for dtype in (tf.int32, tf.float32, tf.float32)]
        self._step = tf.function(self._train_step, input_signature=[*window_signature(model), *scalars])
        self._log = History(output.with_suffix(".csv"), log_dir) if self.workers.is_chief else None
        # The nats of steps that the device may still be at: while it is at one it is given the next.
        self._awaited: list[tf.Tensor] = []
        self._ahead = int(on_gpu())
        self._lets_rows_go = self.workers.replicas == 1 and not on_gpu()  # replicas share rows, a GPU has many
        self._stop = threading.Event()
        self.stopped_by: int | None = None  # the signal that stopped the run
        self._plan: list[Batch] = []
        self._planned_epoch = -1
        self._saved_step = 0
        self._pace: Pace | None = None  # with `minutes`
        self._epoch_steps = self.pieces.steps(0)
        with self.workers.watched(lambda: "at the start"):
            self.workers.require_same(self._digests())

    @property
    def held_out(self) -> Evaluation:
        """How well the best weights so far, as they are saved, predict the pieces that the run is judged by."""
        assert self.position.found is not None
        return Evaluation(**self.position.found)

    @property
    def resume_path(self) -> Path:
        return self.output.with_suffix(".resume")

    def _train_step(self, inputs, state, step, rate, decay):
        """One update; returns the window's nats, over all workers, and the state of this one's rows at its end."""
        return self.workers.run(self._replica_step, inputs, state, step, rate, decay)

    def _replica_step(self, replica, inputs, state, step, rate, decay):
        """A replica's part of an update: its rows' gradients, then the update that is the same on all."""
        scale = 1024.0 if self.settings.mixed_precision else 1.0  # keeps small float16 gradients from vanishing
        variables = self.model.trainable_variables
        drawn = seeded(self._generators, self.settings.seed, step * self.workers.replicas + replica)
        with tf.GradientTape() as tape, drawn:
            log_p, state = self.model.log_likelihood(inputs, state, training=True)
            nats = -tf.reduce_sum(log_p)
            # Per event of the nominal batch, not per note of this window: each note weighs the same.
            loss = nats / (self.settings.batch * self.settings.window) * scale
        gradient = self.optimizer.join(tape.gradient(loss, variables)) / scale
        nats, gradient = self.workers.sum([nats, gradient])
        norm = tf.norm(gradient)
        gradient *= self.settings.clip / tf.maximum(norm, self.settings.clip)
        if self.settings.mixed_precision:
            # A gradient beyond float16 moves nothing; no branch, in which replicas could not update together.
            finite = tf.math.is_finite(norm)
            gradient = tf.where(finite, gradient, 0.0)
            rate = tf.where(finite, rate, 0.0)
        self.optimizer.apply(gradient, step, rate, decay)
        return nats, state

    # -- saving and restoring

    def _arrays(self) -> list[Any]:
        return [*self.model.trainable_variables, *self.optimizer.state]

    def save_state(self) -> None:
        """Save all that the run depends on, in one atomic write; the file is the same however many share the run."""
        state = self._whole_state()
        self._saved_step = self.position.step
        if not self.workers.is_chief:
            return
        arrays = {f"array_{i}": np.asarray(v) for i, v in enumerate(self._arrays())}
        arrays |= {f"state_{i}": s for i, s in enumerate(state)}
        if self.budget is not None:
            self.position.spent_s = self.budget.used_s
        about = {"position": dataclasses.asdict(self.position), "run": self._identity()}
        arrays["about"] = np.frombuffer(json.dumps(about).encode(), np.uint8)
        with atomic_write(self.resume_path, TrainingError, make_folder=True) as aside, open(aside, "wb") as file:
            np.savez(file, allow_pickle=False, **arrays)

    def _whole_state(self) -> list[np.ndarray]:
        """The carried state of all rows of the current batch, or of none between batches."""
        rows = len(self._batch()) if self.position.window else 0
        start, stop = self.workers.rows(rows)
        whole = []
        for part in self.state:
            mine = np.asarray(part)
            all_rows = np.zeros((self.workers.n * (stop - start), *mine.shape[1:]), mine.dtype)
            all_rows[start : start + min(len(mine), stop - start)] = mine[: stop - start]
            whole.append(self.workers.total(all_rows)[:rows])
        return whole

    def _identity(self) -> dict[str, Any]:
        """What a resumed run must agree in, as plain values."""
        settings = as_settings(self.model.vocabulary, self.model.architecture, {})
        settings["settings"] = dataclasses.asdict(self.settings)
        settings["corpus"] = self.card.get("corpus")
        settings["batches"] = PLAN
        return json.loads(json.dumps(settings))

    def _digests(self) -> dict[str, int]:
        """What all workers must agree in: a number for each part of it."""
        parts = {name: json.dumps(value).encode() for name, value in self._identity().items() if name != "card"}
        parts["held-out music"] = b"".join(self.validation[i].notes.tobytes() for i in range(len(self.validation)))
        parts["version of melodygru"] = __version__.encode()
        parts["weights"] = b"".join(np.asarray(v).tobytes() for v in self.model.trainable_variables)
        return {name: zlib.crc32(part) for name, part in parts.items()}

    def restore(self) -> None:
        """Go on where the saved run stopped.

        Raises
        ------
        TrainingError
            There is no saved run, it is damaged, or it was made with other settings or another corpus.
        """
        with self.workers.watched(lambda: "not resumed"):
            saved = self._saved() if self.workers.is_chief else None
            about = saved and json.dumps([dataclasses.asdict(saved[0]), [s.shape for s in saved[2]]])
            position, shapes = json.loads(self.workers.share(about))
            for index, variable in enumerate(self._arrays()):
                mine = saved[1][index] if saved else np.zeros_like(np.asarray(variable))
                variable.assign(self.workers.total(mine))
            self.position = Position(**position)
            if self.budget is not None:
                self.budget.spent_s = self.position.spent_s
            self._saved_step = self.position.step
            self.state = []
            for index, (shape, part) in enumerate(zip(shapes, self.model.initial_state(1), strict=True)):
                start, stop = self.workers.rows(shape[0])
                dtype = part.dtype.as_numpy_dtype
                whole = self.workers.total(saved[2][index] if saved else np.zeros(shape, dtype))
                mine = whole[start:stop]
                padding = [(0, stop - start - len(mine))] + [(0, 0)] * (whole.ndim - 1)
                self.state.append(tf.constant(np.pad(mine, padding), dtype))
        if self._log is not None:
            self._log.restart(self.position.history)

    def _saved(self) -> tuple[Position, list[np.ndarray], list[np.ndarray]]:
        """What the resume file holds: the position, the arrays of `_arrays`, and the carried state of all rows."""
        try:
            with open_regular(self.resume_path) as file:
                return self._read(file)
        except FileNotFoundError:
            done = " (the run is finished: the checkpoint is there)" if self.output.exists() else ""
            raise TrainingError(f"{self.resume_path}: nothing to resume{done}; train without --resume") from None
        except (*archives.DAMAGED, AttributeError) as error:
            raise TrainingError(f"{self.resume_path}: damaged ({error}); train without --resume") from error

    def _read(self, file: BinaryIO) -> tuple[Position, list[np.ndarray], list[np.ndarray]]:
        """As `_saved`, of the open file; nothing of it is believed that is not of this run's sizes."""
        size = os.fstat(file.fileno()).st_size
        about = archives.parsed(
            archives.arrays(file, {"about": (np.dtype(np.uint8), (None,))}, size)["about"].tobytes()
        )
        run, position = about["run"], about["position"]
        record(Position).read(position, "position")
        differing = [name for name, value in self._identity().items() if run.get(name) != value]
        if differing:
            raise TrainingError(
                f"{self.resume_path}: the interrupted run differs in {' and '.join(differing)}; "
                "give the same folder and options as then, or train without --resume"
            )
        batches = self.pieces.plan(position["epoch"])[position["batch"] :]
        if not batches or position["window"] >= batches[0].windows:
            raise ValueError("its position is beyond the epoch")
        forms = {f"array_{i}": (np.asarray(v).dtype, np.shape(v)) for i, v in enumerate(self._arrays())}
        states = [f"state_{i}" for i in range(len(self.state))]
        rows = zip(states, self.model.initial_state(1), strict=True)
        forms |= {n: (np.dtype(p.dtype.as_numpy_dtype), (None, *(k or None for k in p.shape[1:]))) for n, p in rows}
        found = archives.arrays(file, forms, size)
        for name, array in found.items():
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                raise ValueError(f"{name} is not finite")
        if {len(found[name]) for name in states} != {len(batches[0]) if position["window"] else 0}:
            raise ValueError("its states are not those of its batch's rows")
        return Position(**position), [found[name] for name in forms if name not in states], [found[n] for n in states]

    # -- the loop

    def stop(self, signal_number: int | None = None) -> None:
        """Ask the run to save its state and end after the current step; `stopped_by` keeps the signal's number."""
        self.stopped_by = signal_number
        self._stop.set()

    def run(
        self,
        on_progress: Callable[[Progress], None] | None = None,
        save_every_s: float = 60.0,
        on_judging: Callable[[int, int], None] | None = None,
    ) -> bool:
        """Train until the end, or until stopped (Ctrl-C and SIGTERM stop; then the result is False).

        At the end `output` holds the best checkpoint, judged by validation: `held_out` says how good it is.

        Parameters
        ----------
        on_progress : called twice a second, and with the last step
        on_judging : called with (done, total) notes of a validation as it goes on

        Raises
        ------
        TrainingError
            The likelihood became infinite or none, or another worker is gone.
        """
        position, settings, clock = self.position, self.settings, self.clock
        alone = self.workers.n == 1
        if settings.minutes is not None and self.budget is None:
            self.budget = Budget(settings.minutes, clock=clock)
            self.budget.spent_s = position.spent_s
        self._pace = Pace(self.budget, settings, self._validation_events) if self.budget else None
        encoders = Encoders.for_device(self.pieces, on_gpu())
        with stopping(self.stop), self.workers.watched(self._standing), encoders:
            if settings.epochs is not None:
                position.judged = len(self.validation)
                if position.steps is None:
                    position.steps = max(1, round(settings.epochs * self._epoch_steps))
            self._settle_transposition()
            timer = Timer()
            started, before = clock(), position.seconds
            last_saved = last_shown = started
            # The resume file exists from the first moment on: whatever happens, --resume finds a run.
            self.save_state()
            rows_of = (lambda _: None) if self._lets_rows_go else self.workers.rows
            windows = encoders.windows(position.epoch, position.batch, position.window, rows_of)
            for inputs, begins, notes in prefetch(map(as_tensors, windows)):
                self.state = begun(self.state, begins) if position.window else self.model.initial_state(len(begins))
                rate = learning_rate(settings, position.step, position.steps)
                decay = self._decay()
                nats, self.state = self._step(inputs, self.state, *map(tf.constant, (position.step, rate, decay)))
                self._awaited.append(nats)
                self._await(self._ahead)
                now = clock()
                position.seconds = before + now - started
                save_due = now - last_saved > save_every_s
                notes, save_due, asked = self._agreed(notes, save_due)
                position.recent[1] += notes
                timer.add(now, notes)
                if timer.steps == TRACE_STEPS:
                    position.traced_s += now - started
                self._advance()
                judge = self._plan_ahead(timer)
                finished = position.steps is not None and position.step >= position.steps
                if finished or judge:
                    self._await()
                    finished |= self._validate(rate, on_judging)
                if on_progress is not None and self.workers.is_chief and (now - last_shown > 0.5 or finished):
                    on_progress(self._progress(timer))
                    last_shown = now
                if finished:
                    break
                if save_due or asked or (alone and self._stop.is_set()):
                    self._await()
                    self.save_state()
                    last_saved = now
                if asked or (alone and self._stop.is_set()):
                    return False
        if self._log is not None:
            self._log.close()
            self.resume_path.unlink(missing_ok=True)
        return True

    def _await(self, ahead: int = 0) -> None:
        """Count the nats of all steps but the last `ahead`, as soon as they are there."""
        while len(self._awaited) > ahead:
            nats = float(self._awaited.pop(0))
            self.position.recent[0] += nats
            if not math.isfinite(nats):
                became = f"the likelihood became {nats} at step {self.position.step - ahead}"
                raise TrainingError(f"{became}: try a lower --learning-rate")

    def _agreed(self, notes: int, save_due: bool) -> tuple[int, bool, bool]:
        """After a step: the notes of all workers, whether the chief's save is due, whether any was asked to stop."""
        if self.workers.n == 1:
            return notes, save_due, False
        stop, terminate = self._stop.is_set(), self.stopped_by == signal.SIGTERM
        mine = [notes, stop, stop and terminate, save_due and self.workers.is_chief]
        notes, stop, terminate, save_due = self.workers.total(np.array(mine, np.int64)).tolist()
        if stop:
            self.stop(signal.SIGTERM if terminate else signal.SIGINT)
        return notes, bool(save_due), bool(stop)

    def _plan_ahead(self, timer: Timer) -> bool:
        """After a step: see how many there will be, with `minutes`; returns whether a validation is due."""
        position = self.position
        if self._pace is None:
            assert position.steps is not None
            return position.step % validation_interval(position.steps, self.settings, self._events_held_out()) == 0
        plan = 0, 0, False
        if self.workers.is_chief:  # whose clock counts
            plan = self._pace.after(position.step, timer, position.seconds, position.traced_s, position.judged)
        steps, position.judged, due = self.workers.total(np.array(plan, np.int64)).tolist()
        position.steps = steps or None
        self._settle_transposition()
        return bool(due)

    def _events_held_out(self) -> int:
        """Events of the pieces that the run is judged by."""
        return int(self._validation_events[: self.position.judged].sum())

    def _standing(self) -> str:
        """Where a run that cannot go on stands."""
        return f"stopped at step {self.position.step:,}, saved at step {self._saved_step:,}"

    def _settle_transposition(self) -> None:
        """Once the run's length is known, so is the epoch from which pieces stand as they are."""
        if self.position.steps is not None and self.settings.transpose_until < 1:
            epochs = self.position.steps / self._epoch_steps
            self.pieces.transposed_epochs = round(self.settings.transpose_until * epochs)

    def _advance(self) -> None:
        """Count one window on."""
        position = self.position
        position.step += 1
        position.window += 1
        if position.window == self._batch().windows:
            position.batch, position.window = position.batch + 1, 0
            if position.batch == len(self._plan):
                position.epoch, position.batch = position.epoch + 1, 0

    def _batch(self) -> Batch:
        if self._planned_epoch != self.position.epoch:
            self._plan, self._planned_epoch = self.pieces.plan(self.position.epoch), self.position.epoch
        return self._plan[self.position.batch]

    def _decay(self) -> float:
        """The moving average's decay: reaches back a share of the run, less at its beginning."""
        step = self.position.step
        horizon = max(10.0, self.settings.average * (self.position.steps or 300))
        return min(1 - 1 / horizon, (step + 1) / (step + 10))

    def _validate(self, rate: float, on_judging: Callable[[int, int], None] | None = None) -> bool:
        """Judge the averaged weights, keep the best; returns whether patience is at its end."""
        position, started = self.position, self.clock()
        variables = self.model.trainable_variables
        current = [v.numpy() for v in variables]
        for variable, average in zip(variables, self.optimizer.averages(), strict=True):
            variable.assign(average.astype(np.float16))  # as they are saved
        found = self._judge(on_judging)
        nats, notes = position.recent
        row = {
            "step": position.step,
            "minutes": position.seconds / 60,
            "train_nats_per_note": nats / max(1.0, notes),
            "validation_nats_per_note": found.nats_per_note,
            "learning_rate": rate,
        }
        position.recent = [0.0, 0.0]
        position.history.append(row)
        if self._log is not None:
            self._log.add(row)
        if found.nats_per_note < position.best:
            position.best, position.since_best = found.nats_per_note, 0
            position.found = dataclasses.asdict(found)
            if self.workers.is_chief:
                save(self.model, self.output, self._card(), float16=True)
        else:
            position.since_best += 1
        for variable, value in zip(variables, current, strict=True):
            variable.assign(value)
        if self._pace is not None:
            self._pace.judging_s.append(self.clock() - started)
        return 0 < self.settings.patience <= position.since_best

    def _judge(self, on_judging: Callable[[int, int], None] | None) -> Evaluation:
        """The likelihood of the pieces that the run is judged by; each worker judges its share."""
        pieces = self._validation_order[: self.position.judged]
        done, total = 0, self._events_held_out()
        nats: list[tuple[str | None, float]] = []  # of each piece: its style, nats a note

        def on_piece(index: int, _piece: object, events: Events, log_p: np.ndarray) -> None:
            nonlocal done
            done += self.workers.n * len(events)
            nats.append((self._held_out_styles[index], -float(log_p.sum(dtype=np.float64)) / max(1, len(events) - 1)))
            if on_judging is not None and self.workers.is_chief:
                on_judging(min(done, total), total)

        mine = evaluate(
            self.model, self.validation, on_piece=on_piece, indices=pieces[self.workers.index :: self.workers.n]
        )
        self._piece_nats = nats_by_style(nats, self.model.vocabulary.styles)
        numbers = {name: value for name, value in vars(mine).items() if isinstance(value, (int, float))}
        sums = self.workers.total(np.array(list(numbers.values()), np.float64)).tolist()
        summed: dict[str, Any] = {
            name: type(value)(of_all) for (name, value), of_all in zip(numbers.items(), sums, strict=True)
        }
        return dataclasses.replace(mine, **summed)

    def _card(self) -> dict[str, Any]:
        told = "validation" in self.card
        return {
            **self.card,
            "history": self.position.history,
            "settings": dataclasses.asdict(self.settings),
            **({"validation": {**self.card["validation"], "judged": self.position.judged}} if told else {}),
            "validation_nats_per_note": self.position.best,
            "piece_nats": self._piece_nats,
            "recorded": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "versions": {
                "melodygru": __version__,
                "tensorflow": tf.__version__,
                "keras": keras.__version__,
                "numpy": np.__version__,
                "python": platform.python_version(),
            },
        }

    def _progress(self, timer: Timer) -> Progress:
        position = self.position
        left = None
        if self.budget is not None:
            left = self.budget.left_s / 60 if timer.ready else None
        elif position.steps is not None and timer.ready:
            left = (position.steps - position.step) * timer.second_per_step / 60
        nats, notes = position.recent
        return Progress(
            step=position.step,
            steps=position.steps,
            epoch=position.epoch,
            minutes=position.seconds / 60,
            minutes_left=left,
            train_nats_per_note=nats / notes if notes else position.history[-1]["train_nats_per_note"],
            validation_nats_per_note=position.history[-1]["validation_nats_per_note"] if position.history else None,
            notes_per_second=timer.notes_per_second,
        )
