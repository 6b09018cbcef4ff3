"""
Noisy digits recalled
=====================

A memory of a hundred digits is shown some of them through noise, and of others the upper half only. One line makes
the memory, and nothing is trained.
"""

import keras
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from keras_kuramoto.layers import CDAMRecall

SHOWN, PATTERNS, NOISE = 12, 100, 0.6

patterns = load_digits().data[:PATTERNS].astype("float32") / 8 - 1
rng = np.random.default_rng(0)
wanted = patterns[rng.choice(PATTERNS, SHOWN, replace=False)]
seen = wanted + NOISE * rng.standard_normal(wanted.shape).astype("float32")
seen[SHOWN // 2 :] = wanted[SHOWN // 2 :]
seen[SHOWN // 2 :, 32:] = 0

# %%
# β says how much the most similar pattern counts; with η = 1 a step replaces the state.

memory = CDAMRecall(patterns, beta=8.0, eta=1.0, num_steps=5)
recalled = keras.ops.convert_to_numpy(memory(seen))
right = np.isclose(recalled, wanted, atol=0.05).all(axis=1)

figure, axes = plt.subplots(3, SHOWN, figsize=(SHOWN, 3.4), layout="constrained", squeeze=False)
for row, name, images in zip(axes, ("stored", "seen", "recalled"), (wanted, seen, recalled)):
    for axis, image in zip(row, images):
        axis.imshow(image.reshape(8, 8), cmap="gray_r", vmin=-1, vmax=1)
        axis.set(xticks=[], yticks=[])
    row[0].set_ylabel(name)
figure.suptitle(f"{right.sum()} of {SHOWN} recalled exactly")
plt.show()
