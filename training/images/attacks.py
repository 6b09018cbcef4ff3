"""Attacks: objects that change images so that a classifier errs, by no more than they are allowed to.

Classifiers here start at random oscillators, so that an attack does not know which answer it will get: it looks at
several draws of them and goes along the mean of their gradients (expectation over transformation).
"""

import functools

import numpy as np

from keras_kuramoto._checks import check_positive, check_whole
from training.images.random_classifier import (
    check_labelled,
    cross_entropy,
    each_draw,
    generator,
    logits_ratio,
    margin,
)
from training.images.toolbox import toolbox_estimator


class Attack:
    """Base class of what changes images.

    Args:
        epsilon: How large a change may be, ε > 0, in the norm of the attack; images are in [0, 1].
        draws: How many draws of initial oscillators each gradient, or each answer, is the mean of.

    Call arguments:
        classifier: A `RandomClassifier`.
        images: `(images, height, width, channels)`, floats in [0, 1].
        labels: True classes `(images,)`.
        seed: Seed of all that is random in the attack.

    Returns:
        float32 array of changed images, in [0, 1].

    Raises:
        ValueError: If a number is not such, or images and labels do not fit.
    """

    def __init__(self, epsilon, draws=1):
        self.epsilon, self.draws = check_positive("epsilon", epsilon), check_whole("draws", draws, 1)

    def __call__(self, classifier, images, labels, seed=0):
        images, labels = check_labelled(images, labels)
        if not len(images):
            return images
        return self.change(classifier, images, labels, generator(seed, 1)).astype("float32")

    def change(self, classifier, images, labels, rng):
        """The changed images: for derived classes.

        Args:
            classifier: A `RandomClassifier`.
            images: float32 array.
            labels: int32 array.
            rng: NumPy generator.
        """
        raise NotImplementedError

    def seeds(self, rng):
        """New draws of initial oscillators."""
        return rng.integers(2**31 - 1, size=self.draws).tolist()


class RandomNoise(Attack):
    """Noise that is uniform in [-ε, ε].

    Args:
        epsilon: ε.

    Example:

    >>> grey = np.full((1, 2, 2, 3), 0.5)
    >>> bool(abs(RandomNoise(0.1)(None, grey, [0]) - 0.5).max() <= 0.1)
    True

    Reference: Miyato et al., ICLR 2025, Fig. 8, with ε = 64 / 255.
    """

    def __init__(self, epsilon):
        super().__init__(epsilon)

    def change(self, classifier, images, labels, rng):
        return np.clip(images + self.noise(rng, images.shape), 0, 1)

    def noise(self, rng, shape):
        """The noise, of a shape."""
        return rng.uniform(-self.epsilon, self.epsilon, shape)


class SignedNoise(RandomNoise):
    """Noise that is ε or -ε in each channel of each pixel.

    Args:
        epsilon: ε.

    Example:

    >>> sorted({round(float(x), 2) for x in SignedNoise(0.1)(None, np.full((1, 9, 9, 3), 0.5), [0]).ravel()})
    [0.4, 0.6]
    """

    def noise(self, rng, shape):
        return self.epsilon * rng.choice([-1.0, 1.0], shape)


class FGSM(Attack):
    """One step of ε along the sign of the cross-entropy's gradient, which is exact for two classes and linear logits.

    Args:
        epsilon: ε, in the maximum norm.
        draws: As for `Attack`.

    Example:

    >>> import tensorflow as tf
    >>> from training.images.random_classifier import RandomClassifier
    >>> classifier = RandomClassifier(lambda images, seed: tf.reduce_mean(images, (1, 2)))
    >>> FGSM(0.1)(classifier, np.full((1, 1, 1, 3), 0.5), [2]).round(2).astype(str).tolist()
    [[[['0.6', '0.6', '0.4']]]]

    Reference: Goodfellow et al., Explaining and harnessing adversarial examples, ICLR 2015.
    """

    def change(self, classifier, images, labels, rng):
        gradients, _, _ = classifier.gradients(cross_entropy, images, labels, self.seeds(rng))
        return np.clip(images + self.epsilon * np.sign(gradients), 0, 1)


