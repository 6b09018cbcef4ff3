"""How a classifier holds against noise, attacks and corruptions.

What attacks made is judged by draws of initial oscillators that they have not seen.
"""

import numpy as np
import tensorflow as tf
import tqdm

from keras_kuramoto._checks import check_whole
from keras_kuramoto.metrics import ExpectedCalibrationError
from training.images.attacks import FGSM, PGD, Square
from training.images.corruptions import CORRUPTIONS, Corruption
from training.images.random_classifier import check_labelled, cross_entropy, generator


def measures(classifier, images, labels, draws=1, seed=0):
    """How a classifier does, each draw of initial oscillators for itself.

    Args:
        classifier: A `RandomClassifier`.
        images: `(images, height, width, channels)`, floats in [0, 1].
        labels: True classes `(images,)`.
        draws: Number of draws, over which the measures are averaged.
        seed: Seed of the draws, which are others than those of attacks.

    Returns:
        A dictionary of floats from 0 to 1: `accuracy` and `calibration_error`.

    Raises:
        ValueError: If images and labels do not fit, or there are none.

    Example:

    >>> from training.images.random_classifier import RandomClassifier
    >>> classifier = RandomClassifier(lambda images, seed: 9 * tf.reduce_mean(images, (1, 2)))
    >>> measures(classifier, np.eye(3).reshape(3, 1, 1, 3), [0, 1, 1])["accuracy"]
    0.6666666666666666
    """
    images, labels = check_labelled(images, labels)
    if not len(images):
        raise ValueError("There are no images to measure a classifier with.")
    seeds = generator(seed, 2).integers(2**31 - 1, size=check_whole("draws", draws, 1)).tolist()
    error, right = ExpectedCalibrationError(), 0
    for logits in classifier.logits(images, seeds):
        error.update_state(labels, tf.nn.softmax(logits))
        right += int((logits.argmax(-1) == labels).sum())
    return {"accuracy": right / (len(images) * draws), "calibration_error": float(error.result())}


def under_attack(classifier, images, labels, attacks, draws=1, seed=0, progress=False):
    """How a classifier does with images as they are, and as attacks, noise or corruptions change them.

    Args:
        classifier: A `RandomClassifier`.
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

    >>> from training.images.random_classifier import RandomClassifier
    >>> classifier = RandomClassifier(lambda images, seed: tf.reduce_mean(images, (1, 2)))
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
        classifier: A `RandomClassifier`.
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
        classifier: A `RandomClassifier`.
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
    images, labels = check_labelled(images, labels)
    attacks = {
        "one_step": FGSM(epsilon, draws),
        "white_box": PGD(epsilon, steps=steps, draws=draws, loss=loss),
        "black_box": Square(epsilon, queries, draws),
        "large_epsilon": PGD(large_epsilon, steps=5 * steps, draws=draws, loss=loss),
    }
    found = under_attack(classifier, images, labels, attacks, test_draws, seed)
    results = {name: found[name]["accuracy"] for name in attacks}
    gradients, _, _ = classifier.gradients(loss, images, labels, attacks["white_box"].seeds(generator(seed, 3)))
    results["zero_gradients"] = float((gradients == 0).all((1, 2, 3)).mean())
    checks = {
        "steps_help": results["white_box"] <= results["one_step"] + tolerance,
        "black_box_is_weaker": results["white_box"] <= results["black_box"] + tolerance,
        "large_epsilon_is_fatal": results["large_epsilon"] <= tolerance,
    }
    return {**results, **checks, "passed": all(checks.values())}
