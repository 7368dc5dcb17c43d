"""The Keras model: its recurrence, its likelihood's honesty, and Keras's own ways with it."""

import dataclasses
import json
import subprocess
import sys
import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf
import toys
from toys import VOCABULARIES

from melodygru import training
from melodygru.errors import CheckpointError
from melodygru.events import (
    DURATION,
    END,
    FIELDS,
    FIRST_PART,
    NEW,
    PART,
    PITCH,
    SHIFT,
    TIMES,
    VELOCITY,
    Vocabulary,
    encode,
)
from melodygru.model.cells.keras_layers import GRU, LSTM
from melodygru.model.heads import EmbeddingBag
from melodygru.model.keras_model import MelodyGRU, load_model, save
from melodygru.music.notes import DRUMS, NOTE, NoteSequence, part_programs

# -- the recurrence, against Keras's own


STOCK = {GRU: keras.layers.GRU, LSTM: keras.layers.LSTM}
cells = pytest.mark.parametrize("ours", [GRU, LSTM])


def _pair(ours, dtype, units=4, width=3, **options):
    """Our layer and Keras's with the same random weights."""
    rng = np.random.default_rng(3)
    layers = [
        cls(units, return_sequences=True, return_state=True, dtype=dtype, **options) for cls in (ours, STOCK[ours])
    ]
    for layer in layers:
        layer.build((None, None, width))
    weights = [rng.normal(0, 0.7, w.shape) for w in layers[0].get_weights()]
    for layer in layers:
        layer.set_weights(weights)
    return layers


def _run(layer, x, state, to_outputs, to_state):
    """Outputs, last state, and gradients of a weighted sum of both."""
    x, state = tf.constant(x), [tf.constant(array) for array in state]
    with tf.GradientTape() as tape:
        tape.watch([x, *state])
        outputs, *last = layer(x, initial_state=state)
        loss = tf.reduce_sum(outputs * to_outputs)
        loss += sum(tf.reduce_sum(array * weight) for array, weight in zip(last, to_state, strict=True))
    return [outputs, *last, *tape.gradient(loss, [x, *state, *layer.trainable_variables])]


@pytest.mark.parametrize(("cell", "states"), [(GRU, 1), (LSTM, 2)])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("float64", 1e-8)])
@pytest.mark.parametrize(("batch", "steps"), [(1, 1), (1, 7), (3, 1), (2, 5), (4, 19)])
def test_the_recurrence_is_keras_own_in_value_state_and_every_gradient(dtype, tolerance, batch, steps, cell, states):
    rng = np.random.default_rng([batch, steps])
    x, to_outputs = (rng.normal(size=(batch, steps, width)).astype(dtype) for width in (3, 4))
    state, to_state = rng.normal(size=(2, states, batch, 4)).astype(dtype)
    ours, stock = _pair(cell, dtype)
    found = _run(ours, x, state, to_outputs, to_state)
    expected = _run(stock, x, state, to_outputs, to_state)
    # Outputs, states; gradients of input, states, kernel, recurrent kernel, bias.
    assert len(found) == 5 + 2 * states
    for value, right in zip(found, expected, strict=True):
        assert value.dtype == dtype
        np.testing.assert_allclose(value, right, rtol=tolerance, atol=tolerance)
    assert all(np.abs(right).max() > 1e-3 for right in expected)


@cells
def test_the_recurrence_is_traced_once_for_any_batch_and_length(ours):
    ours, stock = _pair(ours, "float32")
    traces = []

    @tf.function(input_signature=[tf.TensorSpec([None, None, 3]), tf.TensorSpec([None, 4])])
    def both(x, state):
        traces.append(1)
        results = []
        for layer in (ours, stock):
            with tf.GradientTape() as tape:
                outputs, *last = layer(x, initial_state=[state, 0.5 * state][: len(layer.state_size)])
                loss = tf.reduce_sum(outputs**2) + tf.reduce_sum(last[-1])
            results.append([outputs, *last, *tape.gradient(loss, layer.trainable_variables)])
        return results

    rng = np.random.default_rng(0)
    for batch, steps in ((1, 1), (2, 6), (5, 3)):
        found, expected = both(
            rng.normal(size=(batch, steps, 3)).astype("float32"), rng.normal(size=(batch, 4)).astype("float32")
        )
        for value, right in zip(found, expected, strict=True):
            np.testing.assert_allclose(value, right, rtol=1e-5, atol=1e-5)
    assert len(traces) == 1


