"""Exported models on other runtimes: OpenVINO, ONNX Runtime and LiteRT, each for one signature."""

import contextlib
import json
import logging
import os
import pathlib
import tempfile

import numpy as np

from export.versions import latest_version, read_declaration

# The newest that all of ONNX Runtime, its build for browsers and tf2onnx know.
_OPSET = 18
# Random numbers of a seed, and pictures.
_TENSORFLOW_ONLY = ("StatelessRandom", "DecodeImage", "DecodeJpeg", "DecodePng")


class MissingRuntimeError(ValueError):
    """A package that is needed is not installed; the text says which extra has it."""


class UnsupportedSignatureError(Exception):
    """A runtime does not take a signature; the text says why."""


class OpenVINO:
    """A signature run by OpenVINO in float32 on the CPU.

    OpenVINO reads the SavedModel itself.

    Args:
        version: Directory of the version.
        signature: A `declaration.Signature` of it.

    Raises:
        MissingRuntimeError: If OpenVINO is not installed.
        UnsupportedSignatureError: If OpenVINO does not take the signature.
    """

    title = "OpenVINO"

    def __init__(self, version, signature):
        openvino = _package("openvino", "openvino")
        core = openvino.Core()
        try:
            with _as_default(version, signature.name) as path:
                model = core.read_model(str(path))
            # Numbers may be scalars in TensorFlow; a program has inputs of one rank.
            model.reshape({tensor.name: openvino.PartialShape([-1, *tensor.shape]) for tensor in signature.inputs})
            # Some CPUs would compute in bfloat16 otherwise.
            self._model = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
            names = {name: place for place, output in enumerate(model.outputs) for name in output.get_names()}
            self._places = {name: names[other] for name, other in output_names(signature).items()}
        except Exception as error:
            # Its kinds of errors have no common base.
            raise UnsupportedSignatureError(_reason(error)) from None

    def run(self, inputs):
        """Answers, a dictionary from names to arrays, to a dictionary of arrays with the examples as first axis."""
        found = self._model(inputs)
        return {name: _plain(found[place]) for name, place in self._places.items()}


def _plain(value):
    """An array; of text its UTF-8, as TensorFlow has it."""
    array = np.array(value)
    if array.dtype.kind not in "OU":
        return array
    # Runtimes give text or its bytes.
    texts = [text if isinstance(text, bytes) else str(text).encode() for text in array.ravel().tolist()]
    return np.array(texts).reshape(array.shape)


def output_names(signature):
    """What the outputs of a signature are called where inputs and outputs may not share a name, as in ONNX files.

    Args:
        signature: A `declaration.Signature`.

    Returns:
        Dictionary from the outputs' names in the signature: to the same, or with `_1` behind it where an input has it.
    """
    inputs = {tensor.name for tensor in signature.inputs}
    return {tensor.name: f"{tensor.name}_1" if tensor.name in inputs else tensor.name for tensor in signature.outputs}


