"""The layers compute what the AKOrN authors' code computes, and what the equations say."""

import numpy as np
import pytest
from backend_helpers import (
    BACKEND,
    array,
    assign,
    evaluate,
    float64_enabled,
    load_vectors,
    to_numpy,
    unit,
    value_and_gradients,
)
from keras import ops

from keras_kuramoto import energies
from keras_kuramoto.interop import akorn
from keras_kuramoto.layers import (
    ConvConnectivity,
    DenseConnectivity,
    KuramotoLayer,
    NaturalFrequency,
    OscillatorReadout,
)

LAYERS = ["klayer_attn_gta_n4", "klayer_attn_n2", "klayer_conv_n2_noproj", "klayer_conv_n4"]

# The vectors are float64 results, stored in float32. Float32 steps on values of size 1 (gradients: of size up to 25)
# stay below this absolute error.
STATE_TOLERANCE = 2e-5
# Without the projection, an oscillator of this case is only 0.1 long before it is normalised, and a gradient of 21 goes
# through it. In float64 the rounding of the stored inputs alone makes a difference of 2.7e-5 there, and PyTorch in
# float32 is 6e-5 off. This is 1.4e-5 of the largest entry.
GRADIENT_TOLERANCE = {"klayer_conv_n2_noproj": 3e-4}
# Energies are sums of hundreds of terms, up to 290 for the layers: this is about six times float32's spacing there.
ENERGY_TOLERANCE = 1e-4


@pytest.mark.parametrize("name", LAYERS)
def test_trajectory_and_energies_match_the_authors_layer(name):
    config, weights, vectors = load_vectors(name)
    layer = akorn.kuramoto_layer(weights, config)
    states = evaluate(layer.trajectory, vectors["x"], vectors["c"])
    np.testing.assert_allclose(states[:, 1:].swapaxes(0, 1), vectors["xs"], atol=STATE_TOLERANCE, rtol=0)
    x, energy = evaluate(lambda x, c: layer(x, c, return_energy=True), vectors["x"], vectors["c"])
    np.testing.assert_allclose(x, vectors["xs"][-1], atol=STATE_TOLERANCE, rtol=0)
    np.testing.assert_allclose(energy.T, vectors["energies"][1:], atol=ENERGY_TOLERANCE, rtol=0)


# Compiling each operation of an eager gradient by itself takes JAX long; the tests of the loop have such gradients.
@pytest.mark.parametrize("compiled", [True] if BACKEND == "jax" else [False, True])
@pytest.mark.parametrize("name", LAYERS)
def test_gradients_match_the_authors_layer(name, compiled):
    config, weights, vectors = load_vectors(name)
    layer = akorn.kuramoto_layer(weights, config)
    probe = ops.convert_to_tensor(vectors["probe"])
    _, gradients = value_and_gradients(
        lambda x, c: ops.sum(layer(x, c) * probe), vectors["x"], vectors["c"], compiled=compiled
    )
    tolerance = GRADIENT_TOLERANCE.get(name, STATE_TOLERANCE)
    for gradient, key in zip(gradients, ("grad_x", "grad_c")):
        np.testing.assert_allclose(gradient, vectors[key], atol=tolerance, rtol=0, err_msg=key)


def test_readout_matches_the_authors_readout():
    config, weights, vectors = load_vectors("readout")
    layer = akorn.oscillator_readout(weights, config)
    np.testing.assert_allclose(to_numpy(layer(vectors["x"])), vectors["y"], atol=STATE_TOLERANCE, rtol=0)


def test_sudoku_model_matches_the_authors_model():
    config, weights, vectors = load_vectors("sudoku")
    model = akorn.sudoku_model(weights, config)
    inputs = vectors["board"], vectors["noise"]
    logits = evaluate(lambda board, noise: model({"board": board, "noise": noise}), *inputs)
    np.testing.assert_allclose(logits, vectors["logits"], atol=STATE_TOLERANCE, rtol=0)
    logits, energy = evaluate(lambda board, noise: model.run(board, noise, return_energy=True), *inputs)
    np.testing.assert_allclose(logits, vectors["logits"], atol=STATE_TOLERANCE, rtol=0)
    # Float32's spacing at these energies, of size 2000, is 2.4e-4, more than the absolute tolerance for small ones.
    # Four units in the last place, for a sum of 5184 products.
    np.testing.assert_allclose(energy.T, vectors["energies"][1:], rtol=4 * 2.0**-23, atol=ENERGY_TOLERANCE)


