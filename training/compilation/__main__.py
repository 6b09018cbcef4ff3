"""Compiles in a process of its own, whose environment `training.compilation.run` has set: prints JSON."""

import json
import os
import sys

from training.compilation.chips import Slice


def main(arguments):
    """Compiles what a request asks for.

    Args:
        arguments: A request as JSON: the `preset`, the `topology`, `settings` as for `--set`, `data_dir`, `split`, and
            the `batch` to compile for on JAX. Without a topology it is the batch that is asked for.

    Returns:
        What to print: `{"answer": …}`, a batch, or a program as from `Compiler.describe`; or `{"refused": reason}`.
    """
    request = json.loads(arguments)
    try:
        return {"answer": _batch(request) if request["topology"] is None else _program(request)}
    except ValueError as error:
        return {"refused": " ".join(str(error).split())}


def _batch(request):
    from training.compilation.presets import step_of

    return step_of(request["preset"], request["settings"], request["data_dir"], 1).batch()


def _program(request):
    topology = Slice.parse(request["topology"])
    # First, as nothing else takes so little time to fail.
    from training.compilation.compiler import Compiler

    compiler = Compiler(topology)
    from training.compilation.presets import step_of

    groups = topology.chips // request["split"]
    step = step_of(request["preset"], request["settings"], request["data_dir"], groups)
    if os.environ["KERAS_BACKEND"] == "tensorflow":
        return {**step.sizes, **compiler.stablehlo(step.tensorflow(topology.chips))}
    return {**step.sizes, **compiler.lowered(step.jax(request["batch"], compiler.devices, groups))}


if __name__ == "__main__":
    # Whatever libraries print goes elsewhere.
    answers, sys.stdout = sys.stdout, sys.stderr
    print(json.dumps(main(sys.argv[1])), file=answers, flush=True)
