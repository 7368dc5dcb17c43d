"""The Keras model: one recurrent step per note, and a chain of heads that factorises the note exactly.

    x_t = E(previous[t], before[t], context[t-1])            E: the sum of the ids' embeddings
    h_t = GRU(x_t, h_{t-1})                                  or another cell, as the architecture says
    a_t = E(before[t], context[t])
    p(event_t | h_t, x_t, a_t) = p(shift | h, x) p(part or END | h, a, shift) p(pitch | ..., part)
                                 p(duration | ..., pitch) p(velocity | ..., duration)

What `previous`, `before` and `context` hold is specified in `melodygru.events`. A head has one hidden layer or two. Its
logits are sums: one of the class and one of each pointer to it; for a pitch also one of the interval from its part's
last. The logit of a part that has played is the sum of those that the state gives the classes of its description; that
of a new one has its program's, and one for whether the line-up has such a part to come. Events that cannot follow have
no probability.
"""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from melodygru.errors import CheckpointError, SettingError
from melodygru.events import (
    DURATION,
    END,
    FIELDS,
    FIRST_PART,
    N_INTERVALS,
    NEW,
    PART,
    PART_HISTORY,
    PITCH,
    SHIFT,
    TIMES,
    Vocabulary,
    encode,
    layout_of,
)
from melodygru.events.layout import (
    LEVEL_PAIRS,
    N_HARMONY_OUTPUTS,
    N_INTERVAL_OUTPUTS,
    N_LEVEL_OUTPUTS,
    POINTED,
    POINTED_CLASS,
)
from melodygru.model import checkpoint, heads  # names in `heads` only later: it may be what imports Keras, and us
from melodygru.model.architecture import DEEP, Architecture, weights_of
from melodygru.model.cells import CELLS
from melodygru.model.checkpoint import FORMAT, INDEX, as_settings, upgrade
from melodygru.model.where import index_type, on_gpu
from melodygru.music.notes import N_PITCHES, NOTE, NoteSequence

ONE_MASK = (None, 1, None)  # dropout's noise shape: variational, the same units for all steps
EXPORTED = ("tf_saved_model", "onnx")  # of Keras's formats of export those that can give our numbers
OLDEST_OPSET = 16  # of ONNX: the first whose ScatterND adds
IMPOSSIBLE = -1e9  # a logit; finite, so that nothing becomes NaN should every class be impossible


