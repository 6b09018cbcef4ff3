"""The steps that can be compiled, by the name of a preset."""

import dataclasses

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
        sizes: Dictionary: `batch_size`, and `batch_of_a_chip`, its share.

    Raises:
        ValueError: If the preset or an option is unknown, or the batch can't be divided.
    """

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

    def tensorflow(self, chips):
        """The program of one chip as TensorFlow traces it: StableHLO as text."""
        from training.compilation.tensorflow_step import lower

        return self._lower(lower, chips)

    def jax(self, devices):
        """The program of all chips on JAX: a `jax.stages.Lowered`."""
        from training.compilation.jax_step import lower

        return self._lower(lower, devices)

    def _lower(self, lower, chips):
        from training.datasets.records import described

        with described(self._options.batch_size):
            return lower(self._experiment(self._options, self._data_dir), chips)


def step_of(preset, settings, data_dir, chips):
    """The step of a preset.

    Args:
        preset: Its name.
        settings: Strings `name=value` that change its options.
        data_dir: Where TensorFlow Datasets keeps its data.
        chips: Number of chips.

    Returns:
        An object like `ExperimentStep`.

    Raises:
        ValueError: As from `ExperimentStep`.
    """
    return ExperimentStep(preset, settings, data_dir, chips)
