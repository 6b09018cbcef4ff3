"""Oscillators that edit what a trained Hopfield memory remembers, Sec. 6 of the Hopfield-Kuramoto paper."""

import dataclasses

import keras
import networkx
import numpy as np
import tensorflow as tf

from keras_kuramoto.layers.couplings import LowRankCoupling
from keras_kuramoto.layers.cued_oscillators import CuedOscillators
from keras_kuramoto.layers.hopfield_kuramoto_memory import HopfieldKuramotoMemory
from keras_kuramoto.layers.kuramoto_memory import KuramotoMemory
from keras_kuramoto.layers.natural_frequency import NaturalFrequency
from keras_kuramoto.layers.trained_oscillators import TrainedOscillators
from keras_kuramoto.models.memory_classifier import CoupledClassifier, HopfieldClassifier
from training.memories.classifiers import ClassifierExperiment, ClassifierOptions, share
from training.memories.edits import EDITS
from training.memories.plots import accuracy_figure, energy_figure, gram_figure
from training.options import option
from training.source import load_model


@dataclasses.dataclass(frozen=True)
class EditingOptions(ClassifierOptions):
    """Options of memory editing, besides those of all classifiers.

    Attributes:
        hopfield: Run directory of the experiment `hopfield_mnist`. Its weights stay as they are.
        task: `"conflation"`, `"swap"`, `"associative_conflation"` or `"associative_swap"`.
        neighbours: k of the Watts-Strogatz graph on which R and S have their weights.
        rewiring: p of that graph.
        oscillator_dim: D.
        strength: κ at the start.
        kappa_k: κ_K at the start; κ_H is 1. The larger it is, the less effect the threshold units have on the
            oscillators.
        train_logarithms: Whether the logarithms of κ_H and κ_K are trained in place of κ: the strength is then
            κ / κ_H for the threshold units and κ / κ_K for the oscillators, and stays positive.
        weight_scale: Standard deviation of R and S at the start.
        cue_mean: The pixel that is encoded as the scalar product 0; the mean of the training images if 0.
    """

    hopfield: str = option("", evaluation=True)
    task: str = option("swap", choices=tuple(EDITS))
    neighbours: int = option(150, least=2)
    rewiring: float = option(0.1, least=0, most=1)
    oscillator_dim: int = option(4, least=2)
    strength: float = option(0.01)
    kappa_k: float = option(1.0, above=0)
    train_logarithms: bool = option(False)
    weight_scale: float = option(0.05, above=0)
    cue_mean: float = option(0.0, least=0, below=1)


_SOLVER = {"name": "adaptive", "rtol": 1e-3, "atol": 1e-6, "first_step": 0.01}
_PAPER = EditingOptions(data="mnist", steps=9000, evaluate_every=500, checkpoint_every=500, solver=_SOLVER)
# Few steps of one length, a κ_K that lets the threshold units hardly move the oscillators, and higher learning rates
# than the paper's: with that the edits are learned in a few hundred updates. With steps of their own, gradients are
# rough.
_QUICK = EditingOptions(
    batch_size=32,
    steps_per_call=50,
    kappa_k=100.0,
    train_logarithms=True,
    strength=0.02,
)
_DIGITS = dataclasses.replace(
    _QUICK,
    steps=600,
    learning_rate=0.015,
    decay_steps=300,
    evaluate_every=600,
    checkpoint_every=600,
    neighbours=60,
    weight_scale=0.1,
    cue_mean=0.5,
    solver={"name": "fixed_step", "num_steps": 12},
)
_MNIST = dataclasses.replace(
    _QUICK,
    data="mnist",
    steps=300,
    learning_rate=0.005,
    decay_steps=200,
    evaluate_every=300,
    checkpoint_every=100,
    weight_scale=0.06,
    solver={"name": "fixed_step", "num_steps": 8},
)
PRESETS = {}
for _task in EDITS:
    # Beside `hopfield_digits` and `hopfield_mnist`. For a swap κ may change its sign. Oscillators that hold an image of
    # MNIST start nearly aligned: with κ = 0.02 the first updates' loss is above 100.
    _swap = {"strength": 0.05, "train_logarithms": False} if _task == "swap" else {}
    _cued = {"strength": 0.002} if EDITS[_task].associative else {}
    PRESETS[f"{_task}_digits"] = dataclasses.replace(_DIGITS, task=_task, **_swap)
    PRESETS[f"{_task}_mnist"] = dataclasses.replace(_MNIST, task=_task, **_swap, **_cued)
    # Those of the paper's Tables 2 and 3.
    for _neighbours in (150, 250, 350, 450):
        for _dim in (4, 6):
            PRESETS[f"{_task}_k{_neighbours}_d{_dim}"] = dataclasses.replace(
                _PAPER, task=_task, neighbours=_neighbours, oscillator_dim=_dim
            )


