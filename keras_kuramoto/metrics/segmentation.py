"""How well objects are found: label maps against the true ones."""

import numpy as np
from keras import ops


def foreground_ari(truth, labels):
    """FG-ARI of each image: the adjusted Rand index of the pixels that belong to an object.

    It compares what is together in both maps with what would be by chance: 1 if the labels divide the objects' pixels
    as the truth does, about 0 at random, and 0 if all have one label or each has one of its own while the truth has
    several objects. With one true object it is 1 if the labels leave it whole, else 0. Pixels of the background are
    not looked at, whatever label they have: `mean_best_overlap` is the measure that sees objects that are too large.

    Counts of pairs of pixels are exact only in integers of 64 bits, which not every backend has, so that this and the
    overlap are computed in NumPy, of NumPy arrays or of tensors that have a value.

    Args:
        truth: True label maps, integers `(images, height, width)`: -1 for pixels that are not evaluated, 0 for
            background, from 1 on for objects.
        labels: Label maps to be compared, integers of the same shape. The numbers mean nothing but to be the same.

    Returns:
        float64 array `(images,)`, NaN for images without an object.

    Raises:
        ValueError: If the maps are not integers, differ in shape, or a true label is below -1.

    Example:

    >>> truth = np.array([[[1, 1, 0], [2, 2, -1]], [[0, 0, 0], [0, 0, 0]]])
    >>> foreground_ari(truth, np.array([[[5, 5, 5], [7, 7, 7]]] * 2)).tolist()
    [1.0, nan]

    Reference: Hubert and Arabie, Comparing partitions, Journal of Classification, 1985; Miyato et al., ICLR 2025,
    Sec. C.1.1.
    """
    return np.array([_ari(true[true > 0], found[true > 0]) for true, found in zip(*_label_maps(truth, labels))], float)


def mean_best_overlap(truth, labels):
    """MBO of each image: the largest intersection over union that a label has with an object, averaged over objects.

    Pixels that are not evaluated count in neither intersection nor union. Background is no object, but a label that
    spreads into it has a larger union. Of instances and of classes it is the same measure, MBO_i and MBO_c of the
    paper's Table 18: `truth` are the maps of instances for the first, those of `class_labels` for the second.

    The paper says that each cluster is given to a true mask. Its code, which this agrees with, goes the usual way,
    from each true object to the cluster that overlaps it best.

    Args:
        truth: True label maps, as for `foreground_ari`.
        labels: Label maps to be compared, integers of the same shape; here -1 is a pixel that has no label.

    Returns:
        float64 array `(images,)`, NaN for images without an object.

    Raises:
        ValueError: As for `foreground_ari`.

    Example:

    >>> truth = np.array([[[1, 1, 0], [2, 2, -1]]])
    >>> mean_best_overlap(truth, np.array([[[5, 5, 5], [7, 7, 7]]])).round(3).tolist()
    [0.833]

    Reference: Pont-Tuset et al., Multiscale combinatorial grouping, TPAMI 2017; Miyato et al., ICLR 2025, Sec. C.1.1.
    """
    return np.array([_best_overlap(true, found) for true, found in zip(*_label_maps(truth, labels))], float)


def mean_over_images(values):
    """The mean of a measure over the images that have one.

    Args:
        values: Measures `(images,)`, NaN where an image has no object.

    Returns:
        A float, NaN if no image has a value.

    Example:

    >>> mean_over_images([1.0, float("nan"), 0.5]), mean_over_images([])
    (0.75, nan)

    Reference: the authors' code of Miyato et al., ICLR 2025, leaves images without objects out.
    """
    values = np.asarray(values, "float64")
    values = values[~np.isnan(values)]
    return float(values.mean()) if len(values) else float("nan")


