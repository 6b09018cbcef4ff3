"""What layers do in one way on one kind of machine and in another elsewhere: one object, chosen in one place.

The components of an oscillator lie side by side on the channels' axis. CPUs and GPUs give them an axis of their own. A
TPU lays the last axis out in tiles of 128 numbers, so that an axis of 4 takes 32 times the memory that it needs; there,
sums over oscillators are products with a matrix of ones and zeros. A TPU also computes faster than it reads, so that a
gradient keeps little and computes the rest again. For a CPU, XLA makes slow programs of some of the usual gradients.
"""

import contextlib
import functools

import keras
import numpy as np
from keras import ops

from keras_kuramoto._backend.attention import attention, turned
from keras_kuramoto._backend.convolution import convolution, plain_convolution
from keras_kuramoto._backend.devices import compiled_for_a_cpu, has_tpu
from keras_kuramoto._backend.exact_product import exact_product
from keras_kuramoto._backend.precise import at_least
from keras_kuramoto._backend.recompute import recomputed
from keras_kuramoto.ops import sphere
from keras_kuramoto.ops._range import at_least_float32


class Platform:
    """Oscillators on an axis of their own, and the usual gradients: GPUs, and CPUs on PyTorch.

    Example:

    >>> platform = Platform()
    >>> [round(float(v), 3) for v in platform.normalize(ops.array([3.0, 4.0, 0.0, 0.0]), 2)]
    [0.6, 0.8, 0.0, 0.0]
    """

    def normalize(self, x, oscillator_dim):
        """`keras_kuramoto.ops.normalize` of each oscillator: `(..., oscillators * N)`, and so the result."""
        return sphere.join_oscillators(sphere.normalize(sphere.split_oscillators(x, oscillator_dim)))

    def norms(self, x, oscillator_dim):
        """`keras_kuramoto.ops.safe_norm` of each oscillator: `(..., oscillators * N)` to `(..., oscillators)`."""
        return sphere.safe_norm(sphere.split_oscillators(x, oscillator_dim))

    def project(self, x, y, oscillator_dim):
        """`keras_kuramoto.ops.project_to_tangent` of each oscillator: tensors `(..., oscillators * N)`."""
        x, y = [sphere.split_oscillators(part, oscillator_dim) for part in (x, y)]
        return sphere.join_oscillators(sphere.project_to_tangent(x, y))

    def turn(self, x, matrices):
        """Multiplies each oscillator by a matrix.

        Args:
            x: `(..., oscillators * N)`.
            matrices: `(N, N)` for all oscillators, or `(oscillators, N, N)`.

        Returns:
            Tensor of the shape of `x`.
        """
        groups = sphere.split_oscillators(x, matrices.shape[-1])
        if len(matrices.shape) == 2:
            # All oscillators as the rows of one matrix.
            turned = ops.reshape(groups, (-1, matrices.shape[-1])) @ ops.transpose(matrices)
            return ops.reshape(turned, ops.shape(x))
        return sphere.join_oscillators(ops.einsum("...on,omn->...om", groups, matrices))

    def linear(self, x, kernel, bias=None, parts=1):
        """A linear map of tokens whose result is cut into equal parts.

        Args:
            x: `(batch, positions, channels)`.
            kernel: `(channels, parts * units)`.
            bias: `(parts * units,)`, or `None`.
            parts: Number of parts.

        Returns:
            List of tensors `(batch, positions, units)`.
        """
        return ops.split(_linear(x, kernel, bias), parts, axis=-1)

    def convolution(self, x, kernel):
        """`keras.ops.conv` with stride 1, zeros beyond the border and channels last.

        Args:
            x: `(batch, *spatial, channels)`, with one to three spatial axes.
            kernel: `(*size, channels, filters)`.

        Returns:
            `(batch, *spatial, filters)`.
        """
        return plain_convolution(x, kernel)

    def attention(self, query, key, value):
        """The softmax of `query @ keyᵀ` over the keys, times the values.

        Args:
            query: `(batch, heads, positions, head_dim)`, scaled.
            key: Tensor of the same shape.
            value: Tensor of the same shape.

        Returns:
            Tensor of the same shape.
        """
        # `@` and not `ops.matmul`, which makes float32 of float64 on PyTorch.
        return ops.softmax(query @ ops.swapaxes(key, -1, -2)) @ value

    def turn_halves(self, x, same, other, across=False):
        """Pairs of components, each half a head apart, times 2 × 2 matrices: `same * x + other * swapped(x)`.

        Args:
            x: `(batch, heads, positions, head_dim)`.
            same: `(positions, head_dim)`, the factors of a component itself.
            other: `(positions, head_dim)`, those of its partner, `head_dim / 2` away.
            across: Whether these are keys or values for `attention`.

        Returns:
            Tensor of the shape of `x`.
        """
        first, second = ops.split(x, 2, axis=-1)
        return same * x + other * ops.concatenate([second, first], axis=-1)

    def keep_arguments(self, function, *tensors, weights=()):
        """Calls a function whose gradient may keep the arguments alone, and compute the rest again.

        Args:
            function: Function of the tensors, to one tensor, the same whenever it is called.
            *tensors: Its arguments: all tensors that get a gradient, but for the weights.
            weights: Keras variables that it uses.

        Returns:
            Its result.
        """
        return function(*tensors)


