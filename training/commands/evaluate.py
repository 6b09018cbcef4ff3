"""`python -m training evaluate`."""

import dataclasses
import itertools
import json
import pathlib

from training import plots
from training.experiments import EXPERIMENTS, of_preset
from training.options import with_settings
from training.runs import RunDirectory


def prepare(options):
    """Makes the experiment anew and loads the model.

    Args:
        options: The parsed command line.

    Returns:
        A function that evaluates, prints what came out, and adds it to the results of a run; pictures go into the
        directory that is asked for, or into a new one in the run's `evaluations`.

    Raises:
        ValueError: For bad input.
    """
    if options.pictures and pathlib.Path(options.pictures).exists():
        raise ValueError(f"'{options.pictures}' exists and is not written over. Choose another directory for pictures.")
    run = RunDirectory(options.model)
    if run.exists and options.preset is None:
        experiment_class, settings = _of_run(run)
    else:
        experiment_class, settings = _of_preset(options)
    settings = with_settings(settings, options.set, evaluation=True)
    # TensorFlow starts only now: `--help` should not wait for it.
    from training.source import load_model
    from training.strategies import is_chief, make_strategy

    strategy = make_strategy(options.strategy)
    with strategy.scope():
        model = load_model(options.model)
    experiment = experiment_class(settings, options.data_dir)
    experiment.check_model(model)

    def evaluate():
        pictures = options.pictures and pathlib.Path(options.pictures)
        results = experiment.evaluate(model, strategy)
        table, figures = experiment.report(model, strategy)
        if not is_chief(strategy):
            return
        print(experiment.summary(results), flush=True)
        if table:
            print(json.dumps(table, indent=1), flush=True)
        if run.exists:
            index = run.add_result(
                {"evaluation": _evaluation(settings), "test": results, **({"table": table} if table else {})}
            )
            # Those of the training stay, and those of other evaluations.
            folders = (run.path / "evaluations" / str(number) for number in itertools.count(index))
            pictures = pictures or next(folder for folder in folders if not folder.exists())
        if pictures and figures:
            pictures.mkdir(parents=True)
            for name, figure in figures.items():
                plots.save(figure, pictures / name)
            print(f"Pictures: {pictures}", flush=True)

    return evaluate


def _of_run(run):
    """The experiment and the options of a run directory."""
    config = run.read_config()
    name = config.get("experiment")
    if name not in EXPERIMENTS:
        raise ValueError(
            f"'{run.path}' is a run of '{name}', which trains no model: its figures are in its results.json."
        )
    experiment_class, presets = EXPERIMENTS[name].load()
    return experiment_class, type(next(iter(presets.values()))).from_saved(config.get("options", {}))


def _of_preset(options):
    """The experiment and the options of a preset: the one that is named, or that of the model's name."""
    name = options.model if options.preset is None else options.preset
    try:
        return of_preset(name)
    except ValueError:
        if options.preset is not None:
            raise
        raise ValueError(
            f"'{name}' is neither a run directory nor a preset with weights. A .keras file needs --preset, the "
            "preset of the experiment to evaluate it in."
        ) from None


def _evaluation(settings):
    """The options that matter to an evaluation, by name."""
    return {
        field.name: getattr(settings, field.name)
        for field in dataclasses.fields(settings)
        if field.metadata["evaluation"]
    }
