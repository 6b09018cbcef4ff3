"""Random changes of Sudoku boards, in TensorFlow, for `tf.data` pipelines."""

import tensorflow as tf


def random_symmetry(puzzle, solution, seed, box=3):
    """Applies to every board of a batch a random change that turns Sudoku puzzles into Sudoku puzzles.

    Each example gets a change of its own, the same one for its puzzle and its solution: the digits are relabelled, the
    bands of rows and the stacks of columns permuted, then the rows within each band and the columns within each stack,
    and one board in two is transposed. All of these are drawn uniformly. The number of givens stays, and so do the
    number of solutions and whether a puzzle is minimal.

    Stateless: the same `seed` gives the same result. On 4x4 boards a symmetry can turn a train solution grid into a
    held-out one, so that scores on a test split would no longer tell about unseen grids.

    Args:
        puzzle: `(batch, size, size)` int32 with 0 for a blank and `size = box * box`.
        solution: `(batch, size, size)` int32.
        seed: two integers, such as a tensor of shape `(2,)`.
        box: side of a box.

    Returns:
        `(puzzle, solution)`, shaped as given.

    Raises:
        ValueError: if the shapes do not fit each other or `box`.

    Example:

    >>> dataset = dataset.batch(100)
    >>> seeds = tf.data.Dataset.random(seed=0).batch(2)
    >>> dataset = tf.data.Dataset.zip(dataset, seeds).map(
    ...     lambda batch, seed: random_symmetry(batch["puzzle"], batch["solution"], seed)
    ... )
    """
    puzzle, solution, seed = _checked(puzzle, solution, seed, box)
    size = box * box
    batch = tf.shape(puzzle)[0]
    # One draw and two sorts for all permutations: the order of independent random numbers is a uniform permutation.
    lines = 2 * (box + 1) * box
    noise = tf.random.stateless_uniform((batch, size + lines + 1), seed)
    digits = _order(noise[:, :size]) + 1
    relabelled = tf.pad(digits, [[0, 0], [1, 0]])

    orders = _order(tf.reshape(noise[:, size : size + lines], (batch, 2, box + 1, box)))
    groups, within = orders[:, :, 0, :, None], orders[:, :, 1:, :]
    permuted = tf.reshape(box * groups + within, (batch, 2, size))
    rows, columns = permuted[:, 0, :, None], permuted[:, 1, None, :]
    transposed = noise[:, -1, None, None] < 0.5
    source = tf.where(transposed, size * columns + rows, size * rows + columns)
    source = tf.reshape(source, (batch, size * size))

    def change(board):
        cells = tf.gather(tf.reshape(board, (batch, size * size)), source, batch_dims=1)
        cells = tf.gather(relabelled, cells, batch_dims=1)
        return tf.ensure_shape(tf.reshape(cells, (batch, size, size)), board.shape)

    return change(puzzle), change(solution)


def random_givens(puzzle, solution, most, seed):
    """Gives half of the boards more digits of their solutions: between 0 and `most`, in blank cells drawn at random.

    A hard board becomes boards of all difficulties, such as one meets on the way to its solution. Stateless: the same
    `seed` gives the same result.

    Args:
        puzzle: `(batch, size, size)` int32 with 0 for a blank.
        solution: `(batch, size, size)` int32.
        most: the most digits that a board gets, an integer of at least 0.
        seed: two integers, such as a tensor of shape `(2,)`.

    Returns:
        The puzzle, shaped as given.

    Raises:
        ValueError: if the shapes do not fit each other, or `most` is negative.

    Example:

    >>> random_givens(tf.zeros((100, 9, 9), tf.int32), tf.ones((100, 9, 9), tf.int32), 12, (0, 0)).shape
    TensorShape([100, 9, 9])
    """
    if most < 0:
        raise ValueError(f"most must be at least 0, got {most!r}")
    puzzle, solution, seed = _checked(puzzle, solution, seed, None)
    size = puzzle.shape[1]
    noise = tf.random.stateless_uniform((tf.shape(puzzle)[0], size * size + 2), seed)
    # Givens are last in the order in which cells are filled.
    order = _order(-noise[:, 2:] - tf.cast(tf.reshape(puzzle > 0, (-1, size * size)), tf.float32))
    rank = _order(-order)
    count = tf.cast(noise[:, :1] * (most + 1), tf.int32) * tf.cast(noise[:, 1:2] < 0.5, tf.int32)
    chosen = tf.reshape(rank < count, (-1, size, size))
    return tf.ensure_shape(tf.where(chosen, solution, puzzle), puzzle.shape)


def _checked(puzzle, solution, seed, box):
    """The arguments as tensors. `box` is `None` for boards of any size."""
    puzzle = tf.convert_to_tensor(puzzle, tf.int32)
    solution = tf.convert_to_tensor(solution, tf.int32)
    size = puzzle.shape[-1] if box is None else box * box
    suffix = "" if box is None else f" for box={box}"
    for name, board in (("puzzle", puzzle), ("solution", solution)):
        if not board.shape.is_compatible_with((None, size, size)):
            raise ValueError(f"{name} must have shape (batch, {size}, {size}){suffix}, got {board.shape}")
    if not puzzle.shape.is_compatible_with(solution.shape):
        raise ValueError(f"puzzle and solution must have the same shape, got {puzzle.shape} and {solution.shape}")
    seed = tf.convert_to_tensor(seed)
    if not seed.shape.is_compatible_with((2,)):
        raise ValueError(f"seed must hold two integers, got shape {seed.shape}")
    return puzzle, solution, seed


def _order(noise):
    """The indices of the last axis, from the largest value to the smallest."""
    # Faster than tf.argsort, which sorts stably.
    return tf.math.top_k(noise, k=noise.shape[-1], sorted=True).indices
