"""Runs a SavedModel in a process that can import neither Keras nor this library: a script, never imported.

    python -P fresh_process.py VERSION CASES.npz ANSWERS.npz BATCH_SIZES

runs the inputs of the cases (see `export.golden`) at several batch sizes (a JSON list), writes the answers, and prints
one JSON object on the last line: the signatures with their tensors, the ops, what is wrong with them, and with which
messages the cases were rejected that must be.
"""

import json
import pathlib
import sys

HIDDEN = ("keras", "tf_keras", "keras_kuramoto", "training", "export")
# Ops that call back into Python, and those that only run where XLA's compiler is linked in.
_REJECTED = ("PyFunc", "PyFuncStateless", "EagerPyFunc")
# Ops by which weights, which may be in half precision, are kept and passed on.
_STORING = (
    "VarHandleOp",
    "AssignVariableOp",
    "ReadVariableOp",
    "VarIsInitializedOp",
    "SaveV2",
    "RestoreV2",
    "Identity",
    "Const",
    "Placeholder",
    "NoOp",
    "PartitionedCall",
    "StatefulPartitionedCall",
)
_REJECTED_PREFIXES = ("Xla", "_Xla", "TPU")


class _Hide:
    """A finder that doesn't find what is hidden.

    `import tensorflow` imports Keras if it is installed: as a server has none, it must look as if it isn't.
    """

    def __init__(self, finder):
        self._finder = finder

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in HIDDEN:
            return None
        return self._finder.find_spec(name, path, target)


def main(version, cases_path, answers_path, batch_sizes):
    """Runs the cases of one file, see the module's docstring."""
    sys.meta_path[:] = [_Hide(finder) for finder in sys.meta_path]

    import numpy as np
    import tensorflow as tf
    from tensorflow.core.protobuf import saved_model_pb2

    message = saved_model_pb2.SavedModel.FromString((pathlib.Path(version) / "saved_model.pb").read_bytes())
    (graph,) = message.meta_graphs
    signatures = {
        name: {"inputs": _tensors(tf, signature.inputs), "outputs": _tensors(tf, signature.outputs)}
        for name, signature in graph.signature_def.items()
        if not name.startswith("__")
    }
    ops, problems = _ops(graph.graph_def)

    functions = tf.saved_model.load(version).signatures
    cases, faulty = {}, set()
    with np.load(cases_path) as arrays:
        for key in arrays.files:
            index, signature, kind, name = key.split("/")
            if kind == "inputs":
                cases.setdefault((index, signature), {})[name] = arrays[key]
            elif kind == "error":
                faulty.add(index)
    answers, rejections = {}, {}
    for (index, signature), inputs in cases.items():
        if signature not in functions:
            problems.append(f"there is no signature {signature}")
            continue
        if index in faulty:
            try:
                functions[signature](**{name: tf.constant(value) for name, value in inputs.items()})
            except tf.errors.InvalidArgumentError as raised:
                rejections[index] = str(raised)
            continue
        for number in batch_sizes:
            # The same examples again after the last one, as `Case.examples` has them.
            fed = {n: value[np.arange(number) % len(value)] if value.ndim else value for n, value in inputs.items()}
            outputs = functions[signature](**{name: tf.constant(value) for name, value in fed.items()})
            answers.update({f"{index}/{number}/{name}": _array(np, value) for name, value in outputs.items()})
    np.savez(answers_path, **answers)

    hidden = sorted({name.partition(".")[0] for name in sys.modules} & set(HIDDEN))
    problems += [f"the process imported {name}" for name in hidden]
    report = {
        "tensorflow": tf.__version__,
        "signatures": signatures,
        "ops": ops,
        "problems": problems,
        "rejections": rejections,
        # For the program that uses the C API.
        "include": tf.sysconfig.get_include(),
        "library": tf.sysconfig.get_lib(),
    }
    print(json.dumps(report))


def _array(np, tensor):
    array = tensor.numpy()
    # Strings come as objects, which can't be written without pickling.
    return array.astype("S") if array.dtype.kind == "O" else array


def _tensors(tf, infos):
    return {
        name: {
            "tensor": info.name,
            "dtype": tf.dtypes.as_dtype(info.dtype).name,
            # null where the rank is not known, -1 where a size is not.
            "shape": None if info.tensor_shape.unknown_rank else [dim.size for dim in info.tensor_shape.dim],
        }
        for name, info in infos.items()
    }


def _ops(graph):
    from tensorflow.python.framework import op_def_registry

    functions = {function.signature.name for function in graph.library.function}
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    ops = sorted({node.op for node in nodes} - functions)
    problems = [
        f"the op {op} is not one of TensorFlow's own that a server can run"
        for op in ops
        if op_def_registry.get(op) is None or op in _REJECTED or op.startswith(_REJECTED_PREFIXES)
    ]
    # Saving and restoring is placed on the CPU, which every server has.
    devices = sorted({node.device for node in nodes if node.device and "CPU" not in node.device})
    problems += [f"some of the graph is placed on {device}" for device in devices]
    problems += [
        f"the function {function.signature.name} must be compiled by XLA"
        for function in graph.library.function
        if function.attr["_XlaMustCompile"].b
    ]
    for name, number in (("float16", 19), ("bfloat16", 14)):
        computing = sorted({node.op for node in nodes if _computes_in(node, number)})
        if computing:
            problems.append(f"the graph computes in {name}: {', '.join(computing)}")
    return ops, problems


def _computes_in(node, number):
    """Whether a node does more with numbers of this type than to store them and to turn them into others."""
    if node.op in _STORING:
        return False
    types = [node.attr["DstT"]] if node.op == "Cast" else node.attr.values()
    return any(number == value.type or number in value.list.type for value in types)


if __name__ == "__main__":
    main(*sys.argv[1:4], json.loads(sys.argv[4]))
