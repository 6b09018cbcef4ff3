"""Local coupling by convolution."""

import functools

import keras
import numpy as np
from keras import ops

from keras_kuramoto.layers.connectivity import Connectivity
from keras_kuramoto.platforms import platform


def _kernel_sizes(kernel_size, rank):
    sizes = (kernel_size,) * rank if isinstance(kernel_size, int) else tuple(kernel_size)
    if len(sizes) != rank:
        raise ValueError(f"`kernel_size` must have one entry for each of the {rank} spatial axes. Received {sizes}.")
    return sizes


@keras.saving.register_keras_serializable(package="keras_kuramoto")
class ConvConnectivity(Connectivity):
    """Convolution as coupling, Eq. 7, on one to three spatial axes, with zeros beyond the border.

    Args:
        kernel_size: Positive integer, or one for each spatial axis.
        use_bias: Whether a trained vector is added.
        kernel_initializer: Initialiser of the kernel.
        **kwargs: As for `keras.layers.Layer`.

    Call arguments:
        x: Oscillators, `(batch, *spatial, channels)`. Spatial sizes may be unknown, and vary from call to call.

    Returns:
        Tensor of the same shape.

    Raises:
        ValueError: If `kernel_size` is not positive or does not fit the number of spatial axes.

    Example:

    >>> ConvConnectivity(3)(ops.ones((2, 6, 5, 8))).shape
    (2, 6, 5, 8)

    Reference: Miyato et al., ICLR 2025, Eq. 7.
    """

    def __init__(self, kernel_size, use_bias=True, kernel_initializer="glorot_uniform", **kwargs):
        super().__init__(**kwargs)
        sizes = (kernel_size,) if isinstance(kernel_size, int) else tuple(kernel_size)
        if not sizes or any(not isinstance(size, int) or size < 1 for size in sizes):
            raise ValueError(f"`kernel_size` must be made of positive integers. Received {kernel_size!r}.")
        self.kernel_size = kernel_size if isinstance(kernel_size, int) else sizes
        self.use_bias = use_bias
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape):
        rank, channels = len(input_shape) - 2, input_shape[-1]
        if rank < 1 or channels is None:
            raise ValueError(
                "A convolution needs an input (batch, *spatial, channels) with at least one spatial axis and a known "
                f"number of channels. Received the shape {tuple(input_shape)}."
            )
        self.kernel = self.add_weight(
            name="kernel",
            shape=(*_kernel_sizes(self.kernel_size, rank), channels, channels),
            initializer=self.kernel_initializer,
        )
        self.bias = self.add_weight(name="bias", shape=(channels,), initializer="zeros") if self.use_bias else None

    def applied_kernel(self):
        """The kernel that is applied: `(*kernel_size, channels, channels)`."""
        return self.kernel

    def call(self, x):
        y = platform().convolution(x, self.applied_kernel())
        return y if self.bias is None else y + self.bias


@keras.saving.register_keras_serializable(package="keras_kuramoto")
class SymmetricConvConnectivity(ConvConnectivity):
    """Convolution with Jᵢⱼ = Jⱼᵢᵀ, for which Eq. 3 is a Lyapunov function without natural frequencies.

    The kernel is ½ (K + K′), where K′ is the trained K mirrored in space with input and output channels swapped.

    Args:
        kernel_size: Odd positive integer, or one for each spatial axis; the other arguments are those of
            `ConvConnectivity`.

    Raises:
        ValueError: If a size of the kernel is even: a mirrored even kernel would be off by one position.

    Example:

    >>> SymmetricConvConnectivity(3)(ops.ones((2, 6, 5, 8))).shape
    (2, 6, 5, 8)

    Reference: Miyato et al., ICLR 2025, Eq. 3, 7 and Appendix F.
    """

    symmetric = True

    def __init__(self, kernel_size, use_bias=False, kernel_initializer="glorot_uniform", **kwargs):
        super().__init__(kernel_size, use_bias, kernel_initializer, **kwargs)
        sizes = (kernel_size,) if isinstance(kernel_size, int) else tuple(kernel_size)
        if any(size % 2 == 0 for size in sizes):
            raise ValueError(f"A symmetric `kernel_size` must be odd. Received {kernel_size!r}.")

    def applied_kernel(self):
        mirrored = ops.flip(self.kernel, axis=tuple(range(len(self.kernel.shape) - 2)))
        return 0.5 * (self.kernel + ops.swapaxes(mirrored, -1, -2))


