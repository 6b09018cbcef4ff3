"""Writing data sets in the format of TensorFlow Datasets."""

import pathlib
import re


def store(name, features, splits, description, data_dir=None):
    """Prepares a data set of TensorFlow Datasets from examples.

    Args:
        name: Name of the data set: lower-case letters, digits and `_`.
        features: Dictionary of features of TensorFlow Datasets.
        splits: Dictionary from the names of splits to their examples, an iterable of pairs: a key, and a dictionary of
            what `features` names.
        description: Description of the data set.
        data_dir: Directory for prepared data sets, that of TensorFlow Datasets by default.

    Returns:
        A function without arguments that writes the data set and returns its directory.

    Raises:
        ValueError: If the name is not allowed or taken.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise ValueError(
            "The name of a data set must be lower-case letters, digits and '_', and start with a letter. "
            f"Received '{name}'."
        )
    import tensorflow_datasets as tfds

    # Importing them makes them known to TensorFlow Datasets.
    from training.datasets.images import digits8, tiny_imagenet  # noqa: F401
    from training.datasets.objects import builder as scenes  # noqa: F401

    if name in tfds.list_builders(with_community_datasets=False):
        raise ValueError(f"'{name}' is a data set of its own already. Choose another name.")
    builder = tfds.dataset_builders.AdhocBuilder(
        name=name,
        version="1.0.0",
        features=tfds.features.FeaturesDict(features),
        split_datasets=splits,
        data_dir=data_dir,
        description=description,
    )
    directory = pathlib.Path(builder.data_dir)
    if directory.parent.exists():
        raise ValueError(f"'{directory.parent}' exists and is not written over. Choose another name or data directory.")

    def write():
        builder.download_and_prepare()
        return directory

    return write
