"""The block of the baselines without oscillators."""

import keras

from keras_kuramoto.layers.layer import Layer


@keras.saving.register_keras_serializable(package="keras_kuramoto")
class TransformerBlock(Layer):
    """Self-attention and a two-layer network, each after a layer normalisation and with a residual connection.

    Args:
        attention: Layer that maps `(batch, *spatial, channels)` to the same shape, such as `AttentionConnectivity`.
        expansion: Width of the hidden layer, as a multiple of the channels.
        **kwargs: As for `keras.layers.Layer`.

    Call arguments:
        x: `(batch, *spatial, channels)`.

    Returns:
        Tensor of the same shape.

    Raises:
        ValueError: If `attention` is no Keras layer or `expansion` no positive integer.

    Example:

    >>> from keras_kuramoto.layers import AttentionConnectivity
    >>> TransformerBlock(AttentionConnectivity(2))(keras.ops.ones((2, 5, 8))).shape
    (2, 5, 8)

    Reference: Miyato et al., ICLR 2025, Fig. 11 (b).
    """

    def __init__(self, attention, expansion=2, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(attention, keras.layers.Layer):
            raise ValueError(f"`attention` must be a Keras layer. Received {attention!r}.")
        if not isinstance(expansion, int) or isinstance(expansion, bool) or expansion < 1:
            raise ValueError(f"`expansion` must be a positive integer. Received {expansion!r}.")
        self.attention = attention
        self.expansion = expansion

    def build(self, input_shape):
        channels = input_shape[-1]
        dense, normalization = keras.layers.Dense, keras.layers.LayerNormalization
        self.attention_norm = self.make_layer("attention_norm", normalization)
        self.mlp_norm = self.make_layer("mlp_norm", normalization)
        self.expand = self.make_layer("expand", dense, units=self.expansion * channels, activation="gelu")
        self.contract = self.make_layer("contract", dense, units=channels)
        for layer in (self.attention_norm, self.attention, self.mlp_norm, self.expand):
            if not layer.built:
                layer.build(input_shape)
        self.contract.build((*input_shape[:-1], self.expansion * channels))

    def call(self, x):
        x = x + self.attention(self.attention_norm(x))
        return x + self.contract(self.expand(self.mlp_norm(x)))

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)
