"""How a classifier holds against noise, attacks and corruptions.

An attack is an object that changes images so that a classifier errs, by no more than it is allowed to. Classifiers here
start at random oscillators, so that an attack does not know which answer it will get: it looks at several draws of them
and goes along the mean of their gradients (expectation over transformation). What it made is judged by other draws.
"""

import contextlib
import functools
import hashlib
import inspect
import warnings

import numpy as np
import tensorflow as tf
import tqdm

from keras_kuramoto.metrics import ExpectedCalibrationError
from training.images.batches import batches
from training.images.clustering import check_images
from training.options import unknown


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


class Classifier:
    """A classifier as attacks and measures see it: compiled, in batches of one size, at given draws of oscillators.

    Args:
        logits_of: Function of images `(batch, height, width, channels)` and a seed, an int32 scalar, both tensors, that
            returns logits `(batch, classes)`. All that is random in it depends on the seed, and the answer to an image
            on no other image.
        batch_size: Images that are computed at once; all images of the first call, if those are fewer. A batch of fewer
            images is filled up, so that what is compiled once serves every call.

    Raises:
        ValueError: If `batch_size` is not an integer of at least 1.

    Example:

    >>> classifier = Classifier(lambda images, seed: tf.reduce_mean(images, (1, 2)), batch_size=2)
    >>> classifier.logits(np.eye(3, dtype="float32").reshape(3, 1, 1, 3), seeds=[0, 1]).shape
    (2, 3, 3)
    """

    def __init__(self, logits_of, batch_size=100):
        self.batch_size = _whole("batch_size", batch_size)
        self._size = None
        self._logits = tf.function(lambda images, seed: tf.cast(logits_of(images, seed), tf.float32))
        self._gradients = {}

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

            @tf.function
            def compute(images, labels, seed):
                with tf.GradientTape() as tape:
                    tape.watch(images)
                    logits = self._logits(images, seed)
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


class Attack:
    """Base class of what changes images.

    Args:
        epsilon: How large a change may be, ε > 0, in the norm of the attack; images are in [0, 1].
        draws: How many draws of initial oscillators each gradient, or each answer, is the mean of.

    Call arguments:
        classifier: A `Classifier`.
        images: `(images, height, width, channels)`, floats in [0, 1].
        labels: True classes `(images,)`.
        seed: Seed of all that is random in the attack.

    Returns:
        float32 array of changed images, in [0, 1].

    Raises:
        ValueError: If a number is not such, or images and labels do not fit.
    """

    def __init__(self, epsilon, draws=1):
        self.epsilon, self.draws = float(_above_zero("epsilon", epsilon)), _whole("draws", draws)

    def __call__(self, classifier, images, labels, seed=0):
        images, labels = _labelled(images, labels)
        return images if not len(images) else self.change(classifier, images, labels, _rng(seed, 1)).astype("float32")

    def change(self, classifier, images, labels, rng):
        """The changed images: for derived classes.

        Args:
            classifier: A `Classifier`.
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

    >>> classifier = Classifier(lambda images, seed: tf.reduce_mean(images, (1, 2)))
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

    >>> classifier = Classifier(lambda images, seed: tf.reduce_mean(images, (1, 2)))
    >>> PGD(0.1, steps=5)(classifier, np.full((1, 1, 1, 2), 0.5), [1]).round(2).astype(str).tolist()
    [[[['0.6', '0.4']]]]

    Reference: Madry et al., Towards deep learning models resistant to adversarial attacks, ICLR 2018; Athalye et al.,
    Obfuscated gradients give a false sense of security, ICML 2018, for the mean over draws.
    """

    def __init__(self, epsilon, norm=None, steps=20, step_size=None, restarts=1, draws=1, loss=cross_entropy):
        super().__init__(epsilon, draws)
        self.norm = MaximumNorm() if norm is None else norm
        self.steps, self.restarts = _whole("steps", steps), _whole("restarts", restarts)
        self.step_size = 2.5 * self.epsilon / steps if step_size is None else _above_zero("step_size", step_size)
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
                    margins = _mean_margins(classifier, changed, labels, self.seeds(rng))
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
        self.queries = _whole("queries", queries)

    def change(self, classifier, images, labels, rng):
        estimator = _estimator(self, classifier, images, rng)
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
        self.steps, self.restarts = _whole("steps", steps), _whole("restarts", restarts)
        self.queries = queries and _whole("queries", queries)

    def change(self, classifier, images, labels, rng):
        estimator = _estimator(self, classifier, images, rng)
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


