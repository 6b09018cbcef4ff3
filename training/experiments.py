"""The experiments that `python -m training` knows. Importing this imports none of them: TensorFlow takes seconds."""

import dataclasses
import importlib

from training.options import unknown


@dataclasses.dataclass(frozen=True)
class Entry:
    """Where an experiment is.

    Attributes:
        module: Module with `PRESETS`, a dictionary of options by name.
        experiment: Name of the `Experiment` in it, which is made from options and `data_dir`.
        help: What it does, for `--help`.
        arguments: Options that have an argument of their own on the command line: what they are, by name.
    """

    module: str
    experiment: str
    help: str
    arguments: dict = dataclasses.field(default_factory=dict)

    def load(self):
        """`(Experiment, PRESETS)`."""
        module = importlib.import_module(self.module)
        return getattr(module, self.experiment), module.PRESETS


_HOPFIELD = {"hopfield": "run directory of hopfield_mnist, whose network is used and stays as it is"}

EXPERIMENTS = {
    "sudoku": Entry("training.sudoku", "SudokuExperiment", "train a Sudoku model"),
    "objects": Entry(
        "training.images.objects", "ObjectsExperiment", "train a model that finds objects in images without labels"
    ),
    "image_pretraining": Entry(
        "training.images.pretraining", "PretrainingExperiment", "pre-train a classifier of images without labels"
    ),
    "image_classifier": Entry("training.images.classifier", "ClassifierExperiment", "train a classifier of images"),
    "hopfield_mnist": Entry(
        "training.memories.hopfield_mnist", "HopfieldExperiment", "train a Hopfield memory to tell digits apart"
    ),
    "memory_editing": Entry(
        "training.memories.memory_editing",
        "EditingExperiment",
        "train oscillators that change what a trained Hopfield memory answers",
        _HOPFIELD,
    ),
    "multiplexing": Entry(
        "training.memories.multiplexing",
        "MultiplexingExperiment",
        "train threshold units for two tasks, of which the oscillators choose one",
    ),
}


def of_preset(name):
    """The experiment of a preset: `(Experiment, options)`.

    Args:
        name: A preset of any experiment.

    Raises:
        ValueError: If there is none of that name.
    """
    known = []
    for entry in EXPERIMENTS.values():
        experiment, presets = entry.load()
        if name in presets:
            return experiment, presets[name]
        known += presets
    raise ValueError(unknown("preset", name, known))
