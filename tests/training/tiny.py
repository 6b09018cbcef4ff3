"""A tiny Sudoku experiment that needs no data set; as a script, trains it on a strategy and prints the losses.

A run directory with a checkpoint is gone on with.

python tests/training/tiny.py STRATEGY LOGICAL_CPUS RUN_DIR [OPTIONS AS JSON]
"""

import json
import pathlib
import sys

import numpy as np

from training import sudoku
from training.loop import Trainer
from training.runs import RunDirectory
from training.strategies import make_strategy

GRID = np.array([[1, 2, 3, 4], [3, 4, 1, 2], [2, 1, 4, 3], [4, 3, 2, 1]], "int32")


def boards(seed):
    """64 boards, about two fifths of them blank, of relabelled copies of one grid."""
    rng = np.random.default_rng(seed)
    solutions = np.stack([(rng.permutation(4) + 1)[GRID - 1] for _ in range(64)]).astype("int32")
    puzzles = np.where(rng.random(solutions.shape) < 0.4, 0, solutions).astype("int32")
    return {"puzzle": puzzles, "solution": solutions, "givens": (puzzles > 0).sum((1, 2)).astype("int32")}


class TinyExperiment(sudoku.SudokuExperiment):
    """The Sudoku experiment on those boards."""

    def train_boards(self):
        return boards(0)

    def test_boards(self):
        return boards(1)


def options(**changes):
    defaults = dict(
        data="4x4",
        model="sudoku4_quick",
        arguments={"channels": 16, "connectivity": {"heads": 2}},
        symmetries=True,
        min_steps=2,
        max_steps=4,
        test_steps=[4],
        steps=8,
        batch_size=8,
        steps_per_call=2,
        evaluate_every=4,
        checkpoint_every=4,
        warmup_steps=2,
        learning_rate=0.01,
    )
    return sudoku.SudokuOptions(**{**defaults, **changes})


def make_trainer(path, strategy=None, **changes):
    run = RunDirectory(path)
    settings = options(**changes)
    run.create({"experiment": "sudoku", "preset": "tiny", "options": settings})
    return Trainer(TinyExperiment(settings), run, strategy or make_strategy("cpu"), verbose=False)


def losses(path):
    results = json.loads(RunDirectory(path).results.read_text())
    return [
        (result["step"], result["train"].get("loss"), result["test"]["blank_cell_accuracy_4_steps"])
        for result in results
    ]


if __name__ == "__main__":
    import tensorflow as tf

    name, count, path = sys.argv[1], int(sys.argv[2]), pathlib.Path(sys.argv[3])
    if count > 1:
        cpu = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * count)
    trainer = make_trainer(path, make_strategy(name), **json.loads("".join(sys.argv[4:]) or "{}"))
    assert trainer.strategy.num_replicas_in_sync == (2 if name in ("mirrored", "multiworker") else 1)
    trainer.restore()
    trainer.train()
    if trainer.chief:
        print("LOSSES " + json.dumps(losses(path)))