class MaximumNorm:
    """The norm L∞: no value is changed by more than ε."""

    def start(self, rng, shape):
        """Changes drawn uniformly from those of norm at most 1."""
        return rng.uniform(-1, 1, shape)

    def steepest(self, gradients):
        """Of the changes with norm 1, those along which a function with such gradients rises most."""
        return np.sign(gradients)

    def project(self, changes, epsilon):
        """The nearest changes of norm at most ε."""
        return np.clip(changes, -epsilon, epsilon)


class EuclideanNorm:
    """The norm L2 of an image's change, over all pixels and channels."""

    def start(self, rng, shape):
        """Changes drawn uniformly from those of norm at most 1."""
        direction = self.steepest(rng.standard_normal(shape))
        return direction * rng.random((shape[0], 1, 1, 1)) ** (1 / np.prod(shape[1:]))

    def steepest(self, gradients):
        """Of the changes with norm 1, those along which a function with such gradients rises most."""
        norm = np.sqrt((np.asarray(gradients, "float64") ** 2).sum((1, 2, 3), keepdims=True))
        return gradients / np.where(norm > 0, norm, 1)

    def project(self, changes, epsilon):
        """The nearest changes of norm at most ε."""
        norm = np.sqrt((np.asarray(changes, "float64") ** 2).sum((1, 2, 3), keepdims=True))
        return changes * np.minimum(1, epsilon / np.maximum(norm, 1e-12))


class PGD(Attack):
    """Projected gradient descent: steps along the gradient, from a random start, back into the ball of radius ε.

    Of all steps and starts the image with the largest margin is kept, on the mean over its draws.

    Args:
        epsilon: ε.
        norm: `MaximumNorm()` or `EuclideanNorm()`.
        steps: Number of steps.
        step_size: Length of a step in the norm; 2.5 ε / steps if `None`.
        restarts: Number of random starts.
        draws: As for `Attack`.
        loss: What grows: `cross_entropy`, `margin` or `logits_ratio`.

    Example:

    >>> import tensorflow as tf
    >>> from training.images.random_classifier import RandomClassifier
    >>> classifier = RandomClassifier(lambda images, seed: tf.reduce_mean(images, (1, 2)))
    >>> PGD(0.1, steps=5)(classifier, np.full((1, 1, 1, 2), 0.5), [1]).round(2).astype(str).tolist()
    [[[['0.6', '0.4']]]]

    Reference: Madry et al., Towards deep learning models resistant to adversarial attacks, ICLR 2018; Athalye et al.,
    Obfuscated gradients give a false sense of security, ICML 2018, for the mean over draws.
    """

    def __init__(self, epsilon, norm=None, steps=20, step_size=None, restarts=1, draws=1, loss=cross_entropy):
        super().__init__(epsilon, draws)
        self.norm = MaximumNorm() if norm is None else norm
        self.steps, self.restarts = check_whole("steps", steps, 1), check_whole("restarts", restarts, 1)
        self.step_size = 2.5 * self.epsilon / steps if step_size is None else check_positive("step_size", step_size)
        self.loss = loss

    def change(self, classifier, images, labels, rng):
        result = images.copy()
        for rows, fresh in classifier.batches(len(images)):
            result[rows[:fresh]] = self._change(classifier, images[rows], labels[rows], rng)[:fresh]
        return result

    def _change(self, classifier, images, labels, rng):
        best, largest = images.copy(), np.full(len(images), -np.inf)
        for _ in range(self.restarts):
            changes = self.epsilon * self.norm.start(rng, images.shape)
            for step in range(self.steps + 1):
                changed = np.clip(images + changes, 0, 1).astype("float32")
                if step < self.steps:
                    gradients, _, margins = classifier.gradients(self.loss, changed, labels, self.seeds(rng))
                    changes = changed + self.step_size * self.norm.steepest(gradients) - images
                    changes = self.norm.project(changes, self.epsilon)
                else:
                    margins = each_draw(margin, classifier.logits(changed, self.seeds(rng)), labels).mean(0)
                better = margins > largest
                best[better], largest[better] = changed[better], margins[better]
        return best


