"""Recurrent cells: each one's step in NumPy is its Keras layer's, and a further one is a class and a line of CELLS."""

import numpy as np
import pytest
import toys
from toys import VOCABULARIES

from melodygru.model.architecture import weights_of
from melodygru.model.cells import CELLS, PARTS, Cell
from melodygru.model.cells.cell import sigmoid
from melodygru.model.trace import Tracer


class Elman(Cell):
    """A cell that melodygru doesn't have: h' = tanh(x W + h U + b)."""

    label, gates, blocks, states = "Elman", {}, 1, 1

    def keras_layer(self):
        import keras

        return keras.layers.SimpleRNN

    def project(self, x, weights):
        return x @ weights[0] + weights[2]

    def step(self, projected, state, weights):
        return [np.tanh(projected + state[0] @ weights[1])]

    def gate_values(self, projected, last, weights):
        return {}


@pytest.mark.parametrize("cell", [*CELLS.values(), Elman()], ids=lambda cell: cell.label)
def test_the_step_is_that_of_the_keras_layer(cell):
    rng = np.random.default_rng(0)
    layer = cell.keras_layer()(4, return_sequences=True, return_state=True)
    layer.build((None, None, 3))
    shapes = cell.shapes(3, 4)
    assert tuple(shapes) == PARTS and list(shapes.values()) == [w.shape for w in layer.trainable_variables]
    weights = tuple(rng.normal(0, 0.7, shape).astype(np.float32) for shape in shapes.values())
    layer.set_weights(weights)
    x = rng.normal(size=(2, 6, 3)).astype(np.float32)
    state = [rng.normal(size=(2, 4)).astype(np.float32) for _ in range(cell.states)]
    outputs, *last = layer(x, initial_state=state)
    projected = cell.project(x, weights)
    for t in range(6):
        before = projected.copy(), [array.copy() for array in state]
        state_after = cell.step(projected[:, t], state, weights)
        np.testing.assert_array_equal(projected, before[0])
        for array, copy in zip(state, before[1], strict=True):
            np.testing.assert_array_equal(array, copy)
        state = state_after
        np.testing.assert_allclose(state[0], outputs[:, t], rtol=1e-5, atol=1e-6)
    for array, right in zip(state, last, strict=True):
        np.testing.assert_allclose(array, right, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("cell", CELLS.values(), ids=lambda cell: cell.label)
def test_one_row_of_inputs_serves_several_streams(cell):
    rng = np.random.default_rng(1)
    weights = tuple(rng.normal(size=shape).astype(np.float32) for shape in cell.shapes(3, 4).values())
    state = [rng.normal(size=(5, 4)).astype(np.float32) for _ in range(cell.states)]
    projected = cell.project(rng.normal(size=(1, 3)).astype(np.float32), weights)
    for one, each in zip(
        cell.step(projected, state, weights), cell.step(np.repeat(projected, 5, 0), state, weights), strict=True
    ):
        np.testing.assert_array_equal(one, each)


@pytest.mark.parametrize(("cell", "keeping"), [("gru", "update"), ("lstm", "forget")])
def test_gates_are_those_of_the_step(cell, keeping):
    """What a cell keeps of its state is the share that its first gate says."""
    cell = CELLS[cell]
    assert next(iter(cell.gates)) == keeping
    rng = np.random.default_rng(2)
    weights = tuple(rng.normal(size=shape).astype(np.float32) for shape in cell.shapes(3, 4).values())
    state = [rng.normal(size=(1, 4)).astype(np.float32) for _ in range(cell.states)]
    projected = cell.project(rng.normal(size=(1, 3)).astype(np.float32), weights)
    gates = cell.gate_values(projected, state[0], weights)
    assert list(gates) == list(cell.gates)
    if keeping == "forget":  # more memory: more of it by the gate, and nothing else changes
        moved = [state[0], state[1] + 1]
        kept = cell.step(projected, moved, weights)[1] - cell.step(projected, state, weights)[1]
        np.testing.assert_allclose(kept, gates["forget"], rtol=1e-4)
    else:
        candidate = (cell.step(projected, state, weights)[0] - gates["update"] * state[0]) / (1 - gates["update"])
        _, recurrent, bias = weights
        inner = state[0] @ recurrent[:, 8:] + bias[1, 8:]
        np.testing.assert_allclose(candidate, np.tanh(projected[:, 8:] + gates["reset"] * inner), rtol=1e-4)


def test_sigmoid_never_overflows():
    with np.errstate(all="raise"):
        assert sigmoid(np.float32([-500, 0, 500])).tolist() == [0, 0.5, 1]


def test_a_further_cell_is_a_class_and_a_line(monkeypatch):
    monkeypatch.setitem(CELLS, "elman", Elman())
    vocabulary = VOCABULARIES["one"]
    model = toys.new_model(vocabulary, layers=2, cell="elman")
    network = toys.network_of(model)  # by way of a checkpoint
    assert "elman/1/recurrent" in weights_of(vocabulary, model.architecture)
    trace = Tracer(network).trace(toys.piece(vocabulary))
    log_p, _ = model.log_likelihood(toys.batch([trace.events]), model.initial_state(1))
    np.testing.assert_allclose(trace.nats, -log_p.numpy()[0], rtol=1e-4, atol=1e-4)
