"""A tiny model of images that changes by itself, in experiments with losses of both kinds; as a script on two devices.

python tests/training/tiny_images.py RUN_DIR
"""

import dataclasses
import json
import pathlib
import sys

import keras
import numpy as np
import tensorflow as tf

from keras_kuramoto.layers import (
    ConvConnectivity,
    InitialOscillators,
    KuramotoBlock,
    KuramotoLayer,
    KuramotoNetwork,
    OscillatorReadout,
    StimuliTransition,
)
from training.experiment import Experiment
from training.images.contrast import contrastive_loss
from training.loop import Trainer
from training.options import LoopOptions
from training.runs import RunDirectory
from training.strategies import make_strategy

CLASSES = 3
_RNG = np.random.default_rng(0)
IMAGES = _RNG.standard_normal((16, 6, 6, 3)).astype("float32") + 0.5
LABELS = _RNG.integers(0, CLASSES, 16).astype("int32")


def build_model(normalization, blocks):
    """One or two blocks with a normalisation and a dropout that is the same for all examples; a regulariser."""

    def block(name, transition=None):
        network = keras.Sequential(
            [
                normalization(),
                keras.layers.ReLU(),
                keras.layers.Dropout(0.3, noise_shape=(1, None, None, None), seed=1),
            ]
        )
        kuramoto = KuramotoLayer(ConvConnectivity(3), 2, num_steps=2)
        return KuramotoBlock(kuramoto, OscillatorReadout(8, 2, kernel_size=3), network, transition, name=name)

    image, noise = keras.Input((6, 6, 3), name="image"), keras.Input((6, 6, 8), name="noise")
    blocks = [block("first", StimuliTransition(keras.layers.Conv2D(8, 1))), block("second")][:blocks]
    stimuli = keras.layers.Conv2D(8, 3, padding="same", kernel_regularizer=keras.regularizers.L2(0.01))(image)
    features, _ = KuramotoNetwork(blocks, InitialOscillators(2))(stimuli, noise=noise)
    pooled = keras.layers.GlobalAveragePooling2D()(features)
    return keras.Model({"image": image, "noise": noise}, keras.layers.Dense(CLASSES, name="head")(pooled))


class ImageExperiment(Experiment):
    """Classes by cross-entropy, with statistics of the whole batch."""

    blocks = 2

    def __init__(self, **changes):
        options = LoopOptions(
            steps=4,
            batch_size=8,
            steps_per_call=1,
            evaluate_every=1,
            checkpoint_every=2,
            learning_rate=0.1,
            clip_norm=0.0,
        )
        self.options = dataclasses.replace(options, **changes)

    def build_model(self):
        return build_model(self.normalization, self.blocks)

    def build_optimizer(self):
        # Not Adam: it makes steps of full size of what is nothing but rounding, as before a normalisation.
        return keras.optimizers.SGD(self.options.learning_rate)

    def normalization(self):
        return keras.layers.BatchNormalization(momentum=0.8, synchronized=True)

    def examples(self):
        return {"image": IMAGES, "label": LABELS}

    def batch(self, examples, seed):
        noise = tf.random.stateless_normal((self.options.batch_size, 6, 6, 8), seed)
        return {**examples, "noise": noise}, {}

    def outputs(self, model, examples, shared, training):
        return model({name: examples[name] for name in ("image", "noise")}, training=training)

    def loss(self, outputs, examples, shared):
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(examples["label"], outputs)
        return tf.reduce_mean(losses), {}

    def evaluate(self, model, strategy):
        return {}


class PlainExperiment(ImageExperiment):
    """The same with statistics of each replica's share."""

    blocks = 1

    def normalization(self):
        return keras.layers.BatchNormalization(momentum=0.8)


class ContrastiveExperiment(ImageExperiment):
    """Images are to be told apart, each seen twice: a loss that no share of the batch has."""

    blocks = 1
    whole_batch_loss = True

    def normalization(self):
        return keras.layers.LayerNormalization()

    def outputs(self, model, examples, shared, training):
        first = super().outputs(model, examples, shared, training)
        second = super().outputs(model, {**examples, "image": examples["image"][:, :, ::-1]}, shared, training)
        return {"first": first, "second": second}

    def loss(self, outputs, examples, shared):
        loss, _ = contrastive_loss(outputs["first"], outputs["second"], temperature=0.5)
        return loss, {"rows": tf.cast(len(outputs["first"]), tf.float32)}


EXPERIMENTS = {"synchronized": ImageExperiment, "plain": PlainExperiment, "contrastive": ContrastiveExperiment}


def trainer(experiment, path, strategy):
    """A trainer of an experiment that writes to a new run directory."""
    run = RunDirectory(path)
    run.create({"experiment": "images", "preset": "tiny", "options": experiment.options})
    return Trainer(experiment, run, strategy, verbose=False)


def losses(path):
    """The loss of each update of a run."""
    return [result["train"]["loss"] for result in json.loads(RunDirectory(path).results.read_text())]


def outcome(done):
    """Of a finished trainer: the losses, all weights, and how far the replicas' copies of the weights are apart."""
    copies = [done.strategy.experimental_local_results(v.value) for v in done.model.variables]
    apart = max(float(np.abs(np.asarray(copy, "float64") - one[0]).max()) for one in copies for copy in one)
    return {
        "losses": losses(done.run.path),
        "weights": [np.asarray(value).tolist() for value in done.model.get_weights()],
        "apart": apart,
    }


if __name__ == "__main__":
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    # One for all: TensorFlow's collective operations of several strategies in a process get into each other's way.
    strategy, found = make_strategy("mirrored"), {}
    assert strategy.num_replicas_in_sync == 2
    for name, experiment in EXPERIMENTS.items():
        done = trainer(experiment(), pathlib.Path(sys.argv[1]) / name, strategy)
        done.train()
        found[name] = outcome(done)
    print("OUTCOMES " + json.dumps(found))
