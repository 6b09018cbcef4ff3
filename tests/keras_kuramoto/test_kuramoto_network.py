"""Blocks and networks of oscillators: what they give, and how they are configured, saved, trained and run."""

import json

import keras
import numpy as np
import pytest
from backend_helpers import array, assign, call, evaluate, to_numpy
from keras import ops

from keras_kuramoto.layers import (
    AttentionConnectivity,
    ConvConnectivity,
    InitialOscillators,
    KuramotoBlock,
    KuramotoLayer,
    KuramotoNetwork,
    NaturalFrequency,
    OscillatorReadout,
    SharedTransition,
    StimuliTransition,
)


def image_block(transition=None, momentum=0.9):
    network = keras.Sequential([keras.layers.BatchNormalization(momentum=momentum), keras.layers.ReLU()])
    return KuramotoBlock(
        KuramotoLayer(ConvConnectivity(3), 2, NaturalFrequency(2, frequency=0.3), num_steps=2),
        OscillatorReadout(8, 2, kernel_size=3),
        network,
        transition,
    )


def image_network():
    """Two blocks, of 8 × 8 and of 4 × 4 positions, whose oscillators start where they are given."""
    down = SharedTransition(keras.layers.Conv2D(8, 3, strides=2, padding="same"))
    return KuramotoNetwork([image_block(down), image_block()], InitialOscillators(2, seed=0))


def token_block(**arguments):
    return KuramotoBlock(
        KuramotoLayer(AttentionConnectivity(2), 4, num_steps=3, step_size=0.7), OscillatorReadout(8, 4), **arguments
    )


def image_inputs(rng):
    return array(rng, 2, 8, 8, 8), np.zeros((2, 8, 8), bool), array(rng, 2, 8, 8, 8)


def symbolic_inputs():
    return keras.Input((8, 8, 8)), keras.Input((8, 8), dtype="bool"), keras.Input((8, 8, 8))


def built_network(rng):
    network = image_network()
    network(*symbolic_inputs())
    assign(network, rng)
    return network


def test_a_block_is_its_layers_one_after_another():
    rng = np.random.default_rng(0)
    block = token_block(network=keras.layers.Dense(6), transition=StimuliTransition(keras.layers.Dense(8)))
    x, c = array(rng, 2, 5, 8), array(rng, 2, 5, 8)
    block.build(x.shape, c.shape)
    after, stimuli, energies = evaluate(lambda x, c: block(x, c, return_energy=True), x, c)

    def by_hand(x, c):
        x, energies = block.kuramoto(x, c, return_energy=True)
        return x, block.transition.layer(block.network(block.readout(x))), energies

    for got, expected in zip((after, stimuli, energies), evaluate(by_hand, x, c)):
        np.testing.assert_allclose(got, expected, atol=1e-6)


def test_a_shared_transition_changes_oscillators_and_stimuli_by_the_same_weights():
    rng = np.random.default_rng(1)
    transition = SharedTransition(keras.layers.Conv2D(6, 3, strides=2, padding="same"))
    x = array(rng, 2, 8, 8, 4)
    first, second = evaluate(transition, x, x)
    assert first.shape == (2, 4, 4, 6)
    np.testing.assert_array_equal(first, second)
    with pytest.raises(ValueError, match="as many features as channels"):
        SharedTransition(keras.layers.Dense(3))(np.ones((1, 4)), np.ones((1, 5)))


def test_each_block_has_steps_and_energies_of_its_own():
    rng = np.random.default_rng(2)
    network, inputs = built_network(rng), image_inputs(rng)

    def run(num_steps):
        return evaluate(lambda *inputs: network(*inputs, num_steps=num_steps, return_energy=True), *inputs)

    features, x, energies = run([1, 4])
    assert [e.shape for e in energies] == [(2, 1), (2, 4)]
    assert features.shape == x.shape == (2, 4, 4, 8)
    (default, _, _), (same, _, _), (other, _, _) = run(None), run([None, 2]), run(4)
    np.testing.assert_array_equal(default, same)
    assert np.abs(other - default).max() > 1e-3
    traced = call(lambda *a: network(*a[:3], num_steps=[a[3] - 3, a[3]])[0], *inputs, np.int32(4), compiled=True)
    np.testing.assert_allclose(traced, features, atol=1e-4)
    with pytest.raises(ValueError, match=r"each of the 2 blocks.*3 numbers"):
        run([1, 2, 3])


