"""Tensors of requests and answers: as JSON and as TensorFlow's messages."""

import base64
import binascii
import itertools
import json
import math

import numpy as np
import tensorflow as tf

from export.laptop.errors import RequestError, invalid

# Of a value in an error.
_MOST_CHARACTERS = 100
_INTEGERS = {"int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"}
_FLOATS = {"float32", "float64"}


def parse_json(body):
    """The JSON object of a request's body, or a `RequestError`."""
    if not body:
        raise invalid("JSON Parse error: The document is empty")
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        # ValueError: broken JSON, text that is no UTF-8, integers of thousands of digits.
        raise invalid(f"JSON Parse error: {error or type(error).__name__}") from None
    if not isinstance(document, dict):
        raise invalid(f"JSON Value: {_shown(document)} Is not object")
    return document


def inputs_from_json(document, infos):
    """The inputs of a request in the row or the columnar format.

    Args:
        document: The JSON object.
        infos: Dictionary from the names of the signature's inputs to `TensorInfo` messages.

    Returns:
        `(inputs, rows)`: a dictionary from names to arrays, and whether the format is the one with rows.

    Raises:
        RequestError: If they are not as the formats and the signature want them.
    """
    if "instances" in document and "inputs" in document:
        raise invalid("JSON object: expecting only one of 'inputs' or 'instances' keys to exist")
    if "instances" in document:
        return _from_rows(document["instances"], infos), True
    if "inputs" in document:
        return _from_columns(document["inputs"], infos), False
    raise invalid("Missing 'inputs' or 'instances' key")


def _from_rows(rows, infos):
    if not isinstance(rows, list):
        raise invalid("JSON object: Excepting 'instances' to be an list/array")
    if not rows:
        raise invalid("JSON object: No values in 'instances' array")
    if not _is_named(rows[0]):
        if len(infos) > 1:
            raise invalid(
                "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
                "tensorinfo_map"
            )
        for index, row in enumerate(rows):
            if _is_named(row):
                raise invalid(f"Expecting value/list but got object at item {index} of input list")
        (name,) = infos
        return {name: _array(rows, infos[name], name)}
    for index, row in enumerate(rows):
        if not _is_named(row):
            raise invalid(f"Expecting object but got list at item {index} of input list")
        if row.keys() != infos.keys():
            raise invalid(
                f"Failed to process element: {index} of 'instances' list. JSON object: {_shown(row)} keys must be "
                f"equal to: {','.join(sorted(infos))}"
            )
    return {name: _array([row[name] for row in rows], info, name) for name, info in infos.items()}


def _from_columns(columns, infos):
    if not _is_named(columns):
        if len(infos) > 1:
            raise invalid(
                "inputs is a plain value/list, but expecting an object as multiple input tensors required as per "
                "tensorinfo_map"
            )
        columns = {name: columns for name in infos}
    for name in infos:
        if name not in columns:
            raise invalid(f"Missing named input: {name} in 'inputs' object.")
    unknown = sorted(set(columns) - set(infos))
    if unknown:
        # TensorFlow Serving ignores them. A name with an error in it should not go unnoticed.
        raise invalid(f"JSON object: does not have named input: {unknown[0]}")
    return {name: _array(columns[name], info, name) for name, info in infos.items()}


def _is_named(value):
    return isinstance(value, dict) and not _is_base64(value)


def _is_base64(value):
    return isinstance(value, dict) and value.keys() == {"b64"} and isinstance(value["b64"], str)


def _array(value, info, name):
    """The array of nested lists, whose shape is that of the first of each."""
    dtype = tf.dtypes.as_dtype(info.dtype)
    first, shape = value, []
    while isinstance(first, list):
        shape.append(len(first))
        first = first[0] if first else None
    values = [value]
    for level, size in enumerate(shape):
        for inner in values:
            if not isinstance(inner, list):
                raise invalid(
                    f"JSON Value: {_shown(inner)} found at incorrect level: {level + 1} in the JSON DOM of '{name}'. "
                    f"Expected at level: {len(shape)}"
                )
            if len(inner) != size:
                raise invalid(
                    f"Encountered list at unexpected size: {len(inner)} at level: {level} expected size: {size}, in "
                    f"'{name}'"
                )
        values = list(itertools.chain.from_iterable(values))
    if any(isinstance(inner, list) for inner in values):
        raise invalid(f"Encountered list at unexpected level: {len(shape)} expected < {len(shape)}, in '{name}'")
    return _convert(values, dtype, name).reshape(shape)


