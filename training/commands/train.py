"""`python -m training sudoku`."""

import pathlib
import sys

from training.options import with_settings
from training.runs import RunDirectory


def prepare(options):
    """Checks the options, builds the model and opens the run directory.

    Args:
        options: The parsed command line.

    Returns:
        A function that trains.

    Raises:
        ValueError: For bad input, before anything is written over.
    """
    # TensorFlow starts only now: `--help` should not wait for it.
    from training.loop import Trainer
    from training.strategies import make_strategy
    from training.sudoku import PRESETS, SudokuExperiment

    if options.preset not in PRESETS:
        raise ValueError(f"Unknown preset '{options.preset}'. Known: {', '.join(PRESETS)}.")
    settings = with_settings(PRESETS[options.preset], options.set)
    run = RunDirectory(options.run_dir or pathlib.Path("runs") / options.preset)
    config = {"experiment": "sudoku", "preset": options.preset, "options": settings}
    run.check(config, options.resume)
    strategy = make_strategy(options.strategy)
    trainer = Trainer(SudokuExperiment(settings, options.data_dir), run, strategy)
    if options.resume:
        trainer.restore()
    if trainer.chief:
        run.create(config)

    def train():
        print(f"Run directory: {run.path}", flush=True)
        try:
            trainer.train()
        except KeyboardInterrupt:
            print(f"\nStopped after update {trainer.step}. Go on with --resume.", file=sys.stderr)
            raise
        print(f"Trained: {run.model}", flush=True)

    return train
