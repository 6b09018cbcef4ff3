"""Attacks, noise and corruptions, on classifiers whose right answer is known."""

import doctest
import importlib
import sys

import numpy as np
import pytest
import tensorflow as tf

from training.images.attacks import (
    FGSM,
    PGD,
    AutoAttack,
    EuclideanNorm,
    MaximumNorm,
    RandomNoise,
    SignedNoise,
    Square,
)
from training.images.corruptions import CORRUPTIONS, Corruption
from training.images.random_classifier import RandomClassifier, cross_entropy, logits_ratio, margin
from training.images.robustness import check_gradients, measures, under_attack, under_corruption

SIZE = (6, 6, 3)


def linear(classes=2, seed=0, noise=0.0, scale=1.0):
    """A linear classifier of grey images, the weights of its classes, and what the seed adds to its logits."""
    weights = np.random.default_rng(seed).standard_normal((classes, *SIZE)).astype("float32")

    def logits_of(images, seed):
        drawn = noise * tf.random.stateless_normal([tf.shape(images)[0], classes], [seed, 0])
        return scale * (tf.einsum("bhwc,khwc->bk", images - 0.5, weights) + drawn)

    return RandomClassifier(logits_of, batch_size=4), weights


def examples(weights, count=6, seed=1):
    """Images far from 0 and 1, and the classes that a linear classifier puts them in."""
    images = np.random.default_rng(seed).uniform(0.4, 0.6, (count, *SIZE)).astype("float32")
    return images, np.einsum("bhwc,khwc->bk", images - 0.5, weights).argmax(-1)


def true_margins(weights, images, labels):
    logits = np.einsum("bhwc,khwc->bk", np.asarray(images, float) - 0.5, weights)
    own = logits[np.arange(len(labels)), labels]
    logits[np.arange(len(labels)), labels] = -np.inf
    return logits.max(-1) - own


def test_losses_are_those_of_their_formulas():
    logits = np.array([[1.0, 4.0, 2.0, -1.0], [3.0, 0.5, 2.5, 2.0]], "float32")
    labels = np.array([1, 2], "int32")
    np.testing.assert_allclose(margin(tf.constant(logits), labels), [-2.0, 0.5])
    np.testing.assert_allclose(logits_ratio(tf.constant(logits), labels), [-2 / 3, 0.5 / 1])
    np.testing.assert_allclose(logits_ratio(tf.constant(100 * logits), labels), [-2 / 3, 0.5], rtol=1e-6)
    expected = -np.log(np.exp(logits)[[0, 1], labels] / np.exp(logits).sum(-1))
    np.testing.assert_allclose(cross_entropy(tf.constant(logits), labels), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("attack", "dual"),
    [
        (FGSM(0.05), 1),
        (PGD(0.05, steps=7), 1),
        (PGD(0.05, steps=7, restarts=2, loss=margin), 1),
        (PGD(0.3, EuclideanNorm(), steps=12, step_size=0.3), 2),
        (AutoAttack(0.05, steps=7, queries=0), 1),
    ],
)
def test_attacks_on_a_linear_classifier_are_exact(attack, dual):
    """No change of norm ε does more than ε times the dual norm of the weights' difference."""
    classifier, weights = linear()
    images, labels = examples(weights)
    changed = attack(classifier, images, labels)
    assert changed.dtype == np.float32
    norms = np.abs(changed - images).max((1, 2, 3)) if dual == 1 else np.linalg.norm((changed - images).reshape(6, -1))
    np.testing.assert_array_less(norms, attack.epsilon * (1 + 1e-5) * (1 if dual == 1 else np.sqrt(6)))
    gain = attack.epsilon * np.linalg.norm((weights[1] - weights[0]).ravel(), dual)
    before, after = true_margins(weights, images, labels), true_margins(weights, changed, labels)
    np.testing.assert_allclose(after - before, gain, rtol=1e-4)


