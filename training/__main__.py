"""`python -m training`: trains and evaluates the experiments."""

import argparse
import os
import pathlib
import sys

from training.cdam.commands import add_commands as add_cdam
from training.commands import compile as compile_command
from training.commands import evaluate, prepare_idx, prepare_images, prepare_scenes, train
from training.experiments import EXPERIMENTS
from training.memories import synapses
from training.quiet import quiet_start

EPILOG = """examples:
  python -m training sudoku --preset sudoku4_quick
  python -m training sudoku --preset sudoku9_small --set steps=2000 --run-dir runs/short
  python -m training sudoku --preset sudoku9_small --resume
  python -m training evaluate runs/sudoku9_small --set test_data=9x9_hard --set votes=100
  python -m training compile --preset sudoku9_paper --topology v5e:2x2
  python -m training objects --preset objects_tetrominoes_small
  python -m training hopfield_mnist --preset hopfield_digits
  python -m training memory_editing --preset swap_digits --hopfield runs/hopfield_digits
  python -m training cdam sequence --frames frames/
  python -m training cdam automaton --ask "Who is Bart's father's wife?"
  python -m training prepare-idx --images images.gz --labels labels.gz --name mnist_10k --train 8000
  python -m training prepare-images --train train.npz --test test.npz --name cifar10_jpeg
  python -m training prepare-scenes --pictures /usr/share/tuxpaint/stamps/animals --name animals
"""


def _parser():
    parser = argparse.ArgumentParser(
        prog="python -m training", epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    data = argparse.ArgumentParser(add_help=False)
    data.add_argument("--data-dir", help="where TensorFlow Datasets keeps its data (default: its own)")
    common = argparse.ArgumentParser(add_help=False, parents=[data])
    common.add_argument(
        "--strategy", default="auto", help="auto, cpu, mirrored, multiworker or tpu (default: %(default)s)"
    )
    for name, entry in EXPERIMENTS.items():
        command = commands.add_parser(name, parents=[common], help=entry.help, description=entry.help)
        command.add_argument("--preset", required=True, help="name of a set of options; an unknown one lists them")
        command.add_argument(
            "--set", action="append", default=[], metavar="NAME=VALUE", help="change an option; repeatable"
        )
        for argument, what in entry.arguments.items():
            command.add_argument(f"--{argument}", help=what)
        command.add_argument("--run-dir", type=pathlib.Path, help="directory of the run (default: runs/PRESET)")
        command.add_argument("--resume", action="store_true", help="go on with the run that the directory holds")
        command.add_argument("--profile", metavar="FIRST:LAST", help="write a profile of these updates for TensorBoard")
        command.set_defaults(prepare=train.prepare)
    test = commands.add_parser(
        "evaluate", parents=[common], help="evaluate a trained model", description="Evaluates a trained model."
    )
    test.add_argument("model", help="run directory, .keras file, or preset that comes with trained weights")
    test.add_argument("--preset", help="experiment to evaluate it in, by a preset's name (default: the run's own)")
    test.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="change an option of the evaluation; repeatable",
    )
    test.add_argument(
        "--pictures", metavar="DIR", help="new directory for pictures (default: one in a run's `evaluations`)"
    )
    test.set_defaults(prepare=evaluate.prepare)
    compile_command.add_command(commands, data)
    idx = commands.add_parser(
        "prepare-idx", parents=[data], help="make a data set from idx files, the format MNIST is published in"
    )
    idx.add_argument("--images", required=True, metavar="FILE", help="idx file of the images, .gz or not")
    idx.add_argument("--labels", required=True, metavar="FILE", help="idx file of their labels, .gz or not")
    idx.add_argument("--name", required=True, help="name of the data set")
    idx.add_argument("--train", type=int, metavar="N", help="the first N are to train, the rest to test (default: 4/5)")
    idx.set_defaults(prepare=prepare_idx.prepare)
    images = commands.add_parser(
        "prepare-images",
        parents=[data],
        help="make a data set from .npz files of JPEG images",
        description="Makes a data set from two .npz files, each with the arrays `jpeg` (uint8, the images' bytes "
        "end to end), `lengths` (each image's number of bytes) and `labels` (from 0).",
    )
    images.add_argument("--train", required=True, metavar="FILE", help=".npz file of the train split")
    images.add_argument("--test", required=True, metavar="FILE", help=".npz file of the test split")
    images.add_argument("--name", required=True, help="name of the data set")
    images.set_defaults(prepare=prepare_images.prepare)
    scenes = commands.add_parser(
        "prepare-scenes",
        parents=[data],
        help="make a data set of scenes with masks from pictures that are cut out",
        description="Makes a data set of pictures that are scaled, turned and laid over textures, with the masks.",
    )
    scenes.add_argument(
        "--pictures",
        required=True,
        nargs="+",
        metavar="FOLDER",
        help="with PNG or WebP files, transparent around objects",
    )
    scenes.add_argument("--name", required=True, help="name of the data set")
    for name, default, what in (
        ("size", 128, "height and width of the images"),
        ("train", 10_000, "number of scenes to train"),
        ("test", 320, "number of scenes to test"),
        ("seed", 0, "from which all scenes follow"),
    ):
        scenes.add_argument(f"--{name}", type=int, default=default, metavar="N", help=f"{what} (default: %(default)s)")
    scenes.add_argument(
        "--objects",
        type=int,
        nargs=2,
        default=(2, 6),
        metavar=("FEWEST", "MOST"),
        help="numbers of objects between which a scene's is (default: 2 6)",
    )
    scenes.set_defaults(prepare=prepare_scenes.prepare)
    add_cdam(commands)
    synapses.add_command(commands)
    return parser


def main(arguments=None):
    """Runs a command and returns its exit code.

    0, 2 for bad input, 130 after Ctrl-C, and those of `training.failures` for a training that stopped.
    """
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
    from training.failures import RunError

    try:
        run()
    except KeyboardInterrupt:
        return 130
    except RunError as stop:
        print(f"error: {' '.join(str(stop).split())}", file=sys.stderr)
        return stop.exit_code
    return 0


if __name__ == "__main__":
    code = main()
    if os.environ.get("TF_CONFIG") and code:
        # TensorFlow's runtime would wait for the workers that are gone.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)
