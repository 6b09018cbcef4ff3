"""The platform's attention and its turned pairs: the gradients are those of the formulas, differentiable in turn."""

import numpy as np
import pytest
from backend_helpers import array, to_numpy, value_and_gradients
from keras import ops

from keras_kuramoto._backend.autodiff import hessian_product
from keras_kuramoto.platforms import platform


def plain_attention(query, key, value):
    return ops.softmax(ops.einsum("bhid,bhjd->bhij", query, key)) @ value


def plain_turned(x, same, other):
    return same * x + other * ops.roll(x, x.shape[-1] // 2, axis=-1)


def turned(*tensors):
    return platform().turn_halves(*tensors)


def turned_across(*tensors):
    return platform().turn_halves(*tensors, across=True)


CASES = {
    "attention": (platform().attention, plain_attention, [(2, 3, 5, 4)] * 3),
    "turned": (turned, plain_turned, [(2, 3, 5, 4), (5, 4), (5, 4)]),
    "turned, across": (turned_across, plain_turned, [(2, 3, 5, 4), (5, 4), (5, 4)]),
    # The halves that are exchanged are whole vectors, and no other axis has the same size.
    "one pair": (turned_across, plain_turned, [(1, 1, 3, 2), (3, 2), (3, 2)]),
}


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_gradients_are_those_of_the_formula(case, compiled):
    function, formula, shapes = CASES[case]
    rng = np.random.default_rng(0)
    arrays, probe = [array(rng, *shape) for shape in shapes], array(rng, *shapes[0])

    def result(function):
        def probed(*tensors):
            return ops.sum(function(*tensors) * ops.convert_to_tensor(probe))

        return value_and_gradients(probed, *arrays, compiled=compiled)

    results = result(function), result(formula)
    np.testing.assert_allclose(results[0][0], results[1][0], rtol=1e-5)
    for ours, theirs in zip(results[0][1], results[1][1]):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize("case", CASES)
def test_second_derivatives(case):
    function, formula, shapes = CASES[case]
    rng = np.random.default_rng(1)
    x, *others = [ops.convert_to_tensor(array(rng, *shape)) for shape in shapes]
    direction = ops.convert_to_tensor(array(rng, *shapes[0]))

    def product(function):
        return to_numpy(hessian_product(lambda x: ops.sum(function(x, *others) ** 2), x, direction))

    np.testing.assert_allclose(product(function), product(formula), atol=1e-4)


def test_a_batch_without_an_example_has_gradients_of_zero():
    _, gradients = value_and_gradients(
        lambda *tensors: ops.sum(turned_across(*tensors)),
        np.zeros((0, 2, 3, 4), "float32"),
        *np.ones((2, 3, 4), "float32"),
    )
    assert [gradient.shape for gradient in gradients] == [(0, 2, 3, 4), (3, 4), (3, 4)]
    assert not any(map(np.any, gradients))
