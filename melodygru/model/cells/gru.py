"""The gated recurrent unit (Cho et al. 2014), as Keras and cuDNN have it: the reset gate acts after the product."""

from __future__ import annotations

from typing import Any

import numpy as np

from melodygru.model.cells.cell import Cell, Weights, gate_sigmoid, sigmoid


class GRU(Cell):
    """h' = z h + (1 - z) candidate; kernels have the columns of z, r and the candidate, the bias a row for each."""

    label = "GRU"
    gates = {
        "update": "Update gate: open keeps what the unit held, shut replaces it",
        "reset": "Reset gate: open lets the past into the new value, shut leaves it out",
    }
    blocks = 3
    states = 1

    def keras_layer(self) -> Any:
        from melodygru.model.cells.keras_layers import GRU

        return GRU

    def shapes(self, inputs: int, units: int) -> dict[str, tuple[int, ...]]:
        return {**super().shapes(inputs, units), "bias": (2, self.blocks * units)}

    def attribute(self, layer: int) -> str:
        return f"gru_{layer}"

    def project(self, x: np.ndarray, weights: Weights) -> np.ndarray:
        projected = x @ weights[0]
        projected += weights[2][0]
        return projected

    def step(self, projected: np.ndarray, state: list[np.ndarray], weights: Weights) -> list[np.ndarray]:
        (last,), (_, recurrent, bias), units = state, weights, len(weights[1])
        inner = last @ recurrent
        inner += bias[1]
        zr, candidate = sigmoid(projected[:, : 2 * units] + inner[:, : 2 * units]), inner[:, 2 * units :]
        candidate *= zr[:, units:]
        candidate += projected[:, 2 * units :]
        np.tanh(candidate, candidate)
        h = last - candidate
        h *= zr[:, :units]
        h += candidate
        return [h]

    def gate_values(self, projected: np.ndarray, last: np.ndarray, weights: Weights) -> dict[str, np.ndarray]:
        _, recurrent, bias = weights
        both = 2 * len(recurrent)
        gates = gate_sigmoid(projected[..., :both] + (last @ recurrent[:, :both] + bias[1, :both]))
        return dict(zip(self.gates, np.split(gates, 2, -1), strict=True))
