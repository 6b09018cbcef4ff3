"""Voting: from several initial oscillators for each board, the answer of the lowest energy. In TensorFlow's graph."""

import tensorflow as tf


def answer(board, logits):
    """The answer that the logits give: `solution`, with given digits as they are, and `probability` of its digits.

    Args:
        board: `(batch, S, S)` int32, 0 for blank.
        logits: `(batch, S, S, S)`.

    Returns:
        Dictionary with both, `(batch, S, S)`. The probability of a given digit is 1.
    """
    given = board > 0
    digits = tf.argmax(logits, axis=-1, output_type=tf.int32) + 1
    probability = tf.reduce_max(tf.nn.softmax(tf.cast(logits, tf.float32)), axis=-1)
    return {"solution": tf.where(given, board, digits), "probability": tf.where(given, 1.0, probability)}


def last_energy(energies, num_steps=None):
    """The energy of the state from which the last step starts, `(batch,)`.

    Args:
        energies: `(batch, steps)`.
        num_steps: `(batch,)`, each example's own number of steps; by default all of them.
    """
    return energies[:, -1] if num_steps is None else tf.gather(energies, num_steps - 1, axis=1, batch_dims=1)


def sum_of_energies(energies, num_steps=None):
    """The sum of the energies over the steps, `(batch,)`: with what `last_energy` takes."""
    if num_steps is not None:
        # An example that has stopped keeps its energy: the columns from its own number of steps on don't count.
        own = tf.sequence_mask(num_steps, tf.shape(energies)[1])
        energies = tf.where(own, energies, 0.0)
    return tf.reduce_sum(energies, axis=1)


# What can be voted by.
ENERGIES = {"sum": sum_of_energies, "last": last_energy}


def vote(board, num_samples, together, run):
    """The answer of the lowest energy among several for each board.

    The answers are found in portions of `together` samples of all boards: the memory that is needed does not depend on
    how many samples are asked for.

    Args:
        board: `(batch, S, S)` int32, 0 for blank.
        num_samples: `(batch,)` int32, how many samples each board has: at least 1.
        together: How many samples of each board run in one go. A Python integer or a scalar tensor; the former where
            shapes have to be static, as for XLA.
        run: Function of `(row, sample)`, both `(batch × together,)` int32: which board it is, and the number of its
            sample. It gives `(logits, energy, voted_by)`: `(batch × together, S, S, S)`, and the energy to tell and the
            one to vote by, `(batch × together,)`.

    Returns:
        Dictionary with, of the chosen answer, what `answer` gives, its `energy` and `voted_by`, `(batch,)` float32, and
        the number of its `sample`, `(batch,)` int32. Of answers that are equally good it is the first.
    """
    batch, most = tf.shape(board)[0], tf.reduce_max(num_samples)
    row = tf.repeat(tf.range(batch), together)
    boards = tf.gather(board, row)

    def body(start, best):
        sample = tf.broadcast_to(start + tf.range(together), tf.stack([batch, together]))
        logits, energy, voted_by = run(row, tf.reshape(sample, [-1]))
        found = {**answer(boards, logits), "energy": energy, "voted_by": voted_by}
        found = {
            name: tf.reshape(value, tf.concat([[batch, together], tf.shape(value)[1:]], 0))
            for name, value in found.items()
        }
        found["sample"] = sample
        # Beyond its own number of samples, a board has no answers.
        energies = tf.where(sample < num_samples[:, None], found["voted_by"], float("inf"))
        winner = tf.argmin(energies, axis=1, output_type=tf.int32)
        better = tf.logical_or(tf.equal(start, 0), tf.reduce_min(energies, axis=1) < best["voted_by"])
        new = {}
        for name, old in best.items():
            value = tf.gather(found[name], winner, axis=1, batch_dims=1)
            value = tf.where(tf.reshape(better, [-1] + [1] * (old.shape.rank - 1)), value, old)
            new[name] = tf.ensure_shape(value, old.shape)
        return start + together, new

    zero = tf.zeros_like(num_samples, tf.float32)
    nothing = {
        "solution": board,
        "probability": tf.zeros_like(board, tf.float32),
        "energy": zero,
        "voted_by": zero,
        "sample": tf.zeros_like(num_samples),
    }
    _, best = tf.while_loop(lambda start, best: start < most, body, (tf.constant(0), nothing), parallel_iterations=1)
    return best
