"""Initial oscillators of a memory that are trained."""

import keras
from keras import ops

from keras_kuramoto.layers.initial_state import InitialState
from keras_kuramoto.ops import sphere


@keras.saving.register_keras_serializable(package="keras_kuramoto")
class TrainedOscillators(InitialState):
    """Initial oscillators μ(0) that are trained, the same for every example.

    Args:
        oscillator_dim: D ≥ 2, the number of components of an oscillator.
        **kwargs: As for `keras.layers.Layer`.

    Call arguments:
        x: The threshold units `(batch, N)`, for their number.

    Returns:
        Unit vectors `(batch, N, D)`.

    Example:

    >>> TrainedOscillators(3)(ops.zeros((2, 5))).shape
    (2, 5, 3)
    """

    def build(self, x_shape):
        # Their lengths have no effect. Near 1, a change by the learning rate is a change of direction as large.
        self.oscillators = self.add_weight(
            name="oscillators",
            shape=(x_shape[-1], self.oscillator_dim),
            initializer=keras.initializers.RandomNormal(stddev=self.oscillator_dim**-0.5),
        )

    def call(self, x):
        mu = sphere.normalize(ops.convert_to_tensor(self.oscillators))
        return ops.broadcast_to(mu, (ops.shape(x)[0], *mu.shape))
