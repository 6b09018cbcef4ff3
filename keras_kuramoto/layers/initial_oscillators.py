"""Where the oscillators start."""

import keras
from keras import ops

from keras_kuramoto.layers.layer import StateLayer
from keras_kuramoto.ops import sphere


@keras.saving.register_keras_serializable(package="keras_kuramoto")
class InitialOscillators(StateLayer):
    """Oscillators that start at their stimuli where something is known, and anywhere on the sphere elsewhere.

    Args:
        oscillator_dim: N ≥ 2, the number of components of an oscillator.
        seed: Seed of the layer's `keras.random.SeedGenerator`, from which oscillators are drawn that are not given.
        **kwargs: As for `keras.layers.Layer`.

    Call arguments:
        c: Conditional stimuli, `(batch, *spatial, oscillators * N)`.
        known: Booleans `(batch, *spatial)`: the positions whose oscillators start at c / ‖c‖; none of them if `None`.
        noise: Values for the other positions, same shape as `c`, normalised here; drawn uniformly on the sphere if
            `None`.

    Returns:
        Unit oscillators, same shape as `c`, float32 under a mixed precision policy.

    Raises:
        ValueError: If N is no integer ≥ 2, does not divide the channels, or `noise` has another shape than `c`.

    Example:

    >>> InitialOscillators(4, seed=0)(ops.ones((2, 9, 9, 8))).shape
    (2, 9, 9, 8)

    Reference: Miyato et al., ICLR 2025, Sec. 6.2.
    """

    def __init__(self, oscillator_dim, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.oscillator_dim = sphere.check_oscillator_dim(oscillator_dim)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def build(self, c_shape, known_shape=None, noise_shape=None):
        sphere.check_channels(c_shape[-1], self.oscillator_dim)

    def call(self, c, known=None, noise=None):
        c = ops.cast(c, self.variable_dtype)
        if noise is None:
            noise = keras.random.normal(ops.shape(c), dtype=c.dtype, seed=self.seed_generator)
        elif tuple(noise.shape)[1:] != tuple(c.shape)[1:]:
            raise ValueError(
                f"`noise` must have the shape of the stimuli, {tuple(c.shape)}. Received {tuple(noise.shape)}."
            )
        x = ops.cast(noise, c.dtype)
        if known is not None:
            x = ops.where(ops.expand_dims(known, -1), c, x)
        return sphere.join_oscillators(sphere.normalize(sphere.split_oscillators(x, self.oscillator_dim)))

    def compute_output_spec(self, c, known=None, noise=None):
        return keras.KerasTensor(c.shape, dtype=self.variable_dtype)

    def compute_output_shape(self, c_shape, known_shape=None, noise_shape=None):
        return tuple(c_shape)
