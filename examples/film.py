"""
A film along a cycle of memories
================================

Each frame is a memory, and an edge of a graph leads to the next frame. Shown the first frame, the memory plays the
film. Neighbouring frames are so much alike that pulling towards the next one is not enough: the state has to let go of
the present one, by a < 0.
"""

import keras
import matplotlib.pyplot as plt
import networkx as nx
import numpy as np

from keras_kuramoto.layers import CDAMRecall
from training.cdam.frames import moving_scene

FRAMES, STEPS = 50, 200

frames = moving_scene(FRAMES)
rows = frames.reshape(FRAMES, -1)
memory = CDAMRecall(rows, nx.cycle_graph(FRAMES, create_using=nx.DiGraph), beta=1.0, eta=0.1)

figure, axes = plt.subplots(1, 2, figsize=(10, 3.2), layout="constrained")
for axis, (a, h) in zip(axes, ((-2.0, 3.0), (0.0, 3.0))):
    _, correlations = memory(rows[:1], a=a, h=h, num_steps=STEPS, return_correlations=True)
    correlations = keras.ops.convert_to_numpy(correlations)[0]
    axis.imshow(correlations.T, aspect="auto", origin="lower", interpolation="nearest", cmap="magma")
    played = len(set(correlations.argmax(axis=1)))
    axis.set(title=f"a = {a:g}, h = {h:g}: {played} of {FRAMES} frames seen", xlabel="step", ylabel="frame")
plt.show()

# %%
# What was recalled with a = −2, h = 3, at equal times.

figure, axes = plt.subplots(1, 7, figsize=(10, 1.6), layout="constrained")
for axis, time in zip(axes, np.linspace(0, STEPS, 7).astype(int)):
    state = keras.ops.convert_to_numpy(memory(rows[:1], a=-2.0, h=3.0, num_steps=int(time)))[0]
    state = (state - state.min()) / (state.max() - state.min())
    axis.imshow(state.reshape(frames.shape[1:]))
    axis.set(title=f"step {time}", xticks=[], yticks=[])
plt.show()
