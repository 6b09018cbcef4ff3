"""What leads from one block of a network to the next."""

import keras

from keras_kuramoto.layers.layer import StateLayer


class Transition(StateLayer):
    """Base class of the transitions: from a block's oscillators and features to the next one's oscillators and stimuli.

    Args:
        layer: A Keras layer, for the subclass to apply.
        **kwargs: As for `keras.layers.Layer`.

    Call arguments:
        x: Oscillators after the block's steps, `(batch, *spatial, oscillators * N)`.
        features: What the block reads of them, `(batch, *spatial, channels)`.

    Returns:
        `(x, c)`: oscillators and conditional stimuli for the next block.

    Raises:
        ValueError: If `layer` is no Keras layer.

    Example:

    >>> from keras import ops
    >>> class Same(Transition):
    ...     def __init__(self, **kwargs):
    ...         super().__init__(keras.layers.Identity(), **kwargs)
    ...
    ...     def call(self, x, features):
    ...         return x, features
    >>> x, c = Same()(ops.ones((1, 4)), ops.zeros((1, 4)))
    >>> float(x[0, 0]), float(c[0, 0])
    (1.0, 0.0)
    """

    def __init__(self, layer, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(layer, keras.layers.Layer):
            raise ValueError(f"`layer` must be a Keras layer. Received {layer!r}.")
        self.layer = layer

    def build(self, x_shape, features_shape):
        if not self.layer.built:
            self.layer.build(features_shape)

    def _spec(self, spec):
        # In the variables' dtype, whatever the layer computes in, as `call` gives it.
        return keras.KerasTensor(self.layer.compute_output_spec(spec).shape, dtype=self.variable_dtype)


@keras.saving.register_keras_serializable(package="keras_kuramoto")
class StimuliTransition(Transition):
    """Stimuli from features by a layer; the oscillators go on as they are.

    Args:
        layer: Keras layer that maps the features to the next stimuli, such as `keras.layers.GroupNormalization`.
        **kwargs: As for `keras.layers.Layer`.

    Example:

    >>> from keras import ops
    >>> x, c = StimuliTransition(keras.layers.Dense(8))(ops.ones((2, 5, 8)), ops.ones((2, 5, 3)))
    >>> x.shape, c.shape
    ((2, 5, 8), (2, 5, 8))

    Reference: Miyato et al., ICLR 2025, Sec. 6.1 and C.3.
    """

    def call(self, x, features):
        return x, keras.ops.cast(self.layer(features), self.variable_dtype)

    def compute_output_spec(self, x, features):
        return x, self._spec(features)

    def compute_output_shape(self, x_shape, features_shape):
        return tuple(x_shape), tuple(self.layer.compute_output_shape(features_shape))


@keras.saving.register_keras_serializable(package="keras_kuramoto")
class SharedTransition(Transition):
    """One layer for oscillators and features alike, such as a strided convolution to a lower resolution.

    Args:
        layer: Keras layer, applied to both with the same weights. A Kuramoto layer normalises the oscillators after it.
        **kwargs: As for `keras.layers.Layer`.

    Raises:
        ValueError: If oscillators and features differ in shape.

    Example:

    >>> from keras import ops
    >>> transition = SharedTransition(keras.layers.Conv2D(16, 3, strides=2, padding="same"))
    >>> x, c = transition(ops.ones((2, 8, 8, 4)), ops.ones((2, 8, 8, 4)))
    >>> x.shape, c.shape
    ((2, 4, 4, 16), (2, 4, 4, 16))

    Reference: Miyato et al., ICLR 2025, Sec. 6.3 and C.3.
    """

    def build(self, x_shape, features_shape):
        if x_shape[-1] != features_shape[-1]:
            raise ValueError(
                "A shared transition needs as many features as channels of oscillators. Received the shapes "
                f"{tuple(features_shape)} and {tuple(x_shape)}."
            )
        super().build(x_shape, features_shape)

    def call(self, x, features):
        return tuple(keras.ops.cast(self.layer(value), self.variable_dtype) for value in (x, features))

    def compute_output_spec(self, x, features):
        return self._spec(x), self._spec(features)

    def compute_output_shape(self, x_shape, features_shape):
        return tuple(tuple(self.layer.compute_output_shape(shape)) for shape in (x_shape, features_shape))
