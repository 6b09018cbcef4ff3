"""Phase-invariant readout."""

import keras
from keras import ops

from keras_kuramoto._backend.empty import of_some
from keras_kuramoto.layers.layer import Layer
from keras_kuramoto.ops import sphere
from keras_kuramoto.platforms import platform


@keras.saving.register_keras_serializable(package="keras_kuramoto")
class OscillatorReadout(Layer):
    """Norms of linear combinations of oscillators, Eq. 6: mₖ = ‖Σᵢ Uₖᵢ xᵢ‖ + bₖ.

    What is read does not change when all oscillators turn together (if U commutes with that turn). The function g of
    Eq. 6 is whatever Keras layer follows.

    Args:
        units: K, the number of outputs, any.
        oscillator_dim: N ≥ 2, the number of components of each zₖ (usually that of the oscillators).
        kernel_size: `None` for a dense readout of each position by itself; an integer, or one for each spatial axis,
            for a convolution.
        use_bias: Whether a trained number is added to each linear combination's components and to each norm.
        kernel_initializer: Initialiser of U.
        **kwargs: As for `keras.layers.Layer`.

    Call arguments:
        x: Oscillators, `(batch, *spatial, channels)`.

    Returns:
        Tensor `(batch, *spatial, units)`, in float32 under a mixed precision policy.

    Raises:
        ValueError: If `units` or `oscillator_dim` is no such number.

    Example:

    >>> OscillatorReadout(10, oscillator_dim=4)(ops.ones((2, 9, 9, 32))).shape
    (2, 9, 9, 10)

    Reference: Miyato et al., ICLR 2025, Eq. 6.
    """

    def __init__(
        self,
        units,
        oscillator_dim,
        kernel_size=None,
        use_bias=True,
        kernel_initializer="glorot_uniform",
        **kwargs,
    ):
        super().__init__(**kwargs)
        if not isinstance(units, int) or isinstance(units, bool) or units < 1:
            raise ValueError(f"`units` must be a positive integer. Received {units!r}.")
        self.units = units
        self.oscillator_dim = sphere.check_oscillator_dim(oscillator_dim)
        self.kernel_size = tuple(kernel_size) if isinstance(kernel_size, list) else kernel_size
        self.use_bias = use_bias
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape):
        filters = self.units * self.oscillator_dim
        options = {"use_bias": self.use_bias, "kernel_initializer": self.kernel_initializer}
        if self.kernel_size is None:
            self.linear = self.make_layer("linear", keras.layers.Dense, units=filters, **options)
        else:
            convolutions = {3: keras.layers.Conv1D, 4: keras.layers.Conv2D, 5: keras.layers.Conv3D}
            if len(input_shape) not in convolutions:
                raise ValueError(
                    f"A readout with `kernel_size` = {self.kernel_size} needs one to three spatial axes. "
                    f"Received the input shape {tuple(input_shape)}."
                )
            self.linear = self.make_layer(
                "linear",
                convolutions[len(input_shape)],
                filters=filters,
                kernel_size=self.kernel_size,
                padding="same",
                data_format="channels_last",
                **options,
            )
        self.linear.build(input_shape)
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(name="bias", shape=(self.units,), initializer="zeros", autocast=False)

    def call(self, x):
        z = ops.cast(of_some(self.linear, x), self.variable_dtype)
        norms = platform().norms(z, self.oscillator_dim)
        return norms if self.bias is None else norms + self.bias

    def compute_output_spec(self, x):
        return keras.KerasTensor(self.compute_output_shape(x.shape), dtype=self.variable_dtype)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units)
