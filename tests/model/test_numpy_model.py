"""The step in NumPy: the same logits as the Keras model's, over whole pieces, for one stream and for several."""

import numpy as np
import pytest
import toys
from toys import VOCABULARIES

from melodygru.events import END, FIELDS, FIRST_PART, NEW, PART_HISTORY, Context, encode
from melodygru.model.numpy_model import FEW

ARRIVES = ("pitch_class_levels", "part_descriptions", "line_up")


def _logits(network, encoded, inputs=None):
    """Logits of each field over whole pieces, all as streams of one batch: {field: (streams, T, classes)}."""
    inputs = inputs or toys.batch(encoded)
    fields, part_history = inputs["fields"], inputs["part_history"]
    state = network.initial_state(len(fields))
    found = {field: [] for field in network.vocabulary.fields}
    for t in range(fields.shape[1]):
        step = network.step(inputs["previous"][:, t], inputs["before"][:, t], inputs["context"][:, t], state)
        state = step.state
        chosen = {field: np.maximum(fields[:, t, column], 0) for column, field in enumerate(FIELDS)}
        chosen |= dict(zip(PART_HISTORY, part_history[:, t].T, strict=True))
        found["shift"].append(step.logits("shift", None, inputs["shift_pointers"][:, t]))
        step.arrive(inputs["context"][:, t + 1], *(inputs[name][:, t] for name in ARRIVES))
        for field in network.vocabulary.fields[1:]:
            pointers = inputs[f"{field}_pointers"][:, t] if field != "part" else None
            found[field].append(step.logits(field, chosen, pointers))
    return {field: np.stack(values, 1) for field, values in found.items()}


def _pieces(name):
    """Three pieces of different lengths, with and without their conditions known."""
    vocabulary = VOCABULARIES[name]
    style = vocabulary.styles[-1] if vocabulary.styles else None
    return [
        encode(toys.piece(vocabulary, 0, 40), vocabulary, style, line_up_known=True),
        encode(toys.piece(vocabulary, 1, 25), vocabulary, None, metre_known=False),
        encode(toys.piece(vocabulary, 2, 7), vocabulary, style, line_up_known=True),
    ]


@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize(
    ("name", "layers"),
    [
        ("one", 1),
        ("one_loud", 2),
        ("many", 3),
        ("many", 1),
        ("duet", 2),
        ("styles", 2),
        ("lookbacks", 2),
        ("performance", 2),
        ("pedal", 2),
        ("ensemble", 3),
    ],
)
def test_logits_are_those_of_the_keras_model_over_whole_pieces(name, layers, cell):
    model, network = toys.model(name, layers, cell=cell), toys.network(name, layers, cell=cell)
    for events in _pieces(name):
        found = _logits(network, [events])
        expected, _ = model.logits(toys.batch([events]), model.initial_state(1))
        assert set(found) == set(network.vocabulary.fields) == set(expected)
        for column, field in enumerate(network.vocabulary.fields):
            right = expected[field].numpy()
            there = events.fields[:, column] >= 0  # END has no pitch
            possible = (right > -1e8) & there[None, :, None]  # the network leaves what cannot follow to the sampler
            assert possible.any(-1)[0, there].all()
            np.testing.assert_allclose(found[field][possible], right[possible], rtol=1e-4, atol=1e-4)
            assert right[possible].std() > 0.05  # so that equality says something


@pytest.mark.parametrize(
    ("name", "cell"), [("many", "gru"), ("lookbacks", "gru"), ("performance", "gru"), ("many", "lstm")]
)
def test_several_streams_at_once_are_each_alone(name, cell):
    network, pieces = toys.network(name, 2, cell=cell), _pieces(name)
    together = _logits(network, pieces)
    for row, events in enumerate(pieces):
        alone = _logits(network, [events])
        for field, values in alone.items():
            np.testing.assert_allclose(together[field][row, : len(events)], values[0], atol=1e-5)