class EditingExperiment(ClassifierExperiment):
    """Trains the oscillators of model (18): κ, R, S, and μ(0) or, for an associative task, Ω.

    An associative task gives each image a random 0 or 1 of the same split as a cue, which is encoded in μ(0); without
    one, μ(0) is trained, and turned at random for each batch.

    Args:
        options: An `EditingOptions`.
        data_dir: Where TensorFlow Datasets keeps its data, its own default if `None`.

    Raises:
        ValueError: If `hopfield` is not given or no trained Hopfield classifier, if its images are of another size than
            those of the data set, or if the graph can't have so many neighbours.
    """

    def __init__(self, options, data_dir=None):
        super().__init__(options, data_dir)
        self.edit = EDITS[options.task]
        if not options.hopfield:
            raise ValueError(
                "The trained Hopfield memory is missing: give its run directory, by --hopfield to train, by "
                "--set hopfield=DIR to evaluate."
            )
        model = self.load_hopfield()
        shape = self.train.image.shape[1:]
        if model.image_shape != shape or model.num_classes != self.train.classes:
            raise ValueError(
                f"'{options.hopfield}' knows images of the shape {model.image_shape} in {model.num_classes} classes, "
                f"and '{options.data}' has {shape} in {self.train.classes}."
            )
        if options.neighbours >= model.num_units:
            raise ValueError(f"`neighbours` must be below {model.num_units}, the number of units.")
        self._cues = {
            split: [np.flatnonzero(images.label == digit) for digit in (0, 1)]
            for split, images in (("train", self.train), ("test", self.test))
        }
        self.build_model()

    def load_hopfield(self):
        """The trained classifier, by itself."""
        model = load_model(self.options.hopfield)
        if not isinstance(model, HopfieldClassifier):
            raise ValueError(f"'{self.options.hopfield}' is not a run of hopfield_mnist.")
        return model

    def build_model(self):
        options, trained = self.options, self.load_hopfield()
        graph = networkx.watts_strogatz_graph(
            trained.num_units, options.neighbours, options.rewiring, seed=options.seed
        )
        start = keras.initializers.RandomNormal(stddev=options.weight_scale)
        if self.edit.associative:
            mean = options.cue_mean or float(self.train.image.mean())
            oscillators = CuedOscillators(options.oscillator_dim, mean, name="oscillators")
            frequency = NaturalFrequency(options.oscillator_dim, frequency=0.0)
        else:
            oscillators, frequency = TrainedOscillators(options.oscillator_dim, name="oscillators"), None
        hopfield = type(trained.memory).from_config(trained.memory.get_config())
        hopfield.trainable = False
        memory = HopfieldKuramotoMemory(
            hopfield,
            KuramotoMemory("relu", graph, frequency, linear_initializer=start, pair_initializer=start, name="kuramoto"),
            LowRankCoupling(options.strength, train_strength=not options.train_logarithms, name="coupling"),
            kappa_k=options.kappa_k,
            train_kappas=options.train_logarithms,
            solver=self.solver(),
            name="memory",
        )
        model = CoupledClassifier(
            memory, oscillators, trained.image_shape, trained.num_hidden, trained.num_classes, name="coupled_classifier"
        )
        model.memory.hopfield.set_weights(trained.memory.get_weights())
        return model

    def batch(self, examples, seed):
        image, label = examples["image"], examples["label"]
        if not self.edit.associative:
            # The same for all of the batch: scalar products, and so the task, don't change.
            examples = {"image": image, "label": self.edit.labels(label, None)}
            return examples, {"rotation": _rotation(self.options, seed)}
        digit = tf.random.stateless_uniform(tf.shape(label), seed + 1, 0, 2, tf.int32)
        draw = tf.random.stateless_uniform(tf.shape(label), seed + 2)
        cues = [tf.gather(self.train.image, _pick(rows, draw)) for rows in self._cues["train"]]
        cue = tf.where((digit == 1)[:, None, None], cues[1], cues[0])
        return {"image": image, "cue": cue, "label": self.edit.labels(label, digit)}, {}

    def scores(self, model, examples, shared, training):
        images = [examples[name] for name in model.input_shapes]
        return model.run(*images, **shared, training=training)

    def evaluate(self, model, strategy):
        return {"accuracy": self._accuracies(self._found(model, strategy, "test"), "test")["edited"]}

    def report(self, model, strategy):
        """Accuracies before and after the edit, on the new labels and on the old ones, and what was recovered."""
        table = {"task": self.options.task}
        for split in ("train", "test"):
            with strategy.scope():
                hopfield = self.load_hopfield()
            images = self._images(split)
            alone = [self.predict(hopfield, strategy, images.image)] * len(self._digits())
            before = self._accuracies(alone, split)
            after = self._accuracies(self._found(model, strategy, split), split)
            cost = before["original"] - before["edited"]
            table[split] = {
                "pretrained": before["original"],
                "before": before["edited"],
                "after": after["edited"],
                "recovered": (after["edited"] - before["edited"]) / cost if cost > 0 else None,
                "after_by_cue": after["by_cue"],
                "original_labels_after": after["original"],
            }
        alpha, kappas = model.memory.coupling.alpha, (model.memory.log_kappa_h, model.memory.log_kappa_k)
        table["strength"] = [float(alpha.numpy() / np.exp(kappa.numpy())) for kappa in kappas]
        test = table["test"]
        accuracies = {self.options.task: [test["before"], test["after"], test["pretrained"]]}
        for digit, value in zip(self._digits(), test["after_by_cue"]):
            if self.edit.associative:
                accuracies[f"cue {digit}"] = [before["by_cue"][digit], value, test["pretrained"]]
        return table, {
            "accuracy.png": accuracy_figure(accuracies, ["before", "after", "unedited task"]),
            **self._figures(model),
        }

    def _figures(self, model):
        energies, grams = {}, {}
        for digit in self._digits():
            label = f"cue {digit}" if self.edit.associative else ""
            *both_ends, energies[label] = self.drawn(model, *self._cues_for(digit))
            for time, (_, mu) in zip("01", both_ends):
                first = np.asarray(mu)[0]
                grams[f"t = {time}{', ' + label if label else ''}"] = first @ first.T
        times = np.linspace(0, model.memory.t1, energies[label].shape[1])
        return {"energy.png": energy_figure(times, energies), "gram.png": gram_figure(grams)}

    def trajectories(self, model):
        return np.concatenate([self.drawn(model, *self._cues_for(digit))[-1] for digit in self._digits()])

    def _cues_for(self, digit):
        """What the model takes besides the test images: cues, or nothing."""
        return [self._cue_images("test", digit)] if self.edit.associative else []

    def _images(self, split):
        images = {"train": self.train, "test": self.test}[split]
        count = self.options.test_images
        return dataclasses.replace(images, image=images.image[:count], label=images.label[:count])

    def _digits(self):
        """The kinds of cues; without one, the labels always change."""
        return (0, 1) if self.edit.associative else (None,)

    def _cue_images(self, split, digit):
        """A cue for each image of a split: a random 0 or 1 of the same split, always the same one."""
        images = {"train": self.train, "test": self.test}[split]
        rng = np.random.default_rng(self.options.seed)
        rows = rng.choice(self._cues[split][digit or 0], len(self._images(split).label))
        return images.image[rows]

    def _found(self, model, strategy, split):
        """The classes that the model finds, for each kind of cue."""
        image = self._images(split).image
        if not self.edit.associative:
            return [self.predict(model, strategy, image)]
        return [self.predict(model, strategy, image, self._cue_images(split, digit)) for digit in self._digits()]

    def _accuracies(self, found, split):
        """Accuracies with the edited and with the original labels; both kinds of cues are equally frequent."""
        label = self._images(split).label
        edited = [
            share(answer == self.edit.labels(label, digit).numpy()) for answer, digit in zip(found, self._digits())
        ]
        return {"edited": share(edited), "by_cue": edited, "original": share([answer == label for answer in found])}


def _pick(rows, draw):
    """One of the rows for each number of [0, 1)."""
    index = tf.cast(draw * len(rows), tf.int32)
    return tf.gather(tf.constant(rows), tf.minimum(index, len(rows) - 1))


def _rotation(options, seed):
    """A random rotation `(D, D)`."""
    dim = options.oscillator_dim
    q, r = tf.linalg.qr(tf.random.stateless_normal((dim, dim), seed))
    # With these signs it is uniform among the orthogonal matrices; another sign makes a rotation of a reflection.
    q *= tf.sign(tf.linalg.diag_part(r))
    return tf.concat([q[:, :1] * tf.linalg.det(q), q[:, 1:]], axis=1)
