"""What every test shares: quiet libraries, reproducible randomness."""

import os

# Before TensorFlow or matplotlib is imported: no start-up chatter, no window.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("MPLBACKEND", "Agg")

import hypothesis
import numpy as np
import pytest

# The same examples in every run; and no deadline, for a busy machine is not a defect.
hypothesis.settings.register_profile("melodygru", derandomize=True, deadline=None)
hypothesis.settings.load_profile("melodygru")


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator that starts the same in every test."""
    return np.random.default_rng(0)
