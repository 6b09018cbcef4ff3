"""
The same layer on TensorFlow, JAX and PyTorch
=============================================

Keras chooses its backend when it is imported, so each backend has a process of its own here. The layer, its weights
and the start are the same; so are the trajectories, to rounding.
"""

import os
import subprocess
import sys
import tempfile

import matplotlib.pyplot as plt
import numpy as np

OSCILLATORS, STEPS, BACKENDS = 20, 60, ("tensorflow", "jax", "torch")

program = f"""
import sys, keras, numpy as np
from keras_kuramoto.layers import DenseConnectivity, KuramotoLayer
rng = np.random.default_rng(0)
layer = KuramotoLayer(DenseConnectivity(), oscillator_dim=2, step_size=0.1)
x, c = rng.standard_normal((2, 1, 2 * {OSCILLATORS})).astype("float32")
layer.build(x.shape, c.shape)
for weight in layer.connectivity.weights:
    weight.assign(0.3 * rng.standard_normal(weight.shape))
states = layer.trajectory(keras.ops.convert_to_tensor(x), keras.ops.convert_to_tensor(0.3 * c), num_steps={STEPS})
np.save(sys.argv[1], keras.ops.convert_to_numpy(states)[0])
"""
states = {}
with tempfile.TemporaryDirectory() as folder:
    for backend in BACKENDS:
        path = os.path.join(folder, f"{backend}.npy")
        environment = {**os.environ, "KERAS_BACKEND": backend}
        subprocess.run([sys.executable, "-c", program, path], env=environment, check=True, capture_output=True)
        states[backend] = np.load(path)

# %%
# The phases of the oscillators, on top of each other, and how far the backends are from the first one.

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.5), layout="constrained")
for (backend, values), style in zip(states.items(), ("-", "--", ":")):
    phases = np.unwrap(np.arctan2(values[:, 1::2], values[:, ::2]), axis=0)
    left.plot(phases, linestyle=style, color=f"C{BACKENDS.index(backend)}", alpha=0.6)
    distance = np.abs(values - states[BACKENDS[0]]).max(axis=1)
    right.plot(distance, label=backend)
left.set(title="phases of the oscillators", xlabel="step", ylabel="radians")
right.set(title=f"largest difference from {BACKENDS[0]}", xlabel="step")
right.legend()
plt.show()
