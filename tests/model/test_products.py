"""Large products in bfloat16: near those of float32, forward and backward, and only where a model learns."""

import numpy as np
import pytest
import tensorflow as tf

from melodygru.model.products import gains_from_bfloat16, product, set_bfloat16


@pytest.fixture
def bfloat16():
    set_bfloat16(True)
    yield
    set_bfloat16(False)


@pytest.mark.parametrize("transpose_a", [False, True])
def test_a_product_and_its_gradients_are_near_those_of_float32(bfloat16, transpose_a):
    rng = np.random.default_rng(1)
    a = tf.constant(rng.normal(size=(30, 40) if transpose_a else (40, 30)), tf.float32)
    b, weight = (tf.constant(rng.normal(size=shape), tf.float32) for shape in ((30, 20), (40, 20)))
    found = []
    for multiply in (product, tf.matmul):
        with tf.GradientTape() as tape:
            tape.watch([a, b])
            values = multiply(a, b, transpose_a=transpose_a)
            total = tf.reduce_sum(weight * values)
        found.append([values, *tape.gradient(total, [a, b])])
    for ours, exact in zip(*found, strict=True):
        assert ours.dtype == tf.float32 and ours.shape == exact.shape
        error = np.abs(ours.numpy() - exact.numpy()).max() / np.abs(exact.numpy()).max()
        assert 0 < error < 2**-7  # rounded, and no further off than the rounding of both factors and of the result


def test_what_is_not_learned_from_is_exact(bfloat16):
    a, b = tf.random.normal([8, 9]), tf.random.normal([9, 7])
    np.testing.assert_array_equal(product(a, b, training=False), tf.matmul(a, b))
    assert (product(a, b).numpy() != tf.matmul(a, b).numpy()).any()
    set_bfloat16(False)
    np.testing.assert_array_equal(product(a, b), tf.matmul(a, b))


@pytest.mark.parametrize(
    ("about", "gains"),
    [
        ("processor : 0\nflags\t\t: fpu avx512f avx512_bf16 clflush\n", True),
        ("flags : fpu amx_tile amx_bf16\n", True),
        ("flags : fpu avx2 fma\nmodel name : the avx512_bf16 of a name\n", False),
        ("", False),
    ],
)
def test_a_cpu_says_what_it_multiplies(tmp_path, about, gains):
    file = tmp_path / "cpuinfo"
    file.write_text(about)
    assert gains_from_bfloat16(file) is gains
    assert not gains_from_bfloat16(tmp_path / "missing")
