"""Norms, projections and random points, also where a vector is zero or nearly so."""

import keras
import numpy as np
import pytest
from backend_helpers import array, call, float64_enabled, norms, to_numpy, value_and_gradients
from keras import ops

from keras_kuramoto.layers import (
    DenseConnectivity,
    InitialOscillators,
    KuramotoLayer,
    NaturalFrequency,
    OscillatorReadout,
)
from keras_kuramoto.ops import (
    axial_angles,
    harmonic_angles,
    join_oscillators,
    normalize,
    project_to_tangent,
    random_on_sphere,
    safe_norm,
    split_oscillators,
)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("function", [normalize, safe_norm])
def test_the_zero_vector_has_value_and_gradient_zero(function, compiled):
    x = np.zeros((2, 3), "float32")
    np.testing.assert_array_equal(call(function, x, compiled=compiled), 0)
    _, gradients = value_and_gradients(lambda x: ops.sum(function(x)), x, compiled=compiled)
    np.testing.assert_array_equal(gradients[0], 0)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("function", [normalize, safe_norm])
def test_values_and_gradients_are_finite_at_every_length(function, compiled):
    lengths = 10.0 ** np.arange(-38, 15, 2)
    x = (lengths[:, None] * [[0.6, 0.0, -0.8]]).astype("float32")
    assert np.isfinite(call(function, x, compiled=compiled)).all()
    weights = ops.convert_to_tensor(np.linspace(-1, 2, 3).astype("float32"))
    _, gradients = value_and_gradients(
        lambda x: ops.sum(function(x) * (weights if function is normalize else 1.0)), x, compiled=compiled
    )
    assert np.isfinite(gradients[0]).all()


def test_normalised_vectors_have_unit_length_and_the_same_direction():
    rng = np.random.default_rng(0)
    x = array(rng, 100, 5) * 10.0 ** rng.integers(-10, 10, (100, 1)).astype("float32")
    expected = x.astype("float64") / np.linalg.norm(x.astype("float64"), axis=-1, keepdims=True)
    np.testing.assert_allclose(to_numpy(normalize(x)), expected, atol=2e-7)


def test_float64_is_not_rounded():
    with float64_enabled():
        x = np.random.default_rng(0).standard_normal((50, 3))
        norms = np.linalg.norm(x, axis=-1)
        np.testing.assert_allclose(to_numpy(safe_norm(x)), norms, rtol=1e-14)
        np.testing.assert_allclose(to_numpy(normalize(x)), x / norms[:, None], rtol=1e-14)


# Each dtype's numbers from close to the largest one to close to the smallest one that is not subnormal.
@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize(
    ("dtype", "size"),
    [("float16", 300.0), ("float16", 6e4), ("bfloat16", 1e20)]
    + [("float32", 10.0**power) for power in (37, 20, 16, -8)]
    + [("float64", 10.0**power) for power in (300, 160, 20, -11)],
)
def test_squares_do_not_leave_the_range_of_the_dtype(dtype, size, compiled):
    with float64_enabled():
        x = size * np.array([[1.0, 0.0], [0.6, -0.8], [0.0, 0.0]])
        half = dtype in ("float16", "bfloat16")

        def widened(function):
            # Norms of numbers that are rounded to the dtype. NumPy has no bfloat16.
            return lambda x: ops.cast(function(ops.cast(x, dtype)), "float32" if half else dtype)

        tolerance = {"float16": 1e-3, "bfloat16": 1e-2, "float32": 2e-7, "float64": 1e-15}[dtype]
        values = call(widened(normalize), x, compiled=compiled)
        np.testing.assert_allclose(values, [[1, 0], [0.6, -0.8], [0, 0]], atol=tolerance)
        lengths = call(widened(safe_norm), x, compiled=compiled)
        np.testing.assert_allclose(lengths / size, [1, 1, 0], atol=tolerance)
        assert values.dtype == lengths.dtype == ("float32" if half else dtype)
        for function in (normalize, safe_norm):
            result = function(ops.cast(ops.convert_to_tensor(x), dtype))
            assert keras.backend.standardize_dtype(result.dtype) == dtype


def test_norms_of_small_vectors_and_of_two_large_components():
    lengths = 10.0 ** np.arange(-36, 38, 2)
    x = (lengths[:, None] * [[0.6, 0.0, -0.8]]).astype("float32")
    np.testing.assert_allclose(to_numpy(safe_norm(x)) / lengths, 1, atol=1e-6)
    np.testing.assert_allclose(to_numpy(safe_norm(np.float32([1e20, 1e20]))), 1e20 * 2**0.5, rtol=1e-6)


@pytest.mark.parametrize("size", [1e-6, 1.0, 1e17, 1e30])
def test_the_scale_leaves_gradients_as_they_are(size):
    x = (size * np.array([[3.0, 4.0]])).astype("float32")
    for compiled in (False, True):
        _, (gradient,) = value_and_gradients(lambda x: ops.sum(safe_norm(x)), x, compiled=compiled)
        np.testing.assert_allclose(gradient, [[0.6, 0.8]], rtol=1e-6)
        # Of the first component: (1 - 0.6², -0.6 · 0.8) / norm.
        _, (gradient,) = value_and_gradients(lambda x: ops.sum(normalize(x)[:, 0]), x, compiled=compiled)
        np.testing.assert_allclose(5 * size * gradient, [[0.64, -0.48]], rtol=1e-5)


