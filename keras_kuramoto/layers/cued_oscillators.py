"""Initial oscillators of a memory that hold an image."""

import math

import keras
from keras import ops

from keras_kuramoto.layers.initial_state import InitialState
from keras_kuramoto.layers.trained_oscillators import TrainedOscillators
from keras_kuramoto.ops.encodings import centre_pixels, encode_scalars


@keras.saving.register_keras_serializable(package="keras_kuramoto")
class CuedOscillators(InitialState):
    """Initial oscillators μ(0) that hold an image: its pixels are their scalar products with the first one (Eq. 36).

    The oscillators that are left are trained, the same for every example.

    Args:
        oscillator_dim: D ≥ 2, the number of components of an oscillator.
        mean: Mean of the pixels of the training images, which becomes the scalar product 0. The pixel 1 becomes 1.
        **kwargs: As for `keras.layers.Layer`.

    Call arguments:
        x: The threshold units `(batch, N)`, for their number.
        cue: The images `(batch, height, width)`, with fewer pixels than N.

    Returns:
        Unit vectors `(batch, N, D)`.

    Raises:
        ValueError: If there are as many pixels as oscillators or more, or `mean` is not from 0 to below 1.

    Example:

    >>> CuedOscillators(3, mean=0.3)(ops.zeros((2, 9)), ops.zeros((2, 2, 3))).shape
    (2, 9, 3)

    Reference: Binding threshold units with artificial oscillatory neurons, 2025, Appendix C and F.4.
    """

    def __init__(self, oscillator_dim, mean, **kwargs):
        super().__init__(oscillator_dim, **kwargs)
        if not 0 <= mean < 1:
            raise ValueError(f"`mean` must be from 0 to below 1, as the mean of pixels is. Received {mean!r}.")
        self.mean = float(mean)

    def inputs(self, image_shape):
        return {"cue": image_shape}

    def build(self, x_shape, cue_shape):
        left = x_shape[-1] - 1 - math.prod(cue_shape[1:])
        if left < 0:
            raise ValueError(
                f"{x_shape[-1]} oscillators hold at most {x_shape[-1] - 1} pixels. Received images of the shape "
                f"{tuple(cue_shape)[1:]}."
            )
        self.rest = None
        if left:
            self.rest = self.make_layer("rest", TrainedOscillators, oscillator_dim=self.oscillator_dim)
            self.rest.build((None, left))

    def call(self, x, cue):
        pixels = ops.cast(ops.reshape(cue, (-1, math.prod(cue.shape[1:]))), self.variable_dtype)
        mu = encode_scalars(centre_pixels(pixels, mean=self.mean, scale=1 - self.mean), self.oscillator_dim)
        return mu if self.rest is None else ops.concatenate([mu, self.rest(x[:, mu.shape[1] :])], axis=1)