class Corruption:
    """One of nineteen common corruptions, such as noise, blur, weather and compression, at one of five severities.

    From the package `imagecorruptions-imaug`, whose strengths are those for ImageNet: on small images they are much
    stronger than CIFAR-10-C, which has strengths of its own. Called as an `Attack` is, though it needs no classifier.

    Args:
        name: One of `CORRUPTIONS`.
        severity: From 1 to 5.

    Raises:
        ValueError: If there is no such corruption, the package is not there, or images are smaller than 32 × 32 or have
            neither one nor three channels.

    Example:

    >>> Corruption("fog", 5)(None, images, labels)  # doctest: +SKIP

    Reference: Hendrycks and Dietterich, Benchmarking neural network robustness to common corruptions, ICLR 2019.
    """

    def __init__(self, name, severity):
        if name not in CORRUPTIONS:
            raise ValueError(unknown("corruption", name, CORRUPTIONS))
        if severity not in range(1, 6):
            raise ValueError(f"`severity` must be an integer from 1 to 5. Received {severity!r}.")
        self.name, self.severity = name, severity

    def __call__(self, classifier, images, labels, seed=0):
        images, _ = _labelled(images, labels)
        try:
            import imagecorruptions
        except ImportError:
            raise ValueError(_MISSING.format("Corruptions", "imagecorruptions-imaug")) from None
        if min(images.shape[1:3]) < 32 or images.shape[3] not in (1, 3):
            raise ValueError(
                "Corruptions need images of at least 32 × 32 pixels and of one or three channels. Received shape "
                f"{images.shape}."
            )
        rng = np.random.default_rng([seed, CORRUPTIONS.index(self.name), self.severity])
        # Most draw from the generator that all of NumPy shares, some from one of their own.
        own = "seed" in inspect.signature(imagecorruptions.corruption_dict[self.name]).parameters
        changed = np.empty_like(images)
        with _numpy_seed(rng):
            for index, image in enumerate(np.round(255 * images).astype("uint8")):
                found = self._corrupt(image, lambda: {"seed": int(rng.integers(2**31))} if own else {})
                changed[index] = found[..., : images.shape[3]] / np.float32(255)
        return changed

    def _corrupt(self, image, seed):
        import imagecorruptions

        with warnings.catch_warnings():
            # Of a small image where no drop falls, "spatter" divides zero by zero and makes all of it black.
            warnings.simplefilter("error", RuntimeWarning)
            for _ in range(1000):
                with contextlib.suppress(RuntimeWarning):
                    return imagecorruptions.corrupt(image, self.severity, self.name, **seed())
        raise ValueError(f"The image can't be corrupted by '{self.name}'.")


CORRUPTIONS = (
    "gaussian_noise",
    "shot_noise",
    "impulse_noise",
    "defocus_blur",
    "glass_blur",
    "motion_blur",
    "zoom_blur",
    "snow",
    "frost",
    "fog",
    "brightness",
    "contrast",
    "elastic_transform",
    "pixelate",
    "jpeg_compression",
    "speckle_noise",
    "gaussian_blur",
    "spatter",
    "saturate",
)


