"""`python -m benchmarks.serving_variants [SOURCE …]`: weights in half precision, and XLA, against a plain export.

For each model of Sudoku, objects or classes, a run directory or a preset with weights: the bytes of its weights, how
far answers with float16 weights are from those with float32 ones, and the time of `serving_default` at several batch
sizes as it is exported, with float16 weights, and of `compiled`. Each time is the least of several, the variants taking
turns. `cold` is the first request of a batch size, which XLA compiles for.
"""

import argparse
import os
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

from export.servers import server_for
from training.datasets.sudoku.generator import generate_puzzles
from training.source import load_model

_BATCHES = (1, 8, 32)


def sudoku_boards(number):
    """Boards with 31 to 42 givens that no model was trained on."""
    return {"board": generate_puzzles(number, side="test", seed=99, progress=False).puzzle}


def answer_in_batches(function, inputs, size=32):
    """All answers, a dictionary of arrays."""
    number = len(next(iter(inputs.values())))
    parts = [
        function(**{name: tf.constant(value[start : start + size]) for name, value in inputs.items()})
        for start in range(0, number, size)
    ]
    return {name: np.concatenate([part[name].numpy() for part in parts]) for name in parts[0]}


def compare(source, examples, repeats):
    """Prints the lines of one model."""
    plain = server_for(load_model(source))
    half = server_for(load_model(source), "float16")
    inputs = sudoku_boards(examples) if plain.family.kind == "sudoku" else plain.good_cases()[0].examples(32).inputs
    print(f"{source}, {plain.family.kind}")
    sizes = [sum(w.numpy().nbytes for w in server.variables) for server in (plain, half)]
    print(f"  weights: {sizes[0]:,} bytes, in float16 {sizes[1]:,}")
    answers = [answer_in_batches(server.functions["serving_default"], inputs) for server in (plain, half)]
    for name in answers[0]:
        one, other = (answer[name] for answer in answers)
        if one.dtype.kind == "f":
            print(f"  {name}: float16 weights change it by at most {np.abs(one - other).max():.1e}")
        elif name != "steps":
            print(
                f"  {name}: {np.mean(one != other):.2%} of the numbers differ; {one.mean():.4f} and {other.mean():.4f}"
            )
    compiled = server_for(load_model(source), xla=True).functions["compiled"]
    variants = {
        "as exported": plain.functions["serving_default"],
        "float16": half.functions["serving_default"],
        "compiled": compiled,
    }
    for batch in _BATCHES:
        fed = {name: tf.constant(value[:batch]) for name, value in inputs.items()}
        start = time.perf_counter()
        compiled(**fed)
        cold, best = time.perf_counter() - start, dict.fromkeys(variants, np.inf)
        for _ in range(repeats):
            for name, function in variants.items():
                start = time.perf_counter()
                for value in function(**fed).values():
                    value.numpy()
                best[name] = min(best[name], time.perf_counter() - start)
        times = ", ".join(f"{name} {1000 * seconds:.1f} ms" for name, seconds in best.items())
        print(f"  batch {batch}: {times} (cold {1000 * cold:.0f} ms)")


def main(arguments=None):
    """Runs the command; gives the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving_variants", description=__doc__)
    parser.add_argument("sources", metavar="SOURCE", nargs="*", default=["sudoku9_small", "objects_tetrominoes_small"])
    parser.add_argument("--examples", type=int, default=500, metavar="N", help="default: %(default)s")
    parser.add_argument("--repeats", type=int, default=10, metavar="N", help="default: %(default)s")
    options = parser.parse_args(arguments)
    for source in options.sources:
        compare(source, options.examples, options.repeats)
    return 0


if __name__ == "__main__":
    sys.exit(main())
