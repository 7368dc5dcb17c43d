"""The flat model of benchmarks/flat.py: as honest a likelihood as ours, so that the two may be compared."""

import importlib.util
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
import toys
from toys import VOCABULARIES

from melodygru.events import DURATION, END, FIELDS, NEW, PART, PITCH, SHIFT, TIMES, encode, fit_vocabulary, windows
from melodygru.model.architecture import Architecture
from melodygru.model.keras_model import IMPOSSIBLE, save
from melodygru.music.notes import DRUMS, NoteSequence
from melodygru.training import Settings, Trainer, evaluate

SOURCE = Path(__file__).parents[2] / "benchmarks" / "flat.py"
SPEC = importlib.util.spec_from_file_location("flat", SOURCE)
flat = importlib.util.module_from_spec(SPEC)
sys.modules["flat"] = flat
SPEC.loader.exec_module(flat)

SIZES = Architecture(layers=2, units=10, embedding=8, head=9)


def flat_model(name: str, seed: int = 1):
    """A flat model with random weights, biases too."""
    model = flat.new_flat(VOCABULARIES[name], SIZES, seed)
    rng = np.random.default_rng(seed)
    for variable in model.trainable_variables:
        variable.assign(rng.normal(0, 0.3, variable.shape).astype(np.float32))
    return model


def logits_of(model, encoded):
    logits, _ = model.logits(toys.batch(encoded), model.initial_state(len(encoded)))
    return {position: values.numpy() for position, values in logits.items()}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("one", {"shift": TIMES.size, "pitch": 129, "duration": TIMES.size}),
        ("many", {"shift": TIMES.size, "part": 130 + 7, "pitch": 128, "duration": TIMES.size, "velocity": 32}),
        ("performance", {"shift": TIMES.size, "pitch": 129, "duration": TIMES.size, "velocity": 32}),
    ],
)
def test_a_note_is_a_token_for_each_field_and_end_has_a_place(name, expected):
    vocabulary = VOCABULARIES[name]
    found = {position: flat.n_tokens(vocabulary, position) for position in flat.positions(vocabulary)}
    assert found == expected
    assert list(found) == list(expected)


@pytest.mark.parametrize("name", ["one", "many", "performance", "ensemble"])
def test_what_cannot_follow_is_what_cannot_follow_in_the_events_model(name):
    vocabulary = VOCABULARIES[name]
    n = max(1, vocabulary.parts)
    rows = [(0, 4, DRUMS if vocabulary.models_part else vocabulary.programs[0], 127, 80)] * n
    highest = toys.sequence_of(rows, grid=vocabulary.grid, parts=range(n))  # nothing may join them in a chord
    encoded = [encode(piece, vocabulary) for piece in (highest, *(toys.piece(vocabulary, seed) for seed in range(4)))]
    found, expected = logits_of(flat_model(name), encoded), logits_of(toys.model(name, 1), encoded)
    impossible = {field: values <= IMPOSSIBLE / 2 for field, values in expected.items()}
    if not vocabulary.models_part:
        impossible["pitch"] = np.concatenate([impossible.pop("part")[..., :1], impossible["pitch"]], -1)
    assert found.keys() == impossible.keys()
    real = np.array([np.arange(found["shift"].shape[1]) < len(events) for events in encoded])
    for position, values in found.items():
        np.testing.assert_array_equal((values <= IMPOSSIBLE / 2)[real], impossible[position][real])
        if position != "velocity":
            assert impossible[position][real].any()


@pytest.mark.parametrize("name", ["one", "performance"])
def test_where_end_stands_in_place_of_a_pitch_the_step_hears_the_same_for_either(name):
    """END or a note at the same onset: the logits of both decisions are the same, whatever comes."""
    vocabulary, model = VOCABULARIES[name], flat_model(name)
    for seed in range(4):
        base = toys.piece(vocabulary, seed, n=12)
        at = len(base)
        _, _, part, program, _, velocity = base.notes[0]
        note = np.array([(base.length, 3, part, program, 61, velocity)], base.notes.dtype)
        longer = NoteSequence(np.append(base.notes, note), base.grid, base.length + 3, base.tempos, base.metres)
        encoded = [encode(piece, vocabulary) for piece in (base, longer)]
        assert [events.fields[at, PART] for events in encoded] == [END, NEW]
        logits = logits_of(model, encoded)
        for position in ("shift", "pitch"):
            np.testing.assert_allclose(*logits[position][:, at], atol=1e-5)
        assert logits["pitch"][0, at, 0] > IMPOSSIBLE / 2  # END is possible
        assert np.abs(np.diff(logits["duration"][:, at], axis=0)).max() > 1e-4