@keras.saving.register_keras_serializable(package="keras_kuramoto")
class FixedKernelConnectivity(Connectivity):
    """Convolution with a given kernel that is not trained, as in Fig. 1 (Gaussian) and Fig. 10 (random filters).

    Args:
        kernel: Array `(*kernel_size)`, applied to each channel by itself, so that Jᵢⱼ is a multiple of the identity;
            or `(*kernel_size, channels, channels)`, which mixes the channels. See `gaussian_kernel`, `random_kernel`.
        rank: Number of spatial axes.
        **kwargs: As for `keras.layers.Layer`.

    Call arguments:
        x: Oscillators, `(batch, *spatial, channels)`.

    Returns:
        Tensor of the same shape.

    Raises:
        ValueError: If the kernel has neither `rank` nor `rank + 2` axes, or other channels than the input.

    Example:

    >>> FixedKernelConnectivity(gaussian_kernel(9, 2.0))(ops.ones((1, 16, 16, 4))).shape
    (1, 16, 16, 4)

    Reference: Miyato et al., ICLR 2025, Fig. 1 and 10.
    """

    def __init__(self, kernel, rank=2, **kwargs):
        super().__init__(**kwargs)
        self.kernel = np.asarray(kernel, "float32")
        self.rank = rank
        if self.kernel.ndim not in (rank, rank + 2) or self.kernel.size == 0:
            raise ValueError(
                f"`kernel` must have {rank} axes, or {rank + 2} with input and output channels, for `rank` = {rank}. "
                f"Received the shape {self.kernel.shape}."
            )

    def build(self, input_shape):
        if len(input_shape) != self.rank + 2:
            raise ValueError(
                f"The input must have {self.rank} spatial axes (`rank`). Received the shape {tuple(input_shape)}."
            )
        if self.kernel.ndim > self.rank and self.kernel.shape[-2:] != (input_shape[-1],) * 2:
            raise ValueError(
                f"`kernel` maps {self.kernel.shape[-2]} to {self.kernel.shape[-1]} channels, but the input has "
                f"{input_shape[-1]}."
            )

    def call(self, x):
        kernel = ops.convert_to_tensor(self.kernel, dtype=x.dtype)
        if self.kernel.ndim > self.rank:
            return platform().convolution(x, kernel)
        # The same kernel on every channel: channels travel on the batch axis.
        shape = ops.shape(x)
        images = ops.reshape(ops.moveaxis(x, -1, 1), (-1, *shape[1:-1], 1))
        images = platform().convolution(images, kernel[..., None, None])
        return ops.moveaxis(ops.reshape(images, (-1, shape[-1], *shape[1:-1])), 1, -1)

    def get_config(self):
        # As numbers: those of an array would be no JSON.
        return {**super().get_config(), "kernel": self.kernel.tolist()}


def gaussian_kernel(size, sigma, rank=2):
    """Gaussian of standard deviation `sigma` on a grid of `size` positions along each axis, with sum 1.

    Args:
        size: Odd number of positions along each axis.
        sigma: Standard deviation, in positions.
        rank: Number of spatial axes.

    Returns:
        float32 array with `rank` axes.

    Raises:
        ValueError: If `size` is even or `sigma` is not positive.

    Example:

    >>> gaussian_kernel(9, 2.0).shape
    (9, 9)
    """
    if size % 2 == 0 or sigma <= 0:
        raise ValueError(f"`size` must be odd and `sigma` positive. Received size={size}, sigma={sigma}.")
    profile = np.exp(-0.5 * ((np.arange(size) - size // 2) / sigma) ** 2)
    kernel = functools.reduce(np.multiply.outer, [profile] * rank)
    return (kernel / kernel.sum()).astype("float32")


def random_kernel(size, channels, rank=2, seed=None):
    """Filters with independent normal entries of variance 1 / (number of inputs), as in Fig. 10.

    Args:
        size: Number of positions along each axis.
        channels: Number of input and of output channels.
        rank: Number of spatial axes.
        seed: Seed of NumPy's generator.

    Returns:
        float32 array `(size, …, size, channels, channels)`.

    Example:

    >>> random_kernel(9, 4, seed=0).shape
    (9, 9, 4, 4)
    """
    shape = (size,) * rank + (channels, channels)
    return (np.random.default_rng(seed).standard_normal(shape) / np.sqrt(size**rank * channels)).astype("float32")
