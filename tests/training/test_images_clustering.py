"""Objects of features: clusters of points and of images, and finer features by up-tiling."""

import numpy as np
import pytest
import tensorflow as tf

from keras_kuramoto.metrics import foreground_ari, mean_best_overlap
from training.images.clustering import (
    AgglomerativeClustering,
    KMeansClustering,
    UpTiling,
    enlarge,
    feature_maps,
    find_objects,
    principal_components,
)

CLUSTERINGS = [AgglomerativeClustering, KMeansClustering]


def patch_means(size):
    def features_of(images):
        count, height, width, channels = images.shape
        return images.reshape(count, height // size, size, width // size, size, channels).mean((2, 4))

    return features_of


def scenes(rng, count=5, size=16):
    """Three squares of different colours on black, at multiples of 4 pixels, and their label maps."""
    images, labels = np.zeros((count, size, size, 3), "float32"), np.zeros((count, size, size), "int32")
    colours = np.array([[1, 0, 0], [0, 1, 0], [0.6, 0, 0.8]], "float32")
    for image, label in zip(images, labels):
        places = rng.choice((size // 4) ** 2, 3, replace=False)
        for number, (place, colour) in enumerate(zip(places, colours), 1):
            row, column = 4 * np.array(divmod(place, size // 4))
            image[row : row + 4, column : column + 4] = colour
            label[row : row + 4, column : column + 4] = number
    return images, labels


@pytest.mark.parametrize("clustering", CLUSTERINGS)
def test_groups_far_apart_are_clusters(clustering):
    rng = np.random.default_rng(0)
    truth = rng.permutation(np.repeat(np.arange(4), [5, 9, 2, 24]))
    points = 10 * np.eye(6)[truth] + 0.1 * rng.standard_normal((40, 6))
    labels = clustering(4)(points)
    assert labels.dtype == np.int32
    assert foreground_ari(1 + truth.reshape(1, 5, 8), labels.reshape(1, 5, 8))[0] == 1
    # Labels go by first appearance.
    _, first = np.unique(labels, return_index=True)
    assert (np.diff(first) > 0).all()
    # All that tells the groups apart is in three components.
    np.testing.assert_array_equal(clustering(4, components=3)(points), labels)


def test_the_mean_distance_joins_clusters():
    # By the largest distance, and by Ward's, 37 would be with 54; by distances weighted by halves 0 would be alone, by
    # the smallest one there would be a tie.
    line = np.array([[0.0], [17.0], [24.0], [25.0], [37.0], [54.0]])
    assert AgglomerativeClustering(2)(line).tolist() == [0, 0, 0, 0, 0, 1]


@pytest.mark.parametrize("clustering", CLUSTERINGS)
def test_few_and_equal_points_have_a_value_or_an_error(clustering, recwarn):
    assert clustering(3)(np.ones((6, 2))).tolist() == [0] * 6
    assert clustering(3)(np.zeros((6, 2))).tolist() == [0] * 6
    assert clustering(1)(np.eye(4)).tolist() == [0] * 4
    assert clustering(1)(np.eye(1)).tolist() == [0]
    assert clustering(3)(np.eye(3)).tolist() == [0, 1, 2]
    assert not recwarn
    with pytest.raises(ValueError, match="3 positions for 4 clusters"):
        clustering(4)(np.eye(3))
    with pytest.raises(ValueError, match="finite"):
        clustering(1)([[np.nan], [1.0]])
    for number in (0, 2.0, "2"):
        with pytest.raises(ValueError, match="`clusters` must be an integer"):
            clustering(number)


@pytest.mark.parametrize("clustering", CLUSTERINGS)
def test_objects_of_one_colour_are_found(clustering):
    images, truth = scenes(np.random.default_rng(1))
    shapes = []

    @tf.function
    def features_of(batch):
        shapes.append(batch.shape)
        # Longer features are no other objects.
        return 7.0 * batch[:, ::4, ::4]

    labels = find_objects(features_of, images, clustering(4), batch_size=2)
    assert (labels.dtype, labels.shape) == ("int32", truth.shape)
    np.testing.assert_array_equal(foreground_ari(truth, labels), 1.0)
    np.testing.assert_array_equal(mean_best_overlap(truth, labels), 1.0)
    # Traced once: all batches have one size, the last one too.
    assert shapes == [(2, 16, 16, 3)]
    np.testing.assert_array_equal(find_objects(features_of, images, clustering(4), batch_size=50), labels)
    assert find_objects(features_of, images[:0], clustering(4)).shape == (0, 16, 16)
    maps = feature_maps(features_of, images, batch_size=2)
    assert maps.shape == (5, 4, 4, 3)
    norms = np.linalg.norm(maps, axis=-1)
    np.testing.assert_allclose(norms, truth[:, ::4, ::4] > 0, atol=1e-6)


def test_images_and_features_that_do_not_fit_are_told():
    features_of, clustering = patch_means(4), AgglomerativeClustering(2)
    good = np.zeros((2, 8, 8, 3), "float32")
    for images, message in (
        (good[0], r"Received shape \(8, 8, 3\)"),
        (good.astype("uint8"), "dtype uint8: divide by 255"),
        (good + 1.5, "values from 1.5 to 1.5"),
        (good - 0.5, "values from -0.5"),
        (good + np.nan, "values from nan"),
    ):
        with pytest.raises(ValueError, match=message):
            find_objects(features_of, images, clustering)
    with pytest.raises(ValueError, match=r"\(2, rows, columns, channels\). Received shape \(2, 3\)"):
        find_objects(lambda images: images.mean((1, 2)), good, clustering)
    with pytest.raises(ValueError, match="4 positions for 5 clusters"):
        find_objects(features_of, good, AgglomerativeClustering(5))


@pytest.mark.parametrize(("factor", "size"), [(1, (8, 12)), (2, (8, 12)), (4, (8, 12)), (4, (4, 4))])
def test_up_tiling_interleaves_windows_of_the_enlarged_image(factor, size):
    """Code 1 of the paper, where the factor divides the patch."""
    rng = np.random.default_rng(factor)
    images = rng.random((3, *size, 3), "float32")
    stride = 4 // factor
    large = tf.image.resize(images, [side + 4 - stride for side in size]).numpy()
    features_of = patch_means(4)
    expected = np.zeros((3, size[0] // 4 * factor, size[1] // 4 * factor, 3))
    for down in range(factor):
        for right in range(factor):
            window = large[:, stride * down :, stride * right :][:, : size[0], : size[1]]
            expected[:, down::factor, right::factor] = features_of(window)
    for batch_size in (None, 1, 5):
        found = UpTiling(features_of, factor, 4, batch_size)(images)
        np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("factor", [3, 6])
def test_up_tiling_takes_any_factor(factor):
    # A plane stays a plane in the middle of the image: the finer map is straight too, and enlarged as the image was.
    y, x = np.mgrid[:24, :24] / 24
    images = np.stack([x, y, (x + y) / 2], -1)[None].astype("float32")
    found = UpTiling(patch_means(4), factor, 4)(images)
    assert found.shape == (1, 6 * factor, 6 * factor, 3)
    inside = found[0, factor:-factor, factor:-factor]
    slope = 4 / factor / (24 + 4 - 4 / factor)
    np.testing.assert_allclose(np.diff(inside[..., 0], axis=1), slope, atol=1e-6)
    np.testing.assert_allclose(np.diff(inside[..., 1], axis=0), slope, atol=1e-6)
    np.testing.assert_allclose(np.diff(inside[..., 1], axis=1), 0, atol=1e-6)


def test_up_tiling_finds_finer_masks():
    images, truth = np.zeros((1, 32, 32, 3), "float32"), np.zeros((1, 32, 32), "int32")
    images[..., 0], images[0, 5:19, 9:26] = 0.5, [0.0, 1.0, 0.0]
    truth[0, 5:19, 9:26] = 1
    overlap = [
        mean_best_overlap(truth, find_objects(features_of, images, AgglomerativeClustering(2)))[0]
        for features_of in (patch_means(8), UpTiling(patch_means(8), 4, 8, batch_size=7))
    ]
    assert overlap[1] > overlap[0] + 0.05
    for arguments in ((0, 4), (2.5, 4), (2, 0)):
        with pytest.raises(ValueError, match="at least 1"):
            UpTiling(patch_means(4), *arguments)


def test_maps_are_enlarged_by_their_nearest_neighbour():
    labels = np.arange(6).reshape(2, 3)
    np.testing.assert_array_equal(enlarge(labels, 4, 9), labels.repeat(2, 0).repeat(3, 1))
    # Centres of five pixels in three columns, and back to fewer.
    np.testing.assert_array_equal(enlarge(labels, 2, 5)[0], [0, 0, 1, 2, 2])
    np.testing.assert_array_equal(enlarge(enlarge(labels, 10, 15), 2, 3), labels)


def test_principal_components_are_those_of_the_singular_values():
    rng = np.random.default_rng(2)
    points = rng.standard_normal((30, 5)) * [1, 4, 2, 0.5, 3] + 7
    found = principal_components(points, 3)
    _, values, directions = np.linalg.svd(points - points.mean(0), full_matrices=False)
    np.testing.assert_allclose(np.linalg.norm(found, axis=0), values[:3], rtol=1e-9)
    expected = (points - points.mean(0)) @ directions[:3].T
    np.testing.assert_allclose(np.abs((found * expected).sum(0)), values[:3] ** 2, rtol=1e-9)
    # In all components distances are what they were, and there are no more than channels.
    whole = principal_components(points, 9)
    np.testing.assert_allclose(np.linalg.norm(whole[0] - whole[1]), np.linalg.norm(points[0] - points[1]), rtol=1e-9)
    assert whole.shape == (30, 5)
