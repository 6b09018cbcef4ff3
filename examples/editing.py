"""
Editing a memory
================

A Hopfield memory has learned to tell digits apart. Now 0 and 1 are to change their names. Its weights stay as they
are; oscillators are coupled to its units, and only they learn the edit.
"""

import keras
import matplotlib.pyplot as plt
import networkx as nx
import numpy as np
from sklearn.datasets import load_digits

from keras_kuramoto import layers
from keras_kuramoto.models import CoupledClassifier, HopfieldClassifier
from keras_kuramoto.solvers import FixedStepSolver

EXAMPLES, EPOCHS, EDIT_EPOCHS, NEIGHBOURS = 1000, 20, 8, 40

keras.utils.set_random_seed(0)
digits = load_digits()
images, labels = digits.images.astype("float32") / 16, digits.target
swapped = np.where(labels < 2, 1 - labels, labels)
test = slice(EXAMPLES, EXAMPLES + 360)


def learn(model, wanted, epochs, rate):
    """Trains a classifier to say 1 for the class and −1 for the others."""
    model.compile(keras.optimizers.Lion(rate), "mse", jit_compile=False)
    return model.fit(images[:EXAMPLES], 2.0 * np.eye(10)[wanted[:EXAMPLES]] - 1, 32, epochs, verbose=0).history["loss"]


def right(model, wanted):
    """The share of right answers on the test images."""
    return float((model.predict(images[test], verbose=0).argmax(1) == wanted[test]).mean())


solver = FixedStepSolver(num_steps=8)
hopfield = HopfieldClassifier(layers.HopfieldMemory(layers.SymmetricDenseConnectivity(), solver=solver), (8, 8), 30)
learn(hopfield, labels, EPOCHS, 1e-3)

# Only oscillators and the coupling are trained now.
graph = nx.watts_strogatz_graph(hopfield.num_units, NEIGHBOURS, 0.1, seed=0)
small = keras.initializers.RandomNormal(stddev=0.1)
oscillators = layers.KuramotoMemory("relu", graph, linear_initializer=small, pair_initializer=small)
frozen = layers.HopfieldMemory(layers.SymmetricDenseConnectivity(), trainable=False)
coupling = layers.LowRankCoupling(0.05)
memory = layers.HopfieldKuramotoMemory(frozen, oscillators, coupling, kappa_k=100.0, solver=solver)
edited = CoupledClassifier(memory, layers.TrainedOscillators(4), (8, 8), 30)
edited.memory.hopfield.set_weights(hopfield.memory.get_weights())
loss = learn(edited, swapped, EDIT_EPOCHS, 0.015)

figure, (bars, curve) = plt.subplots(1, 2, figsize=(8, 3), layout="constrained")
heights = [right(hopfield, labels), right(hopfield, swapped), right(edited, swapped)]
bars.bar(["own names", "swapped:\nbefore the edit", "swapped:\nafter it"], heights)
bars.set(title="right answers on test images", ylim=(0, 1))
curve.plot(loss)
curve.set(title="loss while the edit is learned", xlabel="epoch")
plt.show()
