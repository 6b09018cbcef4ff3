"""What the tests need of each backend: gradients, compilation, NumPy arrays, and the reference vectors."""

import contextlib
import json
import os
import pathlib
import subprocess
import sys

import keras
import numpy as np
from keras import ops

BACKEND = keras.backend.backend()
DATA = pathlib.Path(__file__).parents[1] / "data"
ROOT = pathlib.Path(__file__).parents[2]


def to_numpy(value):
    return ops.convert_to_numpy(value)


def array(rng, *shape):
    """Normal float32 entries."""
    return rng.standard_normal(shape).astype("float32")


def unit(x, dim):
    """The oscillators of a NumPy array, each divided by its norm."""
    groups = x.reshape(*x.shape[:-1], -1, dim)
    return (groups / np.linalg.norm(groups, axis=-1, keepdims=True)).reshape(x.shape)


def norms(x, dim):
    x = np.asarray(x, "float64")
    return np.linalg.norm(x.reshape(*x.shape[:-1], -1, dim), axis=-1)


def load_vectors(name):
    """The config, the state dict and the other arrays of a file; images channels last."""
    with np.load(DATA / f"akorn_{name}.npz") as file:
        config = json.loads(str(file["config"]))
        arrays = {key: file[key] for key in file.files if key != "config"}
    weights = {key[8:]: value for key, value in arrays.items() if key.startswith("weights/")}
    for key in ("x", "c", "probe", "grad_x", "grad_c", "y", "noise", "x_final", "image", "x0", "features"):
        if key in arrays:
            arrays[key] = np.moveaxis(arrays[key], 1, -1)
    if "xs" in arrays:
        arrays["xs"] = np.moveaxis(arrays["xs"], 2, -1)
    return config, weights, arrays


def call(function, *arrays, compiled=False):
    """Calls a function of tensors, compiled (XLA on TensorFlow, `jit` on JAX; PyTorch runs as it is) or not.

    Returns:
        NumPy arrays in the structure of the function's result.
    """
    inputs = [ops.convert_to_tensor(value) for value in arrays]
    if compiled and BACKEND == "tensorflow":
        import tensorflow as tf

        function = tf.function(function, jit_compile=True)
    elif compiled and BACKEND == "jax":
        import jax

        function = jax.jit(function)
    return keras.tree.map_structure(to_numpy, function(*inputs))


def evaluate(function, *arrays):
    """`call`, the way that takes the backend least time: JAX would compile every operation by itself otherwise."""
    return call(function, *arrays, compiled=BACKEND == "jax")


def specs(function, *arrays):
    """What a function of tensors returns, of which only structure, shapes and dtypes count: not computed on JAX."""
    if BACKEND == "jax":
        import jax

        return jax.eval_shape(function, *[ops.convert_to_tensor(value) for value in arrays])
    return call(function, *arrays)


def value_and_gradients(function, *arrays, variables=(), compiled=False):
    """Value and gradients of a scalar function, with respect to its arguments that are floats and to variables.

    Args:
        function: Function of tensors that returns a scalar.
        *arrays: Its arguments. Integers are passed on, without a gradient.
        variables: Keras variables of layers that the function calls.
        compiled: As for `call`.

    Returns:
        The value, and the list of the gradients as NumPy arrays, those of the arguments first.
    """
    arrays = [np.asarray(value) for value in arrays]
    floats = [value.dtype.kind == "f" for value in arrays]
    tensors = [ops.convert_to_tensor(value) for value in arrays]
    variables = list(variables)
    if BACKEND == "tensorflow":
        import tensorflow as tf

        values = [variable.value for variable in variables]

        def run(*tensors):
            sources = [tensor for tensor, is_float in zip(tensors, floats) if is_float]
            with tf.GradientTape() as tape:
                tape.watch(sources)
                result = function(*tensors)
            unconnected = tf.UnconnectedGradients.ZERO
            return result, tape.gradient(result, sources + values, unconnected_gradients=unconnected)

        # Also where not compiled by XLA it is a graph, as Keras runs it.
        result, gradients = tf.function(run, jit_compile=compiled)(*tensors)
    elif BACKEND == "jax":
        import jax

        def run(sources, values, integers):
            sources, integers = iter(sources), iter(integers)
            inputs = [next(sources if is_float else integers) for is_float in floats]
            with keras.StatelessScope(state_mapping=list(zip(variables, values))):
                return function(*inputs)

        differentiated = jax.value_and_grad(run, argnums=(0, 1))
        sources = [tensor for tensor, is_float in zip(tensors, floats) if is_float]
        integers = [tensor for tensor, is_float in zip(tensors, floats) if not is_float]
        values = [variable.value for variable in variables]
        result, (first, second) = (jax.jit(differentiated) if compiled else differentiated)(sources, values, integers)
        gradients = list(first) + list(second)
    else:
        import torch

        for tensor, is_float in zip(tensors, floats):
            tensor.requires_grad_(is_float)
        sources = [tensor for tensor, is_float in zip(tensors, floats) if is_float]
        sources += [variable.value for variable in variables]
        result = function(*tensors)
        gradients = torch.autograd.grad(result, sources, allow_unused=True)
        gradients = [torch.zeros_like(s) if g is None else g for g, s in zip(gradients, sources)]
    return float(to_numpy(result)), [to_numpy(gradient) for gradient in gradients]


def float64_enabled():
    """A context in which JAX computes in float64 where asked to, as the other backends always do."""
    if BACKEND != "jax":
        return contextlib.nullcontext()
    import jax

    return jax.enable_x64(True)


def assign(layer, rng, scale=0.3):
    """Gives every trained weight of a built layer random values, biases and others that start at zero too."""
    for variable in layer.trainable_variables:
        variable.assign(scale * rng.standard_normal(variable.shape))


def run_python(*arguments, backend=BACKEND, **environment):
    """Runs the interpreter in the repository, in a new process, on a backend."""
    environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3", **environment}
    environment["PYTHONPATH"] = str(ROOT)
    return subprocess.run(
        [sys.executable, *map(str, arguments)], env=environment, capture_output=True, text=True, timeout=300
    )
