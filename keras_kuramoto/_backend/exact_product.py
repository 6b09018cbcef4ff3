"""A product that a TPU does not round to 8 binary digits."""

import keras
from keras import ops


def exact_product(x, matrix):
    """`x @ matrix` in the precision of `x`, for a constant matrix.

    TPUs multiply float32 in several passes if they are told to, and cut it to bfloat16 if not.

    Args:
        x: Tensor `(..., rows)` of float32 or float64.
        matrix: NumPy array `(rows, columns)`.

    Returns:
        Tensor `(..., columns)`.

    Example:

    >>> import numpy as np
    >>> exact_product(ops.array([[1.0, 2.0]]), np.array([[1.0], [1.0]])).shape
    (1, 1)
    """
    backend = None if isinstance(x, keras.KerasTensor) else keras.backend.backend()
    if backend == "jax":
        import jax

        return jax.numpy.dot(x, jax.numpy.asarray(matrix, x.dtype), precision="highest")
    if backend == "tensorflow":
        return _tensorflow(x, matrix)
    return x @ ops.convert_to_tensor(matrix, dtype=x.dtype)


def _tensorflow(x, matrix):
    import tensorflow as tf
    from tensorflow.compiler.tf2xla.ops import gen_xla_ops
    from tensorflow.compiler.xla import xla_data_pb2
    from tensorflow.python.ops import control_flow_util

    # What is not compiled runs on the host, which has neither this product nor a need for it.
    if tf.executing_eagerly() or not control_flow_util.GraphOrParentsInXlaContext(tf.compat.v1.get_default_graph()):
        return x @ tf.constant(matrix, x.dtype)
    dimensions = xla_data_pb2.DotDimensionNumbers(
        lhs_contracting_dimensions=[x.shape.rank - 1], rhs_contracting_dimensions=[0]
    )
    precision = xla_data_pb2.PrecisionConfig(operand_precision=[xla_data_pb2.PrecisionConfig.HIGHEST] * 2)

    @tf.custom_gradient
    def product(x):
        result = gen_xla_ops.xla_dot_v2(
            lhs=x,
            rhs=tf.constant(matrix, x.dtype),
            dimension_numbers=dimensions.SerializeToString(),
            precision_config=precision.SerializeToString(),
            preferred_element_type=x.dtype,
        )
        return result, lambda upstream: exact_product(upstream, matrix.T)

    return product(tf.convert_to_tensor(x))