@pytest.mark.parametrize("name", ["one", "performance", "many"])
def test_every_token_hears_the_tokens_before_it_and_none_after(name):
    vocabulary, model = VOCABULARIES[name], flat_model(name)
    base = toys.piece(vocabulary, seed=1, n=14)
    at, order = len(base) - 1, flat.positions(vocabulary)
    changed = {field: base.notes.copy() for field in order}
    changed["shift"]["onset"][at] += 1
    changed["pitch"]["pitch"][at] = 127 if base.notes["pitch"][at] < 127 else 126
    changed["duration"]["duration"][at] += 5
    if "velocity" in order:
        changed["velocity"]["velocity"][at] = (base.notes["velocity"][at] + 64) % 128
    if "part" in order:  # a new one
        changed["part"][["part", "program"]][at] = len(base.part_programs), 127
    length = int((base.notes["onset"] + base.notes["duration"]).max()) + 20
    pieces = [
        NoteSequence(notes, base.grid, length, base.tempos, base.metres) for notes in (base.notes, *changed.values())
    ]
    encoded = [encode(piece, vocabulary) for piece in pieces]
    logits = logits_of(model, encoded)
    moved = {field: np.abs(values[1:] - values[0]).max(-1) for field, values in logits.items()}
    for row, name_of_changed in enumerate(order):
        differs = np.flatnonzero((encoded[row + 1].fields != encoded[0].fields)[at])
        assert FIELDS[differs[0]] == name_of_changed
        for column, field in enumerate(order):
            assert moved[field][row, :at].max() < 1e-5
            assert (moved[field][row, at] > 1e-5) == (column > row), f"{field} and the {name_of_changed} of its note"
        assert moved["shift"][row, at + 1] > 1e-5, f"END does not depend on the last note's {name_of_changed}"


@pytest.mark.slow
def test_every_first_event_enumerated_sums_to_one():
    """END or a note: every shift, pitch and duration, one length standing for each wide class."""
    vocabulary, model = VOCABULARIES["one"], flat_model("one")
    shifts = [toys.representative(c) for c in range(TIMES.size)]
    pieces = [toys.sequence_of([(shift, 1, 0, 60, 80)]) for shift in shifts]
    first = windows([encode(piece, vocabulary) for piece in pieces], 0, 1)
    # Every shift with END and with every pitch; then every duration of one note.
    every = {name: np.repeat(values, 129, 0) for name, values in first.items()}
    every["fields"][:, 0, PART] = np.tile([END] + [NEW] * 128, TIMES.size)
    every["fields"][:, 0, PITCH] = np.tile(np.arange(-1, 128), TIMES.size)
    every["fields"][:, 0, DURATION] = -1
    p = np.exp(model(every).numpy()[:, 0].sum(1)).reshape(TIMES.size, 129) * TIMES.width[:, None]
    assert p.sum() == pytest.approx(1, abs=1e-5)
    assert 1e-4 < p[:, 0].sum() < 0.9
    note = {name: np.repeat(values[7:8], TIMES.size, 0) for name, values in first.items()}
    note["fields"][:, 0, DURATION] = np.arange(TIMES.size)
    p = np.exp(model(note).numpy()[:, 0, DURATION]) * TIMES.width
    assert p[0] == 0  # a note lasts a step or more
    assert p.sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", list(VOCABULARIES))
def test_padding_and_missing_fields_cost_nothing_and_windows_join(name):
    vocabulary, model = VOCABULARIES[name], flat_model(name)
    encoded = [encode(toys.piece(vocabulary, seed, n), vocabulary) for seed, n in ((0, 30), (1, 11))]
    whole = model(toys.batch(encoded, 0, 40)).numpy()
    lengths = [len(events) for events in encoded]
    for row, events in zip(whole, encoded, strict=True):
        assert (row[len(events) :] == 0).all()
        assert (row[: len(events)][events.fields < 0] == 0).all()
        if not vocabulary.models_part and not vocabulary.models_velocity:
            assert (row[: len(events), FIELDS.index("velocity")] == 0).all()
    assert (whole[0, : lengths[0], SHIFT] < 0).all()
    state, parts = model.initial_state(2), []
    for start in range(0, 40, 8):
        log_p, state = model.log_likelihood(toys.batch(encoded, start, start + 8), state)
        parts.append(log_p.numpy())
    np.testing.assert_allclose(np.concatenate(parts, 1), whole, atol=1e-4)


