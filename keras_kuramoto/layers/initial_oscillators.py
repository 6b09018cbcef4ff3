"""Where the oscillators start."""

import keras
from keras import ops

from keras_kuramoto._backend.random import standard_normal
from keras_kuramoto.layers.layer import StateLayer
from keras_kuramoto.ops import sphere
from keras_kuramoto.platforms import platform


@keras.saving.register_keras_serializable(package="keras_kuramoto")
class InitialOscillators(StateLayer):
    """Oscillators that start at their stimuli where something is known, and anywhere on the sphere elsewhere.

    Args:
        oscillator_dim: N ≥ 2, the number of components of an oscillator.
        seed: Seed of the layer's `keras.random.SeedGenerator`, from which oscillators are drawn that are not given:
            others in each call. For the same ones in every call give `noise`.
        noise_layer: Layer applied to the noise, given or drawn, before it is normalised, such as `PositionEmbedding`;
            or `None`.
        **kwargs: As for `keras.layers.Layer`.

    Call arguments:
        c: Conditional stimuli, `(batch, *spatial, oscillators * N)`.
        known: Booleans `(batch, *spatial)`: the positions whose oscillators start at c / ‖c‖; none of them if `None`.
        noise: Values for the other positions, same shape as `c` or with a batch of 1 for all examples, normalised here;
            drawn uniformly on the sphere if `None`.

    Returns:
        Unit oscillators, same shape as `c`, float32 under a mixed precision policy.

    Raises:
        ValueError: If N is no integer ≥ 2 or does not divide the channels, `noise_layer` is no layer, or `noise` has
            another shape than `c`.

    Example:

    >>> InitialOscillators(4, seed=0)(ops.ones((2, 9, 9, 8))).shape
    (2, 9, 9, 8)

    Reference: Miyato et al., ICLR 2025, Sec. 6.2.
    """

    def __init__(self, oscillator_dim, seed=None, noise_layer=None, **kwargs):
        super().__init__(**kwargs)
        if noise_layer is not None and not isinstance(noise_layer, keras.layers.Layer):
            raise ValueError(f"`noise_layer` must be a Keras layer or `None`. Received {noise_layer!r}.")
        self.oscillator_dim = sphere.check_oscillator_dim(oscillator_dim)
        self.seed = seed
        self.noise_layer = noise_layer
        self.seed_generator = keras.random.SeedGenerator(seed)

    def build(self, c_shape, known_shape=None, noise_shape=None):
        sphere.check_channels(c_shape[-1], self.oscillator_dim)
        if self.noise_layer is not None and not self.noise_layer.built:
            self.noise_layer.build(c_shape)

    def call(self, c, known=None, noise=None):
        c = ops.cast(c, self.variable_dtype)
        if noise is None:
            noise = standard_normal(ops.shape(c), self.seed_generator, c.dtype)
        elif tuple(noise.shape)[1:] != tuple(c.shape)[1:] or not _fits(noise.shape[0], c.shape[0]):
            raise ValueError(
                f"`noise` must have the shape of the stimuli, {tuple(c.shape)}. Received {tuple(noise.shape)}."
            )
        if self.noise_layer is not None:
            noise = self.noise_layer(noise)
        x = ops.cast(noise, c.dtype)
        if x.shape[0] == 1 and c.shape[0] != 1:
            x = ops.broadcast_to(x, ops.shape(c))
        if known is not None:
            x = ops.where(ops.expand_dims(known, -1), c, x)
        return platform().normalize(x, self.oscillator_dim)

    def compute_output_spec(self, c, known=None, noise=None):
        return keras.KerasTensor(c.shape, dtype=self.variable_dtype)

    def compute_output_shape(self, c_shape, known_shape=None, noise_shape=None):
        return tuple(c_shape)


def _fits(batch, wanted):
    return batch in (None, 1, wanted) or wanted is None