@pytest.mark.parametrize(
    ("ours", "options"),
    [
        (GRU, {"reset_after": False}),
        *(
            (cell, options)
            for cell in STOCK
            for options in (
                {"go_backwards": True},
                {"use_bias": False},
                {"activation": "relu"},
                {"recurrent_activation": "hard_sigmoid"},
            )
        ),
    ],
)
def test_what_the_fast_loop_does_not_do_is_left_to_keras(ours, options):
    x = np.random.default_rng(0).normal(size=(2, 6, 3)).astype("float32")
    ours, stock = _pair(ours, "float32", **options)
    for value, right in zip(ours(x), stock(x), strict=True):
        np.testing.assert_allclose(value, right, rtol=1e-5, atol=1e-6)


@cells
def test_masked_steps_are_skipped_as_keras_skips_them(ours):
    x = np.random.default_rng(0).normal(size=(2, 6, 3)).astype("float32")
    mask = np.array([[1, 1, 1, 0, 0, 0], [1, 0, 1, 1, 0, 1]], bool)
    ours, stock = _pair(ours, "float32")
    for value, right in zip(ours(x, mask=mask), stock(x, mask=mask), strict=True):
        np.testing.assert_allclose(value, right, rtol=1e-5, atol=1e-6)
    assert not np.allclose(ours(x, mask=mask)[1], ours(x)[1])


@cells
def test_the_last_output_alone_is_the_state(ours):
    x = np.random.default_rng(0).normal(size=(2, 6, 3)).astype("float32")
    layer, stock = ours(4), STOCK[ours](4)
    stock.build(x.shape)
    layer.build(x.shape)
    stock.set_weights(layer.get_weights())
    assert layer(x).shape == (2, 4)
    np.testing.assert_allclose(layer(x), stock(x), rtol=1e-5, atol=1e-6)


# -- honesty (a): nothing leaks backwards


def _variants(piece):
    """(note, first field that differs, piece) of pieces that differ in one note, in order and valid."""
    changes = {
        SHIFT: ("onset", (-2, -1, 1, 2, 150)),
        PART: ("part", range(-6, 7)),
        PITCH: ("pitch", (-2, -1, 1, 7)),
        DURATION: ("duration", (-1, 1, 3, 190)),
        VELOCITY: ("velocity", (-40, -8, 8, 40)),
    }
    for t in range(len(piece)):
        for column, (name, amounts) in changes.items():
            for amount in amounts:
                notes = piece.notes.copy()
                notes[name][t] += amount
                if name == "onset":
                    notes["duration"][t] = max(1, notes["duration"][t] - amount)  # the end stays where it was
                if name == "part":
                    if not 0 <= notes["part"][t] < len(piece.part_programs):
                        continue
                    notes["program"][t] = piece.part_programs[notes["part"][t]]
                if not toys.follows(notes[:-1], notes[-1], piece.grid):
                    continue
                length = max(piece.length, int((notes["onset"] + notes["duration"]).max()))
                yield t, column, NoteSequence(notes, piece.grid, length, piece.tempos, piece.metres)
    for part, first in enumerate(np.unique(piece.notes["part"], return_index=True)[1]):
        for program in (0, 7, 40, 41, DRUMS):  # of a whole part, from where it comes in
            notes = piece.notes.copy()
            notes["program"][notes["part"] == part] = program
            if toys.follows(notes[:-1], notes[-1], piece.grid):
                yield first, PART, NoteSequence(notes, piece.grid, piece.length, piece.tempos, piece.metres)


