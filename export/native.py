"""The check through TensorFlow's C API: builds `c_api/run_saved_model.c` and talks to it."""

import os
import pathlib
import re
import shutil
import subprocess
import sys

import numpy as np

_SOURCE = pathlib.Path(__file__).parent / "c_api" / "run_saved_model.c"


class UnavailableError(Exception):
    """What is needed to build the program isn't there; the text says what."""


def build(folder, include, library):
    """Compiles the C program against the TensorFlow of a Python package.

    Args:
        folder: Where the program is written.
        include: Directory of TensorFlow's headers.
        library: Directory of TensorFlow's libraries.

    Returns:
        Path of the program.

    Raises:
        UnavailableError: If there is no C compiler, or the package has no headers or no library of the C API.
        RuntimeError: If compiling fails.
    """
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None:
        raise UnavailableError(f"no C compiler ({os.environ.get('CC', 'cc')}) was found; set CC to one")
    if not (pathlib.Path(include) / "tensorflow" / "c" / "c_api.h").is_file():
        raise UnavailableError(f"TensorFlow's headers are not in {include}")
    libraries = [
        path
        for stem in ("libtensorflow_cc", "libtensorflow_framework")
        for path in sorted(pathlib.Path(library).glob(f"{stem}.*"))[:1]
    ]
    if len(libraries) < 2:
        raise UnavailableError(f"libtensorflow_cc and libtensorflow_framework are not both in {library}")
    program = pathlib.Path(folder) / "run_saved_model"
    if sys.platform == "linux":
        libraries = [_stand_in(compiler, folder, libraries[0].name)]
    _compile(compiler, "-Wall", "-o", program, f"-I{include}", _SOURCE, *libraries, f"-Wl,-rpath,{library}")
    return program


def _stand_in(compiler, folder, name):
    """A library with the name and the functions of TensorFlow's, to link against: it has a GB, which takes seconds."""
    functions = sorted(set(re.findall(r"\bTF_\w+(?=\()", _SOURCE.read_text())))
    source, library = pathlib.Path(folder) / "stand_in.c", pathlib.Path(folder) / name
    source.write_text("".join(f"void {function}(void) {{}}\n" for function in functions))
    _compile(compiler, "-shared", "-fPIC", "-o", library, source, f"-Wl,-soname,{name}")
    return library


def _compile(compiler, *arguments):
    result = subprocess.run([compiler, "-O1", *map(str, arguments)], capture_output=True, text=True)
    if result.returncode:
        raise RuntimeError(f"the C program can't be compiled: {result.stderr.strip()}")


def run(program, version, signatures, cases):
    """Runs cases through the C program.

    Args:
        program: Path that `build` returned.
        version: Directory of the SavedModel.
        signatures: Dictionary from names to `{"inputs": {name: {"tensor": …}}, "outputs": …}`.
        cases: List of `Case`.

    Returns:
        A list with the outputs of each case, a dictionary of arrays; a string where the runtime gave an error.

    Raises:
        RuntimeError: If the program fails.
    """
    words = []
    for case in cases:
        signature = signatures[case.signature]
        for name, value in case.inputs.items():
            value = np.asarray(value)
            is_bytes = value.dtype.kind == "S"
            words += ["input", *_place(signature["inputs"][name]["tensor"])]
            words += ["string" if is_bytes else value.dtype.name, value.ndim, *value.shape]
            words += [f"x{one.hex()}" if is_bytes else one for one in value.reshape(-1).tolist()]
        for output in signature["outputs"].values():
            words += ["output", *_place(output["tensor"])]
        words.append("run\n")
    result = subprocess.run(
        [str(program), str(version)], input=" ".join(str(word) for word in words), capture_output=True, text=True
    )
    if result.returncode:
        lines = result.stderr.strip().splitlines() or [f"it ended with status {result.returncode}"]
        raise RuntimeError(f"the C program failed: {lines[-1]}")
    lines = iter(result.stdout.splitlines())
    answers = []
    for case in cases:
        answer = {}
        for name in (*signatures[case.signature]["outputs"], None):
            kind, _, text = next(lines, "").partition(" ")
            if kind == "error":
                answer = text
                break
            if kind != ("tensor" if name else "done"):
                raise RuntimeError("the C program failed: its answers are incomplete")
            if name:
                answer[name] = _array(text)
        answers.append(answer)
    return answers


def _place(tensor):
    name, _, index = tensor.rpartition(":")
    return name, int(index)


def _array(text):
    dtype, rank, *rest = text.split()
    shape = [int(size) for size in rest[: int(rank)]]
    values = rest[int(rank) :]
    if dtype == "string":
        dtype, values = "S", [bytes.fromhex(value[1:]) for value in values]
    return np.array(values, dtype).reshape(shape)
