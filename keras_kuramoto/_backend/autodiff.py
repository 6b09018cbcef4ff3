"""Gradients of scalar functions inside a computation, with a body for each Keras backend.

`keras.ops` has no gradient. The results are ordinary tensors of the computation: they can be compiled, and
differentiated in turn.
"""

import keras
from keras import ops


def gradient(function, x):
    """The gradient of a sum over examples.

    Args:
        function: Function of one argument with the structure of `x` to a tensor, of which all entries are summed:
            `(batch,)` where each example has one value of its own, so that the gradient is the one of each example.
        x: A tensor or a nest of tensors, of floats.

    Returns:
        The gradient, in the structure of `x`: zeros where the function does not depend on a part of it.

    Example:

    >>> gradient(lambda x: ops.sum(x**3, axis=-1), ops.convert_to_tensor([[1.0, 2.0]])).shape
    (1, 2)
    """
    x = keras.tree.map_structure(ops.convert_to_tensor, x)
    bodies = {"tensorflow": _tensorflow_gradient, "jax": _jax_gradient, "torch": _torch_gradient}
    return bodies[keras.backend.backend()](function, x)


def hessian_product(function, x, direction):
    """The Hessian of a sum over examples times a direction: the derivative of `gradient` along it.

    Args:
        function: As for `gradient`.
        x: As for `gradient`.
        direction: Tensors in the structure and shapes of `x`.

    Returns:
        Tensors in the structure of `x`.

    Example:

    >>> x = ops.convert_to_tensor([[1.0, 2.0]])
    >>> hessian_product(lambda x: ops.sum(x**3, axis=-1), x, x).shape
    (1, 2)
    """

    def slope(x):
        parts = zip(keras.tree.flatten(gradient(function, x)), keras.tree.flatten(direction))
        return sum(ops.sum(first * second) for first, second in parts)

    return gradient(slope, x)


def _tensorflow_gradient(function, x):
    import tensorflow as tf

    # New tensors, so that what the function has of `x` by other ways is a constant.
    x = keras.tree.map_structure(tf.identity, x)
    with tf.GradientTape() as tape:
        tape.watch(keras.tree.flatten(x))
        value = function(x)
    gradients = tape.gradient(value, keras.tree.flatten(x), unconnected_gradients=tf.UnconnectedGradients.ZERO)
    # A gather's gradient comes as slices with their indices.
    return keras.tree.pack_sequence_as(x, [tf.convert_to_tensor(part) for part in gradients])


def _jax_gradient(function, x):
    import jax

    return jax.grad(lambda x: jax.numpy.sum(function(x)))(x)


def _torch_gradient(function, x):
    import torch

    differentiable = torch.is_grad_enabled()

    def keep(tensor):
        return tensor

    # Inside `torch.utils.checkpoint`, what is saved for this gradient must not be forgotten: the gradient is taken at
    # once, before there is anything to be recomputed.
    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(keep, keep):
        # New tensors, as for TensorFlow.
        parts = [part.view_as(part) for part in keras.tree.flatten(x)]
        parts = [part if part.requires_grad else part.detach().requires_grad_() for part in parts]
        value = function(keras.tree.pack_sequence_as(x, parts)).sum()
        if value.requires_grad:
            gradients = torch.autograd.grad(value, parts, create_graph=differentiable, materialize_grads=True)
        else:
            gradients = [torch.zeros_like(part) for part in parts]
    return keras.tree.pack_sequence_as(x, list(gradients))
