"""The steps that can be compiled, by the name of a preset."""

import contextlib
import dataclasses

from training.compilation.memory_steps import STEPS
from training.experiments import of_preset
from training.options import with_settings


class ExperimentStep:
    """An update of an experiment.

    Its data set is only described, and a `start` is left out: the program does not depend on either.

    Args:
        preset: Name of a preset of an experiment.
        settings: Strings `name=value` that change its options.
        data_dir: Where TensorFlow Datasets keeps its data.
        chips: Number of chips, which share a batch.

    Attributes:
        backends: Those that it can be compiled on.
        sizes: Dictionary: `batch_size`, and `batch_of_a_chip`, its share.

    Raises:
        ValueError: If the preset or an option is unknown, or the batch can't be divided.
    """

    backends = ("tensorflow", "jax")

    def __init__(self, preset, settings, data_dir, chips):
        self._experiment, options = of_preset(preset)
        options = with_settings(options, settings)
        if options.batch_size % chips:
            near = options.batch_size // chips * chips
            known = ", ".join(str(size) for size in (near, near + chips) if size)
            raise ValueError(
                f"`batch_size` must be a multiple of the number of chips, {chips}, such as {known}. Received "
                f"{options.batch_size}."
            )
        self._options = dataclasses.replace(options, start="") if hasattr(options, "start") else options
        self._data_dir = data_dir
        self.sizes = {"batch_size": options.batch_size, "batch_of_a_chip": options.batch_size // chips}

    def batch(self):
        """The shapes of a batch, as JSON has them."""
        from training.compilation.batches import batch_of, written

        with self._described() as experiment:
            return written(batch_of(experiment))

    def tensorflow(self, chips):
        """The program of one chip as TensorFlow traces it: StableHLO as text."""
        from training.compilation.tensorflow_step import lower

        with self._described() as experiment:
            return lower(experiment, chips)

    def jax(self, batch, devices, groups):
        """The program of all chips on JAX, for a batch as `batch` describes it: a `jax.stages.Lowered`.

        Args:
            batch: The batch.
            devices: The chips.
            groups: Number of groups of chips that share the batch; those of a group share the channels of the model.
        """
        from training.compilation.batches import read
        from training.compilation.jax_step import lower

        with self._described() as experiment:
            return lower(experiment, read(batch), devices, groups)

    @contextlib.contextmanager
    def _described(self):
        from training.datasets.records import described

        with described(self._options.batch_size):
            yield self._experiment(self._options, self._data_dir)


def step_of(preset, settings, data_dir, chips):
    """The step of a preset.

    Args:
        preset: Its name: of an experiment's, or one of `memory_steps.STEPS`.
        settings: Strings `name=value` that change its options.
        data_dir: Where TensorFlow Datasets keeps its data.
        chips: Number of chips, or of groups of chips, which share a batch.

    Returns:
        An object like `ExperimentStep`.

    Raises:
        ValueError: As from `ExperimentStep`.
    """
    if preset in STEPS:
        step, options = STEPS[preset]
        return step(with_settings(options, settings), chips)
    return ExperimentStep(preset, settings, data_dir, chips)
