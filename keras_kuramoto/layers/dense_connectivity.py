"""All-to-all coupling."""

import math

import keras
import numpy as np
from keras import ops

from keras_kuramoto.layers.connectivity import Connectivity


@keras.saving.register_keras_serializable(package="keras_kuramoto")
class DenseConnectivity(Connectivity):
    """Every oscillator of an example coupled to every other by a trained matrix: Σⱼ Jᵢⱼ xⱼ of Eq. 2.

    Spatial axes are flattened first, so the number of weights is (spatial sizes × channels)².

    Args:
        use_bias: Whether a trained vector is added.
        kernel_initializer: Initialiser of J.
        **kwargs: As for `keras.layers.Layer`.

    Call arguments:
        x: Oscillators, `(batch, *spatial, channels)`, with known spatial sizes.
        matrix: What `matrix()` gives, if it is there already: in a loop it needs to be made only once.

    Returns:
        Tensor of the same shape.

    Raises:
        ValueError: If a size other than the batch's is unknown.

    Example:

    >>> DenseConnectivity()(ops.ones((2, 12))).shape
    (2, 12)

    Reference: Miyato et al., ICLR 2025, Eq. 2.
    """

    def __init__(self, use_bias=False, kernel_initializer="glorot_uniform", **kwargs):
        super().__init__(**kwargs)
        self.use_bias = use_bias
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape):
        if None in tuple(input_shape)[1:]:
            raise ValueError(f"All sizes but the batch's must be known. Received the input shape {tuple(input_shape)}.")
        size = math.prod(input_shape[1:])
        self.kernel = self.add_weight(name="kernel", shape=(size, size), initializer=self.kernel_initializer)
        self.bias = self.add_weight(name="bias", shape=(size,), initializer="zeros") if self.use_bias else None

    def matrix(self):
        return ops.convert_to_tensor(self.kernel)

    def loop_constants(self):
        return (self.matrix(),)

    def call(self, x, matrix=None):
        if matrix is None:
            matrix = self.matrix()
        # Not `ops.matmul`, which makes float32 of float64 on PyTorch.
        y = ops.reshape(x, (-1, self.kernel.shape[0])) @ matrix
        return ops.reshape(y if self.bias is None else y + self.bias, ops.shape(x))


@keras.saving.register_keras_serializable(package="keras_kuramoto")
class SymmetricDenseConnectivity(DenseConnectivity):
    """All-to-all coupling with J = Jᵀ, for which Eq. 3 is a Lyapunov function without natural frequencies.

    J = ½ (K + Kᵀ) of a trained K. With `use_bias`, the bias acts as one more stimulus; count it among the stimuli to
    keep the energy's meaning.

    Args:
        use_bias: As for `DenseConnectivity`, and so is the other argument.

    Example:

    >>> layer = SymmetricDenseConnectivity()
    >>> layer(ops.ones((2, 12))).shape
    (2, 12)

    Reference: Miyato et al., ICLR 2025, Eq. 3 and Appendix F.
    """

    symmetric = True

    def matrix(self):
        return 0.5 * (self.kernel + ops.transpose(self.kernel))

    def assign_coupling(self, matrix):
        """Sets J to a given matrix.

        Args:
            matrix: Array of numbers `(size, size)`, symmetric up to rounding (1e-5 of its largest entry).

        Raises:
            ValueError: If the layer is not built, if the matrix has another shape, or if it is not symmetric.
        """
        if not self.built:
            raise ValueError("The connectivity must be built, `build((None, size))`, before it is given a matrix.")
        matrix = np.asarray(ops.convert_to_numpy(matrix), "float64")
        if matrix.shape != tuple(self.kernel.shape):
            raise ValueError(
                f"`matrix` must have the shape {tuple(self.kernel.shape)}. Received one of the shape {matrix.shape}."
            )
        # Written so that NaN fails too.
        difference = np.abs(matrix - matrix.T).max()
        if not difference <= 1e-5 * np.abs(matrix).max():
            raise ValueError(
                f"`matrix` must be symmetric. Received one that differs from its transpose by up to {difference:.3g}."
            )
        self.kernel.assign(matrix)
