"""
Oscillators find the shape of a fish
====================================

64 × 64 oscillators, each a vector on a sphere in R⁴, see the outline of a fish and nothing else. Neighbours pull at
each other by a Gaussian coupling. Alike colours are alike directions: inside and outside the outline, the oscillators
agree.
"""

import matplotlib.pyplot as plt
import numpy as np
from keras import ops

from keras_kuramoto.energies import lyapunov_energy_density
from keras_kuramoto.layers import FixedKernelConnectivity, KuramotoLayer, gaussian_kernel
from keras_kuramoto.ops import random_on_sphere

SIZE, STEPS = 64, 200


def fish():
    """1 on the outline of a fish, 0 elsewhere."""
    y, x = np.mgrid[0:SIZE, 0:SIZE] / SIZE
    body = ((x - 0.42) / 0.3) ** 2 + ((y - 0.5) / 0.2) ** 2 < 1
    tail = (x > 0.64) & (x < 0.9) & (np.abs(y - 0.5) < (x - 0.62) * 0.8)
    inside = body | tail
    core = inside.copy()
    for axis in (0, 1):
        for shift in (-2, 2):
            core &= np.roll(inside, shift, axis)
    return (inside & ~core).astype("float32")


# %%
# The outline is the stimulus: it drives the oscillators that it touches towards one direction.

stimuli = np.zeros((1, SIZE, SIZE, 4), "float32")
stimuli[0, ..., 0] = fish()
start = random_on_sphere((1, SIZE, SIZE, 4), seed=3)
layer = KuramotoLayer(
    FixedKernelConnectivity(gaussian_kernel(9, 1.5)),
    oscillator_dim=4,
    step_size=0.5,
    energy_density=lyapunov_energy_density,
)
states = ops.convert_to_numpy(layer.trajectory(start, stimuli, num_steps=STEPS))[0]
_, energies = layer(start, stimuli, num_steps=STEPS, return_energy=True)

# %%
# Three of the four components are shown as red, green and blue. The coupling is symmetric, so the energy only falls.

shown = (0, STEPS // 50, STEPS // 16, STEPS // 5, STEPS)
figure, axes = plt.subplots(1, 6, figsize=(12, 2.3), layout="constrained")
for axis, step in zip(axes, shown):
    axis.imshow(0.5 + 0.5 * states[step, ..., :3])
    axis.set_title(f"step {step}")
    axis.axis("off")
axes[-1].plot(ops.convert_to_numpy(energies)[0], color="black")
axes[-1].set(title="energy", xlabel="step")
plt.show()