def test_accuracy_is_lost_where_the_margin_is_used_up():
    classifier, weights = linear()
    images, labels = examples(weights, 9)
    needed = -true_margins(weights, images, labels) / np.abs(weights[1] - weights[0]).sum()
    epsilon = float(np.median(needed)) * 1.001
    results = under_attack(classifier, images, labels, {"one step": FGSM(epsilon), "steps": PGD(epsilon, steps=5)})
    assert list(results) == ["clean", "one step", "steps"]
    assert results["clean"]["accuracy"] == 1
    for name in ("one step", "steps"):
        assert results[name]["accuracy"] == pytest.approx((needed > epsilon).mean())
        assert all(type(value) is float for value in results[name].values())


def test_attacks_stay_in_the_range_of_images_and_repeat_themselves():
    classifier, weights = linear(3, noise=0.3, scale=0.1)
    images = np.random.default_rng(0).random((5, *SIZE), "float32").round()
    labels = np.einsum("bhwc,khwc->bk", images - 0.5, weights).argmax(-1)
    attacks = [FGSM(0.2, 2), PGD(0.2, steps=3, draws=2), PGD(1.0, EuclideanNorm(), 3), RandomNoise(0.2)]
    for attack in [*attacks, SignedNoise(0.2), Square(0.2, 5, 2), AutoAttack(0.2, 3, 1, 5, 2)]:
        changed = attack(classifier, images, labels)
        assert changed.min() >= 0
        assert changed.max() <= 1
        assert (changed != images).any()
        np.testing.assert_array_equal(attack(classifier, images, labels), changed)
        if not isinstance(attack, FGSM):
            assert (attack(classifier, images, labels, seed=1) != changed).any(), attack
        assert attack(classifier, images[:0], labels[:0]).shape == (0, *SIZE)


def test_noise_is_as_large_as_it_may_be():
    grey = np.full((4, *SIZE), 0.5)
    signed = SignedNoise(0.25)(None, grey, np.zeros(4, int))
    assert set(np.unique(signed)) == {0.25, 0.75}
    uniform = RandomNoise(0.25)(None, grey, np.zeros(4, int))
    assert 0.23 < np.abs(uniform - 0.5).max() <= 0.25
    assert uniform.std() == pytest.approx(0.5 / 12**0.5, rel=0.1)


@pytest.mark.parametrize("norm", [MaximumNorm(), EuclideanNorm()])
def test_norms_start_step_and_project_within_the_ball(norm):
    rng = np.random.default_rng(0)

    def size(changes):
        flat = changes.reshape(len(changes), -1)
        return np.abs(flat).max(1) if isinstance(norm, MaximumNorm) else np.linalg.norm(flat, axis=1)

    starts = norm.start(rng, (200, *SIZE))
    assert (size(starts) <= 1).all()
    # Nearly all of a ball with so many dimensions is near its border.
    assert size(starts).mean() > 0.9
    gradients = rng.standard_normal((3, *SIZE))
    gradients[2] = 0
    np.testing.assert_allclose(size(norm.steepest(gradients)), [1, 1, 0], atol=1e-9)
    np.testing.assert_allclose(size(norm.project(5 * starts, 0.3)), 0.3, rtol=0.4)
    np.testing.assert_array_equal(norm.project(0.2 * starts, 0.3), 0.2 * starts)


def test_gradients_are_means_over_draws():
    # So small that the cross-entropy is linear too.
    direction = 1e-3 * np.random.default_rng(3).standard_normal((8, *SIZE)).astype("float32")

    def logits_of(images, seed):
        other = tf.einsum("bhwc,hwc->b", images, tf.gather(direction, seed % 8))
        return tf.stack([other, tf.zeros_like(other)], -1)

    classifier = RandomClassifier(logits_of)
    images, labels = np.full((2, *SIZE), 0.5, "float32"), np.array([1, 0])
    gradients, losses, margins = classifier.gradients(margin, images, labels, list(range(8)))
    np.testing.assert_allclose(gradients, np.stack([direction.mean(0), -direction.mean(0)]), atol=1e-9)
    np.testing.assert_allclose(losses, margins)
    np.testing.assert_allclose(margins, 0.5 * direction.mean(0).sum() * np.array([1, -1]), rtol=1e-5)
    # A step along the mean, not along any one of them.
    attack = FGSM(0.1, draws=8)
    attack.seeds = lambda rng: list(range(8))
    changed = attack(classifier, images, labels)
    np.testing.assert_allclose(changed[0], 0.5 + 0.1 * np.sign(direction.mean(0)), atol=1e-6)