def measures(classifier, images, labels, draws=1, seed=0):
    """How a classifier does, each draw of initial oscillators for itself.

    Args:
        classifier: A `Classifier`.
        images: `(images, height, width, channels)`, floats in [0, 1].
        labels: True classes `(images,)`.
        draws: Number of draws, over which the measures are averaged.
        seed: Seed of the draws, which are others than those of attacks.

    Returns:
        A dictionary of floats from 0 to 1: `accuracy` and `calibration_error`.

    Raises:
        ValueError: If images and labels do not fit, or there are none.

    Example:

    >>> classifier = Classifier(lambda images, seed: 9 * tf.reduce_mean(images, (1, 2)))
    >>> measures(classifier, np.eye(3).reshape(3, 1, 1, 3), [0, 1, 1])["accuracy"]
    0.6666666666666666
    """
    images, labels = _labelled(images, labels)
    if not len(images):
        raise ValueError("There are no images to measure a classifier with.")
    seeds = _rng(seed, 2).integers(2**31 - 1, size=_whole("draws", draws)).tolist()
    error, right = ExpectedCalibrationError(), 0
    for logits in classifier.logits(images, seeds):
        error.update_state(labels, tf.nn.softmax(logits))
        right += int((logits.argmax(-1) == labels).sum())
    return {"accuracy": right / (len(images) * draws), "calibration_error": float(error.result())}


def under_attack(classifier, images, labels, attacks, draws=1, seed=0, progress=False):
    """How a classifier does with images as they are, and as attacks, noise or corruptions change them.

    Args:
        classifier: A `Classifier`.
        images: `(images, height, width, channels)`, floats in [0, 1].
        labels: True classes `(images,)`.
        attacks: Dictionary of `Attack`s or `Corruption`s by name.
        draws: As for `measures`.
        seed: As for `measures`, and of the attacks.
        progress: Whether to show a progress bar.

    Returns:
        Dictionary of `measures` by name, those of `"clean"` images first.

    Raises:
        ValueError: As for `measures` and for the attacks.

    Example:

    >>> classifier = Classifier(lambda images, seed: tf.reduce_mean(images, (1, 2)))
    >>> images = 0.5 + 0.1 * np.eye(3).reshape(3, 1, 1, 3)
    >>> results = under_attack(classifier, images, np.arange(3), {"FGSM": FGSM(0.04), "PGD": PGD(0.06)})
    >>> {name: values["accuracy"] for name, values in results.items()}
    {'clean': 1.0, 'FGSM': 1.0, 'PGD': 0.0}
    """
    results = {"clean": measures(classifier, images, labels, draws, seed)}
    for name, attack in tqdm.tqdm(attacks.items(), desc="Attacks", unit=" attacks", disable=not progress):
        results[name] = measures(classifier, attack(classifier, images, labels, seed), labels, draws, seed)
    return results


def under_corruption(
    classifier, images, labels, names=CORRUPTIONS, severities=(1, 2, 3, 4, 5), draws=1, seed=0, progress=False
):
    """How a classifier does with corrupted images.

    Args:
        classifier: A `Classifier`.
        images: `(images, height, width, channels)`, floats in [0, 1].
        labels: True classes `(images,)`.
        names: Of `CORRUPTIONS`.
        severities: Of 1 to 5.
        draws: As for `measures`.
        seed: As for `measures`, and of the corruptions.
        progress: Whether to show a progress bar.

    Returns:
        Dictionary from each name, and `"mean"` over the names, to a dictionary of `measures` by severity, which is
        written as a string.

    Raises:
        ValueError: As for `measures` and `Corruption`.

    Example:

    >>> under_corruption(classifier, images, labels, severities=[5])["mean"]["5"]  # doctest: +SKIP
    {'accuracy': 0.83, 'calibration_error': 0.013}
    """
    corruptions = {(name, severity): Corruption(name, severity) for name in names for severity in severities}
    results = {name: {} for name in names}
    for (name, severity), corruption in tqdm.tqdm(
        corruptions.items(), desc="Corruptions", unit=" corruptions", disable=not progress
    ):
        changed = corruption(classifier, images, labels, seed)
        results[name][str(severity)] = measures(classifier, changed, labels, draws, seed)
    results["mean"] = {
        str(severity): {
            measure: float(np.mean([results[name][str(severity)][measure] for name in names]))
            for measure in ("accuracy", "calibration_error")
        }
        for severity in severities
    }
    return results


