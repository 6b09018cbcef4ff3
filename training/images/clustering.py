"""Objects in images: the features of an image's positions, put into clusters.

Objects have a number of clusters to be told apart by, no labels: what a clustering calls them is arbitrary.
"""

import warnings

import numpy as np
import tqdm

from keras_kuramoto._checks import check_whole
from training.images.batches import batches


class Clustering:
    """Base class of clusterings, which divide the positions of an image by their features.

    Args:
        clusters: Number of clusters.
        components: Features are first reduced to so many principal components of the image, if they have more; `None`
            leaves them as they are. The AKOrN authors' evaluation has 128 here.

    Call arguments:
        points: `(points, channels)`.

    Returns:
        int32 array `(points,)`: labels from 0 on, in the order in which they appear. There are fewer than `clusters`
        where points are equal: one label for an image of one colour.

    Raises:
        ValueError: If a number is not a positive integer, there are fewer points than clusters, or a feature is not
            finite.
    """

    def __init__(self, clusters, components=None):
        self.clusters = check_whole("clusters", clusters, 1)
        self.components = None if components is None else check_whole("components", components, 1)

    def __call__(self, points):
        points = np.asarray(points, "float64")
        if points.ndim != 2:
            raise ValueError(f"Points must be an array (points, channels). Received shape {points.shape}.")
        if len(points) < self.clusters:
            raise ValueError(
                f"There must be at least as many positions as clusters. Received {len(points)} positions for "
                f"{self.clusters} clusters: ask for fewer, or for finer features by `UpTiling`."
            )
        if not np.isfinite(points).all():
            raise ValueError("Features must be finite numbers. Received NaN or infinity.")
        if self.components is not None and self.components < points.shape[1]:
            points = principal_components(points, self.components)
        _, first, labels = np.unique(self.divide(points), return_index=True, return_inverse=True)
        return first.argsort().argsort().astype("int32")[labels]

    def divide(self, points):
        """Labels of the points, in any numbers: for derived classes.

        Args:
            points: float64 array `(points, channels)`, at least as many points as clusters.

        Returns:
            Integers `(points,)`.
        """
        raise NotImplementedError


class AgglomerativeClustering(Clustering):
    """Clusters that are joined two by two, always those of the least mean distance, until so many are left.

    That is average linkage of Euclidean distances, as in the paper, which found it better than k-means. Memory grows
    with the square of the number of positions: 64 MB for 4,096 of them.

    Args:
        clusters: Number of clusters that are left.
        components: As for `Clustering`.

    Example:

    >>> AgglomerativeClustering(2)([[0.0], [5.0], [0.1], [5.2]]).tolist()
    [0, 1, 0, 1]

    Reference: Miyato et al., ICLR 2025, Sec. 6.1.
    """

    def divide(self, points):
        from scipy.cluster import hierarchy

        if len(points) == 1:
            return np.zeros(1, int)
        return hierarchy.fcluster(hierarchy.linkage(points, "average"), self.clusters, criterion="maxclust")


class KMeansClustering(Clustering):
    """Clusters around means: each point belongs to the nearest one.

    Args:
        clusters: Number of means.
        components: As for `Clustering`.
        starts: Number of random starts (k-means++), of which the best counts.
        seed: Seed of the starts.

    Example:

    >>> KMeansClustering(2)([[0.0], [5.0], [0.1], [5.2]]).tolist()
    [0, 1, 0, 1]

    Reference: Miyato et al., ICLR 2025, Sec. 6.1.
    """

    def __init__(self, clusters, components=None, starts=1, seed=0):
        super().__init__(clusters, components)
        self.starts, self.seed = check_whole("starts", starts, 1), seed

    def divide(self, points):
        from sklearn.cluster import KMeans
        from sklearn.exceptions import ConvergenceWarning

        means = KMeans(self.clusters, n_init=self.starts, random_state=self.seed)
        with warnings.catch_warnings():
            # Equal points give fewer clusters, which is said of every clustering here.
            warnings.simplefilter("ignore", ConvergenceWarning)
            return means.fit_predict(points)


