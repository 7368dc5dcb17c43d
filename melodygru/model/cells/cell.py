"""What a recurrent cell is: weights, a Keras layer for training, and the same step in NumPy for composing."""

from __future__ import annotations

import abc
from typing import Any

import numpy as np

Weights = tuple[np.ndarray, ...]  # a layer's weights, in the order of PARTS

PARTS = ("kernel", "recurrent", "bias")  # names of a layer's weights, in Keras's order


class Cell(abc.ABC):
    """A kind of recurrent cell; it holds no weights itself. Made and used without TensorFlow, but for `keras_layer`.

    Attributes
    ----------
    label : its name in prose
    gates : what `gate_values` returns, name -> what it does, for people; the first one keeps the memory
    blocks : blocks of `units` columns in a kernel: the gates, and the candidate
    states : arrays of shape (streams, units) that a layer carries from step to step; the first is its output
    """

    label: str
    gates: dict[str, str]
    blocks: int
    states: int

    @abc.abstractmethod
    def keras_layer(self) -> Any:
        """The class of its Keras layer, called as `keras.layers.GRU`; loads TensorFlow."""

    @abc.abstractmethod
    def project(self, x: np.ndarray, weights: Weights) -> np.ndarray:
        """The part of a step that needs no state, of inputs `x` with any leading axes: (..., blocks * units)."""

    @abc.abstractmethod
    def step(self, projected: np.ndarray, state: list[np.ndarray], weights: Weights) -> list[np.ndarray]:
        """The state after a step, as new arrays of shape (streams, units).

        Parameters
        ----------
        projected : array, shape (streams or 1, blocks * units), see `project`; it is left as it is
        state : list of arrays, shape (streams, units)
        """

    @abc.abstractmethod
    def gate_values(self, projected: np.ndarray, last: np.ndarray, weights: Weights) -> dict[str, np.ndarray]:
        """The gates at steps with these projections and outputs before them: (..., units) each, in 0..1, never 0."""

    def shapes(self, inputs: int, units: int) -> dict[str, tuple[int, ...]]:
        """Shapes of a layer's weights, by PARTS."""
        columns = self.blocks * units
        return {"kernel": (inputs, columns), "recurrent": (units, columns), "bias": (columns,)}

    def attribute(self, layer: int) -> str:
        """Attribute of the Keras model that holds a layer, which is the layer's group in the file.

        Keras files an attribute whose name sorts after `layers` by class and order instead: begin with an earlier
        letter.
        """
        return f"cell_{layer}"


def sigmoid(x: np.ndarray) -> np.ndarray:
    """The logistic function, in place, by way of tanh, which never overflows."""
    x *= 0.5
    np.tanh(x, x)
    x *= 0.5
    x += 0.5
    return x


def gate_sigmoid(x: np.ndarray) -> np.ndarray:
    """The logistic function, never 0 in single precision, so that its logarithm says how much is forgotten."""
    return 1.0 / (1.0 + np.exp(-np.maximum(x, -80.0)))
