"""Reading the records of prepared data sets."""


def read_split(builder, split):
    """All examples of a split that is on the disk.

    Args:
        builder: A builder of TensorFlow Datasets whose data set is prepared.
        split: Name of a split.

    Returns:
        Dictionary of NumPy arrays, one row for each example.

    Raises:
        ValueError: If the records on the disk are damaged, or not as many as there should be.
    """
    import tensorflow as tf
    import tensorflow_datasets as tfds

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