class UpTiling:
    """Finer features, from copies of each image that are shifted by parts of a patch.

    The image is enlarged by one patch less one shift, bilinearly. Windows of its size are cut out of that, each a part
    1 / factor of a patch further on, along either axis; the features of all of them, interleaved, are a map with
    `factor` times as many rows and columns. Where a patch is no multiple of the factor, windows lie between pixels.

    Args:
        features_of: Function of images `(batch, height, width, channels)` that returns features
            `(batch, rows, columns, channels)`, of patches that do not overlap.
        factor: How many times finer; 1 leaves everything as it is.
        patch_size: Side of a patch in pixels.
        batch_size: How many windows are given to `features_of` at once, as many as there are images if `None`.

    Call arguments:
        images: `(batch, height, width, channels)`.

    Returns:
        float32 array `(batch, factor × rows, factor × columns, channels)`.

    Raises:
        ValueError: If a number is not a positive integer.

    Example:

    >>> def means(images):
    ...     return images.reshape(len(images), 2, 4, 2, 4, 3).mean((2, 4))
    >>> UpTiling(means, 2, patch_size=4)(np.ones((1, 8, 8, 3), "float32")).shape
    (1, 4, 4, 3)

    Reference: Miyato et al., ICLR 2025, Sec. C.1.2, Fig. 20 and Code 1. The authors' released code enlarges the image
    bicubically, not bilinearly as their Code 1.
    """

    def __init__(self, features_of, factor, patch_size, batch_size=None):
        self.features_of = features_of
        self.factor, self.patch_size = check_whole("factor", factor, 1), check_whole("patch_size", patch_size, 1)
        self.batch_size = None if batch_size is None else check_whole("batch_size", batch_size, 1)

    def __call__(self, images):
        images = np.asarray(images, "float32")
        count, factor = len(images), self.factor
        height, width = (self._samples(size) for size in images.shape[1:3])
        result = None
        for rows, _ in batches(count * factor**2, self.batch_size or count):
            image, shift = np.divmod(rows, factor**2)
            down, right = np.divmod(shift, factor)
            windows = _between(images[image], 1, *(values[down] for values in height))
            windows = _between(windows, 2, *(values[right] for values in width))
            features = np.asarray(self.features_of(windows))
            if result is None:
                shape = features.shape[1:]
                result = np.empty((count, shape[0], factor, shape[1], factor, *shape[2:]), "float32")
            result[image, :, down, :, right] = features
        if result is None:
            raise ValueError("There is no image to find features of.")
        return result.reshape(count, shape[0] * factor, shape[1] * factor, *shape[2:])

    def _samples(self, size):
        """Of each shift, between which pixels each of a window's pixels lies, and how near to the second."""
        stride = self.patch_size / self.factor
        # Centres of pixels, in an image with the size of the enlarged one, and where they are in the image itself.
        centres = np.arange(size) + 0.5 + stride * np.arange(self.factor)[:, None]
        places = np.clip(centres * size / (size + self.patch_size - stride) - 0.5, 0, size - 1)
        low = np.minimum(places.astype(int), max(size - 2, 0))
        return low, np.minimum(low + 1, size - 1), (places - low).astype("float32")


def find_objects(features_of, images, clustering, batch_size=100, progress=False):
    """Finds the objects in images: their features, of unit length, in clusters, enlarged to the image.

    Args:
        features_of: Function of images `(batch, height, width, channels)` that returns features
            `(batch, rows, columns, channels)`, such as a model's, or `UpTiling` of it.
        images: `(images, height, width, channels)`, floats in [0, 1].
        clustering: A `Clustering`, or another function of points `(points, channels)` that returns labels.
        batch_size: How many images are given to `features_of` at once; always so many, if there are.
        progress: Whether to show a progress bar.

    Returns:
        int32 array `(images, height, width)`: of each pixel the label of the position that it is nearest to.

    Raises:
        ValueError: If the images are not such, the features are of another shape, or there are more clusters than
            positions.

    Example:

    >>> dark_and_bright = np.zeros((1, 4, 4, 3), "float32")
    >>> dark_and_bright[0, :, 2:] = [1.0, 0.5, 0.0]
    >>> find_objects(lambda images: images[:, ::2, ::2] - 0.25, dark_and_bright, AgglomerativeClustering(2))[0].tolist()
    [[0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 1, 1]]

    Reference: Miyato et al., ICLR 2025, Sec. 6.1.
    """
    images = check_images(images)
    count, height, width = images.shape[:3]
    labels = np.empty((count, height, width), "int32")
    with tqdm.tqdm(total=count, desc="Objects", unit=" images", disable=not progress) as bar:
        for rows, features in _features(features_of, images, batch_size):
            for row, points in zip(rows, features):
                found = np.asarray(clustering(points.reshape(-1, points.shape[-1])))
                labels[row] = enlarge(found.reshape(points.shape[:2]), height, width)
                bar.update()
    return labels


