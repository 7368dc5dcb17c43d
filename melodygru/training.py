"""Training: batches of similar pieces, schedule, validation, resume, fine-tuning; and exact evaluation.

A run is a function of (corpus, settings, seed): the order of pieces, their transposition and stretch follow from
(seed, epoch, piece), dropout from (seed, step). All else that a run depends on (weights, their average, the
optimiser, the carried state, the step) is saved, so that an interrupted run that is resumed ends in the same
weights as an undisturbed one (on one machine, with the same versions and number of threads).
"""

from __future__ import annotations

import csv
import dataclasses
import json
import math
import os
import platform
import signal
import threading
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from melodygru import __version__
from melodygru.checkpoint import Architecture, as_settings
from melodygru.errors import SettingError, TrainingError
from melodygru.events import INPUTS, PITCH, Events, Vocabulary, encode
from melodygru.files import written_aside
from melodygru.model import EventModel, MelodyGRU, load_model, save
from melodygru.notes import DRUMS, N_PITCHES, Grid, NoteSequence, canonical, transpose

UNKNOWN_SHARE = 0.2  # how often a piece condition is hidden in training, so that "unknown" is learned too
VALIDATION_EVENTS = 24_000  # heard at most for one figure during training; the final figure hears all
VALIDATIONS = (3, 24)  # figures taken during a run, at least and at most
VALIDATION_SHARE = 0.15  # events heard in validation per event heard in training, at most; they cost a third each
VALIDATION_TIME = 0.05  # share of `minutes` that validation is expected to take
EPOCHS = 40  # that a small corpus is heard; from SMALL notes on it falls with their number to the power of SATED
SMALL, SATED = 50_000, 0.35
ONE_KEY_FROM = 0.6  # share of the run after which a corpus in one key stands in it
FEWEST_STEPS = 200  # of a run whose length follows from the corpus
LENGTH_JITTER = 0.2  # pieces of lengths within about this factor share a batch
SAMPLED_EVENTS = 50_000  # that a new model's first biases are counted from
TRACE_STEPS = 3  # steps not timed: TensorFlow traces in them
TIMED_STEPS = 12


