"""Symmetric coupling within each layer of a layered state."""

import math

import keras
import numpy as np
from keras import ops

from keras_kuramoto.layers.connectivity import Connectivity, loop_constants


@keras.saving.register_keras_serializable(package="keras_kuramoto")
class LateralConnectivity(Connectivity):
    """Layers of units side by side, each coupled within itself by a connectivity of its own.

    The weights are blocks on the diagonal, (W x)ᵢ = Wᵢ xᵢ: lateral connections, as `HierarchicalConnectivity` and
    `HierarchicalConvConnectivity` are the connections between the layers. The whole is symmetric if each part is.

    Args:
        connectivities: For each layer a Keras layer that is a linear map to the same shape, such as
            `SymmetricDenseConnectivity` or `SymmetricConvConnectivity`, or `None` for no lateral connections there.
        shapes: The shape of each layer without the batch: `(units,)` or the number of units, or
            `(height, width, channels)` for a convolution.
        **kwargs: As for `keras.layers.Layer`.

    Call arguments:
        x: States, `(batch, N)`, with the N units of all layers side by side.
        *constants: What `loop_constants` gives, if it is there already: in a loop it needs to be made only once.

    Returns:
        Tensor of the same shape.

    Raises:
        ValueError: If there is not one shape for each connectivity, if one of them is not a Keras layer or changes the
            shape, or if `x` has another number of units.

    Example:

    >>> from keras_kuramoto.layers import SymmetricConvConnectivity, SymmetricDenseConnectivity
    >>> lateral = LateralConnectivity([SymmetricConvConnectivity(3), SymmetricDenseConnectivity()], [(4, 4, 2), 5])
    >>> lateral(ops.ones((2, 37))).shape
    (2, 37)

    Reference: Binding threshold units with artificial oscillatory neurons, 2025, Appendix E.
    """

    def __init__(self, connectivities, shapes, **kwargs):
        super().__init__(**kwargs)
        self.connectivities = list(connectivities)
        self.shapes = [(shape,) if isinstance(shape, int) else tuple(shape) for shape in shapes]
        if len(self.connectivities) != len(self.shapes) or not self.shapes:
            raise ValueError(
                "`shapes` must have one entry for each of the `connectivities`. Received "
                f"{len(self.shapes)} shapes and {len(self.connectivities)} connectivities."
            )
        for connectivity in self.connectivities:
            if connectivity is not None and not isinstance(connectivity, keras.layers.Layer):
                raise ValueError(
                    f"`connectivities` must be made of Keras layers and `None`. Received {connectivity!r} among them."
                )
        self._sizes = [math.prod(shape) for shape in self.shapes]

    def build(self, input_shape):
        if input_shape[-1] != sum(self._sizes):
            raise ValueError(
                f"The layers have {self._sizes} units, {sum(self._sizes)} together. Received an input with "
                f"{input_shape[-1]}."
            )
        for connectivity, shape in zip(self.connectivities, self.shapes):
            if connectivity is None:
                continue
            # Keras' own layers have this too.
            if getattr(connectivity, "use_bias", False):
                raise ValueError("`connectivities` must be linear. Received one with `use_bias=True`.")
            if not connectivity.built:
                connectivity.build((None, *shape))
            result = tuple(connectivity.compute_output_shape((None, *shape)))
            if result != (None, *shape):
                raise ValueError(f"A lateral connectivity must keep the shape. One maps {(None, *shape)} to {result}.")

        self._counts = [len(loop_constants(connectivity)) for connectivity in self.connectivities]

    @property
    def symmetric(self):
        """Whether all parts say that they are symmetric."""
        return all(part is None or (isinstance(part, Connectivity) and part.symmetric) for part in self.connectivities)

    def loop_constants(self):
        return tuple(constant for connectivity in self.connectivities for constant in loop_constants(connectivity))

    def matrix(self):
        return self(ops.eye(sum(self._sizes), dtype=self.compute_dtype))

    def call(self, x, *constants):
        constants = list(constants)
        results = []
        parts = ops.split(x, np.cumsum(self._sizes)[:-1].tolist(), axis=-1)
        for connectivity, part, shape, count in zip(self.connectivities, parts, self.shapes, self._counts):
            if connectivity is None:
                results.append(ops.zeros_like(part))
                continue
            own, constants = constants[:count], constants[count:]
            y = connectivity(ops.reshape(part, (-1, *shape)), *own)
            results.append(ops.reshape(y, ops.shape(part)))
        return ops.concatenate(results, axis=-1)

    def argument(self, name):
        # As lists: Keras would write tuples in a way of its own.
        return [list(shape) for shape in self.shapes] if name == "shapes" else super().argument(name)
