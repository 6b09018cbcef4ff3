"""The platform's convolution: its gradients are those of Keras' convolution, and differentiable in turn."""

import numpy as np
import pytest
from backend_helpers import array, to_numpy, value_and_gradients
from keras import ops

from keras_kuramoto._backend.autodiff import hessian_product
from keras_kuramoto.platforms import platform


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize(
    ("shape", "size"),
    [((2, 7, 3), (4,)), ((2, 6, 5, 3), (3, 2)), ((2, 3, 3, 2), (5, 7)), ((2, 4, 5, 3, 2), (3, 2, 1))],
    ids=str,
)
def test_gradients_are_those_of_keras(shape, size, compiled):
    rng = np.random.default_rng(0)
    x, kernel, probe = array(rng, *shape), array(rng, *size, shape[-1], 4), array(rng, *shape[:-1], 4)

    def keras_convolution(x, kernel):
        return ops.conv(x, kernel, padding="same", data_format="channels_last")

    probe = ops.convert_to_tensor(probe)

    def result(function):
        return value_and_gradients(lambda x, k: ops.sum(function(x, k) * probe), x, kernel, compiled=compiled)

    results = result(platform().convolution), result(keras_convolution)
    np.testing.assert_allclose(results[0][0], results[1][0], rtol=1e-4)
    for ours, theirs in zip(results[0][1], results[1][1]):
        np.testing.assert_allclose(ours, theirs, atol=3e-5)


def test_second_derivatives():
    rng = np.random.default_rng(1)
    x, kernel, direction = (ops.array(array(rng, *shape)) for shape in ((1, 4, 4, 2), (3, 3, 2, 2), (1, 4, 4, 2)))
    # Of Σ y², y linear in x, it is twice the gradient of Σ y·(the direction's y).
    product = hessian_product(lambda x: ops.sum(platform().convolution(x, kernel) ** 2), x, direction)
    _, (expected,) = value_and_gradients(
        lambda x: 2 * ops.sum(platform().convolution(x, kernel) * platform().convolution(direction, kernel)),
        to_numpy(x),
    )
    np.testing.assert_allclose(to_numpy(product), expected, atol=1e-4)