@pytest.mark.parametrize(
    ("name", "cell", "line_up_known"),
    [
        ("one", "gru", False),
        ("many", "gru", False),
        ("many", "gru", True),
        ("duet", "gru", False),
        ("lookbacks", "gru", True),
        ("performance", "gru", False),
        ("pedal", "gru", False),
        ("one", "lstm", False),
    ],
)
def test_changing_a_note_changes_nothing_that_was_said_before_it(name, cell, line_up_known):
    vocabulary, model = VOCABULARIES[name], toys.model(name, 2, cell=cell)
    base = toys.piece(vocabulary, seed=1, n=20)
    variants = list(_variants(base))
    if not vocabulary.models_part:
        variants = [variant for variant in variants if variant[1] != PART]
    if line_up_known:  # which says it of the whole piece, before the first note
        line_up = sorted(base.part_programs)
        variants = [variant for variant in variants if sorted(variant[2].part_programs) == line_up]
    pieces = [base, *(piece for _, _, piece in variants)]
    encoded = [encode(piece, vocabulary, line_up_known=line_up_known) for piece in pieces]
    logits, _ = model.logits(toys.batch(encoded), model.initial_state(len(encoded)))
    logits = {field: values.numpy() for field, values in logits.items()}
    # How far each variant's logits are from the original's: field -> (variants, events).
    moved = {field: np.abs(values[1:] - values[0]).max(-1) for field, values in logits.items()}
    changed = set()
    for row, (t, column, _) in enumerate(variants):
        if encoded[row + 1].fields[t, column] == encoded[0].fields[t, column]:
            continue  # another value of the same class
        first = int(np.argmax((encoded[row + 1].fields != encoded[0].fields)[t]))
        assert first == column
        for index, field in enumerate(vocabulary.fields):
            assert moved[field][row, :t].max(initial=0) < 5e-6
            if index <= column:
                assert moved[field][row, t] < 5e-6, f"{field} of note {t} knows its own {FIELDS[column]}"
            elif moved[field][row, t] > 1e-4:
                changed.add((FIELDS[column], field))
        later = max(moved[field][row, t + 1 :].max() for field in vocabulary.fields)
        assert later > 1e-4, f"what follows note {t} does not depend on its {FIELDS[column]}"
    # Every later field of a note depends on every earlier one, so that the test can fail.
    modelled = [field for field in vocabulary.fields if field not in vocabulary.unmodelled]
    expected = {(a, b) for i, a in enumerate(modelled) for b in vocabulary.fields[vocabulary.fields.index(a) + 1 :]}
    assert expected <= changed


def test_likelihoods_before_a_change_stay_whatever_comes_after():
    vocabulary, model = VOCABULARIES["styles"], toys.model("styles", 2)
    base, other = toys.piece(vocabulary, 2, n=30), toys.piece(vocabulary, 4, n=30)
    whole = model(toys.batch([encode(base, vocabulary, "airs")])).numpy()[0]
    for t in (1, 7, 19):
        onset = int(base.notes["onset"][t - 1]) + 1
        begun = dataclasses.replace(base, notes=base.notes[:t], length=onset + 10_000)  # every note of it is over
        spliced = dataclasses.replace(begun.join(other), length=1 << 16, metres=base.metres)
        found = model(toys.batch([encode(spliced, vocabulary, "airs")])).numpy()[0]
        np.testing.assert_allclose(found[:t], whole[:t], atol=1e-6)
        assert abs(found[t].sum() - whole[t].sum()) > 1e-4


# -- honesty (c): probabilities sum to 1


def _parts_to_choose(prefix, vocabulary):
    """(class, part, program) of each part that could play next, if the notes' order allowed it."""
    programs = part_programs(prefix).tolist()
    if not vocabulary.models_part:
        return [(NEW, 0, vocabulary.programs[0])]
    new = range(129 if len(programs) < vocabulary.parts else 0)
    choices = [(NEW + program, len(programs), program) for program in new]
    return choices + [(FIRST_PART + part, part, program) for part, program in enumerate(programs)]


def _candidates(prefix, vocabulary, rng, n):
    """Random notes that may follow a prefix, some in its last chord."""
    last = int(prefix["onset"][-1]) if len(prefix) else 0
    choices, found = _parts_to_choose(prefix, vocabulary), []
    while len(found) < n:
        shift = int(rng.choice([0, 0, 1, 2, int(rng.integers(3, 300))]))
        old = choices[129:] if rng.random() < 0.5 else []
        _, part, program = (old or choices)[rng.integers(len(old or choices))]
        pitch = int(rng.choice([int(rng.integers(0, 128)), int(rng.integers(120, 128))]))
        note = (last + shift, int(rng.integers(1, 300)), part, program, pitch, int(rng.choice(vocabulary.velocities)))
        if toys.follows(prefix, note, vocabulary.grid):
            found.append(note)
    return found


