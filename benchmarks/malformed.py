"""Malformed requests for a served model, made by Hypothesis from what the model declares."""

import dataclasses
import json

import numpy as np
from hypothesis import strategies as st
from tensorflow_serving.apis import predict_pb2

_JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=True)
    | st.text(max_size=8)
    | st.just({"b64": "AA="}),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=12,
)
_DTYPES = {"int32": np.int32, "float32": np.float32, "uint8": np.uint8}


@dataclasses.dataclass
class Bad:
    """A request that must be refused.

    Attributes:
        signature: Name of the signature.
        inputs: Dictionary from names to arrays.
        fault: What is wrong.
    """

    signature: str
    inputs: dict
    fault: str


def good_inputs(signature, batch):
    """Inputs that are right: zeros, or the lowest values."""
    inputs = {}
    for tensor in signature.inputs:
        if tensor.dtype == "string":
            inputs[tensor.name] = np.array([b"x"] * batch, "S")
        else:
            lowest = max(0, tensor.lowest or 0)
            inputs[tensor.name] = np.full((batch, *tensor.shape), lowest, _DTYPES[tensor.dtype])
    return inputs


@st.composite
def bad_tensors(draw, declaration):
    """Requests with a wrong shape, dtype, value or number of examples: strategy of `Bad`."""
    signature = draw(st.sampled_from(sorted(declaration.signatures.values(), key=lambda one: one.name)))
    inputs = good_inputs(signature, draw(st.integers(1, 4)))
    limited = [tensor for tensor in signature.inputs if tensor.highest is not None and tensor.dtype != "string"]
    faults = ["shape", "dtype", "batch", "empty", "missing", "extra"]
    if limited:
        faults.append("value")
    if len(signature.inputs) > 1:
        faults.append("lengths")
    fault = draw(st.sampled_from(faults))
    tensor = draw(st.sampled_from(limited if fault == "value" else list(signature.inputs)))
    value = inputs[tensor.name]
    if fault == "value":
        value = value.copy()
        place = draw(st.integers(0, value.size - 1))
        if value.dtype == np.float32:
            wrong = draw(st.sampled_from([np.nan, np.inf, -np.inf, 2.0 * tensor.highest + 1, 2.0 * tensor.lowest - 1]))
        else:
            limits = np.iinfo(value.dtype)
            below = st.integers(limits.min, int(tensor.lowest) - 1)
            wrong = draw(below | st.integers(int(tensor.highest) + 1, limits.max))
        value.flat[place] = wrong
        inputs[tensor.name] = value
    elif fault == "shape":
        # One axis more than a signature's tensor of any rank takes, too: (batch, 1).
        extra = draw(st.lists(st.integers(1, 3), min_size=1, max_size=3))
        inputs[tensor.name] = np.zeros((*value.shape, *extra), value.dtype)
    elif fault == "dtype":
        inputs[tensor.name] = value.astype(np.float64 if value.dtype.kind != "S" else "S").astype(
            draw(st.sampled_from([np.float64, np.int64, np.int16])) if value.dtype.kind != "S" else "S"
        )
        if value.dtype.kind == "S":
            inputs[tensor.name] = np.zeros(value.shape, np.int32)
    elif fault == "batch":
        number = declaration.max_batch + draw(st.integers(1, 40))
        inputs = good_inputs(signature, number)
    elif fault == "empty":
        inputs = good_inputs(signature, 0)
    elif fault == "lengths":
        other = signature.inputs[-1]
        inputs[other.name] = np.repeat(inputs[other.name], 2, 0)
    elif fault == "missing":
        del inputs[tensor.name]
    else:
        inputs[draw(st.text("abc", min_size=1, max_size=4))] = np.zeros(1, np.int32)
    return Bad(signature.name, inputs, fault)


