"""A classifier that starts at random oscillators, as attacks and measures see it, and what they have it lose."""

import functools

import numpy as np
import tensorflow as tf

from keras_kuramoto._checks import check_whole
from training.images.batches import batches
from training.images.clustering import check_images


def cross_entropy(logits, labels):
    """The cross-entropy of each example, `(batch,)`.

    Args:
        logits: `(batch, classes)`.
        labels: `(batch,)`.
    """
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)


def margin(logits, labels):
    """How far the strongest other class is above the true one, `(batch,)`: above 0 where the classifier errs.

    Args:
        logits: `(batch, classes)`.
        labels: `(batch,)`.
    """
    true = tf.gather(logits, labels, batch_dims=1)
    others = tf.where(tf.one_hot(labels, logits.shape[-1], True, False), -np.inf, logits)
    return tf.reduce_max(others, axis=-1) - true


def logits_ratio(logits, labels):
    """The margin by the difference of the first and the third largest logit, `(batch,)`, whatever their scale.

    Args:
        logits: `(batch, classes)`, of at least three classes.
        labels: `(batch,)`.

    Reference: Croce and Hein, Reliable evaluation of adversarial robustness, ICML 2020, Eq. 6.
    """
    largest, _ = tf.math.top_k(logits, 3)
    return margin(logits, labels) / (largest[:, 0] - largest[:, 2] + 1e-12)


class RandomClassifier:
    """A classifier as attacks and measures see it: compiled, in batches of one size, at given draws of oscillators.

    Args:
        logits_of: Function of images `(batch, height, width, channels)` and a seed, an int32 scalar, both tensors, that
            returns logits `(batch, classes)`. All that is random in it depends on the seed, and the answer to an image
            on no other image. It is compiled with its gradient here, so it should not be by itself.
        batch_size: Images that are computed at once; all images of the first call, if those are fewer. A batch of fewer
            images is filled up, so that what is compiled once serves every call.
        jit_compile: Whether XLA compiles it, which on a CPU takes longer than it saves.

    Raises:
        ValueError: If `batch_size` is not an integer of at least 1.

    Example:

    >>> classifier = RandomClassifier(lambda images, seed: tf.reduce_mean(images, (1, 2)), batch_size=2)
    >>> classifier.logits(np.eye(3, dtype="float32").reshape(3, 1, 1, 3), seeds=[0, 1]).shape
    (2, 3, 3)
    """

    def __init__(self, logits_of, batch_size=100, jit_compile=False):
        self.batch_size = check_whole("batch_size", batch_size, 1)
        self._size = None
        self._compile = functools.partial(tf.function, jit_compile=jit_compile)
        self._logits_of = lambda images, seed: tf.cast(logits_of(images, seed), tf.float32)
        self._logits, self._gradients = self._compile(self._logits_of), {}

    def batches(self, count):
        """Rows of each batch, and how many of them are new, as of `training.images.batches`."""
        self._size = self._size or min(self.batch_size, count)
        for rows, fresh in batches(count, self._size):
            yield np.resize(rows, self._size), fresh

    def logits(self, images, seeds):
        """The answers to images.

        Args:
            images: `(images, height, width, channels)`.
            seeds: A list of integers.

        Returns:
            float32 array `(seeds, images, classes)`.
        """
        found = []
        for rows, fresh in self.batches(len(images)):
            batch = tf.constant(images[rows])
            found.append([self._logits(batch, tf.constant(seed, tf.int32)).numpy()[:fresh] for seed in seeds])
        return np.concatenate(found, axis=1)

    def gradients(self, loss, images, labels, seeds):
        """What makes a loss larger, on the mean over draws.

        Args:
            loss: Function of logits `(batch, classes)` and labels `(batch,)` that returns a loss of each example.
            images: `(images, height, width, channels)`.
            labels: `(images,)`.
            seeds: A list of integers.

        Returns:
            The gradients, as `images`, and the means of the losses and of the margins, each `(images,)`: NumPy arrays.
        """
        if loss not in self._gradients:

            @self._compile
            def compute(images, labels, seed):
                with tf.GradientTape() as tape:
                    tape.watch(images)
                    logits = self._logits_of(images, seed)
                    losses = loss(logits, labels)
                gradient = tape.gradient(losses, images, unconnected_gradients=tf.UnconnectedGradients.ZERO)
                return gradient, losses, margin(logits, labels)

            self._gradients[loss] = compute
        compute, found = self._gradients[loss], []
        for rows, fresh in self.batches(len(images)):
            batch, true = tf.constant(images[rows]), tf.constant(labels[rows], tf.int32)
            draws = [compute(batch, true, tf.constant(seed, tf.int32)) for seed in seeds]
            found.append([(tf.add_n(values) / len(seeds)).numpy()[:fresh] for values in zip(*draws)])
        return tuple(np.concatenate(values) for values in zip(*found))


def each_draw(loss, logits, labels):
    """A loss of each draw.

    Args:
        loss: As for `RandomClassifier.gradients`.
        logits: `(draws, images, classes)`.
        labels: `(images,)`.

    Returns:
        NumPy array `(draws, images)`.
    """
    draws, count, classes = logits.shape
    losses = loss(tf.constant(logits.reshape(-1, classes)), tf.constant(np.tile(labels, draws), tf.int32))
    return losses.numpy().reshape(draws, count)


def generator(seed, purpose):
    """A NumPy generator for each seed and purpose.

    Args:
        seed: An integer.
        purpose: An integer from 1 on: to NumPy a zero at the end is none, and images may be made with that seed alone.
    """
    return np.random.default_rng([seed, purpose])


def check_labelled(images, labels):
    """Images as `check_images` gives them, and their classes as int32.

    Args:
        images: `(images, height, width, channels)`, floats in [0, 1].
        labels: Classes `(images,)`, integers.

    Raises:
        ValueError: If they are not such.
    """
    images, labels = check_images(images), np.asarray(labels)
    if labels.shape != images.shape[:1] or (labels.size and labels.dtype.kind not in "iu"):
        raise ValueError(
            f"There must be a class for each of the {len(images)} images, an integer. Received labels of shape "
            f"{labels.shape} and dtype {labels.dtype}."
        )
    return images, labels.astype("int32")
