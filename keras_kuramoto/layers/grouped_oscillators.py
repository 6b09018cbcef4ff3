"""Initial oscillators of a memory in two groups."""

import keras
from keras import ops

from keras_kuramoto.layers.initial_state import InitialState
from keras_kuramoto.ops.encodings import encode_scalars


@keras.saving.register_keras_serializable(package="keras_kuramoto")
class GroupedOscillators(InitialState):
    """Initial oscillators μ(0) in two groups, each with one direction, and a given scalar product of the two.

    Args:
        oscillator_dim: D ≥ 2, the number of components of an oscillator.
        first: Number of oscillators of the first group; the others are the second one.
        **kwargs: As for `keras.layers.Layer`.

    Call arguments:
        x: The threshold units `(batch, N)`, for their number.
        alignment: The scalar product of an oscillator of one group and one of the other, `(batch,)` in [0, 1].

    Returns:
        Unit vectors `(batch, N, D)`.

    Example:

    >>> GroupedOscillators(3, first=2)(ops.zeros((1, 5)), ops.array([0.6])).shape
    (1, 5, 3)

    Reference: Binding threshold units with artificial oscillatory neurons, 2025, Example 4.
    """

    def __init__(self, oscillator_dim, first, **kwargs):
        super().__init__(oscillator_dim, **kwargs)
        if not isinstance(first, int) or first < 1:
            raise ValueError(f"`first` must be an integer of at least 1. Received {first!r}.")
        self.first = first

    def inputs(self, image_shape):
        return {"alignment": ()}

    def build(self, x_shape, alignment_shape):
        if x_shape[-1] <= self.first:
            raise ValueError(f"`first` must be below {x_shape[-1]}, the number of oscillators. Received {self.first}.")

    def call(self, x, alignment):
        pair = encode_scalars(ops.cast(ops.reshape(alignment, (-1, 1)), self.variable_dtype), self.oscillator_dim)
        # Not `ops.repeat`, which takes no list on PyTorch.
        return ops.take(pair, [0] * self.first + [1] * (x.shape[-1] - self.first), axis=1)
