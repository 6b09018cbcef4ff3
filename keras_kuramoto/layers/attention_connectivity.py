"""Attentive coupling between oscillators."""

import math

import keras
from keras import ops

from keras_kuramoto.layers.connectivity import Connectivity
from keras_kuramoto.layers.position_encoding import PositionEncoding
from keras_kuramoto.platforms import platform


@keras.saving.register_keras_serializable(package="keras_kuramoto")
class AttentionConnectivity(Connectivity):
    """Multi-head self-attention as coupling, Eq. 8: Jᵢⱼ depends on the oscillators themselves.

    Queries, keys and values are linear in the oscillators' channels, so that the components of different oscillators
    mix freely. Works on tokens `(batch, length, channels)` and on images `(batch, height, width, channels)`.

    Args:
        heads: Number of heads; divides the number of channels.
        position_encoding: `GTA()`, `RotaryEncoding()`, `AbsoluteEncoding()`, any other `PositionEncoding`, or `None`.
        use_bias: Whether the two linear maps have a bias.
        kernel_initializer: Initialiser of the two linear maps.
        **kwargs: As for `keras.layers.Layer`.

    Call arguments:
        x: Oscillators, `(batch, *spatial, channels)`. The spatial sizes must be known, and may differ from those that
            the layer was built for if the position encoding allows it.

    Returns:
        Tensor of the same shape: Σⱼ Jᵢⱼ xⱼ.

    Raises:
        ValueError: If `heads` does not divide the channels, if `position_encoding` is not one, or if a spatial size is
            unknown.

    Example:

    >>> from keras_kuramoto.layers import GTA
    >>> AttentionConnectivity(heads=4, position_encoding=GTA())(ops.ones((2, 9, 9, 32))).shape
    (2, 9, 9, 32)

    Reference: Miyato et al., ICLR 2025, Eq. 8.
    """

    on_tokens = True

    def __init__(self, heads, position_encoding=None, use_bias=True, kernel_initializer="glorot_uniform", **kwargs):
        super().__init__(**kwargs)
        if not isinstance(heads, int) or isinstance(heads, bool) or heads < 1:
            raise ValueError(f"`heads` must be a positive integer. Received {heads!r}.")
        if position_encoding is not None and not isinstance(position_encoding, PositionEncoding):
            raise ValueError(
                "`position_encoding` must be `None` or a `PositionEncoding`, such as `GTA()`. "
                f"Received {position_encoding!r}."
            )
        self.heads = heads
        self.position_encoding = position_encoding
        self.use_bias = use_bias
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape):
        channels = input_shape[-1]
        if channels is None or channels % self.heads:
            raise ValueError(
                f"The number of channels must be known and a multiple of `heads` = {self.heads}. "
                f"Received the input shape {tuple(input_shape)}."
            )
        self._check_grid(input_shape)
        self._create_projections(channels)
        if self.position_encoding is not None and not self.position_encoding.built:
            self.position_encoding.build((*input_shape[:-1], self.heads, channels // self.heads))

    def _create_projections(self, channels):
        self.qkv_kernel = self.add_weight(
            name="qkv_kernel",
            shape=(channels, 3 * channels),
            # Three square maps: the fan of each is what the initialiser should see.
            initializer=lambda shape, dtype=None: ops.concatenate(
                [self.kernel_initializer.clone()((channels, channels), dtype=dtype) for _ in range(3)], axis=1
            ),
        )
        self.output_kernel = self.add_weight(
            name="output_kernel", shape=(channels, channels), initializer=self.kernel_initializer
        )
        self.qkv_bias = self.output_bias = None
        if self.use_bias:
            self.qkv_bias = self.add_weight(name="qkv_bias", shape=(3 * channels,), initializer="zeros")
            self.output_bias = self.add_weight(name="output_bias", shape=(channels,), initializer="zeros")

    def _check_grid(self, shape):
        if len(shape) < 3 or None in tuple(shape)[1:]:
            raise ValueError(
                "Attention needs an input (batch, *spatial, channels) with at least one spatial axis and spatial sizes "
                f"that are known. Received the shape {tuple(shape)}."
            )

    def _query_key_value(self, x):
        return platform().linear(x, self.qkv_kernel, self.qkv_bias, 3)

    def _project_output(self, x):
        return platform().linear(x, self.output_kernel, self.output_bias)[0]

    def call(self, x):
        self._check_grid(x.shape)
        grid, shape = tuple(x.shape[1:-1]), ops.shape(x)
        x = ops.reshape(x, (-1, math.prod(grid), x.shape[-1]))
        encoding = self.position_encoding
        if encoding is not None:
            x = encoding.encode_inputs(x, grid)
        output = platform().keep_arguments(
            lambda *parts: self._attend(parts, grid),
            *self._query_key_value(x),
            weights=[] if encoding is None else encoding.weights,
        )
        return ops.reshape(self._project_output(output), shape)

    def _attend(self, parts, grid):
        """Attention of queries, keys and values, each `(batch, positions, channels)`, and so is the result."""
        positions, channels = parts[0].shape[1:]
        encoding = self.position_encoding
        split = (-1, positions, self.heads, channels // self.heads)
        query, key, value = [ops.transpose(ops.reshape(part, split), (0, 2, 1, 3)) for part in parts]
        if encoding is not None:
            query, key, value = encoding.encode_heads(query, key, value, grid)
        # With the heads before the positions throughout, and the scale on the queries, this is faster on a CPU than
        # `ops.dot_product_attention`, which takes the positions first.
        output = platform().attention(query * (channels // self.heads) ** -0.5, key, value)
        if encoding is not None:
            output = encoding.decode_heads(output, grid)
        return ops.reshape(ops.transpose(output, (0, 2, 1, 3)), (-1, positions, channels))


@keras.saving.register_keras_serializable(package="keras_kuramoto")
class SymmetricAttentionConnectivity(AttentionConnectivity):
    """Attention with one matrix for queries and keys, and the values' matrix, transposed, for the outputs.

    The coupling is symmetric for fixed attention weights only if these are symmetric too, which the softmax over the
    keys alone does not give; it is the symmetrised AKOrN of the paper's ablation, not a system with a proven energy.

    Args:
        heads: As for `AttentionConnectivity`, and so are the other arguments.

    Example:

    >>> SymmetricAttentionConnectivity(heads=2)(ops.ones((2, 5, 8))).shape
    (2, 5, 8)

    Reference: Miyato et al., ICLR 2025, Appendix D.4.
    """

    def _create_projections(self, channels):
        self.query_key_kernel = self.add_weight(
            name="query_key_kernel", shape=(channels, channels), initializer=self.kernel_initializer
        )
        self.value_kernel = self.add_weight(
            name="value_kernel", shape=(channels, channels), initializer=self.kernel_initializer
        )
        self.query_key_bias = self.output_bias = None
        if self.use_bias:
            self.query_key_bias = self.add_weight(name="query_key_bias", shape=(channels,), initializer="zeros")
            self.output_bias = self.add_weight(name="output_bias", shape=(channels,), initializer="zeros")

    def _query_key_value(self, x):
        (shared,) = platform().linear(x, self.query_key_kernel, self.query_key_bias)
        return shared, shared, *platform().linear(x, self.value_kernel)

    def _project_output(self, x):
        return platform().linear(x, ops.transpose(self.value_kernel), self.output_bias)[0]