@pytest.mark.parametrize("name", ["one", "many"])
def test_each_step_is_told_the_token_before_it(name):
    vocabulary, model = VOCABULARIES[name], flat_model(name)
    events = encode(toys.piece(vocabulary, 2), vocabulary)
    inputs = {name: tf.cast(values, tf.int32) for name, values in toys.batch([events]).items()}
    found = model._token_ids(inputs, inputs["part_history"]).numpy()[0, :, :, 0]
    # What the events model is given of a note at the next one, the flat model is given a token at a time.
    shift, note, duration, velocity, _ = events.previous.T
    last = velocity if vocabulary.models_velocity else duration
    assert found[0, 0] == model.layout.blocks["start"]
    np.testing.assert_array_equal(found[1:, 0], last[1:])
    np.testing.assert_array_equal(found[:-1, 1], shift[1:])
    part = [events.fields[:, PART] + model.blocks["part"]] if vocabulary.models_part else []
    later = [*part, np.append(note[1:], 0), *([np.append(duration[1:], 0)] if vocabulary.models_velocity else [])]
    np.testing.assert_array_equal(found[:, 2:], np.stack(later, 1))


@pytest.mark.parametrize("position", ["pitch", "duration"])
def test_a_step_sees_the_same_from_a_pitch_as_a_head_does(position):
    vocabulary, model = VOCABULARIES["many"], flat_model("many")
    events = encode(toys.piece(vocabulary, 3), vocabulary)
    origin = events.part_history[:, 1] if position == "pitch" else events.fields[:, PITCH] + 1
    expected = model.layout.relative_ids(
        position, events.context[:, model.layout.sounding_columns], events.pitch_class_levels, origin
    )
    blocks = model.layout.head_blocks(position)
    inputs = {name: tf.cast(values, tf.int32) for name, values in toys.batch([events]).items()}
    found = tf.concat(model._relative_to(inputs, position, tf.constant(origin[None, :, None], tf.int32)), -1)[0].numpy()
    for name, columns in (("interval", slice(None, -12)), ("scale", slice(-12, None))):
        there = expected[:, columns] - blocks[name]
        np.testing.assert_array_equal(
            found[:, columns], np.where(there >= 0, there + model.blocks[f"{position} {name}"], 0)
        )
        assert (there >= 0).any()


@pytest.mark.slow
def test_it_trains_is_saved_and_evaluates_as_the_events_model(tmp_path):
    pieces = [toys.piece(VOCABULARIES["one"], seed, n=20) for seed in range(6)]
    vocabulary = fit_vocabulary([(piece, None) for piece in pieces], pieces[0].grid)
    model = flat.new_flat(vocabulary, SIZES, 0, pieces)
    bias = model.output_layer.bias.numpy()[: model.first_token["intervals"]]
    begins = [*model.first_token.values(), len(bias)]
    for first, stop in zip(begins[:-2], begins[1:-1], strict=True):
        assert np.exp(bias[first:stop]).sum() == pytest.approx(1, abs=1e-4)
    output = tmp_path / "flat.keras"
    before = evaluate(model, pieces).nats_per_note
    settings = Settings(epochs=12, batch=3, window=16, warmup=2, transpose=0)
    trainer = Trainer(model, (pieces, [None] * 6), pieces, settings, output)
    assert trainer.run()
    best = keras.models.load_model(output)
    after = evaluate(best, pieces)
    assert after.notes == sum(len(piece) for piece in pieces)
    assert after.nats_per_note < before - 0.3
    assert after.nats_per_note == pytest.approx(trainer.position.best, abs=1e-3)  # float16 in the file
    save(best, output)
    assert evaluate(keras.models.load_model(output), pieces).nats == pytest.approx(after.nats, abs=1e-3)
