"""Data sets from files of NumPy that hold many JPEG images."""

import io
import zipfile

import numpy as np

from training.datasets.storing import store

_ARRAYS = ("jpeg", "lengths", "labels")


def read_jpegs(path):
    """Reads an `.npz` file of labelled JPEG images.

    Args:
        path: Path of the file. It has three arrays: `jpeg`, the bytes of all images, end to end; `lengths`, the number
            of bytes of each image; `labels`, the class of each, from 0.

    Returns:
        `(images, labels, shape)`: a list of bytes, an int64 array, and the shape that all of the images have.

    Raises:
        ValueError: If the file can't be read, or an array is missing or another one than this; if an image is damaged
            or has another shape than the first.

    Example:

    >>> images, labels, shape = read_jpegs("train.npz")  # doctest: +SKIP
    >>> len(images), shape  # doctest: +SKIP
    (50000, (32, 32, 3))
    """
    import tensorflow as tf

    try:
        with np.load(path) as file:
            missing = [name for name in _ARRAYS if name not in file]
            if missing:
                raise ValueError(f"it has no array '{missing[0]}'. It must have {', '.join(_ARRAYS)}")
            data, lengths, labels = (file[name] for name in _ARRAYS)
    except (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"'{path}' can't be read as an .npz file of JPEG images: {error}.") from None
    whole = all(np.issubdtype(array.dtype, np.integer) and array.ndim == 1 for array in (lengths, labels))
    if not whole or data.dtype != np.uint8 or data.ndim != 1:
        raise ValueError(
            f"The arrays of '{path}' must have one axis, `jpeg` uint8, `lengths` and `labels` integers. Received "
            + ", ".join(f"{name} {array.dtype} {array.shape}" for name, array in zip(_ARRAYS, (data, lengths, labels)))
            + "."
        )
    if not len(labels) == len(lengths) > 0 or lengths.min() < 0 or lengths.sum() != len(data) or labels.min() < 0:
        raise ValueError(
            f"In '{path}' there must be as many labels as lengths, at least one, none negative, and the lengths must "
            f"add up to the bytes of `jpeg`. Received {len(labels):,} labels and {len(lengths):,} lengths, which add "
            f"up to {lengths.sum():,} of {len(data):,} bytes."
        )
    ends = np.cumsum(lengths, dtype=np.int64)
    images = [data[end - length : end].tobytes() for end, length in zip(ends, lengths)]
    shape = None
    for index, image in enumerate(images):
        try:
            found = tuple(tf.io.decode_jpeg(image).shape)
        except tf.errors.InvalidArgumentError:
            raise ValueError(f"Image {index} of '{path}' is no JPEG image, or a damaged one.") from None
        shape = shape or found
        if found != shape:
            raise ValueError(
                f"All images of '{path}' must have one shape. Image {index} has {found}, the first {shape}."
            )
    return images, labels.astype(np.int64), shape


def store_jpegs(train, test, name, data_dir=None):
    """Prepares a data set of TensorFlow Datasets from `.npz` files of JPEG images, whose bytes stay what they are.

    Args:
        train: Path of the file of the train split; see `read_jpegs`.
        test: Path of that of the test split.
        name: Name of the data set: lower-case letters, digits and `_`.
        data_dir: Directory for prepared data sets, that of TensorFlow Datasets by default.

    Returns:
        A function without arguments that writes the data set and returns its directory. All is checked before.

    Raises:
        ValueError: If a file is none such, the shapes of their images differ, or the name is not allowed or taken.

    Example:

    >>> store_jpegs("train.npz", "test.npz", "cifar10_jpeg")()  # doctest: +SKIP
    """
    import tensorflow_datasets as tfds

    files = {"train": read_jpegs(train), "test": read_jpegs(test)}
    (_, _, shape), (_, _, other) = files.values()
    if shape != other:
        raise ValueError(f"The images of '{train}' have the shape {shape}, those of '{test}' {other}. It must be one.")
    return store(
        name,
        features={
            "image": tfds.features.Image(shape=shape, encoding_format="jpeg"),
            "label": tfds.features.ClassLabel(
                num_classes=int(max(labels.max() for _, labels, _ in files.values())) + 1
            ),
        },
        splits={
            split: [
                (row, {"image": io.BytesIO(image), "label": int(label)})
                for row, (image, label) in enumerate(zip(images, labels))
            ]
            for split, (images, labels, _) in files.items()
        },
        description=f"{len(files['train'][0]):,} JPEG images to train and {len(files['test'][0]):,} to test.",
        data_dir=data_dir,
    )
