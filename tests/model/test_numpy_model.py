"""The step in NumPy: the same logits as the Keras model's, over whole pieces, for one stream and for several."""

import numpy as np
import pytest
import toys
from toys import VOCABULARIES

from melodygru.events import FIELDS, PROGRAM_HISTORY, Context, encode
from melodygru.model.numpy_model import FEW


def _logits(network, encoded, inputs=None):
    """Logits of each field over whole pieces, all as streams of one batch: {field: (streams, T, classes)}."""
    inputs = inputs or toys.batch(encoded)
    fields, program_history = inputs["fields"], inputs["program_history"]
    state = network.initial_state(len(fields))
    found = {field: [] for field in network.vocabulary.fields}
    for t in range(fields.shape[1]):
        step = network.step(inputs["previous"][:, t], inputs["before"][:, t], inputs["context"][:, t], state)
        state = step.state
        chosen = {field: np.maximum(fields[:, t, column], 0) for column, field in enumerate(FIELDS)}
        chosen |= dict(zip(PROGRAM_HISTORY, program_history[:, t].T, strict=True))
        found["shift"].append(step.logits("shift"))
        step.arrive(inputs["context"][:, t + 1], inputs["pitch_class_levels"][:, t])
        for field in network.vocabulary.fields[1:]:
            found[field].append(step.logits(field, chosen))
    return {field: np.stack(values, 1) for field, values in found.items()}


def _pieces(name):
    """Three pieces of different lengths, with and without their conditions known."""
    vocabulary = VOCABULARIES[name]
    style = vocabulary.styles[-1] if vocabulary.styles else None
    return [
        encode(toys.piece(vocabulary, 0, 40), vocabulary, style),
        encode(toys.piece(vocabulary, 1, 25), vocabulary, None, metre_known=False),
        encode(toys.piece(vocabulary, 2, 7), vocabulary, style),
    ]


@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize(
    ("name", "layers"),
    [
        ("one", 1),
        ("one_loud", 2),
        ("many", 3),
        ("many", 1),
        ("styles", 2),
        ("lookbacks", 2),
        ("performance", 2),
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


def test_a_pointer_adds_to_the_pitch_that_it_points_to_and_to_no_other():
    network = toys.network("lookbacks")
    events = _pieces("lookbacks")[0]
    kernel, bias = network.outputs["pitch"]
    plain = _logits(network, [events])["pitch"][0]
    try:
        raised = bias.copy()
        raised[-network.layout.n_pointers :] += [1, 2, 4, 8, 16, 32]
        network.outputs["pitch"] = kernel, raised
        added = _logits(network, [events])["pitch"][0] - plain
    finally:
        network.outputs["pitch"] = kernel, bias
    expected = np.zeros_like(added)
    for at, row in enumerate(network.layout.pointed(events.context).tolist()):
        for pointer, pitch in enumerate(row):
            if pitch >= 0:
                expected[at, pitch] += 2**pointer
    np.testing.assert_allclose(added, expected, atol=1e-4)
    assert (expected > 0).any(0).sum() > 5 and expected.max() > 32  # some pitches have several


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
    step.arrive(inputs["context"][:, 4], inputs["pitch_class_levels"][:, 3])
    low, high = ({"shift": np.array([shift])} for shift in (1, 9))
    once = step.logits("program", low)
    other = step.logits("program", high)
    np.testing.assert_array_equal(step.logits("program", low), once)
    assert np.abs(once - other).max() > 1e-4


def test_a_context_that_arrived_needs_no_sum_again():
    network, inputs = toys.network("many", 1), toys.batch(_pieces("many"))
    previous, before, context, pitch_class_levels = (
        inputs[name] for name in ("previous", "before", "context", "pitch_class_levels")
    )
    first = network.step(previous[:, 0], before[:, 0], context[:, 0], network.initial_state(3))
    first.arrive(context[:, 1], pitch_class_levels[:, 0])
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


def test_features_advanced_note_by_note_give_the_logits_of_training():
    """`Context`, advanced note by note through a piece, gives the network the ids that `encode` gave the model."""
    vocabulary, network = VOCABULARIES["many"], toys.network("many", 2)
    piece = toys.piece(vocabulary, 0, 40)
    events = encode(piece, vocabulary)
    inputs = {name: values.copy() for name, values in toys.batch([events]).items()}
    context = Context(vocabulary, None, piece.metre)
    last = 0
    for t, note in enumerate(piece.notes.tolist()):
        onset, duration, program, pitch, _ = note
        if t:
            inputs["previous"][0, t] = context.previous(int(events.fields[t - 1, 4]))
        inputs["before"][0, t] = context.before()
        context.move(onset - last)
        inputs["context"][0, t + 1] = context.row()
        program_class = int(vocabulary.program_class(np.array(program)))
        inputs["program_history"][0, t] = context.program_history(program_class)
        context.add(program_class, pitch, duration)
        last = onset
    for name in ("previous", "before", "context", "program_history"):
        stop = len(piece) + (name == "context")
        np.testing.assert_array_equal(inputs[name][0, :stop], toys.batch([events])[name][0, :stop])
    for field, values in _logits(network, None, inputs).items():
        np.testing.assert_array_equal(values[0, :-1], _logits(network, [events])[field][0, :-1])