class Square(Attack):
    """A black-box attack: squares of ±ε at random, kept where they help. It asks for answers and sees no gradient.

    From the Adversarial Robustness Toolbox, with the maximum norm.

    Args:
        epsilon: ε.
        queries: How often the classifier is asked about each image, at most.
        draws: As for `Attack`.

    Raises:
        ValueError: If the toolbox is not there, or images are smaller than 5 × 5.

    Example:

    >>> Square(8 / 255, queries=1000)(classifier, images, labels)  # doctest: +SKIP

    Reference: Andriushchenko et al., Square attack, ECCV 2020.
    """

    def __init__(self, epsilon, queries=1000, draws=1):
        super().__init__(epsilon, draws)
        self.queries = check_whole("queries", queries, 1)

    def change(self, classifier, images, labels, rng):
        estimator = toolbox_estimator(self, classifier, images, rng)
        return estimator.square(self.queries, images, labels)


class AutoAttack(Attack):
    """Several attacks one after another, each on the images that those before it did not succeed with at every draw.

    APGD with the cross-entropy, APGD with the ratio of logits (of at least three classes) and Square, with the maximum
    norm: the attacks that AutoAttack has for random classifiers, and its black-box attack. Both are those of the
    Adversarial Robustness Toolbox, which has no FAB, an attack of the version for others. Of what APGD tried, the image
    with the largest margin on the mean over draws is kept, where the toolbox would keep the last one, and that only if
    the mean of the answers was wrong: a classifier that draws anew may still be right then.

    Args:
        epsilon: ε.
        steps: Steps of APGD.
        restarts: Random starts of APGD.
        queries: As for `Square`; 0 leaves it out.
        draws: As for `Attack`.

    Raises:
        ValueError: As for `Square`.

    Example:

    >>> AutoAttack(8 / 255, steps=100, draws=20)(classifier, images, labels)  # doctest: +SKIP

    Reference: Croce and Hein, Reliable evaluation of adversarial robustness, ICML 2020; Miyato et al., ICLR 2025,
    Table 4, with ε = 8 / 255.
    """

    def __init__(self, epsilon, steps=100, restarts=1, queries=1000, draws=1):
        super().__init__(epsilon, draws)
        self.steps, self.restarts = check_whole("steps", steps, 1), check_whole("restarts", restarts, 1)
        self.queries = queries and check_whole("queries", queries, 1)

    def change(self, classifier, images, labels, rng):
        estimator = toolbox_estimator(self, classifier, images, rng)
        best, margins = images.copy(), estimator.margins(images, labels)
        losses = [cross_entropy, logits_ratio][: estimator.nb_classes - 1] * self.restarts
        attacks = [functools.partial(estimator.apgd, loss, self.steps) for loss in losses]
        if self.queries:
            attacks.append(functools.partial(estimator.square, self.queries))
        for number, attack in enumerate(attacks):
            # First all: what is wrong already, with few draws, may be right with others.
            right = np.flatnonzero((margins.min(0) <= 0) | (number == 0))
            # In batches, for which the classifier is compiled.
            for rows in np.split(right, range(classifier.batch_size, len(right), classifier.batch_size)):
                if len(rows):
                    changed = attack(images[rows], labels[rows])
                    new = estimator.margins(changed, labels[rows])
                    better = new.mean(0) > margins[:, rows].mean(0)
                    best[rows[better]], margins[:, rows[better]] = changed[better], new[:, better]
        return best
