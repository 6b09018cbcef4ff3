"""What the mathematics of the AKOrN paper says about the dynamics."""

import keras
import numpy as np
import pytest
from backend_helpers import array, assign, call, norms, to_numpy, unit
from keras import ops

from keras_kuramoto import energies
from keras_kuramoto.layers import (
    AttentionConnectivity,
    ConvConnectivity,
    DenseConnectivity,
    FixedKernelConnectivity,
    KuramotoLayer,
    NaturalFrequency,
    RotaryEncoding,
    SymmetricConvConnectivity,
    SymmetricDenseConnectivity,
    gaussian_kernel,
)

LYAPUNOV = energies.lyapunov_energy_density


def scalar_coupling(matrix, dim, **options):
    """A layer with Jᵢⱼ = matrix[i, j] · I."""
    layer = KuramotoLayer(DenseConnectivity(), dim, **options)
    size = len(matrix) * dim
    layer.build((None, size), (None, size))
    layer.connectivity.kernel.assign(np.kron(matrix.T, np.eye(dim)))
    return layer


def energies_of(layer, x, c):
    return call(lambda x, c: layer(x, c, return_energy=True)[1], x, c, compiled=True)


def symmetric(rng, size):
    matrix = rng.standard_normal((size, size))
    return (matrix + matrix.T) / 2


def rotation(rng, dim):
    q, r = np.linalg.qr(rng.standard_normal((dim, dim)))
    q = q * np.sign(np.diag(r))
    q[:, 0] *= np.linalg.det(q)
    return q


def turn(x, matrix):
    dim = len(matrix)
    return (x.reshape(*x.shape[:-1], -1, dim) @ matrix.T).reshape(x.shape).astype("float32")


@pytest.mark.parametrize("dim", [2, 3])
def test_oscillators_stay_on_the_sphere_for_10000_steps(dim):
    rng = np.random.default_rng(0)
    layer = KuramotoLayer(DenseConnectivity(), dim, NaturalFrequency(dim, shared=False))
    shape = (2, 4 * dim)
    layer.build(shape, shape)
    assign(layer, rng, scale=1.0)
    x = call(lambda x, c: layer(x, c, num_steps=10_000), array(rng, *shape), array(rng, *shape), compiled=True)
    np.testing.assert_allclose(norms(x, dim), 1, atol=1e-6)


def phases_after(theta, omega, matrix, duration, step):
    """Eq. 1, dθᵢ/dt = ωᵢ + Σⱼ Jᵢⱼ sin(θⱼ − θᵢ), by the classical Runge-Kutta method."""

    def rate(theta):
        return omega + (matrix * np.sin(theta[None, :] - theta[:, None])).sum(1)

    for _ in range(round(duration / step)):
        k1 = rate(theta)
        k2 = rate(theta + step / 2 * k1)
        k3 = rate(theta + step / 2 * k2)
        k4 = rate(theta + step * k3)
        theta = theta + step / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return theta


def test_two_components_with_scalar_couplings_are_the_classical_kuramoto_model():
    rng = np.random.default_rng(1)
    theta, omega, matrix = rng.uniform(0, 2 * np.pi, 6), rng.standard_normal(6), rng.standard_normal((6, 6)) / 3
    expected = phases_after(theta, omega, matrix, duration=2.0, step=1e-3)
    start = np.stack([np.cos(theta), np.sin(theta)], -1).reshape(1, 12).astype("float32")
    errors = []

    def run(layer, steps):
        return call(lambda x, c: layer(x, c, num_steps=steps), start, 0 * start, compiled=True)

    for step in (0.01, 0.005):
        layer = scalar_coupling(matrix, 2, natural_frequency=NaturalFrequency(2, shared=False), step_size=step)
        # Ω x = ω (x₁, −x₀) turns clockwise.
        layer.natural_frequency.upper.assign(-omega[:, None])
        x = run(layer, round(2 / step)).reshape(6, 2).astype("float64")
        got = np.arctan2(x[:, 1], x[:, 0])
        errors.append(np.abs(np.angle(np.exp(1j * (got - expected)))).max())
    # Eq. 4 and 5 are a method of first order: half the step, half the error.
    assert errors[0] < 0.03
    assert 1.8 < errors[0] / errors[1] < 2.2


def assert_never_rises(energy):
    energy = energy.astype("float64")
    assert (energy[:, -1] < energy[:, 0] - 0.1).all()
    # Rounding of a float32 sum of up to 200 products.
    assert np.diff(energy).max() <= 2e-6 * np.abs(energy).max()


@pytest.mark.parametrize("dim", [2, 3, 4])
def test_lyapunov_energy_never_rises_with_symmetric_dense_coupling(dim):
    rng = np.random.default_rng(2)
    layer = KuramotoLayer(SymmetricDenseConnectivity(), dim, num_steps=200, step_size=0.05, energy_density=LYAPUNOV)
    shape = (8, 12)
    layer.build(shape, shape)
    assign(layer, rng, scale=1.0)
    assert_never_rises(energies_of(layer, array(rng, *shape), array(rng, *shape)))