@pytest.mark.parametrize("field", ["shift", "pitch", "duration"])
def test_a_pointer_adds_to_the_class_that_it_points_to_and_to_no_other(field):
    network, vocabulary = toys.network("lookbacks"), VOCABULARIES["lookbacks"]
    events = encode(toys.piece(vocabulary, 0, 200), vocabulary)
    kernel, bias = network.outputs[field]
    plain = _logits(network, [events])[field][0]
    n = network.layout.n_pointers(field)
    try:
        raised = bias.copy()
        raised[-n:] += 2.0 ** np.arange(n)
        network.outputs[field] = kernel, raised
        added = _logits(network, [events])[field][0] - plain
    finally:
        network.outputs[field] = kernel, bias
    expected = np.zeros_like(added)
    for at, row in enumerate(getattr(events, f"{field}_pointers").tolist()):
        for pointer, class_plus_1 in enumerate(row):
            if class_plus_1:
                expected[at, class_plus_1 - 1] += 2**pointer
    np.testing.assert_allclose(added, expected, rtol=1e-5, atol=1e-2)
    several = np.count_nonzero(expected) < np.count_nonzero(getattr(events, f"{field}_pointers"))
    assert several and (expected > 0).any(0).sum() > 5  # some classes have several


def test_a_part_is_chosen_by_its_description_and_a_new_one_by_its_program_and_the_line_up():
    network = toys.network("many")
    vocabulary, layout = network.vocabulary, network.layout
    rng = np.random.default_rng(0)
    outputs = rng.normal(size=(2, layout.n_outputs("part"))).astype(np.float32)
    descriptions = np.zeros((2, vocabulary.parts, len(layout.description_sizes)), np.uint8)
    descriptions[:, :2] = rng.integers(0, np.array(layout.description_sizes) + 1, (2, 2, len(layout.description_sizes)))
    line_up = np.zeros((2, 17), np.uint8)
    line_up[1, [16, 5]] = [0b11, 0b1]  # known; still to come: drums, and program 40
    found = network.part_logits(outputs, descriptions.reshape(2, -1), line_up)
    assert found.shape == (2, FIRST_PART + vocabulary.parts)
    np.testing.assert_array_equal(found[:, END], outputs[:, 0])
    np.testing.assert_array_equal(found[0, NEW:FIRST_PART], outputs[0, 1:130])  # nothing is known
    is_listed = np.isin(np.arange(129), (40, 128))
    expected = outputs[1, 1:130] + np.where(is_listed, outputs[1, -2], outputs[1, -1])
    np.testing.assert_allclose(found[1, NEW:FIRST_PART], expected, rtol=1e-6)
    for row in range(2):
        for part in range(vocabulary.parts):
            first, total = FIRST_PART, 0.0
            for column, size in enumerate(layout.description_sizes):
                value = int(descriptions[row, part, column])
                total += outputs[row, first + value - 1] if value else 0.0
                first += size
            assert found[row, FIRST_PART + part] == pytest.approx(total, abs=1e-5)


@pytest.mark.parametrize(("cell", "arrays_of_state"), [("gru", 2), ("lstm", 4)])
def test_a_step_leaves_its_state_alone(cell, arrays_of_state):
    network = toys.network("many", 2, cell=cell)
    inputs = toys.batch(_pieces("many")[:1])
    assert [array.shape for array in network.initial_state(3)] == [(3, 10)] * arrays_of_state
    state = [np.random.default_rng(i).normal(size=(1, 10)).astype(np.float32) for i in range(arrays_of_state)]
    copies = [array.copy() for array in state]
    arrays = (inputs["previous"][:, 0], inputs["before"][:, 0], inputs["context"][:, 0])
    first, second = (network.step(*arrays, state) for _ in range(2))
    for array, copy in zip(state, copies, strict=True):
        np.testing.assert_array_equal(array, copy)
    np.testing.assert_array_equal(first.logits("shift"), second.logits("shift"))
    assert all(np.abs(a - b).max() > 1e-4 for a, b in zip(first.state, state, strict=True))


def test_asking_for_logits_changes_none():
    network = toys.network("many", 1)
    inputs = toys.batch(_pieces("many")[:1])
    step = network.step(
        inputs["previous"][:, 3], inputs["before"][:, 3], inputs["context"][:, 3], network.initial_state(1)
    )
    step.arrive(inputs["context"][:, 4], *(inputs[name][:, 3] for name in ARRIVES))
    low, high = ({"shift": np.array([shift])} for shift in (1, 9))
    once = step.logits("part", low)
    other = step.logits("part", high)
    np.testing.assert_array_equal(step.logits("part", low), once)
    assert np.abs(once - other).max() > 1e-4


