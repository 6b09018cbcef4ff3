"""Symmetric coupling between the consecutive layers of a layered state."""

import math

import keras
import numpy as np
from keras import ops

from keras_kuramoto._backend.empty import of_some
from keras_kuramoto.layers.connectivity import Connectivity


class _LayeredConnectivity(Connectivity):
    """Layers of given shapes side by side on the last axis, each coupled with the next one, both ways.

    A subclass has `_forward(index, x)`, from layer `index` to the next, and `_backward(index, y)`, its transpose.
    """

    symmetric = True

    def _set_shapes(self, name, shapes):
        self._shapes = [tuple(shape) for shape in shapes]
        if len(self._shapes) < 2 or not all(
            shape and all(isinstance(size, int) and not isinstance(size, bool) and size > 0 for size in shape)
            for shape in self._shapes
        ):
            raise ValueError(f"`{name}` must have positive integers for at least two layers. Received {shapes!r}.")
        self._sizes = [math.prod(shape) for shape in self._shapes]

    def _check_size(self, size):
        if size != sum(self._sizes):
            raise ValueError(
                f"The layers have {self._sizes} units, {sum(self._sizes)} together. Received an input with {size}."
            )

    def split(self, x):
        """The layers of a state.

        Args:
            x: States, `(..., N)` with the N units of all layers.

        Returns:
            List with a tensor `(..., *shape)` for each layer.

        Raises:
            ValueError: If `x` has another number of units.
        """
        x = ops.convert_to_tensor(x)
        self._check_size(x.shape[-1])
        leading = ops.shape(x)[:-1]
        parts = ops.split(x, np.cumsum(self._sizes)[:-1].tolist(), axis=-1)
        return [ops.reshape(part, (*leading, *shape)) for part, shape in zip(parts, self._shapes)]

    def join(self, parts):
        """The state that is made of given layers, the inverse of `split`.

        Args:
            parts: List with a tensor `(..., *shape)` for each layer.

        Returns:
            Tensor `(..., N)`.

        Raises:
            ValueError: If the layers have other shapes.
        """
        parts = [ops.convert_to_tensor(part) for part in parts]
        got = [tuple(part.shape)[-len(shape) :] for part, shape in zip(parts, self._shapes)]
        if len(parts) != len(self._shapes) or got != self._shapes:
            raise ValueError(
                f"The layers must have the shapes {self._shapes}. Received {[tuple(part.shape) for part in parts]}."
            )
        flat = [
            ops.reshape(part, (*ops.shape(part)[: len(part.shape) - len(shape)], size))
            for part, shape, size in zip(parts, self._shapes, self._sizes)
        ]
        return ops.concatenate(flat, axis=-1)

    def call(self, x):
        # What comes before the last axis travels on the batch axis.
        parts = self.split(ops.reshape(x, (-1, x.shape[-1])))
        last = len(parts) - 1
        results = []
        for index in range(last + 1):
            terms = []
            if index > 0:
                terms.append(self._forward(index - 1, parts[index - 1]))
            if index < last:
                terms.append(self._backward(index, parts[index + 1]))
            results.append(sum(terms[1:], terms[0]))
        return ops.reshape(self.join(results), ops.shape(x))

    def matrix(self):
        return self(ops.eye(sum(self._sizes), dtype=self.compute_dtype))


@keras.saving.register_keras_serializable(package="keras_kuramoto")
class HierarchicalConnectivity(_LayeredConnectivity):
    """Layers of units, each joined with the next one by a trained matrix and its transpose: Example 1 of the paper.

    The state has the layers x₁, x₂, … side by side, and the weights are blocks beside the diagonal,

        (W x)ᵢ = Wᵢ,ᵢ₋₁ xᵢ₋₁ + Wᵢ,ᵢ₊₁ xᵢ₊₁,    Wᵢ₊₁,ᵢ = Wᵢ,ᵢ₊₁ᵀ,

    so that W is symmetric whatever is trained. In a `HopfieldMemory` the steady state is a deep network with feedback.

    Args:
        sizes: The numbers of units of the layers, two or more.
        kernel_initializer: Initialiser of the blocks Wᵢ,ᵢ₊₁.
        **kwargs: As for `keras.layers.Layer`.

    Call arguments:
        x: States, `(..., N)` with N the sum of the sizes.

    Returns:
        Tensor of the same shape. `kernels[i]` is the block Wᵢ,ᵢ₊₁, `(sizes[i], sizes[i + 1])`.

    Raises:
        ValueError: If the sizes are not two or more positive integers, or `x` has another number of units.

    Example:

    >>> connectivity = HierarchicalConnectivity([7, 5, 4])
    >>> connectivity(ops.ones((2, 16))).shape
    (2, 16)
    >>> [layer.shape[1] for layer in connectivity.split(ops.ones((2, 16)))]
    [7, 5, 4]

    Reference: Binding threshold units with artificial oscillatory neurons, 2025, Example 1 and E.1.1.
    """

    def __init__(self, sizes, kernel_initializer="glorot_uniform", **kwargs):
        super().__init__(**kwargs)
        self.sizes = list(sizes)
        self._set_shapes("sizes", [(size,) for size in self.sizes])
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape):
        self._check_size(input_shape[-1])
        self.kernels = [
            self.add_weight(name=f"kernel_{index}", shape=shape, initializer=self.kernel_initializer)
            for index, shape in enumerate(zip(self.sizes, self.sizes[1:]))
        ]

    # `@` and not `ops.matmul`, which makes float32 of float64 on PyTorch.
    def _forward(self, index, x):
        return x @ ops.convert_to_tensor(self.kernels[index])

    def _backward(self, index, y):
        return y @ ops.transpose(self.kernels[index])


