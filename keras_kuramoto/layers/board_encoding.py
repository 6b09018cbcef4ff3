"""The position encoding of Sudoku boards."""

import math

import keras
import numpy as np

from keras_kuramoto.layers.position_encoding import RotaryEncoding
from keras_kuramoto.ops.positions import harmonic_angles


@keras.saving.register_keras_serializable(package="keras_kuramoto")
class BoardEncoding(RotaryEncoding):
    """RoPE by row, column and box of a Sudoku board, with harmonics of the board's size.

    A head can so attend to exactly the cells of its row, column or box from the first training step on.

    Args:
        **kwargs: As for `keras.layers.Layer`.

    Example:

    >>> from keras import ops
    >>> from keras_kuramoto.layers import AttentionConnectivity
    >>> AttentionConnectivity(heads=2, position_encoding=BoardEncoding())(ops.ones((1, 4, 4, 24))).shape
    (1, 4, 4, 24)
    """

    def __init__(self, **kwargs):
        kwargs.pop("angles", None)
        super().__init__(**kwargs)

    def _angles_for(self, grid, head_dim):
        size = grid[0]
        box = math.isqrt(size)
        row, column = np.divmod(np.arange(size * size), size)
        coordinates = np.stack([row, column, row // box * box + column // box], 1)
        return harmonic_angles(coordinates, size, head_dim // 2)