def to_json(bad):
    """The body of a REST request in the columnar format."""
    inputs = {
        name: (value.astype(str) if value.dtype.kind == "S" else value).tolist() for name, value in bad.inputs.items()
    }
    return json.dumps({"signature_name": bad.signature, "inputs": inputs}).encode()


@st.composite
def bad_bodies(draw, declaration):
    """Bodies of REST requests that must be refused: strategy of pairs of bytes and what is wrong."""
    kind = draw(st.sampled_from(["tensors", "truncated", "bytes", "junk", "nested", "rows", "values"]))
    signature = declaration.signatures["serving_default"]
    good = to_json(Bad("serving_default", good_inputs(signature, 2), ""))
    if kind == "tensors":
        # JSON has no dtypes, and whole numbers of any dtype look alike.
        bad = draw(bad_tensors(declaration).filter(lambda one: one.fault not in ("dtype", "empty")))
        return to_json(bad), bad.fault
    if kind == "truncated":
        return good[: draw(st.integers(0, len(good) - 1))], kind
    if kind == "bytes":
        return b"\x00" + draw(st.binary(max_size=200)), kind
    if kind == "nested":
        return b'{"instances": ' + draw(st.sampled_from([b"[", b'{"a":'])) * draw(st.integers(100, 50_000)), kind
    if kind == "junk":
        key = draw(st.sampled_from(["instances", "inputs", "signature_name", "", "other"]))
        return json.dumps({key: draw(_JUNK)}).encode(), kind
    if kind == "rows":
        rows = [draw(_JUNK), np.zeros(signature.inputs[0].shape).tolist()]
        return json.dumps({"instances": rows}).encode(), kind
    wrong = draw(st.floats() | st.text(max_size=5) | st.integers(2**40, 2**3000))
    value = good_inputs(signature, 1)[signature.inputs[0].name].tolist()
    inner = value
    while isinstance(inner[0], list):
        inner = inner[0]
    inner[0] = [wrong]
    return json.dumps({"inputs": {signature.inputs[0].name: value}}).encode(), kind


@st.composite
def bad_messages(draw, declaration, name):
    """Bytes of `PredictRequest`s: strategy of triples of bytes, what is wrong, and whether they must be refused."""
    import tensorflow as tf

    kind = draw(st.sampled_from(["tensors", "truncated", "changed", "sizes", "content", "dtypes", "names"]))
    bad = draw(bad_tensors(declaration))
    request = predict_pb2.PredictRequest(model_spec={"name": name, "signature_name": bad.signature})
    signature = declaration.signatures[bad.signature]
    inputs = bad.inputs if kind == "tensors" else good_inputs(signature, 2)
    for own, value in inputs.items():
        request.inputs[own].CopyFrom(tf.make_tensor_proto(value))
    first = request.inputs[signature.inputs[0].name] if kind != "tensors" else None
    if kind == "tensors":
        return request.SerializeToString(), bad.fault, True
    if kind == "sizes":
        del first.tensor_shape.dim[:]
        sizes = st.sampled_from([-1, 2**31, 2**40, 2**62, 100_000])
        for size in draw(st.lists(sizes, min_size=1, max_size=10)):
            first.tensor_shape.dim.add(size=size)
    elif kind == "content":
        first.tensor_content = draw(st.binary(min_size=1, max_size=15)) + b"x" * 16
    elif kind == "dtypes":
        own = tf.dtypes.as_dtype(signature.inputs[0].dtype).as_datatype_enum
        first.dtype = draw(st.integers(0, 200).filter(lambda number: number != own))
    elif kind == "names":
        request.model_spec.name = draw(st.text(max_size=9).filter(lambda text: text != name))
    data = bytearray(request.SerializeToString())
    if kind == "truncated":
        return bytes(data[: draw(st.integers(0, len(data) - 1))]), kind, False
    if kind == "changed":
        for _ in range(draw(st.integers(1, 4))):
            data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
        return bytes(data), kind, False
    return bytes(data), kind, True
