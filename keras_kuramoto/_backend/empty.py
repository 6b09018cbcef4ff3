"""Batches without an example, where a backend's convolutions give them wrong shapes."""

import keras
from keras import ops


def of_some(function, x):
    """What a function of a batch returns, with the right shape where the batch has no example.

    On some CPUs (oneDNN), TensorFlow gives a convolution of no image the number of channels that it had before. Then it
    is computed of an image of zeros, which is cut off again.

    Args:
        function: Function of a tensor that treats the entries of its first axis alike, and returns a tensor.
        x: The tensor.

    Example:

    >>> of_some(keras.layers.Conv2D(4, 3), ops.zeros((0, 5, 5, 2))).shape
    (0, 3, 3, 4)
    """
    if isinstance(x, keras.KerasTensor) or x.shape[0] != 0:
        return function(x)
    return function(ops.zeros((1, *x.shape[1:]), dtype=x.dtype))[:0]
