"""Lagrangians: their closed forms against automatic differentiation, large states, and functions of one's own."""

import json

import keras
import numpy as np
import pytest
from backend_helpers import BACKEND, array, call, evaluate, float64_enabled, to_numpy, value_and_gradients
from keras import ops

from keras_kuramoto import lagrangians
from keras_kuramoto._backend import autodiff


@keras.saving.register_keras_serializable(package="test_lagrangians")
def quartic(x):
    return ops.sum(ops.square(ops.square(x)), axis=-1) / 4


class Exponential(lagrangians.Lagrangian):
    """With no more than L itself."""

    def __call__(self, x):
        return ops.sum(ops.exp(x), axis=-1)


LAGRANGIANS = {
    "linear": lambda: lagrangians.LinearLagrangian(),
    "relu": lambda: lagrangians.ReLULagrangian(),
    "tanh": lambda: lagrangians.TanhLagrangian(),
    "sigmoid": lambda: lagrangians.SigmoidLagrangian(),
    "softmax": lambda: lagrangians.SoftmaxLagrangian(beta=1.7),
    "layer norm": lambda: lagrangians.LayerNormLagrangian(
        gamma=1.3, delta=[0.1, 0.2, 0.3, 0.4, 0.5, 0.6], epsilon=1e-2
    ),
    "block": lambda: lagrangians.BlockLagrangian(["softmax", "tanh", lagrangians.LayerNormLagrangian()], [2, 1, 3]),
    "function": lambda: lagrangians.FunctionLagrangian(quartic),
}
each_lagrangian = pytest.mark.parametrize("name", LAGRANGIANS)


