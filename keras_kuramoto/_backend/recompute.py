"""A function whose gradient keeps its arguments and computes the rest again."""

import keras


def recomputed(function, *tensors, weights=()):
    """`function(*tensors)`, of which a gradient keeps the arguments alone.

    Args:
        function: Function of the tensors, to one tensor. It draws no random numbers.
        *tensors: Its arguments: all tensors that get a gradient, but for the weights.
        weights: Keras variables that it uses.

    Returns:
        Its result.

    Example:

    >>> from keras import ops
    >>> float(recomputed(lambda x: ops.square(x), ops.convert_to_tensor(3.0)))
    9.0
    """
    if any(isinstance(tensor, keras.KerasTensor) for tensor in tensors):
        return function(*tensors)
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        return jax.checkpoint(function)(*tensors)
    if backend == "torch":
        import torch
        from torch.utils.checkpoint import checkpoint

        if not torch.is_grad_enabled():
            return function(*tensors)
        return checkpoint(function, *tensors, use_reentrant=False, preserve_rng_state=False)
    return _tensorflow(function, tensors, list(weights))


def _tensorflow(function, tensors, weights):
    import tensorflow as tf

    values = [tf.convert_to_tensor(weight.value) for weight in weights]
    tensors = [tf.convert_to_tensor(tensor) for tensor in tensors]

    def call(*arguments):
        # A gradient of one's own in a loop can't deal with variables, only with what is read from them.
        with keras.StatelessScope(state_mapping=list(zip(weights, arguments[len(tensors) :]))):
            return function(*arguments[: len(tensors)])

    @tf.custom_gradient
    def run(*arguments):
        def gradient(upstream):
            with tf.GradientTape() as tape:
                again = [tf.identity(argument) for argument in arguments]
                tape.watch(again)
                result = call(*again)
            return tape.gradient(
                result, again, output_gradients=upstream, unconnected_gradients=tf.UnconnectedGradients.ZERO
            )

        return call(*arguments), gradient

    return run(*tensors, *values)