def test_sudoku_model_reaches_the_authors_last_state():
    config, weights, vectors = load_vectors("sudoku")
    model = akorn.sudoku_model(weights, config)

    def last_state(board, noise):
        c = model.digits(board)
        return model.network.blocks[0].kuramoto(model.network.initial_oscillators(c, board > 0, noise), c)

    x = evaluate(last_state, vectors["board"], vectors["noise"])
    np.testing.assert_allclose(x, vectors["x_final"], atol=STATE_TOLERANCE, rtol=0)


def test_object_model_matches_the_authors_model():
    config, weights, vectors = load_vectors("objects")
    model = akorn.object_model(weights, config)
    inputs = vectors["image"], vectors["x0"]
    features, energy = evaluate(lambda image, noise: model.features(image, noise, return_energy=True), *inputs)
    np.testing.assert_allclose(features, vectors["features"], atol=STATE_TOLERANCE, rtol=0)
    np.testing.assert_allclose(energy.T, vectors["energies_block2"][1:], atol=ENERGY_TOLERANCE, rtol=0)
    projection = evaluate(lambda image, noise: model({"image": image, "noise": noise}), *inputs)
    np.testing.assert_allclose(projection, vectors["projection"], atol=STATE_TOLERANCE, rtol=0)

    def trunk(image, noise):
        return model.network(model.patches(2.0 * image - 1.0), noise=noise, return_energy=True)

    _, x, (first, _) = evaluate(trunk, *inputs)
    np.testing.assert_allclose(x, vectors["x_final"], atol=STATE_TOLERANCE, rtol=0)
    np.testing.assert_allclose(first.T, vectors["energies_block1"][1:], atol=ENERGY_TOLERANCE, rtol=0)


def test_classifier_matches_the_authors_model():
    config, weights, vectors = load_vectors("cifar_conv")
    model = akorn.classifier(weights, config)
    logits = evaluate(model.run, vectors["image"], vectors["x0"])
    np.testing.assert_allclose(logits, vectors["logits"], atol=STATE_TOLERANCE, rtol=0)


def reference_steps(x, c, coupling, dim, omega, gamma, steps, project=True):
    """Eq. 2, 4 and 5 in float64: states after each step, and the two energies before each."""
    grouped = (*x.shape[:-1], -1, dim)
    x = unit(x.astype("float64"), dim)
    states, lyapunov, voting = [], [], []
    axes = tuple(range(1, x.ndim))
    for _ in range(steps):
        pull = coupling(x)
        lyapunov.append(-(x * (0.5 * pull + c)).sum(axes))
        voting.append(-(x * (pull + c)).sum(axes))
        groups, force = x.reshape(grouped), (c + pull).reshape(grouped)
        if project:
            force = force - (force * groups).sum(-1, keepdims=True) * groups
        turn = np.einsum("kij,...kj->...ki", omega, groups)
        x = unit((groups + gamma * (turn + force)).reshape(x.shape), dim)
        states.append(x)
    return np.stack(states, 1), np.stack(lyapunov, 1), np.stack(voting, 1)


def skew(upper, dim):
    """Skew-symmetric matrices from their entries above the diagonal, row by row."""
    matrices = np.zeros((len(upper), dim, dim))
    entry = 0
    for row in range(dim):
        for column in range(row + 1, dim):
            matrices[:, row, column] = upper[:, entry]
            matrices[:, column, row] = -upper[:, entry]
            entry += 1
    return matrices


def dense_case(rng, dtype):
    """Odd N = 3, one Ω for each oscillator, all-to-all coupling over two positions."""
    layer = KuramotoLayer(
        DenseConnectivity(use_bias=True, dtype=dtype),
        3,
        natural_frequency=NaturalFrequency(3, shared=False, dtype=dtype),
        num_steps=7,
        step_size=0.6,
        train_step_size=True,
        dtype=dtype,
    )
    shape = (4, 2, 15)
    layer.build(shape, shape)
    assign(layer, rng)
    layer.gamma.assign(0.6)
    kernel, bias = (to_numpy(v).astype("float64") for v in (layer.connectivity.kernel, layer.connectivity.bias))

    def coupling(x):
        return (x.reshape(len(x), -1) @ kernel + bias).reshape(x.shape)

    upper = to_numpy(layer.natural_frequency.upper).astype("float64")
    # Five oscillators at each of the two positions: Ω belongs to the channel, not to the position.
    return layer, shape, coupling, skew(upper, 3)


