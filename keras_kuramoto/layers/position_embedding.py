"""A vector for each position, added to a grid of features."""

import keras
import numpy as np
from keras import ops

from keras_kuramoto.layers.layer import Layer, exactly
from keras_kuramoto.layers.position_encoding import resized
from keras_kuramoto.ops.positions import axial_angles


@keras.saving.register_keras_serializable(package="keras_kuramoto")
class PositionEmbedding(Layer):
    """Adds a trained vector to the features of each position of a grid, as a vision transformer does to its patches.

    The vectors start as sines and cosines of the position. On a grid of another size than it was built for, they are
    interpolated bilinearly.

    Args:
        **kwargs: As for `keras.layers.Layer`; `trainable=False` keeps the sines and cosines.

    Call arguments:
        x: `(batch, *grid, channels)`, the grid of one or two axes whose sizes are known.

    Returns:
        Tensor of the same shape.

    Raises:
        ValueError: If a size is unknown or the number of channels is odd.

    Example:

    >>> PositionEmbedding()(ops.zeros((1, 4, 4, 8))).shape
    (1, 4, 4, 8)

    Reference: Dosovitskiy et al., An Image is Worth 16x16 Words, 2021; the AKOrN paper's Table 13.
    """

    def build(self, input_shape):
        self._check(input_shape)
        self.grid, channels = tuple(input_shape[1:-1]), input_shape[-1]
        angles = axial_angles(self.grid, channels // 2, max_wavelength=10_000.0)
        start = np.concatenate([np.sin(angles), np.cos(angles)], axis=1)
        self.vectors = self.add_weight(name="vectors", shape=start.shape, initializer=exactly(start))

    @staticmethod
    def _check(shape):
        if len(shape) not in (3, 4) or None in tuple(shape)[1:] or shape[-1] % 2:
            raise ValueError(
                "A position embedding needs an input (batch, *grid, channels) with one or two axes of known sizes and "
                f"an even number of channels. Received the shape {tuple(shape)}."
            )

    def call(self, x):
        self._check(x.shape)
        grid = tuple(x.shape[1:-1])
        vectors = ops.reshape(resized(self.vectors, self.grid, grid, self), (*grid, x.shape[-1]))
        return x + ops.cast(vectors, x.dtype)

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)
