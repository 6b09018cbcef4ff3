"""
Synapses that follow drifting patterns
======================================

Synapses selected by a softmax move the memory that is most like what is shown, a little, and leave the others. So
memories follow patterns that drift away, without gradients and without being told which memory a pattern belongs to.
"""

import keras
import matplotlib.pyplot as plt
import numpy as np

from keras_kuramoto.layers import SynapticMemory

MEMORIES, NEURONS, STEPS, TAU = 4, 100, 4000, 100.0

rng = np.random.default_rng(0)
first = rng.standard_normal((MEMORIES, NEURONS)).astype("float32")
last = rng.standard_normal((MEMORIES, NEURONS)).astype("float32")
time = np.linspace(0, 1, STEPS)[:, None]
shown = rng.integers(0, MEMORIES, STEPS)
drifting = np.cos(np.pi / 2 * time) * first[shown] + np.sin(np.pi / 2 * time) * last[shown]
noisy = (drifting + 0.3 * rng.standard_normal(drifting.shape)).astype("float32")

# %%
# The patterns are shown one after another, through noise; at the end they have little in common with the first ones.

layer = SynapticMemory(first, tau=TAU, beta=2.0)
trajectory = keras.ops.convert_to_numpy(layer.learn(noisy, return_trajectory=True))


def cosine(memories, patterns):
    """The cosine of the angle between memories and patterns."""
    lengths = np.linalg.norm(memories, axis=-1) * np.linalg.norm(patterns, axis=-1)
    return (memories * patterns).sum(-1) / lengths


now = np.cos(np.pi / 2 * time)[:, None] * first + np.sin(np.pi / 2 * time)[:, None] * last
figure, axis = plt.subplots(figsize=(7, 3.5), layout="constrained")
for index in range(MEMORIES):
    axis.plot(cosine(trajectory[:, index], now[:, index]), color=f"C{index}")
    axis.plot(cosine(trajectory[:, index], first[index]), color=f"C{index}", linestyle=":")
axis.set(xlabel="patterns shown", ylabel="cosine with each memory", ylim=(-0.3, 1.05))
axis.legend(["the pattern as it is now", "the pattern as it was at the start"])
plt.show()
