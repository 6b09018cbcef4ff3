"""A convolution whose gradients are as fast in a compiled loop as outside of one."""

import keras
from keras import ops

from keras_kuramoto._backend.empty import of_some


def plain_convolution(x, kernel):
    """`keras.ops.conv` with stride 1, zeros beyond the border and channels last; arguments as for `convolution`."""
    return of_some(lambda x: ops.conv(x, kernel, padding="same", data_format="channels_last"), x)


def convolution(x, kernel):
    """`keras.ops.conv` with stride 1, zeros beyond the border and channels last.

    On a CPU, XLA has a fast kernel for convolutions whose axes are in one order. It brings others into this order, but
    not in the body of a loop, where it falls back to a kernel that can take a hundred times as long. The gradients that
    TensorFlow and JAX write down are such others; here they are in the right order to begin with.

    On JAX it can't be differentiated in forward mode.

    Args:
        x: `(batch, *spatial, channels)`, with one to three spatial axes.
        kernel: `(*size, channels, filters)`.

    Returns:
        `(batch, *spatial, filters)`.

    Example:

    >>> convolution(ops.ones((1, 5, 5, 2)), ops.ones((3, 3, 2, 4))).shape
    (1, 5, 5, 4)
    """
    # An empty batch has gradients that a convolution can't say.
    if x.shape[0] == 0:
        return plain_convolution(x, kernel)
    x, kernel = ops.convert_to_tensor(x), ops.convert_to_tensor(kernel)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        # What Keras gives for a weight may still be a variable, which a gradient of one's own must not use.
        kernel = tf.convert_to_tensor(kernel)
    return _convolution(x, kernel)


@ops.custom_gradient
def _convolution(x, kernel):
    sizes = kernel.shape[:-2]
    axes = tuple(range(1, len(sizes) + 1))
    before, after = [(size - 1) // 2 for size in sizes], [size // 2 for size in sizes]

    def gradient(upstream):
        mirrored = ops.swapaxes(ops.flip(kernel, axis=tuple(range(len(sizes)))), -1, -2)
        # Images are the channels, and their channels the images.
        images = ops.transpose(_padded(x, before, after), (len(axes) + 1, *axes, 0))
        windows = ops.transpose(upstream, (*axes, 0, len(axes) + 1))
        return (
            _valid(_padded(upstream, after, before), mirrored),
            ops.transpose(_valid(images, windows), (*axes, 0, len(axes) + 1)),
        )

    return _valid(_padded(x, before, after), kernel), gradient


def _padded(x, before, after):
    return ops.pad(x, [(0, 0), *zip(before, after), (0, 0)])


def _valid(x, kernel):
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        # `ops.conv` would take an unknown number of channels for groups.
        return tf.nn.convolution(x, kernel, padding="VALID")
    return ops.conv(x, kernel, padding="valid", data_format="channels_last")