@dataclass(frozen=True)
class Settings:
    """Everything that a training run depends on beside the corpus and the architecture.

    Parameters
    ----------
    epochs, minutes : one of them is given; minutes become a number of steps once, after the first steps were timed
    batch, window : pieces heard at once, and events heard between updates (state is carried over windows)
    learning_rate : at its height; warmed up linearly over `warmup` steps, then a half cosine down to 0
    weight_decay : AdamW's, on matrices
    clip : bound of the global gradient norm
    average : the weights' moving average reaches back this share of the run
    transpose : pieces are moved by a random number of semitones up to this, as far as the corpus' range allows
    transpose_until : share of the run after which pieces stand as they are; a corpus in one key ends in that key
    stretch : pieces on a grid of seconds are stretched or squeezed in time by a random factor up to 1 + stretch
    patience : validations without improvement before the run stops early; 0 never stops
    mixed_precision : float16 on GPUs that are fast at it
    """

    epochs: float | None = None
    minutes: float | None = None
    batch: int = 16
    window: int = 128
    learning_rate: float = 3e-3
    warmup: int = 50
    weight_decay: float = 0.6
    clip: float = 1.0
    average: float = 0.03
    transpose: int = 5
    transpose_until: float = 1.0
    stretch: float = 0.05
    patience: int = 12
    seed: int = 0
    mixed_precision: bool = False

    def __post_init__(self) -> None:
        if (self.epochs is None) == (self.minutes is None):
            raise SettingError("give either epochs or minutes")
        for name in ("epochs", "minutes"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise SettingError(f"{name} {value}: expected more than 0")
        if not 0 <= self.transpose <= 24:
            raise SettingError(f"transpose {self.transpose}: expected 0..24 semitones")
        if not 0 <= self.transpose_until <= 1:
            raise SettingError(f"transpose_until {self.transpose_until}: expected a share, 0..1")


@dataclass(frozen=True)
class Progress:
    """Where a run stands, for whoever shows it."""

    step: int
    steps: int | None  # None while the first steps are timed
    minutes: float  # trained so far
    minutes_left: float | None
    train_nats_per_note: float
    validation_nats_per_note: float | None  # of the last validation
    notes_per_second: float


def default_transpose_until(vocabulary: Vocabulary) -> float:
    """Share of the run in which pieces are transposed: all of it, unless the corpus is in one key.

    Someone transposed it already: the model learns much from all keys, and then that one.
    """
    return Settings.transpose_until if vocabulary.key else ONE_KEY_FROM


def default_epochs(corpus: Sequence[NoteSequence]) -> float:
    """Times that a corpus is heard when no length is asked for: fewer the larger it is, more if it is tiny."""
    notes = np.array([len(corpus[i].notes) for i in range(len(corpus))])
    steps = -(-len(notes) // Settings.batch) * max(1.0, float(notes.mean()) / Settings.window)  # of an epoch, about
    return round(max(EPOCHS * min(1.0, (SMALL / max(1, notes.sum())) ** SATED), FEWEST_STEPS / steps), 1)


# -- pieces and batches


class Pieces:
    """The pieces of a corpus, encoded on demand with the augmentation of an epoch.

    Parameters
    ----------
    corpus : sequence of NoteSequence
    styles : sequence of str or None, one for each piece
    """

    def __init__(
        self, corpus: Sequence[NoteSequence], styles: Sequence[str | None], vocabulary: Vocabulary, settings: Settings
    ) -> None:
        self.corpus, self.styles, self.vocabulary, self.settings = corpus, styles, vocabulary, settings
        self.transposed_epochs = math.inf  # from this epoch on, pieces are not transposed
        self.lengths = np.array([len(corpus[i].notes) + 1 for i in range(len(corpus))], np.int64)
        # The range of each program over the corpus: transposition keeps within it.
        self.low = np.full(DRUMS + 1, N_PITCHES, np.int64)
        self.high = np.full(DRUMS + 1, -1, np.int64)
        for i in range(len(corpus)):
            notes = corpus[i].notes
            np.minimum.at(self.low, notes["program"], notes["pitch"])
            np.maximum.at(self.high, notes["program"], notes["pitch"])

    def plan(self, epoch: int) -> list[np.ndarray]:
        """The batches of an epoch, as indices of pieces of similar lengths."""
        rng = np.random.default_rng([self.settings.seed, epoch])
        key = np.log(self.lengths) + rng.uniform(-LENGTH_JITTER, LENGTH_JITTER, len(self.lengths))
        order = np.argsort(key, kind="stable")
        size = self.settings.batch
        batches = [order[i : i + size] for i in range(0, len(order), size)]
        return [batches[i] for i in rng.permutation(len(batches))]

    def windows(self, batch: np.ndarray) -> int:
        """Windows until the longest piece of a batch is over."""
        return -(-int(self.lengths[batch].max()) // self.settings.window)

    def steps(self, epoch: int) -> int:
        """Updates in an epoch."""
        return sum(self.windows(batch) for batch in self.plan(epoch))

    def encode(self, index: int, epoch: int) -> Events:
        """A piece with the augmentation that an epoch gives it."""
        rng = np.random.default_rng([self.settings.seed, epoch, index, 1])
        sequence = self.corpus[index]
        known = rng.random(2) >= UNKNOWN_SHARE
        moved = self._augment(sequence, rng, self.settings.transpose if epoch < self.transposed_epochs else 0)
        style = self.styles[index] if known[0] else None
        return encode(moved, self.vocabulary, style, metre_known=bool(known[1]))

    def _augment(self, sequence: NoteSequence, rng: np.random.Generator, semitones: int) -> NoteSequence:
        notes, length = sequence.notes, sequence.length
        pitched = notes["program"] != DRUMS
        if semitones and pitched.any():
            program, pitch = notes["program"][pitched], notes["pitch"][pitched].astype(np.int64)
            down = min(semitones, int((pitch - self.low[program]).min()))
            up = min(semitones, int((self.high[program] - pitch).min()))
            notes = transpose(notes, int(rng.integers(-down, up + 1)))
        if self.settings.stretch and not sequence.grid.is_metrical:
            factor = math.exp(rng.uniform(-1, 1) * math.log1p(self.settings.stretch))
            stretched = notes.copy()
            end = np.rint((notes["onset"] + notes["duration"]) * factor).astype(np.int64)
            stretched["onset"] = np.rint(notes["onset"] * factor).astype(np.int64)
            stretched["duration"] = np.maximum(1, end - stretched["onset"])
            notes, _ = canonical(stretched)
            last = int((notes["onset"] + notes["duration"]).max()) if len(notes) else 0
            length = max(last, round(length * factor))
        return dataclasses.replace(sequence, notes=notes, length=length)

    def batch_windows(self, epoch: int, batch: np.ndarray, first: int) -> Iterator[dict[str, np.ndarray]]:
        """The windows of a batch from number `first` on, each a dict of arrays for the model."""
        encoded = [self.encode(int(index), epoch) for index in batch]
        longest = max(len(events) for events in encoded)
        for start in range(first * self.settings.window, longest, self.settings.window):
            # The last window is cut to what is left, in steps of 16: padding costs as much as notes.
            size = min(self.settings.window, -(-(longest - start) // 16) * 16)
            yield stack([events.window(start, start + size) for events in encoded])


def stack(windows: Sequence[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """A batch of windows, first axis the batch."""
    return {name: np.stack([window[name] for window in windows]) for name in INPUTS}


def prefetch(items: Iterator[Any], depth: int = 4) -> Iterator[Any]:
    """The same items, made ahead in a thread."""
    with ThreadPoolExecutor(1) as pool:
        waiting = [pool.submit(next, items, None) for _ in range(depth)]
        try:
            while True:
                item = waiting.pop(0).result()
                if item is None:
                    return
                waiting.append(pool.submit(next, items, None))
                yield item
        finally:
            for future in waiting:
                future.cancel()


# -- evaluation


def log_likelihoods(
    model: MelodyGRU,
    lengths: Sequence[int],
    encoded: Callable[[int], Events],
    *,
    batch: int = 32,
    window: int = 256,
) -> Iterator[tuple[int, Events, np.ndarray]]:
    """The exact log-likelihood of whole pieces, from their first event to END, with the whole context.

    Parameters
    ----------
    lengths : notes of each piece
    encoded : gives a piece's events; a batch of pieces is in memory at a time

    Yields (index of the piece, its events, array of shape (T, 5) in nats), shorter pieces first.
    """
    step = _evaluation_step(model)
    order = np.argsort(np.asarray(lengths), kind="stable").tolist()
    for first in range(0, len(order), batch):
        group = order[first : first + batch]
        pieces = [encoded(index) for index in group]
        longest = max(len(events) for events in pieces)
        state = model.initial_state(len(group))
        columns = []
        for start in range(0, longest, window):
            stop = start + min(window, -(-(longest - start) // 16) * 16)
            log_p, state = step(stack([events.window(start, stop) for events in pieces]), state)
            columns.append(log_p.numpy())
        log_p = np.concatenate(columns, 1)
        for row, (index, events) in enumerate(zip(group, pieces, strict=True)):
            yield index, events, log_p[row, : len(events)]


def _evaluation_step(model: MelodyGRU) -> Callable[..., Any]:
    """The model's log-likelihood of a window, traced once for a model."""
    if not hasattr(model, "_evaluation_step"):
        step = tf.function(lambda inputs, state: model.log_likelihood(inputs, state), reduce_retracing=True)
        object.__setattr__(model, "_evaluation_step", step)
    return model._evaluation_step


def nats_per_note(model: MelodyGRU, pieces: Sequence[Events]) -> float:
    """Nats of all events, END included, per note."""
    lengths = [len(events) - 1 for events in pieces]
    found = log_likelihoods(model, lengths, pieces.__getitem__)
    return -sum(float(log_p.sum(dtype=np.float64)) for _, _, log_p in found) / max(1, sum(lengths))


@dataclass(frozen=True)
class Evaluation:
    """The likelihood of a set of pieces under a model; conditions unknown, every note, every field, ends included.

    Attributes
    ----------
    pieces, notes, events : counts; a piece has an event more than notes, its END
    nats : -ln p of everything
    steps, beats, seconds : length of the pieces, to their end_of_track
    lossy_notes : notes that the encoding dropped, merged, shortened or gave another program
    unmodelled : fields of which the model knows a single value; they cost nothing and are not judged
    """

    pieces: int
    notes: int
    events: int
    nats: float
    steps: int
    beats: float
    seconds: float
    lossy_notes: int
    unmodelled: list[str]

    @property
    def nats_per_note(self) -> float:
        return self.nats / max(1, self.notes)

    @property
    def nats_per_step(self) -> float:
        return self.nats / max(1, self.steps)

    def as_dict(self) -> dict[str, Any]:
        """All figures as plain values."""
        return {
            **dataclasses.asdict(self),
            "nats_per_note": self.nats_per_note,
            "nats_per_step": self.nats_per_step,
        }


def evaluate(
    model: MelodyGRU,
    corpus: Sequence[NoteSequence],
    *,
    on_piece: Callable[[int, NoteSequence, Events, np.ndarray], None] | None = None,
) -> Evaluation:
    """The exact likelihood of every piece of a corpus on the model's grid.

    Parameters
    ----------
    on_piece : called with (index, piece, events, log-likelihoods of shape (T, 5) in nats), shorter pieces first
    """
    notes = events = steps = lossy = 0
    nats = beats = seconds = 0.0
    lengths = [len(corpus[i].notes) for i in range(len(corpus))]
    for index, piece, log_p in log_likelihoods(
        model, lengths, lambda i: encode(corpus[i], model.vocabulary, metre_known=False)
    ):
        sequence = corpus[index]
        notes, events, steps = notes + len(piece) - 1, events + len(piece), steps + sequence.length
        nats -= float(log_p.sum(dtype=np.float64))
        beats, seconds = beats + sequence.beats, seconds + sequence.seconds
        lossy += piece.changes.total
        if on_piece is not None:
            on_piece(index, sequence, piece, log_p)
    return Evaluation(len(corpus), notes, events, nats, steps, beats, seconds, lossy, model.vocabulary.unmodelled)


# -- the run


def learning_rate(settings: Settings, step: int, steps: int | None) -> float:
    """Linear warm-up, then a half cosine that reaches 0 at the last step."""
    rate = settings.learning_rate * min(1.0, (step + 1) / settings.warmup)
    if steps is None or steps <= settings.warmup:
        return rate
    done = min(1.0, max(0.0, (step - settings.warmup) / (steps - settings.warmup)))
    return rate * 0.5 * (1 + math.cos(math.pi * done))


@dataclass
class _Position:
    """Where a run stands; saved and restored as plain values."""

    step: int = 0
    steps: int | None = None
    epoch: int = 0
    batch: int = 0  # of the epoch's plan
    window: int = 0  # of the batch, the next to hear
    seconds: float = 0.0  # trained, interruptions left out
    best: float = math.inf
    since_best: int = 0
    recent: list[float] = field(default_factory=lambda: [0.0, 0.0])  # nats and notes since the last history row
    history: list[dict[str, float]] = field(default_factory=list)


class Trainer:
    """One training run, which can be interrupted at any moment and resumed.

    Parameters
    ----------
    model : MelodyGRU
    train : (sequence of NoteSequence on the vocabulary's grid, sequence of their styles)
    validation : sequence of NoteSequence, likewise; they are heard with unknown conditions
    settings : Settings
    output : Path
        The best checkpoint so far; beside it lie `<stem>.resume` while the run is unfinished, and `<stem>.csv`.
    card : dict
        Goes into the checkpoint, with the history and what else the run knows.
    log_dir : Path, optional
        Where TensorBoard's logs go.
    """

    def __init__(
        self,
        model: MelodyGRU,
        train: tuple[Sequence[NoteSequence], Sequence[str | None]],
        validation: Sequence[NoteSequence],
        settings: Settings,
        output: Path,
        card: dict[str, Any] | None = None,
        log_dir: Path | None = None,
    ) -> None:
        self.model, self.settings, self.output = model, settings, output
        self.card = dict(card or {})
        self.pieces = Pieces(*train, model.vocabulary, settings)
        self.validation = _sample_validation(validation, model.vocabulary, settings.seed)
        self.position = _Position()
        self.optimizer = keras.optimizers.AdamW(
            settings.learning_rate, beta_2=0.99, weight_decay=settings.weight_decay, epsilon=1e-8
        )
        biases = [v for v in model.trainable_variables if v.path.endswith("bias")]
        self.optimizer.exclude_from_weight_decay(var_list=biases)
        self.optimizer.build(model.trainable_variables)
        self.average = [tf.Variable(v.value, trainable=False) for v in model.trainable_variables]
        self.state = model.initial_state(1)
        self._generators = _seed_generators(model)
        self._step = tf.function(self._train_step, reduce_retracing=True)
        self._log = _Log(output.with_suffix(".csv"), log_dir)
        self._stop = threading.Event()
        self.stopped_by: int | None = None  # the signal that stopped the run
        self._plan: list[np.ndarray] = []
        self._planned_epoch = -1

    @property
    def resume_path(self) -> Path:
        return self.output.with_suffix(".resume")

    def _train_step(self, inputs, state, step, rate, decay):
        """One update; returns the window's nats and the state at its end."""
        for index, generator in enumerate(self._generators):
            # Dropout follows from (seed, step): whatever was drawn before is forgotten.
            seed = [self.settings.seed * 1009 + index, step * 64]
            generator.state.assign(tf.cast(tf.stack(seed), generator.state.dtype))
        scale = 1024.0 if self.settings.mixed_precision else 1.0  # keeps small float16 gradients from vanishing
        with tf.GradientTape() as tape:
            log_p, state = self.model.log_likelihood(inputs, state, training=True)
            nats = -tf.reduce_sum(log_p)
            # Per place of the nominal batch, not per note of this window: each note weighs the same.
            loss = nats / (self.settings.batch * self.settings.window) * scale
        variables = self.model.trainable_variables
        gradients = [tf.convert_to_tensor(g) / scale for g in tape.gradient(loss, variables)]
        gradients, norm = tf.clip_by_global_norm(gradients, self.settings.clip)
        self.optimizer.learning_rate.assign(rate)
        if not self.settings.mixed_precision or tf.math.is_finite(norm):
            self.optimizer.apply(gradients, variables)
        for average, variable in zip(self.average, variables, strict=True):
            average.assign_sub((1 - decay) * (average - variable.value))
        return nats, state

    # -- saving and restoring

    def _arrays(self) -> list[Any]:
        return [*self.model.trainable_variables, *self.optimizer.variables, *self.average]

    def save_state(self) -> None:
        """Save all that the run depends on, aside and then renamed."""
        arrays = {f"array_{i}": np.asarray(v) for i, v in enumerate(self._arrays())}
        arrays |= {f"state_{i}": np.asarray(s) for i, s in enumerate(self.state)}
        about = {"position": dataclasses.asdict(self.position), "run": self._identity()}
        arrays["about"] = np.frombuffer(json.dumps(about).encode(), np.uint8)
        with written_aside(self.resume_path, make_folder=True) as aside, open(aside, "wb") as file:
            np.savez(file, allow_pickle=False, **arrays)

    def _identity(self) -> dict[str, Any]:
        """What a resumed run must agree in, as plain values."""
        settings = as_settings(self.model.vocabulary, self.model.architecture, {})
        settings["settings"] = dataclasses.asdict(self.settings)
        settings["corpus"] = self.card.get("corpus")
        return json.loads(json.dumps(settings))

    def restore(self) -> None:
        """Go on where the saved run stopped.

        Raises
        ------
        TrainingError
            There is no saved run, it is damaged, or it was made with other settings or another corpus.
        """
        try:
            with np.load(self.resume_path, allow_pickle=False) as saved:
                about = json.loads(saved["about"].tobytes())
                run, position = about["run"], _Position(**about["position"])
                arrays = [saved[f"array_{i}"] for i in range(len(self._arrays()))]
                state = [saved[f"state_{i}"] for i in range(len(self.state))]
        except FileNotFoundError:
            done = " (the run is finished: the checkpoint is there)" if self.output.exists() else ""
            raise TrainingError(f"{self.resume_path}: nothing to resume{done}; train without --resume") from None
        except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
            raise TrainingError(f"{self.resume_path}: damaged ({error}); train without --resume") from error
        differing = [name for name, value in self._identity().items() if run.get(name) != value]
        if differing:
            raise TrainingError(
                f"{self.resume_path}: the interrupted run had another {' and '.join(differing)}; "
                "give the same folder and options as then, or train without --resume"
            )
        for variable, array in zip(self._arrays(), arrays, strict=True):
            variable.assign(array)
        self.state = [tf.constant(s) for s in state]
        self.position = position
        self._log.restart(self.position.history)

    # -- the loop

    def stop(self, signal_number: int | None = None) -> None:
        """Ask the run to save its state and end after the current step; `stopped_by` keeps the signal's number."""
        self.stopped_by = signal_number
        self._stop.set()

    def run(self, on_progress: Callable[[Progress], None] | None = None, save_every_s: float = 60.0) -> bool:
        """Train until the end, or until stopped (Ctrl-C and SIGTERM stop; then the result is False).

        At the end `output` holds the best checkpoint, judged by validation.
        """
        position, settings = self.position, self.settings
        with _signals(self.stop):
            if position.steps is None and settings.epochs is not None:
                position.steps = max(1, round(settings.epochs * self.pieces.steps(0)))
            self._settle_transposition()
            timer = _Timer()
            started, before = time.perf_counter(), position.seconds
            last_saved = last_shown = started
            # The resume file exists from the first moment on: whatever happens, --resume finds a run.
            self.save_state()
            for inputs in prefetch(self._windows()):
                if position.window == 0:
                    self.state = self.model.initial_state(len(inputs["fields"]))
                rate = learning_rate(settings, position.step, position.steps)
                decay = self._decay()
                nats, self.state = self._step(
                    inputs, self.state, tf.constant(position.step), tf.constant(rate), tf.constant(decay)
                )
                notes = int((inputs["fields"][..., PITCH] >= 0).sum())
                position.recent[0] += float(nats)
                position.recent[1] += notes
                if not math.isfinite(position.recent[0]):
                    became = f"the likelihood became {position.recent[0]} at step {position.step}"
                    raise TrainingError(f"{became}: try a lower --learning-rate")
                self._advance()
                now = time.perf_counter()
                position.seconds = before + now - started
                timer.add(now, notes)
                if position.steps is None and timer.ready:
                    assert settings.minutes is not None
                    left = settings.minutes * 60 * (1 - VALIDATION_TIME) - position.seconds
                    position.steps = position.step + max(1, int(left / timer.second_per_step))
                    self._settle_transposition()
                finished = position.steps is not None and position.step >= position.steps
                if finished or self._validation_due():
                    finished |= self._validate(rate)
                if on_progress is not None and (now - last_shown > 0.5 or finished):
                    on_progress(self._progress(timer))
                    last_shown = now
                if finished:
                    break
                if self._stop.is_set() or now - last_saved > save_every_s:
                    self.save_state()
                    last_saved = now
                if self._stop.is_set():
                    return False
        self._log.close()
        self.resume_path.unlink(missing_ok=True)
        return True

    def _settle_transposition(self) -> None:
        """Once the run's length is known, so is the epoch from which pieces stand as they are."""
        if self.position.steps is not None and self.settings.transpose_until < 1:
            epochs = self.position.steps / self.pieces.steps(0)
            self.pieces.transposed_epochs = round(self.settings.transpose_until * epochs)

    def _windows(self) -> Iterator[dict[str, np.ndarray]]:
        """Windows from the current position on, for ever."""
        epoch, batch, window = self.position.epoch, self.position.batch, self.position.window
        while True:
            plan = self.pieces.plan(epoch)
            for indices in plan[batch:]:
                yield from self.pieces.batch_windows(epoch, indices, window)
                window = 0
            epoch, batch = epoch + 1, 0

    def _advance(self) -> None:
        """Count one window on."""
        position = self.position
        position.step += 1
        position.window += 1
        if self._planned_epoch != position.epoch:
            self._plan, self._planned_epoch = self.pieces.plan(position.epoch), position.epoch
        if position.window == self.pieces.windows(self._plan[position.batch]):
            position.batch, position.window = position.batch + 1, 0
            if position.batch == len(self._plan):
                position.epoch, position.batch = position.epoch + 1, 0

    def _decay(self) -> float:
        """The moving average's decay: reaches back a share of the run, less at its beginning."""
        step = self.position.step
        horizon = max(10.0, self.settings.average * (self.position.steps or 300))
        return min(1 - 1 / horizon, (step + 1) / (step + 10))

    def _validation_due(self) -> bool:
        position = self.position
        if position.steps is None:
            return False
        heard = position.steps * self.settings.batch * self.settings.window
        affordable = int(VALIDATION_SHARE * heard / sum(len(piece) for piece in self.validation))
        every = max(1, position.steps // min(max(affordable, VALIDATIONS[0]), VALIDATIONS[1]))
        return position.step % every == 0

    def _validate(self, rate: float) -> bool:
        """Judge the averaged weights, keep the best; returns whether patience is at its end."""
        position = self.position
        variables = self.model.trainable_variables
        current = [v.numpy() for v in variables]
        for variable, average in zip(variables, self.average, strict=True):
            variable.assign(average)
        figure = nats_per_note(self.model, self.validation)
        nats, notes = position.recent
        row = {
            "step": position.step,
            "minutes": position.seconds / 60,
            "train_nats_per_note": nats / max(1.0, notes),
            "validation_nats_per_note": figure,
            "learning_rate": rate,
        }
        position.recent = [0.0, 0.0]
        position.history.append(row)
        self._log.add(row)
        if figure < position.best:
            position.best, position.since_best = figure, 0
            save(self.model, self.output, self._card(), half=True)
        else:
            position.since_best += 1
        for variable, value in zip(variables, current, strict=True):
            variable.assign(value)
        return 0 < self.settings.patience <= position.since_best

    def _card(self) -> dict[str, Any]:
        return {
            **self.card,
            "history": self.position.history,
            "settings": dataclasses.asdict(self.settings),
            "validation_nats_per_note": self.position.best,
            "recorded": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "versions": {
                "melodygru": __version__,
                "tensorflow": tf.__version__,
                "keras": keras.__version__,
                "numpy": np.__version__,
                "python": platform.python_version(),
            },
        }

    def _progress(self, timer: _Timer) -> Progress:
        position = self.position
        left = None
        if position.steps is not None and timer.ready:
            left = (position.steps - position.step) * timer.second_per_step / 60
        nats, notes = position.recent
        return Progress(
            step=position.step,
            steps=position.steps,
            minutes=position.seconds / 60,
            minutes_left=left,
            train_nats_per_note=nats / notes if notes else position.history[-1]["train_nats_per_note"],
            validation_nats_per_note=position.history[-1]["validation_nats_per_note"] if position.history else None,
            notes_per_second=timer.notes_per_second,
        )


class _Timer:
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


class _Log:
    """The history as a CSV file, and for TensorBoard when a folder is given."""

    def __init__(self, path: Path, log_dir: Path | None) -> None:
        self.path = path
        self._rows: list[dict[str, float]] = []
        self._writer = tf.summary.create_file_writer(str(log_dir)) if log_dir else None

    def restart(self, rows: list[dict[str, float]]) -> None:
        """Begin with the rows of the interrupted run."""
        self._rows = list(rows)

    def add(self, row: dict[str, float]) -> None:
        self._rows.append(row)
        with written_aside(self.path, make_folder=True) as aside, open(aside, "w", newline="") as file:
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


class _signals:
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


def _seed_generators(model: MelodyGRU) -> list[Any]:
    """The seed generators of all layers, in a fixed order."""
    found = []
    for layer in model._flatten_layers(include_self=False):
        generator = getattr(layer, "seed_generator", None)
        if generator is not None:
            found.append(generator)
    return found


def _sample_validation(corpus: Sequence[NoteSequence], vocabulary: Vocabulary, seed: int) -> list[Events]:
    """The validation pieces heard during training: all, or a seeded sample of VALIDATION_EVENTS events.

    Conditions are unknown, as for published likelihoods.
    """
    pieces: list[Events] = []
    events = 0
    for index in np.random.default_rng([seed, 7]).permutation(len(corpus)):
        piece = encode(corpus[int(index)], vocabulary, None, metre_known=False)
        if pieces and events + len(piece) > VALIDATION_EVENTS:
            continue
        pieces.append(piece)
        events += len(piece)
    return pieces


def set_up_device(mixed_precision: bool = False) -> str:
    """Choose precision, and say which device trains.

    Returns a line for the user; it warns when the machine has an NVIDIA GPU that TensorFlow can't use.
    """
    gpus = tf.config.list_physical_devices("GPU")
    keras.mixed_precision.set_dtype_policy("mixed_float16" if mixed_precision and gpus else "float32")
    if gpus:
        names = [tf.config.experimental.get_device_details(gpu).get("device_name", "GPU") for gpu in gpus]
        return f"training on {names[0]}" + (", mixed precision" if mixed_precision else "")
    line = f"training on the CPU, {os.cpu_count()} cores"
    if mixed_precision:
        line += "; mixed precision needs a GPU and is off"
    if Path("/dev/nvidia0").exists() or Path("/proc/driver/nvidia/version").exists():
        line += (
            "\nwarning: this machine has an NVIDIA GPU, but TensorFlow can't use it: "
            "pip install 'melodygru[gpu]', and see the README's troubleshooting"
        )
    return line


def new_model(
    vocabulary: Vocabulary, architecture: Architecture, seed: int, corpus: Sequence[NoteSequence] = ()
) -> MelodyGRU:
    """An untrained model; with a corpus, it begins with how often each class occurs in a sample of it."""
    model = MelodyGRU(**as_settings(vocabulary, architecture, {}), seed=seed)
    begin_from_counts(model, seed, corpus)
    return model


def begin_from_counts(model: EventModel, seed: int, corpus: Sequence[NoteSequence]) -> None:
    """Let an untrained model begin with how often each class occurs in a sample of a corpus."""
    vocabulary = model.vocabulary
    counts = [np.zeros(vocabulary.size(name)) for name in vocabulary.fields]
    heard = 0
    for index in np.random.default_rng([seed, 3]).permutation(len(corpus)).tolist():
        fields = encode(corpus[index], vocabulary).fields
        for chosen, count in zip(fields.T, counts, strict=False):  # an unmodelled velocity is not counted
            count += np.bincount(chosen[chosen >= 0], minlength=len(count))
        heard += len(fields)
        if heard > SAMPLED_EVENTS:
            break
    if heard:
        for name, count in zip(vocabulary.fields, counts, strict=True):
            bias = getattr(model, f"head_{name}").output_layer.bias
            start = np.zeros(bias.shape, np.float32)
            start[: len(count)] = np.log((count + 0.1) / (count.sum() + 0.1 * len(count)))
            bias.assign(start)


def fine_tune_from(path: Path, grid: Grid) -> MelodyGRU:
    """The model of a checkpoint, to be trained on other music, which is on `grid`.

    Its vocabulary stays as it is: styles and metres that it does not have are unknown to it, and music that it can't
    hold is changed (see `events.representable`).

    Raises
    ------
    TrainingError
        The other music is on another grid than the checkpoint's.
    """
    model = load_model(path)
    if model.vocabulary.grid != grid:
        raise TrainingError(
            f"{path} was trained on a grid of {model.vocabulary.grid.describe()}, this music is on "
            f"{grid.describe()}: give --grid {model.vocabulary.grid}"
        )
    return model
