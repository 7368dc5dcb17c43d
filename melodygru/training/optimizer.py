"""The optimiser of a run."""

from __future__ import annotations

import keras
import tensorflow as tf


class SummedAdamW(keras.optimizers.AdamW):
    """AdamW for gradients that are summed over the replicas already, because their common norm is clipped first.

    A variable's update is TensorFlow's one kernel of the same formula, where Keras passes over it a dozen times.
    """

    def _all_reduce_sum_gradients(self, grads_and_vars):
        return grads_and_vars

    def update_step(self, gradient, variable, learning_rate):
        index = self._get_variable_index(variable)
        step = tf.cast(self.iterations.value + 1, variable.dtype)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            beta1_power=self.beta_1**step,
            beta2_power=self.beta_2**step,
            lr=tf.cast(learning_rate, variable.dtype),
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=gradient,
        )
