"""The batches that a step is compiled for."""

import tensorflow as tf


def batch_of(experiment):
    """The shapes of a whole batch, as the loop divides it. Needs Keras on TensorFlow, which makes the batches.

    Args:
        experiment: An `Experiment`.

    Returns:
        `(examples, shared)`, dictionaries of `tf.TensorSpec`.

    Raises:
        ValueError: For what no TPU takes: a string, or a shape that is not known before.
    """
    examples, shared = experiment.batches(0).element_spec
    # The loop makes sure of the first axis.
    size = experiment.options.batch_size
    examples = {name: tf.TensorSpec((size, *spec.shape[1:]), spec.dtype) for name, spec in examples.items()}
    for name, spec in {**examples, **shared}.items():
        if spec.dtype == tf.string:
            raise ValueError(f"A TPU has no strings, and '{name}' of a batch is one.")
        if not spec.shape.is_fully_defined():
            raise ValueError(
                f"A TPU needs shapes that are known before, and '{name}' of a batch is of the shape {spec.shape}."
            )
    return examples, shared


def written(batch):
    """A batch as JSON has it: `[examples, shared]`, dictionaries of shapes and dtypes."""
    return [{name: [spec.shape.as_list(), spec.dtype.name] for name, spec in part.items()} for part in batch]


def read(batch):
    """The inverse of `written`."""
    return [{name: tf.TensorSpec(*spec) for name, spec in part.items()} for part in batch]
