"""The long short-term memory (Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000)."""

from __future__ import annotations

from typing import Any

import numpy as np

from melodygru.model.cells.cell import Cell, Weights, gate_sigmoid, sigmoid


class LSTM(Cell):
    """Carries its output and a memory; kernels have the columns of the gates i and f, the candidate and the gate o."""

    label = "LSTM"
    gates = {
        "forget": "Forget gate: open keeps what the memory held, shut drops it",
        "input": "Input gate: open lets the new value in, shut leaves it out",
        "output": "Output gate: open shows the memory, shut hides it",
    }
    blocks = 4
    states = 2

    def keras_layer(self) -> Any:
        from melodygru.model.cells.keras_layers import LSTM

        return LSTM

    def project(self, x: np.ndarray, weights: Weights) -> np.ndarray:
        return x @ weights[0]

    def step(self, projected: np.ndarray, state: list[np.ndarray], weights: Weights) -> list[np.ndarray]:
        (last, memory), (_, recurrent, bias), units = state, weights, len(weights[1])
        gates = projected + last @ recurrent + bias
        i_f = sigmoid(gates[:, : 2 * units])
        candidate = np.tanh(gates[:, 2 * units : 3 * units])
        memory = i_f[:, units:] * memory + i_f[:, :units] * candidate
        return [sigmoid(gates[:, 3 * units :]) * np.tanh(memory), memory]

    def gate_values(self, projected: np.ndarray, last: np.ndarray, weights: Weights) -> dict[str, np.ndarray]:
        i, f, _, o = np.split(projected + last @ weights[1] + weights[2], 4, -1)
        return {"forget": gate_sigmoid(f), "input": gate_sigmoid(i), "output": gate_sigmoid(o)}
