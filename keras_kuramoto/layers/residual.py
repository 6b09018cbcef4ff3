"""A residual connection around a layer."""

import keras

from keras_kuramoto.layers.layer import Layer


@keras.saving.register_keras_serializable(package="keras_kuramoto")
class Residual(Layer):
    """Adds what a layer makes of its input to the input: x + layer(x).

    Args:
        layer: A Keras layer that keeps the shape, such as a `keras.Sequential` of several.
        shortcut: Keras layer applied to the input that is added, for a `layer` that does not keep the shape; or `None`.
        **kwargs: As for `keras.layers.Layer`.

    Call arguments:
        x: The layer's input.

    Returns:
        Tensor of the shape that `layer` gives: that of the input, without a `shortcut`.

    Raises:
        ValueError: If `layer` or `shortcut` is no Keras layer.

    Example:

    >>> Residual(keras.layers.Dense(4))(keras.ops.ones((2, 4))).shape
    (2, 4)

    Reference: He et al., Deep Residual Learning, 2016.
    """

    def __init__(self, layer, shortcut=None, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(layer, keras.layers.Layer):
            raise ValueError(f"`layer` must be a Keras layer. Received {layer!r}.")
        if shortcut is not None and not isinstance(shortcut, keras.layers.Layer):
            raise ValueError(f"`shortcut` must be a Keras layer or `None`. Received {shortcut!r}.")
        self.layer = layer
        self.shortcut = shortcut

    def build(self, input_shape):
        for layer in (self.layer, self.shortcut):
            if layer is not None and not layer.built:
                layer.build(input_shape)

    def call(self, x):
        return (x if self.shortcut is None else self.shortcut(x)) + self.layer(x)

    def compute_output_shape(self, input_shape):
        return tuple(self.layer.compute_output_shape(tuple(input_shape)))
