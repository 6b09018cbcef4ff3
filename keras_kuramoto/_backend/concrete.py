"""Whether a tensor has its values now, so that they can be checked."""

import keras
from keras import ops


def is_concrete(x):
    """`False` for a tensor of a graph, of a compiled function or of a symbolic call."""
    if isinstance(x, keras.KerasTensor):
        return False
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        # An eager tensor in a function that is being traced can't steer it either.
        return tf.executing_eagerly() and not tf.is_symbolic_tensor(x)
    if backend == "jax":
        import jax

        return not isinstance(x, jax.core.Tracer)
    import torch

    # Inside `torch.compile`, a branch on values would split the graph.
    return x.device.type != "meta" and not torch.compiler.is_compiling()


def unless(done, function, otherwise):
    """What a function gives, or `otherwise` where a condition holds: nothing is computed then."""
    if is_concrete(done):
        return otherwise if bool(done) else function()
    return ops.cond(done, lambda: otherwise, function)
