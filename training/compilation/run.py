"""Compiling in a process of its own: the compiler reads its environment once, and a backend is chosen once."""

import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[2]
BACKENDS = ("tensorflow", "jax")


def compile_step(preset, topology, settings=(), data_dir=None, backend="tensorflow", split=1):
    """Compiles the step of a preset for a slice.

    Args:
        preset: Name of the preset.
        topology: A `training.compilation.chips.Slice`.
        settings: Strings `name=value` that change its options.
        data_dir: Where TensorFlow Datasets keeps its data; none is read.
        backend: `"tensorflow"`, as each chip runs it under the loop, or `"jax"`, one program for all chips.
        split: Number of chips that share the channels of the model; on JAX alone. The batch is shared by so many
            groups of chips.

    Returns:
        Dictionary: `batch_size` and `batch_of_a_chip` of an update, and what
        `training.compilation.compiler.Compiler.describe` returns.

    Raises:
        ValueError: If the step is none, or none that a TPU can run.
    """
    request = {"preset": preset, "settings": list(settings), "data_dir": data_dir, "topology": None, "split": split}
    # From wherever it is called.
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, **topology.environment(), "PYTHONPATH": path, "TF_CPP_MIN_LOG_LEVEL": "3"}
    # Flags for other devices stop the compiler.
    environment.pop("XLA_FLAGS", None)
    # Batches are TensorFlow's, whatever runs a step.
    batch = _ask(request, {**environment, "KERAS_BACKEND": "tensorflow"}) if backend == "jax" else None
    return _ask({**request, "topology": str(topology), "batch": batch}, {**environment, "KERAS_BACKEND": backend})


def _ask(request, environment):
    answer = subprocess.run(
        [sys.executable, "-m", "training.compilation", json.dumps(request)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if answer.returncode:
        lines = answer.stderr.strip().splitlines() or [f"it ended with {answer.returncode}"]
        raise RuntimeError(f"The compiler stopped without an answer: {lines[-1]}\n\n{answer.stderr}")
    result = json.loads(answer.stdout)
    if "refused" in result:
        raise ValueError(result["refused"])
    return result["answer"]
