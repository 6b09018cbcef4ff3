"""
Two tasks in one memory: multiplexing
=====================================

The same units and the same weights answer two questions about a digit d: which one it is, or what 3 d + 1 is modulo
10. The way in which the oscillators start decides which question is answered. Aligned ones stay aligned, others turn
apart; and so they open and close connections.
"""

import keras
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from keras_kuramoto import layers
from keras_kuramoto.models import CoupledClassifier
from keras_kuramoto.solvers import FixedStepSolver
from training.memories.multiplexing import TwoMinima

EXAMPLES, EPOCHS, HIDDEN = 1437, 16, 20

keras.utils.set_random_seed(0)
digits = load_digits()
images = digits.images.reshape(-1, 4, 2, 4, 2).mean((2, 4)).astype("float32") / 16  # 4 × 4, to be quick
labels = digits.target
rng = np.random.default_rng(0)
first = rng.random(len(labels)) < 0.5
alignment = np.where(first, rng.uniform(0.7, 0.95, len(labels)), rng.uniform(0.05, 0.3, len(labels))).astype("float32")
wanted = np.where(first, labels, (3 * labels + 1) % 10)

# %%
# The oscillators fall into one of two minima. They are not trained; the weights of the threshold units are.

weight = keras.initializers.Constant(20.0 / (16 + HIDDEN + 10))
kuramoto = layers.KuramotoMemory(TwoMinima(), use_linear=False, pair_initializer=weight, trainable=False)
gates = layers.GatingCoupling(layers.HierarchicalConnectivity([16, HIDDEN + 10]))
hopfield = layers.HopfieldMemory(layers.SymmetricDenseConnectivity())
memory = layers.HopfieldKuramotoMemory(hopfield, kuramoto, gates, kappa_k=1000.0, solver=FixedStepSolver(num_steps=8))
model = CoupledClassifier(memory, layers.GroupedOscillators(3, first=16), (4, 4), HIDDEN)
model.compile(keras.optimizers.Lion(3e-3), "mse", jit_compile=False)
inputs = {"image": images, "alignment": alignment}
train, test = ({name: x[part] for name, x in inputs.items()} for part in (slice(EXAMPLES), slice(EXAMPLES, None)))
model.fit(train, 2.0 * np.eye(10)[wanted[:EXAMPLES]] - 1, 32, EPOCHS, verbose=0)

table = np.zeros((2, 2))
for row, start in enumerate((0.8, 0.2)):
    test["alignment"] = np.full_like(test["alignment"], start)
    found = model.predict(test, verbose=0).argmax(1)
    table[row] = [(found == task[EXAMPLES:]).mean() for task in (labels, (3 * labels + 1) % 10)]
plt.figure(figsize=(5, 3.4), layout="constrained")
plt.imshow(table, cmap="Blues", vmin=0, vmax=1)
for (row, column), share in np.ndenumerate(table):
    plt.text(column, row, f"{share:.0%}", ha="center", va="center", color="white" if share > 0.5 else "black")
plt.xticks([0, 1], ["d", "3 d + 1 mod 10"])
plt.yticks([0, 1], ["aligned", "apart"])
plt.xlabel("share of test images for which the answer is")
plt.ylabel("oscillators start")
plt.show()