def check_gradients(
    classifier,
    images,
    labels,
    epsilon=8 / 255,
    steps=20,
    queries=1000,
    large_epsilon=0.5,
    draws=1,
    test_draws=1,
    loss=cross_entropy,
    tolerance=0.01,
    seed=0,
):
    """Whether figures of robustness can be believed, or gradients lead attacks astray (masked gradients).

    An attack that sees gradients must do at least as well as one that asks for answers alone, more steps and a larger
    ε must not do worse, and an ε with which every image can be made grey must leave nothing right.

    Args:
        classifier: A `Classifier`.
        images: `(images, height, width, channels)`, floats in [0, 1].
        labels: True classes `(images,)`.
        epsilon: ε of the comparison, in the maximum norm.
        steps: Steps of `PGD`; five times as many with the large ε.
        queries: As for `Square`.
        large_epsilon: The large ε.
        draws: As for `Attack`.
        test_draws: As for the draws of `measures`.
        loss: As for `PGD`. Where a classifier is so sure that the gradient of the cross-entropy is zero in float32,
            `margin` still has one.
        tolerance: By how much accuracies may differ from what they must be: figures of random classifiers vary.
        seed: As for `under_attack`.

    Returns:
        Dictionary with the accuracies `one_step` (FGSM), `white_box` (PGD), `black_box` (Square) and `large_epsilon`
        (PGD), the share of images that have `zero_gradients`, and for each check whether it is passed:
        `steps_help`, `black_box_is_weaker`, `large_epsilon_is_fatal`, and `passed` for all.

    Raises:
        ValueError: As for `measures` and `Square`.

    Example:

    >>> check_gradients(classifier, images, labels, draws=8)["passed"]  # doctest: +SKIP
    True

    Reference: Athalye et al., Obfuscated gradients give a false sense of security, ICML 2018, Sec. 3.1; Carlini et al.,
    On evaluating adversarial robustness, 2019, Sec. 5.
    """
    images, labels = _labelled(images, labels)
    attacks = {
        "one_step": FGSM(epsilon, draws),
        "white_box": PGD(epsilon, steps=steps, draws=draws, loss=loss),
        "black_box": Square(epsilon, queries, draws),
        "large_epsilon": PGD(large_epsilon, steps=5 * steps, draws=draws, loss=loss),
    }
    found = under_attack(classifier, images, labels, attacks, test_draws, seed)
    results = {name: found[name]["accuracy"] for name in attacks}
    gradients, _, _ = classifier.gradients(loss, images, labels, attacks["white_box"].seeds(_rng(seed, 3)))
    results["zero_gradients"] = float((gradients == 0).all((1, 2, 3)).mean())
    checks = {
        "steps_help": results["white_box"] <= results["one_step"] + tolerance,
        "black_box_is_weaker": results["white_box"] <= results["black_box"] + tolerance,
        "large_epsilon_is_fatal": results["large_epsilon"] <= tolerance,
    }
    return {**results, **checks, "passed": all(checks.values())}


_MISSING = "{} need the package {}: pip install 'keras-kuramoto[robustness]'."


def _toolbox():
    """The Adversarial Robustness Toolbox, which takes seconds to import."""
    try:
        import art.attacks.evasion
    except ImportError:
        raise ValueError(_MISSING.format("AutoAttack and Square", "adversarial-robustness-toolbox")) from None
    return art


