"""Reading prepared data sets into memory."""

import dataclasses

import numpy as np

from training.datasets.records import prepare, read_split


@dataclasses.dataclass(frozen=True)
class Images:
    """A split of a data set of images.

    Attributes:
        image: `(count, height, width, channels)` uint8, or of grey images `(count, height, width)` float32 in [0, 1].
        label: `(count,)` int32.
        classes: Number of classes of the data set.
    """

    image: np.ndarray
    label: np.ndarray
    classes: int


def load(name, split, data_dir=None):
    """Reads a split of a data set of grey images into memory, preparing the data set first if that was not done before.

    Args:
        name: `"digits8"`, a name that was given to `python -m training prepare-idx`, or a data set of TensorFlow
            Datasets with images of one channel, such as `"mnist"`, which is downloaded.
        split: `"train"` or `"test"`.
        data_dir: Directory for prepared data sets; that of TensorFlow Datasets by default (`~/tensorflow_datasets`,
            or the environment variable `TFDS_DATA_DIR`).

    Returns:
        An `Images` with float32 images of two axes, in [0, 1].

    Raises:
        ValueError: If the data set or the split is unknown, can't be downloaded, is damaged on the disk, or is not one
            of grey images.

    Example:

    >>> load("digits8", "train").image.shape
    (1437, 8, 8)
    """
    builder, shape = _builder(name, data_dir)
    if len(shape) != 2 and shape[2:] != (1,):
        raise ValueError(f"The data set '{name}' does not have grey images with labels, but {builder.info.features}.")
    data = _read(builder, name, split)
    image = data["image"].reshape(data["image"].shape[:3])
    if image.dtype == np.uint8:
        image = image / np.float32(255)
    return _images(builder, image.astype(np.float32), data)


def load_images(name, split, data_dir=None):
    """Reads a split of a data set of images of any number of channels into memory, preparing it first if need be.

    Args:
        name: `"digits8"`; `"tiny_imagenet"`, whose files belong into `downloads/manual` of the data directory; a name
            that was given to `python -m training prepare-idx` or `prepare-images`; or a data set of TensorFlow Datasets
            whose images have one size, such as `"cifar10"` or `"cifar10_corrupted/fog_3"`, which is downloaded.
        split: `"train"` or `"test"`; data sets of TensorFlow Datasets may have other splits, too.
        data_dir: Directory for prepared data sets; that of TensorFlow Datasets by default (`~/tensorflow_datasets`,
            or the environment variable `TFDS_DATA_DIR`).

    Returns:
        An `Images` with uint8 images of three axes. Images that are stored as numbers in [0, 1] are rounded.

    Raises:
        ValueError: If the data set or the split is unknown, can't be downloaded, is damaged on the disk, or is not one
            of labelled images of one size.

    Example:

    >>> load_images("digits8", "test").image.shape
    (360, 8, 8, 1)
    """
    builder, shape = _builder(name, data_dir)
    if not (len(shape) in (2, 3) and all(shape)):
        raise ValueError(
            f"The data set '{name}' does not have labelled images of one size, but {builder.info.features}. Images of "
            "various sizes are read by an `ImageStream`."
        )
    data = _read(builder, name, split)
    image = data["image"].reshape((*data["image"].shape[:3], -1))
    if image.dtype != np.uint8:
        image = np.round(255 * image).astype(np.uint8)
    return _images(builder, image, data)


def unknown_data_set(name):
    """The error for a name that no data set has."""
    return ValueError(
        f"Unknown image data set '{name}'. Known: digits8, tiny_imagenet, those of TensorFlow Datasets such as mnist, "
        "and what `python -m training prepare-idx` and `prepare-images` have made in the same data directory."
    )


def _builder(name, data_dir):
    """The builder of a data set of labelled images, and the shape of an image."""
    import tensorflow_datasets as tfds

    # Importing them makes them known to TensorFlow Datasets.
    from training.datasets.images import digits8, tiny_imagenet  # noqa: F401

    try:
        builder = tfds.builder(name, data_dir=data_dir)
    except (tfds.core.DatasetNotFoundError, ValueError) as error:
        raise unknown_data_set(name) from error
    features = builder.info.features or {}
    if "image" not in features or "label" not in features:
        raise ValueError(f"The data set '{name}' does not have images with labels, but {features}.")
    return builder, features["image"].shape


def _read(builder, name, split):
    try:
        prepare(builder)
    except Exception as error:
        # Whatever the download raises: errors of the network library, of checksums, of the file system.
        raise ValueError(
            f"The data set '{name}' can't be prepared ({type(error).__name__}: {error}). From files that are here "
            "already: python -m training prepare-idx --help, and prepare-images --help"
        ) from error
    return read_split(builder, split, name)


def _images(builder, image, data):
    return Images(image, data["label"].astype(np.int32), builder.info.features["label"].num_classes)