@pytest.mark.parametrize("function", [normalize, safe_norm])
def test_what_is_not_finite_does_not_become_a_number(function):
    values = to_numpy(function(np.float32([[np.nan, 1.0], [np.inf, 0.0]])))
    assert not np.isfinite(values[:, 0] if function is normalize else values).any()


def test_batches_without_examples():
    empty = np.zeros((0, 3), "float32")
    assert tuple(normalize(empty).shape) == (0, 3)
    assert tuple(safe_norm(empty).shape) == (0,)
    assert tuple(safe_norm(empty, keepdims=True).shape) == (0, 1)


def test_norms_in_functional_models():
    x = keras.Input((3,))
    model = keras.Model(x, [normalize(x), safe_norm(x)])
    direction, length = model(np.float32([[0, 3, 4]]))
    np.testing.assert_allclose(to_numpy(direction), [[0, 0.6, 0.8]], rtol=1e-6)
    np.testing.assert_allclose(to_numpy(length), [5], rtol=1e-6)


def test_projection_is_tangent_and_leaves_tangent_vectors():
    rng = np.random.default_rng(1)
    x, y = normalize(array(rng, 20, 3)), ops.convert_to_tensor(array(rng, 20, 3))
    tangent = project_to_tangent(x, y)
    assert np.abs(to_numpy(ops.sum(x * tangent, axis=-1))).max() < 1e-6
    np.testing.assert_allclose(to_numpy(project_to_tangent(x, tangent)), to_numpy(tangent), atol=1e-6)


def test_splitting_and_joining_are_inverse():
    x = array(np.random.default_rng(2), 2, 3, 12)
    groups = split_oscillators(x, 4)
    np.testing.assert_array_equal(to_numpy(groups)[:, :, 1], x[..., 4:8])
    np.testing.assert_array_equal(to_numpy(join_oscillators(groups)), x)
    with pytest.raises(ValueError, match=r"`oscillator_dim` = 5.*12"):
        split_oscillators(x, 5)


def test_random_points_are_uniform_on_the_sphere():
    points = to_numpy(random_on_sphere((20_000, 3), seed=0)).astype("float64")
    assert np.abs(norms(points, 3) - 1).max() < 1e-6
    # By Archimedes each coordinate is uniform in [-1, 1]: mean 0, variance 1/3. Standard errors are 0.004 and 0.002.
    np.testing.assert_allclose(points.mean(0), 0, atol=0.02)
    np.testing.assert_allclose(points.T @ points / len(points), np.eye(3) / 3, atol=0.01)


def test_random_points_depend_on_the_seed_alone():
    draws = [to_numpy(random_on_sphere((4, 3), seed=seed)) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(draws[0], draws[1])
    assert np.abs(draws[0] - draws[2]).max() > 0.1
    generators = [keras.random.SeedGenerator(5) for _ in range(2)]
    for _ in range(2):
        first, second = (to_numpy(random_on_sphere((4, 3), seed=generator)) for generator in generators)
        np.testing.assert_array_equal(first, second)


def test_a_point_on_a_sphere_needs_two_components():
    with pytest.raises(ValueError, match=r"at least 2.*\(4, 1\)"):
        random_on_sphere((4, 1))


def test_layers_survive_zero_oscillators_and_stimuli():
    zeros = np.zeros((2, 8), "float32")
    layer = KuramotoLayer(DenseConnectivity(), 4, NaturalFrequency(4), num_steps=3)
    readout = OscillatorReadout(3, 4)
    readout.build((None, 8))
    layer.build((None, 8), (None, 8))

    def loss(x, c):
        state, energy = layer(x, c, return_energy=True)
        return ops.sum(readout(state)) + ops.sum(energy)

    value, gradients = value_and_gradients(loss, zeros, zeros, compiled=True)
    assert np.isfinite(value)
    for gradient in gradients:
        assert np.isfinite(gradient).all()
    np.testing.assert_array_equal(to_numpy(layer(zeros, zeros)), 0)
    start = InitialOscillators(4)(zeros[:, None], np.ones((2, 1), bool))
    np.testing.assert_array_equal(to_numpy(start), 0)


def test_axial_angles_turn_with_the_position_along_their_axis():
    angles = axial_angles((3, 4), 6).reshape(3, 4, 6)
    # Even pairs belong to the rows, odd pairs to the columns; the first of each turns by one radian per position.
    np.testing.assert_allclose(angles[:, 0, 0], [0, 1, 2])
    np.testing.assert_allclose(angles[0, :, 1], [0, 1, 2, 3])
    np.testing.assert_allclose(angles[2, :, 0], 2)
    wavelengths = 2 * np.pi / np.diff(angles[:, 0, ::2], axis=0)[0]
    assert wavelengths[-1] < 2 * np.pi * 100
    np.testing.assert_allclose(wavelengths[1:] / wavelengths[:-1], 100 ** (1 / 3), rtol=1e-5)


def test_harmonic_angles_single_out_equal_coordinates():
    angles = harmonic_angles(np.arange(9)[:, None], 9, 5)
    similarity = np.cos(angles[:, None, :4] - angles[None, :, :4]).sum(-1)
    np.testing.assert_allclose(np.diag(similarity), 4)
    np.testing.assert_allclose(similarity[~np.eye(9, dtype=bool)], -0.5, atol=1e-5)
    # There is no fifth harmonic of nine values.
    np.testing.assert_array_equal(angles[:, 4], 0)
