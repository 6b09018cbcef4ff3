"""Functions that keep float64, or take what is empty, where those of `keras.ops` do not on every backend."""

import keras
from keras import ops


def tanh(x):
    """Hyperbolic tangent. `keras.ops.tanh` gives float32 for float64 on JAX."""
    if keras.backend.backend() == "jax":
        import jax

        return jax.numpy.tanh(x)
    return ops.tanh(x)


def softplus(x):
    """log(1 + exp(x)), to rounding. PyTorch's function returns x from 20 on, which is off by 2e-9 there.

    The derivatives of first and second order are right at zero too.
    """
    positive = x > 0
    return ops.where(positive, x, ops.zeros_like(x)) + ops.log1p(ops.exp(ops.where(positive, -x, x)))


def log_cosh(x):
    """log(cosh(x)), without overflow."""
    return x + softplus(-2.0 * x) - 0.6931471805599453


def at_least(x, least):
    """The tensor where it is above a number, and the number elsewhere. `keras.ops.maximum` gives float32 on PyTorch."""
    if keras.backend.backend() == "torch" and not isinstance(x, keras.KerasTensor):
        return x.clamp(min=least)
    return ops.maximum(x, least)


def largest(x, axis=-1, keepdims=False):
    """The largest entries along an axis. `keras.ops.max` raises an error where another axis is empty."""
    backend = None if isinstance(x, keras.KerasTensor) else keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        return tf.reduce_max(x, axis=axis, keepdims=keepdims)
    if backend == "torch":
        return x.amax(dim=axis, keepdim=keepdims)
    return ops.max(x, axis=axis, keepdims=keepdims)
