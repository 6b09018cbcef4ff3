"""Experiments whose model is a preset."""

from training.experiment import Experiment
from training.source import start_from


class PresetExperiment(Experiment):
    """Base class of experiments that train a preset's model, anew or from the weights of another one.

    Its options have `model`, a preset's name, `arguments` in place of the preset's, and `start`, a source of weights as
    `training.source.load_model` takes it, or an empty string.

    Attributes:
        models: The class, a `ConfiguredModel`, whose presets the model may be of.
        new_layers: Names of layers that keep their own weights where those to start from have other shapes.
    """

    models = None
    new_layers = ()

    def new_model(self):
        """The model of the options, with weights that were not trained.

        Raises:
            ValueError: If the preset or an argument is unknown.
        """
        return self.models.from_preset(self.options.model, load_weights=False, **self.options.arguments)

    def build_model(self):
        model = self.new_model()
        if self.options.start:
            start_from(model, self.options.start, self.options.model, self.new_layers)
        return model
