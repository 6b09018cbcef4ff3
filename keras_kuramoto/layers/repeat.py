"""A layer applied many times."""

import keras

from keras_kuramoto._backend.loop import bounded_loop
from keras_kuramoto._checks import check_whole
from keras_kuramoto.layers.layer import Layer


@keras.saving.register_keras_serializable(package="keras_kuramoto")
class Repeat(Layer):
    """Applies a layer again and again with the same weights: x ← layer(x).

    Args:
        layer: A Keras layer that keeps the shape and dtype of its input, and has no state that a call changes.
        num_steps: How often, where a call does not say.
        **kwargs: As for `keras.layers.Layer`.

    Call arguments:
        x: The layer's input.
        num_steps: Another number of repetitions: a Python integer or a scalar integer tensor.
        max_steps: Bound of a tensor `num_steps`, as for `KuramotoLayer`.

    Returns:
        Tensor of the same shape.

    Raises:
        ValueError: If `layer` is no Keras layer or `num_steps` no integer ≥ 0.

    Example:

    >>> Repeat(keras.layers.Dense(4), num_steps=3)(keras.ops.ones((2, 4))).shape
    (2, 4)
    """

    def __init__(self, layer, num_steps, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(layer, keras.layers.Layer):
            raise ValueError(f"`layer` must be a Keras layer. Received {layer!r}.")
        self.layer = layer
        self.num_steps = check_whole("num_steps", num_steps, 0)

    def build(self, x_shape):
        if not self.layer.built:
            self.layer.build(x_shape)

    def call(self, x, num_steps=None, max_steps=None):
        steps = self.num_steps if num_steps is None else num_steps
        return bounded_loop(lambda x, index: (self.layer(x), None), x, steps, max_steps=max_steps)[0]

    def compute_output_spec(self, x, num_steps=None, max_steps=None):
        return keras.KerasTensor(x.shape, dtype=self.compute_dtype)

    def compute_output_shape(self, x_shape):
        return tuple(x_shape)