def class_labels(instances, classes):
    """Label maps of classes, for MBO_c, from those of instances: instances of one class become one object.

    Args:
        instances: Label maps of instances, integers `(images, height, width)`, -1, 0 and from 1 on as for
            `foreground_ari`.
        classes: Classes of the instances, integers `(images, most instances)`: entry k - 1 is the class of the
            instance with label k. Classes are numbered from 1; what follows an image's last instance is not looked at.

    Returns:
        int32 array of the shape of `instances`, -1 and 0 where those are.

    Raises:
        ValueError: If they are not integers of such shapes, a label has no class, or a class is below 1.

    Example:

    >>> class_labels(np.array([[[1, 2, 3], [0, -1, 3]]]), np.array([[7, 4, 7]])).tolist()
    [[[7, 4, 7], [0, -1, 7]]]

    Reference: Miyato et al., ICLR 2025, Sec. 6.1 and Table 18.
    """
    instances, _ = _label_maps(instances, instances)
    classes = _integers("classes", classes)
    if classes.ndim != 2 or len(classes) != len(instances):
        raise ValueError(
            f"`classes` must have a row for each of the {len(instances)} images. Received shape {classes.shape}."
        )
    if instances.size and instances.max() > classes.shape[1]:
        raise ValueError(
            f"`classes` must have one for each instance, up to label {instances.max()}. Received {classes.shape[1]} "
            "for each image."
        )
    # In front of the classes: 0 for background, and at the end, where -1 points, -1.
    edge = np.zeros((len(classes), 1), classes.dtype)
    table = np.concatenate([edge, classes, edge - 1], axis=1)
    labels = np.take_along_axis(table, instances.reshape(len(instances), -1), axis=1).reshape(instances.shape)
    if (labels[instances > 0] < 1).any():
        raise ValueError(f"Classes must be numbered from 1. Received class {labels[instances > 0].min()}.")
    return labels.astype("int32")


def _integers(name, values):
    values = ops.convert_to_numpy(values) if not isinstance(values, np.ndarray) else values
    if values.dtype.kind not in "iu":
        raise ValueError(f"`{name}` must be integers. Received dtype {values.dtype}.")
    return values.astype("int64")


def _label_maps(truth, labels):
    truth, labels = _integers("truth", truth), _integers("labels", labels)
    if truth.ndim != 3 or truth.shape != labels.shape:
        raise ValueError(
            "Label maps must be of one shape (images, height, width). Received true ones of shape "
            f"{truth.shape} and others of shape {labels.shape}."
        )
    if truth.size and truth.min() < -1:
        raise ValueError(f"True labels must be at least -1, which is not evaluated. Received {truth.min()}.")
    return truth, labels


def _contingency(first, second):
    """How many pixels have each pair of labels, and both kinds of labels in order."""
    (rows, row), (columns, column) = (np.unique(values, return_inverse=True) for values in (first, second))
    counts = np.bincount(row * len(columns) + column, minlength=len(rows) * len(columns))
    return counts.reshape(len(rows), len(columns)), rows, columns


def _ari(first, second):
    if not len(first):
        return np.nan
    counts, _, _ = _contingency(first, second)
    # Pairs of pixels that are together in both, in the first, in the second, and all.
    both, one, other, pairs = (
        int((n * (n - 1) // 2).sum()) for n in (counts, counts.sum(1), counts.sum(0), np.array(len(first)))
    )
    # Products of such numbers go beyond 64 bits; Python's integers do not end.
    by_chance, most = one * other, pairs * (one + other)
    if 2 * by_chance == most:
        # Both maps are one whole, or both are single pixels: they are the same.
        return 1.0
    return (2 * pairs * both - 2 * by_chance) / (most - 2 * by_chance)


def _best_overlap(true, found):
    evaluated = true >= 0
    counts, objects, clusters = _contingency(true[evaluated], found[evaluated])
    sizes, union = counts.sum(1)[objects > 0], counts.sum(0)[clusters != -1]
    both = counts[objects > 0][:, clusters != -1]
    if not len(sizes):
        return np.nan
    if not len(union):
        return 0.0
    return (both / (sizes[:, None] + union - both)).max(1).mean()
