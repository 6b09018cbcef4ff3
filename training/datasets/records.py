"""Reading the records of prepared data sets."""

import contextlib
import contextvars

import numpy as np

_described = contextvars.ContextVar("rows of data sets that are only described", default=None)


class DamagedDataError(Exception):
    """Data that is read during a training can't be read any more. Its message is a part of a sentence."""


@contextlib.contextmanager
def described(rows):
    """Inside, data sets are only described: none is downloaded, prepared or read.

    What depends on shapes alone, such as the program of an update, can be made of data that is not there.

    Args:
        rows: Number of rows that each split seems to have.

    Example:

    >>> from training.datasets.images import load
    >>> with described(rows=100):
    ...     load("digits8", "train").image.shape
    (100, 8, 8)
    """
    token = _described.set(rows)
    try:
        yield
    finally:
        _described.reset(token)


def described_rows():
    """Number of rows that each split seems to have, inside of `described`, and `None` outside."""
    return _described.get()


def prepare(builder):
    """Prepares a data set, if that was not done before.

    Args:
        builder: A builder of TensorFlow Datasets.
    """
    if _described.get() is None:
        builder.download_and_prepare()


def read_split(builder, split, name=None):
    """All examples of a split that is on the disk.

    Args:
        builder: A builder of TensorFlow Datasets whose data set is prepared.
        split: Name of a split.
        name: What the data set is called in errors, the builder's name by default.

    Returns:
        Dictionary of NumPy arrays, one row for each example.

    Raises:
        ValueError: If there is no such split, or if the records on the disk are damaged, or not as many as there should
            be.
    """
    import tensorflow as tf
    import tensorflow_datasets as tfds

    name = name or builder.name
    if _described.get() is not None:
        return _stand_in(builder.info.features, _described.get(), name)
    if split not in builder.info.splits:
        raise ValueError(f"The data set '{name}' has no split '{split}'. It has {', '.join(builder.info.splits)}.")
    expected = builder.info.splits[split].num_examples
    try:
        data = tfds.as_numpy(builder.as_dataset(split=split, batch_size=-1))
        found = len(next(iter(data.values())))
        trouble = None if found == expected else f"{found:,} of {expected:,} examples"
    # What TensorFlow raises of records that end too early, have other bytes, or are gone.
    except (tf.errors.OpError, OSError) as error:
        trouble = type(error).__name__
    if trouble:
        raise ValueError(
            f"The data set in '{builder.data_dir}' is damaged: its split '{split}' can't be read ({trouble}). Delete "
            "this directory, so that it is prepared again."
        )
    return dict(data)


def _stand_in(features, rows, name):
    """Arrays of the shapes and dtypes of features."""
    arrays = {}
    for key, feature in features.items():
        if None in feature.shape:
            raise ValueError(
                f"The data set '{name}' says what shape '{key}' has only when it is prepared: {feature.shape}."
            )
        dtype = np.dtype(feature.np_dtype)
        # A number that an image may be filled with, a class that there is.
        arrays[key] = np.full((rows, *feature.shape), 0.5 if dtype.kind == "f" else 1, dtype)
    return arrays
