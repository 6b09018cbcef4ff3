"""What is checked of a request inside the graph, before anything is computed: all of it follows from a declaration."""

import re

import numpy as np
import tensorflow as tf

from export.golden import Case

# Bytes of the inputs of a request that is kept to be refused. A limit may be so high that a request beyond it is huge.
_LARGEST_CASE = 1 << 26


def guarded(signature, max_batch, inputs):
    """The inputs of a request, as TensorFlow passes them on once all is well with them.

    Checked are the number of examples, that all inputs have as many, and the range of every value: NaN and infinity are
    out of any. The checks run one after the other, so that it is always the first one that is told of.

    Args:
        signature: A `declaration.Signature` whose ranges are numbers.
        max_batch: The largest number of examples.
        inputs: Dictionary from names to tensors.

    Returns:
        Dictionary from names to tensors with the examples as first axis, scalars too.

    Raises:
        tf.errors.InvalidArgumentError: When the graph runs, if a check fails. Names the input and the limit.
    """
    # Sessions feed tensors of any shape: a graph of images would take some with axes too many, and answer.
    inputs = {
        tensor.name: inputs[tensor.name]
        if tensor.scalar
        else tf.ensure_shape(inputs[tensor.name], (None, *tensor.shape), name=f"shape_of_{tensor.name}")
        for tensor in signature.inputs
    }
    examples = signature.inputs[0]
    number = tf.shape(inputs[examples.name])[0]
    done = []

    def check(condition, text, data):
        with tf.control_dependencies(done):
            done.append(tf.debugging.Assert(condition, [text, data], 8))

    check(
        tf.logical_and(number >= 1, number <= max_batch),
        f"`{examples.name}` must hold from 1 to {max_batch} examples, the limit `max_batch`. Its shape:",
        tf.shape(inputs[examples.name]),
    )
    for tensor in signature.inputs[1:]:
        shape = tf.shape(inputs[tensor.name])
        text = f"`{tensor.name}` must have one entry for each example of `{examples.name}`"
        if tensor.scalar:
            same = tf.logical_or(tf.size(shape) == 0, tf.reduce_all(tf.equal(shape, number[None])))
            check(tf.logical_and(tf.size(shape) <= 1, same), f"{text}, or be a scalar. Its shape:", shape)
        else:
            check(shape[0] == number, f"{text}. Its shape:", shape)
    for tensor in signature.inputs:
        if tensor.highest is None:
            continue
        value = inputs[tensor.name]
        if tensor.dtype == "string":
            value = tf.strings.length(value)
        least, most = tf.reduce_min(value), tf.reduce_max(value)
        # Written so that NaN fails too.
        inside = tf.reduce_all(tf.logical_and(value >= tensor.lowest, value <= tensor.highest))
        check(inside, _range_error(tensor), tf.stack([least, most]))
    with tf.control_dependencies(done):
        checked = {name: tf.identity(value) for name, value in inputs.items()}
    for tensor in signature.inputs:
        if tensor.scalar:
            checked[tensor.name] = tf.broadcast_to(checked[tensor.name], [number])
    return checked


def _range_error(tensor):
    limit = f", the limit `{tensor.limit}`" if tensor.limit else ""
    if tensor.dtype == "string":
        return (
            f"`{tensor.name}` must be of {tensor.lowest} to {tensor.highest} bytes each{limit}. Shortest and longest:"
        )
    finite = "finite and " if tensor.dtype == "float32" else ""
    return (
        f"`{tensor.name}` must be {finite}from {_written(tensor.lowest)} to {_written(tensor.highest)}{limit}. "
        "Lowest and highest:"
    )


def _written(number):
    # 1e6 rather than 1e+06.
    return re.sub(r"e\+?(-?)0*", r"e\1", f"{number:g}") if isinstance(number, float) else str(number)


def faulty_cases(case, signature, max_batch):
    """Requests that must be refused, one for each thing that is checked.

    Args:
        case: A `golden.Case` of the signature that is right, without scalars.
        signature: A `declaration.Signature` whose ranges are numbers.
        max_batch: The largest number of examples.

    Returns:
        A list of `golden.Case`, with what is wrong and a part of the message.
    """
    one, cases = case.examples(1).inputs, []

    def add(fault, error, **changes):
        cases.append(Case(signature.name, {**one, **changes}, fault=fault, error=error))

    size = sum(value.nbytes for value in one.values())
    for number, fault in ((0, "batch that is empty"), (max_batch + 1, "batch that is too large")):
        if number * size > _LARGEST_CASE:
            continue
        error = f"must hold from 1 to {max_batch} examples, the limit `max_batch`"
        add(fault, error, **case.examples(number).inputs)
    for tensor in signature.inputs[1:]:
        error = f"`{tensor.name}` must have one entry for each example"
        add(f"{tensor.name} for two of one", error, **{tensor.name: np.repeat(one[tensor.name], 2, 0)})
    for tensor in signature.inputs:
        if tensor.highest is None:
            continue
        for name, value in _outside(tensor):
            wrong = one[tensor.name].copy() if tensor.dtype != "string" else np.array([value])
            wrong.flat[-1] = value
            add(f"{tensor.name} {name}", _range_error(tensor).partition(". ")[0], **{tensor.name: wrong})
    return cases


def _outside(tensor):
    """Pairs of words and a value out of range."""
    if tensor.dtype == "string":
        return [("without a byte", b""), ("of too many bytes", b"a" * (tensor.highest + 1))]
    if tensor.dtype == "float32":
        values = {"that is NaN": np.nan, "that is infinite": np.inf, "that is minus infinite": -np.inf}
        above, below = (
            end + sign * max(1, abs(end)) / 1000 for end, sign in ((tensor.highest, 1), (tensor.lowest, -1))
        )
        return [
            *values.items(),
            (f"above {_written(tensor.highest)}", above),
            (f"below {_written(tensor.lowest)}", below),
        ]
    return [(f"of {value}", value) for value in (tensor.lowest - 1, tensor.highest + 1, -(2**31), 2**31 - 1)]