def test_a_classifier_is_compiled_once():
    shapes = []

    def logits_of(images, seed):
        shapes.append(tuple(images.shape))
        return tf.reduce_mean(images, (1, 2)) + tf.cast(seed, tf.float32)

    classifier = RandomClassifier(logits_of, batch_size=4)
    images = np.random.default_rng(0).random((9, *SIZE), "float32")
    for count in (9, 3, 4, 1):
        logits = classifier.logits(images[:count], [0, 5])
        np.testing.assert_allclose(logits[0], images[:count].mean((1, 2)), rtol=1e-5)
        np.testing.assert_allclose(logits[1], logits[0] + 5, rtol=1e-5)
        classifier.gradients(margin, images[:count], np.zeros(count, int), [0])
    # For answers, and for gradients.
    assert shapes == [(4, *SIZE)] * 2
    few = RandomClassifier(logits_of, batch_size=100, jit_compile=True)
    few.logits(images, [0])
    few.logits(images[:2], [0])
    assert shapes[2:] == [(9, *SIZE)]


def test_measures_are_of_each_draw():
    def logits_of(images, seed):
        # Right with even seeds only, and always as sure.
        first = tf.ones_like(images[:, 0, 0, 0]) * tf.where(seed % 2 == 0, 1.0, -1.0) * np.log(3.0).astype("float32")
        return tf.stack([first, tf.zeros_like(first)], -1)

    classifier, images = RandomClassifier(logits_of, batch_size=3), np.full((5, *SIZE), 0.5)
    labels = np.zeros(5, int)
    found = measures(classifier, images, labels, draws=64)
    assert 0.3 < found["accuracy"] < 0.7
    assert found["calibration_error"] == pytest.approx(0.75 - found["accuracy"], abs=1e-5)
    assert measures(classifier, images, labels, draws=64, seed=1) != found
    assert measures(classifier, images, labels, draws=1)["accuracy"] in (0.0, 1.0)


@pytest.fixture(scope="module")
def honest():
    """A classifier with a clear optimum, and images it is right about."""
    classifier, weights = linear(3, noise=0.05)
    images, labels = examples(weights, 8)
    return classifier, weights, images, labels


def test_square_and_auto_attack_find_what_there_is(honest):
    classifier, weights, images, labels = honest
    for attack in (Square(0.03, 60, 2), AutoAttack(0.03, 10, 1, 20, 2)):
        changed = attack(classifier, images, labels)
        assert np.abs(changed - images).max() <= 0.03 * (1 + 1e-4)
        assert (true_margins(weights, changed, labels) > true_margins(weights, images, labels)).all()
    strong = AutoAttack(0.3, 10, 1, 0)(classifier, images, labels)
    assert measures(classifier, strong, labels, draws=4)["accuracy"] == 0


def test_auto_attack_gets_past_gradients_that_are_zero(honest):
    # Logits beyond what a softmax in float32 can tell apart: the cross-entropy is flat, the ratio and answers are not.
    _, weights, images, labels = honest
    saturated, _ = linear(3, scale=1e4)
    epsilon = float(np.max(-true_margins(weights, images, labels)) / 40)
    assert measures(saturated, PGD(epsilon, steps=5)(saturated, images, labels), labels)["accuracy"] > 0.5
    assert measures(saturated, AutoAttack(epsilon, 10, 1, 0)(saturated, images, labels), labels)["accuracy"] == 0


