"""A tiny experiment whose model learns by itself too; as a script, trains it on two devices and prints the memories.

python tests/training/tiny_synapses.py RUN_DIR
"""

import dataclasses
import json
import pathlib
import sys

import keras
import numpy as np
import tensorflow as tf

from keras_kuramoto.layers import SynapticMemory
from training.experiment import Experiment
from training.loop import Trainer
from training.options import AdamOptions
from training.runs import RunDirectory
from training.strategies import make_strategy

STATES = np.random.default_rng(0).standard_normal((8, 6)).astype("float32")


class SynapsesExperiment(Experiment):
    """A trained map of what a memory recalls, while the memory moves towards what it is shown."""

    options = dataclasses.replace(AdamOptions(), steps=4, batch_size=8, steps_per_call=2)
    options = dataclasses.replace(options, evaluate_every=4, checkpoint_every=4)

    def build_model(self):
        return keras.Sequential([keras.Input((6,)), SynapticMemory(STATES[:3] * 0.5, tau=10.0), keras.layers.Dense(1)])

    def examples(self):
        return {"state": STATES}

    def outputs(self, model, examples, shared, training):
        return model(examples["state"], training=training)

    def loss(self, outputs, examples, shared):
        return tf.reduce_mean(tf.square(outputs - 1.0)), {}

    def evaluate(self, model, strategy):
        return {}


def trained_memories(path, strategy):
    """The memories after the run, of every replica."""
    run, experiment = RunDirectory(path), SynapsesExperiment()
    run.create({"experiment": "synapses", "preset": "tiny", "options": experiment.options})
    trainer = Trainer(experiment, run, strategy, verbose=False)
    trainer.train()
    value = trainer.model.layers[0].memories.value
    return [np.asarray(copy) for copy in strategy.experimental_local_results(value)]


if __name__ == "__main__":
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    copies = trained_memories(pathlib.Path(sys.argv[1]), make_strategy("mirrored"))
    print("MEMORIES " + json.dumps([copy.tolist() for copy in copies]))
