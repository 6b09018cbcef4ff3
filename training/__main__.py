"""`python -m training`: trains and evaluates the experiments."""

import argparse
import os
import pathlib
import sys

from training.commands import evaluate, train
from training.quiet import quiet_start

EPILOG = """examples:
  python -m training sudoku --preset sudoku4_quick
  python -m training sudoku --preset sudoku9_small --set steps=2000 --run-dir runs/short
  python -m training sudoku --preset sudoku9_small --resume
  python -m training evaluate runs/sudoku9_small --data 9x9_hard --num-steps 128 --votes 100
"""


def _parser():
    parser = argparse.ArgumentParser(
        prog="python -m training", epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--data-dir", help="where TensorFlow Datasets keeps its data (default: its own)")
    common.add_argument(
        "--strategy", default="auto", help="auto, cpu, mirrored, multiworker or tpu (default: %(default)s)"
    )
    sudoku = commands.add_parser("sudoku", parents=[common], help="train a Sudoku model")
    sudoku.add_argument("--preset", required=True, help="name of a set of options; an unknown one lists them")
    sudoku.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="change an option; repeatable")
    sudoku.add_argument("--run-dir", type=pathlib.Path, help="directory of the run (default: runs/PRESET)")
    sudoku.add_argument("--resume", action="store_true", help="go on with the run that the directory holds")
    sudoku.set_defaults(prepare=train.prepare)
    test = commands.add_parser("evaluate", parents=[common], help="solve boards with a trained Sudoku model")
    test.add_argument("model", help="run directory, .keras file, or preset that comes with trained weights")
    test.add_argument("--data", default=None, help="data set, or text file of boards (default: the model's test set)")
    test.add_argument("--num-steps", type=int, nargs="+", help="numbers of Kuramoto steps (default: the model's own)")
    test.add_argument("--votes", type=int, default=1, help="initial oscillators for each board (default: %(default)s)")
    test.add_argument(
        "--energy",
        choices=("sum", "last"),
        default="sum",
        help="vote by the sum of the energies over the steps, or by the last (default: %(default)s)",
    )
    test.add_argument("--limit", type=int, help="only the first so many boards")
    test.add_argument("--batch-size", type=int, default=250, help="boards solved at once (default: %(default)s)")
    test.add_argument("--seed", type=int, default=0, help="seed of the initial oscillators (default: %(default)s)")
    test.set_defaults(prepare=evaluate.prepare)
    return parser


def main(arguments=None):
    """Runs a command and returns its exit code: 0, 2 for bad input, 130 for an interruption."""
    options = _parser().parse_args(arguments)
    # Whatever backend the user's Keras is set to: the loop is TensorFlow's.
    os.environ["KERAS_BACKEND"] = "tensorflow"
    with quiet_start():
        import keras  # noqa: F401
        import tensorflow_datasets  # noqa: F401
    try:
        # Bad input shows while a command prepares; a ValueError later is a fault of ours and shows in full.
        run = options.prepare(options)
    except ValueError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    try:
        run()
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