def test_a_context_that_arrived_needs_no_sum_again():
    network, inputs = toys.network("many", 1), toys.batch(_pieces("many"))
    previous, before, context = (inputs[name] for name in ("previous", "before", "context"))
    first = network.step(previous[:, 0], before[:, 0], context[:, 0], network.initial_state(3))
    first.arrive(context[:, 1], *(inputs[name][:, 0] for name in ARRIVES))
    anew, reused = (
        network.step(previous[:, 1], before[:, 1], context[:, 1], first.state, arrived) for arrived in (None, first)
    )
    np.testing.assert_array_equal(reused.logits("shift"), anew.logits("shift"))
    other = network.step(previous[:, 1], before[:, 1], context[:, 0], first.state)
    assert np.abs(other.logits("shift") - anew.logits("shift")).max() > 1e-4


@pytest.mark.parametrize("k", [FEW - 1, FEW, FEW + 30])
def test_few_ids_and_many_add_up_alike(k):
    network = toys.network("many", 1)
    ids = np.random.default_rng(k).integers(0, network.layout.n_ids, (3, k))
    np.testing.assert_allclose(network.bag(ids), network.table[ids].sum(1), rtol=1e-5, atol=1e-6)


def test_id_0_adds_nothing():
    network = toys.network("many", 1)
    assert not network.bag(np.zeros((2, 5), np.int64)).any()
    one = network.bag(np.array([[3]]))
    np.testing.assert_array_equal(network.bag(np.array([[0, 3, 0]])), one)
    np.testing.assert_allclose(network.bag(np.array([[3, 3]])), 2 * one)


def test_logits_are_single_precision():
    network = toys.network("performance", 2)
    found = _logits(network, _pieces("performance")[2:])
    assert {values.dtype for values in found.values()} == {np.dtype(np.float32)}


@pytest.mark.parametrize("line_up_known", [False, True])
def test_features_advanced_note_by_note_give_the_logits_of_training(line_up_known):
    """`Context`, advanced note by note through a piece, gives the network the ids that `encode` gave the model."""
    vocabulary, network = VOCABULARIES["many"], toys.network("many", 2)
    piece = toys.piece(vocabulary, 0, 40)
    events = encode(piece, vocabulary, line_up_known=line_up_known)
    given = toys.batch([events])
    inputs = {name: np.zeros_like(values) if name != "fields" else values for name, values in given.items()}
    context = Context(vocabulary, None, piece.metre, line_up=piece.part_programs if line_up_known else None)
    inputs["context"][0, 0] = context.start()
    last, velocity = 0, -1
    for t, fields in enumerate(events.fields.tolist()):
        onset = int(piece.notes["onset"][t]) if t < len(piece) else piece.length
        inputs["previous"][0, t] = context.previous(velocity)
        inputs["before"][0, t] = context.before()
        inputs["shift_pointers"][0, t] = context.shift_pointers()
        join = context.may_join_chord()
        context.move(onset - last)
        inputs["context"][0, t + 1] = context.row()
        inputs["legality"][0, t] = join, *context.legality()
        for name in ARRIVES:
            inputs[name][0, t] = getattr(context, name)()
        _, part_class, pitch, _, velocity = fields
        if part_class == END:
            break
        part = context.part_of(part_class)
        inputs["part_history"][0, t] = context.part_history(part_class)
        inputs["pitch_mask"][0, t] = np.packbits(context.pitch_mask(part), bitorder="little")
        inputs["pitch_pointers"][0, t] = context.pitch_pointers(part)
        inputs["duration_pointers"][0, t], inputs["velocity_pointers"][0, t] = context.note_pointers(part, pitch)
        context.add(part_class, pitch, int(piece.notes["duration"][t]), velocity)
        last = onset
    for name, values in inputs.items():
        np.testing.assert_array_equal(values, given[name], name)
    for field, values in _logits(network, None, inputs).items():
        np.testing.assert_array_equal(values, _logits(network, [events])[field])
