"""`python -m benchmarks`: the AKOrN Sudoku model against what its matrix products alone would take.

Prints, for a training step and a forward pass, the time; the time that the matrix products would take at the rate which
large matrix products reach on this machine in the same run, and its share; the time that products of the steps' own
sizes take by themselves, compiled by XLA, and its share; and the compile time for several numbers of steps.
"""

import argparse
import functools
import json
import statistics
import time

import keras
import numpy as np
import tensorflow as tf

from keras_kuramoto.models import SudokuModel


def product_flops(channels, tokens, length, steps):
    """Floating-point operations of the matrix products of one forward pass."""
    step = 8 * channels**2 + 4 * length * channels
    head = (2 * 4 + 2 * 3) * channels**2 + 2 * channels * 9
    return tokens * (steps * step + head)


def best_of(function, seconds=4.0):
    """Median time of a call, after one that is not counted."""
    function()
    times, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 5:
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def gemm_rate(size=1536):
    """Floating-point operations per second of a large float32 matrix product in TensorFlow."""
    a = tf.random.normal((size, size))
    return 2 * size**3 / best_of(lambda: tf.matmul(a, a).numpy(), 2.0)


def own_products(channels, batch, length, steps, heads=8):
    """Seconds of the steps' products by themselves, in their own sizes: of a forward pass, and with their gradients."""
    sizes = [
        ((batch * length, channels), (channels, 3 * channels)),
        ((batch * heads, length, channels // heads), (batch * heads, channels // heads, length)),
        ((batch * heads, length, length), (batch * heads, length, channels // heads)),
        ((batch * length, channels), (channels, channels)),
    ]

    @tf.function(jit_compile=True)
    def products(pairs):
        return [tf.matmul(a, b) for a, b in pairs]

    @tf.function(jit_compile=True)
    def gradients(pairs, upstream):
        return [
            (tf.matmul(y, b, transpose_b=True), tf.matmul(a, y, transpose_a=True)) for (a, b), y in zip(pairs, upstream)
        ]

    forward = backward = 0.0
    for shapes in sizes:
        # As many in a call as there are steps: a call by itself takes time too.
        pairs = [tuple(map(tf.random.normal, shapes)) for _ in range(steps)]
        forward += best_of(functools.partial(_wait_for, products, pairs), 0.5)
        backward += best_of(functools.partial(_wait_for, gradients, pairs, products(pairs)), 0.5)
    return forward, forward + backward


def _wait_for(function, *arguments):
    for result in tf.nest.flatten(function(*arguments)):
        result.numpy()


def make_functions(model, steps):
    """The compiled forward pass and training step, without optimizer."""
    variables = [v.value for v in model.trainable_variables]

    @tf.function(jit_compile=True)
    def forward(board, noise):
        return model.run(board, noise, num_steps=steps)

    @tf.function(jit_compile=True)
    def train(board, noise, solution):
        with tf.GradientTape() as tape:
            logits = model.run(board, noise, num_steps=steps)
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(solution, logits))
        return loss, [tf.convert_to_tensor(grad) for grad in tape.gradient(loss, variables)]

    return forward, train


def main():
    """Runs the benchmark and prints its table, or JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("--channels", type=int, default=256)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--steps", type=int, default=16)
    parser.add_argument("--json", action="store_true", help="print JSON in place of a table")
    parser.add_argument(
        "--rounds", type=int, default=3, help="rounds of which the median counts (default: %(default)s)"
    )
    options = parser.parse_args()
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    board = tf.constant(rng.integers(0, 10, (options.batch_size, 9, 9)), tf.int32)
    solution = tf.constant(rng.integers(0, 9, (options.batch_size, 9, 9)), tf.int32)
    noise = tf.random.normal((options.batch_size, 9, 9, options.channels))
    model = SudokuModel.from_preset("sudoku9_paper", load_weights=False, channels=options.channels)
    forward, train = make_functions(model, options.steps)
    flops = product_flops(options.channels, options.batch_size * 81, 81, options.steps)
    rows = {
        "forward": (lambda: forward(board, noise).numpy(), flops),
        "training": (lambda: train(board, noise, solution)[0].numpy(), 3 * flops),
    }
    ratios = {name: [] for name in rows}
    times = {name: [] for name in rows}
    own, own_ratios = {name: [] for name in rows}, {name: [] for name in rows}
    rates = []
    for _ in range(options.rounds):
        # The machine's speed drifts: each ratio is of what was measured side by side.
        rates.append(gemm_rate())
        alone = own_products(options.channels, options.batch_size, 81, options.steps)
        for (name, (function, operations)), seconds in zip(rows.items(), alone):
            times[name].append(best_of(function))
            ratios[name].append(operations / rates[-1] / times[name][-1])
            own[name].append(seconds)
            own_ratios[name].append(seconds / times[name][-1])
    compile_times = {}
    for steps in (4, 16, 64):
        for name, function, arguments in (
            ("forward", 0, (board, noise)),
            ("training", 1, (board, noise, solution)),
        ):
            start = time.perf_counter()
            make_functions(model, steps)[function].experimental_get_compiler_ir(*arguments)(stage="optimized_hlo")
            compile_times[f"{name}, T = {steps}"] = time.perf_counter() - start
    result = {
        "gemm_gflops": statistics.median(rates) / 1e9,
        **{f"{name}_ms": 1e3 * statistics.median(times[name]) for name in rows},
        **{f"{name}_share": statistics.median(ratios[name]) for name in rows},
        **{f"{name}_own_products_ms": 1e3 * statistics.median(own[name]) for name in rows},
        **{f"{name}_own_products_share": statistics.median(own_ratios[name]) for name in rows},
        "compile_seconds": compile_times,
    }
    if options.json:
        print(json.dumps(result, indent=1))
        return
    print(f"AKOrN, {options.channels} channels, T = {options.steps}, batch {options.batch_size}, TensorFlow with XLA")
    print(f"large matrix products: {result['gemm_gflops']:.0f} GFLOP/s")
    for name, (_, operations) in rows.items():
        print(
            f"{name:9s} {result[f'{name}_ms']:7.0f} ms   its matrix products at that rate "
            f"{operations / statistics.median(rates) * 1e3:7.0f} ms   share {100 * result[f'{name}_share']:.0f} %   "
            f"in their own sizes {result[f'{name}_own_products_ms']:.0f} ms   share "
            f"{100 * result[f'{name}_own_products_share']:.0f} %"
        )
    for name, seconds in compile_times.items():
        print(f"compiling {name}: {seconds:.1f} s")


if __name__ == "__main__":
    main()
