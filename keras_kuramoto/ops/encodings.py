"""Numbers as scalar products of oscillators, and rotations, which leave those as they are."""

import keras
from keras import ops

from keras_kuramoto._backend.concrete import is_concrete
from keras_kuramoto.ops import sphere


def encode_scalars(values, dim):
    """Oscillators whose scalar products with the first one are given numbers: Eq. 36 of the paper, corrected.

    The first oscillator is (1, 0, …, 0), the next ones are (v, √(1 - v²), 0, …, 0). The paper prints 1 - v² for the
    second component, with which they would not have unit length.

    Args:
        values: Tensor `(batch, K)` of numbers from -1 to 1.
        dim: D ≥ 2, the number of components of an oscillator.

    Returns:
        Tensor `(batch, K + 1, D)` of unit vectors.

    Raises:
        ValueError: If D < 2, if `values` has not two axes, or if there is a value beyond -1 or 1, or a NaN (where the
            values are known: not inside compiled functions, where they are clipped).

    Example:

    >>> [[round(float(c), 3) for c in oscillator] for oscillator in encode_scalars(ops.array([[0.6]]), dim=3)[0]]
    [[1.0, 0.0, 0.0], [0.6, 0.8, 0.0]]

    Reference: Binding threshold units with artificial oscillatory neurons, 2025, Appendix C.
    """
    sphere.check_oscillator_dim(dim, "dim")
    values = ops.convert_to_tensor(values)
    if len(values.shape) != 2:
        raise ValueError(f"`values` must be `(batch, K)`. Received the shape {tuple(values.shape)}.")
    # Written so that NaN fails too.
    if is_concrete(values) and not bool(ops.all(ops.abs(values) <= 1)):
        raise ValueError("`values` must lie between -1 and 1. See `centre_pixels`, which maps pixels there.")
    values = _clip(values)
    values = ops.concatenate([ops.ones_like(values[:, :1]), values], axis=1)
    square = (1 - values) * (1 + values)
    # The root's gradient is infinite at 0.
    inside = square > 0
    second = ops.where(inside, ops.sqrt(ops.where(inside, square, ops.ones_like(square))), ops.zeros_like(square))
    rest = [ops.zeros_like(values)] * (dim - 2)
    return ops.stack([values, second, *rest], axis=-1)


def decode_scalars(mu):
    """The scalar products of all oscillators with the first one: the inverse of `encode_scalars`.

    Args:
        mu: Unit vectors `(batch, K + 1, D)`, in whatever orientation.

    Returns:
        Tensor `(batch, K)`.

    Example:

    >>> mu = random_rotation(encode_scalars(ops.array([[0.6, -1.0]]), dim=3), seed=0)
    >>> [round(float(value), 3) for value in decode_scalars(mu)[0]]
    [0.6, -1.0]

    Reference: Binding threshold units with artificial oscillatory neurons, 2025, Appendix C.
    """
    mu = ops.convert_to_tensor(mu)
    return ops.sum(mu[:, 1:] * mu[:, :1], axis=-1)


def centre_pixels(pixels, mean=None, scale=None):
    """Pixels as numbers from -1 to 1 for `encode_scalars`, as in the authors' code.

    They are centred by the mean of all pixels of all images, and divided by the largest one then. A pixel that is
    farther below the mean than any is above it would come out below -1, and is -1 here; in the authors' code its
    oscillator is NaN.

    Args:
        pixels: Tensor of any shape.
        mean: The mean, if it is to be that of other images: for the test images that of the training images.
        scale: What to divide by, in the same way.

    Returns:
        Tensor of the same shape.

    Example:

    >>> [round(float(value), 3) for value in centre_pixels(ops.array([0.0, 0.0, 0.25, 1.0]))]
    [-0.455, -0.455, -0.091, 1.0]
    """
    pixels = ops.convert_to_tensor(pixels)
    if mean is None:
        # Not `ops.mean`, which makes float32 of float64 on JAX and PyTorch.
        mean = ops.sum(pixels) / ops.sum(ops.ones_like(pixels))
    centred = pixels - mean
    return _clip(centred / (ops.max(centred) if scale is None else scale))


def random_rotation(mu, seed=None, per_example=True):
    """Turns a whole state by a rotation drawn uniformly: the scalar products between its oscillators stay.

    The dynamics of a memory without natural frequencies turn with it. Training on rotated states makes a network rely
    on the scalar products alone, which hold the information.

    Args:
        mu: Oscillators `(batch, N, D)`.
        seed: Integer, `keras.random.SeedGenerator` or `None`, as for `keras.random.normal`.
        per_example: One rotation for each example (`True`) or one for the batch (`False`).

    Returns:
        Tensor of the same shape.

    Raises:
        ValueError: If `mu` has not three axes.

    Example:

    >>> random_rotation(ops.ones((4, 10, 3)), seed=1).shape
    (4, 10, 3)
    """
    mu = ops.convert_to_tensor(mu)
    if len(mu.shape) != 3:
        raise ValueError(f"`mu` must be `(batch, N, D)`. Received the shape {tuple(mu.shape)}.")
    batch, dim = ops.shape(mu)[0] if per_example else 1, mu.shape[-1]
    draws = keras.random.normal((batch, dim, dim), seed=seed, dtype=mu.dtype)
    # A uniform rotation takes the first axis to a uniform direction, and then rotates the other axes uniformly. The
    # reflection at v = e₁ - u takes e₁ to u, and a change of sign of the last component makes a rotation of it. (QR
    # decompositions would need a determinant for that, which XLA has not on TensorFlow.)
    sign = ops.convert_to_tensor([1.0] * (dim - 1) + [-1.0], dtype=mu.dtype)
    for first in range(dim - 1):
        axis = ops.convert_to_tensor([0.0] * first + [1.0] + [0.0] * (dim - first - 1), dtype=mu.dtype)
        later = ops.convert_to_tensor([0.0] * first + [1.0] * (dim - first), dtype=mu.dtype)
        v = sphere.normalize(axis - sphere.normalize(draws[:, first : first + 1] * later))
        mu = (mu - 2.0 * ops.sum(mu * v, axis=-1, keepdims=True) * v) * sign
    return mu


def _clip(values):
    # `ops.clip` makes float32 of float64 on some backends.
    ones = ops.ones_like(values)
    return ops.where(values > 1, ones, ops.where(values < -1, -ones, values))