def _may_follow(prefix, field, note, vocabulary):
    """Whether each class of a field may follow a prefix and the earlier fields of `note`, by the notes' own rule."""
    last = int(prefix["onset"][-1]) if len(prefix) else 0
    onset, _, part, program, _, velocity = note
    choices = _parts_to_choose(prefix, vocabulary)

    def some(onset, parts, pitches=range(127, -1, -1)):
        """Whether any note with these values may follow."""
        return any(
            toys.follows(prefix, (onset, 1, part, program, pitch, velocity), vocabulary.grid)
            for part, program in parts
            for pitch in pitches
        )

    held = int((prefix["onset"] + prefix["duration"]).max()) if len(prefix) else 0
    if field == "shift":
        return [bool(shift) or some(last, [c[1:] for c in choices]) for shift in range(TIMES.size)]
    if field == "part":
        may = np.zeros(vocabulary.size("part"), bool)
        may[END] = onset >= held
        for part_class, *choice in choices:
            may[part_class] = some(onset, [choice])
        return may
    if field == "pitch":
        return [some(onset, [(part, program)], [pitch]) for pitch in range(128)]
    if field == "duration":
        # A class counts if a length in it is a note's: a note lasts a step or more.
        return [toys.representative(c) >= 1 for c in range(TIMES.size)]
    return [True] * vocabulary.size(field)


# (onset, duration, part, pitch); where there is one part only, it has all of them.
PREFIXES = {
    "empty": [],
    "sounding": [(0, 500, 0, 60), (0, 2, 0, 64), (1, 400, 0, 61)],
    "two parts sound": [(0, 500, 0, 60), (0, 2, 1, 64), (1, 400, 0, 61)],
    "a part came in last": [(0, 4, 0, 60), (2, 4, 1, 64)],
    "another part came in here": [(0, 4, 0, 60), (2, 4, 0, 62), (2, 4, 1, 64)],
    "top of the keyboard": [(0, 4, 0, 3), (2, 4, 0, 126)],
    "nothing above": [(0, 4, 0, 3), (2, 4, 0, 127)],
    "above all held": [*((0, 50, 0, p) for p in range(105, 128)), (3, 4, 0, 104)],
    "every part has come in": [(0, 4, 0, 3), (0, 4, 1, 4), (1, 4, 2, 5)],
    "nothing above in the last part": [(0, 4, 0, 3), (0, 4, 1, 4), (1, 4, 2, 5), (2, 4, 2, 127)],
}
PARTS = {"one": (0,), "performance": (0,), "duet": (0, 0, 0), "many": (0, 0, DRUMS)}  # the program of each


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("name", PARTS)
def test_all_that_may_follow_has_probability_and_sums_to_one(name, prefix):
    vocabulary, model = VOCABULARIES[name], toys.model(name, 1)
    rng = np.random.default_rng(5)
    programs = PARTS[name]
    rows = [(onset, length, min(part, len(programs) - 1), pitch) for onset, length, part, pitch in PREFIXES[prefix]]
    notes = np.array([(onset, length, part, programs[part], pitch, 80) for onset, length, part, pitch in rows], NOTE)
    candidates = _candidates(notes, vocabulary, rng, 6)
    encoded = []
    for note in candidates:
        whole = np.append(notes, np.array([note], NOTE))
        piece = NoteSequence(whole, vocabulary.grid, 1 << 16)
        encoded.append(encode(piece, vocabulary, line_up_known=name == "many"))
    logits, _ = model.logits(toys.batch(encoded), model.initial_state(len(encoded)))
    for row, note in enumerate(candidates):
        for field in vocabulary.fields:
            if field == "shift" and row:
                continue  # nothing comes before it: the same for every candidate
            values = np.asarray(logits[field][row, len(notes)], np.float64)
            p = np.exp(values - values.max())
            p /= p.sum()
            may = np.array(_may_follow(notes, field, note, vocabulary))
            assert p[may].sum() == pytest.approx(1, abs=1e-9), f"{field}: probability for what cannot follow"
            assert (p[may] > 0).all(), f"{field}: no probability for what can follow"
            assert (p[~may] == 0).all()


