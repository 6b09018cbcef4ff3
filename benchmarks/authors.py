"""`python -m benchmarks.authors CHECKOUT`: the AKOrN Sudoku model beside the authors' own, in PyTorch, in one run.

CHECKOUT is a directory with the authors' code, https://github.com/autonomousvision/akorn, which has to be there
already, as have PyTorch and einops. Both models have the same weights and see the same boards, whose cells are all
given, so that no random start tells them apart. Each runs in a process of its own, and they take turns. Prints the
median times of a forward pass and of a training step (loss and gradients, no optimizer), their ratios, and the two
losses.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np

HEADS = 8


def boards(batch_size):
    """Boards `(batch, 9, 9)` with a digit from 1 to 9 in each cell, and digits 0-8 to be learned."""
    rng = np.random.default_rng(0)
    return rng.integers(1, 10, (batch_size, 9, 9)), rng.integers(0, 9, (batch_size, 9, 9))


def authors(options):
    """The authors' model: `(forward, train)`, of which `train` gives the loss."""
    import torch

    sys.path.insert(0, options.checkout)
    from source.models.sudoku.knet import SudokuAKOrN

    torch.manual_seed(0)
    model = SudokuAKOrN(n=4, ch=options.channels, T=options.steps, heads=HEADS)
    np.savez(options.weights, **{name: weight.numpy() for name, weight in model.state_dict().items()})
    if options.compile:
        model = torch.compile(model)
    board, solution = map(torch.from_numpy, boards(options.batch_size))
    digits = torch.nn.functional.one_hot(board - 1, 9).int()
    given = torch.ones(*board.shape, 1)

    def forward():
        with torch.no_grad():
            model(digits, given)

    def train():
        model.zero_grad()
        logits = model(digits, given)
        loss = torch.nn.functional.cross_entropy(logits.reshape(-1, 9), solution.reshape(-1))
        loss.backward()
        return float(loss)

    return forward, train


def ours(options):
    """This library's model with the authors' weights: `(forward, train)`."""
    import tensorflow as tf

    from benchmarks.__main__ import make_functions
    from keras_kuramoto.interop.akorn import sudoku_model

    config = {"n": 4, "ch": options.channels, "T": options.steps, "heads": HEADS}
    model = sudoku_model(np.load(options.weights), {**config, "use_omega": True, "global_omg": True})
    board, solution = [tf.constant(part, tf.int32) for part in boards(options.batch_size)]
    noise = tf.random.normal((*board.shape, options.channels))
    forward, train = make_functions(model, options.steps)
    return lambda: forward(board, noise).numpy(), lambda: float(train(board, noise, solution)[0])


def work(options):
    """One side: for each line of the input that names a function, its seconds and its result as a line of JSON."""
    forward, train = {"authors": authors, "ours": ours}[options.side](options)
    functions = {"forward": forward, "training": train}
    for function in functions.values():
        function()
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        start = time.perf_counter()
        result = functions[line.strip()]()
        print(json.dumps([time.perf_counter() - start, result if line.strip() == "training" else None]), flush=True)


def main():
    """Runs the benchmark and prints its table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.authors", description=__doc__.splitlines()[0])
    parser.add_argument("checkout", help="directory with the authors' code")
    parser.add_argument("--channels", type=int, default=256)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--steps", type=int, default=16)
    parser.add_argument("--compile", action="store_true", help="compile the authors' model, by `torch.compile`")
    parser.add_argument("--rounds", type=int, default=12, help="turns of each side (default: %(default)s)")
    parser.add_argument("--side", choices=("authors", "ours"), help=argparse.SUPPRESS)
    parser.add_argument("--weights", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        work(options)
        return
    if not (pathlib.Path(options.checkout) / "source/models/sudoku/knet.py").exists():
        parser.error(f"no source/models/sudoku/knet.py in {options.checkout}: not the authors' code")
    times = {(side, name): [] for side in ("authors", "ours") for name in ("forward", "training")}
    losses, processes = {}, {}
    with tempfile.TemporaryDirectory() as directory:
        for side in ("authors", "ours"):
            # The authors' side writes the weights that ours reads.
            command = [sys.executable, "-m", "benchmarks.authors", *sys.argv[1:], "--side", side]
            processes[side] = subprocess.Popen(
                [*command, "--weights", f"{directory}/weights.npz"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            if json.loads(processes[side].stdout.readline() or "null") != "ready":
                sys.exit(f"The process of {side} ended.")
        for _ in range(options.rounds):
            for (side, name), seconds in times.items():
                # Threads that wait for more work of the other side would take its time.
                time.sleep(0.3)
                processes[side].stdin.write(name + "\n")
                processes[side].stdin.flush()
                taken, loss = json.loads(processes[side].stdout.readline())
                seconds.append(taken)
                losses[side] = loss if loss is not None else losses.get(side)
        for process in processes.values():
            process.stdin.close()
            process.wait()
    compiled = ", by torch.compile" if options.compile else ""
    print(f"AKOrN, {options.channels} channels, T = {options.steps}, batch {options.batch_size}")
    print(f"| | authors' PyTorch{compiled} | ours | ratio |\n| --- | ---: | ---: | ---: |")
    for name in ("forward", "training"):
        theirs, own = [statistics.median(times[side, name]) for side in ("authors", "ours")]
        ratio = statistics.median(a / b for a, b in zip(times["authors", name], times["ours", name]))
        print(f"| {name} | {1e3 * theirs:.0f} ms | {1e3 * own:.0f} ms | {ratio:.2f} |")
    print(f"losses: {losses['authors']:.6f} and {losses['ours']:.6f}")


if __name__ == "__main__":
    main()
