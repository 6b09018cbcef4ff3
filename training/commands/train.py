"""`python -m training EXPERIMENT`."""

import dataclasses
import pathlib
import sys

from training.experiments import EXPERIMENTS
from training.options import unknown, with_settings
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
    from training.failures import RunError, TerminatedError
    from training.loop import Trainer
    from training.strategies import describe, make_strategy
    from training.summaries import parse_profile

    entry = EXPERIMENTS[options.command]
    experiment, presets = entry.load()
    if options.preset not in presets:
        raise ValueError(unknown("preset", options.preset, presets))
    given = {name: getattr(options, name) for name in entry.arguments}
    given = {name: value for name, value in given.items() if value is not None}
    settings = dataclasses.replace(with_settings(presets[options.preset], options.set), **given)
    run = RunDirectory(options.run_dir or pathlib.Path("runs") / options.preset)
    config = {"experiment": options.command, "preset": options.preset, "options": settings}
    profile = options.profile and parse_profile(options.profile)
    run.check(config, options.resume)
    strategy = make_strategy(options.strategy)
    chosen = "auto chose " if options.strategy == "auto" else ""
    print(f"Strategy: {chosen}{describe(strategy)}", flush=True)
    trainer = Trainer(experiment(settings, options.data_dir), run, strategy, profile=profile)
    if trainer.chief:
        run.claim()
        # Another process may have made it meanwhile.
        run.check(config, options.resume)
        run.create(config)
    if options.resume:
        trainer.restore()

    def train():
        print(f"Run directory: {run.path}", flush=True)
        try:
            trainer.train()
        except (KeyboardInterrupt, RunError) as stop:
            # The progress line is not at its end.
            print(flush=True)
            if isinstance(stop, (KeyboardInterrupt, TerminatedError)):
                print(f"Stopped after update {trainer.step}. Go on with --resume.", file=sys.stderr)
            raise
        print(f"Trained: {run.model}", flush=True)

    return train
