"""Compiles in a process of its own, whose environment `training.compilation.run` has set: prints JSON."""

import json
import os
import sys

from training.compilation.chips import Slice


def main(arguments):
    """Compiles what a request asks for.

    Args:
        arguments: A request as JSON: the `preset`, the `topology`, `settings` as for `--set`, and `data_dir`.

    Returns:
        What to print: `{"program": …}` as from `Compiler.describe`, or `{"refused": reason}`.
    """
    request = json.loads(arguments)
    topology = Slice.parse(request["topology"])
    try:
        return {"program": _program(request, topology)}
    except ValueError as error:
        return {"refused": " ".join(str(error).split())}


def _program(request, topology):
    # First, as nothing else takes so little time to fail; and before TensorFlow, whose protocol buffers differ.
    from training.compilation.compiler import Compiler

    compiler = Compiler(topology)
    from training.compilation.presets import step_of

    step = step_of(request["preset"], request["settings"], request["data_dir"], topology.chips)
    if os.environ["KERAS_BACKEND"] == "tensorflow":
        return {**step.sizes, **compiler.stablehlo(step.tensorflow(topology.chips))}
    return {**step.sizes, **compiler.lowered(step.jax(compiler.devices))}


if __name__ == "__main__":
    # Whatever libraries print goes elsewhere.
    answers, sys.stdout = sys.stdout, sys.stderr
    print(json.dumps(main(sys.argv[1])), file=answers, flush=True)
