"""What classifiers of images are made of, AKOrN and baselines alike."""

import keras

from keras_kuramoto.layers import ConvConnectivity
from keras_kuramoto.models.image_model import fan_in_uniform

# Channels of what trains on a CPU.
SMALL = 16


def conv(channels, name, kernel_size=3, strides=1, initializer=None, **arguments):
    """A convolution with zeros of half the kernel on every side, as PyTorch has them at a stride of 2 too."""
    convolution = keras.layers.Conv2D(
        channels,
        kernel_size,
        strides=strides,
        padding="same" if strides == 1 else "valid",
        kernel_initializer=initializer or fan_in_uniform(),
        name=name if strides == 1 else "convolution",
        **arguments,
    )
    if strides == 1:
        return convolution
    return keras.Sequential([keras.layers.ZeroPadding2D(kernel_size // 2, name="zeros"), convolution], name=name)


def head(num_classes):
    """The last layer, in float32."""
    return keras.layers.Dense(num_classes, dtype="float32", name="head")


def batch_norm(name=None):
    """A batch normalisation with PyTorch's numbers."""
    return keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=name)


def stride(index):
    """That of the convolution before a block."""
    return 2 if index in (1, 2) else 1


def convolutions(*sizes):
    """A coupling of each size of a kernel."""
    return [ConvConnectivity(size, kernel_initializer=fan_in_uniform()) for size in sizes]


def group_norms(channels, per_group):
    """A normalisation for each of three blocks, of groups of so many channels."""
    return [keras.layers.GroupNormalization(channels * 2**i // per_group, epsilon=1e-5) for i in range(3)]