def _convert(values, dtype, name):
    if dtype == tf.string:
        return np.array([_bytes(value) for value in values] or [], object)
    kind = dtype.name
    if kind not in _INTEGERS | _FLOATS | {"bool"}:
        raise RequestError("UNIMPLEMENTED", f"Conversion of JSON to type: {kind} of '{name}'")
    right = {bool} if kind == "bool" else {int} if kind in _INTEGERS else {int, float}
    if not set(map(type, values)) <= right:
        wrong = next(value for value in values if type(value) not in right)
        raise _type_error(wrong, kind)
    if kind in _INTEGERS:
        limits = np.iinfo(kind)
        for value in (min(values, default=0), max(values, default=0)):
            if not limits.min <= value <= limits.max:
                raise _type_error(value, kind)
    elif kind in _FLOATS:
        whole, limits = 2 ** (np.finfo(kind).nmant + 1) - 1, np.finfo(kind)
        for value in values:
            lossy = abs(value) > whole if type(value) is int else math.isfinite(value) and abs(value) > limits.max
            if lossy:
                raise invalid(f"Cannot convert JSON value: {_shown(value)} to {kind} without loss of precision.")
    return np.array(values, kind)


def _type_error(value, kind):
    return invalid(f"JSON Value: {_shown(value)} is not of expected type: {kind}")


def _bytes(value):
    if isinstance(value, str):
        try:
            return value.encode()
        except UnicodeEncodeError:
            # Half of a pair, such as "\\ud800".
            raise invalid(f"JSON Value: {_shown(value)} is not valid Unicode") from None
    if not isinstance(value, dict):
        raise _type_error(value, "string")
    if not _is_base64(value):
        raise invalid(f"JSON Value: {_shown(value)} not formatted correctly for base64 data")
    try:
        return base64.b64decode(value["b64"], validate=True)
    except (binascii.Error, ValueError):
        raise invalid("Unable to base64 decode") from None


def _shown(value):
    text = ascii(value) if isinstance(value, str) else str(value)
    return text if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]}…"


def outputs_to_json(outputs, rows):
    """The JSON text of an answer.

    Args:
        outputs: Dictionary from names to arrays.
        rows: Whether the answer has rows, as a request in the row format asks for.

    Returns:
        Text, in which NaN and infinity are `NaN` and `Infinity` as TensorFlow Serving writes them.

    Raises:
        RequestError: If rows are asked for and the arrays don't have as many.
    """
    lists = {name: _to_lists(name, value) for name, value in outputs.items()}
    if not rows:
        return json.dumps({"outputs": lists if len(lists) > 1 else next(iter(lists.values()))})
    sizes = {len(value) if isinstance(value, list) else None for value in lists.values()}
    if len(sizes) != 1 or None in sizes:
        raise invalid("The outputs don't have as many rows as each other: ask in the columnar format, with 'inputs'")
    if len(lists) == 1:
        return json.dumps({"predictions": next(iter(lists.values()))})
    return json.dumps({"predictions": [dict(zip(lists, row)) for row in zip(*lists.values())]})


def _to_lists(name, array):
    if array.dtype != object:
        if array.dtype == np.float32:
            # The shortest decimals that are read as the same float32.
            flat = [float(str(value)) for value in array.reshape(-1)]
            array = np.array(flat).reshape(array.shape)
        return array.tolist()
    return _text(name, array.tolist())


def _text(name, value):
    if isinstance(value, list):
        return [_text(name, inner) for inner in value]
    if name.endswith("_bytes"):
        return {"b64": base64.b64encode(value).decode()}
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise invalid(f"The output '{name}' is no UTF-8 text, and its name does not end in _bytes") from None


def array_from_proto(message, info, name, most_bytes):
    """The array of a `TensorProto`.

    Args:
        message: The message.
        info: `TensorInfo` message of the input.
        name: Name of the input, for errors.
        most_bytes: How many bytes it may have: a message of some bytes can ask for an array of any size.

    Raises:
        RequestError: If it is none, or is too large.
    """
    dtype = tf.dtypes.as_dtype(info.dtype)
    if message.dtype != info.dtype:
        # Before it is looked at: NumPy has no counterpart of many dtypes.
        raise invalid(f"Expects '{name}' to be {dtype.name} but a tensor of dtype number {message.dtype} is provided")
    width = 1 if dtype == tf.string else dtype.size
    sizes = [dim.size for dim in message.tensor_shape.dim]
    if message.tensor_shape.unknown_rank or any(size < 0 for size in sizes):
        raise invalid(f"tensor parsing error: {name}: its shape {sizes} is not known in full")
    if len(sizes) > 8 or math.prod(max(size, 1) for size in sizes) * width > most_bytes:
        raise invalid(f"tensor parsing error: {name}: its shape {sizes} is too large")
    try:
        return tf.make_ndarray(message)
    except Exception as error:
        # NumPy and TensorFlow raise many kinds of errors for values that don't fit the shape.
        raise invalid(f"tensor parsing error: {name}: {error}") from None
