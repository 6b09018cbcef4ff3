"""
A Kuramoto layer inside a Keras model, fine-tuned on images
===========================================================

A convolutional network is trained; then a Kuramoto layer is put between its features and its head, and the whole is
trained on. The images are CIFAR-10's, if `train.npz` (JPEG files end to end, as `prepare-images` takes them) lies in
the folder that the environment variable `CIFAR10` names, or in `data/cifar10`; elsewhere they are pieces of the two
photographs that come with scikit-learn, and the question is which of the two a piece is from.
"""

import os
import pathlib

import keras
import matplotlib.pyplot as plt
import numpy as np

from keras_kuramoto.layers import ConvConnectivity, InitialOscillators, KuramotoLayer, OscillatorReadout

EXAMPLES, EPOCHS, TEST = 4000, 3, 1000

keras.utils.set_random_seed(0)
path = pathlib.Path(os.environ.get("CIFAR10", "data/cifar10"), "train.npz")
if path.exists():
    import tensorflow as tf

    from training.datasets.images.jpeg import read_jpegs

    files, labels = (part[: EXAMPLES + TEST] for part in read_jpegs(path)[:2])
    images = np.stack([tf.io.decode_jpeg(file).numpy() for file in files])
else:
    from sklearn.datasets import load_sample_images

    rng, photographs = np.random.default_rng(0), load_sample_images().images
    labels = rng.integers(0, 2, EXAMPLES + TEST)
    corners = rng.integers(0, 390, (EXAMPLES + TEST, 2))
    images = np.stack([photographs[k][y : y + 32, x : x + 32] for k, (y, x) in zip(labels, corners)])
images = images.astype("float32") / 255

image = keras.Input((32, 32, 3))
trunk = keras.layers.Conv2D(32, 3, strides=2, padding="same", activation="relu")(image)
trunk = keras.layers.Conv2D(64, 3, strides=2, padding="same")(trunk)
head = keras.layers.Dense(int(labels.max()) + 1)
plain = keras.Model(image, head(keras.layers.GlobalMaxPooling2D()(trunk)))

# The features become the stimuli of 16 oscillators in R⁴ at each of 8 × 8 places; the head is the one trained before.
x = InitialOscillators(oscillator_dim=4, seed=0)(trunk)
x = KuramotoLayer(ConvConnectivity(5), oscillator_dim=4, num_steps=4)(x, trunk)
read = keras.layers.Add()([trunk, OscillatorReadout(64, oscillator_dim=4)(x)])
bound = keras.Model(image, head(keras.layers.GlobalMaxPooling2D()(read)))

for name, model in (("without oscillators", plain), ("fine-tuned with oscillators", bound)):
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    held = (images[-TEST:], labels[-TEST:])
    history = model.fit(images[:EXAMPLES], labels[:EXAMPLES], 64, EPOCHS, validation_data=held, verbose=0).history
    epochs = np.arange(EPOCHS) + (1 if model is plain else EPOCHS + 1)
    plt.plot(epochs, history["val_accuracy"], "o-", label=name)
plt.gca().set(xlabel="epoch", ylabel="right on test images")
plt.legend()
plt.show()
