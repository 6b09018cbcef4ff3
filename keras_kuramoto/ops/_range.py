"""Dtypes and scales in which sums and squares stay within the range of numbers."""

import keras
import numpy as np
from keras import ops

from keras_kuramoto._backend.precise import largest


def at_least_float32(x):
    """The tensor in float32 where it has half precision, whose sums and squares soon leave its range."""
    return ops.cast(x, "float32") if keras.backend.standardize_dtype(x.dtype) in ("float16", "bfloat16") else x


def moderate(x, axis=-1):
    """Vectors times powers of two that make their squares fit the dtype: nearly always 1, which changes no digit.

    The scale is a constant for gradients, so that those of a function that does not depend on it stay what they are.

    Args:
        x: Tensor of float32 or float64.
        axis: Axis of the components.

    Returns:
        Tensor of the same shape.
    """
    # Then the sum of 2²⁰ squares is finite, and the square of the largest component is not subnormal.
    half = int(np.finfo(keras.backend.standardize_dtype(x.dtype)).maxexp) // 2
    size = ops.stop_gradient(largest(ops.abs(x), axis, keepdims=True))
    one = ops.ones_like(size)
    scale = ops.where(size > 2.0 ** (half - 10), 2.0 ** -(half + 10) * one, one)
    return x * ops.where(size < 2.0 ** -(half - 10), 2.0 ** (half + 10) * one, scale)
