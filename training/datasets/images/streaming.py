"""Reading images that do not fit into memory."""

import numpy as np

from training.datasets.images.loading import unknown_data_set
from training.datasets.pictures import middle
from training.datasets.records import DamagedDataError, described_rows, prepare


class ImageStream:
    """A split of a data set of labelled images of any sizes, of which any rows are read from the disk.

    Each image is cut to its middle square and resized. Because a batch is read by its rows, it depends on its step
    alone, and a resumed run sees what it would have seen; see `Experiment.source`. The data set is prepared first if
    need be, in TensorFlow Datasets' format `array_record`, which has random access.

    Args:
        name: A data set of TensorFlow Datasets with labelled images, such as `"imagenet2012"`, whose archives belong
            into `downloads/manual` of the data directory.
        split: Such as `"train"` or `"validation"`.
        size: Height and width to which images are cut.
        data_dir: Directory for prepared data sets; that of TensorFlow Datasets by default.

    Attributes:
        classes: Number of classes.

    Raises:
        ValueError: If the data set or the split is unknown, can't be prepared, or has no labelled images.

    Example:

    >>> stream = ImageStream("imagenet2012", "train", size=256)  # doctest: +SKIP
    >>> rows = tf.data.Dataset.range(len(stream)).batch(256)  # doctest: +SKIP
    >>> dataset = rows.map(stream.read, num_parallel_calls=8)  # doctest: +SKIP
    """

    def __init__(self, name, split, size, data_dir=None):
        import tensorflow_datasets as tfds

        try:
            builder = tfds.builder(name, data_dir=data_dir, file_format="array_record")
        except (tfds.core.DatasetNotFoundError, ValueError) as error:
            raise unknown_data_set(name) from error
        features = builder.info.features or {}
        if not {"image", "label"} <= set(features):
            raise ValueError(f"The data set '{name}' does not have images with labels, but {features}.")
        try:
            prepare(builder)
        except Exception as error:
            raise ValueError(f"The data set '{name}' can't be prepared ({type(error).__name__}: {error}).") from error
        self.size, self.classes = size, features["label"].num_classes
        self._directory, self._source, self._count = builder.data_dir, None, described_rows()
        if self._count is not None:
            return
        if split not in builder.info.splits:
            raise ValueError(f"The data set '{name}' has no split '{split}'. It has {', '.join(builder.info.splits)}.")
        self._source = builder.as_data_source(split)
        self._count = len(self._source)

    def __len__(self):
        return self._count

    def read(self, rows):
        """Reads images, in a graph too.

        Args:
            rows: `(count,)` integers.

        Returns:
            Dictionary of tensors: `image`, `(count, size, size, 3)` uint8, and `label`, `(count,)` int32.

        Raises:
            tf.errors.OpError: When the images are read, with a `DamagedDataError` in its message, if the records are
                damaged or gone.
        """
        import tensorflow as tf

        image, label = tf.numpy_function(self._read, [rows], [tf.uint8, tf.int32], stateful=False)
        count = tf.convert_to_tensor(rows).shape[0]
        return {
            "image": tf.ensure_shape(image, (count, self.size, self.size, 3)),
            "label": tf.ensure_shape(label, (count,)),
        }

    def _read(self, rows):
        from PIL import Image

        try:
            examples = self._source.__getitems__(rows.tolist())
        except Exception as error:
            # Whatever the reader raises of other bytes, of too few, and of files that are gone.
            raise DamagedDataError(f"{str(error).splitlines()[0]} in '{self._directory}'") from error
        images = [middle(Image.fromarray(example["image"].squeeze()).convert("RGB"), self.size) for example in examples]
        return np.stack(images), np.array([example["label"] for example in examples], np.int32)