@pytest.mark.slow
def test_all_sequences_of_a_toy_model_sum_to_one():
    """Whole pieces of one or two notes, and all beginnings with three: of two programs, each in several parts.

    Every class but a few is ruled out, so that they can be written down: shifts of 0 and 2, so that nothing sounds on;
    pitches 60 and 127, so that inside a chord a part that can play has a pitch.
    """
    vocabulary = VOCABULARIES["ensemble"]
    model = toys.new_model(vocabulary, seed=6)
    programs, pitches = (0, 40), (60, 127)
    left = {
        "shift": [0, 2],
        "part": [END, *(NEW + program for program in programs)],
        "pitch": pitches,
        "duration": [1, 2],
    }
    for field, classes in left.items():
        bias = getattr(model, f"head_{field}").output_layer.bias
        values = bias.numpy()
        of_classes = values[: FIRST_PART if field == "part" else vocabulary.size(field)]
        of_classes[~np.isin(np.arange(len(of_classes)), classes)] = -1000
        bias.assign(values)

    def longer(prefix):
        """Every note that may follow."""
        last = int(prefix["onset"][-1]) if len(prefix) else 0
        old = part_programs(prefix).tolist()
        parts = [*enumerate(old), *((len(old), program) for program in programs)]
        for onset in (last, last + 2):
            for part, program in parts:
                for pitch in pitches:
                    for duration in (1, 2):
                        note = (onset, duration, part, program, pitch, 80)
                        if toys.follows(prefix, note, vocabulary.grid):
                            yield np.append(prefix, np.array([note], NOTE))

    def nats(prefixes, ends):
        """-ln p of prefixes, or of pieces of these notes that end `shift` steps after the last onset."""
        pieces = [
            NoteSequence(notes, vocabulary.grid, (int(notes["onset"][-1]) if len(notes) else 0) + (shift or 2))
            for notes in prefixes
            for shift in ends
        ]
        log_p = model(toys.batch([encode(piece, vocabulary) for piece in pieces])).numpy().astype(np.float64)
        return -log_p.sum((1, 2)) if ends != (None,) else -log_p[:, :-1].sum((1, 2))

    empty = np.zeros(0, NOTE)
    ones = list(longer(empty))
    twos = [piece for prefix in ones for piece in longer(prefix)]
    threes = [piece for prefix in twos for piece in longer(prefix)]
    assert len(ones) == 2 * 2 * 2 * 2 and len({piece.tobytes() for piece in threes}) == len(threes) > 3000
    nothing = [NoteSequence(empty, vocabulary.grid, length) for length in (0, 2)]
    total = np.exp(model(toys.batch([encode(piece, vocabulary) for piece in nothing])).numpy().sum((1, 2))).sum()
    total += np.exp(-nats(ones, (2,))).sum() + np.exp(-nats(twos, (2,))).sum()
    assert 0.2 < total < 0.98
    total += np.exp(-nats(threes, (None,))).sum()
    assert total == pytest.approx(1, abs=1e-4)


@pytest.mark.slow
def test_every_first_event_enumerated_sums_to_one():
    """END or a note: every shift, pitch and duration, one length standing for each wide class."""
    vocabulary, model = VOCABULARIES["one"], toys.model("one", 1)
    shifts = [toys.representative(c) for c in range(TIMES.size)]
    pieces = [toys.sequence_of([(s, 1, 0, 60, 80)]) for s in shifts]
    inputs = toys.batch([encode(piece, vocabulary) for piece in pieces])
    first = {name: values[:, : 2 if name == "context" else 1] for name, values in inputs.items()}
    p_shift = tf.nn.softmax(model.logits(first, model.initial_state(len(shifts)))[0]["shift"][0, 0]).numpy()
    total = 0.0
    part = tf.nn.softmax(model.logits(first, model.initial_state(len(shifts)))[0]["part"][:, 0]).numpy()
    for pitch in range(128):
        fields = first["fields"].copy()
        fields[..., PITCH] = pitch
        logits, _ = model.logits({**first, "fields": fields}, model.initial_state(len(shifts)))
        p_pitch = tf.nn.softmax(logits["pitch"][:, 0]).numpy()[:, pitch]
        p_duration = tf.nn.softmax(logits["duration"][:, 0]).numpy()
        # A wide class of width w holds w lengths of p / w each; class 0 is no note's length.
        each = np.exp(np.log(p_duration) - TIMES.log_width) * TIMES.width
        total += float((p_shift * part[:, NEW] * p_pitch * each[:, 1:].sum(1)).sum())
    total += float((p_shift * part[:, END]).sum())
    assert total == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("left", [140, 300, 5000])
