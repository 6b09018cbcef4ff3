"""Unit vectors: oscillators side by side on the channel axis, each with N components."""

import keras
from keras import ops

from keras_kuramoto._backend.precise import at_least, largest
from keras_kuramoto.ops._range import at_least_float32


def split_oscillators(x, oscillator_dim):
    """Reshapes `(..., oscillators * N)` to `(..., oscillators, N)`.

    Args:
        x: Tensor with N components of each oscillator side by side on its last axis.
        oscillator_dim: N, the number of components.

    Returns:
        Tensor `(..., oscillators, N)`.

    Raises:
        ValueError: If N does not divide the size of the last axis.

    Example:

    >>> split_oscillators(ops.ones((2, 12)), 4).shape
    (2, 3, 4)
    """
    channels = x.shape[-1]
    check_channels(channels, oscillator_dim)
    shape = ops.shape(x)
    return ops.reshape(x, (*shape[:-1], channels // oscillator_dim, oscillator_dim))


def join_oscillators(x):
    """Reshapes `(..., oscillators, N)` back to `(..., oscillators * N)`, the inverse of `split_oscillators`.

    Example:

    >>> join_oscillators(ops.ones((2, 3, 4))).shape
    (2, 12)
    """
    shape = ops.shape(x)
    return ops.reshape(x, (*shape[:-2], x.shape[-2] * x.shape[-1]))


def safe_norm(x, axis=-1, keepdims=False):
    """Euclidean norm with the gradient 0, not NaN, at the zero vector.

    It is computed in float32 where the dtype is shorter, and from components of moderate size: it is infinite only
    where the dtype has no such number.

    Args:
        x: Tensor of floats.
        axis: Axis that holds the components.
        keepdims: Whether the axis stays, with size 1.

    Returns:
        Tensor of the norms.

    Example:

    >>> float(safe_norm(ops.array([3.0, 4.0])))
    5.0
    """
    x = ops.convert_to_tensor(x)
    dtype = x.dtype
    x, size, square = _by_largest(at_least_float32(x), axis)
    norm = ops.cast(size * ops.sqrt(square), dtype)
    return norm if keepdims else ops.squeeze(norm, axis=axis)


def normalize(x, axis=-1):
    """Π of Eq. 5: divides by the Euclidean norm. The zero vector stays zero, with gradient 0.

    A vector whose components are all below 1e-12 (3e-5 in float16) counts as zero: the gradient of a shorter one,
    1 / norm, would come out infinite or NaN. The norm is computed as in `safe_norm`.

    Args:
        x: Tensor of floats, `(..., N)`.
        axis: Axis that holds the components.

    Returns:
        Tensor of the same shape, of unit length along `axis`.

    Example:

    >>> [round(float(v), 3) for v in normalize(ops.array([3.0, 4.0]))]
    [0.6, 0.8]
    """
    x = ops.convert_to_tensor(x)
    dtype = keras.backend.standardize_dtype(x.dtype)
    x, _, square = _by_largest(at_least_float32(x), axis, short=2.0**-15 if dtype == "float16" else 1e-12)
    return ops.cast(x * ops.rsqrt(square), dtype)


def _by_largest(x, axis, short=0.0):
    """Vectors divided by their largest absolute component, that component, and the sum of the quotients' squares.

    A vector none of whose components is above `short` is divided by infinity, and its sum is then any number but 0,
    which has no gradient under a root. The size is a constant for gradients: no length depends on it.
    """
    size = ops.stop_gradient(largest(ops.abs(x), axis, keepdims=True))
    x = x / ops.where(size <= short, float("inf"), size)
    square = ops.sum(ops.square(x), axis=axis, keepdims=True)
    # All other sums are at least 1.
    return x, size, at_least(square, 0.5)


def project_to_tangent(x, y, axis=-1):
    """Proj of Eq. 2: the part of `y` that is tangent to the sphere at the unit vector `x`, `y - <y, x> x`.

    Args:
        x: Unit vectors, `(..., N)`.
        y: Vectors of the same shape.
        axis: Axis that holds the components.

    Returns:
        Tensor of the same shape, orthogonal to `x`.

    Example:

    >>> [float(v) for v in project_to_tangent(ops.array([1.0, 0.0]), ops.array([5.0, 2.0]))]
    [0.0, 2.0]
    """
    x, y = ops.convert_to_tensor(x), ops.convert_to_tensor(y)
    return y - ops.sum(x * y, axis=axis, keepdims=True) * x


def random_on_sphere(shape, seed=None, dtype=None):
    """Points drawn uniformly on the unit sphere in R^N.

    Args:
        shape: Shape of the result; its last entry is N.
        seed: Integer, `keras.random.SeedGenerator` or `None`, as for `keras.random.normal`.
        dtype: Dtype of the result, `keras.config.floatx()` by default.

    Returns:
        Tensor of that shape with vectors of unit length on its last axis.

    Raises:
        ValueError: If N < 2.

    Example:

    >>> random_on_sphere((8, 5, 3), seed=0).shape
    (8, 5, 3)
    """
    if shape[-1] < 2:
        raise ValueError(f"A point on a sphere needs at least 2 components. Received shape {tuple(shape)}.")
    return normalize(keras.random.normal(shape, seed=seed, dtype=dtype or keras.config.floatx()))


def check_oscillator_dim(value, name="oscillator_dim"):
    """Returns `value` if it is an integer of at least 2, else raises a `ValueError` that names the argument."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 2:
        raise ValueError(f"`{name}` must be an integer of at least 2. Received {value!r}.")
    return value


def check_channels(channels, oscillator_dim):
    """Raises a `ValueError` unless `channels` is known and holds whole oscillators of `oscillator_dim` components."""
    if channels is None or channels % oscillator_dim:
        raise ValueError(
            f"The number of channels must be known and a multiple of `oscillator_dim` = {oscillator_dim}. "
            f"Received {channels} channels."
        )