def _estimator(attack, classifier, images, rng):
    """A classifier as the toolbox wants it, with means over draws as its losses and gradients, and two attacks on it.

    The draws of answers and losses stay the same, so that those of two images can be compared; gradients are of draws
    that are new each time. Answers are kept, since the toolbox asks for them several times.
    """
    evasion = _toolbox().attacks.evasion
    from art.estimators.classification import BlackBoxClassifierNeuralNetwork
    from art.estimators.estimator import LossGradientsMixin

    if min(images.shape[1:3]) < 5:
        raise ValueError(f"Images must have at least 5 × 5 pixels for Square. Received shape {images.shape}.")
    seeds, kept = attack.seeds(rng), {}

    def logits(images):
        """`(draws, images, classes)`."""
        images = np.ascontiguousarray(images, "float32")
        names = [hashlib.blake2b(image.tobytes(), digest_size=16).digest() for image in images]
        new = [row for row, name in enumerate(names) if name not in kept]
        if new:
            kept.update(zip([names[row] for row in new], classifier.logits(images[new], seeds).swapaxes(0, 1)))
        return np.stack([kept[name] for name in names], axis=1)

    class Estimator(LossGradientsMixin, BlackBoxClassifierNeuralNetwork):
        def apgd(self, loss, steps, images, labels):
            self.loss, self.largest = loss, np.full(len(images), -np.inf)
            self.best = images.copy()
            # The toolbox leaves out what it takes for wrong already.
            self.answers = lambda x: 2 * np.eye(self.nb_classes)[labels[: len(x)]]
            apgd = evasion.AutoProjectedGradientDescent(
                self,
                eps=attack.epsilon,
                eps_step=2 * attack.epsilon,
                max_iter=steps,
                nb_random_init=1,
                batch_size=len(images),
                verbose=False,
            )
            with _numpy_seed(rng):
                apgd.generate(images, labels)
            return self.best

        def square(self, queries, images, labels):
            self.answers = lambda x: np.concatenate([*logits(x)], axis=-1)

            def wrong(answers, y):
                answers = answers.reshape(len(y), -1, self.nb_classes)
                return (answers.argmax(-1) != y.argmax(-1)[:, None]).all(-1)

            square = evasion.SquareAttack(
                self,
                eps=attack.epsilon,
                max_iter=queries,
                batch_size=len(images),
                adv_criterion=wrong,
                loss=lambda x, y: -self.margins(x, y.argmax(-1)).mean(0),
                verbose=False,
            )
            with _numpy_seed(rng):
                return square.generate(images, labels)

        def predict(self, x, **kwargs):
            return self.answers(x)

        def margins(self, images, labels):
            """`(draws, images)`."""
            return _each_draw(margin, logits(images), labels)

        def loss_gradient(self, x, y, **kwargs):
            return classifier.gradients(self.loss, x.astype("float32"), y.argmax(-1), attack.seeds(rng))[0]

        def compute_loss(self, x, y, reduction="none", **kwargs):
            labels = y.argmax(-1)
            margins = self.margins(x, labels).mean(0)
            better = margins > self.largest
            self.best[better], self.largest[better] = x[better], margins[better]
            return _each_draw(self.loss, logits(x), labels).mean(0)

    classes = logits(images[:1]).shape[-1]
    # `predict` takes the place of the function that the toolbox asks for.
    return Estimator(logits, images.shape[1:], classes, channels_first=False, clip_values=(0.0, 1.0))


def _each_draw(loss, logits, labels):
    """Losses `(draws, images)` of logits `(draws, images, classes)`."""
    draws, count, classes = logits.shape
    losses = loss(tf.constant(logits.reshape(-1, classes)), tf.constant(np.tile(labels, draws), tf.int32))
    return losses.numpy().reshape(draws, count)


def _mean_margins(classifier, images, labels, seeds):
    return _each_draw(margin, classifier.logits(images, seeds), labels).mean(0)


@contextlib.contextmanager
def _numpy_seed(rng):
    """Seeds the generator that all of NumPy shares, which both packages draw from, and leaves it as it was."""
    state = np.random.get_state()
    np.random.seed(rng.integers(2**32, dtype=np.uint32))
    try:
        yield
    finally:
        np.random.set_state(state)


def _rng(seed, purpose):
    """A generator for each purpose, from 1 on: to NumPy a zero at the end is none, and images may be of that seed."""
    return np.random.default_rng([seed, purpose])


def _whole(name, value):
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < 1:
        raise ValueError(f"`{name}` must be an integer of at least 1. Received {value!r}.")
    return int(value)


def _above_zero(name, value):
    if not isinstance(value, (int, float, np.number)) or isinstance(value, bool) or not 0 < value < np.inf:
        raise ValueError(f"`{name}` must be a number above 0. Received {value!r}.")
    return float(value)


def _labelled(images, labels):
    images, labels = check_images(images), np.asarray(labels)
    if labels.shape != images.shape[:1] or (labels.size and labels.dtype.kind not in "iu"):
        raise ValueError(
            f"There must be a class for each of the {len(images)} images, an integer. Received labels of shape "
            f"{labels.shape} and dtype {labels.dtype}."
        )
    return images, labels.astype("int32")
