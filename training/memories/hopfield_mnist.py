"""The Hopfield memory of Sec. 6 of the Hopfield-Kuramoto paper, which tells digits apart."""

import dataclasses

import numpy as np

from keras_kuramoto.layers.dense_connectivity import SymmetricDenseConnectivity
from keras_kuramoto.layers.hopfield_memory import HopfieldMemory
from keras_kuramoto.models.memory_classifier import HopfieldClassifier
from training.memories.classifiers import ClassifierExperiment, ClassifierOptions, share
from training.memories.edits import EDITS
from training.memories.plots import accuracy_figure, energy_figure
from training.options import option


@dataclasses.dataclass(frozen=True)
class HopfieldOptions(ClassifierOptions):
    """Options of the Hopfield experiment, besides those of all classifiers.

    Attributes:
        hidden: Number of units that are neither pixels nor classes.
    """

    hidden: int = option(300, least=0)


_PAPER = HopfieldOptions(
    data="mnist",
    steps=9000,
    evaluate_every=500,
    checkpoint_every=500,
    solver={"name": "adaptive", "rtol": 1e-3, "atol": 1e-6, "first_step": 0.01},
)
PRESETS = {
    # Learns in seconds.
    "hopfield_digits": HopfieldOptions(
        hidden=30,
        steps=1000,
        learning_rate=1e-3,
        decay_steps=400,
        steps_per_call=50,
        evaluate_every=500,
        checkpoint_every=500,
        solver={"name": "adaptive", "rtol": 1e-2, "atol": 1e-3, "first_step": 0.2},
    ),
    "hopfield_mnist": _PAPER,
    # 10,000 images of MNIST, prepared under this name by `python -m training prepare-idx --train 8000`.
    "hopfield_mnist_idx": dataclasses.replace(_PAPER, data="mnist_10k"),
}


class HopfieldExperiment(ClassifierExperiment):
    """Trains a dense Hopfield memory of ReLU units.

    Args:
        options: A `HopfieldOptions`.
        data_dir: Where TensorFlow Datasets keeps its data, its own default if `None`.
    """

    def __init__(self, options, data_dir=None):
        super().__init__(options, data_dir)
        # Options that the model does not take are found before the run is made.
        self.build_model()

    def build_model(self):
        memory = HopfieldMemory(SymmetricDenseConnectivity(name="weights"), solver=self.solver(), name="hopfield")
        return HopfieldClassifier(
            memory, self.train.image.shape[1:], self.options.hidden, self.train.classes, name="hopfield_classifier"
        )

    def evaluate(self, model, strategy):
        return {"accuracy": share(self._found(model, strategy, self.test) == self._labels(self.test))}

    def report(self, model, strategy):
        """Accuracies, on the data's own labels and on those of the edits (Table 1); the energy along trajectories."""
        table = {}
        for split, images in (("train", self.train), ("test", self.test)):
            found, labels = self._found(model, strategy, images), self._labels(images)
            row = {"original": share(found == labels)}
            for name, edit in EDITS.items():
                # Both cues are equally frequent.
                row[name] = share([found == edit.labels(labels, np.full_like(labels, cue)).numpy() for cue in (0, 1)])
            table[split] = row
        energies = self.trajectories(model)
        times = np.linspace(0, model.memory.t1, energies.shape[1])
        accuracies = {name: [table["train"][name], table["test"][name]] for name in table["test"]}
        return {"accuracy": table}, {
            "accuracy.png": accuracy_figure(accuracies, ["train", "test"]),
            "energy.png": energy_figure(times, {"": energies}),
        }

    def trajectories(self, model):
        return self.drawn(model)[-1]

    def _labels(self, images):
        return images.label[: self.options.test_images]

    def _found(self, model, strategy, images):
        return self.predict(model, strategy, images.image[: self.options.test_images])
