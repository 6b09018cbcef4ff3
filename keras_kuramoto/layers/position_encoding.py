"""Position encodings that an attention connectivity can be given."""

import math

import keras
import numpy as np
from keras import ops

from keras_kuramoto.layers.layer import Layer, exactly
from keras_kuramoto.ops.positions import axial_angles
from keras_kuramoto.platforms import platform


def resized(table, old, new, layer):
    """Bilinear interpolation of a table `(positions, features)` from the grid that a layer was built for to another."""
    old, new = tuple(old), tuple(new)
    if old == new:
        return table
    if len(old) != len(new) or len(old) > 2:
        raise ValueError(
            f"`{type(layer).__name__}` was built for the grid {old} and interpolates in one or two dimensions. "
            f"Received the grid {new}."
        )
    image = ops.reshape(table, (*(*old, 1)[:2], -1))
    return ops.reshape(ops.image.resize(image, (*new, 1)[:2], data_format="channels_last"), (math.prod(new), -1))


class PositionEncoding(Layer):
    """Base class: what `AttentionConnectivity` asks of a position encoding. Each hook does nothing here.

    A subclass creates its weights in `build` and overrides the hooks that it needs. Queries, keys, values and outputs
    are `(batch, heads, positions, head_dim)`; `grid` is the tuple of the sizes of the spatial axes, which may differ
    from the one that the encoding was built for.
    """

    def build(self, input_shape):
        """Creates the weights.

        Args:
            input_shape: `(batch, *grid, heads, head_dim)`: the shape of the channels, divided into heads.
        """
        self.grid = tuple(input_shape[1:-2])

    def encode_inputs(self, x, grid):
        """Encodes the oscillators `(batch, positions, channels)` before queries, keys and values are made of them."""
        return x

    def encode_heads(self, query, key, value, grid):
        """Encodes queries, keys and values."""
        return query, key, value

    def decode_heads(self, output, grid):
        """Turns the attention's output back to the frame of its own position."""
        return output

    def _resized(self, table, grid):
        return resized(table, self.grid, grid, self)


@keras.saving.register_keras_serializable(package="keras_kuramoto")
class AbsoluteEncoding(PositionEncoding):
    """A trained vector for each position, added to the oscillators from which queries, keys and values are made.

    On a grid of another size than it was built for, the vectors are interpolated bilinearly.

    Args:
        embeddings_initializer: Initialiser of the vectors.
        **kwargs: As for `keras.layers.Layer`.

    Example:

    >>> from keras_kuramoto.layers import AttentionConnectivity
    >>> AttentionConnectivity(heads=2, position_encoding=AbsoluteEncoding())(ops.ones((1, 5, 8))).shape
    (1, 5, 8)

    Reference: Vaswani et al., Attention Is All You Need, 2017; the AKOrN paper's Appendix D.1.
    """

    def __init__(self, embeddings_initializer="truncated_normal", **kwargs):
        super().__init__(**kwargs)
        self.embeddings_initializer = keras.initializers.get(embeddings_initializer)

    def build(self, input_shape):
        super().build(input_shape)
        self.embeddings = self.add_weight(
            name="embeddings",
            shape=(math.prod(self.grid), math.prod(input_shape[-2:])),
            initializer=self.embeddings_initializer,
        )

    def encode_inputs(self, x, grid):
        return x + ops.cast(self._resized(self.embeddings, grid), x.dtype)


def _rotate(x, cos, sin):
    first, second = ops.split(x, 2, axis=-1)
    return ops.concatenate([cos * first - sin * second, sin * first + cos * second], axis=-1)