class EventModel(keras.Model):
    """What every model of events shares: the embeddings, the heads, the likelihood.

    Called with a batch of windows (`Events.window`, stacked: a dict of arrays, first axes (B, T)), it returns the
    log-likelihood of every field of every event, in nats: shape (B, T, 5), float32, with the charge for wide time
    classes; 0 where an event has no such field, and for padding.

    A subclass adds the body between embeddings and heads: `_build_body`, `_body` and `initial_state`; and `sizes`, the
    class of its architecture, with embedding, head, drop_input, drop_head and deep as `Architecture` has them.

    Parameters
    ----------
    vocabulary, architecture, card : dict
        Plain values, see `melodygru.model.checkpoint.as_settings`.
    seed : int
        Of the initial weights.
    """

    sizes: type = Architecture

    def __init__(
        self,
        vocabulary: dict[str, Any],
        architecture: dict[str, Any],
        card: dict[str, Any] | None = None,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.vocabulary, self.architecture = Vocabulary.from_dict(vocabulary), self.sizes(**architecture)
        self.card, self.seed = dict(card or {}), seed
        self.layout = layout = layout_of(self.vocabulary)
        v, a = self.vocabulary, self.architecture
        seeds = iter(range(10_000 * seed, 10_000 * seed + 1000))
        self.bag = heads.EmbeddingBag(layout.n_ids, a.embedding, seed=next(seeds), name="bag")
        self.bag.build()
        self.drop_input = keras.layers.Dropout(a.drop_input, noise_shape=ONE_MASK, seed=next(seeds))
        width = self._build_body(seeds)
        self._head_blocks = {}
        for index, field in enumerate(v.fields, 100):
            blocks = layout.head_blocks(field)
            self._head_blocks[field] = {name: first for name, first in blocks.items() if name != "end"}
            head = heads.Head(
                layout.n_outputs(field),
                a.head,
                width + a.embedding,
                blocks["end"],
                a.drop_head,
                10_000 * seed + 10 * index,
                deep=a.deep and field in DEEP,
                name=f"head_{field}",
            )
            head.build()
            _silence_pointers(head, layout.n_direct_outputs(field))
            setattr(self, f"head_{field}", head)
        self.built = True

    def _build_body(self, seeds: Iterator[int]) -> int:
        """Make the body's layers; returns the width of the features that it gives the heads."""
        raise NotImplementedError

    def _body(
        self, x: tf.Tensor, state: Sequence[tf.Tensor], training: bool = False
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """The heads' features, (B, T, width), of the inputs (B, T, embedding), and the state after them."""
        raise NotImplementedError

    def initial_state(self, batch: int | tf.Tensor) -> list[tf.Tensor]:
        """The state before the first event, a list of tensors, first axis the batch."""
        raise NotImplementedError

    def call(self, inputs: dict[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        return self.log_likelihood(inputs, self.initial_state(tf.shape(inputs["fields"])[0]), training)[0]

    def log_likelihood(
        self, inputs: dict[str, tf.Tensor], state: list[tf.Tensor], training: bool = False
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Log-likelihood of a window that begins in `state`, as from a call, and the state at its end."""
        fields = _whole(inputs["fields"])
        logits, gain, state = self._expected(inputs, state, training)
        columns = []
        for column, field in enumerate(FIELDS):
            if field not in self.vocabulary.fields:
                columns.append(tf.zeros(tf.shape(fields)[:2]))
                continue
            target = fields[..., column]
            chosen = tf.maximum(target, 0)
            log_p = _log_p(logits[field], chosen)
            if column == DURATION and gain is not None:
                log_p += self._log_place(chosen, gain, inputs)
            elif column in (SHIFT, DURATION):
                log_p -= tf.gather(tf.constant(TIMES.log_width, tf.float32), chosen)
            columns.append(tf.where(target >= 0, log_p, 0.0))
        return tf.stack(columns, -1), state

    def logits(
        self, inputs: dict[str, tf.Tensor], state: list[tf.Tensor], training: bool = False
    ) -> tuple[dict[str, tf.Tensor], list[tf.Tensor]]:
        """Logits of each field, (B, T, classes) float32, given the fields before it in `inputs`, and the end state."""
        logits, _, state = self._expected(inputs, state, training)
        return logits, state

    def _expected(
        self, inputs: dict[str, tf.Tensor], state: list[tf.Tensor], training: bool
    ) -> tuple[dict[str, tf.Tensor], tf.Tensor | None, list[tf.Tensor]]:
        """As `logits`, and between the two the gain, (B, T), of the step at the common end, where there is one."""
        before = self.bag(_whole(inputs["before"]))
        context = self.bag(_whole(inputs["context"]))
        # tf.slice, as the gradient of [:, 1:] takes several times as long.
        earlier, context = (tf.slice(context, [0, first, 0], tf.shape(before)) for first in (0, 1))
        x = self.bag(_whole(inputs["previous"])) + before + earlier
        at_onset = before + context
        h, end_state = self._body(self.drop_input(x, training=training), state, training)
        chosen = self._chosen(inputs)
        logits = {}
        for field in self.vocabulary.fields:
            features = [h, x if field == "shift" else at_onset]
            ids = self._head_ids(field, inputs, chosen)
            head = getattr(self, f"head_{field}")
            logits[field] = head(features, ids, training=training)
        outputs = {field: self._cut(field, values) for field, values in logits.items()}
        gain = outputs["duration"]["gain"][..., 0] if self.vocabulary.exact_ends else None
        logits = {field: self._pointed(field, parts, inputs, chosen) for field, parts in outputs.items()}
        for field, impossible in self._impossible(inputs).items():
            logits[field] = tf.where(impossible, IMPOSSIBLE, logits[field])
        return logits, gain, end_state

    def _log_place(self, chosen: tf.Tensor, gain: tf.Tensor, inputs: dict[str, tf.Tensor]) -> tf.Tensor:
        """As `TimeClasses.log_place`, of the durations' classes (B, T)."""
        common = _whole(inputs["duration_pointers"])[..., self.layout.common_end_column]
        width = tf.gather(tf.constant(TIMES.width, tf.float32), chosen)
        others = tf.math.log(tf.maximum(width - 1, 1.0))
        total = others + tf.nn.softplus(gain - others)
        there = tf.cast(inputs["at_common_end"][..., 0], tf.float32)
        holds = (common == chosen + 1) & (width > 1)
        return tf.where(holds, there * gain - total, -tf.math.log(width))

    def _head_ids(self, field: str, inputs: dict[str, tf.Tensor], chosen: dict[str, tf.Tensor]) -> tf.Tensor | None:
        """Ids that a field's head is given beside its features, (B, T, k); None if there are none."""
        blocks = self._head_blocks[field]
        ids = [tf.where(chosen[n] >= 0, first + chosen[n], 0)[..., None] for n, first in blocks.items() if n in chosen]
        if field == "pitch":
            ids.extend(self._relative_ids(inputs, blocks, chosen["last_pitch_1"][..., None]))
        if field == "duration":
            ids.extend(self._relative_ids(inputs, blocks, inputs["fields"][..., PITCH : PITCH + 1] + 1))
        if field in POINTED:
            pointers = _whole(inputs[f"{field}_pointers"])
            first = blocks["pointed"] + POINTED[field] * _whole(range(self.layout.n_pointers(field)))
            classes = tf.gather(_whole(POINTED_CLASS[field]), pointers)
            ids.append(tf.where(pointers > 0, first + classes, 0))
        return tf.concat(ids, -1) if ids else None

    def _relative_ids(
        self, inputs: dict[str, tf.Tensor], blocks: dict[str, int], relative_to: tf.Tensor
    ) -> list[tf.Tensor]:
        """Ids of what sounds and of pitch class levels, as `Layout.relative_ids`; `relative_to` of shape (B, T, 1)."""
        origin = _whole(relative_to)
        sounding = _whole(inputs["context"])[:, 1:, self.layout.sounding_columns]
        state = sounding - self.layout.blocks["sounding"]
        interval = _interval_class(state // 2 % N_PITCHES - (origin - 1))
        intervals = tf.where((sounding > 0) & (origin > 0), blocks["interval"] + interval * 2 + state % 2, 0)
        pitch_class_levels = _whole(inputs["pitch_class_levels"])
        # Of nothing negative, which converters divide otherwise.
        degree = (_whole(range(12)) + 11 * 12 - (origin - 1)) % 12
        degrees = tf.concat([blocks["scale"] + degree * 2, blocks["key"] + degree * 3], -1)
        return [intervals, tf.where((pitch_class_levels > 0) & (origin > 0), degrees + pitch_class_levels - 1, 0)]

    def _cut(self, field: str, outputs: tf.Tensor) -> dict[str, tf.Tensor]:
        """A head's outputs by what they are for. Cut once: the gradient of each slice is as wide as all of them."""
        sizes = {"classes": self.vocabulary.size(field)}
        if field == "part" and self.vocabulary.models_part:
            sizes = {"end": NEW, "new": FIRST_PART - NEW, "described": self.layout.n_descriptions}
            sizes |= {"to_come": 1, "others": 1}
        if field == "pitch":
            sizes |= {"relative": N_INTERVAL_OUTPUTS, "harmony": N_HARMONY_OUTPUTS}
        if field == "duration" and self.vocabulary.exact_ends:
            sizes["gain"] = 1
        if n_pointers := self.layout.n_pointers(field):
            sizes["pointers"] = n_pointers
        return dict(zip(sizes, tf.split(outputs, list(sizes.values()), -1), strict=True))

    def _pointed(
        self, field: str, outputs: dict[str, tf.Tensor], inputs: dict[str, tf.Tensor], chosen: dict[str, tf.Tensor]
    ) -> tf.Tensor:
        """Logits of a field's classes, of the outputs of its head: sums over what points to each."""
        if "described" in outputs:
            return self._part_logits(outputs, inputs)
        logits = outputs["classes"]
        if field == "pitch":
            last = chosen["last_pitch_1"]
            place = _whole(range(N_PITCHES)) - (last[..., None] - 1) + N_PITCHES - 1
            place = _places(tf.clip_by_value(place, 0, N_INTERVAL_OUTPUTS - 1), N_INTERVAL_OUTPUTS)
            relative = tf.reshape(tf.gather(tf.reshape(outputs["relative"], [-1]), place), tf.shape(logits))
            logits += tf.where(last[..., None] > 0, relative, 0.0)
            logits += self._harmony(outputs["harmony"], inputs)
        if "pointers" not in outputs:
            return logits
        return _add_at(logits, _whole(inputs[f"{field}_pointers"]), outputs["pointers"])

    def _harmony(self, outputs: tf.Tensor, inputs: dict[str, tf.Tensor]) -> tf.Tensor:
        """What the logits of pitches gain for their pitch classes: by the levels, and above each reference."""
        levels = _whole(inputs["pitch_class_levels"])
        ids = _whole(inputs["context"])[:, 1:, self.layout.reference_columns]
        pitch = tf.where(ids > 0, ids - _whole(self.layout.reference_origins) - 1, 0)
        n_references = pitch.shape[-1]
        # 132, a multiple of 12, is above all pitches: exported models differ on the remainder of a negative number.
        above = (_whole(range(12)) + 132 - pitch[..., None]) % 12
        first = N_LEVEL_OUTPUTS + 12 * _whole(range(n_references))[:, None]
        above = tf.reshape(first + above, tf.concat([tf.shape(ids)[:-1], [12 * n_references]], 0))
        place = tf.concat([levels[..., :12] * LEVEL_PAIRS[1] + levels[..., 12:], above], -1)
        values = tf.reshape(tf.gather(tf.reshape(outputs, [-1]), _places(place, outputs.shape[-1])), tf.shape(place))
        total = values[..., :12]
        for reference in range(n_references):
            of_reference = values[..., 12 * (1 + reference) : 12 * (2 + reference)]
            total += tf.where(ids[..., reference : reference + 1] > 0, of_reference, 0.0)
        return tf.concat([total] * -(-N_PITCHES // 12), -1)[..., :N_PITCHES]  # for the gradient of tf.tile a GPU waits

    def _part_logits(self, outputs: dict[str, tf.Tensor], inputs: dict[str, tf.Tensor]) -> tf.Tensor:
        """Logits of END, of a new part of each program, and of each part that has played."""
        layout, parts = self.layout, self.vocabulary.parts
        end, new, described, to_come, others = outputs.values()
        line_up = tf.cast(_bits(inputs["line_up"]), tf.float32)[..., : FIRST_PART - NEW + 1]
        listed, known = line_up[..., :-1], line_up[..., -1:]
        new += known * (listed * to_come + (1 - listed) * others)
        classes = _whole(inputs["part_descriptions"])
        ids = tf.where(classes > 0, classes + _whole(np.tile(layout.description_origins, parts)), 0)
        padded = tf.pad(described, [(0, 0), (0, 0), (1, 0)])
        values = tf.gather(tf.reshape(padded, [-1]), _places(ids, padded.shape[-1]))
        sums = tf.reduce_sum(tf.reshape(values, [-1, parts, ids.shape[-1] // parts]), -1, keepdims=True)
        old = tf.reshape(sums, tf.concat([tf.shape(end)[:-1], [parts]], 0))
        return tf.concat([end, new, old], -1)

    def _chosen(self, inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Earlier choices, as the heads need them, by block name: (B, T) classes, -1 for none."""
        fields, part_history = _whole(inputs["fields"]), _whole(inputs["part_history"])
        chosen = {field: fields[..., column] for column, field in enumerate(FIELDS)}
        for column, name in enumerate(PART_HISTORY):
            chosen[name] = tf.where(part_history[..., column] > 0, part_history[..., column], -1)
        last = chosen["last_pitch_1"]
        motion = _interval_class(chosen["pitch"] - (last - 1)) + 1
        chosen["motion"] = tf.where((last > 0) & (chosen["pitch"] >= 0), motion, -1)
        return chosen

    def _impossible(self, inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """What cannot follow, by field, of a shape that fits (B, T, classes)."""
        legality = _whole(inputs["legality"])
        may_join_chord, may_end, floor, top, program = (legality[..., k : k + 1] for k in range(5))
        classes = _whole(range(self.vocabulary.size("part")))
        part = classes - FIRST_PART
        if self.vocabulary.models_part:
            impossible = tf.where(part >= 0, (part < floor) | (part >= top), classes - NEW < program)
        else:
            impossible = floor > 0
        return {
            "shift": (_whole(range(self.vocabulary.size("shift"))) == 0) & (may_join_chord == 0),
            "part": tf.where(classes == END, may_end == 0, impossible),
            "pitch": _bits(inputs["pitch_mask"]) > 0,
            "duration": _whole(range(self.vocabulary.size("duration"))) == 0,  # a note lasts a step or more
        }

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Mean nats per event."""
        events = tf.reduce_sum(tf.cast(x["fields"][..., PART] >= 0, tf.float32))
        return -tf.reduce_sum(y_pred) / tf.maximum(events, 1.0)

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "format": FORMAT,
            **as_settings(self.vocabulary, self.architecture, self.card),
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> EventModel:
        """An untrained model, of settings as `get_config` gives them, in any format."""
        return cls(**{name: value for name, value in upgrade(config).items() if name != "format"})

    def get_build_config(self) -> None:
        return None  # everything is built in __init__

    def export(self, filepath: str, format: str = "tf_saved_model", **options: Any) -> None:
        """Keras's own, for a batch and a length of any size: what it writes gives this model's numbers, to 1e-4.

        Parameters
        ----------
        filepath : str
        format : "tf_saved_model" or "onnx"; the second needs the package tf2onnx
        **options
            As Keras's. `opset_version` of "onnx" is 18 by default, and 16 at least.

        Raises
        ------
        SettingError
            Another format, or an older `opset_version`, whose runtimes would give other numbers or none.
        """
        if format not in EXPORTED:
            raise SettingError(
                f"export as {format}: expected {' or '.join(EXPORTED)}; the model takes any number of notes and sums "
                "embeddings of any number of ids, which the runtimes of other formats cannot"
            )
        if format == "onnx" and options.setdefault("opset_version", 18) < OLDEST_OPSET:
            raise SettingError(f"opset_version {options['opset_version']}: expected {OLDEST_OPSET} or more")
        options.setdefault("input_signature", [self.input_specs()])
        super().export(filepath, format=format, **options)

    def input_specs(self) -> dict[str, tf.TensorSpec]:
        """Types and shapes of the inputs: those of an empty piece, with the batch and the length left open."""
        empty = NoteSequence(np.zeros(0, NOTE), self.vocabulary.grid, 0)
        window = encode(empty, self.vocabulary).window(0, 1)
        return {
            name: tf.TensorSpec([None, None, *values.shape[1:]], values.dtype, name) for name, values in window.items()
        }


@keras.saving.register_keras_serializable("melodygru")
class MelodyGRU(EventModel):
    """The recurrent model of a vocabulary's events; despite its name its cells are those of `Architecture.cell`.

    Attributes
    ----------
    index : bytes or None
        The index of originality that its file holds, as it stands there: whoever saves the model saves it, too.
    """

    index: bytes | None = None

    def _build_body(self, seeds: Iterator[int]) -> int:
        a = self.architecture
        cell = CELLS[a.cell]
        for index in range(a.layers):
            layer = cell.keras_layer()(
                a.units,
                return_sequences=True,
                return_state=True,
                kernel_initializer=keras.initializers.GlorotUniform(seed=next(seeds)),
                recurrent_initializer=keras.initializers.Orthogonal(seed=next(seeds)),
                name=f"{a.cell}_{index}",
            )
            layer.build((None, None, a.units if index else a.embedding))
            setattr(self, cell.attribute(index), layer)
            setattr(self, f"drop_{index}", keras.layers.Dropout(a.drop_layer, noise_shape=ONE_MASK, seed=next(seeds)))
        return a.units

    def _body(
        self, x: tf.Tensor, state: Sequence[tf.Tensor], training: bool = False
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        cell, h, end_state = CELLS[self.architecture.cell], x, []
        for index in range(self.architecture.layers):
            before = list(state[cell.states * index : cell.states * (index + 1)])
            h, *last = getattr(self, cell.attribute(index))(h, initial_state=before, training=training)
            h = getattr(self, f"drop_{index}")(h, training=training)
            end_state += last
        return h, end_state

    def initial_state(self, batch: int | tf.Tensor) -> list[tf.Tensor]:
        """The state before the first event: for each layer its cell's `states` tensors, (B, units)."""
        a = self.architecture
        return [tf.zeros([batch, a.units], self.compute_dtype)] * (a.layers * CELLS[a.cell].states)

    def save_assets(self, folder: str) -> None:
        """Called by Keras when the model is saved."""
        if self.index is not None:
            (Path(folder) / INDEX).write_bytes(self.index)

    def load_assets(self, folder: str) -> None:
        """Called by Keras when it opens a file that has such a folder."""
        places = (Path(folder) / INDEX, Path(folder).parent / INDEX)  # the second in checkpoints made before
        self.index = next((path.read_bytes() for path in places if path.is_file()), None)


def _log_p(logits: tf.Tensor, chosen: tf.Tensor) -> tf.Tensor:
    """Log-likelihood of the chosen classes (B, T) by logits (B, T, n): two operations that ONNX has, or a GPU's one."""
    if not on_gpu():
        return tf.gather(tf.nn.log_softmax(logits), chosen, batch_dims=2)
    flat = tf.reshape(logits, [-1, logits.shape[-1]])
    nats, _ = tf.raw_ops.SparseSoftmaxCrossEntropyWithLogits(features=flat, labels=tf.reshape(chosen, [-1]))
    return tf.reshape(-nats, tf.shape(chosen))


def _silence_pointers(head: Any, n_direct: int) -> None:
    """Let all outputs of an untrained head but the first begin at 0: what they point to is no better than others."""
    kernel = head.output_layer.kernel
    kernel.assign(tf.concat([kernel[:, :n_direct], tf.zeros_like(kernel[:, n_direct:])], 1))


def _add_at(logits: tf.Tensor, classes: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
    """Logits (B, T, n) with values (B, T, k) added to those of classes (B, T, k), which are plus 1; 0 is none."""
    at = tf.reshape(_places(tf.maximum(classes - 1, 0), logits.shape[-1]), [-1, 1])
    values = tf.where(classes > 0, values, 0.0)
    flat = tf.tensor_scatter_nd_add(tf.reshape(logits, [-1]), at, tf.reshape(values, [-1]))
    return tf.reshape(flat, tf.shape(logits))


def _places(columns: tf.Tensor, width: int) -> tf.Tensor:
    """Where columns (B, T, k) of rows of `width` values lie when all rows stand end to end: (B T, k)."""
    columns = tf.reshape(columns, [-1, columns.shape[-1]])
    rows = tf.cast(tf.range(tf.shape(columns)[0]) * width, columns.dtype)
    return columns + rows[:, None]


def _bits(values: tf.Tensor) -> tf.Tensor:
    """The bits of bytes (B, T, k), the lowest first: (B, T, 8 k), integers."""
    table = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1, bitorder="little")
    bits = tf.gather(_whole(table), _whole(values))  # ONNX has few operations on bits
    return tf.reshape(bits, tf.concat([tf.shape(values)[:-1], [8 * values.shape[-1]]], 0))


def _whole(values: Any) -> tf.Tensor:
    """Integers as the model computes with them."""
    return tf.cast(values, index_type()) if tf.is_tensor(values) else tf.constant(np.asarray(values), index_type())


def _interval_class(semitones: tf.Tensor) -> tf.Tensor:
    """As `events.times.interval_class`."""
    widest = N_INTERVALS // 2
    return tf.clip_by_value(semitones, -widest, widest) + widest


def save(model: MelodyGRU, path: Path, card: dict[str, Any] | None = None, *, float16: bool = False) -> None:
    """Write a model's checkpoint by `checkpoint.write`; a card takes the place of the model's."""
    if card is not None:
        model.card = dict(card)
    try:
        with tempfile.TemporaryDirectory() as folder:
            archive = Path(folder) / "model.keras"
            model.save(archive)
            content = archive.read_bytes()
    except (OSError, RuntimeError) as error:  # the second is HDF5's, with what the system says amid much else
        raise CheckpointError(
            f"cannot write {path}: nor a temporary file in {tempfile.gettempdir()}; free some space there, "
            "or set TMPDIR to a folder with space"
        ) from error
    checkpoint.write(path, content, float16=float16)


def load_model(path: str | Path) -> MelodyGRU:
    """The Keras model of a checkpoint.

    Raises
    ------
    CheckpointError
        The file is missing, damaged, or holds another kind of model.
    """
    # Not by Keras, which would make whatever objects the file names, and read whatever its weights point to.
    held = checkpoint.read(Path(path))
    model = MelodyGRU(**as_settings(held.vocabulary, held.architecture, held.card), seed=held.seed)
    for name, weight in weights_of(held.vocabulary, held.architecture).items():
        owner, _, index = weight.path.partition("/vars/")
        layer = functools.reduce(getattr, owner.split("/"), model)
        layer.trainable_variables[int(index)].assign(held.weights[name])
    model.index = checkpoint.read_index(Path(path))
    return model