def test_symbolic_calls_promise_what_comes():
    rng = np.random.default_rng(3)
    network = built_network(rng)
    features, x, energies = network(*symbolic_inputs(), num_steps=[1, 4], return_energy=True)
    got = evaluate(lambda *inputs: network(*inputs, num_steps=[1, 4], return_energy=True), *image_inputs(rng))
    for symbolic, value in zip((features, x, *energies), keras.tree.flatten(got)):
        assert (tuple(symbolic.shape)[1:], symbolic.dtype) == (value.shape[1:], str(value.dtype))


def test_configurations_round_trip_and_networks_are_saved(tmp_path):
    rng = np.random.default_rng(4)
    network, inputs = built_network(rng), image_inputs(rng)
    expected = evaluate(network, *inputs)
    copy = KuramotoNetwork.from_config(json.loads(json.dumps(network.get_config())))
    copy(*symbolic_inputs())
    copy.set_weights(network.get_weights())
    model_inputs = symbolic_inputs()
    model = keras.Model(model_inputs, network(*model_inputs))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for function in (copy, lambda *values: loaded(list(values))):
        for got, value in zip(evaluate(function, *inputs), expected):
            np.testing.assert_array_equal(got, value)


def test_training_reaches_the_layers_inside():
    rng = np.random.default_rng(5)
    network = KuramotoNetwork([image_block(momentum=0.0)], InitialOscillators(2))
    c, known, noise = image_inputs(rng)

    def statistics(training):
        network(c, known, noise, training=training)
        norm = network.blocks[0].network.layers[0]
        return to_numpy(norm.moving_mean)

    before = statistics(False)
    np.testing.assert_array_equal(before, 0)
    x = to_numpy(network.initial_oscillators(c, known, noise))
    block = network.blocks[0]
    read = to_numpy(block.readout(block.kuramoto(x, c)))
    np.testing.assert_allclose(statistics(True), read.mean((0, 1, 2)), atol=1e-5)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_oscillators_and_stimuli_stay_float32_under_mixed_precision(policy):
    rng = np.random.default_rng(6)
    network, inputs = built_network(rng), image_inputs(rng)
    assign(network, rng, scale=0.1)
    expected = evaluate(network, *inputs)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        mixed = image_network()
        promised = mixed(*symbolic_inputs())
        mixed.set_weights(network.get_weights())
        got = evaluate(mixed, *inputs)
    finally:
        keras.config.set_dtype_policy(before)
    assert mixed.blocks[0].kuramoto.connectivity.compute_dtype == policy.removeprefix("mixed_")
    for value, symbolic, full in zip(got, promised, expected):
        assert str(value.dtype) == symbolic.dtype == "float32"
        # As in the tests of the layers: eight bits of mantissa through two blocks.
        np.testing.assert_allclose(value, full, atol=0.1, rtol=0.1)


def test_bad_arguments_are_named():
    layer, readout = KuramotoLayer(ConvConnectivity(3), 2), OscillatorReadout(4, 2)
    for function, message in (
        (lambda: KuramotoBlock(readout, readout), "`kuramoto` must be a `KuramotoLayer`"),
        (lambda: KuramotoBlock(layer, None), "`readout`.*None"),
        (lambda: KuramotoBlock(layer, readout, network="relu"), "`network`.*'relu'"),
        (
            lambda: KuramotoBlock(layer, readout, transition=keras.layers.Dense(3)),
            "`transition` must be a `Transition`",
        ),
        (lambda: KuramotoNetwork([], InitialOscillators(2)), "`blocks`"),
        (lambda: KuramotoNetwork([layer], InitialOscillators(2)), "`blocks`"),
        (lambda: KuramotoNetwork([KuramotoBlock(layer, readout)], ops.ones), "`initial_oscillators`"),
        (lambda: StimuliTransition("dense"), "`layer`.*'dense'"),
    ):
        with pytest.raises(ValueError, match=message):
            function()
