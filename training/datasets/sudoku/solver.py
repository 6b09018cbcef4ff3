"""Exact answers about single Sudoku boards."""

import operator

import numpy as np

from training.datasets.sudoku.board import box_side, check_board


def solve(board):
    """Solves a board.

    Args:
        board: integers of shape `(4, 4)` or `(9, 9)`, 0 for a blank.

    Returns:
        A solution, int32 of the same shape, or `None` if there is none. If there are several, always the same one.

    Raises:
        ValueError: if it isn't a board or breaks a rule; see `check_board`.

    Example:

    >>> solve([[1, 2, 0, 0], [3, 0, 0, 0], [0, 0, 0, 2], [0, 0, 0, 0]])
    array([[1, 2, 3, 4],
           [3, 4, 2, 1],
           [4, 3, 1, 2],
           [2, 1, 4, 3]], dtype=int32)
    """
    count, solution = _search(board, 1)
    return solution if count else None


def count_solutions(board, limit=2):
    """Counts the solutions of a board, up to a limit.

    Args:
        board: integers of shape `(4, 4)` or `(9, 9)`, 0 for a blank.
        limit: stop at this many. A count of 1 with the default limit of 2 means that the solution is unique.

    Returns:
        `int`, at most `limit`.

    Raises:
        ValueError: if it isn't a board or breaks a rule, or if `limit` isn't a positive integer.

    Example:

    >>> count_solutions(np.zeros((4, 4), int), limit=1000)
    288
    """
    try:
        number = operator.index(limit)
    except TypeError:
        number = 0
    if number < 1:
        raise ValueError(f"limit must be a positive integer, got {limit!r}")
    return _search(board, number)[0]


def _search(board, limit):
    # Numba takes a while to import: only those who search pay for it.
    from training.datasets.sudoku import kernels

    board = check_board(board)
    cells = board.astype(np.int64).reshape(-1)
    solution = np.empty_like(cells)
    count = kernels.search(cells, box_side(board), -1, 0, limit, np.zeros(1, np.uint64), False, solution)
    return count, solution.reshape(board.shape).astype(np.int32)
