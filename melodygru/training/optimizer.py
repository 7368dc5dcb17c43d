"""The optimiser of a run, and the moving average of its weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

BETA_1, BETA_2, EPSILON = 0.9, 0.99, 1e-8


class AveragedAdamW:
    """AdamW over all variables at once, and the moving average of what becomes of them.

    The variables lie end to end in one vector, as do moments and average: an update is a dozen operations however many
    variables there are, and TensorFlow's one kernel of the formula where Keras passes over each a dozen times.

    Parameters
    ----------
    variables : Keras variables, float32
    weight_decay : of all variables but biases

    Attributes
    ----------
    state : what a run saves of it, tf.Variables: two moments, and the average
    """

    def __init__(self, variables: Sequence[Any], weight_decay: float) -> None:
        self.variables, self.weight_decay = list(variables), weight_decay
        # Those with weight decay lie first: then it is one product.
        bias = [variable.path.endswith("bias") for variable in self.variables]
        self._order = sorted(range(len(bias)), key=bias.__getitem__)
        self._sizes = [int(np.prod(self.variables[index].shape)) for index in self._order]
        self._decayed = sum(size for index, size in zip(self._order, self._sizes, strict=True) if not bias[index])
        start = self.join([variable.value for variable in self.variables])
        self._weights = tf.Variable(start, trainable=False)
        self._momentum, self._velocity = (tf.Variable(tf.zeros_like(start), trainable=False) for _ in range(2))
        self._average = tf.Variable(start, trainable=False)
        self.state = [self._momentum, self._velocity, self._average]

    def join(self, tensors: Sequence[tf.Tensor]) -> tf.Tensor:
        """The variables' gradients, or what else there is one of for each, as one vector."""
        return tf.concat([tf.reshape(tensors[index], [-1]) for index in self._order], 0)

    def apply(self, gradient: tf.Tensor, step: tf.Tensor, rate: tf.Tensor, decay: tf.Tensor) -> None:
        """Update the variables, then their average.

        Parameters
        ----------
        gradient : as `join` gives it
        step : updates before this one
        rate : learning rate
        decay : of the average
        """
        kept = 1 - self.weight_decay * rate
        weights = self.join([variable.value for variable in self.variables])
        self._weights.assign(tf.concat([weights[: self._decayed] * kept, weights[self._decayed :]], 0))
        power = tf.cast(step + 1, tf.float32)
        tf.raw_ops.ResourceApplyAdam(
            var=self._weights.handle,
            m=self._momentum.handle,
            v=self._velocity.handle,
            beta1_power=BETA_1**power,
            beta2_power=BETA_2**power,
            lr=rate,
            beta1=BETA_1,
            beta2=BETA_2,
            epsilon=EPSILON,
            grad=gradient,
        )
        weights = self._weights.read_value()
        self._average.assign_sub((1 - decay) * (self._average - weights))
        for index, values in zip(self._order, tf.split(weights, self._sizes), strict=True):
            variable = self.variables[index]
            variable.assign(tf.reshape(values, variable.shape))

    def averages(self) -> list[np.ndarray]:
        """The average of each variable."""
        parts = np.split(self._average.numpy(), np.cumsum(self._sizes)[:-1])
        by_variable = dict(zip(self._order, parts, strict=True))
        return [by_variable[index].reshape(variable.shape) for index, variable in enumerate(self.variables)]
