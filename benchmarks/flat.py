"""The design against its alternative: the same GRU over flat tokens, a recurrent step for each field of a note.

    python benchmarks/flat.py TRAIN_DIR VALIDATION_DIR --epochs 20 --threads 1

Trains both models on the same windows of notes, with the same augmentation, schedule and sizes, and prints their exact
likelihoods on the validation folder side by side.

The flat model has one vocabulary of tokens (times, END and parts, pitches, durations, velocities), one embedding table,
one GRU step for each token, and one softmax behind one hidden layer. Where the part is unmodelled, END stands in place
of the pitch. A step is conditioned on the token before it and on what the events model is conditioned on at the same
moment, all but what is itself a token: the context, what its part played last, what sounds and sounded relative to a
pitch. The logit of a pitch is the sum of the same two views. It has no pointers: a part that has played is a token, by
its number. Tokens of other fields than the one that is due have no probability, nor has what cannot follow; a time
inside a wide class has the same price.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import keras
import numpy as np
import tensorflow as tf

from melodygru.events import (
    DURATION,
    FIELDS,
    N_INTERVALS,
    PART,
    PART_HISTORY,
    PITCH,
    SHIFT,
    TIMES,
    Vocabulary,
    encode,
    layout_of,
    span_class,
)
from melodygru.model.architecture import Architecture
from melodygru.model.cells.keras_layers import GRU
from melodygru.model.checkpoint import as_settings
from melodygru.model.heads import EmbeddingBag
from melodygru.model.keras_model import IMPOSSIBLE, EventModel
from melodygru.music.notes import N_PITCHES, NoteSequence
from melodygru.training import Progress, Settings, Trainer, default_transpose_until, evaluate, fit, new_model
from melodygru.training.models import SAMPLED_EVENTS

N_VIEW = 2 * N_PITCHES - 1  # intervals that have a logit, -127..127 semitones
LAST_PITCH = slice(1, 2)  # column of `Events.part_history`
SPAN_OF_TIME = span_class(TIMES.low).astype(np.int32)  # of each class of times, by its shortest
FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


def positions(vocabulary: Vocabulary) -> tuple[str, ...]:
    """The tokens of a note, in order; END takes the part's position, or the pitch's where there is no part."""
    return tuple(field for field in vocabulary.fields if field != "part" or vocabulary.models_part)


def n_tokens(vocabulary: Vocabulary, position: str) -> int:
    """Tokens that may stand at a position; END comes first where it is one of them."""
    return vocabulary.size(position) + (position == "pitch" and not vocabulary.models_part)


@keras.saving.register_keras_serializable("melodygru.benchmarks")
class FlatGRU(keras.Model):
    """A GRU over flat tokens, called as `melodygru.model.keras_model.MelodyGRU` and with the same result.

    The log-likelihood of a token that is END or a pitch is split between the columns part, that it is END or not,
    and pitch, which it is.

    Parameters
    ----------
    vocabulary, architecture, card : dict
        Plain values, see `melodygru.model.checkpoint.as_settings`; `head` is the width of the one hidden layer.
    seed : int
        Of the initial weights.
    """

    def __init__(
        self,
        vocabulary: dict[str, Any],
        architecture: dict[str, Any],
        card: dict[str, Any] | None = None,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.vocabulary = v = Vocabulary.from_dict(vocabulary)
        self.layout = layout = layout_of(v)
        self.architecture = a = Architecture(**architecture)
        self.card, self.seed = dict(card or {}), seed
        self.positions = positions(v)
        seeds = iter(range(10_000 * seed, 10_000 * seed + 1000))

        # One table of embeddings: the context, in which notes and times have their ids already, and what it lacks.
        sizes = {"part": v.size("part")} if v.models_part else {}
        for position in ("pitch", "duration", "velocity"):
            if position in self.positions:
                sizes |= {f"{position} {name}": size for name, size in PART_HISTORY.items()}
            if position in ("pitch", "duration"):
                sizes |= {
                    f"{position} interval": 2 * N_INTERVALS,
                    f"{position} scale": 2 * 12,
                    f"{position} key": 3 * 12,
                }
        ends = itertools.accumulate(sizes.values(), initial=layout.n_ids)
        self.blocks = {**layout.blocks, **dict(zip((*sizes, "end"), ends, strict=True))}
        self.bag = EmbeddingBag(self.blocks["end"], a.embedding, seed=next(seeds), name="bag")
        self.bag.build()

        one_mask = (None, 1, None)
        self.drop_input = keras.layers.Dropout(a.drop_input, noise_shape=one_mask, seed=next(seeds))
        for index in range(a.layers):
            gru = GRU(
                a.units,
                return_sequences=True,
                return_state=True,
                kernel_initializer=keras.initializers.GlorotUniform(next(seeds)),
                recurrent_initializer=keras.initializers.Orthogonal(seed=next(seeds)),
                name=f"gru_{index}",
            )
            gru.build((None, None, a.units if index else a.embedding))
            setattr(self, f"gru_{index}", gru)
            setattr(self, f"drop_{index}", keras.layers.Dropout(a.drop_layer, noise_shape=one_mask, seed=next(seeds)))
        self.hidden = keras.layers.Dense(
            a.head, "relu", kernel_initializer=keras.initializers.GlorotUniform(next(seeds))
        )
        self.hidden.build((None, None, a.units + a.embedding))
        self.drop_head = keras.layers.Dropout(a.drop_head, seed=next(seeds))

        # One softmax: the tokens position by position, then the intervals.
        ends = itertools.accumulate((n_tokens(v, position) for position in self.positions), initial=0)
        self.first_token = dict(zip((*self.positions, "intervals"), ends, strict=True))
        self.output_layer = keras.layers.Dense(
            self.first_token["intervals"] + N_VIEW,
            dtype="float32",
            kernel_initializer=keras.initializers.GlorotUniform(next(seeds)),
        )
        self.output_layer.build((None, None, a.head))
        self.built = True

    def call(self, inputs: dict[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        return self.log_likelihood(inputs, self.initial_state(tf.shape(inputs["fields"])[0]), training)[0]

    input_specs = EventModel.input_specs

    def initial_state(self, batch: int | tf.Tensor) -> list[tf.Tensor]:
        """The state before the first event: a (B, units) tensor for each layer, and the ids of no note, (B, 1, 2)."""
        layers = [tf.zeros([batch, self.architecture.units], self.compute_dtype)] * self.architecture.layers
        return [*layers, tf.zeros([batch, 1, 2], tf.int32)]

    def log_likelihood(
        self, inputs: dict[str, tf.Tensor], state: list[tf.Tensor], training: bool = False
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Log-likelihood of a window that begins in `state`, as from a call, and the state at its end."""
        inputs = {name: tf.cast(values, tf.int32) for name, values in inputs.items()}
        logits, state = self.logits(inputs, state, training)
        fields = inputs["fields"]
        target = tf.maximum(fields, 0)
        log_p = dict.fromkeys(FIELDS, tf.zeros(tf.shape(fields)[:2]))
        if not self.vocabulary.models_part:
            end, logits["pitch"] = logits["pitch"][..., :1], logits["pitch"][..., 1:]
            goes_on = tf.reduce_logsumexp(logits["pitch"], -1, keepdims=True)
            # The order of the part's classes: END, then the part.
            logits["part"] = tf.concat([end, goes_on], -1)
        for column, field in enumerate(FIELDS):
            if field in logits:
                chosen = target[..., column]
                log_p[field] = -tf.nn.sparse_softmax_cross_entropy_with_logits(chosen, logits[field])
                if column in (SHIFT, DURATION):
                    log_p[field] -= tf.gather(tf.constant(TIMES.log_width, tf.float32), chosen)
        return tf.where(fields >= 0, tf.stack([log_p[field] for field in FIELDS], -1), 0.0), state

    def logits(
        self, inputs: dict[str, tf.Tensor], state: list[tf.Tensor], training: bool = False
    ) -> tuple[dict[str, tf.Tensor], list[tf.Tensor]]:
        """Logits of the tokens that may stand at each position, (B, T, tokens), and the end state."""
        inputs = {name: tf.cast(values, tf.int32) for name, values in inputs.items()}
        *states, last_note = state
        part_history, last_note = self._history_before_pitch(inputs, last_note)
        before, context = self.bag(inputs["before"]), self.bag(inputs["context"])
        at_onset = before + context[:, 1:]
        given = [before + context[:, :-1], *[at_onset] * (len(self.positions) - 1)]
        x = self.bag(self._token_ids(inputs, part_history)) + tf.stack(given, 2)
        shape = tf.shape(x)
        by_token = [shape[0], shape[1] * shape[2], self.architecture.embedding]
        x = tf.reshape(x, by_token)
        h = self.drop_input(x, training=training)
        end_state = []
        for index, begin in enumerate(states):
            h, last = getattr(self, f"gru_{index}")(h, initial_state=[begin])
            h = getattr(self, f"drop_{index}")(h, training=training)
            end_state.append(last)
        h = self.drop_head(self.hidden(tf.concat([h, x], -1)), training=training)
        h = tf.cast(tf.reshape(h, [*tf.unstack(shape[:3]), self.architecture.head]), tf.float32)
        logits = {position: self._output(h[:, :, i], position) for i, position in enumerate(self.positions)}
        logits["pitch"] += self._interval_view(
            self._output(h[:, :, self.positions.index("pitch")], "intervals"), part_history
        )
        return self._only_possible(logits, inputs), [*end_state, last_note]

    def _output(self, hidden: tf.Tensor, position: str) -> tf.Tensor:
        """The columns of the one output layer that belong to a position; all others have no probability there."""
        size = N_VIEW if position == "intervals" else n_tokens(self.vocabulary, position)
        columns = slice(self.first_token[position], self.first_token[position] + size)
        kernel, bias = (tf.convert_to_tensor(w) for w in (self.output_layer.kernel, self.output_layer.bias))
        return tf.matmul(hidden, kernel[:, columns]) + bias[columns]

    def _history_before_pitch(self, inputs: dict[str, tf.Tensor], last_note: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """What the event's part played, as `Events.part_history`, and the ids of the window's last note.

        That of END is empty. Where END is decided together with the pitch it would give END away, so that there the
        only part's last notes are taken from the events before, and its program and range left out: shape (B, T, 5).
        """
        if self.vocabulary.models_part:
            return inputs["part_history"], last_note
        notes = tf.concat([last_note, inputs["previous"][..., 1:3]], 1)  # of events t-2 in row t and t-1 in row t+1
        pitch = (notes[..., 0] - self.blocks["note"]) % N_PITCHES
        span = tf.gather(tf.constant(SPAN_OF_TIME), (notes[..., 1] - self.blocks["duration"]) % TIMES.size)
        pitch, span = (tf.where(notes[..., 0] > 0, values + 1, 0) for values in (pitch, span))
        columns = [tf.zeros_like(pitch[:, 1:]), pitch[:, 1:], pitch[:, :-1], span[:, 1:], span[:, :-1]]
        return tf.stack(columns, -1), notes[:, -1:]

    def _token_ids(self, inputs: dict[str, tf.Tensor], part_history: tf.Tensor) -> tf.Tensor:
        """Ids that each step is given beside the context, (B, T, positions, ids): the token before it, and views."""
        blocks, fields = self.blocks, inputs["fields"]
        shift, part, pitch, duration = (fields[..., c : c + 1] for c in (SHIFT, PART, PITCH, DURATION))
        played = inputs["part_history"]
        place = tf.gather(tf.constant(self.vocabulary.program_slots, tf.int32), tf.maximum(played[..., :1] - 1, 0))
        last_token = inputs["previous"][..., 3:4] if "velocity" in self.positions else inputs["previous"][..., 2:3]
        tokens = {
            "shift": tf.where(last_token > 0, last_token, inputs["previous"][..., 0:1]),  # at first: the start
            "pitch": blocks["shift"] + shift,
            "duration": tf.where(pitch >= 0, blocks["note"] + place * N_PITCHES + pitch, 0),
            "velocity": tf.where(duration >= 0, blocks["duration"] + place * TIMES.size + duration, 0),
        }
        if "part" in self.positions:
            tokens["part"] = tokens["pitch"]
            tokens["pitch"] = tf.where(part >= 0, blocks["part"] + part, 0)
        last = played[..., LAST_PITCH]
        interval = _interval_class(pitch - (last - 1))
        motion = tf.where((last > 0) & (pitch >= 0), blocks["motion"] + place * N_INTERVALS + interval, 0)
        views = {
            "pitch": [
                self._history_ids("pitch", part_history),
                *self._relative_to(inputs, "pitch", part_history[..., LAST_PITCH]),
            ],
            "duration": [
                motion,
                self._history_ids("duration", played),
                *self._relative_to(inputs, "duration", pitch + 1),
            ],
            "velocity": [self._history_ids("velocity", played)] if "velocity" in self.positions else [],
        }
        rows = [tf.concat([tokens[position], *views.get(position, [])], -1) for position in self.positions]
        widest = max(row.shape[-1] for row in rows)
        return tf.stack([tf.pad(row, [(0, 0), (0, 0), (0, widest - row.shape[-1])]) for row in rows], 2)

    def _history_ids(self, position: str, part_history: tf.Tensor) -> tf.Tensor:
        first = tf.constant(
            [self.blocks[f"{position} {name}"] for name in list(PART_HISTORY)[: part_history.shape[-1]]]
        )
        return tf.where(part_history > 0, first + part_history - 1, 0)

    def _relative_to(self, inputs: dict[str, tf.Tensor], position: str, origin: tf.Tensor) -> list[tf.Tensor]:
        """Ids of what sounds and of the pitch class levels, as `Layout.relative_ids`; `origin` of shape (B, T, 1)."""
        sounding = inputs["context"][:, 1:, self.layout.sounding_columns]
        state, pitch_class_levels = sounding - self.blocks["sounding"], inputs["pitch_class_levels"]
        interval = self.blocks[f"{position} interval"] + 2 * _interval_class(state // 2 % N_PITCHES - (origin - 1))
        degree = (tf.range(12) - (origin - 1)) % 12
        scale, key = (self.blocks[f"{position} {name}"] for name in ("scale", "key"))
        degrees = tf.concat([scale + degree * 2, key + degree * 3], -1)
        return [
            tf.where((sounding > 0) & (origin > 0), interval + state % 2, 0),
            tf.where((pitch_class_levels > 0) & (origin > 0), degrees + pitch_class_levels - 1, 0),
        ]

    def _interval_view(self, intervals: tf.Tensor, part_history: tf.Tensor) -> tf.Tensor:
        """What the intervals from the part's last pitch add to the logits of the pitches; END gets nothing."""
        last = part_history[..., LAST_PITCH]
        added = tf.gather(intervals, tf.range(N_PITCHES) - tf.maximum(last - 1, 0) + N_PITCHES - 1, batch_dims=2)
        added = tf.where(last > 0, added, 0.0)
        return added if self.vocabulary.models_part else tf.pad(added, [(0, 0), (0, 0), (1, 0)])

    def _only_possible(self, logits: dict[str, tf.Tensor], inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """The logits with what cannot follow made impossible."""
        impossible = EventModel._impossible(self, inputs)
        if not self.vocabulary.models_part:
            # END stands in place of a pitch: it may only when nothing sounds on, and then no pitch is taken.
            impossible["pitch"] = tf.concat([impossible["part"][..., :1], impossible["pitch"]], -1)
        return {
            position: tf.where(impossible[position], IMPOSSIBLE, values) if position in impossible else values
            for position, values in logits.items()
        }

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            **as_settings(self.vocabulary, self.architecture, self.card),
            "seed": self.seed,
        }

    def get_build_config(self) -> None:
        return None  # everything is built in __init__


def _interval_class(semitones: tf.Tensor) -> tf.Tensor:
    """As `events.interval_class`."""
    widest = N_INTERVALS // 2
    return tf.clip_by_value(semitones, -widest, widest) + widest


def new_flat(
    vocabulary: Vocabulary, architecture: Architecture, seed: int, corpus: Sequence[NoteSequence] = ()
) -> FlatGRU:
    """An untrained flat model; with a corpus, it begins with how often each token occurs, as `training.new_model`."""
    model = FlatGRU(**as_settings(vocabulary, architecture, {}), seed=seed)
    counts = {position: np.zeros(n_tokens(vocabulary, position)) for position in model.positions}
    events = 0
    for index in np.random.default_rng([seed, 3]).permutation(len(corpus)).tolist():
        fields = encode(corpus[index], vocabulary).fields.copy()
        if not vocabulary.models_part:
            fields[:, PITCH] += 1  # END, whose pitch is -1, comes first
        for position, count in counts.items():
            chosen = fields[:, FIELDS.index(position)]
            count += np.bincount(chosen[chosen >= 0], minlength=len(count))
        events += len(fields)
        if events > SAMPLED_EVENTS:
            break
    if events:
        bias = model.output_layer.bias.numpy()
        for position, count in counts.items():
            columns = slice(model.first_token[position], model.first_token[position] + len(count))
            bias[columns] = np.log((count + 0.1) / (count.sum() + 0.1 * len(count)))
        model.output_layer.bias.assign(bias)
    return model


MAKERS = {"events": new_model, "flat": new_flat}


def measure(
    kind: str,
    vocabulary: Vocabulary,
    architecture: Architecture,
    train: tuple[Sequence[NoteSequence], Sequence[str | None]],
    validation: Sequence[NoteSequence],
    settings: Settings,
) -> dict[str, Any]:
    """Train a model of one kind, evaluate its best checkpoint, and return all figures as plain values."""
    model = MAKERS[kind](vocabulary, architecture, settings.seed, train[0])
    speeds: list[float] = []

    def show(progress: Progress) -> None:
        speeds.append(progress.notes_per_second)
        click.echo(
            f"\r{kind} {progress.step}/{progress.steps} {progress.validation_nats_per_note} ", nl=False, err=True
        )

    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "model.keras"
        trainer = Trainer(model, train, validation, settings, output)
        finished = trainer.run(show)
        click.echo(err=True)
        if not finished:
            raise click.Abort
        best = keras.models.load_model(output)
    by_field = np.zeros(len(FIELDS))
    result = evaluate(
        best, validation, on_piece=lambda _i, _s, _e, log_p: np.subtract(by_field, log_p.sum(0), by_field)
    )
    epoch = trainer.pieces.steps(0)
    history = trainer.position.history
    return {
        "parameters": model.count_params(),
        "tokens_per_note": len(positions(vocabulary)) if kind == "flat" else 1,
        "epochs": trainer.position.step / epoch,
        "best_epoch": min(history, key=lambda row: row["validation_nats_per_note"])["step"] / epoch,
        "minutes": trainer.position.seconds / 60,
        "notes_per_second": statistics.median(speeds[len(speeds) // 2 :]),  # TensorFlow traces in the first steps
        "nats_per_note": result.nats_per_note,
        "nats_per_step": result.nats_per_step,
        "nats_per_note_by_field": dict(zip(FIELDS, (by_field / max(1, result.notes)).tolist(), strict=True)),
    }


def table(models: dict[str, dict[str, Any]]) -> str:
    """The figures in Markdown, a column for each model and, where there are both, one for flat / events."""
    rows = {kind: {**figures, **figures["nats_per_note_by_field"]} for kind, figures in models.items()}
    names = [name for name in next(iter(rows.values())) if name != "nats_per_note_by_field"]
    both = len(rows) > 1
    lines = ["| | " + " | ".join([*rows, *(["flat / events"] if both else [])]) + " |"]
    lines.append("|---" * (1 + len(rows) + both) + "|")
    for name in names:
        values = [figures[name] for figures in rows.values()]
        cells = [f"{value:,}" if isinstance(value, int) else f"{value:,.4f}" for value in values]
        if both:
            cells.append(f"{rows['flat'][name] / rows['events'][name]:.3f}" if rows["events"][name] else "")
        label = f"of it, {name}" if name in FIELDS else name.replace("_", " ")
        lines.append("| " + " | ".join([label, *cells]) + " |")
    return "\n".join(lines)


@click.command(help=__doc__)
@click.argument("train_dir", type=FOLDER)
@click.argument("validation_dir", type=FOLDER)
@click.option("--epochs", type=float, help="Length of each run in epochs.")
@click.option("--minutes", type=float, help="Length of each run in minutes.")
@click.option("--preset", default="small", show_default=True, help="Preset of sizes, for both models.")
@click.option("--settings", default="{}", help="Fields of Settings (melodygru.training) to replace, as JSON.")
@click.option(
    "--flat-head", type=click.IntRange(1), help="Width of the flat model's hidden layer.  [default: a head's]"
)
@click.option("--only", type=click.Choice(list(MAKERS)), help="Run one of the two.")
@click.option("--threads", type=click.IntRange(1), help="CPU threads.  [default: all cores]")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def main(
    train_dir: Path,
    validation_dir: Path,
    epochs: float | None,
    minutes: float | None,
    preset: str,
    settings: str,
    flat_head: int | None,
    only: str | None,
    threads: int | None,
    as_json: bool,
) -> None:
    from melodygru.corpus import intake

    if threads is not None:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
    # One process reads: others would load TensorFlow first.
    corpus = intake(train_dir, workers=1)
    validation = intake(validation_dir, grid=corpus.grid, workers=1, deduplicate=False)
    styles = [piece.style for piece in corpus.pieces]
    vocabulary, sizes = fit(corpus, preset)
    given = {"transpose_until": default_transpose_until(vocabulary), **json.loads(settings)}
    run = Settings(epochs=epochs, minutes=minutes, **given)
    models = {}
    for kind in [only] if only else MAKERS:
        width = flat_head if kind == "flat" and flat_head else sizes.head
        models[kind] = measure(
            kind, vocabulary, dataclasses.replace(sizes, head=width), (corpus, styles), validation, run
        )
    report: dict[str, Any] = {
        "corpus": train_dir.parent.name,
        "preset": preset,
        "settings": dataclasses.asdict(run),
        "threads": threads,
        "models": models,
    }
    if not only:
        report["flat_over_events"] = {
            name: models["flat"][name] / models["events"][name] for name in ("nats_per_note", "notes_per_second")
        }
    click.echo(json.dumps(report) if as_json else table(models))


if __name__ == "__main__":
    main()
