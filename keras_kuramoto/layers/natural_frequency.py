"""Natural frequencies of oscillators."""

import keras
import numpy as np
from keras import ops

from keras_kuramoto.layers.layer import StateLayer, exactly
from keras_kuramoto.ops import sphere
from keras_kuramoto.platforms import platform


@keras.saving.register_keras_serializable(package="keras_kuramoto")
class NaturalFrequency(StateLayer):
    """The natural frequency term Ωᵢ xᵢ of Eq. 2, with a skew-symmetric N × N matrix Ωᵢ.

    The weights are the N (N - 1) / 2 entries above the diagonal. At the start the oscillators turn by `frequency` in
    the planes of components (0, 1), (2, 3), …; for odd N the last component rests until training moves it.

    Args:
        oscillator_dim: N ≥ 2, the number of components of an oscillator.
        shared: One Ω for all oscillators (`True`) or one for each (`False`).
        frequency: ω at the start, in radians per unit of time (of a step with γ = 1).
        trainable: Whether Ω is trained.
        **kwargs: As for `keras.layers.Layer`.

    Call arguments:
        x: Oscillators, `(batch, *spatial, oscillators * N)`.

    Returns:
        Ω x, same shape, float32 under a mixed precision policy, as the state that it turns.

    Raises:
        ValueError: If N is no integer ≥ 2 or does not divide the number of channels.

    Example:

    >>> layer = NaturalFrequency(2, frequency=0.5)
    >>> [float(v) for v in layer(ops.array([[1.0, 0.0]]))[0]]
    [0.0, -0.5]

    Reference: Miyato et al., ICLR 2025, Eq. 2.
    """

    def __init__(self, oscillator_dim, shared=True, frequency=1.0, trainable=True, **kwargs):
        super().__init__(trainable=trainable, **kwargs)
        self.oscillator_dim = sphere.check_oscillator_dim(oscillator_dim)
        self.shared = shared
        self.frequency = frequency

    def build(self, input_shape):
        dim = self.oscillator_dim
        sphere.check_channels(input_shape[-1], dim)
        rows, columns = np.triu_indices(dim, 1)
        start = np.where((rows % 2 == 0) & (columns == rows + 1), self.frequency, 0.0)
        shape = start.shape if self.shared else (input_shape[-1] // dim, *start.shape)
        self.upper = self.add_weight(name="upper", shape=shape, initializer=exactly(start))
        # Maps the entries above the diagonal to a whole skew-symmetric matrix.
        basis = np.zeros((len(start), dim, dim), "float32")
        basis[np.arange(len(start)), rows, columns] = 1
        basis[np.arange(len(start)), columns, rows] = -1
        self._basis = basis

    def matrices(self):
        """Ω: `(N, N)` if shared, else `(oscillators, N, N)`. Skew-symmetric."""
        # Not `ops.tensordot`, which makes float32 of float64 on PyTorch, as `ops.matmul` does.
        basis = ops.convert_to_tensor(self._basis, dtype=self.upper.dtype)
        return ops.einsum("...k,kij->...ij", ops.convert_to_tensor(self.upper), basis)

    def call(self, x):
        return platform().turn(ops.cast(x, self.variable_dtype), self.matrices())

    def compute_output_spec(self, x):
        return keras.KerasTensor(x.shape, dtype=self.variable_dtype)

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)