@each_lagrangian
def test_derivatives_are_those_of_the_function(name):
    lagrangian = LAGRANGIANS[name]()
    rng = np.random.default_rng(0)
    x, v = 2 * rng.standard_normal((2, 3, 6))
    if name != "relu":
        x[0, 1] = x[1, 2] = 0.0
    step = 1e-5

    def run(x, v):
        difference = (lagrangian(x + step * v) - lagrangian(x - step * v)) / (2 * step)
        change = (lagrangian.activation(x + step * v) - lagrangian.activation(x - step * v)) / (2 * step)
        automatic = autodiff.gradient(lagrangian, x), autodiff.hessian_product(lagrangian, x, v)
        closed = lagrangian.activation(x), lagrangian.hessian_product(x, v)
        return difference, change, automatic, closed

    with float64_enabled():
        difference, change, automatic, (g, product) = evaluate(run, x, v)
    assert g.dtype == product.dtype == difference.dtype == np.float64
    np.testing.assert_allclose(automatic[0], g, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(automatic[1], product, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(difference, (g * v).sum(-1), rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(change, product, rtol=1e-7, atol=1e-7)
    assert np.all((v * product).sum(-1) >= 0)


EXPECTED = {
    "relu": (lambda x: np.maximum(x, 0), lambda x: (np.maximum(x, 0) ** 2).sum(-1) / 2),
    "tanh": (np.tanh, lambda x: (np.logaddexp(x, -x) - np.log(2)).sum(-1)),
    "sigmoid": (lambda x: np.exp(-np.logaddexp(0, -x)), lambda x: np.logaddexp(0, x).sum(-1)),
    "softmax": (lambda x: (x == x.max(-1, keepdims=True)) * 1.0, lambda x: x.max(-1)),
    "layer_norm": (lambda x: (x - x.mean(-1, keepdims=True)) / x.std(-1, keepdims=True), lambda x: 3 * x.std(-1)),
    "linear": (lambda x: x, lambda x: (x**2).sum(-1) / 2),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_large_states_stay_finite_and_right(name):
    lagrangian = lagrangians.get(name)
    x = np.array([[1e4, -1e4, 20.5], [-3e4, 30.0, -1e4]], "float32")

    def run(x):
        automatic = autodiff.gradient(lagrangian, x), autodiff.hessian_product(lagrangian, x, x)
        return lagrangian(x), lagrangian.activation(x), lagrangian.hessian_product(x, x), automatic

    value, g, product, automatic = evaluate(run, x)
    assert np.all(np.isfinite(product))
    assert np.all(np.isfinite(automatic))
    activation, function = EXPECTED[name]
    np.testing.assert_allclose(g, activation(x.astype("float64")), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(value, function(x.astype("float64")), rtol=1e-5)


def test_softplus_and_log_cosh_are_exact_in_float64():
    x = np.linspace(-40, 40, 81)
    with float64_enabled():
        sigmoid, tanh = (
            to_numpy(lagrangians.get(name)(ops.convert_to_tensor(x[:, None]))) for name in ("sigmoid", "tanh")
        )
    np.testing.assert_allclose(sigmoid, np.logaddexp(0, x), rtol=1e-15, atol=1e-300)
    np.testing.assert_allclose(tanh, np.logaddexp(x, -x) - np.log(2), rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("lagrangian", [Exponential(), lagrangians.FunctionLagrangian(quartic)])
def test_training_goes_through_an_automatic_activation(lagrangian, compiled):
    rng = np.random.default_rng(1)
    x, v, probe = array(rng, 3, 2, 4)
    second = {"Exponential": np.exp, "FunctionLagrangian": lambda x: 3 * x**2}[type(lagrangian).__name__]
    third = {"Exponential": np.exp, "FunctionLagrangian": lambda x: 6 * x}[type(lagrangian).__name__]

    def loss(x, v):
        return ops.sum((lagrangian.activation(x) + lagrangian.hessian_product(x, v)) * ops.convert_to_tensor(probe))

    _, (by_x, by_v) = value_and_gradients(loss, x, v, compiled=compiled)
    np.testing.assert_allclose(by_x, probe * (second(x) + third(x) * v), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(by_v, probe * second(x), rtol=1e-4, atol=1e-5)


def test_the_gradient_of_a_function_of_a_nest():
    x, y, z = array(np.random.default_rng(2), 3, 2, 4)

    def run(x, y, z):
        return autodiff.gradient(lambda state: ops.sum(state["a"] ** 2 * state["b"][0], axis=-1), {"a": x, "b": (y, z)})

    result = call(run, x, y, z, compiled=True)
    np.testing.assert_allclose(result["a"], 2 * x * y, rtol=1e-5)
    np.testing.assert_allclose(result["b"][0], x**2, rtol=1e-5)
    np.testing.assert_array_equal(result["b"][1], np.zeros_like(z))
    constant = autodiff.gradient(lambda x: ops.ones((2,)), ops.convert_to_tensor(x))
    np.testing.assert_array_equal(to_numpy(constant), np.zeros_like(x))


@pytest.mark.skipif(BACKEND != "torch", reason="PyTorch alone has a mode without gradients.")
def test_an_automatic_activation_without_gradients_around_it():
    import torch

    with torch.no_grad():
        g = lagrangians.FunctionLagrangian(quartic).activation(torch.tensor([[2.0]]))
    assert not g.requires_grad
    assert float(g[0, 0]) == 8.0


@each_lagrangian
def test_configuration_round_trips(name):
    lagrangian = LAGRANGIANS[name]()
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(lagrangian)))
    copy = lagrangians.get(config)
    assert type(copy) is type(lagrangian)
    x = ops.convert_to_tensor(array(np.random.default_rng(3), 2, 6))
    np.testing.assert_array_equal(to_numpy(copy(x)), to_numpy(lagrangian(x)))


def test_get():
    given = lagrangians.SoftmaxLagrangian(2.0)
    assert lagrangians.get(given) is given
    assert isinstance(lagrangians.get(quartic), lagrangians.FunctionLagrangian)
    for wrong in ("swish", None, 3, lagrangians.ReLULagrangian):
        with pytest.raises(ValueError, match=r"must be one of .*'tanh'"):
            lagrangians.get(wrong)


def test_errors_name_what_was_given():
    for options in ({"beta": 0}, {"beta": -1.0}, {"beta": float("nan")}, {"beta": True}):
        with pytest.raises(ValueError, match=r"`beta` must be a positive number. Received"):
            lagrangians.SoftmaxLagrangian(**options)
    with pytest.raises(ValueError, match="`gamma`"):
        lagrangians.LayerNormLagrangian(gamma=-1)
    with pytest.raises(ValueError, match="`epsilon`"):
        lagrangians.LayerNormLagrangian(epsilon=0)
    with pytest.raises(ValueError, match="`delta`"):
        lagrangians.LayerNormLagrangian(delta=[[1.0]])
    with pytest.raises(ValueError, match="2 entries, but there are 3"):
        lagrangians.LayerNormLagrangian(delta=[1, 2])(ops.ones((1, 3)))
    for sizes in ([2], [2, 0], [1, 2, 3]):
        with pytest.raises(ValueError, match="`sizes`"):
            lagrangians.BlockLagrangian(["relu", "relu"], sizes)
    with pytest.raises(ValueError, match=r"5 together\. Received a state with 4"):
        lagrangians.BlockLagrangian(["relu", "relu"], [2, 3])(ops.ones((1, 4)))
    with pytest.raises(ValueError, match="`function`"):
        lagrangians.FunctionLagrangian("relu")