class _AngleEncoding(PositionEncoding):
    """Shared by the encodings that rotate pairs of channels: component p of a head is paired with p + head_dim / 2."""

    def __init__(self, angles=None, **kwargs):
        super().__init__(**kwargs)
        self.angles = None if angles is None else np.asarray(angles, "float32")

    def _angles_for(self, grid, head_dim):
        if head_dim % 2:
            raise ValueError(
                f"`{type(self).__name__}` rotates pairs of channels, so that each head needs an even number of them. "
                f"Received {head_dim} channels a head."
            )
        if self.angles is None:
            return axial_angles(grid, head_dim // 2)
        if self.angles.shape != (math.prod(grid), head_dim // 2):
            raise ValueError(
                f"`angles` must have shape (positions, head_dim / 2) = {(math.prod(grid), head_dim // 2)} for the grid "
                f"{tuple(grid)} and heads of {head_dim} channels. Received shape {self.angles.shape}."
            )
        return self.angles

    def get_config(self):
        return {**super().get_config(), "angles": None if self.angles is None else self.angles.tolist()}


@keras.saving.register_keras_serializable(package="keras_kuramoto")
class RotaryEncoding(_AngleEncoding):
    """RoPE: queries and keys are rotated by their position, so that their product depends on the relative position.

    No weights. With the default angles any grid will do, whatever it was built for.

    Args:
        angles: Array `(positions, head_dim / 2)` in radians, such as `keras_kuramoto.ops.harmonic_angles` gives.
            By default `keras_kuramoto.ops.axial_angles` of the grid.
        **kwargs: As for `keras.layers.Layer`.

    Raises:
        ValueError: If a head has an odd number of channels, or `angles` does not fit the grid.

    Example:

    >>> from keras_kuramoto.layers import AttentionConnectivity
    >>> AttentionConnectivity(heads=2, position_encoding=RotaryEncoding())(ops.ones((1, 4, 4, 8))).shape
    (1, 4, 4, 8)

    Reference: Su et al., RoFormer, 2021; the AKOrN paper's Appendix D.1.
    """

    def build(self, input_shape):
        super().build(input_shape)
        self._angles_for(self.grid, input_shape[-1])

    def encode_heads(self, query, key, value, grid):
        angles = self._angles_for(grid, query.shape[-1])
        cos = ops.convert_to_tensor(np.cos(angles), dtype=query.dtype)
        sin = ops.convert_to_tensor(np.sin(angles), dtype=query.dtype)
        return _rotate(query, cos, sin), _rotate(key, cos, sin), value


@keras.saving.register_keras_serializable(package="keras_kuramoto")
class GTA(_AngleEncoding):
    """Geometric transform attention: queries, keys, values and outputs are each transformed by their position.

    A 2 × 2 matrix for each position and pair of channels, shared by the heads. They start as rotations by the
    position, inverse for the outputs, and are trained as general matrices, as in the AKOrN authors' code. On a grid of
    another size than it was built for, the matrices are interpolated bilinearly.

    Args:
        angles: Array `(positions, head_dim / 2)` in radians: the rotations at the start, by default
            `keras_kuramoto.ops.axial_angles` of the grid.
        **kwargs: As for `keras.layers.Layer`; `trainable=False` keeps the rotations.

    Raises:
        ValueError: If a head has an odd number of channels, or `angles` does not fit the grid.

    Example:

    >>> from keras_kuramoto.layers import AttentionConnectivity
    >>> AttentionConnectivity(heads=2, position_encoding=GTA())(ops.ones((1, 4, 4, 8))).shape
    (1, 4, 4, 8)

    Reference: Miyato et al., GTA: A Geometry-Aware Attention Mechanism for Multi-View Transformers, ICLR 2024; the
    AKOrN paper's Appendix D.1.
    """

    def build(self, input_shape):
        super().build(input_shape)
        angles = self._angles_for(self.grid, input_shape[-1])
        cos, sin = np.cos(angles), np.sin(angles)
        rotation = np.stack([np.stack([cos, -sin], 1), np.stack([sin, cos], 1)], 1)  # (positions, 2, 2, pairs)
        inverse = rotation.swapaxes(1, 2)
        # The four tables are one weight: stacked on the second axis, a position's matrices lie together.
        start = np.stack([rotation, rotation, rotation, inverse], 1)
        self.matrices = self.add_weight(name="matrices", shape=start.shape, initializer=exactly(start))

    def _matrices_for(self, grid, dtype):
        table = self._resized(ops.reshape(self.matrices, (self.matrices.shape[0], -1)), grid)
        return ops.cast(ops.reshape(table, (-1, *self.matrices.shape[1:])), dtype)

    @staticmethod
    def _apply(matrix, x, across=False):
        same = ops.concatenate([matrix[:, 0, 0], matrix[:, 1, 1]], axis=-1)
        other = ops.concatenate([matrix[:, 0, 1], matrix[:, 1, 0]], axis=-1)
        return platform().turn_halves(x, same, other, across)

    def encode_heads(self, query, key, value, grid):
        matrices = self._matrices_for(grid, query.dtype)
        return tuple(self._apply(matrices[:, i], x, across=i > 0) for i, x in enumerate((query, key, value)))

    def decode_heads(self, output, grid):
        return self._apply(self._matrices_for(grid, output.dtype)[:, 3], output)
