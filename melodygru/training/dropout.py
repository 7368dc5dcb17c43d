"""What dropout draws in a step follows from the run's seed, the step and the replica, and from nothing drawn before."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import tensorflow as tf

DRAWS = 64  # seeds of a generator that a replica has for a step


def seed_generators(model: Any) -> list[Any]:
    """The seed generators of all layers of a model, in a fixed order."""
    generators = [getattr(layer, "seed_generator", None) for layer in model._flatten_layers(include_self=False)]
    return [generator for generator in generators if generator is not None]


@contextmanager
def seeded(generators: Sequence[Any], seed: int, step: tf.Tensor) -> Iterator[None]:
    """Within, while a function is traced, the generators' seeds follow from the run's seed and a number of the step.

    The host reckons them: Keras keeps them in variables, for whose values it waits where these are a GPU's.
    """
    try:
        for index, generator in enumerate(generators):
            generator.next = _counted(seed * 1009 + index, step * DRAWS)
        yield
    finally:
        for generator in generators:
            del generator.next


def _counted(own: int, first: tf.Tensor) -> Callable[..., tf.Tensor]:
    counts = itertools.count()
    return lambda ordered=True: tf.stack([own, first + next(counts)])
