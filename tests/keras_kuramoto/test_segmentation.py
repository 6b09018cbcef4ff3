"""Measures of label maps: the authors' values, an independent adjusted Rand index, and what has no object."""

import numpy as np
import pytest
from backend_helpers import load_vectors
from keras import ops

from keras_kuramoto.metrics import class_labels, foreground_ari, mean_best_overlap, mean_over_images

NAN = float("nan")


def maps(rng, objects=4, images=5, size=9):
    return [rng.integers(low, objects + 1, (images, size, size + 1), "int32") for low in (-1, 0)]


def test_measures_match_the_authors_metrics():
    _, _, vectors = load_vectors("metrics")
    truth, labels = vectors["gt_labels"], vectors["pred_labels"]
    before = truth.copy(), labels.copy()
    ari, overlap = foreground_ari(truth, labels), mean_best_overlap(truth, labels)
    # Float32 holds the vectors.
    np.testing.assert_allclose(ari, [NAN, *vectors["fg_ari_per_image"]], atol=1e-7)
    np.testing.assert_allclose(overlap, np.where(vectors["mbo_per_image"] == -1, NAN, vectors["mbo_per_image"]), 1e-7)
    assert mean_over_images(overlap) == pytest.approx(float(vectors["mbo_mean"]), abs=1e-7)
    assert mean_over_images(ari) == pytest.approx(vectors["fg_ari_per_image"].mean(), abs=1e-7)
    np.testing.assert_array_equal(before, (truth, labels))


@pytest.mark.parametrize("objects", [1, 2, 30])
def test_ari_is_that_of_scikit_learn(objects):
    # The library has no dependency that large for ten lines.
    adjusted_rand_score = pytest.importorskip("sklearn.metrics").adjusted_rand_score
    truth, labels = maps(np.random.default_rng(objects), objects)
    truth[0] = 1
    labels[:2] = 3
    expected = [adjusted_rand_score(t[t > 0], p[t > 0]) for t, p in zip(truth, labels)]
    np.testing.assert_allclose(foreground_ari(truth, labels), expected, atol=1e-12)


def test_measures_of_few_pixels_are_those_by_hand():
    truth = np.array([[[1, 1, 1, 2], [0, 0, 2, -1]]])
    labels = np.array([[[4, 4, 5, 5], [5, 9, 5, 5]]])
    # Together in both: one pair of object 1 and one of object 2; by chance 4 · 4 / 10, at most 4.
    assert foreground_ari(truth, labels)[0] == pytest.approx((2 - 1.6) / (4 - 1.6))
    # Object 1 with cluster 4: 2 / 3. Object 2 with cluster 5: 2 / 4, the pixel that is not evaluated left out.
    assert mean_best_overlap(truth, labels)[0] == pytest.approx((2 / 3 + 2 / 4) / 2)
    # A pixel without a label is in no cluster, but its object stays as large.
    labels[0, 0, 0] = -1
    assert mean_best_overlap(truth, labels)[0] == pytest.approx((1 / 3 + 2 / 4) / 2)
    assert mean_best_overlap(truth, np.full_like(labels, -1))[0] == 0


def test_labels_are_names():
    rng = np.random.default_rng(0)
    truth, labels = maps(rng)
    names = rng.permutation(100)
    for measure in (foreground_ari, mean_best_overlap):
        expected = measure(truth, labels)
        np.testing.assert_allclose(measure(truth, names[labels]), expected, atol=1e-12)
        renamed = np.where(truth > 0, 1 + names[truth], truth)
        np.testing.assert_allclose(measure(renamed, labels), expected, atol=1e-12)
        np.testing.assert_array_equal(measure(truth[:1], truth[:1] + 7), [1.0])
        np.testing.assert_array_equal(measure(ops.convert_to_tensor(truth), ops.convert_to_tensor(labels)), expected)


def test_large_images_are_counted_exactly():
    # 2²⁰ pixels have 5e11 pairs, whose products are beyond 64 bits.
    truth = np.ones((1, 1024, 1024), "uint8")
    truth[0, :512] = 2
    assert foreground_ari(truth, truth)[0] == 1.0
    assert foreground_ari(truth, truth.transpose(0, 2, 1))[0] == pytest.approx(0, abs=1e-5)


def test_images_without_objects_have_no_measure():
    truth, labels = np.zeros((3, 2, 2), "int32"), np.zeros((3, 2, 2), "int32")
    truth[1], truth[2] = -1, [[0, -1], [1, 1]]
    for measure in (foreground_ari, mean_best_overlap):
        np.testing.assert_array_equal(np.isnan(measure(truth, labels)), [True, True, False])
        assert measure(truth[:0], labels[:0]).shape == (0,)
    # One object: whole, and in two parts. A single pixel is whole.
    np.testing.assert_array_equal(foreground_ari(truth[2:], labels[2:]), [1.0])
    np.testing.assert_array_equal(foreground_ari(truth[2:], np.arange(4).reshape(1, 2, 2)), [0.0])
    np.testing.assert_array_equal(foreground_ari(np.array([[[0, 1]]]), np.array([[[3, 4]]])), [1.0])


def test_classes_join_their_instances():
    instances = np.array([[[1, 2, 3], [0, -1, 3]], [[0, 1, 1], [1, 1, 1]]])
    classes = np.array([[7, 4, 7], [2, 0, 0]])
    expected = [[[7, 4, 7], [0, -1, 7]], [[0, 2, 2], [2, 2, 2]]]
    np.testing.assert_array_equal(class_labels(instances, classes), expected)
    found = np.array([[[1, 2, 1], [3, 3, 1]], [[0, 1, 1], [1, 1, 1]]])
    assert mean_best_overlap(class_labels(instances, classes), found)[0] == 1.0
    assert mean_best_overlap(instances, found)[0] == pytest.approx((1 / 3 + 1 + 2 / 3) / 3)
    for arguments, message in (
        ((instances, classes[:1]), "a row for each of the 2 images"),
        ((instances, classes[:, :2]), "up to label 3. Received 2"),
        ((instances, classes - 4), "numbered from 1. Received class -2"),
        ((instances, classes * 0.5), "`classes` must be integers"),
    ):
        with pytest.raises(ValueError, match=message):
            class_labels(*arguments)


@pytest.mark.parametrize("measure", [foreground_ari, mean_best_overlap])
@pytest.mark.parametrize(
    ("truth", "labels", "message"),
    [
        (np.ones((2, 4, 4), int), np.ones((2, 2, 2), int), r"shape \(2, 4, 4\) and others of shape \(2, 2, 2\)"),
        (np.ones((4, 4), int), np.ones((4, 4), int), "images, height, width"),
        (np.ones((1, 4, 4)), np.ones((1, 4, 4), int), "`truth` must be integers"),
        (np.ones((1, 4, 4), int), np.ones((1, 4, 4), bool), "`labels` must be integers"),
        (np.full((1, 4, 4), -2), np.ones((1, 4, 4), int), "at least -1.* Received -2"),
    ],
)
def test_maps_that_do_not_fit_are_told(measure, truth, labels, message):
    with pytest.raises(ValueError, match=message):
        measure(truth, labels)
