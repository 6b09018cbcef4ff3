"""A product that a TPU does not round to 8 binary digits."""

import keras
from keras import ops


def exact_product(x, matrix):
    """`x @ matrix` in the precision of `x`, for a constant matrix of ones and zeros.

    A TPU multiplies numbers of 8 binary digits. Three such numbers make one of float32, and ones and zeros are exact.

    Args:
        x: Tensor `(..., rows)` of float32 or float64.
        matrix: NumPy array `(rows, columns)`.

    Returns:
        Tensor `(..., columns)`.
    """
    backend = keras.backend.backend()
    dtype = keras.backend.standardize_dtype(x.dtype)
    if isinstance(x, keras.KerasTensor) or backend == "torch" or dtype != "float32":
        return x @ ops.convert_to_tensor(matrix, dtype=dtype)
    if backend == "jax":
        import jax

        return jax.numpy.dot(x, matrix, precision="highest")
    import tensorflow as tf

    @tf.custom_gradient
    def product(x):
        constant = tf.constant(matrix)
        first = _eight_digits(x)
        second = _eight_digits(x - first)
        # The small ones first. Each is a product of its own, in which nothing is rounded but the sums.
        total = (x - first - second) @ constant + second @ constant + first @ constant
        return total, lambda upstream: exact_product(upstream, matrix.T)

    return product(x)


def _eight_digits(x):
    """A float32 cut after 8 binary digits. Casts there and back would be taken out by a compiler."""
    import tensorflow as tf

    return tf.bitcast(tf.bitwise.bitwise_and(tf.bitcast(x, tf.uint32), tf.constant(0xFFFF0000, tf.uint32)), tf.float32)
