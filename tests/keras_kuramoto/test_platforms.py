"""The way of layers on TPUs gives what the usual one gives, on any machine."""

import keras
import numpy as np
import pytest
from backend_helpers import BACKEND, array, assign, call, evaluate, float64_enabled, norms, value_and_gradients
from keras import ops

from keras_kuramoto.energies import voting_energy_density
from keras_kuramoto.layers import (
    GTA,
    AttentionConnectivity,
    FeedForwardConnectivity,
    KuramotoLayer,
    NaturalFrequency,
    OscillatorReadout,
)
from keras_kuramoto.platforms import COMPILED_FOR_CPU, PLAIN, WIDE_TILES, Platform, platform, traced_for

# Names of methods with the number of tensors that they take before N.
FUNCTIONS = {"normalize": 1, "norms": 1, "project": 2}


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_machines_without_a_tpu_have_the_usual_way_and_programs_for_others_a_given_one():
    usual = platform()
    assert usual in (PLAIN, COMPILED_FOR_CPU)
    with traced_for(WIDE_TILES):
        assert platform() is WIDE_TILES
    with pytest.raises(KeyError), traced_for(WIDE_TILES):
        raise KeyError
    assert platform() is usual


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("dim", [2, 3, 5])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_sums_by_products_are_the_sums(rng, name, dim, compiled):
    tensors = [array(rng, 2, 3, 7 * dim) for _ in range(FUNCTIONS[name])]
    probe = array(rng, *call(lambda *x: getattr(PLAIN, name)(*x, dim), *tensors).shape)

    def run(chosen):
        return value_and_gradients(
            lambda *x: ops.sum(getattr(chosen, name)(*x, dim) * ops.convert_to_tensor(probe)),
            *tensors,
            compiled=compiled,
        )

    (value, gradients), (expected, expected_gradients) = run(WIDE_TILES), run(PLAIN)
    np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-5)
    for gradient, other in zip(gradients, expected_gradients):
        np.testing.assert_allclose(gradient, other, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("shared", [True, False])
def test_oscillators_turn_by_a_product_with_blocks(rng, shared):
    x, matrices = array(rng, 2, 4, 15), array(rng, *([] if shared else [5]), 3, 3)
    expected = np.einsum("...on,...omn->...om", x.reshape(2, 4, 5, 3), np.broadcast_to(matrices, (5, 3, 3)))
    for chosen in (PLAIN, WIDE_TILES):
        np.testing.assert_allclose(call(chosen.turn, x, matrices), expected.reshape(x.shape), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("bias", [True, False])
def test_linear_maps_are_cut_into_their_parts(rng, bias):
    x, kernel, offset = array(rng, 2, 5, 4), array(rng, 4, 9), array(rng, 9)

    def gradient(chosen):
        def function(*tensors):
            first, second, third = chosen.linear(*tensors, *([] if bias else [None]), parts=3)
            return ops.sum(first * second - third)

        return value_and_gradients(function, x, kernel, *([offset] if bias else []))

    expected = np.split(x @ kernel + offset * bias, 3, axis=-1)
    for got in (gradient(PLAIN), gradient(WIDE_TILES)):
        np.testing.assert_allclose(got[0], np.sum(expected[0] * expected[1] - expected[2]), rtol=1e-4)
        for one, other in zip(got[1], gradient(PLAIN)[1]):
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


def test_attention_on_a_grid_is_that_on_its_positions(rng):
    x, c = array(rng, 2, 3, 4, 8), array(rng, 2, 3, 4, 8)
    steps = np.array([1, 3], "int32")
    seen = []

    def density(x, stimuli, coupling):
        seen.append(x.shape)
        return voting_energy_density(x, stimuli, coupling)

    def run(x, c):
        return layer(x, c, num_steps=steps, return_energy=True, max_steps=3)

    layer = KuramotoLayer(AttentionConnectivity(2), 2, energy_density=density)
    layer.build(x.shape, c.shape)
    state, energies = evaluate(run, x, c)
    # An energy of one's own sees the grid.
    assert {len(shape) for shape in seen} == {4}
    tokens = [part.reshape(2, 12, 8) for part in (x, c)]
    expected, other = evaluate(run, *tokens)
    np.testing.assert_allclose(state.reshape(2, 12, 8), expected, atol=1e-6)
    np.testing.assert_allclose(energies, other, rtol=1e-5)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("name", ["normalize", "norms"])
def test_a_zero_oscillator_beside_another_has_value_and_gradient_zero(name, compiled):
    x = np.array([[0, 0, 0, 3, 0, 4]], "float32")

    def function(x):
        return ops.sum(getattr(WIDE_TILES, name)(x, 3))

    value, gradients = value_and_gradients(function, x, compiled=compiled)
    assert value == pytest.approx(5.0 if name == "norms" else 1.4, rel=1e-6)
    np.testing.assert_array_equal(gradients[0][0, :3], 0)
    assert np.abs(gradients[0][0, 3:]).max() > 0.05


@pytest.mark.parametrize("exponent", [-11, -6, 10, 30, 37.5])
def test_lengths_of_all_magnitudes_side_by_side(rng, exponent):
    x = np.concatenate([array(rng, 3), 10.0**exponent * np.array([0.6, 0.0, -0.8])]).astype("float32")[None]
    got = call(lambda x: WIDE_TILES.normalize(x, 3), x)
    np.testing.assert_allclose(norms(got, 3), 1, atol=2e-6)
    np.testing.assert_allclose(call(lambda x: WIDE_TILES.norms(x, 3), x), norms(x, 3), rtol=2e-6)


def test_float64_stays_float64(rng):
    x = rng.standard_normal((2, 12))
    with float64_enabled():
        got = call(lambda x: WIDE_TILES.normalize(x, 4), x)
    assert got.dtype == "float64"
    np.testing.assert_allclose(norms(got, 4), 1, atol=1e-15)


# JAX compiles each operation of a gradient that is not compiled as a whole: half a minute here, and one takes it whole.
@pytest.mark.parametrize("compiled", [True] if BACKEND == "jax" else [False, True])
def test_gradients_that_keep_little_are_the_gradients(rng, compiled):
    connectivity = FeedForwardConnectivity(AttentionConnectivity(2, GTA()), expansion=2)
    layer = KuramotoLayer(connectivity, 3, natural_frequency=NaturalFrequency(3), num_steps=3, train_step_size=True)
    readout = OscillatorReadout(5, 3)
    x, c = array(rng, 2, 3, 3, 12), array(rng, 2, 3, 3, 12)
    layer.build(x.shape, c.shape)
    readout.build(x.shape)
    assign(layer.connectivity, rng)

    def run(chosen):
        with traced_for(chosen):
            return value_and_gradients(
                lambda x, c: ops.sum(ops.square(readout(layer(x, c)))),
                x,
                c,
                variables=layer.trainable_variables + readout.trainable_variables,
                compiled=compiled,
            )

    (value, gradients), (expected, expected_gradients) = run(WIDE_TILES), run(PLAIN)
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    for gradient, other in zip(gradients, expected_gradients):
        np.testing.assert_allclose(gradient, other, rtol=1e-4, atol=1e-5 * np.abs(other).max())


def test_layers_are_the_same_for_oscillators_that_do_not_fill_a_tile_under_mixed_precision(rng):
    policy = keras.dtype_policies.DTypePolicy("mixed_bfloat16")
    layer = KuramotoLayer(AttentionConnectivity(2, dtype=policy), 3, num_steps=2, dtype=policy)
    x, c = array(rng, 2, 4, 18), array(rng, 2, 4, 18)
    results = []
    for chosen in (PLAIN, WIDE_TILES):
        with traced_for(chosen):
            results.append(call(layer, x, c))
    assert results[1].dtype == "float32"
    np.testing.assert_allclose(norms(results[1], 3), 1, atol=2e-6)
    # Where a number lies between two of bfloat16 either may come out.
    np.testing.assert_allclose(results[1], results[0], atol=0.02)


@pytest.mark.skipif(BACKEND != "tensorflow", reason="what is kept is read off TensorFlow's lists")
def test_steps_keep_their_arguments_and_nothing_for_each_pair_of_positions(rng):
    import tensorflow as tf

    layer = KuramotoLayer(FeedForwardConnectivity(AttentionConnectivity(2, GTA()), 5), 3, num_steps=4)
    x, c = array(rng, 2, 23, 12), array(rng, 2, 23, 12)
    layer(x, c)

    def kept(chosen):
        @tf.function(jit_compile=True)
        def gradient(x, c):
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = tf.reduce_sum(layer(x, c) * c)
            return tape.gradient(y, x)

        with traced_for(chosen):
            return gradient.experimental_get_compiler_ir(x, c)(stage="hlo")

    scores, hidden = "f32[4,2,2,23,23]", "f32[4,46,60]"
    plain, wide = kept(PLAIN), kept(WIDE_TILES)
    assert scores in plain
    assert hidden in plain
    assert scores not in wide
    assert hidden not in wide


def test_a_platform_of_ones_own(rng):
    class Counting(Platform):
        calls = 0

        def normalize(self, x, oscillator_dim):
            self.calls += 1
            return super().normalize(x, oscillator_dim)

    chosen = Counting()
    with traced_for(chosen):
        KuramotoLayer(AttentionConnectivity(2), 2, num_steps=1)(array(rng, 1, 3, 4), array(rng, 1, 3, 4))
    assert chosen.calls
