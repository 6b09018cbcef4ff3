"""The block of the baselines without oscillators."""

import types

import keras
from keras import ops

from keras_kuramoto._backend.loop import bounded_loop
from keras_kuramoto._checks import check_whole
from keras_kuramoto.layers.layer import Layer


@keras.saving.register_keras_serializable(package="keras_kuramoto")
class TransformerBlock(Layer):
    """Self-attention and a two-layer network, each after a normalisation and with a residual connection.

    The attention may be repeated with the same weights, x ← x + attention(norm(x)), before the network follows once:
    the iterative self-attention of the paper's object discovery, or with a convolution in its place the iterative
    convolution. (To repeat a whole block, as for Sudoku, see `Repeat`.)

    Args:
        attention: Layer that maps `(batch, *spatial, channels)` to the same shape, such as `AttentionConnectivity` or
            `ConvConnectivity`. If it is repeated, it must have no state that a call changes.
        expansion: Width of the hidden layer, as a multiple of the channels.
        normalization: What normalises: a Keras layer, of whose configuration the block makes two, by default
            `keras.layers.LayerNormalization()`.
        num_steps: How often the attention is applied where a call does not say.
        **kwargs: As for `keras.layers.Layer`.

    Call arguments:
        x: `(batch, *spatial, channels)`.
        num_steps: Another number of steps: a Python integer or a scalar integer tensor.
        max_steps: Bound of a tensor `num_steps`, as for `KuramotoLayer`.

    Returns:
        Tensor of the same shape.

    Raises:
        ValueError: If `attention` or `normalization` is no Keras layer, `expansion` no positive integer, or `num_steps`
            no integer ≥ 0.

    Example:

    >>> from keras_kuramoto.layers import AttentionConnectivity
    >>> TransformerBlock(AttentionConnectivity(2))(keras.ops.ones((2, 5, 8))).shape
    (2, 5, 8)

    Reference: Miyato et al., ICLR 2025, Fig. 11.
    """

    def __init__(self, attention, expansion=2, normalization=None, num_steps=1, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(attention, keras.layers.Layer):
            raise ValueError(f"`attention` must be a Keras layer. Received {attention!r}.")
        if normalization is not None and not isinstance(normalization, keras.layers.Layer):
            raise ValueError(f"`normalization` must be a Keras layer or `None`. Received {normalization!r}.")
        self.attention = attention
        self.expansion = check_whole("expansion", expansion, 1)
        self.num_steps = check_whole("num_steps", num_steps, 0)
        # Out of the sight of Keras, which would take it for a layer of the block.
        self._prototype = types.SimpleNamespace(normalization=normalization)

    def argument(self, name):
        return self._prototype.normalization if name == "normalization" else super().argument(name)

    def _make_norm(self, name):
        prototype = self._prototype.normalization
        config = {} if prototype is None else prototype.get_config()
        kind = keras.layers.LayerNormalization if prototype is None else type(prototype)
        return self.make_layer(name, kind, **{key: v for key, v in config.items() if key not in ("name", "dtype")})

    def build(self, input_shape):
        channels = input_shape[-1]
        dense = keras.layers.Dense
        self.attention_norm = self._make_norm("attention_norm")
        self.mlp_norm = self._make_norm("mlp_norm")
        self.expand = self.make_layer("expand", dense, units=self.expansion * channels, activation="gelu")
        self.contract = self.make_layer("contract", dense, units=channels)
        for layer in (self.attention_norm, self.attention, self.mlp_norm, self.expand):
            if not layer.built:
                layer.build(input_shape)
        self.contract.build((*input_shape[:-1], self.expansion * channels))

    def _attend(self, x):
        # The attention and what normalises may have policies of their own.
        return x + ops.cast(self.attention(self.attention_norm(x)), x.dtype)

    def call(self, x, num_steps=None, max_steps=None):
        steps = self.num_steps if num_steps is None else num_steps
        if isinstance(steps, int) and steps == 1:
            x = self._attend(x)
        else:
            x = bounded_loop(lambda x, index: (self._attend(x), None), x, steps, max_steps=max_steps)[0]
        return x + self.contract(self.expand(self.mlp_norm(x)))

    def compute_output_spec(self, x, num_steps=None, max_steps=None):
        return keras.KerasTensor(x.shape, dtype=self.compute_dtype)

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)