def test_all_steps_of_a_class_that_holds_the_common_end_sum_to_it(left):
    """Three notes sound to one end; the fourth may end there, to the step, or anywhere beside it."""
    vocabulary, model = VOCABULARIES["pedal"], toys.model("pedal", 2)
    sounding = [(at, left + 10 - at, 0, 60 + at, 80) for at in (0, 4, 8)]
    held = int(TIMES.encode(np.array([left]))[0])
    low, width = int(TIMES.low[held]), int(TIMES.width[held])
    assert width > 1
    lengths = range(low, low + width)
    encoded = [
        encode(toys.sequence_of([*sounding, (10, n, 0, 90, 80)], grid=toys.PERFORMANCE), vocabulary) for n in lengths
    ]
    inputs = toys.batch(encoded)
    logits, _ = model.logits(inputs, model.initial_state(len(encoded)))
    p_class = tf.nn.softmax(logits["duration"][0, 3]).numpy()[held]
    p = np.exp(model(inputs).numpy()[:, 3, DURATION])
    assert p.sum() == pytest.approx(p_class, rel=1e-4)
    others = np.delete(p, left - low)
    assert others == pytest.approx(np.full(width - 1, others[0]), rel=1e-4)
    assert p[left - low] != pytest.approx(others[0], rel=1e-2)


def test_a_wide_class_is_charged_its_width():
    vocabulary, model = VOCABULARIES["one"], toys.model("one", 1)
    exact, wide = TIMES.exact - 1, TIMES.exact + 40
    for steps, width in ((exact, 1), (wide, int(TIMES.width[TIMES.encode(np.array([wide]))[0]]))):
        encoded = [encode(toys.sequence_of([(0, steps, 0, 60, 80)]), vocabulary)]
        inputs = toys.batch(encoded)
        logits, _ = model.logits(inputs, model.initial_state(1))
        p = tf.nn.softmax(logits["duration"][0, 0]).numpy()[int(TIMES.encode(np.array([steps]))[0])]
        log_p = model(inputs).numpy()[0, 0, DURATION]
        assert log_p == pytest.approx(np.log(p / width), abs=1e-5)
    assert width > 1


def test_id_0_has_no_gradient():
    bag = EmbeddingBag(40, 6)
    bag.build()
    ids = np.array([[[0, 0], [0, 0]], [[3, 5], [3, 0]]], np.int32)
    for used in (ids[:1], ids[1:], ids):
        for _ in range(50):
            with tf.GradientTape() as tape:
                total = bag(tf.constant(used))
            gradient = tf.convert_to_tensor(tape.gradient(total, bag.table)).numpy()
            expected = np.zeros(40)
            expected[[3, 5]] = [2, 1] if len(used) == 2 or used.any() else [0, 0]
            np.testing.assert_array_equal(gradient, np.repeat(expected[:, None], 6, 1))
            np.full((40, 6), np.nan, np.float32)  # memory that is given back is not zero
        table = bag.table.numpy() * (np.arange(40) > 0)[:, None]
        np.testing.assert_allclose(total, table[used].sum(-2), atol=1e-6)


def test_padding_and_absent_fields_count_nothing():
    vocabulary, model = VOCABULARIES["styles"], toys.model("styles", 1)
    short, long = (encode(toys.piece(vocabulary, seed, n), vocabulary) for seed, n in ((0, 4), (1, 20)))
    both = model(toys.batch([short, long])).numpy()
    assert (both[0, len(short) :] == 0).all()
    assert (both[..., VELOCITY] == 0).all()  # unmodelled
    assert (both[0, len(short) - 1, PITCH:] == 0).all()  # END has no pitch
    assert both[0, len(short) - 1, PART] < 0
    np.testing.assert_allclose(both[0, : len(short)], model(toys.batch([short])).numpy()[0], atol=1e-5)


