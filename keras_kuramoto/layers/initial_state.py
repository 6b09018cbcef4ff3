"""How the oscillators of a memory start."""

import keras

from keras_kuramoto.layers.layer import StateLayer
from keras_kuramoto.ops import sphere


class InitialState(StateLayer):
    """Base class of the layers that make the initial oscillators μ(0) of a `CoupledClassifier`.

    A subclass implements `call` for the threshold units, and `inputs` if it needs more than them.

    Args:
        oscillator_dim: D ≥ 2, the number of components of an oscillator.
        **kwargs: As for `keras.layers.Layer`.

    Example:

    >>> from keras import ops
    >>> class Aligned(InitialState):
    ...     def call(self, x):
    ...         first = ops.one_hot(0, self.oscillator_dim)
    ...         return ops.broadcast_to(first, (*x.shape, self.oscillator_dim))
    >>> Aligned(3)(ops.zeros((2, 5))).shape
    (2, 5, 3)
    """

    def __init__(self, oscillator_dim, **kwargs):
        super().__init__(**kwargs)
        self.oscillator_dim = sphere.check_oscillator_dim(oscillator_dim, "oscillator_dim")

    def inputs(self, image_shape):
        """The inputs of the model that it is called with after x: their shapes without the batch, by name."""
        return {}

    def compute_output_spec(self, x, *inputs):
        return keras.KerasTensor((*x.shape, self.oscillator_dim), dtype=self.variable_dtype)

    def compute_output_shape(self, x_shape, *input_shapes):
        return (*x_shape, self.oscillator_dim)