@pytest.mark.parametrize(("kernel_size", "shape"), [((3, 5), (4, 6, 5, 6)), (3, (4, 9, 6))])
def test_lyapunov_energy_never_rises_with_symmetric_convolution(kernel_size, shape):
    rng = np.random.default_rng(3)
    layer = KuramotoLayer(
        SymmetricConvConnectivity(kernel_size), 3, num_steps=200, step_size=0.03, energy_density=LYAPUNOV
    )
    layer.build(shape, shape)
    assign(layer, rng)
    assert_never_rises(energies_of(layer, array(rng, *shape), array(rng, *shape)))


def test_symmetric_couplings_are_symmetric_matrices():
    rng = np.random.default_rng(4)
    for layer, shape in ((SymmetricDenseConnectivity(), (5, 4)), (SymmetricConvConnectivity((3, 1)), (4, 5, 3))):
        layer.build((None, *shape))
        assign(layer, rng)
        size = int(np.prod(shape))
        matrix = to_numpy(layer(np.eye(size, dtype="float32").reshape(size, *shape))).reshape(size, size)
        np.testing.assert_allclose(matrix, matrix.T, atol=1e-6)


def natural_frequency_case(matrix, omegas):
    """N = 3, Ωᵢ turns in the plane of the first two components, stimuli along the third: Ωᵢ cᵢ = 0."""
    layer = scalar_coupling(
        matrix,
        3,
        natural_frequency=NaturalFrequency(3, shared=False),
        num_steps=2000,
        step_size=1e-3,
        energy_density=LYAPUNOV,
    )
    layer.natural_frequency.upper.assign([[omega, 0, 0] for omega in omegas])
    return layer


def test_lyapunov_energy_never_rises_with_scalar_couplings_and_one_frequency():
    rng = np.random.default_rng(5)
    layer = natural_frequency_case(symmetric(rng, 5), [1.5] * 5)
    x, c = array(rng, 8, 15), array(rng, 8, 15) * np.tile([0, 0, 1], 5).astype("float32")
    assert_never_rises(energies_of(layer, x, c))


@pytest.mark.parametrize("broken", ["coupling", "frequencies", "stimuli"])
def test_lyapunov_energy_rises_somewhere_where_the_conditions_do_not_hold(broken):
    rng = np.random.default_rng(6)
    matrix = rng.standard_normal((5, 5)) if broken == "coupling" else symmetric(rng, 5)
    omegas = rng.standard_normal(5) * 3 if broken == "frequencies" else [1.5] * 5
    stimuli = np.tile([1, 1, 1] if broken == "stimuli" else [0, 0, 1], 5).astype("float32")
    layer = natural_frequency_case(matrix, omegas)
    energy = energies_of(layer, array(rng, 8, 15), array(rng, 8, 15) * stimuli)
    assert np.diff(energy).max() > 1e-4 * np.abs(energy).max()


@pytest.mark.parametrize(("dim", "frequency"), [(2, None), (3, None), (4, None), (2, 0.7)])
def test_turning_all_oscillators_and_stimuli_turns_the_trajectory(dim, frequency):
    rng = np.random.default_rng(7)
    omega = None if frequency is None else NaturalFrequency(2, shared=False, frequency=frequency)
    layer = scalar_coupling(rng.standard_normal((5, 5)) / 3, dim, natural_frequency=omega)
    x, c = array(rng, 3, 5 * dim), array(rng, 3, 5 * dim)
    matrix = rotation(rng, dim)
    expected = turn(to_numpy(layer.trajectory(x, c, 20)), matrix)
    got = to_numpy(layer.trajectory(turn(x, matrix), turn(c, matrix), 20))
    # Rounding of 20 float32 steps of unit vectors.
    np.testing.assert_allclose(got, expected, atol=1e-5)


def test_turning_does_not_turn_the_trajectory_if_frequencies_do_not_commute():
    rng = np.random.default_rng(8)
    layer = scalar_coupling(rng.standard_normal((5, 5)) / 3, 3, natural_frequency=NaturalFrequency(3))
    x, c = array(rng, 3, 15), array(rng, 3, 15)
    matrix = rotation(rng, 3)
    difference = turn(to_numpy(layer(x, c)), matrix) - to_numpy(layer(turn(x, matrix), turn(c, matrix)))
    assert np.abs(difference).max() > 0.1


def test_fixed_kernel_on_single_channels_commutes_with_turning():
    rng = np.random.default_rng(9)
    layer = KuramotoLayer(FixedKernelConnectivity(gaussian_kernel(5, 1.0)), 3, num_steps=10)
    x, c = array(rng, 2, 6, 6, 3), array(rng, 2, 6, 6, 3)
    matrix = rotation(rng, 3)
    expected = turn(to_numpy(layer(x, c)), matrix)
    np.testing.assert_allclose(to_numpy(layer(turn(x, matrix), turn(c, matrix))), expected, atol=1e-5)


