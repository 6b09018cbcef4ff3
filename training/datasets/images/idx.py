"""Data sets from idx files, the format in which MNIST and its relatives are published."""

import gzip
import pathlib
import zlib

import numpy as np

from training.datasets.storing import store

_UNSIGNED_BYTES = 0x08


def read_idx(path, axes):
    """Reads an idx file of unsigned bytes, compressed by gzip or not.

    Args:
        path: Path of the file.
        axes: Number of axes that are expected: 3 for images, 1 for labels.

    Returns:
        uint8 array.

    Raises:
        ValueError: If the file can't be read, its magic number is another one, or its length is not what its header
            says.

    Example:

    >>> read_idx("t10k-labels-idx1-ubyte.gz", axes=1).shape  # doctest: +SKIP
    (10000,)
    """
    path = pathlib.Path(path)
    try:
        data = path.read_bytes()
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
    except OSError as error:
        raise ValueError(f"'{path}' can't be read: {error.strerror or error}.") from None
    except (EOFError, zlib.error) as error:
        raise ValueError(f"'{path}' is a damaged gzip file: {error}.") from None
    wanted = bytes([0, 0, _UNSIGNED_BYTES, axes])
    if data[:4] != wanted:
        raise ValueError(
            f"'{path}' must be an idx file of unsigned bytes with {axes} {'axis' if axes == 1 else 'axes'}, with the "
            f"magic number 0x{wanted.hex()}. It starts with 0x{data[:4].hex() or '00'}."
        )
    start = 4 + 4 * axes
    if len(data) < start:
        raise ValueError(f"'{path}' ends within its header.")
    shape = tuple(int(size) for size in np.frombuffer(data[4:start], ">u4"))
    size = int(np.prod(shape, dtype=object))
    if len(data) - start != size:
        raise ValueError(
            f"'{path}' must hold {size:,} bytes after its header, for the shape {shape} that it gives. It holds "
            f"{len(data) - start:,}."
        )
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)


def store_idx(images, labels, name, train=None, data_dir=None):
    """Prepares a data set of TensorFlow Datasets from idx files.

    Args:
        images: Path of the idx file of the images, uint8 with 3 axes, `.gz` or not.
        labels: Path of that of their labels.
        name: Name of the data set: lower-case letters, digits and `_`.
        train: How many of the images, the first ones, are the train split; the rest is the test split. Four of five by
            default.
        data_dir: Directory for prepared data sets, that of TensorFlow Datasets by default.

    Returns:
        A function without arguments that writes the data set and returns its directory. All is checked before.

    Raises:
        ValueError: If a file is no such idx file, the numbers of images and labels disagree, `train` leaves a split
            empty, or the name is not allowed or taken.

    Example:

    >>> store_idx("images.gz", "labels.gz", "mnist_10k", train=8000)()  # doctest: +SKIP
    """
    image, label = read_idx(images, 3), read_idx(labels, 1)
    if len(image) != len(label):
        raise ValueError(f"'{images}' has {len(image):,} images, and '{labels}' has {len(label):,} labels.")
    train = len(image) * 4 // 5 if train is None else train
    if not 0 < train < len(image):
        raise ValueError(
            f"The train split must have at least 1 and at most {len(image) - 1:,} of the {len(image):,} images, so "
            f"that something is left to test. Received {train:,}."
        )
    import tensorflow_datasets as tfds

    def examples(rows):
        return [(row, {"image": image[row][..., None], "label": int(label[row])}) for row in rows]

    return store(
        name,
        features={
            "image": tfds.features.Image(shape=(*image.shape[1:], 1), encoding_format="png"),
            "label": tfds.features.ClassLabel(num_classes=int(label.max()) + 1),
        },
        splits={"train": examples(range(train)), "test": examples(range(train, len(image)))},
        description=f"{len(image):,} images from idx files: the first {train:,} to train, the rest to test.",
        data_dir=data_dir,
    )