@keras.saving.register_keras_serializable(package="keras_kuramoto")
class HierarchicalConvConnectivity(_LayeredConnectivity):
    """Layers of image-shaped units, each joined with the next one by a convolution and its transpose.

    From a layer to the next goes a strided convolution with zeros beyond the border, and back goes its exact
    transpose, so that the whole is symmetric. Where one of two neighbours has no spatial axes, such as the units of
    classes at the end, a dense matrix joins them.

    Args:
        shapes: The shape of each layer, `(height, width, channels)` or `(length, channels)`, or `(units,)` for one
            without spatial axes.
        kernel_sizes: Positive integer, the kernel's size along each spatial axis, or a list with one for each pair of
            neighbours (that of a dense pair is not used, and may be `None`).
        strides: As `kernel_sizes`: how many positions of a layer there are for one of the next, along each axis.
        kernel_initializer: Initialiser of the kernels.
        **kwargs: As for `keras.layers.Layer`.

    Call arguments:
        x: States, `(..., N)`, the units of all layers side by side, each layer in the order of its axes: `join` makes
            them of images, `split` gives the images back.

    Returns:
        Tensor of the same shape. `kernels[i]` is the kernel from layer i to the next,
        `(*kernel_size, channels, channels of the next)`, or `(units, units of the next)` where it is dense.

    Raises:
        ValueError: If the arguments are of the wrong kind, if a layer with spatial axes has not ⌈size / stride⌉
            positions for the size of the one before it, or `x` has another number of units.

    Example:

    >>> connectivity = HierarchicalConvConnectivity([(8, 8, 1), (4, 4, 6), (10,)], kernel_sizes=3, strides=2)
    >>> image = ops.ones((2, 8, 8, 1))
    >>> x = connectivity.join([image, ops.zeros((2, 4, 4, 6)), ops.zeros((2, 10))])
    >>> connectivity(x).shape
    (2, 170)
    >>> connectivity.split(x)[1].shape
    (2, 4, 4, 6)

    Reference: Binding threshold units with artificial oscillatory neurons, 2025, Example 1, E.1.2 and Eq. 47.
    """

    def __init__(self, shapes, kernel_sizes=3, strides=1, kernel_initializer="glorot_uniform", **kwargs):
        super().__init__(**kwargs)
        self.shapes = [list(shape) for shape in shapes]
        self._set_shapes("shapes", self.shapes)
        self.kernel_sizes = kernel_sizes
        self.strides = strides
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        pairs = list(zip(self._shapes, self._shapes[1:]))
        self._dense = [len(shape) == 1 or len(following) == 1 for shape, following in pairs]
        self._kernels = self._for_pairs("kernel_sizes", kernel_sizes)
        self._steps = self._for_pairs("strides", strides)
        for dense, (shape, following), stride in zip(self._dense, pairs, self._steps):
            if dense:
                continue
            expected = tuple(-(-size // stride) for size in shape[:-1])
            if following[:-1] != expected:
                raise ValueError(
                    f"With the stride {stride}, the layer after {shape} must have the spatial sizes {expected}. "
                    f"Received `shapes` with {following} there."
                )

    def _for_pairs(self, name, value):
        values = [value] * len(self._dense) if isinstance(value, int) else list(value)
        if len(values) != len(self._dense) or not all(
            dense or (isinstance(entry, int) and not isinstance(entry, bool) and entry > 0)
            for dense, entry in zip(self._dense, values)
        ):
            raise ValueError(
                f"`{name}` must be a positive integer, or a list of them with one for each of the {len(self._dense)} "
                f"pairs of neighbours. Received {value!r}."
            )
        return values

    def build(self, input_shape):
        self._check_size(input_shape[-1])
        self.kernels = []
        for index, dense in enumerate(self._dense):
            if dense:
                shape = (self._sizes[index], self._sizes[index + 1])
            else:
                spatial = (self._kernels[index],) * (len(self._shapes[index]) - 1)
                shape = (*spatial, self._shapes[index][-1], self._shapes[index + 1][-1])
            weight = self.add_weight(name=f"kernel_{index}", shape=shape, initializer=self.kernel_initializer)
            self.kernels.append(weight)

    def _padding(self, index):
        """Zeros before and after each spatial axis: those of "same", on every backend alike."""
        kernel, stride = self._kernels[index], self._steps[index]
        pairs = zip(self._shapes[index][:-1], self._shapes[index + 1][:-1])
        totals = [max((count - 1) * stride + kernel - size, 0) for size, count in pairs]
        return [(total // 2, total - total // 2) for total in totals]

    def _forward(self, index, x):
        kernel = ops.convert_to_tensor(self.kernels[index])
        if self._dense[index]:
            y = ops.reshape(x, (-1, self._sizes[index])) @ kernel
            return ops.reshape(y, (-1, *self._shapes[index + 1]))
        x = ops.pad(x, [(0, 0), *self._padding(index), (0, 0)])

        def convolve(x):
            return ops.conv(x, kernel, strides=self._steps[index], padding="valid", data_format="channels_last")

        return of_some(convolve, x)

    def _backward(self, index, y):
        kernel = ops.convert_to_tensor(self.kernels[index])
        if self._dense[index]:
            x = ops.reshape(y, (-1, self._sizes[index + 1])) @ ops.transpose(kernel)
            return ops.reshape(x, (-1, *self._shapes[index]))
        x = ops.conv_transpose(y, kernel, strides=self._steps[index], padding="valid", data_format="channels_last")
        # What the convolution read from beyond the border falls off.
        for axis, ((before, _), size) in enumerate(zip(self._padding(index), self._shapes[index][:-1]), start=1):
            x = x[(slice(None),) * axis + (slice(before, before + size),)]
        return x