def test_attention_without_positions_commutes_with_permutations_of_tokens():
    rng = np.random.default_rng(10)
    layer = KuramotoLayer(AttentionConnectivity(2), 4, NaturalFrequency(4, shared=False), num_steps=6)
    x, c, order = array(rng, 2, 7, 16), array(rng, 2, 7, 16), rng.permutation(7)
    layer.build(x.shape, c.shape)
    assign(layer, rng)
    expected = to_numpy(layer(x, c))[:, order]
    np.testing.assert_allclose(to_numpy(layer(x[:, order], c[:, order])), expected, atol=1e-5)


def test_rotary_attention_depends_on_relative_positions_only():
    rng = np.random.default_rng(11)
    connectivity = AttentionConnectivity(2, RotaryEncoding())
    connectivity.build((None, 6, 16))
    # The same query and key at each position: what differs between the products is the position alone.
    vectors = np.broadcast_to(array(rng, 1, 2, 1, 8), (1, 2, 6, 8))
    query, key, _ = connectivity.position_encoding.encode_heads(*[ops.convert_to_tensor(vectors)] * 3, (6,))
    products = to_numpy(ops.matmul(query, ops.swapaxes(key, -1, -2)))
    np.testing.assert_allclose(products[..., :4, :4], products[..., 2:, 2:], atol=1e-5)
    assert np.abs(products[..., 0, 1] - products[..., 0, 3]).max() > 0.1


def test_convolution_commutes_with_translation_away_from_the_border():
    rng = np.random.default_rng(12)
    layer = KuramotoLayer(ConvConnectivity(3), 4, NaturalFrequency(4), num_steps=2)
    x, c = array(rng, 1, 10, 9, 8), array(rng, 1, 10, 9, 8)
    shifted = to_numpy(layer(x[:, 1:], c[:, 1:]))
    # Two steps of a 3 × 3 kernel: what is more than two positions from the new border has not seen it.
    np.testing.assert_allclose(shifted[:, 2:], to_numpy(layer(x, c))[:, 3:], atol=1e-5)


@pytest.mark.parametrize("project", [True, False])
@pytest.mark.parametrize("normalize", [True, False])
def test_one_step_with_and_without_projection_and_normalisation(project, normalize):
    rng = np.random.default_rng(13)
    matrix = rng.standard_normal((4, 4))
    layer = scalar_coupling(
        matrix, 3, natural_frequency=NaturalFrequency(3), step_size=0.7, project=project, normalize=normalize
    )
    x, c = array(rng, 2, 12), array(rng, 2, 12)
    start = unit(x, 3) if normalize else x
    force = (c + start @ np.kron(matrix.T, np.eye(3))).reshape(2, 4, 3)
    groups = start.reshape(2, 4, 3)
    if project:
        force = force - (force * groups).sum(-1, keepdims=True) * groups
    turned = np.stack([groups[..., 1], -groups[..., 0], 0 * groups[..., 0]], -1)
    expected = (groups + 0.7 * (turned + force)).reshape(2, 12)
    expected = unit(expected, 3) if normalize else expected
    np.testing.assert_allclose(to_numpy(layer(x, c, num_steps=1)), expected, rtol=1e-5, atol=1e-5)
    assert (np.abs(norms(to_numpy(layer(x, c)), 3) - 1).max() < 1e-6) == normalize


@pytest.mark.parametrize("density", [energies.lyapunov_energy_density, energies.voting_energy_density])
def test_energies_are_those_of_the_states_on_the_trajectory(density):
    rng = np.random.default_rng(14)
    layer = KuramotoLayer(
        AttentionConnectivity(2),
        4,
        NaturalFrequency(4),
        num_steps=5,
        stimuli_normalization=keras.layers.GroupNormalization(4),
        energy_density=density,
    )
    x, c = array(rng, 2, 6, 16), array(rng, 2, 6, 16)
    _, got = layer(x, c, return_energy=True)
    states = to_numpy(layer.trajectory(x, c))
    energy = energies.lyapunov_energy if density is LYAPUNOV else energies.voting_energy
    stimuli = layer.stimuli_normalization(c)
    assert got.shape == (2, 5)
    for step in range(5):
        state = ops.convert_to_tensor(states[:, step])
        # Sums of 100 products of size 1.
        np.testing.assert_allclose(
            to_numpy(energy(state, stimuli, layer.coupling(state))), to_numpy(got)[:, step], rtol=1e-5, atol=1e-4
        )
        np.testing.assert_allclose(to_numpy(layer.energy(state, c)), to_numpy(got)[:, step], rtol=1e-5, atol=1e-4)


def test_the_two_energies_differ_by_the_half_of_the_coupling_term():
    rng = np.random.default_rng(15)
    x, c, y = (ops.convert_to_tensor(array(rng, 3, 5, 8)) for _ in range(3))
    difference = to_numpy(energies.lyapunov_energy(x, c, y)) - to_numpy(energies.voting_energy(x, c, y))
    np.testing.assert_allclose(difference, 0.5 * to_numpy(ops.sum(x * y, axis=(1, 2))), atol=1e-4)
