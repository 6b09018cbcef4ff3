"""An update of an experiment as TensorFlow traces it for each chip."""

import re

import tensorflow as tf

from keras_kuramoto.platforms import WIDE_TILES, traced_for
from training.compilation.batches import batch_of
from training.compilation.replica import ReplicaStrategy
from training.compilation.stablehlo import check
from training.update import Update


def lower(experiment, chips):
    """The program of one update: what the loop runs, from the replica's share of a batch to the averaged weights.

    Args:
        experiment: An `Experiment`.
        chips: Number of chips, which share a batch.

    Returns:
        The program of one chip in StableHLO, as text. Chips meet in its collectives.

    Raises:
        ValueError: If there is something in the step that no TPU runs; it says what, and where.
    """
    update = Update(experiment, ReplicaStrategy(chips))
    examples, shared = batch_of(experiment)
    share = {
        name: tf.TensorSpec((spec.shape[0] // chips, *spec.shape[1:]), spec.dtype) for name, spec in examples.items()
    }
    batch = (share, shared)
    return trace(lambda *values: update(tf.nest.pack_sequence_as(batch, values)), tf.nest.flatten(batch))


def trace(function, specs):
    """The program of a function of tensors, in StableHLO as text.

    Args:
        function: Function of tensors.
        specs: A `tf.TensorSpec` for each.

    Raises:
        ValueError: If there is something in it that no TPU runs; it says what, and where.
    """
    try:
        with traced_for(WIDE_TILES):
            text = tf.function(function, jit_compile=True).experimental_get_compiler_ir(*specs)(stage="stablehlo")
    except ValueError as error:
        raise ValueError(_refusal(str(error))) from error
    # What TensorFlow keeps results apart by is no part of StableHLO; a barrier does the same.
    text = text.replace(" = mhlo.copy ", " = stablehlo.optimization_barrier ")
    check(text)
    return text


def _refusal(message):
    """TensorFlow's error in one line: the operation and its place in the model."""
    node = re.search(r"\{\{node ([^}]+)\}\}", message)
    place = f", at '{node[1]}'" if node else ""
    missing = re.search(r"compatible with node|Detected unsupported operations", message)
    operation = re.search(r"No registered '(\w+)' OpKernel", message)
    if missing and operation:
        return (
            f"A TPU refuses the step: it can't run the operation {operation[1]}{place}. Operations of the host and on "
            "strings belong into the input, `Experiment.batch`."
        )
    first = re.sub(r"\{\{node [^}]+\}\}", "", message.replace("Failed getting HLO text: ", ""))
    first = " ".join(first.split("[[")[0].split("tf2xla conversion failed")[0].strip("' ").split())
    return f"A TPU refuses the step: {first[:300]}{place}."
