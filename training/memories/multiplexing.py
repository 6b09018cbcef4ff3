"""Two computations by the same threshold units, of which the oscillators choose one: Example 4 of the paper.

The units of G₂ are the pixels, those of G₁ the others. The oscillators of each group agree among themselves; those of
different groups have the scalar product s. The energy of the oscillators has minima at s = 1 and at s = 0: from the
input A, where s(0) > ½, they converge to the aligned state, from the input B, where s(0) < ½, to the orthogonal one.
With κ_K ≫ 1 the threshold units have no effect on them. The coupling adds s (W̃ᵢⱼ - Wᵢⱼ) to the weights between the
groups, so that these are W̃ for A and W for B. All weights of the threshold units are trained, for both tasks at once.
"""

import dataclasses
import math

import keras
import numpy as np
import tensorflow as tf

from keras_kuramoto.layers.couplings import GatingCoupling
from keras_kuramoto.layers.dense_connectivity import SymmetricDenseConnectivity
from keras_kuramoto.layers.grouped_oscillators import GroupedOscillators
from keras_kuramoto.layers.hierarchical_connectivity import HierarchicalConnectivity
from keras_kuramoto.layers.hopfield_kuramoto_memory import HopfieldKuramotoMemory
from keras_kuramoto.layers.hopfield_memory import HopfieldMemory
from keras_kuramoto.layers.kuramoto_memory import KuramotoMemory
from keras_kuramoto.models.memory_classifier import CoupledClassifier
from keras_kuramoto.potentials import SeparablePotential
from training.memories.classifiers import ClassifierExperiment, ClassifierOptions, share
from training.memories.plots import accuracy_figure, energy_figure, gram_figure
from training.options import option

# The inputs A and B: from where to where s(0) is drawn.
_ALIGNMENTS = {"A": (0.7, 0.95), "B": (0.05, 0.3)}


@dataclasses.dataclass(frozen=True)
class MultiplexingOptions(ClassifierOptions):
    """Options of the multiplexing experiment, besides those of all classifiers.

    Attributes:
        hidden: Number of units that are neither pixels nor classes.
        oscillator_dim: D.
        kappa_k: κ_K; κ_H is 1.
        attraction: How strongly the oscillators are drawn to s = 0 or s = 1: the sum of the weights of one oscillator's
            pairs.
    """

    hidden: int = option(30, least=0)
    oscillator_dim: int = option(3, least=2)
    kappa_k: float = option(1000.0, above=0)
    attraction: float = option(20.0, above=0)


PRESETS = {
    "multiplexing_digits": MultiplexingOptions(
        steps=600,
        batch_size=50,
        learning_rate=5e-3,
        decay_steps=300,
        steps_per_call=50,
        evaluate_every=200,
        checkpoint_every=200,
        solver={"name": "fixed_step", "num_steps": 12},
    ),
}


@keras.saving.register_keras_serializable(package="keras_kuramoto_training")
class TwoMinima(SeparablePotential):
    """φ(s) = s²/4 - s³/3, which falls to its minimum at s = 0 from below ½, and to s = 1 from above.

    Example:

    >>> [float(value) for value in TwoMinima().derivative(np.array([0.0, 0.25, 0.5, 1.0]))]
    [0.0, 0.0625, 0.0, -0.5]
    """

    def __call__(self, products):
        return products * products * (0.25 - products * (1 / 3))

    def derivative(self, products):
        return products * (0.5 - products)

    def second_derivative(self, products):
        return 0.5 - 2 * products


class MultiplexingExperiment(ClassifierExperiment):
    """Trains the weights W and W̃ for two tasks: A, the digit itself, and B, the digit 3 d + 1 modulo the classes.

    Args:
        options: A `MultiplexingOptions`.
        data_dir: Where TensorFlow Datasets keeps its data, its own default if `None`.

    Raises:
        ValueError: If an option is not one that the memory takes.
    """

    def __init__(self, options, data_dir=None):
        super().__init__(options, data_dir)
        self.build_model()

    def build_model(self):
        options, shape = self.options, self.train.image.shape[1:]
        pixels, others = math.prod(shape), options.hidden + self.train.classes
        weight = keras.initializers.Constant(options.attraction / (pixels + others))
        kuramoto = KuramotoMemory(
            TwoMinima(), use_linear=False, pair_initializer=weight, trainable=False, name="kuramoto"
        )
        memory = HopfieldKuramotoMemory(
            HopfieldMemory(SymmetricDenseConnectivity(name="weights"), name="hopfield"),
            kuramoto,
            GatingCoupling(HierarchicalConnectivity([pixels, others], name="difference"), name="coupling"),
            kappa_k=options.kappa_k,
            solver=self.solver(),
            name="memory",
        )
        oscillators = GroupedOscillators(options.oscillator_dim, first=pixels, name="oscillators")
        return CoupledClassifier(
            memory, oscillators, shape, options.hidden, self.train.classes, name="multiplexing_classifier"
        )

    def labels(self, task, label):
        """The labels of a task, `"A"` or `"B"`."""
        return label if task == "A" else (3 * label + 1) % self.train.classes

    def batch(self, examples, seed):
        label = examples["label"]
        first = tf.random.stateless_uniform(tf.shape(label), seed + 1) < 0.5
        part = tf.random.stateless_uniform(tf.shape(label), seed + 2)
        a, b = (low + (high - low) * part for low, high in _ALIGNMENTS.values())
        label = tf.where(first, self.labels("A", label), self.labels("B", label))
        return {"image": examples["image"], "alignment": tf.where(first, a, b), "label": label}, {}

    def evaluate(self, model, strategy):
        return {f"accuracy_{task}": row[f"task_{task}"] for task, row in self._accuracies(model, strategy).items()}

    def report(self, model, strategy):
        """Accuracies in both tasks for both inputs, and the scalar products that the oscillators start and end with."""
        table, energies, grams = {}, {}, {}
        pixels = math.prod(self.test.image.shape[1:])
        for task, row in self._accuracies(model, strategy).items():
            *both_ends, energy = self.drawn(model, self._alignment(task))
            energies[f"input {task}"] = energy
            for time, (_, mu) in zip("01", both_ends):
                first = np.asarray(mu)
                grams[f"t = {time}, input {task}"] = first[0] @ first[0].T
                row[f"alignment_{time}"] = float((first[:, 0] * first[:, pixels]).sum(-1).mean())
            table[f"input_{task}"] = row
        times = np.linspace(0, model.memory.t1, energy.shape[1])
        accuracies = {name: [row["task_A"], row["task_B"]] for name, row in table.items()}
        return table, {
            "accuracy.png": accuracy_figure(accuracies, ["task A", "task B"]),
            "energy.png": energy_figure(times, energies),
            "gram.png": gram_figure(grams),
        }

    def trajectories(self, model):
        return np.concatenate([self.drawn(model, self._alignment(task))[-1] for task in _ALIGNMENTS])

    def _alignment(self, task):
        """s(0) for each test image, always the same."""
        low, high = _ALIGNMENTS[task]
        count = len(self.test.label[: self.options.test_images])
        return np.random.default_rng(self.options.seed).uniform(low, high, count).astype(np.float32)

    def _accuracies(self, model, strategy):
        count, table = self.options.test_images, {}
        for given in _ALIGNMENTS:
            found = self.predict(model, strategy, self.test.image[:count], self._alignment(given))
            table[given] = {
                f"task_{task}": share(found == self.labels(task, self.test.label[:count])) for task in _ALIGNMENTS
            }
        return table