class CompiledForCPU(Platform):
    """Gradients that XLA makes fast programs of: CPUs, on TensorFlow and JAX.

    On JAX there is no forward mode where they are.
    """

    def convolution(self, x, kernel):
        return convolution(x, kernel)

    def attention(self, query, key, value):
        return attention(query, key, value)

    def turn_halves(self, x, same, other, across=False):
        return turned(x, same, other, across)


class WideTiles(Platform):
    """Oscillators summed by products, and gradients that keep little: TPUs.

    Instead of the largest component, vectors are divided by the mean of the components' absolute values, which has the
    same order of magnitude. NaN or infinity in one oscillator reaches all of its position.
    """

    def normalize(self, x, oscillator_dim):
        x = ops.convert_to_tensor(x)
        dtype = keras.backend.standardize_dtype(x.dtype)
        x, _ = self._moderate(at_least_float32(x), oscillator_dim, short=2.0**-15 if dtype == "float16" else 1e-12)
        square = exact_product(ops.square(x), _same_oscillator(x.shape[-1], oscillator_dim))
        # All other sums are near 1 or above.
        return ops.cast(x * ops.rsqrt(at_least(square, 0.5)), dtype)

    def norms(self, x, oscillator_dim):
        x = ops.convert_to_tensor(x)
        dtype = x.dtype
        x, size = self._moderate(at_least_float32(x), oscillator_dim)
        square = exact_product(ops.square(x), _members(x.shape[-1], oscillator_dim))
        size = ops.stop_gradient(exact_product(size, _first_members(x.shape[-1], oscillator_dim)))
        return ops.cast(size * ops.sqrt(at_least(square, 0.5)), dtype)

    def project(self, x, y, oscillator_dim):
        return y - exact_product(x * y, _same_oscillator(x.shape[-1], oscillator_dim)) * x

    def turn(self, x, matrices):
        channels, size = x.shape[-1], matrices.shape[-1]
        matrices = ops.swapaxes(matrices, -1, -2)
        shared = len(matrices.shape) == 2
        columns = ops.tile(matrices, (channels // size, 1)) if shared else ops.reshape(matrices, (-1, size))
        # The columns of each oscillator, beside zeros.
        mask = ops.convert_to_tensor(_same_oscillator(channels, size), dtype=x.dtype)
        return x @ (ops.tile(columns, (1, channels // size)) * mask)

    def linear(self, x, kernel, bias=None, parts=1):
        # The parts are written once, and not a second time to be apart.
        kernels = ops.split(ops.convert_to_tensor(kernel), parts, axis=-1)
        biases = [None] * parts if bias is None else ops.split(ops.convert_to_tensor(bias), parts)
        return [_linear(x, *one) for one in zip(kernels, biases)]

    def keep_arguments(self, function, *tensors, weights=()):
        return recomputed(function, *tensors, weights=weights)

    @staticmethod
    def _moderate(x, oscillator_dim, short=0.0):
        """Oscillators divided by a size, and the sizes: constants for gradients, as no length depends on them."""
        mean = ops.convert_to_tensor(_same_oscillator(x.shape[-1], oscillator_dim) / oscillator_dim, dtype=x.dtype)
        # To be precise is no use here.
        size = ops.stop_gradient(ops.abs(x) @ mean)
        return x / ops.where(size <= short, float("inf"), size), size


def _linear(x, kernel, bias):
    # All tokens as the rows of one matrix: XLA can't differentiate products of other shapes in a loop if the size of
    # the batch is unknown. `@` and not `ops.matmul`, which makes float32 of float64 on PyTorch.
    kernel = ops.convert_to_tensor(kernel)
    x = ops.reshape(ops.reshape(x, (-1, x.shape[-1])) @ kernel, (-1, x.shape[1], kernel.shape[-1]))
    return x if bias is None else x + bias


@functools.lru_cache(64)
def _members(channels, size):
    """`(channels, oscillators)`: 1 where the channel is of the oscillator."""
    sphere.check_channels(channels, size)
    return np.repeat(np.eye(channels // size, dtype="float32"), size, axis=0)


@functools.lru_cache(64)
def _first_members(channels, size):
    """`(channels, oscillators)`: 1 where the channel is the oscillator's first."""
    return _members(channels, size) * (np.arange(channels) % size == 0)[:, None].astype("float32")


@functools.lru_cache(64)
def _same_oscillator(channels, size):
    """`(channels, channels)`: 1 where both are of one oscillator."""
    members = _members(channels, size)
    return members @ members.T


PLAIN, COMPILED_FOR_CPU, WIDE_TILES = Platform(), CompiledForCPU(), WideTiles()
_chosen = None


def platform():
    """The platform of what is computed or traced now."""
    if _chosen is not None:
        return _chosen
    if has_tpu():
        return WIDE_TILES
    return COMPILED_FOR_CPU if compiled_for_a_cpu() else PLAIN


@contextlib.contextmanager
def traced_for(chosen):
    """Inside, `platform()` is a given one: for programs that are traced here and run elsewhere.

    Args:
        chosen: A `Platform`, such as `WIDE_TILES`.

    Example:

    >>> with traced_for(WIDE_TILES):
    ...     [round(float(v), 3) for v in platform().normalize(ops.array([[3.0, 4.0, 0.0, 0.0]]), 2)[0]]
    [0.6, 0.8, 0.0, 0.0]
    """
    global _chosen
    before, _chosen = _chosen, chosen
    try:
        yield
    finally:
        _chosen = before
