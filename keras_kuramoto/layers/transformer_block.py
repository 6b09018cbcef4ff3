"""The block of the baselines without oscillators."""

import keras


@keras.saving.register_keras_serializable(package="keras_kuramoto")
class TransformerBlock(keras.layers.Layer):
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
        self.attention_norm = keras.layers.LayerNormalization(dtype=self.dtype_policy, name="attention_norm")
        self.mlp_norm = keras.layers.LayerNormalization(dtype=self.dtype_policy, name="mlp_norm")
        self.expand = keras.layers.Dense(
            self.expansion * channels, activation="gelu", dtype=self.dtype_policy, name="expand"
        )
        self.contract = keras.layers.Dense(channels, dtype=self.dtype_policy, name="contract")
        for layer in (self.attention_norm, self.attention, self.mlp_norm, self.expand):
            if not layer.built:
                layer.build(input_shape)
        self.contract.build((*input_shape[:-1], self.expansion * channels))

    def call(self, x):
        x = x + self.attention(self.attention_norm(x))
        return x + self.contract(self.expand(self.mlp_norm(x)))

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)

    def get_config(self):
        config = super().get_config()
        config.update(attention=keras.saving.serialize_keras_object(self.attention), expansion=self.expansion)
        return config

    @classmethod
    def from_config(cls, config):
        return cls(**{**config, "attention": keras.saving.deserialize_keras_object(config["attention"])})
