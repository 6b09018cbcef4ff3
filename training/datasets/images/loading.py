"""Reading prepared data sets into memory."""

import dataclasses

import numpy as np

from training.datasets.records import read_split


@dataclasses.dataclass(frozen=True)
class Images:
    """A split of a data set of grey images.

    Attributes:
        image: `(count, height, width)` float32 in [0, 1].
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
        An `Images`.

    Raises:
        ValueError: If the data set or the split is unknown, can't be downloaded, is damaged on the disk, or is not one
            of grey images.

    Example:

    >>> load("digits8", "train").image.shape
    (1437, 8, 8)
    """
    import tensorflow_datasets as tfds

    # Importing it makes it known to TensorFlow Datasets.
    from training.datasets.images.digits8 import Digits8  # noqa: F401

    try:
        builder = tfds.builder(name, data_dir=data_dir)
    except (tfds.core.DatasetNotFoundError, ValueError) as error:
        raise ValueError(
            f"Unknown image data set '{name}'. Known: digits8, those of TensorFlow Datasets such as mnist, and what "
            "`python -m training prepare-idx` has made in the same data directory."
        ) from error
    features = builder.info.features or {}
    shape = features["image"].shape if "image" in features else ()
    if "label" not in features or not (len(shape) == 2 or (len(shape) == 3 and shape[-1] == 1)):
        raise ValueError(f"The data set '{name}' does not have grey images with labels, but {features}.")
    try:
        builder.download_and_prepare()
    except Exception as error:
        # Whatever the download raises: errors of the network library, of checksums, of the file system.
        raise ValueError(
            f"The data set '{name}' can't be prepared ({type(error).__name__}: {error}). From idx files that are here "
            "already: python -m training prepare-idx --help"
        ) from error
    if split not in builder.info.splits:
        raise ValueError(f"The data set '{name}' has no split '{split}'. It has {', '.join(builder.info.splits)}.")
    data = read_split(builder, split)
    image = data["image"].reshape(data["image"].shape[:3])
    if image.dtype == np.uint8:
        image = image / np.float32(255)
    return Images(image.astype(np.float32), data["label"].astype(np.int32), builder.info.features["label"].num_classes)