@pytest.mark.parametrize(("cell", "arrays_of_state"), [("gru", 2), ("lstm", 4)])
def test_a_piece_in_windows_is_the_piece_at_once(cell, arrays_of_state):
    vocabulary, model = VOCABULARIES["many"], toys.model("many", 2, cell=cell)
    pieces = [encode(toys.piece(vocabulary, seed, 30), vocabulary) for seed in (0, 1)]
    whole = model(toys.batch(pieces)).numpy()
    state = model.initial_state(2)
    assert [array.shape for array in state] == [(2, 10)] * arrays_of_state
    parts = []
    for start, stop in ((0, 1), (1, 14), (14, whole.shape[1])):
        log_p, state = model.log_likelihood(toys.batch(pieces, start, stop), state)
        parts.append(log_p.numpy())
    np.testing.assert_allclose(np.concatenate(parts, 1), whole, atol=1e-5)
    assert len(state) == arrays_of_state
    forgotten = model.log_likelihood(toys.batch(pieces, 14, whole.shape[1]), model.initial_state(2))[0].numpy()
    assert np.abs(forgotten - whole[:, 14:]).max() > 1e-3  # so that the state says something


# -- a citizen of Keras


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A saved toy model, its input and its answer."""
    path = tmp_path_factory.mktemp("saved") / "toy.keras"
    model = toys.model("many", 2)
    save(model, path, {"recorded": "2026-01-01"})
    inputs = toys.batch([encode(toys.piece(VOCABULARIES["many"], seed), VOCABULARIES["many"]) for seed in (0, 1)])
    np.savez(path.with_suffix(".npz"), **inputs)
    return path, inputs, model(inputs).numpy()


_LOAD = """
import numpy as np
model = keras.models.load_model({path!r}, safe_mode=True)
inputs = dict(np.load({inputs!r}))
print(type(model).__name__, float(model.predict(inputs, verbose=0).sum()))
"""


@pytest.mark.parametrize(
    "imports",
    [
        "import melodygru, keras",
        "import keras, melodygru",
        "import melodygru, tensorflow, keras",  # TensorFlow imports Keras while it is half imported itself
        "import melodygru; from tensorflow import keras",
        "import melodygru.model.heads, keras",  # which imports Keras before it is whole itself
    ],
)
@pytest.mark.slow
def test_plain_keras_loads_it_once_melodygru_is_imported(saved, imports):
    path, _, answer = saved
    code = f"{imports}\n{_LOAD.format(path=str(path), inputs=str(path.with_suffix('.npz')))}"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    name, total = result.stdout.split()
    assert name == "MelodyGRU"
    assert float(total) == pytest.approx(float(answer.sum()), rel=1e-5)


def test_the_loaded_model_is_the_saved_one(saved):
    path, inputs, answer = saved
    for model in (load_model(path), load_model(str(path)), keras.models.load_model(path, safe_mode=True)):
        assert isinstance(model, MelodyGRU)
        assert model.vocabulary == VOCABULARIES["many"]
        assert model.card == {"recorded": "2026-01-01"}
        np.testing.assert_array_equal(model(inputs).numpy(), answer)


def test_an_lstm_is_saved_and_loaded_too(tmp_path):
    model = toys.model("many", 2, cell="lstm")
    inputs = toys.batch([encode(toys.piece(VOCABULARIES["many"]), VOCABULARIES["many"])])
    save(model, tmp_path / "lstm.keras")
    loaded = load_model(tmp_path / "lstm.keras")
    assert loaded.architecture.cell == "lstm"
    np.testing.assert_array_equal(loaded(inputs).numpy(), model(inputs).numpy())
    assert {layer.name for layer in loaded.layers} >= {"lstm_0", "lstm_1"}


def test_a_checkpoint_holds_no_code(saved):
    with zipfile.ZipFile(saved[0]) as archive:
        assert sorted(archive.namelist()) == ["config.json", "metadata.json", "model.weights.h5"]
        config = archive.read("config.json").decode()
    assert "lambda" not in config.lower()
    assert "pickle" not in config.lower()


def test_the_configuration_is_plain_json_and_makes_the_same_model():
    model = toys.model("styles", 2)
    config = json.loads(json.dumps(model.get_config()))
    twin = MelodyGRU.from_config(config)
    assert twin.vocabulary == model.vocabulary
    assert twin.architecture == model.architecture
    assert [v.shape for v in twin.variables] == [v.shape for v in model.variables]


def test_weights_follow_from_the_seed():
    vocabulary, sizes = VOCABULARIES["one"], toys.model("one").architecture
    a, b, c = (training.new_model(vocabulary, sizes, seed).get_weights() for seed in (1, 1, 2))
    assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))
    assert not all(np.array_equal(x, y) for x, y in zip(a, c, strict=True))


def test_summary_counts_every_parameter(saved):
    lines = []
    model = load_model(saved[0])
    model.summary(print_fn=lambda line, **_: lines.append(line))
    text = "\n".join(lines)
    assert f"{sum(int(np.prod(v.shape)) for v in model.trainable_variables):,}" in text
    assert "gru_1" in text


def test_predict_gives_what_a_call_gives(saved):
    _, inputs, answer = saved
    found = toys.model("many", 2).predict(inputs, verbose=0)
    assert found.shape == (*inputs["fields"].shape[:2], 5)
    np.testing.assert_allclose(found, answer, atol=1e-5)


@pytest.mark.slow
def test_fit_lowers_the_loss(saved):
    path, inputs, answer = saved
    model = load_model(path)
    model.compile(optimizer=keras.optimizers.Adam(1e-2))
    losses = model.fit(inputs, epochs=3, batch_size=2, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    events = (inputs["fields"][..., PART] >= 0).sum()
    np.testing.assert_allclose(
        model.compute_loss(x=inputs, y_pred=tf.constant(answer)), -answer.sum(dtype=np.float64) / events, rtol=1e-5
    )


def test_dropout_is_for_training_alone(saved):
    _, inputs, answer = saved
    model = toys.model("many", 2)
    np.testing.assert_array_equal(model(inputs).numpy(), answer)
    assert np.abs(model(inputs, training=True).numpy() - answer).max() > 1e-3


# -- files


def test_a_save_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "new" / "toy.keras"
    model = toys.new_model(VOCABULARIES["one"])
    save(model, path)
    old = path.read_bytes()

    def fail(self, aside, *_, **__):
        with open(aside, "wb") as file:
            file.write(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(MelodyGRU, "save", fail)
    with pytest.raises(CheckpointError, match="cannot write .*toy.keras"):
        save(model, path)
    assert path.read_bytes() == old
    assert [p.name for p in path.parent.iterdir()] == ["toy.keras"]


def test_load_model_says_what_is_wrong(saved, tmp_path):
    with pytest.raises(CheckpointError, match="gone.keras: no such checkpoint"):
        load_model(tmp_path / "gone.keras")
    junk = tmp_path / "junk.keras"
    junk.write_bytes(b"not a zip")
    with pytest.raises(CheckpointError, match="not a readable .keras file"):
        load_model(junk)
    other = tmp_path / "other.keras"
    keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(1)]).save(other)
    with pytest.raises(CheckpointError, match="holds a Sequential model, expected MelodyGRU; make one with melodygru"):
        load_model(other)
    damaged = tmp_path / "damaged.keras"
    data = bytearray(saved[0].read_bytes())
    with zipfile.ZipFile(saved[0]) as archive:
        info = archive.getinfo("model.weights.h5")
    middle = info.header_offset + info.compress_size // 2
    data[middle : middle + 64] = bytes(64 * [0xA5])
    damaged.write_bytes(data)
    with pytest.raises(CheckpointError, match="damaged, or written by another version of melodygru"):
        load_model(damaged)


def test_a_vocabulary_is_its_plain_values():
    for vocabulary in VOCABULARIES.values():
        assert Vocabulary.from_dict(json.loads(json.dumps(vocabulary.as_dict()))) == vocabulary