class ONNXRuntime:
    """A signature run by ONNX Runtime on the CPU; the arguments and errors are those of `OpenVINO`."""

    title = "ONNX Runtime"

    def __init__(self, version, signature):
        runtime = _package("onnxruntime", "onnx")
        self._names = output_names(signature)
        model = to_onnx(version, signature.name)
        options = runtime.SessionOptions()
        options.log_severity_level = 3
        try:
            self._session = runtime.InferenceSession(
                model.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            # Its kinds of errors have no common base.
            raise UnsupportedSignatureError(_reason(error)) from None

    def run(self, inputs):
        """As of `OpenVINO`."""
        found = self._session.run(list(self._names.values()), inputs)
        return {name: _plain(value) for name, value in zip(self._names, found)}


class LiteRT:
    """A signature run by LiteRT, which was TensorFlow Lite; the arguments and errors are those of `OpenVINO`."""

    title = "LiteRT"

    def __init__(self, version, signature):
        litert = _package("ai_edge_litert.interpreter", "litert")
        import tensorflow as tf

        converter = tf.lite.TFLiteConverter.from_saved_model(str(version), signature_keys=[signature.name])
        try:
            with _silence():
                model = converter.convert()
            self._signature = litert.Interpreter(model_content=model).get_signature_runner(signature.name)
        except Exception as error:
            # The converter has many kinds of errors.
            raise UnsupportedSignatureError(_reason(error)) from None

    def run(self, inputs):
        """As of `OpenVINO`."""
        return self._signature(**inputs)


#: The runtimes by the names that `python -m export check --runtime` takes, besides `c`.
RUNTIMES = {"openvino": OpenVINO, "onnx": ONNXRuntime, "litert": LiteRT}


def to_onnx(version, signature="serving_default"):
    """A signature of an exported model as an ONNX model, with the signature's names of inputs, and `output_names`.

    The limits of the SavedModel are not checked in it: ONNX has no assertions. They are in its metadata, under
    `declaration`.

    Args:
        version: Directory of the version.
        signature: Name of the signature.

    Returns:
        An `onnx.ModelProto`.

    Raises:
        ValueError: If there is no such signature or a package is missing.
        UnsupportedSignatureError: If an op of the signature has no counterpart.
    """
    version = latest_version(version)
    declaration = read_declaration(version)
    if signature not in declaration.signatures:
        raise ValueError(f"There is no signature '{signature}'. There are: {', '.join(declaration.signatures)}.")
    tf2onnx, onnx = _package("tf2onnx", "onnx"), _package("onnx", "onnx")
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    function = _function(version, signature)
    called = output_names(declaration.signatures[signature])
    names = [called[name] for name in sorted(function.structured_outputs)]
    # tf2onnx would try for minutes.
    nodes = [*function.graph.as_graph_def().node]
    nodes += [node for one in function.graph.as_graph_def().library.function for node in one.node_def]
    foreign = sorted({node.op for node in nodes if node.op.startswith(_TENSORFLOW_ONLY)})
    if foreign:
        raise UnsupportedSignatureError(f"no counterpart of {', '.join(foreign)}")
    with _silence():
        frozen = convert_variables_to_constants_v2(function, lower_control_flow=False)
        inside = [tensor.name for tensor in frozen.inputs], [tensor.name for tensor in frozen.outputs]
        graph = frozen.graph.as_graph_def()
        try:
            model, _ = tf2onnx.convert.from_graph_def(graph, signature, *inside, opset=_OPSET)
        except Exception as error:
            # tf2onnx raises many kinds of errors.
            raise UnsupportedSignatureError(_reason(error)) from None
    shapes = {tensor.name: tensor.shape for tensor in declaration.signatures[signature].inputs}
    _rename(onnx, model, [tensor.rpartition(":")[0] for tensor in inside[0]], names, shapes)
    model.doc_string = f"{declaration.text} {declaration.signatures[signature].text}"
    model.metadata_props.add(key="declaration", value=json.dumps(declaration.to_json()))
    return model


def write_onnx(version, path, signature="serving_default"):
    """Writes what `to_onnx` makes to a file, which must not be there.

    Returns:
        Number of bytes.
    """
    path = pathlib.Path(path)
    if path.exists():
        raise ValueError(f"'{path}' is there already, and is not overwritten.")
    data = to_onnx(version, signature).SerializeToString()
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(data)
        temporary.rename(path)
    finally:
        temporary.unlink(missing_ok=True)
    return len(data)


def _rename(onnx, model, inputs, outputs, shapes):
    """Gives a model's inputs and outputs their names in the signature, by nodes that change nothing."""
    graph = model.graph
    first, last = [], []
    for value, name in zip(graph.input, inputs):
        first.append(onnx.helper.make_node("Identity", [name], [value.name]))
        value.name = name
        del value.type.tensor_type.shape.dim[:]
        for size in ("batch", *shapes[name]):
            value.type.tensor_type.shape.dim.add(**{"dim_param" if size == "batch" else "dim_value": size})
    for value, name in zip(graph.output, outputs):
        last.append(onnx.helper.make_node("Identity", [value.name], [name]))
        value.name = name
        if value.type.tensor_type.shape.dim:
            value.type.tensor_type.shape.dim[0].dim_param = "batch"
    nodes = [*first, *graph.node, *last]
    del graph.node[:]
    graph.node.extend(nodes)
    try:
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError as error:
        # An op that tf2onnx left as it was.
        raise UnsupportedSignatureError(_reason(error)) from None


@contextlib.contextmanager
def _as_default(version, signature):
    """A directory with the SavedModel whose `serving_default` is another signature: what some programs can't choose."""
    from tensorflow.core.protobuf import saved_model_pb2

    version = pathlib.Path(version).absolute()
    message = saved_model_pb2.SavedModel.FromString((version / "saved_model.pb").read_bytes())
    chosen = message.meta_graphs[0].signature_def
    chosen["serving_default"].CopyFrom(chosen[signature])
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "saved_model.pb").write_bytes(message.SerializeToString())
        (folder / "variables").symlink_to(version / "variables")
        yield folder


def _function(version, signature):
    import tensorflow as tf

    # The module holds the variables: without it they are gone.
    module = tf.saved_model.load(str(version))
    function = module.signatures[signature]
    function.module = module
    return function


def _package(name, extra):
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingRuntimeError(
            f"The package {name.partition('.')[0]} is needed ({error}). Install the extra: pip install '.[{extra}]'"
        ) from None


@contextlib.contextmanager
def _silence():
    """Without the converters' own messages: what they could not do is raised."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with open(os.devnull, "w") as nothing, contextlib.redirect_stdout(nothing), contextlib.redirect_stderr(nothing):
            yield
    finally:
        logging.disable(before)


def _reason(error):
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if "No conversion rule" in line or "not supported" in line.lower()]
    return (telling or lines or [type(error).__name__])[0][:200]
