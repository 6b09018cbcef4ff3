"""A coupling that each unit thinks over before it follows."""

import keras
from keras import ops

from keras_kuramoto._checks import check_whole
from keras_kuramoto.layers.connectivity import Connectivity
from keras_kuramoto.platforms import platform


@keras.saving.register_keras_serializable(package="keras_kuramoto")
class FeedForwardConnectivity(Connectivity):
    """Another coupling J, and after it a two-layer network at each position: Jx + W₂ φ(W₁ (x + Jx)), φ a ReLU.

    The projection on the sphere and the softmax of attention are all that is not linear in a Kuramoto step with
    attention. Where oscillators have to reason about what they receive, as in hard Sudoku, a network in each step lets
    fewer channels do. It starts at zero: a layer that gets one is at first what it was before. It is no linear map, so
    that memories with an energy of their own refuse it.

    Args:
        connectivity: The coupling J, a Keras layer that keeps the shape of its input, such as `AttentionConnectivity`.
        expansion: Width of the hidden layer, as a multiple of the channels.
        **kwargs: As for `keras.layers.Layer`.

    Call arguments:
        x: Oscillators, `(batch, *spatial, channels)`.

    Returns:
        Tensor of the same shape.

    Raises:
        ValueError: If `connectivity` is no Keras layer, or `expansion` no positive integer.

    Example:

    >>> from keras_kuramoto.layers import AttentionConnectivity
    >>> FeedForwardConnectivity(AttentionConnectivity(heads=2), expansion=4)(ops.ones((2, 5, 8))).shape
    (2, 5, 8)

    Reference: Vaswani et al., Attention is all you need, 2017, Sec. 3.3, for the network; that it follows the coupling
    in each step is this library's own, and in none of its papers.
    """

    # A memory, whose energy needs a linear map, takes none such: untrained, it would pass for one.
    use_bias = True

    def __init__(self, connectivity, expansion=4, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(connectivity, keras.layers.Layer):
            raise ValueError(f"`connectivity` must be a Keras layer. Received {connectivity!r}.")
        self.connectivity = connectivity
        self.expansion = check_whole("expansion", expansion, 1)

    @property
    def on_tokens(self):
        return getattr(self.connectivity, "on_tokens", False)

    def build(self, input_shape):
        if not self.connectivity.built:
            self.connectivity.build(input_shape)
        channels = input_shape[-1]
        hidden = self.expansion * channels
        self.expand_kernel = self.add_weight(
            name="expand_kernel", shape=(channels, hidden), initializer="glorot_uniform"
        )
        self.expand_bias = self.add_weight(name="expand_bias", shape=(hidden,), initializer="zeros")
        self.contract_kernel = self.add_weight(name="contract_kernel", shape=(hidden, channels), initializer="zeros")
        self.contract_bias = self.add_weight(name="contract_bias", shape=(channels,), initializer="zeros")

    def call(self, x):
        def network(rows):
            # `@` and not `ops.matmul`, which makes float32 of float64 on PyTorch.
            hidden = ops.relu(rows @ ops.convert_to_tensor(self.expand_kernel) + self.expand_bias)
            return hidden @ ops.convert_to_tensor(self.contract_kernel) + self.contract_bias

        coupling = ops.cast(self.connectivity(x), self.compute_dtype)
        own = [self.expand_kernel, self.expand_bias, self.contract_kernel, self.contract_bias]
        # All positions as the rows of one matrix, also where their number is unknown.
        rows = ops.reshape(x + coupling, (-1, x.shape[-1]))
        return coupling + ops.reshape(platform().keep_arguments(network, rows, weights=own), ops.shape(x))