def test_masked_gradients_are_seen(honest):
    classifier, weights, images, labels = honest
    epsilon = 0.03
    options = {"epsilon": epsilon, "steps": 5, "queries": 60, "test_draws": 2}
    found = check_gradients(classifier, images, labels, **options)
    assert found["passed"], found
    assert found["zero_gradients"] == 0
    assert found["large_epsilon"] == 0
    assert found["white_box"] <= found["black_box"] <= 1

    # Steps of grey, whose gradient is zero everywhere.
    def quantised(images, seed):
        return tf.einsum("bhwc,khwc->bk", tf.round(images * 100) / 100 - 0.5, weights)

    found = check_gradients(RandomClassifier(quantised), images, labels, loss=margin, **options)
    assert not found["passed"]
    assert not found["black_box_is_weaker"]
    assert found["zero_gradients"] == 1


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_corruptions_change_images(name):
    pytest.importorskip("imagecorruptions")
    rng = np.random.default_rng(0)
    shades = np.linspace(0.2, 0.8, 32)[:, None, None] * np.ones((1, 36, 3))
    images = np.stack([shades, np.clip(shades + 0.1 * rng.standard_normal(shades.shape), 0, 1)]).astype("float32")
    labels = np.zeros(2, int)
    changed = Corruption(name, 5)(None, images, labels)
    assert changed.shape == images.shape
    assert changed.min() >= 0
    assert changed.max() <= 1
    # Nothing is lost altogether.
    assert 0.005 < np.abs(changed - images).mean() < 0.5
    assert (changed.std((1, 2, 3)) > 0.005).all()
    np.testing.assert_array_equal(Corruption(name, 5)(None, images, labels), changed)
    grey = Corruption(name, 1)(None, images[..., :1], labels)
    assert grey.shape == (2, 32, 36, 1)


def test_there_are_nineteen_corruptions_of_five_severities():
    package = pytest.importorskip("imagecorruptions")
    assert list(CORRUPTIONS) == package.get_corruption_names("all")
    classifier = RandomClassifier(lambda images, seed: tf.reduce_mean(images, (1, 2)), batch_size=2)
    images = np.random.default_rng(0).uniform(0.3, 0.7, (3, 32, 32, 3))
    results = under_corruption(classifier, images, [0, 1, 2], ("gaussian_noise", "contrast"), (1, 5), draws=2)
    assert list(results) == ["gaussian_noise", "contrast", "mean"]
    assert list(results["mean"]) == ["1", "5"]
    for measure in ("accuracy", "calibration_error"):
        values = [results[name]["5"][measure] for name in ("gaussian_noise", "contrast")]
        assert results["mean"]["5"][measure] == pytest.approx(np.mean(values))
    for arguments, message in (
        (("fogg", 1), "Did you mean 'fog'"),
        (("fog", 0), "from 1 to 5"),
        (("fog", 6), "1 to 5"),
    ):
        with pytest.raises(ValueError, match=message):
            Corruption(*arguments)
    with pytest.raises(ValueError, match="at least 32 × 32"):
        Corruption("fog", 1)(None, images[:, :16], [0, 1, 2])


def test_images_and_labels_that_do_not_fit_are_told():
    classifier, weights = linear()
    images, labels = examples(weights)
    attack = FGSM(0.1)
    for wrong, message in (
        ((images * 255, labels), r"floats in \[0, 1\]"),
        ((images[0], labels), "images, height, width"),
        ((images, labels[:3]), "a class for each of the 6 images"),
        ((images, labels.astype(float)), "an integer"),
    ):
        with pytest.raises(ValueError, match=message):
            attack(classifier, *wrong)
    for make in (lambda: FGSM(0), lambda: PGD(0.1, steps=0), lambda: PGD(0.1, draws=1.5), lambda: Square(0.1, 0)):
        with pytest.raises(ValueError, match="Received"):
            make()
    with pytest.raises(ValueError, match="no images"):
        measures(classifier, images[:0], labels[:0])
    with pytest.raises(ValueError, match="5 × 5 pixels"):
        Square(0.1, 5)(classifier, np.zeros((1, 4, 4, 3)), [0])


def test_packages_that_are_not_there_are_named(monkeypatch):
    classifier, weights = linear()
    images, labels = examples(weights)
    for name in ("art.attacks.evasion", "imagecorruptions"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ValueError, match=r"adversarial-robustness-toolbox.*\[robustness\]"):
        AutoAttack(0.1)(classifier, images, labels)
    with pytest.raises(ValueError, match=r"imagecorruptions-imaug.*\[robustness\]"):
        Corruption("fog", 1)(None, images, labels)


@pytest.mark.parametrize(
    "name",
    ["attacks", "batches", "clustering", "corruptions", "pictures", "random_classifier", "robustness"],
)
def test_examples_in_docstrings(name):
    module = importlib.import_module(f"training.images.{name}")
    found = doctest.testmod(module)
    assert found.attempted
    assert not found.failed
