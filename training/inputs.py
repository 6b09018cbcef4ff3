"""The batches of an experiment on their way to the replicas."""

import tensorflow as tf


def check_batch_size(size, replicas):
    """Raises a `ValueError` that names the nearest sizes that would do, if a batch does not divide among the replicas.

    Example:

    >>> check_batch_size(100, 8)
    Traceback (most recent call last):
    ...
    ValueError: `batch_size` must be a multiple of the number of replicas, 8: 96 or 104 would do. Received 100.
    """
    if size % replicas:
        below = size // replicas * replicas
        sizes = f"{below} or {below + replicas}" if below else f"{replicas}"
        raise ValueError(
            f"`batch_size` must be a multiple of the number of replicas, {replicas}: {sizes} would do. Received {size}."
        )


def distributed_batches(experiment, strategy, start):
    """The batches of the updates from `start` on, divided among the replicas and fetched ahead.

    Each worker reads its own share of each batch, `Experiment.shares`, so that all strategies train on the same
    examples.

    Args:
        experiment: An `Experiment`.
        strategy: A `tf.distribute.Strategy`, whose number of replicas divides the batch.
        start: The first update.

    Returns:
        An iterator for `timed_next`.
    """
    replicas = strategy.num_replicas_in_sync
    size = experiment.options.batch_size // replicas

    def pipeline(context):
        local = replicas // context.num_input_pipelines

        def split(examples, shared):
            parts = {n: tf.reshape(value, (local, size, *value.shape[1:])) for n, value in examples.items()}
            copies = {n: tf.repeat(value[None], local, axis=0) for n, value in shared.items()}
            return tf.data.Dataset.from_tensor_slices((parts, copies))

        shares = experiment.shares(start, context.input_pipeline_id, context.num_input_pipelines)
        # A replica's part of each share, in turn. Known to be endless, no batch is taken for a partial one.
        parts = shares.flat_map(split).prefetch(2 * local)
        return parts.apply(tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY))

    return iter(strategy.distribute_datasets_from_function(pipeline))


def timed_next(iterator, after):
    """The next batch, in a graph, and how long it was waited for.

    Args:
        iterator: What `distributed_batches` returned.
        after: Tensors of the update before: the time begins when they are known.

    Returns:
        `(batch, seconds)`, the latter a float64 scalar tensor.
    """
    with tf.control_dependencies(after):
        started = tf.timestamp()
    with tf.control_dependencies([started]):
        batch = next(iterator)
    # Of distributed values those of this process.
    parts = [part for value in tf.nest.flatten(batch) for part in getattr(value, "values", (value,))]
    with tf.control_dependencies(parts):
        return batch, tf.timestamp() - started
