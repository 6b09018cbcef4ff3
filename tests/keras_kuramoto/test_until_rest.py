"""Numbers of steps that end where an example comes to rest."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_kuramoto.layers import AttentionConnectivity, KuramotoLayer, UntilRest
from keras_kuramoto.models import AKOrNObjects, AKOrNSudoku

TOLERANCE = 1e-2


@pytest.fixture(scope="module")
def layer():
    keras.utils.set_random_seed(0)
    return KuramotoLayer(AttentionConnectivity(2), 4, num_steps=60)


def inputs(batch=4):
    rng = np.random.default_rng(0)
    # Two of them come to rest, each in a number of steps of its own.
    strength = np.array([0.3, 0.5, 0.1, 3.0])[:batch, None, None]
    x, c = (rng.normal(size=(batch, 5, 8)).astype("float32") for _ in range(2))
    return x, (strength * c).astype("float32")


def test_each_example_stops_with_the_step_in_which_nothing_moves(layer):
    x, c = inputs()
    states = ops.convert_to_numpy(layer.trajectory(x, c))
    moved = np.abs(np.diff(states, axis=1)).max(axis=(2, 3))
    wanted = [next((i + 1 for i, move in enumerate(one) if move < TOLERANCE), 60) for one in moved]
    assert len(set(wanted)) > 2
    found, energies, steps = layer(x, c, num_steps=UntilRest(TOLERANCE), return_energy=True)
    assert ops.convert_to_numpy(steps).tolist() == wanted
    for index, last in enumerate(wanted):
        np.testing.assert_allclose(ops.convert_to_numpy(found)[index], states[index, last], atol=1e-5)
    # Energies are those of the steps, and stay after the last one.
    _, all_energies = layer(x, c, return_energy=True)
    energies, all_energies = ops.convert_to_numpy(energies), ops.convert_to_numpy(all_energies)
    assert energies.shape == (4, 60)
    for index, last in enumerate(wanted):
        np.testing.assert_allclose(energies[index, :last], all_energies[index, :last], rtol=1e-4)
        np.testing.assert_array_equal(energies[index, last:], energies[index, last - 1])


def test_an_answer_does_not_depend_on_the_batch(layer):
    x, c = inputs()
    together, energies, steps = layer(x, c, num_steps=UntilRest(TOLERANCE), return_energy=True)
    for index in range(4):
        one = slice(index, index + 1)
        alone, own, taken = layer(x[one], c[one], num_steps=UntilRest(TOLERANCE), return_energy=True)
        np.testing.assert_allclose(ops.convert_to_numpy(own)[0], ops.convert_to_numpy(energies)[index], rtol=1e-4)
        np.testing.assert_allclose(ops.convert_to_numpy(alone)[0], ops.convert_to_numpy(together)[index], atol=1e-5)
        assert int(taken[0]) == int(steps[index])


def test_the_number_of_steps_is_the_most(layer):
    x, c = inputs()
    most = ops.convert_to_tensor(np.int32([2, 60, 0, 3]))
    found, steps = layer(x, c, num_steps=UntilRest(TOLERANCE, most))
    free = ops.convert_to_numpy(layer(x, c, num_steps=UntilRest(TOLERANCE))[1])
    assert ops.convert_to_numpy(steps).tolist() == [2, free[1], 0, 3]
    plain = layer(x, c, num_steps=ops.convert_to_tensor(np.int32([2, int(free[1]), 0, 3])))
    np.testing.assert_allclose(ops.convert_to_numpy(found), ops.convert_to_numpy(plain), atol=1e-6)
    assert ops.convert_to_numpy(layer(x, c, num_steps=UntilRest(TOLERANCE, 2))[1]).tolist() == [2, 2, 2, 2]
    nothing = layer(x[:0], c[:0], num_steps=UntilRest(TOLERANCE))
    assert [tuple(one.shape) for one in nothing] == [(0, 5, 8), (0,)]


def test_models_tell_the_steps_of_all_blocks():
    keras.utils.set_random_seed(0)
    sizes = {"channels": 16, "num_steps": 20, "blocks": 2}
    sudoku = AKOrNSudoku(AttentionConnectivity(2), board_size=4, **sizes)
    board = np.zeros((2, 4, 4), "int32")
    noise = np.random.default_rng(0).normal(size=(2, 4, 4, 16)).astype("float32")
    logits, energies, steps = sudoku.run(board, noise, num_steps=UntilRest(1e-9), return_energy=True)
    assert (tuple(energies.shape), ops.convert_to_numpy(steps).tolist()) == ((2, 20), [40, 40])
    plain = sudoku.run(board, noise)
    np.testing.assert_allclose(ops.convert_to_numpy(logits), ops.convert_to_numpy(plain), atol=1e-4)
    _, steps = sudoku.run(board, noise, num_steps=UntilRest(1e9))
    assert ops.convert_to_numpy(steps).tolist() == [2, 2]
    objects = AKOrNObjects(AttentionConnectivity(2), image_size=8, patch_size=4, **sizes)
    features, steps = objects.features(np.zeros((3, 8, 8, 3), "float32"), num_steps=UntilRest(1e9))
    assert (tuple(features.shape), ops.convert_to_numpy(steps).tolist()) == ((3, 2, 2, 16), [2, 2, 2])


def test_symbolic_calls_have_the_shapes(layer):
    x = keras.Input((5, 8))
    state, energies, steps = layer(x, x, num_steps=UntilRest(TOLERANCE, 7), return_energy=True)
    assert (state.shape, energies.shape, steps.shape, steps.dtype) == ((None, 5, 8), (None, 7), (None,), "int32")


def test_bad_tolerances():
    for tolerance in (0, -1.0, float("nan"), "1"):
        with pytest.raises(ValueError, match="`tolerance` must be"):
            UntilRest(tolerance)
