"""A residual connection around a layer."""

import keras

from keras_kuramoto.layers.layer import Layer


@keras.saving.register_keras_serializable(package="keras_kuramoto")
class Residual(Layer):
    """Adds what a layer makes of its input to the input: x + layer(x).

    Args:
        layer: A Keras layer that keeps the shape, such as a `keras.Sequential` of several.
        **kwargs: As for `keras.layers.Layer`.

    Call arguments:
        x: The layer's input.

    Returns:
        Tensor of the same shape.

    Raises:
        ValueError: If `layer` is no Keras layer.

    Example:

    >>> Residual(keras.layers.Dense(4))(keras.ops.ones((2, 4))).shape
    (2, 4)

    Reference: He et al., Deep Residual Learning, 2016.
    """

    def __init__(self, layer, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(layer, keras.layers.Layer):
            raise ValueError(f"`layer` must be a Keras layer. Received {layer!r}.")
        self.layer = layer

    def build(self, input_shape):
        if not self.layer.built:
            self.layer.build(input_shape)

    def call(self, x):
        return x + self.layer(x)

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)
