"""What the tests of the memories need: the authors' vectors, compiled functions of weights and state, two laws."""

import json

import keras
import numpy as np
from backend_helpers import BACKEND, DATA, to_numpy, value_and_gradients
from keras import ops


def load_arrays(name):
    """The config and the arrays of a file."""
    with np.load(DATA / f"{name}.npz") as file:
        return json.loads(str(file["config"])), {key: file[key] for key in file.files if key != "config"}


def traced(function):
    """The function as a graph on TensorFlow and compiled on JAX, once for all calls with the same shapes."""
    if BACKEND == "tensorflow":
        import tensorflow as tf

        return tf.function(function)
    if BACKEND == "jax":
        import jax

        return jax.jit(function)
    return function


def with_weights(memory, function):
    """A compiled function of lists of NumPy arrays, the state and the memory's weights, with NumPy results."""

    def run(state, values):
        with keras.StatelessScope(state_mapping=list(zip(memory.weights, values))):
            return function(*state)

    compiled = traced(run)

    def call(state, values):
        # A NumPy scalar would be taken for a Python number, and be float32.
        arrays = keras.tree.map_structure(np.asarray, (list(state), list(values)))
        tensors = keras.tree.map_structure(ops.convert_to_tensor, arrays)
        return keras.tree.map_structure(to_numpy, compiled(*tensors))

    return call


def unit_vectors(rng, *shape):
    mu = rng.standard_normal(shape)
    return mu / np.linalg.norm(mu, axis=-1, keepdims=True)


def as_state(parts):
    """A memory's state: a tensor, or a pair of them."""
    return parts[0] if len(parts) == 1 else tuple(parts)


def check_law(memory, draw_state, rng, draws=2, scale=0.6, step=1e-5):
    """The energy falls along an accurate solution, at the rate of the paper's formula, for random weights.

    Args:
        memory: A built memory in float64 with a solver of small enough steps.
        draw_state: Function that draws a state: a list of arrays.
        rng: NumPy generator.
        draws: How often weights and states are drawn.
        scale: Standard deviation of the weights.
        step: Of the numeric derivative, in time.
    """

    def laws(*parts):
        state = as_state(parts)
        change = memory.vector_field(state)
        # Not checked for their length: these are off the sphere by the square of the step.
        move = keras.tree.map_structure
        ahead = memory.compute_energy(move(lambda x, dx: x + step * dx, state, change))
        behind = memory.compute_energy(move(lambda x, dx: x - step * dx, state, change))
        return memory(state, return_energy=True)[1], memory.energy_rate(state), (ahead - behind) / (2 * step)

    run = with_weights(memory, laws)
    for _ in range(draws):
        values = [scale * rng.standard_normal(weight.shape) for weight in memory.weights]
        energies, rate, numeric = run(draw_state(), values)
        np.testing.assert_allclose(rate, numeric, rtol=1e-6)
        assert np.all(rate < 0)
        assert np.diff(energies, axis=1).max() <= 1e-7 * np.abs(energies).max()
        assert (energies[:, 0] - energies[:, -1]).mean() > 1e-2


def check_gradients(memory, loss, state, rng, step=1e-6):
    """The gradients of a scalar function of the state, for it and for all weights, equal finite differences."""
    values = [to_numpy(weight) for weight in memory.weights]
    _, gradients = value_and_gradients(loss, *state, variables=memory.weights, compiled=True)
    run = with_weights(memory, loss)
    point = [*state, *values]
    for index, gradient in enumerate(gradients):
        direction = rng.standard_normal(point[index].shape)
        moved = []
        for sign in (step, -step):
            arrays = [value + sign * direction if i == index else value for i, value in enumerate(point)]
            moved.append(float(run(arrays[: len(state)], arrays[len(state) :])))
        expected = (moved[0] - moved[1]) / (2 * step)
        np.testing.assert_allclose((gradient * direction).sum(), expected, rtol=1e-6, atol=1e-7)
