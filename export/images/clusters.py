"""K-means inside a graph: the same clusters for the same features, with no random start."""

import tensorflow as tf

# Points whose squared distance is less count as equal: rounding alone makes no cluster.
_EQUAL = 1e-5


def unit_length(features):
    """Features of unit length; those that are zero stay so."""
    return tf.math.divide_no_nan(features, tf.norm(features, axis=-1, keepdims=True))


def k_means(points, clusters, num_steps):
    """Puts points into clusters around means.

    The first mean is the point that is nearest to the mean of all, and each further one the point that is farthest from
    those before it: in images, background first, and then what differs most from it. A point belongs to the nearest
    mean, and a mean is moved to the middle of its points as often as is said.

    Args:
        points: `(batch, points, channels)` float32.
        clusters: `(batch,)` int32, how many clusters each example has: at least 1.
        num_steps: How often the means are moved, an integer of at least 0.

    Returns:
        `(batch, points)` int32: labels from 0 on, in the order in which they appear. There are fewer than `clusters`
        where points are equal.

    Example:

    >>> points = tf.constant([[[0.0], [0.1], [5.0], [0.2], [9.0]]])
    >>> k_means(points, clusters=tf.constant([3]), num_steps=2).numpy().tolist()
    [[0, 0, 1, 0, 2]]

    Reference: the start is that of Gonzalez, Clustering to minimize the maximum intercluster distance, 1985.
    """
    means, exists = _start(points, clusters)

    def move(step, means):
        member = tf.one_hot(_nearest(points, means, exists), tf.shape(means)[1])
        count = tf.reduce_sum(member, axis=1)[..., None]
        # A mean without points stays where it is.
        moved = tf.where(count > 0, tf.math.divide_no_nan(tf.matmul(member, points, transpose_a=True), count), means)
        return step + 1, moved

    _, means = tf.while_loop(
        lambda step, means: step < num_steps,
        move,
        (tf.constant(0), means),
        shape_invariants=(tf.TensorShape([]), tf.TensorShape([None, None, points.shape[-1]])),
        parallel_iterations=1,
    )
    return _in_order(_nearest(points, means, exists), tf.shape(means)[1])


def _start(points, clusters):
    """The first means, `(batch, most, channels)`, and which of them there are, `(batch, most)`."""
    most = tf.reduce_max(clusters)
    middle = tf.reduce_mean(points, axis=1, keepdims=True)
    first = tf.argmin(_squares(points, middle)[..., 0], axis=1, output_type=tf.int32)
    place = tf.range(most)[None]
    # Tensors that are written as a whole: loops over arrays of unknown sizes are not taken by all runtimes.
    chosen, exists = tf.where(place == 0, first[:, None], 0), tf.fill([tf.size(first), 1], True) & (place == 0)
    distance = _squares(points, tf.gather(points, first[:, None], batch_dims=1))[..., 0]

    def add(index, distance, chosen, exists):
        farthest = tf.argmax(distance, axis=1, output_type=tf.int32)
        new = tf.logical_and(tf.reduce_max(distance, axis=1) > _EQUAL, index < clusters)
        to_new = _squares(points, tf.gather(points, farthest[:, None], batch_dims=1))[..., 0]
        distance = tf.where(new[:, None], tf.minimum(distance, to_new), distance)
        here = place == index
        chosen = tf.where(here, farthest[:, None], chosen)
        return index + 1, distance, chosen, tf.where(here, new[:, None], exists)

    _, _, chosen, exists = tf.while_loop(
        lambda index, *state: index < most, add, (tf.constant(1), distance, chosen, exists), parallel_iterations=1
    )
    return tf.gather(points, chosen, batch_dims=1), exists


def _squares(points, means):
    """Squared distances, `(batch, points, means)`."""
    lengths = tf.reduce_sum(tf.square(points), axis=-1)[..., None] + tf.reduce_sum(tf.square(means), axis=-1)[:, None]
    return tf.maximum(lengths - 2 * tf.matmul(points, means, transpose_b=True), 0.0)


def _nearest(points, means, exists):
    squares = tf.where(exists[:, None], _squares(points, means), float("inf"))
    return tf.argmin(squares, axis=-1, output_type=tf.int32)


def _in_order(labels, most):
    """Labels that are numbered in the order in which they appear."""
    place = tf.range(tf.shape(labels)[1])
    places = tf.where(labels[..., None] == tf.range(most), place[:, None], tf.size(place))
    first = tf.reduce_min(places, axis=1)
    earlier = tf.cast(first[:, None, :] < first[:, :, None], tf.int32)
    return tf.gather(tf.reduce_sum(earlier, axis=-1), labels, batch_dims=1)