def conv_case(rng, dtype):
    """N = 5, one Ω, a 3 × 2 convolution on a 5 × 4 grid, zeros beyond the border."""
    layer = KuramotoLayer(
        ConvConnectivity((3, 2), dtype=dtype),
        5,
        natural_frequency=NaturalFrequency(5, dtype=dtype),
        num_steps=5,
        step_size=0.9,
        dtype=dtype,
    )
    shape = (2, 5, 4, 10)
    layer.build(shape, shape)
    assign(layer, rng)
    kernel, bias = (to_numpy(v).astype("float64") for v in (layer.connectivity.kernel, layer.connectivity.bias))

    def coupling(x):
        padded = np.pad(x, ((0, 0), (1, 1), (0, 1), (0, 0)))
        return bias + sum(padded[:, i : i + 5, j : j + 4] @ kernel[i, j] for i in range(3) for j in range(2))

    omega = skew(to_numpy(layer.natural_frequency.upper).astype("float64")[None], 5)
    return layer, shape, coupling, np.repeat(omega, 2, axis=0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", [dense_case, conv_case])
def test_steps_and_energies_match_the_equations(case, dtype):
    with float64_enabled():
        check_steps_and_energies(case, dtype)


def check_steps_and_energies(case, dtype):
    state_tolerance, energy_tolerance = STATE_TOLERANCE, ENERGY_TOLERANCE
    if dtype == "float64" and BACKEND != "torch":
        # Rounding of a few dozen operations in each of at most 7 steps. (On PyTorch, Keras's own matrix product and
        # convolution return float32 for float64.)
        state_tolerance, energy_tolerance = 1e-12, 1e-11
    rng = np.random.default_rng(3)
    layer, shape, coupling, omega = case(rng, dtype)
    x, c = (rng.standard_normal(shape).astype(dtype) for _ in range(2))
    states, lyapunov, voting = reference_steps(
        x, c, coupling, layer.oscillator_dim, omega, layer.step_size, layer.num_steps
    )
    got = evaluate(layer.trajectory, x, c)
    assert got.dtype == dtype
    np.testing.assert_allclose(got[:, 1:], states, atol=state_tolerance, rtol=0)
    for density, expected in (("voting", voting), ("lyapunov", lyapunov)):
        layer.energy_density = getattr(energies, f"{density}_energy_density")
        _, energy = evaluate(lambda x, c: layer(x, c, return_energy=True), x, c)
        assert energy.dtype == dtype
        np.testing.assert_allclose(energy, expected, atol=energy_tolerance, rtol=0)


def test_gradients_match_finite_differences_of_the_equations():
    """Gradients for x, c, γ, J and Ω along random directions, from float64 differences of the NumPy model."""
    rng = np.random.default_rng(4)
    layer, shape, _, _ = dense_case(rng, "float32")
    x, c, probe = (array(rng, *shape) for _ in range(3))
    variables = [layer.gamma, layer.natural_frequency.upper, layer.connectivity.kernel]
    _, gradients = value_and_gradients(
        lambda x, c: ops.sum(layer(x, c) * ops.array(probe)), x, c, variables=variables, compiled=True
    )
    start = [x, c, *(to_numpy(v) for v in variables)]
    bias = to_numpy(layer.connectivity.bias).astype("float64")

    def value(x, c, gamma, upper, kernel):
        states, _, _ = reference_steps(
            x, c, lambda x: (x.reshape(len(x), -1) @ kernel + bias).reshape(x.shape), 3, skew(upper, 3), gamma, 7
        )
        return (states[:, -1] * probe).sum()

    for index, gradient in enumerate(gradients):
        direction = rng.standard_normal(start[index].shape)
        shifted = [[np.asarray(v, "float64") for v in start] for _ in range(2)]
        for sign, arguments in zip((1, -1), shifted):
            arguments[index] = arguments[index] + sign * 1e-6 * direction
        difference = (value(*shifted[0]) - value(*shifted[1])) / 2e-6
        # Float32 gradients of 120 outputs through 7 steps: relative 1e-5, and the differences are good to 1e-8.
        np.testing.assert_allclose((gradient * direction).sum(), difference, rtol=2e-5, atol=2e-4)


@pytest.mark.parametrize("kernel_size", [None, 3])
def test_readout_is_the_norm_of_linear_combinations(kernel_size):
    rng = np.random.default_rng(5)
    layer = OscillatorReadout(4, oscillator_dim=3, kernel_size=kernel_size)
    x = array(rng, 2, 6, 8)
    layer.build(x.shape)
    assign(layer, rng)
    kernel, linear_bias = (to_numpy(v).astype("float64") for v in (layer.linear.kernel, layer.linear.bias))
    if kernel_size is None:
        z = x @ kernel + linear_bias
    else:
        padded = np.pad(x, ((0, 0), (1, 1), (0, 0)))
        z = linear_bias + sum(padded[:, i : i + 6] @ kernel[i] for i in range(3))
    expected = np.linalg.norm(z.reshape(2, 6, 4, 3), axis=-1) + to_numpy(layer.bias)
    np.testing.assert_allclose(to_numpy(layer(x)), expected, atol=5e-6, rtol=0)
