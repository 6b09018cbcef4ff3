"""Batches of one size, for which a model is compiled once."""

import numpy as np


def batches(count, size):
    """Rows in batches of one size, and how many of each have not been before.

    Args:
        count: Number of rows.
        size: Rows of a batch; all of them, if there are fewer. The last batch is filled up with the first rows.

    Yields:
        `(rows, fresh)`: an array of integers, and how many at its start are new.

    Example:

    >>> [(rows.tolist(), fresh) for rows, fresh in batches(5, 3)]
    [([0, 1, 2], 3), ([3, 4, 0], 2)]
    """
    size = min(size, count)
    for start in range(0, count, size or 1):
        yield np.arange(start, start + size) % count, min(size, count - start)