def feature_maps(features_of, images, batch_size=100):
    """The features of images as `find_objects` puts them into clusters.

    Args:
        features_of: As for `find_objects`.
        images: `(images, height, width, channels)`, floats in [0, 1].
        batch_size: How many images are given to `features_of` at once.

    Returns:
        float32 array `(images, rows, columns, channels)`, features of unit length; those that are zero stay so.

    Raises:
        ValueError: As for `find_objects`.

    Example:

    >>> feature_maps(lambda images: images[:, ::2, ::2], np.full((1, 4, 4, 4), 0.7, "float32"))[0, 0].tolist()
    [[0.5, 0.5, 0.5, 0.5], [0.5, 0.5, 0.5, 0.5]]
    """
    images = check_images(images)
    pieces = [features for _, features in _features(features_of, images, batch_size)]
    if not pieces:
        raise ValueError("There is no image to find features of.")
    return np.concatenate(pieces)


def enlarge(labels, height, width):
    """A map of another size, by nearest neighbour.

    Args:
        labels: `(rows, columns)`, or `(rows, columns, channels)`.
        height: Rows of the new map.
        width: Its columns.

    Returns:
        Array of the new size: at each pixel the entry whose area the centre of the pixel is in.

    Example:

    >>> enlarge(np.array([[1, 2]]), 2, 4).tolist()
    [[1, 1, 2, 2], [1, 1, 2, 2]]
    """
    rows, columns = ((2 * np.arange(new) + 1) * old // (2 * new) for new, old in zip((height, width), labels.shape))
    return labels[rows[:, None], columns]


def principal_components(points, count):
    """The points' coordinates along the directions in which they differ most.

    Args:
        points: `(points, channels)`.
        count: How many directions at most.

    Returns:
        float64 array `(points, components)`, with mean 0, of falling variance. A component's sign, which is arbitrary,
        is such that the largest entry of its direction is positive.

    Example:

    >>> principal_components([[1.0, 0.0], [3.0, 0.0], [5.0, 0.0]], 1).tolist()
    [[-2.0], [0.0], [2.0]]
    """
    points = np.asarray(points, "float64")
    points = points - points.mean(0)
    _, directions = np.linalg.eigh(points.T @ points)
    directions = directions[:, ::-1][:, :count]
    largest = np.take_along_axis(directions, np.abs(directions).argmax(0)[None], 0)
    return points @ (directions * np.where(largest < 0, -1.0, 1.0))


def check_images(images):
    """The float32 array that images are.

    Args:
        images: `(images, height, width, channels)`, floats in [0, 1].

    Raises:
        ValueError: If they are not such.

    Example:

    >>> check_images(np.full((1, 2, 2, 3), 255, "uint8"))
    Traceback (most recent call last):
    ...
    ValueError: Images must be floats in [0, 1]. Received dtype uint8: divide by 255.
    """
    images = np.asarray(images)
    if images.ndim != 4:
        raise ValueError(f"Images must be an array (images, height, width, channels). Received shape {images.shape}.")
    if images.dtype.kind != "f":
        hint = ": divide by 255" if images.dtype == np.uint8 else ""
        raise ValueError(f"Images must be floats in [0, 1]. Received dtype {images.dtype}{hint}.")
    # Negated, so that NaN is told too. What resizing rounds beyond the range is let through.
    if images.size and not (images.min() >= -1e-4 and images.max() <= 1 + 1e-4):
        raise ValueError(f"Images must be floats in [0, 1]. Received values from {images.min()} to {images.max()}.")
    return images.astype("float32")


def _features(features_of, images, batch_size):
    """Batches of rows and of their features, of unit length."""
    for rows, fresh in batches(len(images), batch_size):
        features = np.asarray(features_of(images[rows]), "float32")
        if features.ndim != 4 or len(features) != len(rows):
            raise ValueError(
                f"Features of {len(rows)} images must be an array ({len(rows)}, rows, columns, channels). Received "
                f"shape {features.shape}."
            )
        norm = np.linalg.norm(features, axis=-1, keepdims=True)
        yield rows[:fresh], (features / np.where(norm > 0, norm, 1))[:fresh]


def _between(images, axis, low, high, share):
    """Images interpolated along an axis, at places of each image's own, `(images, places)`."""
    shape = [len(images), 1, 1, 1]
    shape[axis] = low.shape[1]
    low, high = (np.take_along_axis(images, index.reshape(shape), axis) for index in (low, high))
    return low + (high - low) * share.reshape(shape)
