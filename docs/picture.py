"""Draws `docs/oscillators.png`, the picture of the README: `python docs/picture.py`."""

import pathlib

import keras
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from keras import ops

from keras_kuramoto.energies import lyapunov_energy_density
from keras_kuramoto.layers import FixedKernelConnectivity, KuramotoLayer, gaussian_kernel
from keras_kuramoto.ops import random_on_sphere

SIZE, STEPS, SHOWN = 64, 200, (0, 3, 12, 40, 200)


def fish():
    """A silhouette: 1 on the outline of a fish, 0 elsewhere."""
    y, x = np.mgrid[0:SIZE, 0:SIZE] / SIZE
    body = ((x - 0.42) / 0.3) ** 2 + ((y - 0.5) / 0.2) ** 2 < 1
    tail = (x > 0.64) & (x < 0.9) & (np.abs(y - 0.5) < (x - 0.62) * 0.8)
    inside = body | tail
    core = inside.copy()
    for axis in (0, 1):
        for shift in (-2, 2):
            core &= np.roll(inside, shift, axis)
    return (inside & ~core).astype("float32")


def main():
    """Runs the oscillators and draws them with their energy."""
    outline = fish()
    stimuli = np.zeros((1, SIZE, SIZE, 4), "float32")
    stimuli[0, ..., 0] = outline
    layer = KuramotoLayer(
        FixedKernelConnectivity(gaussian_kernel(9, 1.5)),
        oscillator_dim=4,
        step_size=0.5,
        energy_density=lyapunov_energy_density,
    )
    start = random_on_sphere((1, SIZE, SIZE, 4), seed=3)
    states = ops.convert_to_numpy(layer.trajectory(start, stimuli, num_steps=STEPS))[0]
    _, energies = layer(start, stimuli, num_steps=STEPS, return_energy=True)
    figure, axes = plt.subplots(
        1, len(SHOWN) + 1, figsize=(12, 2.3), width_ratios=[1] * len(SHOWN) + [1.2], layout="constrained"
    )
    for axis, t in zip(axes, SHOWN):
        # Three of the four components as red, green and blue: alike colours are alike directions.
        axis.imshow(0.5 + 0.5 * states[t, ..., :3])
        axis.set_title(f"step {t}", fontsize=10)
        axis.axis("off")
    axes[-1].plot(ops.convert_to_numpy(energies)[0], color="black")
    axes[-1].set_title("energy", fontsize=10)
    axes[-1].set_xlabel("step", fontsize=9)
    axes[-1].tick_params(labelsize=8)
    axes[-1].spines[["top", "right"]].set_visible(False)
    path = pathlib.Path(__file__).with_name("oscillators.png")
    figure.savefig(path, dpi=110)
    print(f"{path} with {keras.backend.backend()}")


if __name__ == "__main__":
    main()
