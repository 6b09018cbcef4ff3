"""The loss by which a network learns without labels."""

import tensorflow as tf


def contrastive_loss(first, second, temperature):
    """NT-Xent, the loss of SimCLR: each view is to be told, by its cosine, which of all others is of the same image.

    Args:
        first: Projections of a view of each image of the batch, `(batch, channels)`.
        second: Projections of another view of the same images.
        temperature: τ, by which the cosines are divided.

    Returns:
        `(loss, metrics)`: the mean cross-entropy over the 2 · batch views, and a dictionary with `accuracy`, the share
        of views that are most alike to that of the same image.

    Example:

    >>> loss, metrics = contrastive_loss(tf.eye(4), tf.eye(4), 0.1)
    >>> round(float(loss), 6), float(metrics["accuracy"])
    (0.000272, 1.0)

    Reference: Chen et al., A Simple Framework for Contrastive Learning of Visual Representations, ICML 2020, Eq. 1.
    """
    views = tf.math.l2_normalize(tf.cast(tf.concat([first, second], axis=0), tf.float32), axis=-1)
    count = len(first)
    scores = tf.matmul(views, views, transpose_b=True) / temperature
    # None is its own partner.
    scores = tf.linalg.set_diag(scores, tf.fill([2 * count], -1e9))
    partner = (tf.range(2 * count) + count) % (2 * count)
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(partner, scores)
    found = tf.argmax(scores, axis=-1, output_type=tf.int32) == partner
    return tf.reduce_mean(losses), {"accuracy": tf.reduce_mean(tf.cast(found, tf.float32))}
